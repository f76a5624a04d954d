package gate

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/lending"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// A class whose line goes down takes its guarantee to the line that is left, and back; both devices stay shaped.
func TestPromisesFollowTheLines(t *testing.T) {
	const mbit = 1_000_000
	var a anchors.Anchors
	var trees []bandwidth.Tree
	for i, d := range []string{"line0", "line1"} {
		netlab.Veth(t, "", d, "", d+"far")
		a.Tunnels = append(a.Tunnels, anchors.Tunnel{Device: d})
		trees = append(trees, bandwidth.Tree{Device: d, Rate: 50 * mbit, Overhead: 60, Classes: []bandwidth.Class{
			{ID: 1, Name: "core", Guarantee: uint64(30-20*i) * mbit, Ceiling: 50 * mbit, Order: uint8(i)},
			{ID: 2, Name: "backup", Guarantee: uint64(10+20*i) * mbit, Ceiling: 50 * mbit, Priority: 2, Order: uint8(1 - i), Default: true}}})
	}
	far := plan.Plan{Region: "tokyo"}
	for _, x := range trees {
		far.Devices = append(far.Devices, plan.Device{Device: x.Device, Rate: x.Rate, Overhead: x.Overhead, Classes: x.Classes})
	}
	if err := far.Seal(); err != nil {
		t.Fatal(err)
	}
	other := far
	other.Region = "osaka"
	if err := other.Seal(); err != nil {
		t.Fatal(err)
	}
	set := tunnel.New(tunnel.Options{Keys: t.TempDir()})
	var told []bandwidth.Tree
	var toldPlans map[string]plan.Plan
	p := &promises{anchors: &a, tunnels: set, lender: lending.New(set), log: slog.Default(), inForce: func(x []bandwidth.Tree, y map[string]plan.Plan) { told, toldPlans = x, y }}
	if err := p.set(trees, map[string]plan.Plan{"tokyo": far, "osaka": other}); err != nil {
		t.Fatal(err)
	}
	core := func(device string) string {
		return netlab.Run(t, "", "tc", "class", "show", "dev", device, "classid", "1:11")
	}
	steps := []struct {
		down []string
		want [2]string
	}{
		{nil, [2]string{"rate 30Mbit", "rate 10Mbit"}},
		{[]string{"line0"}, [2]string{"rate 30Mbit", "rate 30Mbit"}},
		{nil, [2]string{"rate 30Mbit", "rate 10Mbit"}},
		{[]string{"line1"}, [2]string{"rate 30Mbit", "rate 10Mbit"}},
	}
	for _, s := range steps {
		p.look(left{lines: s.down, regions: map[string][]string{"tokyo": s.down}})
		for i, w := range s.want {
			if got := core(trees[i].Device); !strings.Contains(got, w) {
				t.Errorf("while %v is down, core on line%d: %swant %s", s.down, i, got, w)
			}
		}
		if len(told) != 2 {
			t.Errorf("while %v is down, %d trees have queues, want both", s.down, len(told))
		}
	}
	// What could not be done is done as soon as it can be, and keeps nobody else waiting.
	netlab.Run(t, "", "ip", "link", "set", "line0", "name", "gone0")
	p.look(left{})
	p.look(left{lines: []string{"line0"}})
	if got := core("line1"); !strings.Contains(got, "rate 30Mbit") {
		t.Errorf("beside a line that cannot be shaped, core on line1: %swant 30 Mbit/s", got)
	}
	netlab.Run(t, "", "ip", "link", "set", "gone0", "name", "line0")
	if err := bandwidth.Remove("line0"); err != nil {
		t.Fatal(err)
	}
	p.mtus = mtusOf(trees) // that it is there again is not what tells
	p.look(left{lines: []string{"line0"}})
	if got := core("line0"); !strings.Contains(got, "rate 30Mbit") {
		t.Errorf("what failed was not tried again: core on line0: %s", got)
	}
	// One region that leaves a line which lives for others takes its own guarantees along, and those only.
	p.look(left{regions: map[string][]string{"tokyo": {"line0"}}})
	if x := toldPlans["tokyo"].Devices[1].Classes; x[0].Guarantee != 30*mbit {
		t.Errorf("tokyo is told %+v for line1, want core's 30 Mbit/s there", x)
	}
	if x := toldPlans["osaka"].Devices[1].Classes; x[0].Guarantee != 10*mbit || told[1].Classes[0].Guarantee != 10*mbit {
		t.Errorf("osaka is told %+v, upstream stands %+v; want both as ever", x, told[1].Classes)
	}
	// An MTU that was discovered later changes what packets take on the line.
	netlab.Run(t, "", "ip", "link", "set", "line0", "mtu", "1394")
	p.look(left{lines: []string{"line1"}})
	if got := netlab.Run(t, "", "tc", "-d", "qdisc", "show", "dev", "line0", "root"); !strings.Contains(got, "mtu 1394") {
		t.Errorf("after the MTU has changed to 1394, packets are measured by %s", got)
	}
	for _, x := range trees {
		if err := bandwidth.Remove(x.Device); err != nil {
			t.Error(err)
		}
	}
}
