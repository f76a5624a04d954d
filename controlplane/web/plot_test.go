package web

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
)

func TestPlot(t *testing.T) {
	from := time.Unix(1_800_000_000, 0)
	second := func(at int, mbits float64, v evidence.Verdict) evidence.Record {
		w := evidence.Way{Bytes: uint64(mbits * 1e6 / 8), Guarantee: 20e6}
		w.Count[v] = 1
		return evidence.Record{At: from.Unix() + int64(at), Covered: 1, Span: time.Second, Up: w}
	}
	draw := func(records ...evidence.Record) plot {
		return plotOf(records, false, from, from.Add(100*time.Second), 10*time.Second)
	}
	if p := draw(); !p.Empty || p.Delivered != "" {
		t.Errorf("of nothing: %+v", p)
	}
	if p := draw(second(5, 0, evidence.NotCounted)); !p.Empty {
		t.Errorf("what nobody counts is drawn: %+v", p)
	}
	p := draw(second(0, 30, evidence.Kept), second(5, 10, evidence.ByLine), second(12, 40, evidence.Kept), second(70, 5, evidence.Idle), second(200, 900, evidence.Kept))
	if p.Top != 50e6 {
		t.Errorf("upper edge %v: want 50 Mbit/s", p.Top)
	}
	if want := []mark{{200, 500}, {800, 200}}; !slices.Equal(p.Gaps, want) {
		t.Errorf("gaps %v, want %v", p.Gaps, want)
	}
	if want := []mark{{0, 100}}; !slices.Equal(p.Broken, want) {
		t.Errorf("not kept at %v, want %v: a second shows, whatever the mean", p.Broken, want)
	}
	if want := "M0 90H100L100 30H200M700 135H800"; p.Delivered != want { // the mean of 30 and 10 is 20 of 50
		t.Errorf("path %q, want %q", p.Delivered, want)
	}
	if strings.Count(p.Area, "Z") != 2 || strings.Count(p.Guarantee, "M") != 2 {
		t.Errorf("area %q, guarantee %q: want two runs", p.Area, p.Guarantee)
	}
}

func TestShareIsNotRoundedUp(t *testing.T) {
	for f, want := range map[float64]string{1: "100 %", 0.99999: "99.99 %", 0.5: "50 %", 0: "0 %", 0.9245: "92.45 %"} {
		if got := share(f); got != want {
			t.Errorf("%v: %q, want %q", f, got, want)
		}
	}
}
