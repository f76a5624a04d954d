package packet_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// A cut zone ends its live flows with the next packet, whichever of the fast ways they go, and nobody else's; given back, what
// the same tables permit passes again.
func TestIsolationIsSeenByTheNextPacketOfAFlow(t *testing.T) {
	tables := worldTables(rand.New(rand.NewPCG(1, 1)), "isolation")
	tables.Cells = []packet.Cell{
		{Src: 201, Dst: 203, Port: 1, Rule: 1}, {Src: 204, Dst: 203, Port: 1, Rule: 2}, {Src: 208, Dst: 203, Port: 1, Rule: 3}, {Src: 203, Dst: 204, Port: 1, Rule: 3},
	}
	s := newStage(t, tables)
	isolate := func(zones ...anchors.Zone) {
		t.Helper()
		cut := map[anchors.Zone]bool{}
		for _, z := range zones {
			cut[z] = true
		}
		if err := s.trial.Isolate(cut, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.trial.At(time.Hour) // at the beginning of time nothing is fast
	mn, in := segmentOf(1), segmentOf(4)
	port, fresh := uint16(40000), uint16(50000)
	for _, v6 := range []bool{false, true} {
		for _, vlan := range []int{-1, 0} { // a frame with a priority tag takes the longer of the two fast ways
			port++
			marked := func(x talk) talk {
				x.vlan = vlan
				return x
			}
			for _, station := range []segment{mn, in} {
				s.expect("open", marked(call(station, v6, port, 2)), "")
				s.expect("answer", marked(reply(station, v6, port, 0x12)), "")
				for range 3 {
					s.expect("go on", marked(call(station, v6, port, 0x10)), "")
					s.expect("go on", marked(reply(station, v6, port, 0x10)), "")
				}
			}
			for _, cut := range [][]anchors.Zone{{anchors.MyNumber}, {anchors.Internet}, {anchors.LGWAN}, {anchors.MyNumber, anchors.Internet}, {anchors.Management}, {anchors.Uplink}, nil} {
				isolate(cut...)
				for _, station := range []segment{mn, in} {
					want := ""
					for _, z := range cut {
						if z == station.zone || z == anchors.LGWAN {
							want = "zone-isolated"
						}
					}
					s.expect("go on", marked(call(station, v6, port, 0x10)), want)
					s.expect("go on", marked(reply(station, v6, port, 0x10)), want)
					fresh++
					s.expect("a new one", marked(call(station, v6, fresh, 2)), want)
				}
			}
		}
	}
}

// What stays open in a cut zone is what lets neighbours find each other; the gate's own services there are shut as well.
func TestWhatAnIsolatedZoneMayStillSay(t *testing.T) {
	tables := guardTables()
	s := newStage(t, tables)
	mn := segmentOf(1)
	shout := from(mn, 11, netip.MustParseAddr("224.0.0.251"))
	shout.proto, shout.sport, shout.dport, shout.dmac = 17, 5353, 53, everybody
	gate := from(mn, 11, addr4(mn, 1))
	gate.proto, gate.sport, gate.dport, gate.flags = 6, 40000, 443, 2
	lease := from(mn, 11, addr4(segmentOf(3), 11))
	lease.proto, lease.sport, lease.dport, lease.payload = 17, 67, 67, []byte{1, 1, 6, 0}
	nowhere := from(segmentOf(3), 11, addr4(mn, 12))
	nowhere.proto, nowhere.sport, nowhere.dport = 17, 4000, 9
	nd := talk{port: "a0", vlan: -1, smac: hostMAC(1, 11), dmac: portMAC("a0"), src: addr6(mn, 11), dst: addr6(mn, 1), proto: 58, typ: 135, ttl: 255}
	nd.payload = append(addr6(mn, 1).AsSlice(), option(1, 1, nd.smac)...)
	for _, cut := range []bool{false, true} {
		want := func(open string) string {
			if cut {
				return "zone-isolated"
			}
			return open
		}
		zones := map[anchors.Zone]bool{}
		if cut {
			zones[anchors.MyNumber] = true
		}
		if err := s.trial.Isolate(zones, nil); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.send("a0", arp(1, hostMAC(1, 11), addr4(mn, 11), addr4(mn, 1))); got != "" {
			t.Errorf("cut %v: ARP for the gate is dropped for %q", cut, got)
		}
		s.expect("neighbour discovery", nd, "")
		s.expect("to a group", shout, want(""))
		s.expect("to the gate", gate, want(""))
		s.expect("DHCP of a relay", lease, want(""))
		s.expect("what no cell permits anyway", nowhere, want("no-cell"))
	}
}
