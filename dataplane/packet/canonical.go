package packet

import (
	"cmp"
	"net/netip"
	"slices"
)

// Canonical is t in the one order that equal policies share; slices are copied, never nil, and exact duplicates are kept.
func Canonical(t Tables) Tables {
	t.Segments, t.Hosts, t.Prefixes = slices.Clone(t.Segments), slices.Clone(t.Hosts), slices.Clone(t.Prefixes)
	t.Classes, t.Ports, t.Cells = slices.Clone(t.Classes), slices.Clone(t.Ports), slices.Clone(t.Cells)
	for i := range t.Classes {
		t.Classes[i].Via = slices.Clone(t.Classes[i].Via)
	}
	t.Rules = slices.Clone(t.Rules)
	for i := range t.Rules {
		t.Rules[i].Records = append([]string{}, t.Rules[i].Records...)
	}
	t.Windows = slices.Clone(t.Windows)
	for i := range t.Windows {
		t.Windows[i].Spans = append([]Span{}, t.Windows[i].Spans...)
	}
	return Ordered(t)
}

// Ordered is Canonical for those who only read: what is in order already is shared with t, which is large.
func Ordered(t Tables) Tables {
	t.Segments = sorted(t.Segments, func(a, b Segment) int { return cmp.Compare(a.ID, b.ID) })
	t.Hosts = sorted(t.Hosts, func(a, b Host) int { return a.Addr.Compare(b.Addr) })
	t.Prefixes = sorted(t.Prefixes, comparePrefixes)
	t.Classes = viasInOrder(sorted(t.Classes, func(a, b Class) int { return cmp.Compare(a.ID, b.ID) }))
	t.Ports = mergePorts(t.Ports)
	t.Cells = sortedCells(t.Cells)
	t.Rules = sorted(t.Rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	t.Windows = sorted(t.Windows, func(a, b Window) int { return cmp.Compare(a.ID, b.ID) })
	return t
}

func viasInOrder(in []Class) []Class {
	out := in
	for i := range in {
		via := sorted(in[i].Via, netip.Addr.Compare)
		if slices.Equal(via, in[i].Via) && in[i].Via != nil {
			continue
		}
		if &out[0] == &in[0] {
			out = slices.Clone(in)
		}
		out[i].Via = via
	}
	return out
}

// sortedCells is sorted for the one table that is large, and comes from the image in no order: by radix, the lowest byte of
// the key first, since what is written to few places at a time stays in the cache. It keeps the order of equal keys, as sorted
// does.
func sortedCells(in []Cell) []Cell {
	if in == nil {
		return []Cell{}
	}
	inOrder := true
	for i := 1; i < len(in) && inOrder; i++ {
		inOrder = in[i-1].order() <= in[i].order()
	}
	if inOrder {
		return in
	}
	const bytes = 6 // of a key
	var starts [bytes][256]int
	for i := range in {
		for digit, key := 0, in[i].order(); digit < bytes; digit, key = digit+1, key>>8 {
			starts[digit][byte(key)]++
		}
	}
	from, to, spare := in, make([]Cell, len(in)), make([]Cell, len(in))
	for digit := range starts {
		next := &starts[digit]
		if next[byte(in[0].order()>>(8*digit))] == len(in) {
			continue // all have the same
		}
		sum := 0
		for d, n := range next {
			next[d], sum = sum, sum+n
		}
		for i := range from {
			d := byte(from[i].order() >> (8 * digit))
			to[next[d]] = from[i]
			next[d]++
		}
		from, to, spare = to, spare, to
	}
	return from
}

// order is a cell's key as a number: source first.
func (c *Cell) order() uint64 { return uint64(c.Src)<<32 | uint64(c.Dst)<<16 | uint64(c.Port) }

// comparePrefixes orders by address, wide before narrow.
func comparePrefixes(a, b Prefix) int {
	return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
}

// mergePorts joins adjoining ranges of one class: a dense port table cannot tell them apart.
func mergePorts(in []PortRange) []PortRange {
	s := sorted(in, func(a, b PortRange) int { return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Lo, b.Lo)) })
	out := make([]PortRange, 0, len(s))
	for _, r := range s {
		if n := len(out); n > 0 && out[n-1].Proto == r.Proto && out[n-1].Class == r.Class && uint32(out[n-1].Hi)+1 == uint32(r.Lo) {
			out[n-1].Hi = r.Hi
			continue
		}
		out = append(out, r)
	}
	return out
}

func sorted[T any](in []T, by func(a, b T) int) []T {
	if in == nil {
		return []T{}
	}
	if slices.IsSortedFunc(in, by) {
		return in
	}
	out := slices.Clone(in)
	slices.SortStableFunc(out, by)
	return out
}
