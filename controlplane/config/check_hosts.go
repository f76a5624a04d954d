package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// hosts checks stations and services: where they lie, and by which MAC they are known.
func (k *checker) hosts() {
	for i := range k.c.Stations {
		s := &k.c.Stations[i]
		k.host("station", s, s.ID, &s.Segment, &s.MAC, &s.Addresses)
	}
	for i := range k.c.Services {
		s := &k.c.Services[i]
		k.host("service", s, s.ID, &s.Segment, &s.MAC, &s.Addresses)
		k.portList(s.Ports, fmt.Sprintf("service %q", short(s.ID)))
		k.filled(len(s.Ports), &s.Ports, fmt.Sprintf("service %q ports", short(s.ID)), "at least one, like tcp/443")
	}
	k.servicesWithoutMAC()
}

func (k *checker) host(kind string, self any, id string, segment *string, mac *packet.MAC, addresses *[]netip.Addr) {
	what := fmt.Sprintf("%s %q", kind, short(id))
	k.unicastMAC(mac, what)
	s := refer(k, segment, "segment", k.segments)
	if s != nil && (s.Zone == anchors.Uplink || s.Portal) {
		k.at(segment, "%s: nothing but the gate's own traffic lives in segment %q: put it in another", what, s.ID)
	}
	k.filled(len(*addresses), addresses, what+" addresses", "at least one address")
	routed := 0
	for i := range *addresses {
		a := &(*addresses)[i]
		if !k.plainAddr(a, what) {
			continue
		}
		if s != nil && !holds(s.Prefixes, *a) {
			k.at(a, "%s: address %s lies outside segment %s (%s)%s", what, a, short(s.ID), within(s), k.elsewhere(*a))
		} else if s != nil {
			if behind(s, *a) != nil {
				routed++
			} else if s.Tunnel == "" {
				k.usable(a, s, what)
			}
		}
		k.claim(a, owner{what: kind, id: id, segment: *segment, mac: *mac})
	}
	switch {
	case s == nil:
	case !mac.IsZero() && s.Tunnel != "":
		k.at(mac, "%s: segment %q lies behind a tunnel, where no MAC address arrives: remove mac", what, s.ID)
	case !mac.IsZero() && routed > 0:
		k.at(mac, "%s: its address lies behind a router, whose MAC address its packets come with: remove mac", what)
	case mac.IsZero() && !k.has(mac) && s.Strict && routed < len(*addresses) && kind == "station":
		k.at(self, "%s: key \"mac\" is missing: segment %q is strict, so MAC and IP must be registered", what, s.ID)
	}
	if mac.IsZero() || mac[0]&1 != 0 {
		return
	}
	first, used := k.macs[*mac]
	switch {
	case !used:
		k.macs[*mac] = owner{what: kind, id: id, segment: *segment, line: k.line(mac)}
	case kind == "station" && first.what == "station" || first.segment != *segment || first.what == "router in segment":
		k.at(mac, "%s: MAC %s is already that of %s %q (line %d)", what, mac, first.what, short(first.id), first.line)
	}
}

// servicesWithoutMAC: in a strict segment the host of a service is registered as well; a station with the same address does.
func (k *checker) servicesWithoutMAC() {
	for i := range k.c.Services {
		sv := &k.c.Services[i]
		s := k.segments[sv.Segment]
		if s == nil || !s.Strict || k.has(&sv.MAC) {
			continue
		}
		for j := range sv.Addresses {
			a := &sv.Addresses[j]
			if o, ok := k.addrs[*a]; ok && o.mac.IsZero() && behind(s, *a) == nil && holds(s.Prefixes, *a) {
				k.at(sv, "service %q: key \"mac\" is missing: segment %q is strict, so its hosts are registered with MAC and IP", short(sv.ID), s.ID)
				break
			}
		}
	}
}

// portList refuses ports that are named twice.
func (k *checker) portList(ports []PortSpec, what string) {
	for i := range ports {
		for j := range i {
			p, q := ports[i], ports[j]
			if p.Proto != "" && p.Proto == q.Proto && p.Lo <= q.Hi && q.Lo <= p.Hi {
				k.at(&ports[i], "%s: %s overlaps %s in the same list: name each port once", what, p, q)
				break
			}
		}
	}
}

func (k *checker) groupsAndCommunications() {
	for i := range k.c.Groups {
		g := &k.c.Groups[i]
		k.references(&g.Stations, g.Stations, fmt.Sprintf("group %q stations", short(g.ID)))
		for j := range g.Stations {
			refer(k, &g.Stations[j], "station", k.stations)
		}
	}
	for i := range k.c.Communications {
		k.communication(&k.c.Communications[i])
	}
}

// references refuses empty lists and names given twice.
func (k *checker) references(list any, names []string, what string) {
	k.filled(len(names), list, what, "at least one name")
	for i := range names {
		if names[i] != "" && slices.Contains(names[:i], names[i]) {
			k.at(&names[i], "%s: %q is given twice", what, short(names[i]))
		}
	}
}

func (k *checker) communication(c *Communication) {
	what := fmt.Sprintf("communication %q", short(c.ID))
	k.from(c, what)
	k.to(c, what)
	if c.Class != "" {
		refer(k, &c.Class, "class", k.classes)
	}
	k.portList(c.Ports, what)
	k.inForce(c, what)
	k.bothSides(c, what)
	k.joins(c, what)
}

func (k *checker) from(c *Communication, what string) {
	f := &c.From
	n := given(k, &f.Stations, &f.Groups, &f.Segments)
	if n != 1 && k.good(f) {
		k.at(f, "%s from: give exactly one of stations, groups, segments (%d are given)", what, n)
	}
	for _, l := range []struct {
		list *[]string
		name string
	}{{&f.Stations, "stations"}, {&f.Groups, "groups"}, {&f.Segments, "segments"}} {
		if k.has(l.list) {
			k.references(l.list, *l.list, what+" from "+l.name)
		}
	}
	for i := range f.Stations {
		refer(k, &f.Stations[i], "station", k.stations)
	}
	for i := range f.Groups {
		refer(k, &f.Groups[i], "group", k.groups)
	}
	for i := range f.Segments {
		s := refer(k, &f.Segments[i], "segment", k.segments)
		if s != nil && (s.Portal || s.Zone == anchors.Uplink) {
			k.at(&f.Segments[i], "%s: segment %q opens nothing: it holds only the gate's own traffic", what, s.ID)
		}
	}
}

func (k *checker) to(c *Communication, what string) {
	t := &c.To
	n := given(k, &t.Services, &t.Stations, &t.Prefixes)
	if n != 1 && k.good(t) {
		k.at(t, "%s to: give exactly one of services, stations, prefixes (%d are given)", what, n)
	}
	if k.has(&t.Services) {
		k.references(&t.Services, t.Services, what+" to services")
	}
	if k.has(&t.Stations) {
		k.references(&t.Stations, t.Stations, what+" to stations")
	}
	for i := range t.Services {
		s := refer(k, &t.Services[i], "service", k.services)
		for j := range c.Ports {
			p := &c.Ports[j]
			if s != nil && p.Proto != "" && !slices.ContainsFunc(s.Ports, p.Within) {
				k.at(p, "%s: service %q does not offer %s; it offers %s", what, s.ID, p, ports(s.Ports))
			}
		}
	}
	for i := range t.Stations {
		refer(k, &t.Stations[i], "station", k.stations)
	}
	for i := range t.Prefixes {
		k.toPrefix(&t.Prefixes[i], what)
	}
	if len(c.Ports) == 0 && n == 1 && !k.has(&t.Services) {
		if k.good(&c.Ports) {
			k.at(&c.Ports, "%s: ports is empty: towards stations and prefixes it must say which, like [tcp/443]", what)
		} else if !k.has(&c.Ports) {
			k.at(c, "%s: key \"ports\" is missing: towards stations and prefixes it must say which, like [tcp/443]", what)
		}
	}
}

func (k *checker) toPrefix(p *netip.Prefix, what string) {
	if !k.plainPrefix(p, what) {
		return
	}
	for i := range k.c.Segments {
		s := &k.c.Segments[i]
		if !covers(s.Prefixes, *p) {
			continue
		}
		if s.Zone == anchors.Uplink || s.Portal {
			k.at(p, "%s: %s lies in segment %q, which holds only the gate's own traffic", what, p, s.ID)
		}
		return
	}
	k.at(p, "%s: %s lies inside no segment: name a prefix within one", what, p)
}

// bothSides refuses an address that a communication names as initiator and as destination: the direction would be lost.
func (k *checker) bothSides(c *Communication, what string) {
	from := map[netip.Addr]bool{}
	var nets []netip.Prefix
	for _, id := range k.initiators(c) {
		if s := k.stations[id]; s != nil {
			for _, a := range s.Addresses {
				from[a] = true
			}
		}
	}
	for _, id := range c.From.Segments {
		if s := k.segments[id]; s != nil {
			nets = append(nets, s.Prefixes...)
		}
	}
	const twice = "%s: %s is named on both sides: write one communication for each direction, or take it out of one side"
	check := func(ref *string, addrs []netip.Addr) {
		for _, a := range addrs {
			if from[a] || holds(nets, a) {
				k.at(ref, twice, what, short(*ref))
				return
			}
		}
	}
	for i := range c.To.Services {
		if s := k.services[c.To.Services[i]]; s != nil {
			check(&c.To.Services[i], s.Addresses)
		}
	}
	for i := range c.To.Stations {
		if s := k.stations[c.To.Stations[i]]; s != nil {
			check(&c.To.Stations[i], s.Addresses)
		}
	}
	for i := range c.To.Prefixes {
		p := &c.To.Prefixes[i]
		overlap := p.IsValid() && slices.ContainsFunc(nets, func(q netip.Prefix) bool { return q.IsValid() && q.Overlaps(*p) })
		for a := range from {
			overlap = overlap || p.IsValid() && p.Contains(a)
		}
		if overlap {
			k.at(p, twice, what, p)
		}
	}
}

// joins refuses a communication that no packet could use: both sides in one segment, or of different IP versions.
func (k *checker) joins(c *Communication, what string) {
	var from, to side
	for _, id := range k.initiators(c) {
		if s := k.stations[id]; s != nil {
			from.add(s.Segment, s.Addresses)
		}
	}
	for _, id := range c.From.Segments {
		if s := k.segments[id]; s != nil {
			from.add(s.ID, prefixAddrs(s.Prefixes))
		}
	}
	for _, id := range c.To.Services {
		if s := k.services[id]; s != nil {
			to.add(s.Segment, s.Addresses)
		}
	}
	for _, id := range c.To.Stations {
		if s := k.stations[id]; s != nil {
			to.add(s.Segment, s.Addresses)
		}
	}
	for _, p := range c.To.Prefixes {
		for i := range k.c.Segments {
			if s := &k.c.Segments[i]; p.IsValid() && covers(s.Prefixes, p) {
				to.add(s.ID, []netip.Addr{p.Addr()})
			}
		}
	}
	switch {
	case len(from.segments) == 0 || len(to.segments) == 0:
	case len(from.segments) == 1 && len(to.segments) == 1 && from.segments[0] == to.segments[0]:
		k.at(c, "%s: both sides lie in segment %q, where they speak directly and not through the gate: remove it", what, short(from.segments[0]))
	case !(from.v4 && to.v4 || from.v6 && to.v6):
		k.at(c, "%s: one side has only IPv4 addresses and the other only IPv6: no packet could use it", what)
	}
}

// side is what one side of a communication consists of.
type side struct {
	segments []string
	v4, v6   bool
}

func (s *side) add(segment string, addrs []netip.Addr) {
	if !slices.Contains(s.segments, segment) {
		s.segments = append(s.segments, segment)
	}
	for _, a := range addrs {
		s.v4, s.v6 = s.v4 || a.Is4(), s.v6 || a.Is6()
	}
}

func prefixAddrs(list []netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for _, p := range list {
		if p.IsValid() {
			out = append(out, p.Addr())
		}
	}
	return out
}

// initiators lists the stations of a communication, groups resolved.
func (k *checker) initiators(c *Communication) []string {
	out := slices.Clone(c.From.Stations)
	for _, id := range c.From.Groups {
		if g := k.groups[id]; g != nil {
			out = append(out, g.Stations...)
		}
	}
	return out
}

func given(k *checker, lists ...any) int {
	n := 0
	for _, l := range lists {
		if k.has(l) {
			n++
		}
	}
	return n
}

func ports(list []PortSpec) string {
	out := ""
	for i, p := range list {
		if i > 0 {
			out += ", "
		}
		out += p.String()
	}
	return out
}
