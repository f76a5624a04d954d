package tunnel_test

import (
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/linelab"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// A far end without a plan does not listen where a plan with such numbers will have it asked.
func TestPlanWithHighNumbersReachesTheFarEnd(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	const mbit = 1_000_000
	hand := func(first, second uint8) {
		t.Helper()
		p := plan.Plan{Region: "tokyo"}
		for i := range 2 {
			p.Devices = append(p.Devices, plan.Device{Device: linelab.Device(i), Rate: 20 * mbit, Overhead: 60, Classes: []bandwidth.Class{
				{ID: first, Name: "core", Guarantee: 5 * mbit, Ceiling: 20 * mbit}, {ID: second, Name: "rest", Guarantee: mbit, Ceiling: 20 * mbit, Default: true}}})
		}
		if err := p.Seal(); err != nil {
			t.Fatal(err)
		}
		text, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			w.set.Classes(linelab.Device(i), []uint8{first, second})
		}
		w.set.SetPlan("tokyo", p.Hash, text)
		netlab.Until(t, 20*time.Second, "the plan is in force and each class is answered", func() bool {
			for _, r := range w.set.Results() {
				if r.Region != "tokyo" {
					continue
				}
				if r.Far.Plan != p.Hash || !answered(r.Probes[first]) || !answered(r.Probes[second]) {
					return false
				}
			}
			return true
		})
	}
	hand(20, 63)
	hand(30, 41) // it listens where the plan before had it
	for _, r := range w.set.Reports() {
		if st := w.status(t, r.Peer); st.State != "up" {
			t.Errorf("%s is %s after another plan, want it up all the time", r.Peer, st.State)
		}
	}
}

func answered(all []tunnel.Probe) bool {
	for _, p := range all {
		if p.RTT > 0 {
			return true
		}
	}
	return false
}
