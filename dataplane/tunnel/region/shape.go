package region

import (
	"errors"
	"fmt"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/bandwidth/lend"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// apply puts a plan in force: trees first, so that no packet names a class that is not there.
func (f *far) apply(p plan.Plan) error {
	var names []string
	for _, e := range f.ends {
		names = append(names, e.Name)
		if err := e.shape(p); err != nil {
			return fmt.Errorf("plan %016x: %w", p.Hash, err)
		}
	}
	if err := classify(&p, names); err != nil {
		return err
	}
	f.plan = &p
	return nil
}

// shape gives the device the tree of a plan, or none when the plan does not name it.
func (e *end) shape(p plan.Plan) error {
	d := e.planned(p)
	if d == nil {
		e.tree = bandwidth.Tree{}
		return bandwidth.Remove(e.Name)
	}
	tree := d.Tree(e.Name, e.grant)
	if err := bandwidth.Apply(tree); err != nil {
		return err
	}
	e.tree = tree
	return nil
}

// planned is what a plan says of the device.
func (e *end) planned(p plan.Plan) *plan.Device {
	for i := range p.Devices {
		if p.Devices[i].Device == e.Gate.Device {
			return &p.Devices[i]
		}
	}
	return nil
}

// allow makes the root send bits from now on; 0: what the plan says. What waits goes on waiting.
func (f *far) allow(e *end, bits uint64) error {
	if bits == e.grant || f.plan == nil {
		e.grant = bits
		return nil
	}
	d := e.planned(*f.plan)
	if d == nil {
		return nil
	}
	tree := d.Tree(e.Name, bits)
	if err := bandwidth.Rates(tree); err != nil {
		return err
	}
	e.grant, e.tree = bits, tree
	return nil
}

// alone takes back what was lent to ends that the gate has not spoken to for long: it has lent it to others by now.
func (f *far) alone(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.ends {
		if e.grant != 0 && now.Sub(e.heard) > lend.Forgotten {
			if err := f.allow(e, 0); err != nil {
				f.log.Error("go back to the region's own share", "device", e.Name, "error", err)
			}
		}
	}
}

// steer sends the classes that the gate wants by this end from now on. A class goes where its bit was set last.
func (f *far) steer(e *end, use uint64) error {
	var errs []error
	for c := range uint8(64) {
		bit := uint64(1) << c
		at := f.ways[c]
		switch {
		case use&bit == 0 || at == e:
			continue
		case at == nil, e.use&bit == 0, at.use&bit == 0:
		default:
			continue // both are wanted: the one that was asked for later has it
		}
		if err := f.lead(c, e); err != nil {
			errs = append(errs, err)
			continue
		}
		f.ways[c] = e
	}
	e.use = use
	return errors.Join(errs...)
}
