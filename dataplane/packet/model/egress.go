package model

import (
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// meet are the zones that one forwarded packet may join (I1, I13; the uplink joins nothing).
var meet = map[anchors.Zone][]anchors.Zone{
	anchors.MyNumber:   {anchors.MyNumber, anchors.LGWAN},
	anchors.LGWAN:      {anchors.LGWAN, anchors.MyNumber, anchors.Internet},
	anchors.Internet:   {anchors.Internet, anchors.LGWAN},
	anchors.Management: {anchors.Management},
}

// Exit is how a frame leaves.
type Exit struct {
	Port        string
	VLAN, Outer uint16 // that it carries
}

// Leave is the egress program's own decision from the anchors and the isolated zones alone: the reason to drop, or "". in: the port that the
// packet came in by, "" = not known; the tags that it came with are no longer there to be judged.
func Leave(a *anchors.Anchors, isolated map[anchors.Zone]bool, in string, out Exit, src, dst netip.Addr) string {
	from, to := anchored(a, src), anchored(a, dst)
	switch {
	case from == nil:
		return "egress-source"
	case to == nil:
		return "egress-destination"
	case out.VLAN != to.VLAN || out.Outer != to.Outer || !samePlace(a, to.Port, out.Port):
		return "egress-wrong-port"
	case in != "" && !samePlace(a, from.Port, in):
		return "egress-wrong-source"
	case isolated[from.Zone] || isolated[to.Zone]:
		return "zone-isolated"
	case !slices.Contains(meet[from.Zone], to.Zone):
		return "egress-zone-pair"
	}
	return ""
}

// samePlace tells whether what hangs on one device is reached by the other as well: tunnels that share a segment are one place.
// a: nil when nothing is known of bundles.
func samePlace(a *anchors.Anchors, hangs, device string) bool {
	return hangs == device || a != nil && slices.Contains(a.Bundle(hangs), device)
}

// anchored is the segment whose prefix holds an address most closely.
func anchored(a *anchors.Anchors, addr netip.Addr) (best *anchors.Segment) {
	bits := -1
	for i := range a.Segments {
		for _, p := range a.Segments[i].Prefixes {
			if p.Contains(addr) && p.Bits() > bits {
				best, bits = &a.Segments[i], p.Bits()
			}
		}
	}
	return best
}
