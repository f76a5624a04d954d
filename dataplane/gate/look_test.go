package gate

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
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
	type figure struct {
		name, class string
		of          func(measure.Sample) float64
		low, high   float64
	}
	// hold watches until the figures lie where they have to in the middle of the seconds watched, which those of a busy machine do not
	// at once: some seconds are not counted, and in some its senders do not come to fill the line.
	hold := func(seconds int, settling uint64, figures ...figure) {
		t.Helper()
		for try := range 4 {
			var begun uint64
			if all := r.After(0, 0, 1000); len(all) > 0 {
				begun = all[len(all)-1].Seq
			}
			watch(seconds)
			var wrong []string
			for _, x := range figures {
				got := middle(x.class, begun+settling, x.of)
				t.Logf("%s: %.3f", x.name, got)
				if got < x.low || got > x.high {
					wrong = append(wrong, fmt.Sprintf("%s: %.3f, want %v to %v", x.name, got, x.low, x.high))
				}
			}
			if wrong == nil {
				return
			}
			if try == 3 {
				t.Error(strings.Join(wrong, "\n"))
			}
		}
	}
	arrived := func(way func(measure.Sample) measure.Flow) func(measure.Sample) float64 {
		return func(s measure.Sample) float64 { return way(s).Arrived }
	}
	hold(16, 4,
		figure{"core upwards, of the line", "core", rate(up), 0.57, 0.75},
		figure{"core downwards", "core", rate(down), 0.57, 0.75},
		figure{"backup downwards", "backup", rate(down), 0.28, 0.42},
		figure{"the line upwards", "", rate(up), 0.93, 1.01},
		figure{"the line downwards", "", rate(down), 0.93, 1.01},
		figure{"arrived upwards", "", arrived(up), 0.985, 1},
		figure{"arrived downwards", "", arrived(down), 0.985, 1},
		figure{"guaranteed downwards", "core", func(s measure.Sample) float64 { return float64(s.Down.Guarantee) / line }, 0.55, 0.61},
		figure{"probes of core", "core", func(s measure.Sample) float64 { return float64(s.Probe.Sent) }, 2, 20},
	)
	netlab.Run(t, "near0", "tc", "qdisc", "replace", "dev", "up0", "root", "stab", "overhead", "-14", "tbf", "rate", "7000000", "burst", "16000", "latency", "50ms")
	hold(20, 9,
		figure{"of a line that passes 0.7 of its contract arrives", "", arrived(up), 0, 0.9},
		figure{"downwards, where nothing changed", "", arrived(down), 0.97, 1},
	)
}
