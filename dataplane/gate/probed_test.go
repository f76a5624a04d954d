package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// Each probe is counted once, when it was answered or had its time; one that waits holds back those after it, so that jitter sees them
// in their order.
func TestProbesAreCountedOnce(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	probe := func(seq uint64, ago, rtt time.Duration) tunnel.Probe {
		return tunnel.Probe{Seq: seq, Sent: now.Add(-ago), RTT: rtt}
	}
	var p probed
	steps := []struct {
		list       []tunnel.Probe
		sent, lost uint64
		trips      []time.Duration
		lossy      bool
	}{
		{[]tunnel.Probe{probe(1, 900*time.Millisecond, 5), probe(3, 700*time.Millisecond, 0), probe(5, 500*time.Millisecond, 6)}, 1, 0, []time.Duration{5}, false},
		{[]tunnel.Probe{probe(1, 1900*time.Millisecond, 5), probe(3, 1700*time.Millisecond, 0), probe(5, 1500*time.Millisecond, 6), probe(7, 300*time.Millisecond, 7)}, 4, 1, []time.Duration{6, 7}, true},
		{[]tunnel.Probe{probe(5, 2500*time.Millisecond, 6), probe(7, 1300*time.Millisecond, 7)}, 4, 1, nil, false},
		{[]tunnel.Probe{probe(2, 100*time.Millisecond, 9)}, 5, 1, []time.Duration{9}, false}, // asked anew, from the beginning
	}
	for i, s := range steps {
		a := p.take("wg0", []tunnel.Report{{Device: "wg0", Peer: "tokyo", Probes: map[uint8][]tunnel.Probe{1: s.list}}}, now)
		sent, lost, trips := a.of(1)
		if sent != s.sent || lost != s.lost || !slices.Equal(trips, s.trips) || a.lossy["tokyo"] != s.lossy {
			t.Errorf("step %d: sent %d, lost %d, trips %v, lossy %v; want %+v", i, sent, lost, trips, a.lossy["tokyo"], s)
		}
	}
	if sent, _, _ := p.lines["wg0"].whole(); sent != 5 {
		t.Errorf("of the line: %d", sent)
	}
	p.forget(nil)
	if len(p.lines) != 0 {
		t.Error("a device that went is remembered")
	}
}

// What both sides count is brought to the same kind of bytes, and a region's promise counts once for all its ends.
func TestALineIsRead(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var p probed
	end := func(peer string, rtt time.Duration) tunnel.Report {
		return tunnel.Report{Device: "lo", Peer: peer, Region: "tokyo", Probes: map[uint8][]tunnel.Probe{1: {{Seq: 1, Sent: now.Add(-time.Second), RTT: rtt}}},
			Far: talk.Reply{Received: 99, RxBytes: 700, Classes: []talk.Counter{{ID: 1, Bytes: 10_000, Packets: 10, Drops: 3, Backlog: 40}}}}
	}
	l := look{at: now, probed: &p, reports: []tunnel.Report{end("tokyo-a", 5), end("tokyo-b", 0)},
		ends:  []tunnel.Status{{Device: "lo", Peer: "tokyo-a", Tx: 800, Rx: 9000}, {Device: "lo", Peer: "tokyo-b"}},
		trees: []bandwidth.Tree{{Device: "lo", Rate: 100, Overhead: 60, Classes: []bandwidth.Class{{ID: 1, Name: "core", Guarantee: 20, Ceiling: 50}}}},
		plans: map[string]plan.Plan{"tokyo": {Devices: []plan.Device{{Device: "lo", Rate: 70, Overhead: 60, Classes: []bandwidth.Class{{ID: 1, Guarantee: 15, Ceiling: 40}}}}}}}
	lines, err := l.lines([]tunnel.Spec{{Device: "lo", Contract: "line-a", Line: "wan0", Peers: make([]tunnel.Peer, 2)}, {Device: "idle"}})
	if err != nil || len(lines) != 1 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	r := lines[0]
	if c := r.Classes[0]; r.Line != "line-a" || r.RateUp != 100 || r.RateDown != 70 || c.GuaranteeUp != 20 || c.GuaranteeDown != 15 || c.CeilingDown != 40 || len(c.Down) != 2 || c.Down[0].At != 99 || c.Down[0].Drops != 3 || c.Sent != 2 || c.Lost != 1 {
		t.Errorf("%+v", r)
	}
	if e := r.Ends[0]; !e.Answered || e.Loss || e.Both.Sent != 800 || e.Both.FarCame != 700 || e.Both.Came != 9000 || e.Both.FarSent != 10_000-10*28 {
		t.Errorf("an end that answers: %+v, %+v", e, e.Both)
	}
	if e := r.Ends[1]; e.Answered || !e.Loss {
		t.Errorf("an end that is silent: %+v", e)
	}
}
