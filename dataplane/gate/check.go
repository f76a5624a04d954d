package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// checkObjects compares every object of g beside its tables with the anchors and tells all that does not fit. The tables are
// the proof's business.
func checkObjects(g *Generation, a *anchors.Anchors) error {
	c := &objectCheck{a: a}
	if g.Revision == "" || len(g.Revision) > 200 {
		c.fail("revision %q: want 1 to 200 characters", g.Revision)
	}
	if g.Tables.Revision != g.Revision {
		c.fail("revision %q: its tables say that they are revision %q", g.Revision, g.Tables.Revision)
	}
	c.routes(g.Routes)
	c.tunnels(g.Tunnels)
	c.bandwidth(g.Bandwidth, g.Tunnels)
	return errors.Join(c.errs...)
}

// maxComplaints bounds the answer to a generation that is wrong throughout.
const maxComplaints = 100

type objectCheck struct {
	a    *anchors.Anchors
	errs []error
}

func (c *objectCheck) fail(format string, args ...any) {
	if len(c.errs) < maxComplaints {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

func (c *objectCheck) routes(routes []Route) {
	seen := map[netip.Prefix]bool{}
	for _, r := range routes {
		if !r.Prefix.IsValid() || r.Prefix != r.Prefix.Masked() || r.Prefix.Addr().Is4In6() {
			c.fail("route %s: no whole prefix", r.Prefix)
			continue
		}
		if r.Unreachable {
			if r.Port != "" || r.Via.IsValid() {
				c.fail("route %s: unreachable and yet by port %q via %s", r.Prefix, r.Port, r.Via)
			}
			continue // less reach is always right
		}
		if seen[r.Prefix] {
			c.fail("route %s: given twice", r.Prefix)
		}
		seen[r.Prefix] = true
		c.route(r)
	}
}

func (c *objectCheck) route(r Route) {
	i := slices.IndexFunc(c.a.Segments, func(s anchors.Segment) bool { return s.Covers(r.Prefix) })
	if i < 0 {
		c.fail("route %s: lies in no segment of the anchors", r.Prefix)
		return
	}
	s := &c.a.Segments[i]
	if r.Port != deviceOf(s) {
		c.fail("route %s: by port %q, but segment %q (%s) hangs on %s", r.Prefix, r.Port, s.ID, s.Zone, deviceOf(s))
	}
	router := s.Router(r.Prefix)
	switch {
	case router == nil && r.Via.IsValid():
		c.fail("route %s: via %s, but segment %q has no router for it", r.Prefix, r.Via, s.ID)
	case router != nil && (!slices.Contains(router.Addrs, r.Via) || r.Via.Is4() != r.Prefix.Addr().Is4()):
		c.fail("route %s: via %s, but it lies behind router %s of segment %q", r.Prefix, r.Via, router.MAC, s.ID)
	}
}

// deviceOf is the device by which the stack reaches a segment.
func deviceOf(s *anchors.Segment) string { return s.Device() }

func (c *objectCheck) tunnels(specs []tunnel.Spec) {
	seen := map[string]bool{}
	for _, s := range specs {
		i := slices.IndexFunc(c.a.Tunnels, func(t anchors.Tunnel) bool { return t.Device == s.Device })
		if i < 0 {
			c.fail("tunnel %q: no tunnel of the anchors", s.Device)
			continue
		}
		if seen[s.Device] {
			c.fail("tunnel %s: given twice", s.Device)
		}
		seen[s.Device] = true
		c.tunnel(s, &c.a.Tunnels[i])
	}
}

func (c *objectCheck) tunnel(s tunnel.Spec, t *anchors.Tunnel) {
	line, ok := c.a.Segment(t.Line)
	if !ok || s.Line != deviceOf(line) {
		c.fail("tunnel %s: by line %q, want that of segment %q", s.Device, s.Line, t.Line)
	}
	if s.Listen != t.Listen {
		c.fail("tunnel %s: listens on port %d, want %d", s.Device, s.Listen, t.Listen)
	}
	if s.MTU != 0 && (s.MTU < 1280 || s.MTU > 8920) {
		c.fail("tunnel %s: MTU %d: want 1280 to 8920, or 0 for the line's less 80", s.Device, s.MTU)
	}
	for i, addr := range s.Addrs {
		own, ok := c.a.SegmentOf(addr)
		if !ok || own.Port != s.Device || !slices.Contains(own.Gate, addr) {
			c.fail("tunnel %s: address %s is not the gate's in any of its segments", s.Device, addr)
		}
		if slices.Contains(s.Addrs[:i], addr) {
			c.fail("tunnel %s: address %s is given twice", s.Device, addr)
		}
	}
	seen := map[string]bool{}
	for _, p := range s.Peers {
		i := slices.IndexFunc(t.Peers, func(q anchors.Peer) bool { return q.ID == p.ID })
		if i < 0 {
			c.fail("tunnel %s: region %q is no peer of the anchors", s.Device, p.ID)
			continue
		}
		if seen[p.ID] {
			c.fail("tunnel %s: region %s is given twice", s.Device, p.ID)
		}
		seen[p.ID] = true
		c.peer(s.Device, p, &t.Peers[i])
	}
}

func (c *objectCheck) peer(device string, p tunnel.Peer, want *anchors.Peer) {
	if p.PublicKey != want.PublicKey {
		c.fail("tunnel %s: region %s: public key %s is not that of the anchors", device, p.ID, p.PublicKey)
	}
	if p.Endpoint != want.Endpoint {
		c.fail("tunnel %s: region %s: endpoint %s, want %s", device, p.ID, p.Endpoint, want.Endpoint)
	}
	if !samePrefixes(p.Allowed, want.Allowed) {
		c.fail("tunnel %s: region %s may send from %v, want %v", device, p.ID, p.Allowed, want.Allowed)
	}
	if p.Probe.IsValid() && !c.probe(p.Probe, want) {
		c.fail("tunnel %s: region %s: probe %s is no service that the anchors let the gate use", device, p.ID, p.Probe)
	}
	if p.Keepalive < 0 || p.Keepalive > 3600 {
		c.fail("tunnel %s: region %s: keepalive %d s: want 0 to 3600", device, p.ID, p.Keepalive)
	}
}

// probe tells whether the gate may open UDP to the target, by the anchors.
func (c *objectCheck) probe(target netip.AddrPort, p *anchors.Peer) bool {
	return (!p.Probe.IsValid() || target.Addr() == p.Probe) && slices.ContainsFunc(c.a.Services, func(s anchors.Service) bool {
		return s.Out && s.Segment == p.Segment && s.Proto == "udp" && s.Port == target.Port() &&
			slices.ContainsFunc(s.From, func(f netip.Prefix) bool { return f.Contains(target.Addr()) })
	})
}

func (c *objectCheck) bandwidth(trees []bandwidth.Tree, specs []tunnel.Spec) {
	seen := map[string]bool{}
	for _, t := range trees {
		if !slices.ContainsFunc(specs, func(s tunnel.Spec) bool { return s.Device == t.Device }) {
			c.fail("bandwidth: device %q is no tunnel of this generation", t.Device)
		}
		if seen[t.Device] {
			c.fail("bandwidth of %s: given twice", t.Device)
		}
		seen[t.Device] = true
		if err := t.Check(); err != nil {
			c.fail("%w", err)
		}
	}
}

func samePrefixes(a, b []netip.Prefix) bool {
	return slices.EqualFunc(sortedPrefixes(a), sortedPrefixes(b), func(x, y netip.Prefix) bool { return x == y })
}

func sortedPrefixes(in []netip.Prefix) []netip.Prefix {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	return out
}
