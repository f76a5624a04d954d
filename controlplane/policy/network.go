package policy

import (
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// Bytes that WireGuard adds to a packet on the line.
const (
	overheadV4 = 60
	overheadV6 = 80
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

func tunnels(cfg *config.Config) []tunnel.Spec {
	var out []tunnel.Spec
	for _, t := range cfg.Tunnels {
		spec := tunnel.Spec{Device: t.ID, Listen: t.Listen, MTU: t.MTU}
		if l := lineOf(cfg, t.ID); l != nil {
			if s := segmentOf(cfg, l.Segment); s != nil {
				spec.Line = device(s)
			}
		}
		for _, r := range cfg.Regions {
			s := segmentOf(cfg, r.ID)
			if r.Tunnel != t.ID || s == nil {
				continue
			}
			p := tunnel.Peer{ID: r.ID, PublicKey: string(r.PublicKey), Endpoint: r.Endpoint, Allowed: s.Prefixes, Keepalive: 25}
			if r.Probe.IsValid() {
				p.Probe = netip.AddrPortFrom(r.Probe, ProbePort)
			}
			spec.Addrs = append(spec.Addrs, s.Gate...)
			spec.Peers = append(spec.Peers, p)
		}
		out = append(out, spec)
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
		tree := bandwidth.Tree{Device: t.ID, Rate: uint64(l.Rate), Overhead: overheadV4}
		for _, r := range cfg.Regions {
			if r.Tunnel == t.ID && r.Endpoint.Addr().Is6() {
				tree.Overhead = overheadV6
			}
		}
		for i, c := range cfg.Classes {
			if c.Line != l.ID {
				continue
			}
			tree.Classes = append(tree.Classes, bandwidth.Class{ID: uint8(i + 1), Name: c.ID, Guarantee: uint64(c.Guarantee), Ceiling: uint64(c.Ceiling), Priority: c.Priority, Default: c.Default})
		}
		if len(tree.Classes) > 0 {
			out = append(out, tree)
		}
	}
	return out
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
		for _, r := range cfg.Regions {
			s := segmentOf(cfg, r.ID)
			if r.Tunnel != t.ID || s == nil {
				continue
			}
			at.Peers = append(at.Peers, anchors.Peer{ID: r.ID, Segment: s.ID, PublicKey: string(r.PublicKey), Endpoint: r.Endpoint, Allowed: s.Prefixes, Probe: r.Probe})
			far := single(r.Endpoint.Addr())
			in.From = append(in.From, far)
			out = append(out, anchors.Service{ID: "wireguard-" + r.ID, Segment: l.Segment, Proto: "udp", Port: r.Endpoint.Port(), From: []netip.Prefix{far}, Out: true})
			if r.Probe.IsValid() {
				out = append(out, anchors.Service{ID: "probe-" + r.ID, Segment: s.ID, Proto: "udp", Port: ProbePort, From: []netip.Prefix{single(r.Probe)}, Out: true})
			}
		}
		a.Tunnels = append(a.Tunnels, at)
		a.Services = append(append(a.Services, in), out...)
	}
	return a
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
