package reading_test

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
)

// A permit says the same of a packet as its boxes, whichever is asked.
func TestPermitsAndBoxesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, cfg := drawn.Config(t)
		d := reading.Of(cfg)
		var addrs []netip.Addr
		for _, e := range d.Ends {
			for _, v := range e.Addrs() {
				addrs = append(addrs, v.Lo, v.Hi)
			}
		}
		for range 50 {
			p := d.Ports[rapid.IntRange(0, len(d.Ports)-1).Draw(t, "ports")].All
			k := space.Packet{Src: rapid.SampledFrom(addrs).Draw(t, "src"), Dst: rapid.SampledFrom(addrs).Draw(t, "dst"), Port: p[0].Lo}
			asked := d.Of(k)
			for i := range d.Permits {
				q := &d.Permits[i]
				first, ok := q.When.First()
				if !ok {
					t.Fatalf("record %s is never in force\n%s", q.Record, doc)
				}
				in := slices.ContainsFunc(d.Boxes(q), func(b space.Box) bool { return b.Contains(k, first) })
				if in != slices.Contains(asked, q) {
					t.Fatalf("record %s, packet %v: in a box %t, asked %t\n%s", q.Record, k, in, !in, doc)
				}
			}
		}
	})
}
