package proof

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Rules are found by number in tables that nobody has checked yet, so by any number.
func TestRulesOfAnyNumberAreFound(t *testing.T) {
	for _, number := range []uint32{1 << 10, 1 << 20, math.MaxUint32} {
		tables := sound()
		old := tables.Rules[0].ID
		tables.Rules[0].ID = number
		for i := range tables.Cells {
			if tables.Cells[i].Rule == old {
				tables.Cells[i].Rule = number
			}
		}
		if got := Check(tables, townAnchors(t)); len(got) > 0 {
			t.Errorf("rule %d: got %v, want nothing", number, got)
		}
		for _, other := range []uint32{0, number - 1} {
			tables.Cells[0].Rule = other
			got := Check(tables, townAnchors(t))
			if len(got) != 1 || got[0].Invariant != Tables || !strings.Contains(got[0].Message, "names something that does not exist") {
				t.Errorf("rule %d, a cell names %d: got %v, want that it does not exist", number, other, got)
			}
		}
	}
}

// A port class names an ICMP error wherever among its ranges that stands.
func TestComplaintIsFoundAmongMany(t *testing.T) {
	ranges := []packet.PortRange{{Proto: 6, Lo: 0, Hi: 65535}, {Proto: 1, Lo: 8, Hi: 8}, {Proto: 58, Lo: 128, Hi: 136}}
	if r, ok := complaint(ranges); ok {
		t.Errorf("got %v, want none", r)
	}
	ranges = append(ranges, packet.PortRange{Proto: 1, Lo: 6, Hi: 12})
	if r, ok := complaint(ranges); !ok || r.Proto != 1 || r.Lo != 11 {
		t.Errorf("got %v, %t, want type 11 of ICMP", r, ok)
	}
	facts := factsOf([][]packet.PortRange{nil, ranges[:3], ranges})
	if want := []portFacts{{}, {known: true}, {known: true, complains: true}}; facts[0] != want[0] || facts[1] != want[1] || facts[2] != want[2] {
		t.Errorf("got %v, want %v", facts, want)
	}
}

// A class with members in several zones is asked about each of them, on both sides of a cell.
func TestEveryZoneOfAClassIsAsked(t *testing.T) {
	for _, way := range []struct {
		src, dst uint16
		joins    string
	}{{lgPC, mnPC, "(internet -> my-number)"}, {mnPC, lgPC, "(my-number -> internet)"}} {
		tables := sound()
		tables.Hosts = append(tables.Hosts, packet.Host{Addr: addr("203.0.113.12"), Class: lgPC, Segment: lg, MAC: lgMAC})
		permit(way.src, way.dst, https)(tables)
		if !slices.ContainsFunc(Check(tables, townAnchors(t)), func(v Violation) bool {
			return v.Invariant == "I1" && strings.Contains(v.Message, way.joins)
		}) {
			t.Errorf("classes %d -> %d: want I1 %s", way.src, way.dst, way.joins)
		}
	}
}
