package proof

import (
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// nat: I11. Tables, and so every other invariant, speak of inside addresses; the programs translate what crosses a tunnel. What
// is proven of the one holds for the other when every address means one station, whoever says it: towards one region no two
// inside addresses share an outside one, nobody else has an outside address, and no entry of the tables would catch one that is
// not translated.
func (c *checker) nat() {
	for i, n := range c.a.NAT {
		region, ok := c.a.Segment(n.Segment)
		if !ok || region.Attach != anchors.AttachTunnel {
			c.fault("I11", "the mapping of %s is towards %q, which lies behind no tunnel", n.Inside, n.Segment)
		}
		if !plain4(n.Inside) || !plain4(n.Outside) || n.Inside.Bits() != n.Outside.Bits() {
			c.fault("I11", "the mapping of %s to %s towards %q is not one to one: want two IPv4 prefixes of one length", n.Inside, n.Outside, n.Segment)
			continue
		}
		for _, o := range c.a.NAT[:i] {
			if o.Segment == n.Segment && (o.Inside.Overlaps(n.Inside) || o.Outside.Overlaps(n.Outside)) {
				c.fault("I11", "towards %q, the mappings %s to %s and %s to %s share an address", n.Segment, o.Inside, o.Outside, n.Inside, n.Outside)
			}
		}
		if !slices.ContainsFunc(c.a.Segments, func(s anchors.Segment) bool { return s.Attach != anchors.AttachTunnel && s.Covers(n.Inside) }) {
			c.fault("I11", "the mapping of %s towards %q: the prefix is not wholly one segment's", n.Inside, n.Segment)
		}
		for _, s := range c.a.Segments {
			if j := slices.IndexFunc(s.Prefixes, n.Outside.Overlaps); j >= 0 {
				c.fault("I11", "the mapping to %s towards %q: segment %q has addresses of it (%s)", n.Outside, n.Segment, s.ID, s.Prefixes[j])
			}
		}
	}
	c.untranslated()
}

// untranslated: no entry of the tables may hold an outside address.
func (c *checker) untranslated() {
	if len(c.a.NAT) == 0 {
		return
	}
	taken := func(p netip.Prefix) {
		if i := slices.IndexFunc(c.a.NAT, func(n anchors.NAT) bool { return n.Outside.Overlaps(p) }); i >= 0 {
			n := c.a.NAT[i]
			c.fault("I11", "%s is entered, though %q knows %s as %s", p, n.Segment, n.Inside, n.Outside)
		}
	}
	for _, h := range c.t.Hosts {
		taken(netip.PrefixFrom(h.Addr, h.Addr.BitLen()))
	}
	for _, p := range c.t.Prefixes {
		taken(p.Prefix)
	}
}

func plain4(p netip.Prefix) bool { return p.IsValid() && p.Addr().Is4() && p == p.Masked() }
