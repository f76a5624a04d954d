package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// ProbePort is where a region's far end answers the probe (UDP echo, RFC 862).
const ProbePort = 7

var echo = config.PortSpec{Proto: "icmp"}

// addRecords makes the permits of all active communications, in the order of the document, then those that the gate needs
// itself, which are always in force. A draft, a suspended or an expired communication leaves nothing in the tables.
func (p *plan) addRecords(cfg *config.Config) {
	x := p.newIndex(cfg)
	p.windows, x.windows = windows(cfg)
	p.permits = make([]permit, 0, len(cfg.Communications)+len(cfg.Communications)/16)
	for i := range cfg.Communications {
		if c := &cfg.Communications[i]; c.Active() {
			p.addCommunication(c, x)
		}
	}
	p.addPortalRecords(cfg)
	p.addTunnelRecords(cfg)
	p.addEchoRecords()
}

// index finds named things of the configuration, stations and services as the hosts that they are.
type index struct {
	stations map[string][]*host
	services map[string]server
	groups   map[string]*config.Group
	segments map[string]*config.Segment
	classes  map[string]uint8
	windows  map[string]uint8
}

// server is a service: its ports, and their key.
type server struct {
	hosts []*host
	ports []config.PortSpec
	key   string
	class uint8
}

func (p *plan) newIndex(cfg *config.Config) index {
	x := index{
		stations: make(map[string][]*host, len(cfg.Stations)), services: make(map[string]server, len(cfg.Services)), groups: make(map[string]*config.Group, len(cfg.Groups)),
		segments: map[string]*config.Segment{}, classes: map[string]uint8{},
	}
	for i := range cfg.Classes {
		x.classes[cfg.Classes[i].ID] = uint8(i + 1)
	}
	for i := range cfg.Stations {
		s := &cfg.Stations[i]
		x.stations[s.ID] = p.hostsOf(s.Addresses...)
	}
	for i := range cfg.Services {
		s := &cfg.Services[i]
		x.services[s.ID] = server{p.hostsOf(s.Addresses...), s.Ports, portKey(s.Ports), x.classes[s.Class]}
	}
	for i := range cfg.Groups {
		x.groups[cfg.Groups[i].ID] = &cfg.Groups[i]
	}
	for i := range cfg.Segments {
		x.segments[cfg.Segments[i].ID] = &cfg.Segments[i]
	}
	return x
}

func (p *plan) addCommunication(c *config.Communication, x index) {
	from := set{}
	for _, id := range c.From.Stations {
		from.hosts = append(from.hosts, x.stations[id]...)
	}
	for _, id := range c.From.Groups {
		if g := x.groups[id]; g != nil {
			from.hosts = slices.Grow(from.hosts, len(g.Stations))
			for _, st := range g.Stations {
				from.hosts = append(from.hosts, x.stations[st]...)
			}
		}
	}
	for _, id := range c.From.Segments {
		if s := x.segments[id]; s != nil {
			from.prefixes = append(from.prefixes, s.Prefixes...)
		}
	}
	base := permit{record: c.ID, term: termOf(c, x.windows), from: from.clean()}
	for _, to := range destinations(c, x) {
		q := base
		q.to, q.ports, q.key, q.class = to.set.clean(), to.ports, to.key, to.class
		p.permits = append(p.permits, q)
		for _, pre := range q.to.prefixes {
			p.addRecordPrefix(pre)
		}
	}
}

// destination is a part of a record's far side that shares one list of ports and one bandwidth class.
type destination struct {
	set   set
	ports []config.PortSpec
	key   string // of the ports
	class uint8
}

// destinations splits the far side of a record by list of ports, so that services with equal ports can share a class, and by
// bandwidth class: the record's, or where it has none, each service's own.
func destinations(c *config.Communication, x index) []destination {
	stations, services := c.To.Stations, c.To.Services
	for _, id := range c.To.Groups {
		if g := x.groups[id]; g != nil {
			stations, services = append(slices.Clip(stations), g.Stations...), append(slices.Clip(services), g.Services...)
		}
	}
	var out []destination
	own, class := portKey(c.Ports), x.classes[c.Class]
	if len(stations)+len(c.To.Prefixes) > 0 {
		d := destination{ports: c.Ports, key: own, class: class}
		for _, id := range stations {
			d.set.hosts = append(d.set.hosts, x.stations[id]...)
		}
		d.set.prefixes = c.To.Prefixes
		out = append(out, d)
	}
	for _, id := range services {
		s, ok := x.services[id]
		if !ok {
			continue
		}
		if len(c.Ports) > 0 {
			s.ports, s.key = c.Ports, own
		}
		if class != 0 {
			s.class = class
		}
		i := slices.IndexFunc(out, func(d destination) bool { return d.key == s.key && d.class == s.class })
		if i < 0 {
			i = len(out)
			out = append(out, destination{ports: s.ports, key: s.key, class: s.class})
		}
		out[i].set.hosts = append(out[i].set.hosts, s.hosts...)
	}
	return out
}

// clean sorts and removes repetitions. The hosts are in the caller's own memory, the prefixes need not be.
func (s set) clean() set {
	h, p := s.hosts, slices.Clone(s.prefixes)
	slices.SortFunc(h, func(a, b *host) int { return a.rank - b.rank })
	slices.SortFunc(p, comparePrefix)
	return set{slices.Compact(h), slices.Compact(p)}
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

func portKey(ports []config.PortSpec) string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.String()
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// addRecordPrefix enters a prefix that only a record names, inside the segment that holds it.
func (p *plan) addRecordPrefix(pre netip.Prefix) {
	for _, s := range p.segments {
		for _, q := range s.Prefixes {
			if q.Bits() <= pre.Bits() && q.Contains(pre.Addr()) {
				p.addPrefix(s, pre)
				return
			}
		}
	}
}

// addPortalRecords lets the segments that may reach a portal open HTTPS to it.
func (p *plan) addPortalRecords(cfg *config.Config) {
	for _, po := range cfg.Portals {
		q := permit{term: always, record: "gate:portal-" + po.Zone.String(), ports: []config.PortSpec{{Proto: "tcp", Lo: 443, Hi: 443}}}
		q.to.hosts = p.hostsOf(po.Address)
		for _, id := range po.Reach {
			if s := p.segment(id); s != nil {
				q.from.prefixes = append(q.from.prefixes, s.Prefixes...)
			}
		}
		q.from = q.from.clean()
		p.permits = append(p.permits, q)
	}
}

// addTunnelRecords lets the gate and each end speak WireGuard, and the gate probe each end: the echo, and where the far end is
// ours, one port for each bandwidth class of the line, in that class, so that each probe waits where the packets wait that it
// speaks for.
func (p *plan) addTunnelRecords(cfg *config.Config) {
	for _, t := range cfg.Tunnels {
		l := lineOf(cfg, t.ID)
		if l == nil {
			continue
		}
		for _, f := range endsOn(cfg, t.ID) {
			outer := p.gateOf(l.Segment, f.Endpoint.Addr())
			far := set{hosts: p.hostsOf(f.Endpoint.Addr())}
			p.permits = append(p.permits,
				permit{term: always, record: fmt.Sprintf("gate:wireguard-%s-in", f.ID), from: far, to: outer, ports: udp(t.Listen), local: true},
				permit{term: always, record: fmt.Sprintf("gate:wireguard-%s-out", f.ID), from: outer, to: far, ports: udp(f.Endpoint.Port()), local: true})
			if f.Probe.IsValid() {
				p.addProbes(cfg, l, f)
			}
		}
	}
}

func (p *plan) addProbes(cfg *config.Config, l *config.Line, f farEnd) {
	probe := permit{term: always, record: "gate:probe-" + f.ID, from: p.gateOf(f.segment.ID, f.Probe), to: set{hosts: p.hostsOf(f.Probe)}, ports: udp(ProbePort), local: true}
	if f.Plain {
		p.permits = append(p.permits, probe)
		return
	}
	probe.ports = append(probe.ports, udp(talk.Port)...)
	p.permits = append(p.permits, probe)
	for i := range cfg.Classes {
		if c, on := classOn(cfg, i, l); on {
			of := probe
			of.record += ":" + c.Name
			of.ports, of.class = udp(talk.Port+uint16(c.ID)), c.ID
			p.permits = append(p.permits, of)
		}
	}
}

// addEchoRecords lets stations ping the gate's own address in their segment.
func (p *plan) addEchoRecords() {
	for _, s := range p.segments {
		if answersEcho(s.Segment) {
			q := permit{term: always, record: "gate:echo-" + s.ID, to: set{hosts: p.hostsOf(s.Gate...)}, ports: []config.PortSpec{echo}, local: true}
			q.from.prefixes = s.Prefixes
			q.from, q.to = q.from.clean(), q.to.clean()
			p.permits = append(p.permits, q)
		}
	}
}

func answersEcho(s *config.Segment) bool {
	return s.Port != "" && s.Zone != anchors.Uplink && len(s.Gate) > 0
}

// gateOf is the gate's own addresses in a segment, of the IP version of peer.
func (p *plan) gateOf(segmentID string, peer netip.Addr) set {
	var out set
	if s := p.segment(segmentID); s != nil {
		for _, g := range s.Gate {
			if g.Is4() == peer.Is4() {
				out.hosts = append(out.hosts, p.hostsOf(g)...)
			}
		}
	}
	return out.clean()
}

func udp(port uint16) []config.PortSpec {
	return []config.PortSpec{{Proto: "udp", Lo: port, Hi: port}}
}
