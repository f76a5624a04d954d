package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// routes sends every prefix out by its segment's device, and lays an unreachable route under each and under everything, so
// that a vanished device never makes a packet leave by another.
func routes(cfg *config.Config) []gate.Route {
	out := []gate.Route{
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Unreachable: true},
		{Prefix: netip.MustParsePrefix("::/0"), Unreachable: true},
	}
	for i := range cfg.Segments {
		s := &cfg.Segments[i]
		dev := anchors.DeviceName(device(s), s.Outer, s.VLAN)
		behind := map[netip.Prefix]bool{}
		for _, r := range s.Routers {
			for _, p := range r.Behind {
				behind[p] = true
				for _, v := range r.Addresses {
					if v.Is4() == p.Addr().Is4() {
						out = append(out, gate.Route{Prefix: p, Port: dev, Via: v})
					}
				}
				out = append(out, gate.Route{Prefix: p, Unreachable: true})
			}
		}
		for _, p := range s.Prefixes {
			if behind[p] {
				continue
			}
			out = append(out, gate.Route{Prefix: p, Port: dev}, gate.Route{Prefix: p, Unreachable: true})
		}
	}
	slices.SortStableFunc(out, func(a, b gate.Route) int {
		if c := comparePrefix(a.Prefix, b.Prefix); c != 0 || a.Unreachable == b.Unreachable {
			return c
		}
		if a.Unreachable {
			return 1
		}
		return -1
	})
	return out
}

// tunnels makes one device of each tunnel; the ends of all regions that are reached by it are its peers.
func tunnels(cfg *config.Config) []tunnel.Spec {
	var out []tunnel.Spec
	for _, t := range cfg.Tunnels {
		spec := tunnel.Spec{Device: t.ID, Listen: t.Listen, MTU: t.MTU}
		if l := lineOf(cfg, t.ID); l != nil {
			spec.Contract = l.ID
			if s := segmentOf(cfg, l.Segment); s != nil {
				spec.Line = device(s)
			}
		}
		for _, f := range endsOn(cfg, t.ID) {
			p := tunnel.Peer{
				ID: f.ID, Region: f.region.ID, PublicKey: string(f.PublicKey), Endpoint: f.Endpoint, Allowed: f.segment.Prefixes, Keepalive: 25,
				TakesOver: f.region.TakesOver, Plain: f.Plain, Preshared: f.Preshared,
			}
			if f.Probe.IsValid() {
				p.Probe = netip.AddrPortFrom(f.Probe, ProbePort)
			}
			for _, g := range f.segment.Gate {
				if !slices.Contains(spec.Addrs, g) {
					spec.Addrs = append(spec.Addrs, g)
				}
			}
			spec.Peers = append(spec.Peers, p)
		}
		out = append(out, spec)
	}
	return out
}

// farEnd is an end with the region and the segment that it belongs to.
type farEnd struct {
	config.End
	region  *config.Region
	segment *config.Segment
}

// endsOn lists the ends that hang on a tunnel, in the order of the document.
func endsOn(cfg *config.Config, tunnelID string) []farEnd {
	var out []farEnd
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		s := segmentOf(cfg, r.ID)
		if s == nil {
			continue
		}
		for _, e := range r.Reached() {
			if e.Tunnel == tunnelID {
				out = append(out, farEnd{e, r, s})
			}
		}
	}
	return out
}

// bandwidths makes one tree a line that a tunnel uses; the tunnel device is what is shaped.
func bandwidths(cfg *config.Config) []bandwidth.Tree {
	var out []bandwidth.Tree
	for _, t := range cfg.Tunnels {
		l := lineOf(cfg, t.ID)
		if l == nil {
			continue
		}
		tree := bandwidth.Tree{Device: t.ID, Rate: uint64(l.Rate), Overhead: overhead(cfg, t.ID)}
		for i := range cfg.Classes {
			if c, on := classOn(cfg, i, l); on {
				c.Ceiling = min(c.Ceiling, tree.Rate)
				tree.Classes = append(tree.Classes, c)
			}
		}
		if len(tree.Classes) > 0 {
			out = append(out, tree)
		}
	}
	return out
}

// overhead is what a packet grows by on a tunnel's line: as much as towards the end that needs most.
func overhead(cfg *config.Config, tunnelID string) int {
	for _, f := range endsOn(cfg, tunnelID) {
		if f.Endpoint.Addr().Is6() {
			return config.OverheadV6
		}
	}
	return config.OverheadV4
}

// classOn is the configuration's class number i on a line, its ceiling not yet bounded by what a direction carries; false: it has
// no place there.
func classOn(cfg *config.Config, i int, l *config.Line) (bandwidth.Class, bool) {
	c := &cfg.Classes[i]
	at, on := cfg.On(c, l)
	if !on {
		return bandwidth.Class{}, false
	}
	order := slices.IndexFunc(cfg.Places(c), func(p config.OnLine) bool { return p.Line == l.ID })
	return bandwidth.Class{
		ID: uint8(i + 1), Name: c.ID, Guarantee: uint64(at.Guarantee), Ceiling: uint64(at.Ceiling),
		Priority: c.Priority, Default: c.Default, Latency: string(c.Latency), Order: uint8(order),
	}, true
}

// preferences are the orders of devices of the classes that name their lines. Packets without a class go as those of the
// default class do.
func preferences(cfg *config.Config) []tunnel.Preference {
	var out []tunnel.Preference
	all := make([]string, len(cfg.Tunnels))
	for i, t := range cfg.Tunnels {
		all[i] = t.ID
	}
	for i := range cfg.Classes {
		c := &cfg.Classes[i]
		var devices []string
		for _, at := range cfg.Places(c) {
			for _, t := range cfg.Tunnels {
				if t.Line == at.Line {
					devices = append(devices, t.ID)
				}
			}
		}
		if len(devices) == 0 || slices.Equal(devices, all) {
			continue
		}
		out = append(out, tunnel.Preference{Class: uint8(i + 1), Devices: devices})
	}
	return out
}

// translations wants the document and the anchors to name the same NAT: the anchors' is in force whatever the document says.
func translations(cfg *config.Config, a *anchors.Anchors) error {
	want := Anchors(cfg).NAT
	for _, n := range want {
		if !slices.Contains(a.NAT, n) {
			return fmt.Errorf("region %q: that %s appears as %s is not in the anchors: root must first add it to the anchors file (`sekisho anchors FILE` prints one)", n.Segment, n.Inside, n.Outside)
		}
	}
	for _, n := range a.NAT {
		if !slices.Contains(want, n) {
			return fmt.Errorf("region %q: by the anchors %s appears as %s: add it under nat, or have root take it out of the anchors", n.Segment, n.Inside, n.Outside)
		}
	}
	return nil
}

func segmentOf(cfg *config.Config, id string) *config.Segment {
	for i := range cfg.Segments {
		if cfg.Segments[i].ID == id {
			return &cfg.Segments[i]
		}
	}
	return nil
}

// Anchors derives the anchors that cfg would need. Only root may put the result into force: it is what the dataplane
// checks every later configuration against.
func Anchors(cfg *config.Config) *anchors.Anchors {
	a := &anchors.Anchors{Version: 1, Name: cfg.Town.EN, PickUp: cfg.PickUp}
	if a.Name == "" {
		a.Name = cfg.Town.JA
	}
	for i := range cfg.Segments {
		s := &cfg.Segments[i]
		seg := anchors.Segment{ID: s.ID, Zone: s.Zone, Attach: anchors.AttachPort, Port: device(s), VLAN: s.VLAN, Outer: s.Outer, Prefixes: s.Prefixes, Gate: s.Gate, Strict: strict(s),
			Multicast: s.Multicast, Advertising: s.Advertising, DHCPServers: s.DHCPServers}
		switch {
		case s.Portal:
			seg.Attach = anchors.AttachPortal
		case s.Tunnel != "":
			seg.Attach = anchors.AttachTunnel
		}
		for _, r := range s.Routers {
			seg.Routers = append(seg.Routers, anchors.Router{MAC: r.MAC.String(), Addrs: r.Addresses, Behind: r.Behind})
		}
		a.Segments = append(a.Segments, seg)
		if answersEcho(s) {
			a.Services = append(a.Services,
				anchors.Service{ID: "echo-" + s.ID, Segment: s.ID, Proto: "icmp", Port: config.EchoV4},
				anchors.Service{ID: "echo6-" + s.ID, Segment: s.ID, Proto: "icmp6", Port: config.EchoV6})
		}
	}
	for _, t := range cfg.Tunnels {
		l := lineOf(cfg, t.ID)
		if l == nil {
			continue
		}
		at := anchors.Tunnel{Device: t.ID, Line: l.Segment, Listen: t.Listen}
		in := anchors.Service{ID: "wireguard-" + t.ID, Segment: l.Segment, Proto: "udp", Port: t.Listen}
		var out []anchors.Service
		for _, f := range endsOn(cfg, t.ID) {
			at.Peers = append(at.Peers, anchors.Peer{
				ID: f.ID, Segment: f.segment.ID, PublicKey: string(f.PublicKey), Endpoint: f.Endpoint, Allowed: f.segment.Prefixes,
				Probe: f.Probe, TakesOver: f.region.TakesOver,
			})
			far := single(f.Endpoint.Addr())
			if !slices.Contains(in.From, far) {
				in.From = append(in.From, far)
			}
			out = append(out, anchors.Service{ID: "wireguard-" + f.ID, Segment: l.Segment, Proto: "udp", Port: f.Endpoint.Port(), From: []netip.Prefix{far}, Out: true})
			out = append(out, probes(f)...)
		}
		a.Tunnels = append(a.Tunnels, at)
		a.Services = append(append(a.Services, in), out...)
	}
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		for _, n := range r.NAT {
			a.NAT = append(a.NAT, anchors.NAT{Segment: r.ID, Inside: n.Inside, Outside: n.Outside})
		}
	}
	return a
}

// probes are the gate's questions to an end: the echo, and where the far end is ours, one port for each bandwidth class, also for
// those that the configuration does not have yet.
func probes(f farEnd) []anchors.Service {
	if !f.Probe.IsValid() {
		return nil
	}
	echo := anchors.Service{ID: "probe-" + f.ID, Segment: f.segment.ID, Proto: "udp", Port: ProbePort, From: []netip.Prefix{single(f.Probe)}, Out: true}
	if f.Plain {
		return []anchors.Service{echo}
	}
	asked := echo
	asked.ID, asked.Port, asked.Last = "talk-"+f.ID, talk.Port, talk.Port+config.MaxClasses
	return []anchors.Service{echo, asked}
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
