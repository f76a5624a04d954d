package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// checkObjects compares every object of g beside its tables with the anchors and tells all that does not fit. The tables are
// the proof's business. own: the gate's own public keys by tunnel device; nil where they are not known.
func checkObjects(g *Generation, a *anchors.Anchors, own map[string]string) error {
	c := &objectCheck{a: a, own: own}
	if g.Revision == "" || len(g.Revision) > 200 {
		c.fail("revision %q: want 1 to 200 characters", g.Revision)
	}
	if g.Tables.Revision != g.Revision {
		c.fail("revision %q: its tables say that they are revision %q", g.Revision, g.Tables.Revision)
	}
	c.routes(g.Routes)
	c.tunnels(g.Tunnels)
	c.preferences(g.Preferences, g.Tunnels)
	c.bandwidth(g.Bandwidth, g.Tunnels)
	c.plans(g.Plans)
	c.planned(g.Plans, g.Tunnels)
	return errors.Join(c.errs...)
}

// maxComplaints bounds the answer to a generation that is wrong throughout.
const maxComplaints = 100

type objectCheck struct {
	a    *anchors.Anchors
	own  map[string]string
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
	if by := c.a.Devices(s); !slices.Contains(by, r.Port) {
		c.fail("route %s: by port %q, but segment %q (%s) hangs on %s", r.Prefix, r.Port, s.ID, s.Zone, strings.Join(by, ", "))
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
