package space

import (
	"fmt"
	"net/netip"
	"strings"
)

// Addrs is a set of addresses. IPv4 stands before IPv6, and no interval reaches from the one into the other.
type Addrs = List[netip.Addr]

// Single is the set of these addresses.
func Single(in ...netip.Addr) Addrs {
	s := make([]Interval[netip.Addr], len(in))
	for i, a := range in {
		s[i] = Interval[netip.Addr]{Lo: a, Hi: a}
	}
	return Of(s...)
}

// Inside is the set of all addresses of these prefixes.
func Inside(in ...netip.Prefix) Addrs {
	s := make([]Interval[netip.Addr], len(in))
	for i, p := range in {
		s[i] = Interval[netip.Addr]{Lo: p.Masked().Addr(), Hi: Last(p)}
	}
	return Of(s...)
}

// Last is the last address of a prefix.
func Last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Family is one IP version.
type Family uint8

const (
	V4 Family = iota
	V6
)

// Families are both of them.
var Families = [...]Family{V4, V6}

// FamilyOf an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return V4
	}
	return V6
}

// OfFamily is the part of a set that is of one IP version; it shares the set's memory.
func OfFamily(a Addrs, f Family) Addrs {
	n := 0
	for n < len(a) && a[n].Lo.Is4() {
		n++
	}
	if f == V4 {
		return a[:n:n]
	}
	return a[n:]
}

// Text names addresses: as prefixes where an interval is one, else from first to last.
func Text(a Addrs) string {
	out := make([]string, len(a))
	for i, v := range a {
		out[i] = IntervalText(v)
	}
	return strings.Join(out, ", ")
}

// IntervalText is Text for one interval.
func IntervalText(v Interval[netip.Addr]) string {
	if v.Lo == v.Hi {
		return v.Lo.String()
	}
	for bits := v.Lo.BitLen() - 1; bits >= 0; bits-- {
		p := netip.PrefixFrom(v.Lo, bits)
		if p.Masked().Addr() != v.Lo {
			break
		}
		if Last(p) == v.Hi {
			return p.String()
		}
	}
	return fmt.Sprintf("%s-%s", v.Lo, v.Hi)
}
