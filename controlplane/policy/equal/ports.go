package equal

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// ported is what the tables make of ports that records name together.
type ported struct {
	classes []uint16     // the port classes that hold them
	wrong   []space.Port // examples: ports in no class, and pairs that one class holds though only one of them is named
}

// portClasses measures the port classes, for each IP version by itself.
func (k *checker) portClasses() {
	k.ranges = slices.Clone(k.t.Ports)
	slices.SortFunc(k.ranges, func(a, b packet.PortRange) int { return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Lo, b.Lo)) })
	for i := 1; i < len(k.ranges); i++ {
		if a, b := k.ranges[i-1], k.ranges[i]; a.Proto == b.Proto && b.Lo <= a.Hi {
			k.fault(Fault{What: fmt.Sprintf("%s is in port classes %d and %d", space.PortsText(space.Ports{space.Span(b.Proto, b.Lo, b.Lo)}), a.Class, b.Class)})
		}
	}
	for f := range versions {
		k.sizes[f], k.example[f] = make([]int32, numbers), make([]space.Port, numbers)
		for _, r := range k.ranges {
			if r.Lo <= r.Hi && carried(r.Proto, space.Family(f)) {
				if k.sizes[f][r.Class] == 0 {
					k.example[f][r.Class] = space.PortOf(r.Proto, r.Lo)
				}
				k.sizes[f][r.Class] += int32(r.Hi-r.Lo) + 1
			}
		}
		k.ported[f] = make([]*ported, len(k.d.Ports))
	}
}

func carried(proto uint8, f space.Family) bool {
	return len(space.Carried(space.Ports{space.Span(proto, 0, 0)}, f)) > 0
}

// portsOf finds the port classes of what records name together.
func (k *checker) portsOf(p *reading.Ports, f space.Family) *ported {
	for len(k.ported[f]) <= p.Number {
		k.ported[f] = append(k.ported[f], nil)
	}
	if q := k.ported[f][p.Number]; q != nil {
		return q
	}
	q := &ported{}
	found := map[uint16]int32{}
	rest := p.By[f]
	for _, r := range k.ranges {
		if r.Lo > r.Hi {
			continue
		}
		in := p.By[f].Intersect(space.Ports{space.Span(r.Proto, r.Lo, r.Hi)})
		for _, v := range in {
			if found[r.Class] == 0 {
				q.classes = append(q.classes, r.Class)
			}
			found[r.Class] += int32(v.Hi-v.Lo) + 1
		}
		rest = rest.Minus(in)
	}
	for _, v := range rest {
		q.wrong = append(q.wrong, v.Lo)
	}
	for _, c := range q.classes {
		if found[c] == k.sizes[f][c] {
			continue
		}
		for _, r := range k.ranges {
			if r.Class == c && carried(r.Proto, f) {
				s := space.Ports{space.Span(r.Proto, r.Lo, r.Hi)}
				for _, part := range []space.Ports{s.Minus(p.By[f]), s.Intersect(p.By[f])} {
					if len(part) > 0 {
						q.wrong = append(q.wrong, part[0].Lo)
					}
				}
			}
		}
	}
	k.ported[f][p.Number] = q
	return q
}

// both joins the ports of two targets that share a destination.
func (k *checker) both(a, b *reading.Ports) *reading.Ports {
	key := [2]int{min(a.Number, b.Number), max(a.Number, b.Number)}
	if p := k.joined[key]; p != nil {
		return p
	}
	p := k.d.Intern(a.All.Union(b.All))
	k.joined[key] = p
	return p
}
