package ways

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	tick  = 50 * time.Millisecond
	every = 300 * time.Millisecond // between probes to an end that answers
	again = 100 * time.Millisecond // to one that is missed
)

// town is two regions with an end on each of two devices, "tokyo-wg0" …; each region's ends may take over the other's.
func town() []End {
	var out []End
	for _, r := range [][2]string{{"tokyo", "osaka"}, {"osaka", "tokyo"}} {
		for _, d := range []string{"wg0", "wg1"} {
			out = append(out, End{ID: r[0] + "-" + d, Region: r[0], Device: d, TakesOver: []string{r[1]}, Probed: true})
		}
	}
	return out
}

// drill runs a machine against ends that answer or do not.
type drill struct {
	m     *Machine
	now   time.Time
	ends  []End
	cut   map[string]bool
	moves int
}

func newDrill(ends []End, prefer map[uint8][]string) *drill {
	d := &drill{m: New(), now: time.Unix(1_800_000_000, 0), ends: ends, cut: map[string]bool{}}
	d.m.Configure(ends, []string{"wg0", "wg1"}, prefer, d.now)
	return d
}

// run lets time pass; look is called after each step.
func (d *drill) run(t time.Duration, look func()) {
	for end := d.now.Add(t); d.now.Before(end); {
		d.now = d.now.Add(tick)
		for i, e := range d.ends {
			pace := every
			if st, _ := d.m.State(e.ID); st == Up && d.m.Missed(e.ID, d.now) {
				pace = again
			}
			if !e.Probed || (d.now.UnixNano()/int64(tick)+int64(i))%int64(pace/tick) != 0 {
				continue
			}
			d.m.Sent(e.ID, d.now)
			if !d.cut[e.ID] {
				d.m.Heard(e.ID, time.Millisecond)
			}
		}
		if d.m.Step(d.now) {
			d.moves++
		}
		if look != nil {
			look()
		}
	}
}

// way is the end by which a region's packets of the class go.
func (d *drill) way(region string, class uint8) string {
	w := d.m.Ways()
	return w.Holders[Place{w.Devices[Stream{region, class}], region}]
}

func (d *drill) want(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := fmt.Sprint(d.way("tokyo", 0), d.way("osaka", 0)); got != fmt.Sprint(want[0], want[1]) {
		t.Errorf("%s: ways %s, want %v", when, got, want)
	}
}

func TestLostLineIsLeftAndComesBackLate(t *testing.T) {
	d := newDrill(town(), nil)
	d.run(time.Second, nil)
	d.want(t, "at the start", "tokyo-wg0", "osaka-wg0")
	for _, hold := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
		d.cut["tokyo-wg0"] = true
		d.run(800*time.Millisecond, nil)
		d.want(t, "0.8 s after the cut", "tokyo-wg1", "osaka-wg0")
		d.cut["tokyo-wg0"] = false
		d.run(hold*time.Second-time.Second, nil)
		d.want(t, fmt.Sprintf("%d s after it was mended", hold-1), "tokyo-wg1", "osaka-wg0")
		d.run(2*time.Second, nil)
		d.want(t, fmt.Sprintf("%d s after it was mended", hold+1), "tokyo-wg0", "osaka-wg0")
	}
	d.run(forgiven, nil)
	d.cut["tokyo-wg0"] = true
	d.run(time.Second, nil)
	d.cut["tokyo-wg0"] = false
	d.run(holdFirst+time.Second, nil)
	d.want(t, "after a loss that comes long after the others", "tokyo-wg0", "osaka-wg0")
}

func TestLinkDownIsImmediate(t *testing.T) {
	d := newDrill(town(), nil)
	d.run(time.Second, nil)
	d.m.Link("wg0", false)
	d.run(tick, nil)
	d.want(t, "after the link went down", "tokyo-wg1", "osaka-wg1")
	d.m.Link("wg0", true)
	d.m.Link("wg1", false)
	d.run(2*every, nil)
	d.want(t, "with only a line that has just come back", "tokyo-wg0", "osaka-wg0")
}

func TestAnotherRegionTakesOver(t *testing.T) {
	d := newDrill(town(), nil)
	d.run(time.Second, nil)
	d.cut["tokyo-wg0"], d.cut["tokyo-wg1"] = true, true
	d.run(800*time.Millisecond, nil)
	d.want(t, "with tokyo down", "osaka-wg0", "osaka-wg0")
	d.cut["osaka-wg0"] = true
	d.run(800*time.Millisecond, nil)
	d.want(t, "with the first line of osaka down too", "osaka-wg1", "osaka-wg1")
	d.cut["osaka-wg1"] = true
	d.run(time.Minute, nil)
	d.want(t, "with all down", "osaka-wg1", "osaka-wg1")
	d.cut["tokyo-wg0"] = false
	d.run(time.Second, nil)
	d.want(t, "with one end that answers again", "tokyo-wg0", "tokyo-wg0")
	d.cut = map[string]bool{}
	d.run(time.Minute, nil)
	d.want(t, "with all mended", "tokyo-wg0", "osaka-wg0")
}

// At the start a region must not go by another one because that one answers a moment earlier.
func TestNobodyTakesOverAtTheStart(t *testing.T) {
	d := newDrill(town(), nil)
	d.cut["tokyo-wg0"], d.cut["tokyo-wg1"] = true, true
	d.run(2*time.Second, func() { d.want(t, "before tokyo had a chance", "tokyo-wg0", d.way("osaka", 0)) })
	d.run(2*time.Second, nil)
	d.want(t, "when tokyo had its chance", "osaka-wg0", "osaka-wg0")
}

func TestClassesHaveTheirOwnOrder(t *testing.T) {
	d := newDrill(town(), map[uint8][]string{4: {"wg1"}})
	d.run(time.Second, nil)
	if got := d.way("tokyo", 4); got != "tokyo-wg1" {
		t.Errorf("class 4 goes by %s, want its own line", got)
	}
	d.want(t, "other classes", "tokyo-wg0", "osaka-wg0")
	d.cut["tokyo-wg1"] = true
	d.run(800*time.Millisecond, nil)
	if got := d.way("tokyo", 4); got != "tokyo-wg0" {
		t.Errorf("class 4 goes by %s while its line is down, want the other", got)
	}
}

// What was meant for a line is planned for elsewhere as long as the ways keep off it, not only while it is down.
func TestWhatIsLeft(t *testing.T) {
	d := newDrill(town(), map[uint8][]string{4: {"wg1"}})
	want := func(when, regions, lines string) {
		t.Helper()
		byRegion, out := d.m.Left(d.now)
		if got := fmt.Sprint(byRegion); got != "map["+regions+"]" || fmt.Sprint(out) != "["+lines+"]" {
			t.Errorf("%s: left by regions %s, as lines %v; want map[%s], [%s]", when, got, out, regions, lines)
		}
	}
	d.cut["tokyo-wg0"], d.cut["osaka-wg0"] = true, true // they answer a moment later
	d.run(time.Second, nil)
	want("at the start, before all had time to come up", "", "")
	d.run(3*time.Second, nil)
	want("with a line that never came up", "osaka:[wg0] tokyo:[wg0]", "wg0")
	d.cut = map[string]bool{}
	d.run(time.Second, nil)
	want("with all up", "", "")
	d.cut["tokyo-wg0"] = true
	d.run(800*time.Millisecond, nil)
	want("when one region cannot be reached by a line that lives", "tokyo:[wg0]", "")
	d.cut["osaka-wg0"] = true
	d.run(800*time.Millisecond, nil)
	want("with the line cut", "osaka:[wg0] tokyo:[wg0]", "wg0")
	d.cut = map[string]bool{}
	d.run(5*time.Second, nil)
	want("while the line is held back", "osaka:[wg0] tokyo:[wg0]", "wg0")
	d.run(6*time.Second, nil)
	want("when it serves again", "", "")
	d.cut["tokyo-wg1"], d.cut["osaka-wg1"] = true, true
	d.run(800*time.Millisecond, nil)
	want("with the line cut that only class 4 prefers", "osaka:[wg1] tokyo:[wg1]", "wg1")
	d.cut["tokyo-wg0"], d.cut["osaka-wg0"] = true, true
	d.run(time.Minute, nil)
	if _, lines := d.m.Left(d.now); len(lines) > 1 {
		t.Errorf("with all down: %v are left, want one at most to stay", lines)
	}
}

// A region that has only the dead line does not make it count as alive for others.
func TestWhoHasNoOtherLineHoldsNobodyBack(t *testing.T) {
	d := newDrill(append(town(), End{ID: "kyoto", Region: "kyoto", Device: "wg0", Probed: true}), nil)
	d.run(4*time.Second, nil)
	d.cut["tokyo-wg0"], d.cut["osaka-wg0"], d.cut["kyoto"] = true, true, true
	d.run(800*time.Millisecond, nil)
	if byRegion, lines := d.m.Left(d.now); fmt.Sprint(byRegion, lines) != "map[osaka:[wg0] tokyo:[wg0]] [wg0]" {
		t.Errorf("left %v, lines %v", byRegion, lines)
	}
}

// Two ends of a region on one device share its prefixes by turns.
func TestEndsOnOneDevice(t *testing.T) {
	ends := []End{{ID: "a", Region: "tokyo", Device: "wg0", Probed: true}, {ID: "b", Region: "tokyo", Device: "wg0", Probed: true}}
	d := newDrill(ends, nil)
	d.run(time.Second, nil)
	d.cut["a"] = true
	d.run(800*time.Millisecond, nil)
	if got := d.way("tokyo", 0); got != "b" {
		t.Errorf("way by %s, want b", got)
	}
	d.ends = d.ends[:1] // b is configured away
	d.m.Configure(d.ends, []string{"wg0"}, nil, d.now)
	d.run(tick, nil)
	if got := d.way("tokyo", 0); got != "a" {
		t.Errorf("way by %s, want a: nothing else is left", got)
	}
}

// An end without a probe is as good as its keys.
func TestKeysAloneTell(t *testing.T) {
	d := newDrill([]End{{ID: "a", Region: "tokyo", Device: "wg0"}, {ID: "b", Region: "tokyo", Device: "wg1", Probed: true}}, nil)
	d.run(time.Second, nil)
	if got := d.way("tokyo", 0); got != "b" {
		t.Errorf("way by %s, want b: a has no keys yet", got)
	}
	d.m.Keys("a", true)
	d.run(tick, nil)
	if got := d.way("tokyo", 0); got != "a" {
		t.Errorf("way by %s, want a", got)
	}
	d.m.Keys("a", false)
	d.run(tick, nil)
	if got := d.way("tokyo", 0); got != "b" {
		t.Errorf("way by %s, want b: a's keys are too old", got)
	}
}

// One answer in three is a bad line, but not a lost one.
func TestSomeLossIsNoLoss(t *testing.T) {
	m, now := New(), time.Unix(0, 0)
	m.Configure([]End{{ID: "a", Region: "tokyo", Device: "wg0", Probed: true}}, []string{"wg0"}, nil, now)
	for i := range 1000 {
		m.Sent("a", now)
		if i%3 == 0 {
			m.Heard("a", time.Millisecond)
		}
		now = now.Add(every)
		if m.Step(now); i > 0 {
			if s, _ := m.State("a"); s != Up {
				t.Fatalf("%s after probe %d, want up", s, i)
			}
		}
	}
}

// A line by satellite answers late, and is not lost; cut, it is left no later than its round trip asks for.
func TestALongRoundTripIsNoLoss(t *testing.T) {
	for _, trip := range []time.Duration{20 * time.Millisecond, 120 * time.Millisecond, 620 * time.Millisecond} {
		m, now := New(), time.Unix(0, 0)
		m.Configure([]End{{ID: "a", Region: "tokyo", Device: "wg0", Probed: true}}, []string{"wg0"}, nil, now)
		var way []time.Time // of questions that are being answered
		asked, cut := 0, time.Time{}
		for i := 0; ; i++ {
			now = now.Add(tick)
			if i == 1200 {
				cut, way = now, nil
			}
			for len(way) > 0 && now.Sub(way[0]) >= trip {
				m.Heard("a", now.Sub(way[0]))
				way = way[1:]
			}
			st, _ := m.State("a")
			if i%6 == 0 || i%2 == 0 && st == Up && m.Missed("a", now) {
				m.Sent("a", now)
				asked++
				if cut.IsZero() {
					way = append(way, now)
				}
			}
			m.Step(now)
			if st, _ = m.State("a"); cut.IsZero() && i > 20 && st != Up {
				t.Fatalf("round trip %s: %s after %s", trip, st, now.Sub(time.Unix(0, 0)))
			}
			if !cut.IsZero() && st == Down {
				break
			}
			if !cut.IsZero() && now.Sub(cut) > 2*time.Second {
				t.Fatalf("round trip %s: still %s 2 s after the cut", trip, st)
			}
		}
		if got, most := now.Sub(cut), every+lostAfter+trip+2*tick; got > most {
			t.Errorf("round trip %s: left %s after the cut, want %s at most", trip, got, most)
		}
		if asked > 240 {
			t.Errorf("round trip %s: asked %d times in a minute, want 240 at most", trip, asked)
		}
	}
}

// However ends come and go: a dead end is left in time, none is returned to before it was held, the order is kept, and with
// nobody up nothing moves.
func TestWaysUnderAnyFailures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDrill(town(), map[uint8][]string{2: {"wg1", "wg0"}})
		silent := map[string]time.Time{} // since when it does not answer
		good := map[string]time.Time{}   // since when it does
		lost := map[string]bool{}        // it was declared down once
		ever := map[string]bool{}
		for _, e := range d.ends {
			if rapid.Bool().Draw(t, e.ID+" is down at the start") {
				d.cut[e.ID], silent[e.ID] = true, d.now
			} else {
				good[e.ID] = d.now
			}
		}
		before := map[Stream]string{}
		check := func() {
			for _, s := range []Stream{{"tokyo", 0}, {"tokyo", 2}, {"osaka", 0}, {"osaka", 2}} {
				way := d.way(s.Region, s.Class)
				var best string // the preferred of those that the machine holds to be up
				for _, e := range d.ends {
					st, _ := d.m.State(e.ID)
					ever[e.ID] = ever[e.ID] || st == Up
					lost[e.ID] = lost[e.ID] || ever[e.ID] && st == Down
					if e.Region == s.Region && st == Up && (best == "" || s.Class == 2) {
						best = e.ID
					}
				}
				st, _ := d.m.State(way)
				switch {
				case best != "" && way != best:
					t.Fatalf("%v goes by %s, want %s, the first that is up", s, way, best)
				case best != "" && !ever[way]:
					t.Fatalf("%v goes by %s, which was never up, though %s is", s, way, best)
				case st == Up && d.cut[way] && d.now.Sub(silent[way]) > 800*time.Millisecond:
					t.Fatalf("%v still goes by %s, silent for %s", s, way, d.now.Sub(silent[way]))
				case st == Up && before[s] != way && lost[way] && d.now.Sub(good[way]) < holdFirst:
					t.Fatalf("%v returned to %s, good for only %s", s, way, d.now.Sub(good[way]))
				}
				anybody := false
				for _, e := range d.ends {
					st, _ := d.m.State(e.ID)
					anybody = anybody || st != Down
				}
				if !anybody && before[s] != "" && before[s] != way {
					t.Fatalf("%v moved from %s to %s with nobody up", s, before[s], way)
				}
				before[s] = way
			}
		}
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			d.run(time.Duration(rapid.IntRange(1, 400).Draw(t, "ticks"))*tick, check)
			e := d.ends[rapid.IntRange(0, len(d.ends)-1).Draw(t, "end")]
			if d.cut[e.ID] {
				delete(d.cut, e.ID)
				if st, _ := d.m.State(e.ID); st == Down || d.now.Sub(silent[e.ID]) > 800*time.Millisecond { // else nobody noticed
					good[e.ID] = d.now
				}
			} else {
				d.cut[e.ID], silent[e.ID] = true, d.now
			}
		}
		d.cut = map[string]bool{}
		d.run(holdMost+time.Second, nil)
		if d.way("tokyo", 0) != "tokyo-wg0" || d.way("tokyo", 2) != "tokyo-wg1" {
			t.Fatalf("with everything mended: %s and %s", d.way("tokyo", 0), d.way("tokyo", 2))
		}
	})
}

func TestUsesTellsWhoCarriesSomething(t *testing.T) {
	for _, c := range []struct {
		prefer map[uint8][]string
		cut    string
		want   []string
	}{
		{nil, "", []string{"osaka-wg0", "tokyo-wg0"}},
		{map[uint8][]string{4: {"wg1"}}, "", []string{"osaka-wg0", "osaka-wg1", "tokyo-wg0", "tokyo-wg1"}},
		{nil, "tokyo-wg0", []string{"osaka-wg0", "tokyo-wg1"}},
	} {
		d := newDrill(town(), c.prefer)
		d.run(time.Second, nil)
		d.cut[c.cut] = true
		d.run(2*time.Second, nil)
		var got []string
		for _, e := range d.ends {
			if d.m.Ways().Uses(e.ID) {
				got = append(got, e.ID)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("order by class %v, %q lost: %v are used, want %v", c.prefer, c.cut, got, c.want)
		}
	}
}
