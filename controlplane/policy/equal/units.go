package equal

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// unit is addresses between two places at which the tables or the document change their mind. IPv4's come first.
type unit struct {
	lo, hi  netip.Addr
	class   uint16 // of the tables; 0: none
	segment int32  // place in the document; -1: none
	gate    bool   // the gate's own, by the document
	host    bool   // with an entry of its own in the tables
}

// run is units from one to before another.
type run struct{ from, to int32 }

// cut makes the units and enters what both sides say of each.
func (k *checker) cut() {
	k.units = unitsOf(k.cuts())
	for i := range k.d.Config.Segments {
		for r := range k.d.SegmentAddrs(i).All() {
			k.each(r, func(u *unit) { u.segment = int32(i) })
		}
		for _, g := range k.d.Config.Segments[i].Gate {
			k.each(space.Interval[netip.Addr]{Lo: g, Hi: g}, func(u *unit) { u.gate = true })
		}
	}
	prefixes := slices.Clone(k.t.Prefixes)
	slices.SortStableFunc(prefixes, func(a, b packet.Prefix) int { return cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()) })
	for _, p := range prefixes { // the longest decides
		k.each(space.Interval[netip.Addr]{Lo: p.Prefix.Masked().Addr(), Hi: space.Last(p.Prefix)}, func(u *unit) { u.class = p.Class })
	}
	for i := range k.t.Hosts {
		h := &k.t.Hosts[i]
		k.each(space.Interval[netip.Addr]{Lo: h.Addr, Hi: h.Addr}, func(u *unit) { u.class, u.host = h.Class, true })
	}
	k.segment = make([]int32, numbers)
	for f := range versions {
		k.members[f], k.sample[f] = make([]int32, numbers), make([]int32, numbers)
		k.ends[f] = make([][]run, len(k.d.Ends))
	}
	for i := range k.units {
		u := &k.units[i]
		f := space.FamilyOf(u.lo)
		if k.members[f][u.class] == 0 {
			k.segment[u.class] = u.segment
		}
		if k.members[f][u.class] == 0 || u.host && !k.units[k.sample[f][u.class]].host { // a registered address is the better witness
			k.sample[f][u.class] = int32(i)
		}
		k.members[f][u.class]++
	}
	for _, e := range k.d.Ends { // the members of a group stand before it
		for f := range versions {
			if len(e.Members) > 0 {
				k.ends[f][e.Number] = k.together(e.Members, f)
			}
		}
		if len(e.Members) == 0 {
			for _, v := range e.Addrs() {
				f := space.FamilyOf(v.Lo)
				k.ends[f][e.Number] = append(k.ends[f][e.Number], k.run(v))
			}
		}
	}
	k.marks = newMarks(len(k.units), len(k.d.Ends))
}

// together joins the runs of a group's members: in their order, and more than once where two share an address.
func (k *checker) together(members []*reading.Ends, f int) []run {
	n := 0
	for _, m := range members {
		n += len(k.ends[f][m.Number])
	}
	if n == 0 {
		return nil
	}
	out := make([]run, 0, n)
	for _, m := range members {
		out = append(out, k.ends[f][m.Number]...)
	}
	return out
}

// cuts are the first addresses of units. A group's ends have none that its members' have not.
func (k *checker) cuts() []netip.Addr {
	var out []netip.Addr
	add := func(lo, hi netip.Addr) {
		out = append(out, lo)
		if n := hi.Next(); n.IsValid() {
			out = append(out, n)
		}
	}
	for _, e := range k.d.Ends {
		if len(e.Members) == 0 {
			for _, v := range e.Addrs() {
				add(v.Lo, v.Hi)
			}
		}
	}
	for i := range k.d.Config.Segments {
		for v := range k.d.SegmentAddrs(i).All() {
			add(v.Lo, v.Hi)
		}
	}
	for i := range k.t.Hosts {
		add(k.t.Hosts[i].Addr, k.t.Hosts[i].Addr)
	}
	for _, p := range k.t.Prefixes {
		add(p.Prefix.Masked().Addr(), space.Last(p.Prefix))
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// unitsOf ends each unit where the next begins, or with the last address of its version.
func unitsOf(cuts []netip.Addr) []unit {
	out := make([]unit, len(cuts))
	for i, lo := range cuts {
		out[i] = unit{lo: lo, segment: -1}
		if i+1 < len(cuts) && cuts[i+1].Is4() == lo.Is4() {
			out[i].hi = cuts[i+1].Prev()
		} else {
			out[i].hi = space.Last(netip.PrefixFrom(lo, 0))
		}
	}
	return out
}

// run gives the units of an interval, whose ends are cuts.
func (k *checker) run(v space.Interval[netip.Addr]) run {
	from, _ := slices.BinarySearchFunc(k.units, v.Lo, func(u unit, a netip.Addr) int { return u.lo.Compare(a) })
	if v.Lo == v.Hi {
		return run{int32(from), int32(from + 1)}
	}
	to, last := slices.BinarySearchFunc(k.units, v.Hi, func(u unit, a netip.Addr) int { return u.hi.Compare(a) })
	if last {
		to++
	}
	return run{int32(from), int32(to)}
}

func (k *checker) each(v space.Interval[netip.Addr], do func(*unit)) {
	r := k.run(v)
	for i := r.from; i < r.to; i++ {
		do(&k.units[i])
	}
}

// places compares what each side says of every address by itself: whose it is, and whether it is the gate's own.
func (k *checker) places() {
	classes := make(map[uint16]*packet.Class, len(k.t.Classes))
	for i := range k.t.Classes {
		classes[k.t.Classes[i].ID] = &k.t.Classes[i]
	}
	numbers := make([]uint16, len(k.d.Config.Segments))
	for i := range numbers {
		numbers[i] = k.a.Number(k.d.Config.Segments[i].ID)
	}
	for i := range k.units {
		u := &k.units[i]
		addrs := func() string { return space.IntervalText(space.Interval[netip.Addr]{Lo: u.lo, Hi: u.hi}) }
		c := classes[u.class]
		switch {
		case u.class == 0 && u.segment < 0:
		case u.class == 0:
			k.fault(Fault{What: fmt.Sprintf("%s of segment %q are in no class of the tables", addrs(), k.d.Config.Segments[u.segment].ID)})
		case c == nil:
			k.fault(Fault{What: fmt.Sprintf("%s are in class %d, which the tables do not have", addrs(), u.class)})
		case u.segment < 0:
			k.fault(Fault{What: fmt.Sprintf("%s are in class %d of the tables and in no segment of the configuration", addrs(), u.class)})
		case c.Segment != numbers[u.segment]:
			k.fault(Fault{What: fmt.Sprintf("%s are in segment %d of the tables and in segment %q, number %d, of the configuration", addrs(), c.Segment, k.d.Config.Segments[u.segment].ID, numbers[u.segment])})
		case u.gate != (c.Kind == packet.KindLocal):
			k.fault(Fault{What: fmt.Sprintf("%s: the gate's own by the configuration: %t; by the tables, in class %d: %t", addrs(), u.gate, u.class, c.Kind == packet.KindLocal)})
		}
	}
}
