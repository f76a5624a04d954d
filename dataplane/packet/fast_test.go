package packet_test

import (
	"math/rand/v2"
	"slices"
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

// A new flow takes the way that the kernel named for others, for a second; then the kernel is asked again, by it and by those that
// live.
func TestAWayIsTrustedForASecond(t *testing.T) {
	tables := worldTables(rand.New(rand.NewPCG(1, 1)), "ways")
	tables.Cells = []packet.Cell{{Src: 201, Dst: 203, Port: 1, Rule: 1}, {Src: 201, Dst: 208, Port: 1, Rule: 1}}
	s := newStage(t, tables)
	station := segmentOf(1)
	elsewhere := from(station, 11, addr4(segmentOf(8), 11)) // by which the port is seen to forward
	elsewhere.proto, elsewhere.sport, elsewhere.dport, elsewhere.flags = 6, 50000, 443, 2
	began := time.Hour
	s.trial.At(began)
	s.expect("open elsewhere", elsewhere, "")
	elsewhere.flags = 0x10
	s.expect("open", call(station, false, 40000, 2), "")
	s.expect("answer", reply(station, false, 40000, 0x12), "")
	for range 3 {
		s.expect("go on", call(station, false, 40000, 0x10), "")
	}
	packet.Run(t, "ip", "route", "add", "unreachable", addr4(segmentOf(3), 11).String())
	s.trial.At(began + 500*time.Millisecond)
	s.expect("a new one within the second", call(station, false, 40001, 2), "")
	s.trial.At(began + 1200*time.Millisecond)
	s.expect("elsewhere", elsewhere, "")
	s.expect("a new one", call(station, false, 40002, 2), "no-route")
	s.expect("a live one", call(station, false, 40000, 0x10), "no-route")
}

// A station that a commit gives another MAC gets the next packet there, whatever was known before.
func TestANewFlowGoesToTheMACThatIsRegisteredNow(t *testing.T) {
	tables := func(mac packet.MAC) packet.Tables {
		tables := worldTables(rand.New(rand.NewPCG(1, 1)), "mac")
		tables.Cells = []packet.Cell{{Src: 201, Dst: 203, Port: 1, Rule: 1}}
		for i := range tables.Hosts {
			if tables.Hosts[i].Addr == addr4(segmentOf(3), 11) {
				tables.Hosts[i].MAC = mac
			}
		}
		return tables
	}
	was, is := hostMAC(3, 11), hostMAC(3, 77)
	s := newStage(t, tables(was))
	station := segmentOf(1)
	sent := func(what string, x talk, want packet.MAC) {
		t.Helper()
		_, out, v, err := s.trial.Classify(s.index[x.port], s.gen.write(x, false))
		if err != nil || v.Reason != 0 || packet.MAC(out) != want {
			t.Errorf("%s: dropped for %q, sent to %v, want %v (%v)", what, packet.ReasonName(v.Reason), packet.MAC(out), want, err)
		}
	}
	s.trial.At(time.Hour)
	sent("open", call(station, false, 40000, 2), was)
	sent("another", call(station, false, 40001, 2), was)
	s.load(tables(is))
	sent("after a commit", call(station, false, 40002, 2), is)
	sent("a live one", call(station, false, 40001, 2), is)
}

// What a commit unregisters in a strict segment may still be sent to, if a record says so; but what comes from it is refused,
// also when a flow of others leads there.
func TestAnUnregisteredStationIsNotAnsweredFor(t *testing.T) {
	tables := func(registered bool) packet.Tables {
		tables := worldTables(rand.New(rand.NewPCG(1, 1)), "strict")
		tables.Cells = []packet.Cell{{Src: 201, Dst: 203, Port: 1, Rule: 1}, {Src: 201, Dst: 103, Port: 1, Rule: 1}}
		tables.Hosts = slices.DeleteFunc(tables.Hosts, func(h packet.Host) bool {
			return !registered && (h.Addr == addr4(segmentOf(3), 11) || h.Addr == addr6(segmentOf(3), 11))
		})
		return tables
	}
	s := newStage(t, tables(true))
	station := segmentOf(1)
	for _, v6 := range []bool{false, true} {
		s.load(tables(true))
		s.expect("open", call(station, v6, 40000, 2), "")
		s.expect("answer", reply(station, v6, 40000, 0x12), "")
		s.load(tables(false))
		for range 3 {
			s.expect("to it", call(station, v6, 40000, 0x10), "")
			s.expect("from it", reply(station, v6, 40000, 0x10), "station-unregistered")
		}
		s.expect("a new one", call(station, v6, 40001, 2), "")
		s.expect("its answer", reply(station, v6, 40001, 0x12), "station-unregistered")
	}
}
