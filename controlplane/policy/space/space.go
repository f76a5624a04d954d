// Package space computes with sets of packets, exactly.
//
// Problem: whether two policies permit the same, and what one permits that another does not, cannot be found by trying
// packets: there are 2^280 of them. Mechanism: a packet that opens a flow is a point (source, destination, protocol and port,
// minute); a Box is the product of one set in each dimension, each set a few intervals in order (List) or terms (Times); a
// Set is boxes that share no packet, and union, intersection and difference cut boxes along one dimension after the other.
// Life cycle: values; no operation changes its arguments. Invariant: every operation is exact for every packet and minute;
// nothing is sampled and nothing rounded.
//
// Both ends of a packet are of one IP version, ICMP is IPv4's and ICMPv6 IPv6's: a box of both versions stands for its packets
// of the one and of the other, and for nothing between them.
//
// Costs: with lists of n and m intervals an operation on two boxes takes n + m steps and leaves at most 4 boxes. A set of n
// boxes less one of m takes n*m such operations when they are apart, and at worst, when every box overlaps every other, leaves
// as many boxes as the grid has fields that their edges make, (2m+1)^4 for each of the n. Whoever has thousands of records cuts
// their ends into atoms first and computes pair by pair (package difference): then only ports and times are left to cut.
package space

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// Packet opens a flow.
type Packet struct {
	Src, Dst netip.Addr
	Port     Port
}

func (p Packet) String() string {
	return fmt.Sprintf("%s -> %s %s", p.Src, p.Dst, PortsText(Ports{{p.Port, p.Port}}))
}

// Box is all packets with one of these sources, one of these destinations, one of these ports, at one of these times.
type Box struct {
	From, To Addrs
	Ports    Ports
	Times    Times
}

// Set is boxes that share no packet.
type Set []Box

// tidy leaves out what no packet can use; false when nothing is left.
func (b Box) tidy() (Box, bool) {
	if len(b.Times) == 0 {
		return Box{}, false
	}
	var out Box
	for _, f := range Families {
		from, to, ports := OfFamily(b.From, f), OfFamily(b.To, f), Carried(b.Ports, f)
		if len(from) == 0 || len(to) == 0 || len(ports) == 0 {
			continue
		}
		if out.From == nil {
			out = Box{from, to, ports, b.Times}
			continue
		}
		out.From, out.To, out.Ports = b.From, b.To, b.Ports
	}
	return out, out.From != nil
}

// Empty tells whether no packet is in the box.
func (b Box) Empty() bool { _, any := b.tidy(); return !any }

// Contains tells whether the packet is in the box at that minute.
func (b Box) Contains(p Packet, minute int64) bool {
	f := FamilyOf(p.Src)
	return f == FamilyOf(p.Dst) && len(Carried(Ports{{p.Port, p.Port}}, f)) > 0 && b.Ports.Contains(p.Port) &&
		b.From.Contains(p.Src) && b.To.Contains(p.Dst) && b.Times.Contains(minute)
}

// intersect is what is in both.
func (b Box) intersect(c Box) (Box, bool) {
	if !b.From.Overlaps(c.From) || !b.To.Overlaps(c.To) || !b.Ports.Overlaps(c.Ports) {
		return Box{}, false
	}
	return Box{b.From.Intersect(c.From), b.To.Intersect(c.To), b.Ports.Intersect(c.Ports), b.Times.Intersect(c.Times)}.tidy()
}

// minus is what is in b and not in c, as at most 4 boxes.
func (b Box) minus(c Box) []Box {
	if _, any := b.intersect(c); !any {
		return []Box{b}
	}
	from, to := b.From.Intersect(c.From), b.To.Intersect(c.To)
	var out []Box
	add := func(x Box) {
		if x, any := x.tidy(); any {
			out = append(out, x)
		}
	}
	add(Box{b.From.Minus(c.From), b.To, b.Ports, b.Times})
	add(Box{from, b.To.Minus(c.To), b.Ports, b.Times})
	add(Box{from, to, b.Ports.Minus(c.Ports), b.Times})
	add(Box{from, to, b.Ports.Intersect(c.Ports), b.Times.Minus(c.Times)})
	return out
}

// SetOf is everything that any of the boxes holds.
func SetOf(in ...Box) Set {
	var out Set
	for _, b := range in {
		out = out.Union(Set{b})
	}
	return out
}

// Minus is what is in s and not in t.
func (s Set) Minus(t Set) Set {
	rest := make(Set, 0, len(s))
	for _, b := range s {
		if b, any := b.tidy(); any {
			rest = append(rest, b)
		}
	}
	for _, c := range t {
		var next Set
		for _, b := range rest {
			next = append(next, b.minus(c)...)
		}
		rest = next
	}
	return rest
}

// Union is what is in either.
func (s Set) Union(t Set) Set { return append(slices.Clone(s), t.Minus(s)...) }

// Intersect is what is in both.
func (s Set) Intersect(t Set) Set {
	var out Set
	for _, b := range s {
		for _, c := range t {
			if x, any := b.intersect(c); any {
				out = append(out, x)
			}
		}
	}
	return out
}

// Empty tells whether no packet is in the set.
func (s Set) Empty() bool { return !slices.ContainsFunc(s, func(b Box) bool { return !b.Empty() }) }

// Same tells whether both hold the same packets at the same times.
func (s Set) Same(t Set) bool { return s.Minus(t).Empty() && t.Minus(s).Empty() }

// Contains tells whether the packet is in the set at that minute.
func (s Set) Contains(p Packet, minute int64) bool {
	return slices.ContainsFunc(s, func(b Box) bool { return b.Contains(p, minute) })
}

// Merge says the same in few boxes, in an order of its own: boxes that differ in one dimension only become one, until none do.
func (s Set) Merge() Set {
	var out Set
	for _, b := range s {
		if b, any := b.tidy(); any {
			out = append(out, b)
		}
	}
	for n := -1; n != len(out); {
		n = len(out)
		out = out.along(func(b *Box) { b.From = nil }, func(b *Box, c Box) { b.From = b.From.Union(c.From) })
		out = out.along(func(b *Box) { b.To = nil }, func(b *Box, c Box) { b.To = b.To.Union(c.To) })
		out = out.along(func(b *Box) { b.Ports = nil }, func(b *Box, c Box) { b.Ports = b.Ports.Union(c.Ports) })
		out = out.along(func(b *Box) { b.Times = nil }, func(b *Box, c Box) { b.Times = b.Times.Union(c.Times) })
	}
	slices.SortFunc(out, func(a, b Box) int {
		return cmp.Or(compare(a.From, b.From), compare(a.To, b.To), compare(a.Ports, b.Ports), slices.Compare(timesKey(nil, a.Times), timesKey(nil, b.Times)))
	})
	return out
}

// along joins the boxes that are alike without one dimension.
func (s Set) along(without func(*Box), join func(*Box, Box)) Set {
	at := make(map[string]int, len(s))
	var out Set
	for _, b := range s {
		rest := b
		without(&rest)
		k := rest.Key()
		if i, seen := at[k]; seen {
			join(&out[i], b)
			continue
		}
		at[k] = len(out)
		out = append(out, b)
	}
	return out
}

// Key is equal for boxes that are written alike.
func (b Box) Key() string {
	var k []byte
	for _, a := range []Addrs{b.From, b.To} {
		k = binary.AppendUvarint(k, uint64(len(a)))
		for _, v := range a {
			lo, hi := v.Lo.As16(), v.Hi.As16()
			k = append(append(k, lo[:]...), hi[:]...)
		}
	}
	k = binary.AppendUvarint(k, uint64(len(b.Ports)))
	for _, v := range b.Ports {
		k = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(k, uint32(v.Lo)), uint32(v.Hi))
	}
	return string(timesKey(k, b.Times))
}

func timesKey(k []byte, t Times) []byte {
	for _, term := range t {
		k = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(k, uint64(term.From)), uint64(term.Until))
		k = append(k, byte(len(term.Week)>>8), byte(len(term.Week)))
		for _, v := range term.Week {
			k = append(k, byte(v.Lo>>8), byte(v.Lo), byte(v.Hi>>8), byte(v.Hi))
		}
	}
	return k
}

func compare[T Point[T]](a, b List[T]) int {
	return slices.CompareFunc(a, b, func(v, w Interval[T]) int { return cmp.Or(v.Lo.Compare(w.Lo), v.Hi.Compare(w.Hi)) })
}
