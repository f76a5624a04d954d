package measure

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bench is a recorder with a clock and one line.
type bench struct {
	r    *Recorder
	now  time.Time
	line Reading
	sent uint64
}

func newBench() *bench {
	n := uint64(0)
	b := &bench{r: &Recorder{}, now: time.Unix(1_800_000_000, 0)}
	b.line = Reading{Line: "line-a", Device: "wg0", RateUp: 100e6, RateDown: 50e6, OverheadUp: 60,
		Whole:   Tally{Up: &Counters{Arrived: &n}},
		Classes: []Class{{Name: "core", GuaranteeUp: 25e6, CeilingUp: 50e6, Tally: Tally{Up: &Counters{}}}},
		Ends:    []End{{Region: "tokyo", Answered: true}}}
	return b
}

// second lets the line carry bytes in packets of 1000, of which arrived came, and looks.
func (b *bench) second(bytes, arrived uint64, trips ...time.Duration) {
	for _, t := range []*Tally{&b.line.Whole, &b.line.Classes[0].Tally} {
		up := *t.Up
		up.Bytes, up.Packets = up.Bytes+bytes, up.Packets+bytes/1000
		if up.Arrived != nil {
			n := *up.Arrived + arrived
			up.Arrived = &n
		}
		t.Up = &up
		t.Sent += uint64(len(trips))
		t.Trips = trips
	}
	b.now = b.now.Add(time.Second)
	b.r.Take(b.now, []Reading{b.line})
}

func (b *bench) last(t *testing.T, class string) Sample {
	t.Helper()
	all := b.r.After(0, 0, 10_000)
	i := slices.IndexFunc(all, func(s Sample) bool { return s.Seq == all[len(all)-1].Seq && s.Class == class })
	if i < 0 {
		t.Fatalf("no sample of %q in %d", class, len(all))
	}
	return all[i]
}

func TestASecondHoldsItsOwnGrowth(t *testing.T) {
	b := newBench()
	b.second(5_000_000, 0)
	if got := b.r.Since(0, 100); len(got) != 0 {
		t.Fatalf("the first look gave %+v: nothing is known of what was before", got)
	}
	b.second(3_000_000, 0, 8*time.Millisecond, 2*time.Millisecond)
	s := b.last(t, "core")
	if s.At != b.now.Unix()-1 || s.Line != "line-a" || s.Device != "wg0" || s.Span != time.Second || s.State != Up {
		t.Errorf("sample %+v", s)
	}
	if s.Up.Bytes != 3_000_000 || s.Up.Packets != 3000 || s.Up.Guarantee != 25e6 || s.Up.Delivered(s.Span) != 8*(3_000_000+3000*60) || !s.Up.Counted {
		t.Errorf("up %+v", s.Up)
	}
	if s.Down.Counted || s.Down.Arrived >= 0 {
		t.Errorf("down %+v: nobody counts there", s.Down)
	}
	if p := s.Probe; p.Sent != 2 || p.Lost != 0 || p.P50 != 2*time.Millisecond || p.P99 != 8*time.Millisecond || p.Max != p.P99 || p.Base != 2*time.Millisecond {
		t.Errorf("probe %+v", p)
	}
}

func TestAPauseBelongsToNoSecond(t *testing.T) {
	b := newBench()
	b.second(1000, 0)
	b.second(1000, 0)
	b.now = b.now.Add(20 * time.Second)
	b.second(9_000_000, 0)
	if s := b.last(t, "core"); s.Up.Bytes != 1000 {
		t.Errorf("after a pause: %+v", s)
	}
	b.second(2000, 0)
	if s := b.last(t, "core"); s.Up.Bytes != 2000 {
		t.Errorf("then: %+v", s)
	}
}

func TestCountersThatBeginAnewCountFromZero(t *testing.T) {
	b := newBench()
	b.second(5_000_000, 0)
	b.second(1000, 0)
	b.line.Classes[0].Up = &Counters{}
	b.second(7000, 0)
	if s := b.last(t, "core"); s.Up.Bytes != 7000 {
		t.Errorf("%+v", s.Up)
	}
	b.line.Classes[0].Name = "other"
	b.second(1000, 0)
	if got := b.r.After(0, 0, 9999); got[len(got)-1].Class != "" {
		t.Errorf("a class that is new has a second already: %+v", got[len(got)-1])
	}
}

func TestWhatArrivedIsToldOverSeconds(t *testing.T) {
	b := newBench()
	for range windowSeconds {
		b.second(1_000_000, 1_000_000)
		if s := b.r.After(0, 0, 9999); len(s) > 0 && b.last(t, "").Up.Arrived >= 0 {
			t.Fatal("told before the window was full")
		}
	}
	b.second(1_000_000, 800_000) // the rest was on its way when the other side counted
	if s := b.last(t, ""); s.Up.Arrived < 0.97 {
		t.Errorf("one late count: %v", s.Up.Arrived)
	}
	for range windowSeconds {
		b.second(1_000_000, 900_000)
	}
	if s := b.last(t, ""); s.Up.Arrived < 0.89 || s.Up.Arrived > 0.91 {
		t.Errorf("a tenth lost: %v", s.Up.Arrived)
	}
}

func TestMemoryIsAQuarterOfAnHourWhateverTheClockDoes(t *testing.T) {
	b := newBench()
	for range 2000 {
		b.second(1000, 0)
	}
	all := b.r.After(0, 0, 1_000_000)
	if len(all) != 2*900 {
		t.Fatalf("%d samples of two series, want 1800", len(all))
	}
	cursor := all[len(all)-1]
	b.now = b.now.Add(-time.Hour) // with its monotonic part gone, as the wall clock shows it
	b.r.last = b.now
	for range 3 {
		b.second(1000, 0)
	}
	if got := b.r.After(cursor.Run, cursor.Seq, 100); len(got) != 6 || got[0].At >= cursor.At {
		t.Errorf("after the clock was set back: %d samples", len(got))
	}
	if got := b.r.After(cursor.Run, cursor.Seq, 2); len(got) != 4 {
		t.Errorf("two seconds: %d samples", len(got))
	}
	if got := b.r.After(cursor.Run+1, cursor.Seq, 1_000_000); len(got) != 2*900 {
		t.Errorf("of another run: %d samples", len(got))
	}
}

func TestWhoseFaultSilenceIs(t *testing.T) {
	end := func(region string, answered bool) End { return End{Region: region, Answered: answered} }
	line := func(device string, ends ...End) Reading { return Reading{Device: device, Ends: ends} }
	for name, c := range map[string]struct {
		lines  []Reading
		state  State
		silent Silence
	}{
		"all answer":                           {[]Reading{line("a", end("t", true), end("o", true))}, Up, Heard},
		"some probes lost":                     {[]Reading{line("a", End{"t", true, true})}, Degraded, Heard},
		"one region of two":                    {[]Reading{line("a", end("t", false), end("o", true))}, Degraded, OfFar},
		"silent here, answers elsewhere":       {[]Reading{line("a", end("t", false)), line("b", end("t", true))}, Down, OfLine},
		"silent everywhere":                    {[]Reading{line("a", end("t", false)), line("b", end("t", false))}, Down, OfEither},
		"one line, one region":                 {[]Reading{line("a", end("t", false))}, Down, OfEither},
		"another region elsewhere says little": {[]Reading{line("a", end("t", false)), line("b", end("o", true))}, Down, OfEither},
		"nothing is probed":                    {[]Reading{line("a")}, Degraded, Heard},
	} {
		t.Run(name, func(t *testing.T) {
			if state, silent := judge(c.lines[0], c.lines); state != c.state || silent != c.silent {
				t.Errorf("got %s, %q, want %s, %q", state, silent, c.state, c.silent)
			}
		})
	}
}

func TestJitterIsRFC3550s(t *testing.T) {
	var j jitter
	for _, ms := range []time.Duration{10, 26, 10} { // |D| = 16, 16: J = 1, then 1 + 15/16
		j.take(ms * time.Millisecond)
	}
	if got, want := time.Duration(j.value), 1937500*time.Nanosecond; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestQuantileIsNearestRank against counting: at least the share q lies at or below it, and less than that below every smaller one.
func TestQuantileIsNearestRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 80).Draw(t, "n")
		q := rapid.SampledFrom([]float64{0.01, 0.5, 0.9, 0.99, 1}).Draw(t, "q")
		var v []time.Duration
		for range n {
			v = append(v, time.Duration(rand.IntN(50)))
		}
		slices.Sort(v)
		x := Quantile(v, q)
		atMost, below := 0, 0
		for _, y := range v {
			if y <= x {
				atMost++
			}
			if y < x {
				below++
			}
		}
		if float64(atMost) < q*float64(n)-1e-4 || float64(below) >= q*float64(n)+1e-4 {
			t.Fatalf("quantile %v of %v is %v", q, v, x)
		}
	})
}
