package gate

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/tunlab"
)

// A real line with a real far end, both directions full: what both ends count agrees with what arrives. Then the carrier passes less
// than it was paid for, and the measures tell it within the seconds that they look at.
func TestARealLineIsMeasured(t *testing.T) {
	const line = 10_000_000
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	classes := []bandwidth.Class{
		{ID: 1, Name: "core", Guarantee: line * 6 / 10, Ceiling: line, Latency: bandwidth.Interactive},
		{ID: 2, Name: "backup", Guarantee: line * 3 / 10, Ceiling: line, Priority: 1, Default: true, Latency: bandwidth.Bulk},
	}
	lab := tunlab.New(t, tunlab.Config{Lines: []tunlab.Line{{Up: line, Down: line}}, Regions: []string{"tokyo"}, Classes: classes, Far: []string{exe, "region"}})
	var r measure.Recorder
	var p probed
	watch := func(seconds int) {
		for range seconds {
			now := time.Now()
			time.Sleep(now.Truncate(time.Second).Add(time.Second).Sub(now))
			at := time.Now()
			l := look{at: at, trees: lab.Trees, plans: lab.Plans, ends: lab.Set.Status(), reports: lab.Set.Results(), probed: &p}
			lines, err := l.lines(lab.Set.Specs())
			if err != nil {
				t.Fatal(err)
			}
			r.Take(at, lines)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	defer func() { stop(); senders.Wait() }()
	for _, c := range classes {
		for _, down := range []bool{false, true} {
			f := tunlab.Flow{Class: c.ID, Down: down, Size: 1300, Rate: 2 * line}
			if c.Name == "core" {
				f.Rate = 0.64 * line // more than its guarantee, but not so much that its own queue drops the probes
			}
			lab.Receive(t, f)
			lab.Send(t, ctx, &senders, f)
		}
	}
	watch(16)
	// middle is a figure of the seconds since a look, so that one late second of a busy machine decides nothing.
	middle := func(class string, after uint64, of func(measure.Sample) float64) float64 {
		var v []float64
		for _, s := range r.After(0, 0, 1000) {
			if x := of(s); s.Class == class && s.Seq > after && x >= 0 {
				v = append(v, x)
			}
		}
		if len(v) == 0 {
			return -1
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	rate := func(way func(measure.Sample) measure.Flow) func(measure.Sample) float64 {
		return func(s measure.Sample) float64 {
			if !way(s).Counted {
				return -1
			}
			return way(s).Delivered(s.Span) / line
		}
	}
	up, down := func(s measure.Sample) measure.Flow { return s.Up }, func(s measure.Sample) measure.Flow { return s.Down }
	for _, x := range []struct {
		name, class string
		got         float64
		low, high   float64
	}{
		{"core upwards, of the line", "core", middle("core", 4, rate(up)), 0.57, 0.75},
		{"core downwards", "core", middle("core", 4, rate(down)), 0.57, 0.75},
		{"backup downwards", "backup", middle("backup", 4, rate(down)), 0.28, 0.42},
		{"the line upwards", "", middle("", 4, rate(up)), 0.93, 1.01},
		{"the line downwards", "", middle("", 4, rate(down)), 0.93, 1.01},
		{"arrived upwards", "", middle("", 4, func(s measure.Sample) float64 { return s.Up.Arrived }), 0.985, 1},
		{"arrived downwards", "", middle("", 4, func(s measure.Sample) float64 { return s.Down.Arrived }), 0.985, 1},
		{"guaranteed downwards", "core", middle("core", 4, func(s measure.Sample) float64 { return float64(s.Down.Guarantee) / line }), 0.55, 0.61},
		{"probes of core", "core", middle("core", 4, func(s measure.Sample) float64 { return float64(s.Probe.Sent) }), 2, 20},
	} {
		t.Logf("%s: %.3f", x.name, x.got)
		if x.got < x.low || x.got > x.high {
			t.Errorf("%s: %.3f, want %v to %v", x.name, x.got, x.low, x.high)
		}
	}
	all := r.After(0, 0, 1000)
	begun := all[len(all)-1].Seq
	netlab.Run(t, "near0", "tc", "qdisc", "replace", "dev", "up0", "root", "stab", "overhead", "-14", "tbf", "rate", "7000000", "burst", "16000", "latency", "50ms")
	watch(20)
	if got := middle("", begun+9, func(s measure.Sample) float64 { return s.Up.Arrived }); got < 0 || got > 0.9 {
		t.Errorf("of a line that passes 0.7 of its contract %.3f arrives", got)
	}
	if got := middle("", begun+9, func(s measure.Sample) float64 { return s.Down.Arrived }); got < 0.97 {
		t.Errorf("downwards, where nothing changed, %.3f arrives", got)
	}
}
