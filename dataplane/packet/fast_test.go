package packet_test

import (
	"math/rand/v2"
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// A flow that the fast path knows is asked for anew by the first packet after a commit, in both directions.
func TestACommitIsSeenByTheNextPacketOfAFlow(t *testing.T) {
	tables := func(cells ...packet.Cell) packet.Tables {
		tables := worldTables(rand.New(rand.NewPCG(1, 1)), "commit")
		tables.Cells = cells
		return tables
	}
	cell := func(rule uint32) packet.Cell { return packet.Cell{Src: 201, Dst: 203, Port: 1, Rule: rule} }
	s := newStage(t, tables(cell(1)))
	mn, lg := segmentOf(1), segmentOf(3)
	for _, v6 := range []bool{false, true} {
		there := from(mn, 11, addrOf(lg, 11, v6))
		there.proto, there.sport, there.dport, there.flags = 6, 40000, 443, 2
		back := from(lg, 11, addrOf(mn, 11, v6))
		back.proto, back.sport, back.dport, back.flags = 6, 443, 40000, 0x12
		s.load(tables(cell(1)))
		s.expect("open", there, "")
		s.expect("answer", back, "")
		there.flags, back.flags = 0x10, 0x10
		for range 4 { // by then the flow's line holds all that the fast path wants
			s.expect("go on", there, "")
			s.expect("go on", back, "")
		}
		s.load(tables(cell(2)))
		for _, x := range []talk{back, there} {
			if reason, v := s.send(x.port, s.gen.write(x, false)); reason != "" || v.Rule != 2 {
				t.Errorf("IPv6 %v: after a commit: dropped for %q, rule %d; want it to pass by rule 2", v6, reason, v.Rule)
			}
		}
		s.expect("go on", there, "")
		s.load(tables())
		s.expect("after its record was removed", back, "no-cell")
		s.expect("after its record was removed", there, "no-cell")
	}
}
