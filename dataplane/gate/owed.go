package gate

import (
	"slices"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// promised is what the generation says, less nothing; not ok while it is being put in force, which a second must not wait for.
func (p *promises) promised() (trees []bandwidth.Tree, plans map[string]plan.Plan, ok bool) {
	if !p.mu.TryLock() {
		return nil, nil, false
	}
	defer p.mu.Unlock()
	return p.trees, p.plans, true
}

// way is the device that a region's packets of a class go by now.
func (l look) way(region string, class uint8) string {
	for _, s := range []uint8{class, 0} {
		for stream, device := range l.ways.Devices {
			if stream.Region == region && stream.Class == s {
				return device
			}
		}
	}
	return ""
}

// going are the regions with ends on the device whose packets of the class go by it now.
func (l look) going(device string, class uint8, ends []tunnel.Report) (out []string) {
	for _, p := range ends {
		if l.way(p.Region, class) == device && !slices.Contains(out, p.Region) {
			out = append(out, p.Region)
		}
	}
	return out
}

// owedUp is what a class is owed on a device, whatever could be kept of it: its guarantee there by the contract, and that of its own
// line when all that it has there comes by this one now. inForce is for a class that nothing was promised to.
func (l look) owedUp(device string, class uint8, inForce uint64) uint64 {
	var has []bandwidth.Tree
	for _, t := range l.promised {
		if slices.ContainsFunc(t.Classes, func(c bandwidth.Class) bool { return c.ID == class }) {
			has = append(has, t)
		}
	}
	owed, home, most := contract(has, device, class)
	if home == "" {
		return inForce
	}
	came := false
	for _, p := range l.reports {
		if p.Device != home {
			continue
		}
		switch l.way(p.Region, class) {
		case home:
			return owed
		case device:
			came = true
		}
	}
	if came && home != device {
		return max(owed, most)
	}
	return owed
}

// owedDown is the same of what a region sends down by a device.
func (l look) owedDown(region, device string, class uint8, inForce uint64) uint64 {
	var has []bandwidth.Tree
	for _, d := range l.promisedPlans[region].Devices {
		has = append(has, bandwidth.Tree{Device: d.Device, Classes: d.Classes})
	}
	owed, home, most := contract(has, device, class)
	switch {
	case home == "":
		return inForce
	case home != device && l.way(region, class) == device:
		return max(owed, most)
	}
	return owed
}

// contract is the guarantee of a class on a device, the device that it prefers, and the greatest guarantee that it has on any.
func contract(trees []bandwidth.Tree, device string, class uint8) (here uint64, home string, most uint64) {
	var first bandwidth.Class
	for _, t := range trees {
		for _, c := range t.Classes {
			if c.ID != class {
				continue
			}
			if home == "" || c.Order < first.Order {
				home, first = t.Device, c
			}
			if most = max(most, c.Guarantee); t.Device == device {
				here = c.Guarantee
			}
		}
	}
	return here, home, most
}
