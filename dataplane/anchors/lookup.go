package anchors

import (
	"fmt"
	"net/netip"
	"slices"
)

// Segment finds a segment by id.
func (a *Anchors) Segment(id string) (*Segment, bool) {
	for i := range a.Segments {
		if a.Segments[i].ID == id {
			return &a.Segments[i], true
		}
	}
	return nil, false
}

// Number of a segment in tables and marks: its place in the file, from 1; 0 = unknown.
func (a *Anchors) Number(id string) uint16 {
	return uint16(slices.IndexFunc(a.Segments, func(s Segment) bool { return s.ID == id }) + 1)
}

// SegmentOf finds the segment whose prefixes hold addr; segments never overlap.
func (a *Anchors) SegmentOf(addr netip.Addr) (*Segment, bool) {
	for i := range a.Segments {
		if a.Segments[i].Contains(addr) {
			return &a.Segments[i], true
		}
	}
	return nil, false
}

// Carries tells whether a peer may carry the segment's packets: its own, or one that it takes over.
func (p *Peer) Carries(segment string) bool {
	return p.Segment == segment || slices.Contains(p.TakesOver, segment)
}

// Bundles groups the tunnel devices that share a segment, directly or through others: each packet of such a segment may use
// any of them, so for segments, classes and flows they are one place. In the file's order; the first of each stands for it.
func (a *Anchors) Bundles() [][]string {
	first := map[string]int{} // bundle by segment
	of := make([]int, len(a.Tunnels))
	for i, t := range a.Tunnels {
		of[i] = i
		for _, p := range t.Peers {
			for _, id := range append([]string{p.Segment}, p.TakesOver...) {
				other, ok := first[id]
				if !ok {
					first[id] = of[i]
					continue
				}
				keep, gone := min(other, of[i]), max(other, of[i])
				for j := range of[:i+1] {
					if of[j] == gone {
						of[j] = keep
					}
				}
				for id, b := range first {
					if b == gone {
						first[id] = keep
					}
				}
			}
		}
	}
	var out [][]string
	for i := range a.Tunnels {
		if of[i] != i {
			continue
		}
		var bundle []string
		for j, t := range a.Tunnels {
			if of[j] == i {
				bundle = append(bundle, t.Device)
			}
		}
		out = append(out, bundle)
	}
	return out
}

// Bundle is the bundle that a tunnel device belongs to; any other device stands alone.
func (a *Anchors) Bundle(device string) []string {
	for _, b := range a.Bundles() {
		if slices.Contains(b, device) {
			return b
		}
	}
	return []string{device}
}

// Devices are those by which the stack may reach a segment: its own, or all tunnels with a peer that carries its packets.
func (a *Anchors) Devices(s *Segment) []string {
	out := []string{s.Device()}
	if s.Attach != AttachTunnel {
		return out
	}
	for i := range a.Tunnels {
		t := &a.Tunnels[i]
		if t.Device != s.Port && slices.ContainsFunc(t.Peers, func(p Peer) bool { return p.Carries(s.ID) }) {
			out = append(out, t.Device)
		}
	}
	return out
}

// Device is the device by which the stack reaches the segment.
func (s *Segment) Device() string { return DeviceName(s.Port, s.Outer, s.VLAN) }

// DeviceName is the device of a port's VLAN, or of one inside a service VLAN: "mn0", "mn0.10", "mn0.100.10".
func DeviceName(port string, outer, vlan uint16) string {
	switch {
	case outer != 0:
		return fmt.Sprintf("%s.%d.%d", port, outer, vlan)
	case vlan != 0:
		return fmt.Sprintf("%s.%d", port, vlan)
	}
	return port
}

// Contains tells whether one of the segment's prefixes holds addr.
func (s *Segment) Contains(addr netip.Addr) bool {
	return slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Covers tells whether one of the segment's prefixes holds the whole of p.
func (s *Segment) Covers(p netip.Prefix) bool { return coveredBy(s.Prefixes, p) }

// Router finds the registered next hop that p, an address or prefix of the segment, lies behind: the one whose prefix
// holds it most closely; nil = it is reached directly.
func (s *Segment) Router(p netip.Prefix) *Router {
	var found *Router
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

func coveredBy(list []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(list, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
}

// Serves tells whether a port, or ICMP type, is one of the service's.
func (s *Service) Serves(port uint16) bool { return port == s.Port || port > s.Port && port <= s.Last }
