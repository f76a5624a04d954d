package model_test

import (
	"net/netip"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// The model against the programs is tested in package packet; here is what only people ask it.

var (
	pc     = packet.MAC{2, 0, 0, 0, 0x10, 0x11}
	rogue  = packet.MAC{2, 0, 0, 0, 0x10, 0x66}
	router = packet.MAC{2, 0, 0, 0, 0x20, 0xfe}
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// town: a strict My Number segment, an LGWAN segment with a router, the internet, and a region behind a tunnel.
func town() (*packet.Tables, *anchors.Anchors) {
	t := &packet.Tables{
		Segments: []packet.Segment{
			{ID: 1, Name: "mn", Zone: anchors.MyNumber, Port: "mn0", Strict: true},
			{ID: 2, Name: "lg", Zone: anchors.LGWAN, Port: "lg0", VLAN: 20},
			{ID: 3, Name: "in", Zone: anchors.Internet, Port: "in0"},
			{ID: 4, Name: "tokyo", Zone: anchors.MyNumber, Port: "wg0", Tunnel: true},
		},
		Hosts: []packet.Host{
			{Addr: addr("198.18.10.11"), Class: 1, Segment: 1, MAC: pc}, {Addr: addr("2001:db8:10::11"), Class: 1, Segment: 1, MAC: pc},
			{Addr: addr("198.18.10.1"), Class: 9, Segment: 1}, {Addr: addr("198.51.100.11"), Class: 4, Segment: 4},
			{Addr: addr("203.0.113.11"), Class: 3, Segment: 3}, {Addr: addr("2001:db8:31::11"), Class: 3, Segment: 3},
		},
		Prefixes: []packet.Prefix{
			{Prefix: prefix("198.18.10.0/24"), Class: 5, Segment: 1}, {Prefix: prefix("2001:db8:10::/64"), Class: 5, Segment: 1},
			{Prefix: prefix("198.18.20.0/24"), Class: 2, Segment: 2, MAC: router}, {Prefix: prefix("198.51.100.0/26"), Class: 6, Segment: 4},
			{Prefix: prefix("203.0.113.0/24"), Class: 7, Segment: 3},
		},
		Classes: []packet.Class{
			{ID: 1, Segment: 1, Kind: packet.KindForward, Port: "mn0", OnLink: true}, {ID: 5, Segment: 1, Kind: packet.KindForward, Port: "mn0", OnLink: true},
			{ID: 2, Segment: 2, Kind: packet.KindForward, Port: "lg0", VLAN: 20, Via: []netip.Addr{addr("198.18.21.254")}},
			{ID: 3, Segment: 3, Kind: packet.KindForward, Port: "in0", OnLink: true}, {ID: 7, Segment: 3, Kind: packet.KindForward, Port: "in0", OnLink: true},
			{ID: 4, Segment: 4, Kind: packet.KindTunnel, Port: "wg0", OnLink: true}, {ID: 6, Segment: 4, Kind: packet.KindTunnel, Port: "wg0", OnLink: true},
			{ID: 9, Segment: 1, Kind: packet.KindLocal, Port: "mn0"},
		},
		Ports: []packet.PortRange{{Proto: 6, Lo: 443, Hi: 443, Class: 1}, {Proto: 1, Lo: 8, Hi: 8, Class: 2}, {Proto: 58, Lo: 128, Hi: 128, Class: 2}},
		Cells: []packet.Cell{
			{Src: 1, Dst: 4, Port: 1, Rule: 7, BWClass: 2}, {Src: 4, Dst: 1, Port: 1, Rule: 7}, {Src: 1, Dst: 9, Port: 2, Rule: 8},
			{Src: 1, Dst: 2, Port: 1, Rule: 7}, {Src: 1, Dst: 3, Port: 2, Rule: 9}, // the last two must be stopped later on
		},
		Rules: []packet.Rule{{ID: 7, Records: []string{"to-the-region"}}, {ID: 8, Records: []string{"gate:echo"}}, {ID: 9, Records: []string{"a-lie"}}},
	}
	a := &anchors.Anchors{Segments: []anchors.Segment{
		{ID: "mn", Zone: anchors.MyNumber, Port: "mn0", Prefixes: []netip.Prefix{prefix("198.18.10.0/24"), prefix("2001:db8:10::/64")}},
		{ID: "lg", Zone: anchors.LGWAN, Port: "lg0", VLAN: 20, Prefixes: []netip.Prefix{prefix("198.18.20.0/24")}},
		{ID: "in", Zone: anchors.Internet, Port: "in0", Prefixes: []netip.Prefix{prefix("203.0.113.0/24"), prefix("2001:db8:31::/64")}},
		{ID: "tokyo", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0", Prefixes: []netip.Prefix{prefix("198.51.100.0/26")}},
	}}
	return t, a
}

func TestExplainNamesTheStepThatDecides(t *testing.T) {
	tables, a := town()
	for _, x := range []struct {
		what   string
		q      model.Query
		step   string // the last one
		reason string // "" = passes
		rule   uint32
	}{
		{"designated communication", model.Query{Src: addr("198.18.10.11"), Dst: addr("198.51.100.11"), Proto: 6, DPort: 443}, "forward", "", 7},
		{"from the region", model.Query{Src: addr("198.51.100.11"), Dst: addr("198.18.10.11"), Proto: 6, DPort: 443}, "forward", "", 7},
		{"echo to the gate", model.Query{Src: addr("198.18.10.11"), Dst: addr("198.18.10.1"), Proto: 1, DPort: 8}, "forward", "", 8},
		{"another port", model.Query{Src: addr("198.18.10.11"), Dst: addr("198.51.100.11"), Proto: 6, DPort: 80}, "policy", "no-cell", 0},
		{"another protocol", model.Query{Src: addr("198.18.10.11"), Dst: addr("198.51.100.11"), Proto: 17, DPort: 443}, "policy", "no-cell", 0},
		{"another card", model.Query{Src: addr("198.18.10.11"), Dst: addr("198.51.100.11"), Proto: 6, DPort: 443, MAC: rogue}, "station", "station-mac-mismatch", 0},
		{"nobody's address", model.Query{Src: addr("198.18.10.77"), Dst: addr("198.51.100.11"), Proto: 6, DPort: 443}, "station", "station-unregistered", 0},
		{"spoofed in another zone", model.Query{From: anchors.Internet, Src: addr("198.18.10.11"), Dst: addr("198.51.100.11"), Proto: 6, DPort: 443}, "station", "source-not-in-segment", 0},
		{"unknown destination", model.Query{Src: addr("198.18.10.11"), Dst: addr("192.0.2.1"), Proto: 6, DPort: 443}, "destination", "destination-unknown", 0},
		{"no such segment", model.Query{Src: addr("192.0.2.1"), Dst: addr("198.51.100.11"), Proto: 6, DPort: 443}, "segment", "segment-unknown", 0},
		{"two families", model.Query{Src: addr("198.18.10.11"), Dst: addr("2001:db8::1"), Proto: 6, DPort: 443}, "parse", "ip-header", 0},
		{"multicast", model.Query{Src: addr("198.18.10.11"), Dst: addr("224.0.0.1"), Proto: 17, DPort: 443}, "station", "destination-address", 0},
		{"another tag", model.Query{Src: addr("198.18.10.11"), Dst: addr("198.18.20.11"), Proto: 6, DPort: 443}, "egress", "", 0},
		{"a record that joins two zones", model.Query{Src: addr("198.18.10.11"), Dst: addr("203.0.113.11"), Proto: 1, DPort: 8}, "egress", "egress-zone-pair", 0},
		{"the same over IPv6", model.Query{Src: addr("2001:db8:10::11"), Dst: addr("2001:db8:31::11"), Proto: 58, DPort: 128}, "egress", "egress-zone-pair", 0},
	} {
		steps := model.Explain(tables, a, x.q)
		if len(steps) == 0 {
			t.Errorf("%s: no steps", x.what)
			continue
		}
		last := steps[len(steps)-1]
		if last.Name != x.step || last.Reason != x.reason || last.OK != (x.reason == "") || last.Text == "" {
			t.Errorf("%s: ended with %+v, want step %s, reason %q", x.what, last, x.step, x.reason)
		}
		for _, s := range steps[:len(steps)-1] {
			if !s.OK {
				t.Errorf("%s: went on after %+v", x.what, s)
			}
			if s.Name == "policy" && x.rule != 0 && (s.Rule != x.rule || len(s.Records) != 1) {
				t.Errorf("%s: policy step %+v, want rule %d and its record", x.what, s, x.rule)
			}
		}
	}
}

func TestDecideIncludesTheEgressProgramWhenItKnowsTheAnchors(t *testing.T) {
	tables, a := town()
	tables.Epoch = 1
	gate := packet.MAC{2, 0, 0, 0, 0, 1}
	frame := append(append(append([]byte{}, gate[:]...), pc[:]...), 8, 0,
		0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 198, 18, 10, 11, 203, 0, 113, 11, 8, 0, 0, 0, 0, 1, 0, 1)
	decide := func(a *anchors.Anchors) model.Decision {
		st := &model.State{MACs: map[string]packet.MAC{"mn0": gate}, Route: func(_ string, _, dst netip.Addr) model.Hop {
			return model.Hop{Found: true, Device: "in0", Next: dst, MAC: pc, MTU: 1500}
		}}
		return model.Decide(tables, a, st, model.Packet{Port: "mn0", Frame: frame})
	}
	if d := decide(nil); d.Verdict != model.Redirect || d.Egress != "in0" || d.Rule != 9 || !d.Opened {
		t.Errorf("classifier alone: %+v", d)
	}
	if d := decide(a); d.Verdict != model.Drop || d.Reason != "egress-zone-pair" {
		t.Errorf("with the egress program: %+v", d)
	}
}

func TestLeaveKeepsZonesApart(t *testing.T) {
	_, a := town()
	mn, lg, in := addr("198.18.10.11"), addr("198.18.20.11"), addr("203.0.113.11")
	for _, x := range []struct {
		what     string
		in       string
		out      string
		vlan     uint16
		outer    uint16
		src, dst netip.Addr
		want     string
	}{
		{"My Number to LGWAN", "mn0", "lg0", 20, 0, mn, lg, ""},
		{"LGWAN to internet", "lg0", "in0", 0, 0, lg, in, ""},
		{"My Number to internet", "mn0", "in0", 0, 0, mn, in, "egress-zone-pair"},
		{"internet to My Number", "in0", "mn0", 0, 0, in, mn, "egress-zone-pair"},
		{"without its tag", "mn0", "lg0", 0, 0, mn, lg, "egress-wrong-port"},
		{"with a tag around its tag", "mn0", "lg0", 20, 9, mn, lg, "egress-wrong-port"},
		{"by another port", "mn0", "in0", 0, 0, mn, lg, "egress-wrong-port"},
		{"from another port", "in0", "lg0", 20, 0, mn, lg, "egress-wrong-source"},
		{"from nowhere", "mn0", "lg0", 20, 0, addr("192.0.2.1"), lg, "egress-source"},
		{"to nowhere", "mn0", "lg0", 20, 0, mn, addr("192.0.2.1"), "egress-destination"},
	} {
		if got := model.Leave(a, nil, x.in, model.Exit{Port: x.out, VLAN: x.vlan, Outer: x.outer}, x.src, x.dst); got != x.want {
			t.Errorf("%s: %q, want %q", x.what, got, x.want)
		}
	}
}
