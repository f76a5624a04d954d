package packet_test

import (
	"math/rand/v2"
	"testing"
	"time"

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

// call is a packet of a TCP connection that a station opened to server 11 of segment 3.
func call(station segment, v6 bool, sport uint16, flags uint8) talk {
	x := from(station, 11, addrOf(segmentOf(3), 11, v6))
	x.proto, x.sport, x.dport, x.flags = 6, sport, 443, flags
	return x
}

// reply is one of the server's.
func reply(station segment, v6 bool, sport uint16, flags uint8) talk {
	x := from(segmentOf(3), 11, addrOf(station, 11, v6))
	x.proto, x.sport, x.dport, x.flags = 6, 443, sport, flags
	return x
}

// What one flow learns of the way to a next hop serves all; but where a port came to forward nothing, its flows end within a
// second, and none begins, however fresh others keep the way.
func TestNothingComesFromAPortThatForwardsNoMore(t *testing.T) {
	tables := worldTables(rand.New(rand.NewPCG(1, 1)), "forwarding")
	tables.Cells = []packet.Cell{{Src: 201, Dst: 203, Port: 1, Rule: 1}, {Src: 208, Dst: 203, Port: 1, Rule: 1}}
	s := newStage(t, tables)
	one, other := segmentOf(1), segmentOf(8)
	forward := func(on string) {
		packet.Run(t, "sysctl", "-qw", "net.ipv4.conf.a0.forwarding="+on, "net.ipv6.conf.a0.forwarding="+on)
	}
	began := time.Hour
	for _, v6 := range []bool{false, true} {
		for _, vlan := range []int{-1, 0} { // a frame with a priority tag takes the longer of the two fast ways
			marked := func(x talk) talk {
				x.vlan = vlan
				return x
			}
			s.trial.At(began)
			for _, station := range []segment{one, other} {
				s.expect("open", marked(call(station, v6, 40000, 2)), "")
				s.expect("answer", marked(reply(station, v6, 40000, 0x12)), "")
				for range 3 {
					s.expect("go on", marked(call(station, v6, 40000, 0x10)), "")
					s.expect("go on", marked(reply(station, v6, 40000, 0x10)), "")
				}
			}
			forward("0")
			for i := range 4 {
				s.trial.At(began + time.Duration(i)*600*time.Millisecond)
				s.expect("the other goes on", marked(call(other, v6, 40000, 0x10)), "")
			}
			s.expect("from a port that forwards no more", marked(call(one, v6, 40000, 0x10)), "forwarding-disabled")
			s.expect("a new one", marked(call(one, v6, 40001, 2)), "forwarding-disabled")
			forward("1")
			began += 3 * time.Hour // all flows are over
		}
	}
}
