package packet

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// look reads the tables as the egress program does.
func (t *prefixTables) look(a netip.Addr) uint16 {
	b := a.As4()
	e := t.top[int(b[0])<<8|int(b[1])]
	for i := 2; e.More != 0; i++ {
		e = t.nodes[e.Segment].Next[b[i]]
	}
	return e.Segment
}

// Whatever prefixes the anchors have, an address belongs to the longest one around it.
func TestPrefixTablesFindTheLongestPrefix(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	for range 30 {
		a := &anchors.Anchors{}
		seen := map[netip.Prefix]bool{}
		for range 1 + r.IntN(40) {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(4)), byte(r.IntN(256))}), r.IntN(33)).Masked()
			if !seen[p] {
				seen[p] = true
				a.Segments = append(a.Segments, anchors.Segment{ID: p.String(), Prefixes: []netip.Prefix{p}})
			}
		}
		tables, err := newPrefixTables(a)
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			addr := netip.AddrFrom4([4]byte{10, byte(r.IntN(4)), byte(r.IntN(5)), byte(r.IntN(256))})
			var want uint16
			best := -1
			for i, s := range a.Segments {
				if p := s.Prefixes[0]; p.Contains(addr) && p.Bits() > best {
					want, best = anchorNumber(i), p.Bits()
				}
			}
			if got := tables.look(addr); got != want {
				t.Fatalf("%s of %v: segment %d, want %d", addr, a.Segments, got, want)
			}
		}
	}
}
