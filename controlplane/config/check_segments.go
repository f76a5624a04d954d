package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// MaxSegments is what the packet core has numbers for.
const MaxSegments = anchors.MaxSegments

func (k *checker) portsAndSegments() {
	c := k.c
	if len(c.Segments) > MaxSegments {
		k.at(&c.Segments, "%d segments: the packet core has numbers for %d", len(c.Segments), MaxSegments)
	}
	type ingress struct {
		port        string
		vlan, outer uint16
	}
	used := map[ingress]*Segment{}
	portals := map[anchors.Zone]*Segment{}
	for i := range c.Segments {
		s := &c.Segments[i]
		k.attachment(s)
		if s.Port != "" {
			in := ingress{s.Port, s.VLAN, s.Outer}
			if first := used[in]; first != nil {
				k.at(&s.Port, "segment %q: port %s, %s is already that of segment %q (line %d): give one of them a VLAN of its own", short(s.ID), short(s.Port), tags(s), short(first.ID), k.line(&first.Port))
			} else {
				used[in] = s
			}
		}
		if s.Portal && s.Zone != anchors.None {
			if first := portals[s.Zone]; first != nil {
				k.at(&s.Portal, "segment %q: zone %s already has the portal segment %q (line %d): one portal a zone", short(s.ID), s.Zone, short(first.ID), k.line(&first.Portal))
			} else {
				portals[s.Zone] = s
			}
		}
		k.segmentAddresses(s)
		k.guests(s)
		k.trusted(s)
		k.limits(s)
	}
}

// tags names a segment's VLAN for a message.
func tags(s *Segment) string {
	if s.Outer != 0 {
		return fmt.Sprintf("VLAN %d in %d", s.VLAN, s.Outer)
	}
	return fmt.Sprintf("VLAN %d", s.VLAN)
}

// attachment checks what a segment hangs on.
func (k *checker) attachment(s *Segment) {
	n := 0
	for _, given := range []bool{s.Port != "", s.Tunnel != "", s.Portal} {
		if given {
			n++
		}
	}
	if n != 1 && !k.marks[s].bad {
		k.at(s, "segment %q hangs on %d things: give exactly one of port, tunnel, portal: true", short(s.ID), n)
	}
	if s.VLAN != 0 && s.Port == "" {
		k.at(&s.VLAN, "segment %q: only ports carry VLANs: remove vlan", short(s.ID))
	}
	if s.VLAN > 4094 || s.VLAN == 0 && k.good(&s.VLAN) {
		k.at(&s.VLAN, "segment %q: VLAN %d: want 1 to 4094, or no vlan for untagged frames", short(s.ID), s.VLAN)
	}
	if s.Outer > 4094 || s.Outer == 0 && k.good(&s.Outer) {
		k.at(&s.Outer, "segment %q: outer VLAN %d: want 1 to 4094, or no outer-vlan for frames with one tag", short(s.ID), s.Outer)
	} else if s.Outer != 0 && s.VLAN == 0 && !k.has(&s.VLAN) {
		k.at(&s.Outer, "segment %q: outer-vlan %d is a tag around another: give vlan, too", short(s.ID), s.Outer)
	}
	if name := anchors.DeviceName(s.Port, s.Outer, s.VLAN); s.VLAN != 0 && s.Port != "" && len(name) > 15 {
		k.at(&s.VLAN, "segment %q: the VLAN would need a device %q, and names have at most 15 characters: give the port a shorter one", short(s.ID), short(name))
	}
	if p := refer(k, &s.Port, "port", k.ports); p != nil && p.Zone != s.Zone && p.Zone != anchors.None && s.Zone != anchors.None {
		k.at(&s.Zone, "segment %q: zone %s, but its port %s belongs to zone %s (line %d): a port has one zone", short(s.ID), s.Zone, s.Port, p.Zone, k.line(&p.Zone))
	}
	refer(k, &s.Tunnel, "tunnel", k.tunnels)
	switch {
	case s.Tunnel != "" && (s.Zone == anchors.Uplink || s.Zone == anchors.Management):
		k.at(&s.Zone, "segment %q: a region cannot lie in zone %s: want my-number, lgwan or internet", short(s.ID), s.Zone)
	case s.Portal && s.Zone == anchors.Uplink:
		k.at(&s.Zone, "segment %q: an uplink has no portal: want my-number, lgwan, internet or management", short(s.ID))
	case s.Tunnel != "" && s.Strict:
		k.at(&s.Strict, "segment %q: a tunnel has no MAC addresses, so it cannot be strict: remove strict", short(s.ID))
	case s.Portal && k.has(&s.Strict) && !s.Strict:
		k.at(&s.Strict, "segment %q: a portal's segment is always strict: remove strict", short(s.ID))
	}
}

func (k *checker) segmentAddresses(s *Segment) {
	what := fmt.Sprintf("segment %q", short(s.ID))
	k.filled(len(s.Prefixes), &s.Prefixes, what+" prefixes", "at least one prefix")
	for i := range s.Prefixes {
		p := &s.Prefixes[i]
		if k.plainPrefix(p, what) && slices.Contains(s.Prefixes[:i], *p) {
			k.at(p, "%s: prefix %s is given twice", what, p)
		}
	}
	if len(s.Gate) == 0 && s.Tunnel == "" {
		switch {
		case !k.has(&s.Gate):
			k.at(s, "%s: key \"gate\" is missing: the gate needs an address of its own in the segment", what)
		case k.good(&s.Gate):
			k.at(&s.Gate, "%s: gate is empty: the gate needs an address of its own in the segment", what)
		}
	}
	for i := range s.Gate {
		g := &s.Gate[i]
		if !k.plainAddr(g, what+" gate") {
			continue
		}
		if !holds(s.Prefixes, *g) {
			k.at(g, "%s: gate address %s lies outside the segment's prefixes (%s)%s", what, g, within(s), k.elsewhere(*g))
		} else if s.Tunnel == "" {
			k.usable(g, s, what)
		}
		k.claim(g, owner{what: "the gate in segment", id: s.ID, segment: s.ID})
	}
	if len(s.Routers) > 0 && s.Port == "" && (s.Tunnel != "" || s.Portal) {
		k.at(&s.Routers, "%s: only segments on ports have routers: remove routers", what)
	}
	k.routers(s)
}

// guests checks what a segment lets in besides single stations. Nothing of it in the My Number zone: its stations are limited
// by registered MAC and IP address, so nobody hands out addresses or routes there, and what has no single destination is not
// a designated communication. A line carries only the gate's tunnel.
func (k *checker) guests(s *Segment) {
	for _, g := range []struct {
		on   *bool
		key  string
		what string
	}{
		{&s.Multicast, "multicast", "group addresses"},
		{&s.Advertising, "router-advertisements", "router advertisements"},
		{&s.DHCPServers, "dhcp-servers", "DHCP servers"},
	} {
		switch {
		case !*g.on:
		case s.Tunnel != "" || s.Portal:
			k.at(g.on, "segment %q: only segments on ports know %s: remove %s", short(s.ID), g.what, g.key)
		case s.Zone == anchors.MyNumber:
			k.at(g.on, "segment %q: no %s in the My Number zone, where every station is registered with MAC and IP: remove %s", short(s.ID), g.what, g.key)
		case s.Zone == anchors.Uplink:
			k.at(g.on, "segment %q: no %s on a line, which carries only the gate's tunnel: remove %s", short(s.ID), g.what, g.key)
		}
	}
}

// trusted: only a segment of stations sends what could be trusted.
func (k *checker) trusted(s *Segment) {
	if s.TrustDSCP && (s.Port == "" || s.Zone == anchors.Uplink) {
		k.at(&s.TrustDSCP, "segment %q: only segments of stations, on ports, have senders whose marks could be trusted: remove trust-dscp", short(s.ID))
	}
}

func (k *checker) limits(s *Segment) {
	l := &s.Limits
	for _, n := range []struct {
		value *uint32
		key   string
	}{{&l.Flows, "flows"}, {&l.Rate, "flows-per-second"}, {&l.StationFlows, "station-flows"}, {&l.StationRate, "station-flows-per-second"}} {
		if *n.value == 0 && k.good(n.value) {
			k.at(n.value, "segment %q limits %s: 0 would let nobody open anything: want 1 or more, or no %s for the usual bound", short(s.ID), n.key, n.key)
		}
	}
	for _, n := range []struct {
		one, all *uint32
		key, of  string
	}{{&l.StationFlows, &l.Flows, "station-flows", "flows"}, {&l.StationRate, &l.Rate, "station-flows-per-second", "flows-per-second"}} {
		if *n.all != 0 && *n.one > *n.all {
			k.at(n.one, "segment %q limits %s: %d is more than %s, which bounds the whole segment (%d)", short(s.ID), n.key, *n.one, n.of, *n.all)
		}
	}
}

// usable refuses the first and last address of an IPv4 network, which every neighbour takes for the network itself.
func (k *checker) usable(a *netip.Addr, s *Segment, what string) {
	if !a.Is4() {
		return
	}
	for _, p := range s.Prefixes {
		if !p.IsValid() || p.Bits() > 30 || !p.Contains(*a) {
			continue
		}
		if *a == p.Addr() {
			k.at(a, "%s: %s is the network address of %s: want another address in it", what, a, p)
		} else if !p.Contains(a.Next()) {
			k.at(a, "%s: %s is the broadcast address of %s: want another address in it", what, a, p)
		}
	}
}

func (k *checker) routers(s *Segment) {
	seen := map[netip.Prefix]int{}
	for i := range s.Routers {
		r := &s.Routers[i]
		what := fmt.Sprintf("segment %q router %s", short(s.ID), r.MAC)
		k.unicastMAC(&r.MAC, what)
		k.claimMAC(r, s)
		var v4, v6 int
		for j := range r.Addresses {
			a := &r.Addresses[j]
			if !k.plainAddr(a, what) {
				continue
			}
			if a.Is4() {
				v4++
			} else {
				v6++
			}
			if !holds(s.Prefixes, *a) {
				k.at(a, "%s: address %s lies outside the segment's prefixes (%s)%s", what, a, within(s), k.elsewhere(*a))
			} else if behind(s, *a) != nil {
				k.at(a, "%s: address %s lies behind a router itself: the gate could not reach it", what, a)
			}
			k.claim(a, owner{what: "router in segment", id: s.ID, segment: s.ID, mac: r.MAC})
		}
		if v4 > 1 || v6 > 1 {
			k.at(&r.Addresses, "%s: %d IPv4 and %d IPv6 addresses: at most one of each", what, v4, v6)
		}
		k.filled(len(r.Addresses), &r.Addresses, what+" addresses", "one address")
		k.filled(len(r.Behind), &r.Behind, what+" behind", "the prefixes that are reached through it")
		for j := range r.Behind {
			p := &r.Behind[j]
			if !k.plainPrefix(p, what) {
				continue
			}
			if !covers(s.Prefixes, *p) {
				k.at(p, "%s: prefix %s lies outside the segment's prefixes (%s): add it to them", what, p, within(s))
			}
			if line, twice := seen[*p]; twice {
				k.at(p, "%s: prefix %s is already behind a router (line %d)", what, p, line)
			}
			seen[*p] = k.line(p)
			if len(r.Addresses) > 0 && (p.Addr().Is4() && v4 == 0 || p.Addr().Is6() && v6 == 0) {
				k.at(p, "%s: the router has no address of the IP version of %s", what, p)
			}
		}
	}
}

// claimMAC refuses a router's MAC that another uses.
func (k *checker) claimMAC(r *Router, s *Segment) {
	if r.MAC.IsZero() {
		return
	}
	if first, used := k.macs[r.MAC]; used {
		k.at(&r.MAC, "segment %q: router MAC %s is already that of %s %q (line %d)", short(s.ID), r.MAC, first.what, short(first.id), first.line)
		return
	}
	k.macs[r.MAC] = owner{what: "router in segment", id: s.ID, segment: s.ID, line: k.line(&r.MAC)}
}

// behind finds the router that an address lies behind; nil = it is reached directly.
func behind(s *Segment, a netip.Addr) *Router {
	var found *Router
	best := -1
	for i := range s.Routers {
		for _, p := range s.Routers[i].Behind {
			if p.IsValid() && p.Bits() > best && p.Contains(a) {
				best, found = p.Bits(), &s.Routers[i]
			}
		}
	}
	return found
}

// overlaps refuses prefixes of two segments that share an address: the source of a packet must tell its segment.
func (k *checker) overlaps() {
	type owned struct {
		p *netip.Prefix
		s *Segment
	}
	var all []owned
	for i := range k.c.Segments {
		s := &k.c.Segments[i]
		for j := range s.Prefixes {
			if p := &s.Prefixes[j]; p.IsValid() && *p == p.Masked() {
				all = append(all, owned{p, s})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b owned) int {
		if c := a.p.Addr().Compare(b.p.Addr()); c != 0 {
			return c
		}
		return a.p.Bits() - b.p.Bits()
	})
	// Sorted outer first: whatever overlaps a prefix lies inside an earlier one that is still open.
	var open []owned
	for _, o := range all {
		for len(open) > 0 && !open[len(open)-1].p.Contains(o.p.Addr()) {
			open = open[:len(open)-1]
		}
		for _, q := range open {
			if q.s != o.s {
				a, b := o, q // the later line is at fault
				if k.line(a.p) < k.line(b.p) {
					a, b = b, a
				}
				k.at(a.p, "segment %q: prefix %s overlaps %s of segment %q (line %d): two segments share no address", short(a.s.ID), a.p, b.p, short(b.s.ID), k.line(b.p))
				break
			}
		}
		open = append(open, o)
	}
}
