package proof

import (
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// tries bounds the search for an address of a prefix that no closer entry catches.
const tries = 4096

// example names a packet that the cell admits; nil when the cell catches none.
func (c *checker) example(cell *packet.Cell) *Counterexample {
	return c.exampleFrom(cell, netip.Prefix{})
}

// exampleFrom prefers a packet from, or to, an address of p.
func (c *checker) exampleFrom(cell *packet.Cell, p netip.Prefix) *Counterexample {
	src, dst := c.class[cell.Src], c.class[cell.Dst]
	if src == nil || dst == nil {
		return nil
	}
	for _, r := range c.port[cell.Port] {
		for _, v4 := range []bool{true, false} {
			if v4 && r.Proto == 58 || !v4 && r.Proto == 1 {
				continue
			}
			s, ok1 := c.addrOf(src, v4, p)
			d, ok2 := c.addrOf(dst, v4, p)
			if ok1 && ok2 {
				return c.packet(src, s, d, r)
			}
		}
	}
	return nil
}

// addrOf picks an address of the class, of the IP version, in p if it has one there.
func (c *checker) addrOf(m *member, v4 bool, p netip.Prefix) (netip.Addr, bool) {
	var found netip.Addr
	take := func(a netip.Addr) bool {
		if !found.IsValid() || p.IsValid() && p.Contains(a) {
			found = a
		}
		return !p.IsValid() || p.Contains(a)
	}
	for _, i := range m.hosts {
		if !c.spend(1) {
			return found, found.IsValid()
		}
		if a := c.t.Hosts[i].Addr; a.Is4() == v4 && take(a) {
			return found, true
		}
	}
	for _, i := range m.prefixes {
		q := c.t.Prefixes[i].Prefix
		if !c.spend(1) {
			return found, found.IsValid()
		}
		if q.Addr().Is4() != v4 {
			continue
		}
		if a, ok := c.free(i); ok && take(a) {
			return found, true
		}
	}
	return found, found.IsValid()
}

// free finds an address that prefix number i catches: no host entry and no longer prefix holds it. The network's own address,
// which no station has, is the last resort.
func (c *checker) free(i int) (netip.Addr, bool) {
	p := c.t.Prefixes[i].Prefix
	own := p.Addr()
	if p.Bits() < own.BitLen()-1 {
		if a, ok := c.freeFrom(p, own.Next()); ok {
			return a, true
		}
	}
	return c.freeFrom(p, own)
}

// freeFrom is free, from an address on.
func (c *checker) freeFrom(p netip.Prefix, a netip.Addr) (netip.Addr, bool) {
	for range tries {
		if !c.spend(len(c.t.Prefixes)) {
			return netip.Addr{}, false
		}
		if !a.IsValid() || !p.Contains(a) {
			return netip.Addr{}, false
		}
		if _, host := c.byAddr[a]; !host {
			inner, ok := c.inner(p, a)
			if !ok {
				return a, true
			}
			a = last(inner)
		}
		a = a.Next()
	}
	return netip.Addr{}, false
}

// inner finds a prefix entry inside p that holds a.
func (c *checker) inner(p netip.Prefix, a netip.Addr) (netip.Prefix, bool) {
	for _, q := range c.t.Prefixes {
		if q.Prefix.Bits() > p.Bits() && q.Prefix.Contains(a) {
			return q.Prefix, true
		}
	}
	return netip.Prefix{}, false
}

// last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// stranger stands for any MAC where none is registered.
var stranger = packet.MAC{0x02, 0, 0, 0, 0, 0x01}

func (c *checker) packet(src *member, s, d netip.Addr, r packet.PortRange) *Counterexample {
	x := &Counterexample{Src: s, Dst: d, Proto: r.Proto, DPort: r.Lo, SrcZone: c.zoneOfAddr(s), DstZone: c.zoneOfAddr(d)}
	if src.Kind == packet.KindLocal {
		return x
	}
	in := c.segment[src.Segment]
	if i, ok := c.byAddr[s]; ok {
		in, x.SMAC = c.segment[c.t.Hosts[i].Segment], c.t.Hosts[i].MAC
	}
	if in == nil {
		return x
	}
	x.Port, x.VLAN, x.Outer = in.Port, in.VLAN, in.Outer
	if x.SMAC.IsZero() && !in.Tunnel {
		x.SMAC = stranger
	}
	return x
}
