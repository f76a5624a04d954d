package reading

import (
	"net/netip"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Bindings gives every address that the document names, with the MAC that its packets come with; zero: any, or none.
func (d *Document) Bindings() map[netip.Addr]packet.MAC {
	c := d.Config
	out := make(map[netip.Addr]packet.MAC, len(c.Stations)+len(c.Services))
	enter := func(s *config.Segment, a netip.Addr, mac packet.MAC) {
		if r := Router(s, netip.PrefixFrom(a, a.BitLen())); r != nil {
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
		if i, ok := d.SegmentOf(a); ok {
			enter(&c.Segments[i], a, mac)
		}
	}
	for _, p := range c.Portals {
		lies(p.Address, portalMAC(p.Zone))
	}
	for i := range c.Regions {
		for _, e := range c.Regions[i].Reached() {
			lies(e.Endpoint.Addr(), packet.MAC{})
			if e.Probe.IsValid() {
				lies(e.Probe, packet.MAC{})
			}
		}
	}
	return out
}

// portalMAC is the address that the gate gives the portal's end of the link it makes for a zone (dataplane/gate, portal.go).
func portalMAC(z anchors.Zone) packet.MAC { return packet.MAC{0x02, 0x53, 0x4b, 0x00, byte(z), 2} }

// Router is the one that addresses lie behind: that of the longest prefix that holds them all; nil when they are reached directly.
func Router(s *config.Segment, p netip.Prefix) *config.Router {
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
