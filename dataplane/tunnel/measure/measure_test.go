package measure

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bench is a recorder with a clock and one line, whose far end is read some time before each look.
type bench struct {
	r    *Recorder
	now  time.Time
	line Reading
}

func newBench() *bench {
	b := &bench{r: &Recorder{}, now: time.Unix(1_800_000_000, 0)}
	b.line = Reading{Line: "line-a", Device: "wg0", RateUp: 100e6, RateDown: 50e6,
		Classes: []Class{{Name: "core", GuaranteeUp: 25e6, CeilingUp: 50e6, GuaranteeDown: 10e6, Tally: Tally{Up: []Counters{{}}}}},
		Ends:    []End{{ID: "tokyo-a", Region: "tokyo", Answered: true}}}
	return b
}

// second lets the class send bytes in packets of 1000, and looks.
func (b *bench) second(bytes uint64, trips ...time.Duration) {
	c := &b.line.Classes[0]
	if len(c.Up) > 0 {
		up := c.Up[0]
		up.Bytes, up.Packets = up.Bytes+bytes, up.Packets+bytes/1000
		c.Up = []Counters{up}
	}
	for _, t := range []*Tally{&b.line.Whole, &c.Tally} {
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
	b.second(5_000_000)
	if got := b.r.Since(0, 100); len(got) != 0 {
		t.Fatalf("the first look gave %+v: nothing is known of what was before", got)
	}
	b.second(3_000_000, 8*time.Millisecond, 2*time.Millisecond)
	s := b.last(t, "core")
	if s.At != b.now.Unix()-1 || s.Line != "line-a" || s.Device != "wg0" || s.Span != time.Second || s.State != Up {
		t.Errorf("sample %+v", s)
	}
	if s.Up.Bytes != 3_000_000 || s.Up.Packets != 3000 || s.Up.Guarantee != 25e6 || s.Up.Delivered(s.Span) != 8*3_000_000 || !s.Up.Counted {
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
	b.second(1000)
	b.second(1000)
	b.now = b.now.Add(20 * time.Second)
	b.second(9_000_000)
	if s := b.last(t, "core"); s.Up.Bytes != 1000 {
		t.Errorf("after a pause: %+v", s)
	}
	b.second(2000)
	if s := b.last(t, "core"); s.Up.Bytes != 2000 {
		t.Errorf("then: %+v", s)
	}
}

func TestCountersThatBeginAnewCountFromZero(t *testing.T) {
	b := newBench()
	b.second(5_000_000)
	b.second(1000)
	b.line.Classes[0].Up = []Counters{{}}
	b.second(7000)
	if s := b.last(t, "core"); s.Up.Bytes != 7000 {
		t.Errorf("%+v", s.Up)
	}
	b.line.Classes[0].Name = "other"
	b.second(1000)
	if got := b.r.After(0, 0, 9999); got[len(got)-1].Class != "" {
		t.Errorf("a class that is new has a second already: %+v", got[len(got)-1])
	}
}

// The far end's counters are older than the look, by other times each second: what they grew by is brought to the second.
func TestCountersOfTheFarEndAreBroughtToTheSecond(t *testing.T) {
	b := newBench()
	const rate = 5_000_000 // bytes a second, all the time
	start := b.now.UnixNano()
	for i, age := range []int{50, 190, 10, 120, 200, 0, 90} {
		at := b.now.Add(time.Second).Add(-time.Duration(age) * time.Millisecond).UnixNano()
		sent := uint64(float64(at-start) / 1e9 * rate)
		b.line.Classes[0].Down = []Counters{{Of: "tokyo-a", At: 77e15 + at, Bytes: sent}} // by a clock of its own
		b.second(0)
		if i == 0 {
			continue
		}
		if s := b.last(t, "core"); !s.Down.Counted || s.Down.Bytes < rate-rate/1000 || s.Down.Bytes > rate+rate/1000 || s.Down.Guarantee != 10e6 {
			t.Errorf("second %d: %+v, want %d bytes", i, s.Down, rate)
		}
	}
	b.second(0) // the same counters again: no answer came
	if s := b.last(t, "core"); s.Down.Counted {
		t.Errorf("without an answer: %+v", s.Down)
	}
	b.line.Classes[0].Down = append(b.line.Classes[0].Down, Counters{Of: "osaka-a", At: 5, Bytes: 900})
	b.line.Classes[0].Down[0].At += 1e9
	b.second(0)
	if s := b.last(t, "core"); s.Down.Counted || s.Down.Bytes != 0 {
		t.Errorf("an end that is new has no second yet: %+v", s.Down)
	}
}

// TestWhatArrived: steady and bursting traffic of which nothing is lost is not said to be lost, however old the far end's count is;
// a loss is told within seconds.
func TestWhatArrived(t *testing.T) {
	const rate = 1_000_000
	for name, c := range map[string]struct {
		sends func(at time.Duration) float64 // bytes that were sent by then
		loss  float64
		least float64 // share at every second that tells
		most  float64 // share in the end
	}{
		"steady":    {func(at time.Duration) float64 { return at.Seconds() * rate }, 0, 0.999, 1},
		"one burst": {func(at time.Duration) float64 { return rate * min(max(at.Seconds()-12.9, 0), 1.3) }, 0, 0.98, 1},
		"it begins": {func(at time.Duration) float64 { return rate * max(at.Seconds()-15.95, 0) }, 0, 0.98, 1},
		"it ends":   {func(at time.Duration) float64 { return rate * min(at.Seconds(), 20.07) }, 0, 0.98, 1},
		"on and off": {func(at time.Duration) float64 {
			s := at.Seconds()
			return rate * (float64(int(s/4))*2 + min(max(s-4*float64(int(s/4)), 0), 2))
		}, 0, 0.98, 1},
		"a tenth lost": {func(at time.Duration) float64 { return at.Seconds() * rate }, 0.1, 0.89, 0.91},
		"half lost":    {func(at time.Duration) float64 { return at.Seconds() * rate }, 0.5, 0.48, 0.52},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			start := b.now
			last, told := -1.0, 0
			for i := range 40 {
				look := b.now.Add(time.Second).Sub(start)
				here := look - time.Duration(300+i*53%400)*time.Millisecond // when it was read here
				far := look - time.Duration(90+i*37%200)*time.Millisecond   // and there
				there := uint64(c.sends(far) * (1 - c.loss))
				b.line.Ends[0].Both = &Books{At: start.Add(here), Sent: uint64(c.sends(here)), FarCame: there, FarAt: 5e15 + int64(far)}
				b.second(0)
				if len(b.r.After(0, 0, 999)) == 0 {
					continue
				}
				if s := b.last(t, ""); s.Up.Arrived >= 0 {
					told++
					last = s.Up.Arrived
					if last < c.least {
						t.Errorf("second %d: %v, want at least %v", i, last, c.least)
					}
				}
			}
			if told < 3 || last > c.most {
				t.Errorf("told %d times, in the end %v, want at most %v", told, last, c.most)
			}
		})
	}
}

func TestBooksThatBeginAnewSayNothing(t *testing.T) {
	b := newBench()
	both := Books{}
	step := func(n int) {
		for range n {
			both.At = b.now.Add(time.Second)
			both.Sent, both.FarCame, both.FarAt = both.Sent+1_000_000, both.FarCame+1_000_000, both.FarAt+1e9
			copy := both
			b.line.Ends[0].Both = &copy
			b.second(0)
		}
	}
	step(12)
	if s := b.last(t, ""); s.Up.Arrived != 1 {
		t.Fatalf("before: %v", s.Up.Arrived)
	}
	both.FarCame = 0 // the far end's device was made anew
	step(1)
	if s := b.last(t, ""); s.Up.Arrived >= 0 {
		t.Errorf("then: %v", s.Up.Arrived)
	}
	step(12)
	both.FarAt -= 1e9 // no answer came
	both.FarCame -= 1_000_000
	step(1)
	if s := b.last(t, ""); s.Up.Arrived >= 0 {
		t.Errorf("without an answer: %v", s.Up.Arrived)
	}
}

func TestMemoryIsAQuarterOfAnHourWhateverTheClockDoes(t *testing.T) {
	b := newBench()
	for range 2000 {
		b.second(1000)
	}
	all := b.r.After(0, 0, 1_000_000)
	if len(all) != 2*900 {
		t.Fatalf("%d samples of two series, want 1800", len(all))
	}
	cursor := all[len(all)-1]
	b.now = b.now.Add(-time.Hour) // with its monotonic part gone, as the wall clock shows it
	b.r.last = b.now
	for range 3 {
		b.second(1000)
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
	end := func(region string, answered bool) End { return End{ID: region, Region: region, Answered: answered} }
	line := func(device string, ends ...End) Reading { return Reading{Device: device, Ends: ends} }
	for name, c := range map[string]struct {
		lines   []Reading
		regions []string
		state   State
		silent  Silence
	}{
		"all answer":                               {[]Reading{line("a", end("t", true), end("o", true))}, nil, Up, Heard},
		"some probes lost":                         {[]Reading{line("a", End{Region: "t", Answered: true, Loss: true})}, nil, Degraded, Heard},
		"one region of two":                        {[]Reading{line("a", end("t", false), end("o", true))}, nil, Degraded, OfFar},
		"silent here, answers elsewhere":           {[]Reading{line("a", end("t", false)), line("b", end("t", true))}, nil, Down, OfLine},
		"silent everywhere":                        {[]Reading{line("a", end("t", false)), line("b", end("t", false))}, nil, Down, OfEither},
		"one line, one region":                     {[]Reading{line("a", end("t", false))}, nil, Down, OfEither},
		"another region elsewhere says little":     {[]Reading{line("a", end("t", false)), line("b", end("o", true))}, nil, Down, OfEither},
		"nothing is probed":                        {[]Reading{line("a")}, nil, Degraded, Heard},
		"its region, others on the line answer":    {[]Reading{line("a", end("t", false), end("o", true))}, []string{"t"}, Down, OfFar},
		"another's region":                         {[]Reading{line("a", end("t", false), end("o", true))}, []string{"o"}, Up, Heard},
		"its region, heard elsewhere, others here": {[]Reading{line("a", end("t", false), end("o", true)), line("b", end("t", true))}, []string{"t"}, Down, OfEither},
	} {
		t.Run(name, func(t *testing.T) {
			if state, silent := judge(c.lines[0], c.regions, c.lines); state != c.state || silent != c.silent {
				t.Errorf("got %s, %q, want %s, %q", state, silent, c.state, c.silent)
			}
		})
	}
}

// A region that is silent blinds the line neither downwards nor to what is lost on the way to the others.
func TestASilentRegionBlindsNoOther(t *testing.T) {
	b := newBench()
	b.line.Ends = append(b.line.Ends, End{ID: "osaka-a", Region: "osaka", Answered: true})
	b.line.Classes[0].Regions = []string{"tokyo", "osaka"}
	books := Books{}
	down := Counters{Of: "tokyo-a"}
	for i := range 30 {
		down.At, down.Bytes = down.At+1e9, down.Bytes+1_000_000
		dead := Counters{Of: "osaka-a", At: int64(min(i, 5)) * 1e9, Bytes: uint64(min(i, 5)) * 1000}
		b.line.Classes[0].Down = []Counters{down, dead}
		b.line.Ends[1].Answered = i <= 5
		books.At, books.FarAt = b.now.Add(time.Second), books.FarAt+1e9
		books.Sent, books.FarCame = books.Sent+1_000_000, books.FarCame+900_000
		one, other := books, books
		if i > 5 {
			other.FarAt, other.FarCame = 5e9, 5*900_000
		}
		b.line.Ends[0].Both, b.line.Ends[1].Both = &one, &other
		b.second(0)
	}
	if s := b.last(t, "core"); !s.Down.Counted || s.Down.Bytes != 1_000_000 || s.State != Degraded || !s.Here {
		t.Errorf("beside a region that is silent: %+v", s)
	}
	if s := b.last(t, ""); s.Up.Arrived < 0.89 || s.Up.Arrived > 0.91 {
		t.Errorf("of what goes to the region that answers %v arrived, want 0.9", s.Up.Arrived)
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
