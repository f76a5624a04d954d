package packet

import "net/netip"

// groups is what multicast and broadcast mean in one segment. It is derived: programs read it, nobody sets it.
type groups struct {
	class4, class6 uint16     // classes that the groups of a version stand for; 0: none
	broadcast      netip.Addr // the segment's directed broadcast; invalid: none
}

// groupsOf says for every segment with Multicast what its groups stand for: the class of the gate's own lowest address of
// the version there. The directed broadcast is the last address of the widest prefix of the segment that holds the gate's
// IPv4 address; narrower prefixes are what records made of it.
func groupsOf(t Tables) map[uint16]groups {
	out := map[uint16]groups{}
	for _, s := range t.Segments {
		if s.Multicast && !s.Tunnel {
			out[s.ID] = groups{}
		}
	}
	local := map[uint16]bool{}
	for _, c := range t.Classes {
		local[c.ID] = c.Kind == KindLocal
	}
	lowest := map[uint16][2]netip.Addr{}
	for _, h := range t.Hosts {
		g, ok := out[h.Segment]
		if !ok || !local[h.Class] {
			continue
		}
		low := lowest[h.Segment]
		if h.Addr.Is4() && (!low[0].IsValid() || h.Addr.Less(low[0])) {
			low[0], g.class4 = h.Addr, h.Class
		}
		if h.Addr.Is6() && (!low[1].IsValid() || h.Addr.Less(low[1])) {
			low[1], g.class6 = h.Addr, h.Class
		}
		lowest[h.Segment], out[h.Segment] = low, g
	}
	widest := map[uint16]int{}
	for _, p := range t.Prefixes {
		g, ok := out[p.Segment]
		own := lowest[p.Segment][0]
		// Of 31 bits and more there is no broadcast (RFC 3021).
		if !ok || !own.IsValid() || !p.Prefix.Contains(own) || p.Prefix.Bits() > 30 {
			continue
		}
		if bits, known := widest[p.Segment]; known && bits <= p.Prefix.Bits() {
			continue
		}
		widest[p.Segment], g.broadcast = p.Prefix.Bits(), lastOf(p.Prefix)
		out[p.Segment] = g
	}
	return out
}

// lastOf is the last address of an IPv4 prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
