package proof

import (
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// I9: each local process (what listens or opens on one of the gate's own addresses, and each portal) is a node of the graph in
// its own zone only. Its zone is that of the segment in which the anchors give the gate that address.

// process tells whether a class stands for local processes.
func (m *member) process() bool { return m.local || m.portal }

// processes: the addresses of a local process lie in the segment of its class, by the anchors, and nowhere else. Two addresses
// in one class would be one process in two zones.
func (c *checker) processes() {
	for i := range c.t.Classes {
		m := c.class[c.t.Classes[i].ID]
		if m == nil || m.Class != &c.t.Classes[i] || !m.process() {
			continue
		}
		for _, j := range m.hosts {
			h := &c.t.Hosts[j]
			if s, ok := c.a.SegmentOf(h.Addr); !ok || s != c.anchorOf(m.Segment) {
				c.misplaced("I9", netip.PrefixFrom(h.Addr, h.Addr.BitLen()), h, "host %s is in class %d, a local process of segment %d; the anchors have it in segment %q", h.Addr, m.ID, m.Segment, idOf(s))
			}
		}
	}
}

func idOf(s *anchors.Segment) string {
	if s == nil {
		return ""
	}
	return s.ID
}

// ownZone: a local process neither opens nor answers beyond its own zone, whatever a record says.
func (c *checker) ownZone(cell *packet.Cell, src, dst *member) {
	if !src.process() && !dst.process() {
		return
	}
	from, to := c.zoneOf(src.Segment), c.zoneOf(dst.Segment)
	switch {
	case from == to:
	case src.process():
		c.violate("I9", cell, "a local process of %s would open into %s: it belongs to its own zone only", from, to)
	default:
		c.violate("I9", cell, "a local process of %s would be opened from %s: it belongs to its own zone only", to, from)
	}
}
