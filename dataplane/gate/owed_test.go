package gate

import (
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// A guarantee is what was promised, wherever its class goes now; what is not in force of it is told beside it.
func TestWhatIsOwedIsWhatWasPromised(t *testing.T) {
	tree := func(device string, core, bulk uint64) bandwidth.Tree {
		place := uint8(0)
		if device == "lo" {
			place = 1 // core prefers the other line
		}
		return bandwidth.Tree{Device: device, Rate: 100, Classes: []bandwidth.Class{{ID: 1, Name: "core", Guarantee: core, Order: place}, {ID: 2, Name: "bulk", Guarantee: bulk, Order: 1 - place}}}
	}
	promised := []bandwidth.Tree{tree("wg0", 50, 10), tree("lo", 5, 60)}
	device := func(t bandwidth.Tree) plan.Device {
		return plan.Device{Device: t.Device, Rate: t.Rate, Classes: t.Classes}
	}
	plans := map[string]plan.Plan{"tokyo": {Devices: []plan.Device{device(promised[0]), device(promised[1])}}}
	by := func(core string) ways.Ways {
		return ways.Ways{Devices: map[ways.Stream]string{{Region: "tokyo"}: "lo", {Region: "tokyo", Class: 1}: core}}
	}
	type owed struct{ guarantee, withheld uint64 }
	for name, c := range map[string]struct {
		ways       ways.Ways
		inForce    bandwidth.Tree // on lo
		core, bulk owed
		here       bool // core
	}{
		"both lines stand":                      {by("wg0"), tree("lo", 5, 60), owed{5, 0}, owed{60, 0}, false},
		"the other is down, and bulk gives way": {by("lo"), tree("lo", 50, 47), owed{50, 0}, owed{60, 13}, true},
		"the other is down, both give way":      {by("lo"), tree("lo", 30, 20), owed{50, 20}, owed{60, 40}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := look{at: time.Unix(1_800_000_000, 0), probed: &probed{}, reports: []tunnel.Report{{Device: "wg0", Peer: "tokyo-a", Region: "tokyo"}, {Device: "lo", Peer: "tokyo-b", Region: "tokyo"}},
				trees: []bandwidth.Tree{c.inForce}, plans: map[string]plan.Plan{"tokyo": {Devices: []plan.Device{device(c.inForce)}}}, promised: promised, promisedPlans: plans, ways: c.ways}
			lines, err := l.lines([]tunnel.Spec{{Device: "lo", Peers: make([]tunnel.Peer, 1)}})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []owed{c.core, c.bulk} {
				x := lines[0].Classes[i]
				if got := (owed{x.GuaranteeUp, x.WithheldUp}); got != want {
					t.Errorf("%s upwards: %+v, want %+v", x.Name, got, want)
				}
				if got := (owed{x.GuaranteeDown, x.WithheldDown}); got != want {
					t.Errorf("%s downwards: %+v, want %+v", x.Name, got, want)
				}
			}
			if got := len(lines[0].Classes[0].Regions) > 0; got != c.here {
				t.Errorf("core goes by here: %v, want %v", got, c.here)
			}
		})
	}
}

// Beside a region that answers, one that is silent is owed nothing downwards; when none answers, all are.
func TestSilentRegionsAreOwedNothingBesideOthers(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	classes := []bandwidth.Class{{ID: 1, Name: "core", Guarantee: 20}}
	told := plan.Plan{Devices: []plan.Device{{Device: "lo", Classes: classes}}}
	for name, c := range map[string]struct {
		rtt  time.Duration // of tokyo's probe
		want uint64
	}{"one answers": {5, 20}, "none answers": {0, 40}} {
		l := look{at: now, probed: &probed{}, trees: []bandwidth.Tree{{Device: "lo", Classes: classes}}, plans: map[string]plan.Plan{"tokyo": told, "osaka": told},
			reports: []tunnel.Report{{Device: "lo", Peer: "osaka-a", Region: "osaka"}, {Device: "lo", Peer: "tokyo-a", Region: "tokyo", Probes: map[uint8][]tunnel.Probe{1: {{Seq: 1, Sent: now, RTT: c.rtt}}}}}}
		lines, err := l.lines([]tunnel.Spec{{Device: "lo", Peers: make([]tunnel.Peer, 2)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := lines[0].Classes[0].GuaranteeDown; got != c.want {
			t.Errorf("%s: %d owed downwards, want %d", name, got, c.want)
		}
	}
}
