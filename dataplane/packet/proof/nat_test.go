package proof

import (
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// mapped are the town's anchors with mappings towards tokyo.
func mapped(t *testing.T, all ...anchors.NAT) *anchors.Anchors {
	t.Helper()
	a := *townAnchors(t)
	a.NAT = all
	return &a
}

func towards(region, inside, outside string) anchors.NAT {
	return anchors.NAT{Segment: region, Inside: pre(inside), Outside: pre(outside)}
}

// Each mapping by which one address could mean two stations is found.
func TestSeededMappingsAreFound(t *testing.T) {
	ok := towards("tokyo", "198.18.10.0/25", "192.0.3.0/25")
	for _, x := range []struct {
		name  string
		nat   []anchors.NAT
		spoil func(*packet.Tables)
		want  string
	}{
		{"towards a port", []anchors.NAT{towards("lg-core", "198.18.10.0/25", "192.0.3.0/25")}, nil, "behind no tunnel"},
		{"towards nobody", []anchors.NAT{towards("mars", "198.18.10.0/25", "192.0.3.0/25")}, nil, "behind no tunnel"},
		{"of two lengths", []anchors.NAT{towards("tokyo", "198.18.10.0/25", "192.0.3.0/26")}, nil, "not one to one"},
		{"of IPv6", []anchors.NAT{towards("tokyo", "2001:db8:10::/64", "2001:db8:99::/64")}, nil, "not one to one"},
		{"two inside as one outside", []anchors.NAT{ok, towards("tokyo", "198.18.10.128/26", "192.0.3.64/26")}, nil, "share an address"},
		{"one inside as two outside", []anchors.NAT{ok, towards("tokyo", "198.18.10.64/26", "192.0.3.128/26")}, nil, "share an address"},
		{"of more than a segment", []anchors.NAT{towards("tokyo", "198.18.10.0/23", "192.0.2.0/23")}, nil, "not wholly one segment's"},
		{"of a region", []anchors.NAT{towards("tokyo", "198.51.100.0/26", "192.0.3.0/26")}, nil, "not wholly one segment's"},
		{"as a segment's addresses", []anchors.NAT{towards("tokyo", "198.18.10.0/25", "203.0.113.0/25")}, nil, "has addresses of it"},
		{"a host that is an outside address", []anchors.NAT{ok}, func(t *packet.Tables) { host(t, "198.18.10.11").Addr = addr("192.0.3.11") }, "192.0.3.11/32 is entered"},
		{"a prefix over outside addresses", []anchors.NAT{ok}, func(t *packet.Tables) { t.Prefixes[0].Prefix = pre("192.0.3.0/24") }, "192.0.3.0/24 is entered"},
	} {
		tables := sound()
		if x.spoil != nil {
			x.spoil(tables)
		}
		found := Check(tables, mapped(t, x.nat...))
		if !slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant == "I11" && strings.Contains(v.Message, x.want) }) {
			t.Errorf("%s: got %v, want an I11 with %q", x.name, found, x.want)
		}
	}
	if found := Check(sound(), mapped(t, ok)); len(found) != 0 {
		t.Errorf("a sound mapping: got %v", found)
	}
}
