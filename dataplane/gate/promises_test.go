package gate

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/lending"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
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
	set := tunnel.New(tunnel.Options{Keys: t.TempDir()})
	var told []bandwidth.Tree
	p := &promises{anchors: &a, tunnels: set, lender: lending.New(set), log: slog.Default(), inForce: func(x []bandwidth.Tree, _ map[string]plan.Plan) { told = x }}
	if err := p.set(trees, map[string]plan.Plan{"tokyo": far}); err != nil {
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
		p.look(s.down)
		for i, w := range s.want {
			if got := core(trees[i].Device); !strings.Contains(got, w) {
				t.Errorf("while %v is down, core on line%d: %swant %s", s.down, i, got, w)
			}
		}
		if len(told) != 2 {
			t.Errorf("while %v is down, %d trees have queues, want both", s.down, len(told))
		}
	}
	// An MTU that was discovered later changes what packets take on the line.
	netlab.Run(t, "", "ip", "link", "set", "line0", "mtu", "1394")
	p.look([]string{"line1"})
	if got := netlab.Run(t, "", "tc", "-d", "qdisc", "show", "dev", "line0", "root"); !strings.Contains(got, "mtu 1394") {
		t.Errorf("after the MTU has changed to 1394, packets are measured by %s", got)
	}
	for _, x := range trees {
		if err := bandwidth.Remove(x.Device); err != nil {
			t.Error(err)
		}
	}
}

func TestDeadLines(t *testing.T) {
	r := func(device string, s ways.State) tunnel.Report { return tunnel.Report{Device: device, State: s} }
	for _, c := range []struct {
		name string
		ends []tunnel.Report
		want []string
	}{
		{"all up", []tunnel.Report{r("wg0", ways.Up), r("wg1", ways.Up)}, nil},
		{"one region of a line lives", []tunnel.Report{r("wg0", ways.Down), r("wg0", ways.Up), r("wg1", ways.Down)}, []string{"wg1"}},
		{"held is not dead", []tunnel.Report{r("wg0", ways.Held), r("wg1", ways.Up)}, nil},
		{"all down: nothing is left to plan for", []tunnel.Report{r("wg0", ways.Down), r("wg1", ways.Down)}, nil},
		{"no tunnels", nil, nil},
	} {
		if got := deadLines(c.ends); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
