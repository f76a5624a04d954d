package ways

import (
	"slices"
	"time"
)

// rank orders the ends of one region; a higher one is taken before a lower one, whatever is preferred.
type rank int

const (
	none      rank = iota // may not carry it
	dead                  // the region's own, down: carries it only when nobody else does
	takerDead             // another region's, down: only when it carries it already
	takerHeld
	ownHeld
	takerUp
	ownUp
)

// choose finds every region's holders and devices.
func (m *Machine) choose(now time.Time) Ways {
	w := Ways{map[Place]string{}, map[Stream]string{}}
	for _, region := range m.regions() {
		ranks := map[string]rank{} // by device, of the holder
		for _, device := range m.order {
			p := Place{device, region}
			if id, r := m.holder(p, now); r > none {
				w.Holders[p], ranks[device] = id, r
				if r == takerDead {
					ranks[device] = dead // no reason to leave another device
				}
			}
		}
		classes := []uint8{0}
		for c := range m.prefer {
			if c != 0 {
				classes = append(classes, c)
			}
		}
		for _, c := range classes {
			s := Stream{region, c}
			if d := pick(m.devices(c), ranks, m.ways.Devices[s]); d != "" {
				w.Devices[s] = d
			}
		}
	}
	return w
}

func (m *Machine) regions() []string {
	var out []string
	for _, e := range m.ends {
		if !slices.Contains(out, e.Region) {
			out = append(out, e.Region)
		}
	}
	return out
}

// devices is a class's order of all devices.
func (m *Machine) devices(class uint8) []string {
	var out []string
	for _, d := range slices.Concat(m.prefer[class], m.prefer[0], m.order) {
		if slices.Contains(m.order, d) && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// holder is the end that shall carry the region's prefixes on the device.
func (m *Machine) holder(p Place, now time.Time) (string, rank) {
	ranks := map[string]rank{}
	var ids []string
	for _, e := range m.ends {
		if e.Device == p.Device {
			ids, ranks[e.ID] = append(ids, e.ID), m.rank(e, p, now)
		}
	}
	id := pick(ids, ranks, m.ways.Holders[p])
	return id, ranks[id]
}

func (m *Machine) rank(e *end, p Place, now time.Time) rank {
	if e.Region == p.Region {
		return [...]rank{Down: dead, Held: ownHeld, Up: ownUp}[e.state]
	}
	if !slices.Contains(e.TakesOver, p.Region) || m.serves(p.Region, now) {
		return none
	}
	if e.state == Down && m.ways.Holders[p] != e.ID {
		return none
	}
	return [...]rank{Down: takerDead, Held: takerHeld, Up: takerUp}[e.state]
}

// serves tells whether one of the region's own ends is up, or may yet come up for the first time.
func (m *Machine) serves(region string, now time.Time) bool {
	return slices.ContainsFunc(m.ends, func(e *end) bool {
		return e.Region == region && (e.state == Up || !e.ever && now.Sub(e.born) < patience)
	})
}

// pick takes the highest rank, and of those that have it, the first. Only those that are up draw a way away from where it is.
func pick(ids []string, ranks map[string]rank, now string) string {
	best := none
	for _, id := range ids {
		best = max(best, ranks[id])
	}
	if best == none {
		return ""
	}
	if best != ownUp && best != takerUp && ranks[now] == best && slices.Contains(ids, now) {
		return now
	}
	return ids[slices.IndexFunc(ids, func(id string) bool { return ranks[id] == best })]
}

// Left tells which devices each region's ways leave out although they would come first: what was meant to go there goes
// elsewhere, or nowhere, until they serve again. Lines are those of them by which no region's packets come through. A device
// whose end had no time yet to come up is not left; nor is any line when all are: then there is nothing to plan for.
func (m *Machine) Left(now time.Time) (byRegion map[string][]string, lines []string) {
	byRegion = map[string][]string{}
	carrying := map[string]bool{}
	for stream, device := range m.ways.Devices {
		carrying[device] = carrying[device] || m.carries(device, stream.Region)
	}
	for stream, device := range m.ways.Devices {
		for _, d := range m.devices(stream.Class) {
			if d == device {
				break
			}
			if left := byRegion[stream.Region]; m.meant(d, stream.Region, now) && !slices.Contains(left, d) {
				byRegion[stream.Region] = append(left, d)
			}
		}
	}
	for region, left := range byRegion {
		slices.Sort(byRegion[region])
		for _, d := range left {
			if !carrying[d] && !slices.Contains(lines, d) {
				lines = append(lines, d)
			}
		}
	}
	if slices.Sort(lines); len(lines) == len(m.order) {
		lines = nil
	}
	return byRegion, lines
}

// carries tells whether packets of the region go by the device and come through.
func (m *Machine) carries(device, region string) bool {
	up := m.find(m.ways.Holders[Place{device, region}]).state != Down
	for stream, d := range m.ways.Devices {
		if stream.Region == region && d == device {
			return up
		}
	}
	return false
}

// meant tells whether the region has ends of its own on the device, all of which had their time to come up.
func (m *Machine) meant(device, region string, now time.Time) bool {
	own := false
	for _, e := range m.ends {
		if e.Device != device || e.Region != region {
			continue
		}
		if own = true; !e.ever && now.Sub(e.born) < patience {
			return false
		}
	}
	return own
}
