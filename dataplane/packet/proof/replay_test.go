package proof_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/packettest"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
	"github.com/sekisho/sekisho/dataplane/packet/witness"
)

// stopped are the seeded faults whose packet a program stops, by the reason it gives: what the tables permit there, the
// programs refuse by something that no table can change.
var stopped = map[string]string{
	"a class opens to itself":                            "destination-address", // from an address to itself
	"a station's address as the gate's":                  "egress-mismatch",     // the gate sends only into the segment of its address
	"the gate opens into another zone":                   "egress-mismatch",
	"the gate opens to itself":                           "destination-unknown", // nobody sends from one of the gate's addresses to another
	"a direct class that may not go directly":            "egress-mismatch",     // no next hop is left
	"a region's class that is forwarded in clear":        "egress-unguarded",    // a tunnel's device is no exit for frames
	"a station with a group MAC":                         "l2-source",
	"a strict prefix bound to a MAC that is no router's": "station-mac-mismatch",
	"a multicast group as a station":                     "destination-address",
	"everybody's broadcast as a station":                 "destination-address",
	"a record for ICMP errors":                           "icmp-quote",
}

// The proof names a packet, and the loaded program really lets it pass: for every seeded fault that an image can hold.
func TestProofAndProgramAgree(t *testing.T) {
	core := packettest.Open(t, proof.TownAnchors(t))
	before := state(t, core)
	r, err := core.Rehearse()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	played := map[string]int{} // counterexamples that the first program let pass, by invariant
	proof.EachSeeded(func(name string, spoil func(*packet.Tables)) {
		tables := proof.Sound()
		spoil(tables)
		staged, err := core.Load(*tables)
		if err != nil {
			return // the image does not even hold it
		}
		defer staged.Discard()
		decoded := staged.Decoded()
		found := proof.Check(&decoded, proof.TownAnchors(t))
		if err := witness.In(r, staged, proof.TownAnchors(t), found); err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		for _, v := range found {
			if v.Counterexample == nil || v.Replay == nil {
				continue
			}
			t.Logf("%s: %s: %s: %s", name, v.Invariant, v.Counterexample, v.Replay)
			switch re := v.Replay; {
			case re.Error != "":
				t.Errorf("%s: %s: %s: %s", name, v.Invariant, v.Counterexample, re)
			case re.Reason == "station-unregistered" && v.Counterexample.SMAC == proof.Stranger:
				// The entry would bind nobody: where stations must be registered, that lets nobody send.
			case re.Verdict == "drop" && re.Reason != stopped[name]:
				t.Errorf("%s: %s: %s: %s; want it passed", name, v.Invariant, v.Counterexample, re)
			case re.Verdict != "drop":
				played[v.Invariant]++
			}
		}
	})
	for _, invariant := range []string{"I1", "I2", "I3", "I4", "I5", "I7", "I10", "I13"} {
		if played[invariant] == 0 {
			t.Errorf("no program let a counterexample of %s pass", invariant)
		}
	}
	if after := state(t, core); after != before {
		t.Errorf("the rehearsal left traces where packets are decided:\nbefore %s\nafter  %s", before, after)
	}
}

// What each kind of fault looks like to the loaded programs.
func TestReplay(t *testing.T) {
	core := packettest.Open(t, proof.TownAnchors(t))
	seeded := map[string]func(*packet.Tables){}
	proof.EachSeeded(func(name string, spoil func(*packet.Tables)) { seeded[name] = spoil })
	overNight := func(t *packet.Tables) { // a record that is over, and was only in force on Sundays
		seeded["a range of ports between My Number and LGWAN"](t)
		at := len(t.Rules) - 1
		t.Rules[at].From, t.Rules[at].Until, t.Rules[at].Window = 1000, 40000, 1
		t.Windows = []packet.Window{{ID: 1, Spans: []packet.Span{{From: 6 * 24 * 60, To: 7 * 24 * 60}}}}
	}
	stolen := func(t *packet.Tables) {
		for i := range t.Hosts {
			if h := &t.Hosts[i]; h.Addr.String() == "203.0.113.11" {
				h.Segment, h.Class, h.MAC = t.Hosts[0].Segment, t.Hosts[0].Class, t.Hosts[0].MAC
			}
		}
	}
	r, err := core.Rehearse()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, x := range []struct {
		name  string
		spoil func(*packet.Tables)
		want  string // beginning of the answer
	}{
		{"I1", seeded["My Number to internet"], "the loaded program passes it: redirect to port in0; there the egress program, as second engine, stops it: egress-zone-pair"},
		{"I2", seeded["My Number opens to a whole prefix of LGWAN"], "the loaded program passes it: redirect to port lg0 VLAN 20 via 198.18.20.254"},
		{"I3", seeded["LGWAN to internet by a record of the gate"], "the loaded program passes it: redirect to port in0"},
		{"I4", stolen, "the loaded program passes it: up to the gate"},
		{"I5", seeded["a portal opens"], "the loaded program passes it: redirect to port lg0 VLAN 20"},
		{"I5", seeded["the line reaches HTTPS on the gate"], "the loaded program passes it: up to the gate"},
		{"I5", seeded["the gate opens what the anchors do not name"], "the loaded program lets the gate send it by lg0"},
		{"I7", seeded["a class that leaves by another next hop"], "the loaded program passes it: redirect to port lg0 VLAN 20 via 198.18.20.9"},
		{"I7", seeded["a class that leaves by another port"], "the loaded program passes it: redirect to port in0 VLAN 20 via 198.18.20.254; there the egress program, as second engine, stops it: egress-wrong-port"},
		{"I7", seeded["a next hop for what is reached directly"], "the loaded program passes it: redirect to port in0 via 203.0.113.9"},
		{"I7", seeded["a routed class that may go directly"], "the loaded program passes it: redirect to port lg0 VLAN 20"},
		{"I13", seeded["management into LGWAN"], "the loaded program passes it: redirect to port lg0 VLAN 20; there the egress program, as second engine, stops it: egress-zone-pair"},
		{"I2", overNight, "the loaded program passes it: redirect to port lg0 VLAN 20 via 198.18.20.254 (at 1970-01-25 00:00 UTC)"},
	} {
		tables := proof.Sound()
		x.spoil(tables)
		staged, err := core.Load(*tables)
		if err != nil {
			t.Fatal(err)
		}
		decoded := staged.Decoded()
		found := proof.Check(&decoded, proof.TownAnchors(t))
		if err := witness.In(r, staged, proof.TownAnchors(t), found); err != nil {
			t.Fatal(err)
		}
		staged.Discard()
		i := slices.IndexFunc(found, func(v proof.Violation) bool { return v.Invariant == x.name && v.Replay != nil })
		if i < 0 {
			t.Errorf("%s: got %v, want a replay", x.name, found)
			continue
		}
		if got := found[i].Replay.String(); got != x.want {
			t.Errorf("%s: %s\ngot  %s\nwant %s", x.name, found[i], got, x.want)
		}
	}
}

// state is all that packets change, and what is in force.
func state(t *testing.T, core *packet.Core) string {
	t.Helper()
	counters, err := core.Counters()
	if err != nil {
		t.Fatal(err)
	}
	flows, err := core.Flows(100)
	if err != nil {
		t.Fatal(err)
	}
	active, ok := core.Active()
	return fmt.Sprintf("%+v %v %v %s", counters, flows, ok, packet.Hash(active))
}
