package equal

import (
	"fmt"

	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// sources adds the classes of those that a record lets open: each as a whole.
func (k *checker) sources(out []side, p *reading.Permit, f space.Family) []side {
	k.turn++
	for _, e := range p.From {
		if t := k.opened(p, e, f); t != nil {
			if w := k.whole[f][e.Number]; w != nil && len(p.From) == 1 {
				return append(out, w...)
			}
			k.visit(e, f, nil)
		}
	}
	out = k.gather(out, f, func(u, other int32) bool {
		for _, e := range p.From {
			if t := k.opened(p, e, f); t != nil && e.Addrs().Contains(k.units[u].lo) {
				dst, port := k.units[k.ends[f][t.Number][0].from].lo, t.Ports.By[f][0].Lo
				packets := []space.Packet{{Src: k.units[u].lo, Dst: dst, Port: port}}
				if other >= 0 {
					packets = append(packets, space.Packet{Src: k.units[other].lo, Dst: dst, Port: port})
				}
				return k.differ(fmt.Sprintf("record %q: initiators in no class, or in one with addresses that it does not name", p.Record), p.Record, packets...)
			}
		}
		return false
	})
	if len(p.From) == 1 {
		k.remember(p.From[0], f, out)
	}
	return out
}

// destinations adds the classes of those that may be opened, with their ports.
func (k *checker) destinations(out []side, p *reading.Permit, f space.Family) []side {
	k.turn++
	for _, t := range p.To {
		if e := k.opens(p, t, f); e != nil {
			if w := k.whole[f][t.Number]; w != nil && len(p.To) == 1 {
				for _, s := range w {
					out = append(out, side{s.class, t.Ports})
				}
				return out
			}
			k.visit(t.Ends, f, t.Ports)
		}
	}
	out = k.gather(out, f, func(u, other int32) bool {
		for _, t := range p.To {
			e := k.opens(p, t, f)
			if e == nil || !t.Addrs().Contains(k.units[u].lo) {
				continue
			}
			src := k.units[k.ends[f][e.Number][0].from].lo
			var packets []space.Packet
			for _, v := range t.Ports.By[f] {
				packets = append(packets, space.Packet{Src: src, Dst: k.units[u].lo, Port: v.Lo})
				if other >= 0 {
					packets = append(packets, space.Packet{Src: src, Dst: k.units[other].lo, Port: v.Lo})
				}
			}
			if k.differ(fmt.Sprintf("record %q: destinations in no class, or in one with addresses that it treats otherwise", p.Record), p.Record, packets...) {
				return true
			}
		}
		return false
	})
	if len(p.To) == 1 {
		k.remember(p.To[0].Ends, f, out)
	}
	return out
}

// opened is a target that the ends may open, in an IP version; nil when there is none.
func (k *checker) opened(p *reading.Permit, e *reading.Ends, f space.Family) *reading.Target {
	if len(k.ends[f][e.Number]) == 0 {
		return nil
	}
	for i := range p.To {
		t := &p.To[i]
		if joins(p, int32(e.Segment), int32(t.Segment)) && len(k.ends[f][t.Number]) > 0 && len(t.Ports.By[f]) > 0 {
			return t
		}
	}
	return nil
}

// opens is who may open a target; nil when nobody can.
func (k *checker) opens(p *reading.Permit, t reading.Target, f space.Family) *reading.Ends {
	if len(k.ends[f][t.Number]) == 0 || len(t.Ports.By[f]) == 0 {
		return nil
	}
	for _, e := range p.From {
		if joins(p, int32(e.Segment), int32(t.Segment)) && len(k.ends[f][e.Number]) > 0 {
			return e
		}
	}
	return nil
}

// marks tell what was seen in the turn at hand, without being cleared for the next.
type marks struct {
	turn    int32
	mixed   int32            // last turn in which units came with different ports
	seen    []int32          // units, in the order in which they were seen
	unitAt  []int32          // turn in which a unit was seen
	ports   []*reading.Ports // with which ports
	classAt []int32          // turn in which a class was
	count   []int32          // units seen of it
	whole   [versions][][]side
}

func newMarks(units, ends int) marks {
	m := marks{unitAt: make([]int32, units), ports: make([]*reading.Ports, units), classAt: make([]int32, numbers), count: make([]int32, numbers)}
	for f := range m.whole {
		m.whole[f] = make([][]side, ends)
	}
	return m
}

// visit sees the units of some ends.
func (k *checker) visit(e *reading.Ends, f space.Family, ports *reading.Ports) {
	for _, r := range k.ends[f][e.Number] {
		for u := r.from; u < r.to; u++ {
			if k.unitAt[u] == k.turn {
				if was := k.ports[u]; was != ports {
					k.ports[u], k.mixed = k.both(was, ports), k.turn
				}
				continue
			}
			if len(k.seen) > 0 && ports != k.ports[k.seen[0]] {
				k.mixed = k.turn
			}
			k.unitAt[u], k.ports[u] = k.turn, ports
			k.seen = append(k.seen, u)
			c := k.units[u].class
			if k.classAt[c] != k.turn {
				k.classAt[c], k.count[c] = k.turn, 0
			}
			k.count[c]++
		}
	}
}

// gather adds the classes of the units seen. Where a class is not wholly among them, or with other ports, wrong is told a unit
// seen and one that differs; where a unit has no class, that unit and -1.
func (k *checker) gather(out []side, f space.Family, wrong func(u, other int32) bool) []side {
	for _, u := range k.seen {
		c := k.units[u].class
		if c == 0 {
			k.sure(wrong(u, -1))
			continue
		}
		if k.classAt[c] != k.turn {
			continue // taken already
		}
		k.classAt[c] = 0
		out = append(out, side{c, k.ports[u]})
		if other := k.unlike(u, f); other >= 0 {
			k.sure(wrong(u, other) || wrong(other, u))
		}
	}
	k.seen = k.seen[:0]
	return out
}

// unlike finds a unit of the same class that was not seen, or with other ports; -1 when there is none.
func (k *checker) unlike(u int32, f space.Family) int32 {
	c := k.units[u].class
	if k.count[c] == k.members[f][c] && k.mixed != k.turn {
		return -1
	}
	if k.count[c] == k.members[f][c] {
		for _, v := range k.seen {
			if k.units[v].class == c && k.ports[v] != k.ports[u] && !k.ports[v].By[f].Equal(k.ports[u].By[f]) {
				return v
			}
		}
		return -1
	}
	if k.full() {
		k.more++
		return -1
	}
	for v := range k.units {
		if w := &k.units[v]; w.class == c && space.FamilyOf(w.lo) == f && k.unitAt[v] != k.turn {
			return int32(v)
		}
	}
	return -1
}

// large is from how many classes on it pays to remember what ends consist of.
const large = 8

func (k *checker) remember(e *reading.Ends, f space.Family, sides []side) {
	if len(sides) < large || len(k.faults) > 0 {
		return
	}
	w := make([]side, len(sides))
	for i, s := range sides {
		w[i] = side{class: s.class}
	}
	k.whole[f][e.Number] = w
}

// sure notes where two sides differ though no witness shows it: such tables are refused all the same.
func (k *checker) sure(shown bool) {
	if !shown {
		k.unshown++
	}
}

// justify wants every cell to be used up by the records that its rule names.
func (k *checker) justify() {
	for i := range k.cells {
		c := &k.cells[i]
		if i > 0 && c.Src == k.cells[i-1].Src && c.Dst == k.cells[i-1].Dst && c.Port == k.cells[i-1].Port {
			k.fault(Fault{What: fmt.Sprintf("the cell of classes %d -> %d and port class %d is in the tables twice", c.Src, c.Dst, c.Port)})
			continue
		}
		n := k.rule[i]
		if n == nil {
			k.fault(Fault{What: fmt.Sprintf("the cell of classes %d -> %d and port class %d names rule %d, which the tables do not have", c.Src, c.Dst, c.Port, c.Rule)})
			continue
		}
		alive := false
		for f := range versions {
			if !k.live(c, space.Family(f)) {
				continue
			}
			alive = true
			if int(k.used[f][i]) < len(n.records) || len(n.records) == 0 {
				k.sure(k.differ(fmt.Sprintf("a cell of rule %d permits what no record, or not every record %q, permits", n.ID, n.Records), "",
					k.packet(space.Family(f), c.Src, c.Dst, k.example[f][c.Port])))
			}
		}
		switch {
		case !alive:
			k.fault(Fault{What: fmt.Sprintf("the cell of classes %d -> %d and port class %d is dead: no packet can use it", c.Src, c.Dst, c.Port)})
		case len(n.records) > 0 && n.records[0] < stranger:
			k.classed(c, n)
		}
	}
	if k.unshown > 0 && len(k.faults) == 0 {
		k.fault(Fault{What: "the tables could not be shown to permit what the configuration permits"})
	}
}

// live tells whether a packet of an IP version can use a cell.
func (k *checker) live(c *packet.Cell, f space.Family) bool {
	return k.members[f][c.Src] > 0 && k.members[f][c.Dst] > 0 && k.sizes[f][c.Port] > 0 && c.Src != 0 && c.Dst != 0 && c.Port != 0
}
