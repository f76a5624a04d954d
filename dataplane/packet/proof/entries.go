package proof

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// segments: I10. The table is the anchors, row by row, numbered in their order.
func (c *checker) segments() {
	ids, names := map[uint16]bool{}, map[string]bool{}
	for _, s := range c.t.Segments {
		if s.ID == 0 || s.ID > anchors.MaxSegments || ids[s.ID] || names[s.Name] {
			c.fault(Tables, "segment %d %q: number or name is out of bounds or used twice", s.ID, s.Name)
		}
		ids[s.ID], names[s.Name] = true, true
		a, ok := c.a.Segment(s.Name)
		if !ok {
			c.fault("I10", "segment %q (port %s VLAN %d) is not in the anchors", s.Name, s.Port, s.VLAN)
			continue
		}
		want := packet.Segment{
			ID: c.a.Number(s.Name), Name: a.ID, Zone: a.Zone, Port: a.Port, VLAN: a.VLAN, Outer: a.Outer, Strict: a.Strict, Tunnel: a.Attach == anchors.AttachTunnel,
			Multicast: a.Multicast, Routers: a.Advertising, DHCPServers: a.DHCPServers, TrustDSCP: s.TrustDSCP, Limits: s.Limits,
		}
		if s != want {
			c.fault("I10", "segment %q: the tables say %s, the anchors say %s", s.Name, row(s), row(want))
		}
		if l := s.Limits; l.StationFlows == 0 || l.StationFlows > l.Flows || l.StationRate == 0 || l.StationRate > l.Rate {
			c.fault(Tables, "segment %q: limits %+v: want bounds for the segment and, within them, for one station", s.Name, l)
		}
	}
	for _, a := range c.a.Segments {
		if !names[a.ID] {
			c.fault("I10", "segment %q of the anchors (port %s VLAN %d) is missing in the tables", a.ID, a.Port, a.VLAN)
		}
	}
}

func row(s packet.Segment) string {
	return fmt.Sprintf("number %d, zone %s, port %s, VLAN %d in %d, strict %t, tunnel %t, multicast %t, router advertisements %t, DHCP servers %t",
		s.ID, s.Zone, s.Port, s.VLAN, s.Outer, s.Strict, s.Tunnel, s.Multicast, s.Routers, s.DHCPServers)
}

// classes: I7, for the class itself. Its members' next hops are checked with the members.
func (c *checker) classes() {
	ids := map[uint16]bool{}
	for i := range c.t.Classes {
		k := &c.t.Classes[i]
		if k.ID == 0 || ids[k.ID] {
			c.fault(Tables, "class %d: number is 0 or used twice", k.ID)
		}
		ids[k.ID] = true
		a := c.anchorOf(k.Segment)
		if a == nil {
			c.fault(Tables, "class %d: its segment %d does not exist", k.ID, k.Segment)
			continue
		}
		if k.Port != a.Port || k.VLAN != a.VLAN || k.Outer != a.Outer {
			c.leak(k, "class %d would leave by port %s VLAN %d in %d; its segment %q is bound to port %s VLAN %d in %d", k.ID, k.Port, k.VLAN, k.Outer, a.ID, a.Port, a.VLAN, a.Outer)
		}
		switch k.Kind {
		case packet.KindForward:
			if a.Attach == anchors.AttachTunnel {
				c.leak(k, "class %d in segment %q would be redirected to a port; the segment lies behind tunnel %s", k.ID, a.ID, a.Port)
			}
		case packet.KindTunnel:
			if a.Attach != anchors.AttachTunnel {
				c.leak(k, "class %d in segment %q would go into a tunnel; the segment hangs on %s %s", k.ID, a.ID, a.Attach, a.Port)
			}
		case packet.KindLocal:
		default:
			c.fault(Tables, "class %d: kind %d is not known", k.ID, k.Kind)
		}
		if k.Kind != packet.KindForward && len(k.Via) > 0 {
			c.leak(k, "class %d in segment %q has next hops %v, but is not forwarded to a port", k.ID, a.ID, k.Via)
		}
		if len(c.class[k.ID].hosts)+len(c.class[k.ID].prefixes) == 0 && len(k.Via) > 0 && !slices.ContainsFunc(a.Routers, func(r anchors.Router) bool { return sameAddrs(k.Via, r.Addrs) }) {
			c.leak(k, "class %d in segment %q has next hops %v, which are no registered router", k.ID, a.ID, k.Via)
		}
	}
}

// leak reports a class that would leave by the wrong way, with a packet that would.
func (c *checker) leak(k *packet.Class, format string, args ...any) {
	v := Violation{Invariant: "I7", Message: fmt.Sprintf(format, args...)}
	if !c.wanted(v.Message, v) {
		return
	}
	for i := range c.t.Cells {
		if cell := &c.t.Cells[i]; c.spend(1) && cell.Dst == k.ID {
			v.Counterexample, v.Records = c.example(cell), c.records(cell)
			break
		}
	}
	c.report(v.Message, v)
}

// hosts: I4 for exact addresses, I5's class kinds, I7's next hops.
func (c *checker) hosts() {
	seen := make(map[netip.Addr]bool, len(c.t.Hosts))
	for i := range c.t.Hosts {
		h := &c.t.Hosts[i]
		if !h.Addr.IsValid() || h.Addr.Is4In6() || h.Addr.Zone() != "" || seen[h.Addr] {
			c.fault(Tables, "host %s: not a plain address, or entered twice", h.Addr)
			continue
		}
		seen[h.Addr] = true
		one := netip.PrefixFrom(h.Addr, h.Addr.BitLen())
		k, a := c.entry("host", one, h.Class, h.Segment)
		if k == nil || a == nil {
			continue
		}
		local := slices.Contains(a.Gate, h.Addr)
		if local != (k.Kind == packet.KindLocal) {
			c.misplaced("I5", one, h, "host %s: the gate's own address and a class of the gate must go together (own address %t, class kind %d)", h.Addr, local, k.Kind)
		}
		if local {
			continue
		}
		c.nextHop("host", one, k, a)
		router := a.Router(one)
		switch {
		case h.MAC[0]&1 != 0:
			c.misplaced("I4", one, h, "host %s: MAC %s is a group address", h.Addr, h.MAC)
		case a.Strict && h.MAC.IsZero():
			c.misplaced("I4", one, h, "host %s in strict segment %q has no registered MAC", h.Addr, a.ID)
		case router != nil && !h.MAC.IsZero() && h.MAC.String() != canonicalMAC(router.MAC):
			c.misplaced("I4", one, h, "host %s lies behind router %s but is bound to MAC %s", h.Addr, router.MAC, h.MAC)
		case a.Attach == anchors.AttachTunnel && !h.MAC.IsZero():
			c.misplaced("I4", one, h, "host %s in tunnel segment %q is bound to MAC %s; a tunnel has none", h.Addr, a.ID, h.MAC)
		}
	}
}

// prefixes: the same for prefixes. Longest first decides, and because every prefix lies wholly inside one segment of the
// anchors, no address can fall to a class of another segment, whichever entry catches it.
func (c *checker) prefixes() {
	seen := make(map[netip.Prefix]bool, len(c.t.Prefixes))
	for i := range c.t.Prefixes {
		p := &c.t.Prefixes[i]
		if !p.Prefix.IsValid() || p.Prefix != p.Prefix.Masked() || p.Prefix.Addr().Is4In6() || seen[p.Prefix] {
			c.fault(Tables, "prefix %s: not a whole prefix, or entered twice", p.Prefix)
			continue
		}
		seen[p.Prefix] = true
		k, a := c.entry("prefix", p.Prefix, p.Class, p.Segment)
		if k == nil || a == nil {
			continue
		}
		if k.Kind == packet.KindLocal {
			c.misplaced("I5", p.Prefix, nil, "prefix %s is in a class of the gate itself", p.Prefix)
			continue
		}
		c.nextHop("prefix", p.Prefix, k, a)
		if p.MAC.IsZero() {
			continue
		}
		if r := a.Router(p.Prefix); r == nil || p.MAC.String() != canonicalMAC(r.MAC) {
			c.misplaced("I4", p.Prefix, nil, "prefix %s in segment %q is bound to MAC %s, which is no router that it lies behind", p.Prefix, a.ID, p.MAC)
		}
	}
}

// entry checks what hosts and prefixes have in common and gives its class and its anchored segment.
func (c *checker) entry(what string, p netip.Prefix, class, segment uint16) (*packet.Class, *anchors.Segment) {
	m := c.class[class]
	if m == nil {
		c.fault(Tables, "%s %s: its class %d does not exist", what, p, class)
		return nil, nil
	}
	a := c.anchorOf(segment)
	if a == nil {
		c.fault(Tables, "%s %s: its segment %d does not exist", what, p, segment)
		return nil, nil
	}
	if m.Segment != segment {
		c.misplaced("I4", p, nil, "%s %s is in segment %d, its class %d in segment %d", what, p, segment, class, m.Segment)
	}
	if !a.Covers(p) {
		c.misplaced("I4", p, nil, "%s %s is entered for segment %q, which the anchors give %v", what, p, a.ID, a.Prefixes)
		return nil, nil
	}
	return m.Class, a
}

// nextHop compares the class's next hops with the registered router that the entry lies behind.
func (c *checker) nextHop(what string, p netip.Prefix, k *packet.Class, a *anchors.Segment) {
	if k.Kind != packet.KindForward {
		return
	}
	r := a.Router(p)
	switch {
	case r == nil && (!k.OnLink || len(k.Via) > 0):
		c.leak(k, "%s %s is reached directly in segment %q; class %d wants next hops %v, on link %t", what, p, a.ID, k.ID, k.Via, k.OnLink)
	case r != nil && (k.OnLink || !sameAddrs(k.Via, r.Addrs)):
		c.leak(k, "%s %s lies behind router %v in segment %q; class %d wants next hops %v, on link %t", what, p, r.Addrs, a.ID, k.ID, k.Via, k.OnLink)
	}
}

// misplaced reports an entry, with a packet from its address that a cell would admit.
func (c *checker) misplaced(invariant string, p netip.Prefix, h *packet.Host, format string, args ...any) {
	v := Violation{Invariant: invariant, Message: fmt.Sprintf(format, args...)}
	if !c.wanted(v.Message, v) {
		return
	}
	class := c.classOf(p)
	if h != nil {
		class = h.Class
	}
	for i := range c.t.Cells {
		if cell := &c.t.Cells[i]; c.spend(1) && (cell.Src == class || cell.Dst == class) {
			v.Counterexample, v.Records = c.exampleFrom(cell, p), c.records(cell)
			break
		}
	}
	c.report(v.Message, v)
}

// classOf is the class of the entry for exactly p.
func (c *checker) classOf(p netip.Prefix) uint16 {
	for i := range c.t.Prefixes {
		if c.t.Prefixes[i].Prefix == p {
			return c.t.Prefixes[i].Class
		}
	}
	if i, ok := c.byAddr[p.Addr()]; ok && p.IsSingleIP() {
		return c.t.Hosts[i].Class
	}
	return 0
}

// gateAddresses: I4, I5. Each of the gate's own addresses has its own entry; else a prefix would catch it, and a stranger
// could send from it.
func (c *checker) gateAddresses() {
	for _, s := range c.a.Segments {
		for _, g := range s.Gate {
			if _, ok := c.byAddr[g]; !ok {
				c.fault("I4", "the gate's own address %s in segment %q has no entry: a station could send from it", g, s.ID)
			}
		}
	}
}

// routedPrefixes: I7. Each prefix behind a router has its own entry; else a wider prefix would catch it and treat it as
// reached directly.
func (c *checker) routedPrefixes() {
	entered := make(map[netip.Prefix]bool, len(c.t.Prefixes))
	for _, p := range c.t.Prefixes {
		entered[p.Prefix] = true
	}
	for _, s := range c.a.Segments {
		for _, r := range s.Routers {
			for _, b := range r.Behind {
				if !entered[b] {
					c.fault("I7", "prefix %s behind router %v of segment %q has no entry of its own", b, r.Addrs, s.ID)
				}
			}
		}
	}
}

// ports: ranges are in order and disjoint, so that one packet has one port class.
func (c *checker) ports() {
	s := slices.Clone(c.t.Ports)
	sort.Slice(s, func(i, j int) bool {
		if s[i].Proto != s[j].Proto {
			return s[i].Proto < s[j].Proto
		}
		return s[i].Lo < s[j].Lo
	})
	for i, r := range s {
		if r.Class == 0 || r.Lo > r.Hi || r.Hi > highest(r.Proto) {
			c.fault(Tables, "port range %s to %d of class %d runs backwards, beyond its protocol, or has no class", service(r.Proto, r.Lo), r.Hi, r.Class)
		}
		if i > 0 && s[i-1].Proto == r.Proto && s[i-1].Hi >= r.Lo {
			c.fault(Tables, "port %s is in class %d and in class %d", service(r.Proto, r.Lo), s[i-1].Class, r.Class)
		}
	}
}

// highest port of a protocol; for ICMP, type.
func highest(proto uint8) uint16 {
	switch proto {
	case 6, 17, 132:
		return 65535
	case 1, 58:
		return 255
	}
	return 0
}

func sameAddrs(a, b []netip.Addr) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.SortFunc(x, netip.Addr.Compare)
	slices.SortFunc(y, netip.Addr.Compare)
	return slices.Equal(x, y)
}

// canonicalMAC writes an anchored MAC the way packet.MAC does; "" when it is none.
func canonicalMAC(s string) string {
	m, err := packet.ParseMAC(s)
	if err != nil {
		return ""
	}
	return m.String()
}
