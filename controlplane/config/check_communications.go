package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

func (k *checker) groupsAndCommunications() {
	for i := range k.c.Groups {
		k.group(&k.c.Groups[i])
	}
	for i := range k.c.Communications {
		k.communication(&k.c.Communications[i])
	}
}

func (k *checker) group(g *Group) {
	what := fmt.Sprintf("group %q", short(g.ID))
	if n := given(k, &g.Stations, &g.Services); n != 1 && k.good(g) {
		k.at(g, "%s: give either stations or services (%d of the two are given)", what, n)
	}
	if k.has(&g.Stations) {
		k.references(&g.Stations, g.Stations, what+" stations")
	}
	if k.has(&g.Services) {
		k.references(&g.Services, g.Services, what+" services")
	}
	for j := range g.Stations {
		refer(k, &g.Stations[j], "station", k.stations)
	}
	for j := range g.Services {
		refer(k, &g.Services[j], "service", k.services)
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
	k.life(c, what)
	k.bothSides(c, what)
	k.oneClass(c, what)
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
		if g := refer(k, &f.Groups[i], "group", k.groups); g != nil && len(g.Services) > 0 {
			k.at(&f.Groups[i], "%s: group %q names services, which open nothing: want a group of stations", what, g.ID)
		}
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
	n := given(k, &t.Services, &t.Stations, &t.Groups, &t.Prefixes)
	if n != 1 && k.good(t) {
		k.at(t, "%s to: give exactly one of services, stations, groups, prefixes (%d are given)", what, n)
	}
	for _, l := range []struct {
		list *[]string
		name string
	}{{&t.Services, "services"}, {&t.Stations, "stations"}, {&t.Groups, "groups"}} {
		if k.has(l.list) {
			k.references(l.list, *l.list, what+" to "+l.name)
		}
	}
	own := k.has(&t.Services) // every destination has ports of its own
	for i := range t.Services {
		k.offered(c, refer(k, &t.Services[i], "service", k.services), what)
	}
	for i := range t.Stations {
		refer(k, &t.Stations[i], "station", k.stations)
	}
	if k.has(&t.Groups) {
		own = k.toGroups(c, what)
	}
	for i := range t.Prefixes {
		k.toPrefix(&t.Prefixes[i], what)
	}
	if len(c.Ports) == 0 && n == 1 && !own {
		if k.good(&c.Ports) {
			k.at(&c.Ports, "%s: ports is empty: towards stations and prefixes it must say which, like [tcp/443]", what)
		} else if !k.has(&c.Ports) {
			k.at(c, "%s: key \"ports\" is missing: towards stations and prefixes it must say which, like [tcp/443]", what)
		}
	}
}

// toGroups tells whether all the groups that a communication opens are of services, which have ports of their own. A group that
// is not there counts as one: that it is missing was said.
func (k *checker) toGroups(c *Communication, what string) bool {
	own := true
	for i := range c.To.Groups {
		g := refer(k, &c.To.Groups[i], "group", k.groups)
		if g == nil {
			continue
		}
		own = own && len(g.Stations) == 0
		for _, id := range g.Services {
			k.offered(c, k.services[id], what)
		}
	}
	return own
}

// offered refuses ports that a communication asks of a service which does not have them.
func (k *checker) offered(c *Communication, s *Service, what string) {
	for j := range c.Ports {
		p := &c.Ports[j]
		if s != nil && p.Proto != "" && !p.Among(s.Ports) {
			k.at(p, "%s: service %q does not offer %s; it offers %s", what, s.ID, p, ports(s.Ports))
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

// oneClass refuses a communication without a class that names a host as a station and also as a service of some class: on the
// service's ports it would have two.
func (k *checker) oneClass(c *Communication, what string) {
	if c.Class != "" || len(c.To.Groups) == 0 {
		return
	}
	classed := map[netip.Addr]*Service{}
	for _, id := range c.To.Groups {
		if g := k.groups[id]; g != nil {
			for _, sv := range g.Services {
				if s := k.services[sv]; s != nil && s.Class != "" {
					for _, a := range s.Addresses {
						classed[a] = s
					}
				}
			}
		}
	}
	for i := range c.To.Groups {
		g := k.groups[c.To.Groups[i]]
		if g == nil {
			continue
		}
		for _, id := range g.Stations {
			st := k.stations[id]
			if st == nil {
				continue
			}
			for _, a := range st.Addresses {
				if s := classed[a]; s != nil {
					k.at(&c.To.Groups[i], "%s: it names %s as station %q, without a bandwidth class, and as service %q of class %q: give the communication a class", what, a, short(st.ID), short(s.ID), short(s.Class))
					return
				}
			}
		}
	}
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
	for _, h := range k.destinations(c) {
		check(h.ref, h.addresses)
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
	for _, h := range k.destinations(c) {
		to.add(h.segment, h.addresses)
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

// far is a host that a communication opens, and where the communication names it or its group.
type far struct {
	ref       *string
	segment   string
	addresses []netip.Addr
}

// destinations lists the hosts that a communication opens, groups resolved.
func (k *checker) destinations(c *Communication) (out []far) {
	service := func(ref *string, id string) {
		if s := k.services[id]; s != nil {
			out = append(out, far{ref, s.Segment, s.Addresses})
		}
	}
	station := func(ref *string, id string) {
		if s := k.stations[id]; s != nil {
			out = append(out, far{ref, s.Segment, s.Addresses})
		}
	}
	for i := range c.To.Services {
		service(&c.To.Services[i], c.To.Services[i])
	}
	for i := range c.To.Stations {
		station(&c.To.Stations[i], c.To.Stations[i])
	}
	for i := range c.To.Groups {
		ref := &c.To.Groups[i]
		if g := k.groups[*ref]; g != nil {
			for _, id := range g.Services {
				service(ref, id)
			}
			for _, id := range g.Stations {
				station(ref, id)
			}
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
