package equal

import (
	"fmt"
	"net/netip"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// bindings compares hosts, the MACs of prefixes and the bounds of segments with what the document registers.
func (k *checker) bindings() {
	want := k.registered()
	seen := make(map[netip.Addr]bool, len(k.t.Hosts))
	for i := range k.t.Hosts {
		h := &k.t.Hosts[i]
		mac, known := want[h.Addr]
		switch {
		case seen[h.Addr]:
			k.fault(Fault{What: fmt.Sprintf("host %s is in the tables twice", h.Addr)})
		case !known:
			k.fault(Fault{What: fmt.Sprintf("host %s, MAC %q, is in the tables; the configuration names no such address", h.Addr, h.MAC)})
		case mac != h.MAC:
			k.fault(Fault{What: fmt.Sprintf("host %s has MAC %q in the tables and %q in the configuration", h.Addr, h.MAC, mac)})
		}
		seen[h.Addr] = true
	}
	if len(seen) < len(want) || len(k.faults) > 0 {
		for a, mac := range want {
			if !seen[a] {
				k.fault(Fault{What: fmt.Sprintf("host %s, MAC %q, is missing in the tables", a, mac)})
			}
		}
	}
	segments := make(map[string]*packet.Segment, len(k.t.Segments))
	byNumber := make(map[uint16]string, len(k.t.Segments))
	for i := range k.t.Segments {
		s := &k.t.Segments[i]
		segments[s.Name], byNumber[s.ID] = s, s.Name
	}
	places := make(map[string]*config.Segment, len(k.d.Config.Segments))
	for i := range k.d.Config.Segments {
		s := &k.d.Config.Segments[i]
		places[s.ID] = s
		if got := segments[s.ID]; got != nil {
			k.bounds(s, got.Limits)
		}
	}
	for i := range k.t.Prefixes {
		p := &k.t.Prefixes[i]
		var mac packet.MAC
		if s := places[byNumber[p.Segment]]; s != nil {
			if r := router(s, p.Prefix); r != nil {
				mac = r.MAC
			}
		}
		if p.MAC != mac {
			k.fault(Fault{What: fmt.Sprintf("prefix %s is bound to MAC %q in the tables and to %q in the configuration", p.Prefix, p.MAC, mac)})
		}
	}
}

// bounds: what the document says stands in the tables; what it leaves open is the compiler's choice.
func (k *checker) bounds(s *config.Segment, got packet.Limits) {
	for _, n := range []struct {
		key       string
		got, want uint32
	}{
		{"flows", got.Flows, s.Limits.Flows}, {"flows-per-second", got.Rate, s.Limits.Rate},
		{"station-flows", got.StationFlows, s.Limits.StationFlows}, {"station-flows-per-second", got.StationRate, s.Limits.StationRate},
	} {
		if n.want != 0 && n.got != n.want {
			k.fault(Fault{What: fmt.Sprintf("segment %q: limit %s is %d in the tables and %d in the configuration", s.ID, n.key, n.got, n.want)})
		}
	}
}

// registered gives every address that the document names, with the MAC that its packets come with; zero: any, or none.
func (k *checker) registered() map[netip.Addr]packet.MAC {
	c := k.d.Config
	out := make(map[netip.Addr]packet.MAC, len(c.Stations)+len(c.Services))
	enter := func(s *config.Segment, a netip.Addr, mac packet.MAC) {
		if r := router(s, netip.PrefixFrom(a, a.BitLen())); r != nil {
			mac = r.MAC
		}
		if mac.IsZero() {
			mac = out[a]
		}
		out[a] = mac
	}
	segments := make(map[string]*config.Segment, len(c.Segments))
	for i := range c.Segments {
		s := &c.Segments[i]
		segments[s.ID] = s
		for _, g := range s.Gate {
			out[g] = packet.MAC{}
		}
		for _, r := range s.Routers {
			for _, a := range r.Addresses {
				enter(s, a, r.MAC)
			}
		}
	}
	for i := range c.Stations {
		for _, a := range c.Stations[i].Addresses {
			enter(segments[c.Stations[i].Segment], a, c.Stations[i].MAC)
		}
	}
	for i := range c.Services {
		for _, a := range c.Services[i].Addresses {
			enter(segments[c.Services[i].Segment], a, c.Services[i].MAC)
		}
	}
	lies := func(a netip.Addr, mac packet.MAC) {
		if i, ok := k.d.SegmentOf(a); ok {
			enter(&c.Segments[i], a, mac)
		}
	}
	for _, p := range c.Portals {
		lies(p.Address, portalMAC(p.Zone))
	}
	for _, r := range c.Regions {
		lies(r.Endpoint.Addr(), packet.MAC{})
		if r.Probe.IsValid() {
			lies(r.Probe, packet.MAC{})
		}
	}
	return out
}

// portalMAC is the address that the gate gives the portal's end of the link it makes for a zone (dataplane/gate, portal.go).
func portalMAC(z anchors.Zone) packet.MAC { return packet.MAC{0x02, 0x53, 0x4b, 0x00, byte(z), 2} }

// router is the one that addresses lie behind: that of the longest prefix that holds them all; nil when they are reached directly.
func router(s *config.Segment, p netip.Prefix) *config.Router {
	var found *config.Router
	best := -1
	for i := range s.Routers {
		for _, b := range s.Routers[i].Behind {
			if b.Bits() > best && b.Bits() <= p.Bits() && b.Contains(p.Addr()) {
				best, found = b.Bits(), &s.Routers[i]
			}
		}
	}
	return found
}
