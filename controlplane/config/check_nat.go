package config

import (
	"fmt"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// translations checks the NAT of all regions: what a region sees of the town must be an address that nobody else has, and each of
// them must stand for one of the town's.
func (k *checker) translations() {
	type outside struct {
		n *NAT
		r *Region
	}
	var all []outside
	for i := range k.c.Regions {
		r := &k.c.Regions[i]
		for j := range r.NAT {
			n := &r.NAT[j]
			what := fmt.Sprintf("region %q nat", short(r.ID))
			if !k.plainPrefix(&n.Inside, what+" inside") || !k.plainPrefix(&n.Outside, what+" outside") {
				continue
			}
			k.translation(n, what)
			for _, o := range r.NAT[:j] {
				if o.Inside.IsValid() && o.Inside.Overlaps(n.Inside) {
					k.at(&n.Inside, "%s: inside %s overlaps %s of the same region: an address has one translation", what, n.Inside, o.Inside)
				}
			}
			for _, o := range all {
				if o.n.Outside.Overlaps(n.Outside) && (o.r == r || *o.n != *n) {
					k.at(&n.Outside, "%s: outside %s overlaps %s of region %q (line %d): an answer must tell whose it is", what, n.Outside, o.n.Outside, short(o.r.ID), k.line(&o.n.Outside))
				}
			}
			all = append(all, outside{n, r})
		}
	}
}

func (k *checker) translation(n *NAT, what string) {
	if !n.Inside.Addr().Is4() || !n.Outside.Addr().Is4() {
		at := &n.Inside
		if n.Inside.Addr().Is4() {
			at = &n.Outside
		}
		k.at(at, "%s: %s is IPv6: only IPv4 prefixes are translated", what, at)
		return
	}
	if n.Inside.Bits() != n.Outside.Bits() {
		k.at(&n.Outside, "%s: %s stands for %s, one address for one: give both the same length, /%d", what, n.Outside, n.Inside, n.Inside.Bits())
	}
	if s := k.holding(n.Inside); s == nil || s.Port == "" || s.Zone == anchors.Uplink {
		k.at(&n.Inside, "%s: inside %s lies in no segment of the town: want a prefix of a port segment", what, n.Inside)
	}
	for i := range k.c.Segments {
		s := &k.c.Segments[i]
		for _, p := range s.Prefixes {
			if p.IsValid() && p.Overlaps(n.Outside) {
				k.at(&n.Outside, "%s: outside %s overlaps %s of segment %q: want addresses that nothing here has", what, n.Outside, p, short(s.ID))
				return
			}
		}
	}
}

// holding is the segment that a prefix lies in wholly.
func (k *checker) holding(p netip.Prefix) *Segment {
	for i := range k.c.Segments {
		if covers(k.c.Segments[i].Prefixes, p) {
			return &k.c.Segments[i]
		}
	}
	return nil
}
