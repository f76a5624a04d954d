package equal

import (
	"fmt"

	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// classed wants a cell to have the bandwidth class of the first of its records: where that has several, by service, of every
// service that the cell holds.
func (k *checker) classed(c *packet.Cell, n *named) {
	first := &k.d.Permits[n.records[0]]
	if !first.Mixed {
		if p, _ := k.packetOf(c); first.Class != c.BWClass {
			k.misclassed(c, n, p, first.Class)
		}
		return
	}
	for f := range versions {
		if !k.live(c, space.Family(f)) {
			continue
		}
		for _, u := range k.unitsIn(f, c.Dst) {
			for i := range first.To {
				t := &first.To[i]
				if t.Class == c.BWClass || !t.Addrs().Contains(k.units[u].lo) {
					continue
				}
				if port, ok := k.shared(t, f, c.Port); ok {
					k.misclassed(c, n, space.Packet{Src: k.units[k.sample[f][c.Src]].lo, Dst: k.units[u].lo, Port: port}, t.Class)
					return
				}
			}
		}
	}
}

func (k *checker) misclassed(c *packet.Cell, n *named, p space.Packet, want uint8) {
	k.fault(Fault{What: fmt.Sprintf("a cell of rule %d has bandwidth class %d; its first record %q has %d", n.ID, c.BWClass, n.Records[0], want),
		Record: n.Records[0], Packet: &p, Tables: k.tablesSay(p), Records: k.recordsSay(p)})
}

// shared is a port of a target that a port class holds.
func (k *checker) shared(t *reading.Target, f int, class uint16) (space.Port, bool) {
	for _, r := range k.ranges {
		if r.Class != class || r.Lo > r.Hi {
			continue
		}
		if in := t.Ports.By[f].Intersect(space.Ports{space.Span(r.Proto, r.Lo, r.Hi)}); len(in) > 0 {
			return in[0].Lo, true
		}
	}
	return 0, false
}

// unitsIn lists the units of a class, in an IP version. They are looked up once, and only for records of several classes.
func (k *checker) unitsIn(f int, class uint16) []int32 {
	if k.in[f] == nil {
		k.in[f] = map[uint16][]int32{}
		for i := range k.units {
			if u := &k.units[i]; int(space.FamilyOf(u.lo)) == f {
				k.in[f][u.class] = append(k.in[f][u.class], int32(i))
			}
		}
	}
	return k.in[f][class]
}
