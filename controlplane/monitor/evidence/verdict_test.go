package evidence

import (
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// flow sends mbits with packets of 1000 bytes; a third of a second's guarantee stood in the queue all the time.
func flow(guarantee, mbits float64) measure.Flow {
	bytes := mbits * mbit / 8
	return measure.Flow{Counted: true, Bytes: uint64(bytes), Packets: uint64(bytes / 1000), Guarantee: uint64(guarantee * mbit), Ceiling: 50 * mbit, Rate: 100 * mbit, Before: 100_000, Backlog: 100_000, Arrived: -1}
}

func lineFlow(mbits, arrived float64) measure.Flow {
	return measure.Flow{Counted: true, Bytes: uint64(mbits * mbit / 8), Rate: 100 * mbit, Arrived: arrived}
}

// Each case is one second of a class that is guaranteed 20 Mbit/s on a line of 100 Mbit/s.
func TestWhoIsResponsible(t *testing.T) {
	idle := func(f *measure.Flow) { f.Before, f.Backlog = 0, 0 }
	cases := map[string]struct {
		sent, line, arrived float64 // Mbit/s, Mbit/s, share; < 0: not known
		change              func(s *measure.Sample, f *measure.Flow)
		up, down            Verdict
		share               uint16
	}{
		"its guarantee":                {sent: 20, line: 90, arrived: 1, up: Kept, down: Kept, share: 1000},
		"much more than its guarantee": {sent: 45, line: 97, arrived: 1, up: Kept, down: Kept, share: 1000},
		"just enough":                  {sent: 19.61, line: 90, arrived: 1, up: Kept, down: Kept, share: 1000},
		"just too little, the line full of own packets": {sent: 19.59, line: 96, arrived: 1, up: ByOwn, down: ByFar, share: 979},
		"nothing to send": {sent: 2, line: 20, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { idle(f) }, up: Idle, down: Idle, share: 1000},
		"a burst was dropped, but little was offered": {sent: 2, line: 20, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { idle(f); f.Drops = 100 }, up: Idle, down: Idle, share: 1000},
		"two packets just passing":                    {sent: 2, line: 20, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { f.Before, f.Backlog = 2900, 2900 }, up: Idle, down: Idle, share: 1000},
		"a queue at the end only":                     {sent: 2, line: 20, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { f.Before = 0 }, up: Idle, down: Idle, share: 1000},
		"drops show what was offered":                 {sent: 15, line: 96, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { idle(f); f.Drops = 1000 }, up: ByOwn, down: ByFar, share: 750},
		"a tenth lost on the way":                     {sent: 20, line: 90, arrived: 0.9, up: ByLine, down: ByLine, share: 900},
		"as much lost as nobody promised":             {sent: 25, line: 90, arrived: 0.9, up: Kept, down: Kept, share: 1000},
		"a line below its contract":                   {sent: 20, line: 96, arrived: 0.5, up: ByLine, down: ByLine, share: 500},
		"held at its ceiling":                         {sent: 15, line: 60, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { f.Ceiling = 15 * mbit }, up: ByOwn, down: ByOwn, share: 750},
		"held back with room on the line":             {sent: 15, line: 60, arrived: 1, up: ByUnknown, down: ByFar, share: 750},
		"nobody counts what arrives":                  {sent: 15, line: 60, arrived: -1, up: ByUnknown, down: ByFar, share: 750},
		"its probes are lost, not by its own queue":   {sent: 15, line: 60, arrived: -1, change: func(s *measure.Sample, _ *measure.Flow) { s.Probe.Sent, s.Probe.Lost = 5, 1 }, up: ByLine, down: ByLine, share: 750},
		"its probes are lost in its own queue": {sent: 15, line: 60, arrived: -1, change: func(s *measure.Sample, f *measure.Flow) {
			s.Probe.Sent, s.Probe.Lost, f.Drops, s.Up.Drops = 5, 1, 10, 10
		}, up: ByUnknown, down: ByFar, share: 750},
		"trips are longer than any queue of ours": {sent: 15, line: 60, arrived: -1, change: func(s *measure.Sample, _ *measure.Flow) {
			s.Probe.Base, s.Probe.P50 = 5*time.Millisecond, 200*time.Millisecond
		}, up: ByLine, down: ByLine, share: 750},
		"trips are as long as the own queue": {sent: 15, line: 60, arrived: -1, change: func(s *measure.Sample, _ *measure.Flow) {
			s.Probe.Base, s.Probe.P50 = 5*time.Millisecond, 90*time.Millisecond
		}, up: ByUnknown, down: ByFar, share: 750},
		"silent, but heard on another line":                      {sent: 20, line: 90, arrived: -1, change: silent(measure.Down, measure.OfLine), up: ByLine, down: ByLine},
		"silent everywhere":                                      {sent: 20, line: 90, arrived: -1, change: silent(measure.Down, measure.OfEither), up: ByUnknown, down: ByUnknown},
		"one far end is silent, of the others a part is lost":    {sent: 15, line: 90, arrived: 0.8, change: silent(measure.Degraded, measure.OfFar), up: ByLine, down: ByLine, share: 600},
		"one far end is silent, and own traffic fills the line":  {sent: 15, line: 96, arrived: 1, change: silent(measure.Degraded, measure.OfFar), up: ByOwn, down: ByFar, share: 750},
		"all its far ends are silent, others on the line heard":  {sent: 0, line: 90, arrived: -1, change: outage(measure.OfFar), up: ByFar, down: ByFar},
		"an outage: TCP sends nothing more":                      {sent: 0, line: 0, arrived: -1, change: outage(measure.OfLine), up: ByLine, down: ByLine},
		"an outage of the only line":                             {sent: 0, line: 0, arrived: -1, change: outage(measure.OfEither), up: ByUnknown, down: ByUnknown},
		"an outage of which nothing is counted":                  {sent: 0, line: 0, arrived: -1, change: func(s *measure.Sample, f *measure.Flow) { outage(measure.OfLine)(s, f); f.Counted = false }, up: ByLine, down: ByLine},
		"a line is down that the class does not go by":           {sent: 0, line: 0, arrived: -1, change: func(s *measure.Sample, f *measure.Flow) { outage(measure.OfLine)(s, f); s.Here = false }, up: Idle, down: Idle, share: 1000},
		"a line is down on which nothing is guaranteed":          {sent: 0, line: 0, arrived: -1, change: func(s *measure.Sample, f *measure.Flow) { outage(measure.OfLine)(s, f); f.Guarantee = 0 }, up: Idle, down: Idle, share: 1000},
		"a guarantee that was halved since another line is down": {sent: 10, line: 96, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { f.Withheld = 10 * mbit }, up: ByOther, down: ByOther, share: 500},
		"halved, but the line lent what was missing":             {sent: 20, line: 96, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { f.Withheld = 10 * mbit }, up: Kept, down: Kept, share: 1000},
		"halved, and lost on the way":                            {sent: 10, line: 96, arrived: 0.5, change: func(_ *measure.Sample, f *measure.Flow) { f.Withheld = 10 * mbit }, up: ByLine, down: ByLine, share: 250},
		"nobody counts this direction":                           {sent: 20, line: 90, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { f.Counted = false }, up: NotCounted, down: NotCounted, share: 1000},
		"nothing is guaranteed":                                  {sent: 20, line: 90, arrived: 1, change: func(_ *measure.Sample, f *measure.Flow) { f.Guarantee = 0 }, up: Idle, down: Idle, share: 1000},
		"a look that came late":                                  {sent: 24, line: 100, arrived: 1, change: func(s *measure.Sample, _ *measure.Flow) { s.Span = 1400 * time.Millisecond }, up: ByUnknown, down: ByFar, share: 857},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, downward := range []bool{false, true} {
				s := measure.Sample{Span: time.Second, State: measure.Up}
				f := flow(20, c.sent)
				if c.change != nil {
					c.change(&s, &f)
				}
				want := c.up
				line := measure.Sample{Up: lineFlow(c.line, c.arrived), Down: lineFlow(0, 1)}
				if s.Up = f; downward {
					s.Up, s.Down = measure.Flow{Drops: s.Up.Drops}, f
					line.Up, line.Down, want = line.Down, line.Up, c.down
				}
				up, down, upShare, downShare := Judge(s, line)
				got, share := up, upShare
				if downward {
					got, share = down, downShare
				}
				if got != want || share != c.share {
					t.Errorf("downward %v: %v, %d thousandths; want %v, %d", downward, got, share, want, c.share)
				}
			}
		})
	}
}

// outage is a second in which nobody answers a class that has its way here; nothing waits to be sent.
func outage(whose measure.Silence) func(*measure.Sample, *measure.Flow) {
	return func(s *measure.Sample, f *measure.Flow) {
		s.State, s.Silent, s.Here, f.Before, f.Backlog = measure.Down, whose, true, 0, 0
	}
}

func silent(state measure.State, whose measure.Silence) func(*measure.Sample, *measure.Flow) {
	return func(s *measure.Sample, _ *measure.Flow) { s.State, s.Silent = state, whose }
}

// minutesOf makes minutes of a string: a letter a second, "." a second that nobody looked at, " " a minute that there is none of.
func minutesOf(worst uint16, text string) (out []Record) {
	letters := map[byte]Verdict{'.': NotKnown, 'i': Idle, 'k': Kept, 'o': ByOwn, 'l': ByLine, 'f': ByFar, 'u': ByUnknown}
	for i := range text {
		if i%60 == 0 {
			out = append(out, Record{At: begin.Unix() + int64(i), Up: Way{Worst: worst, Guarantee: 20 * mbit}})
		}
		out[len(out)-1].Up.see(i%60, 60, letters[text[i]])
	}
	return out
}

func TestSecondsAreJoinedToIntervals(t *testing.T) {
	type want struct {
		from, to, seconds int
		cause             Verdict
	}
	cases := map[string]struct {
		text string
		want []want
	}{
		"none":                        {"kkkiiikkk", nil},
		"one second":                  {"kklkk", []want{{2, 3, 1, ByLine}}},
		"comes and goes":              {"klkkllik", []want{{1, 6, 3, ByLine}}},
		"two, ten seconds apart":      {"lkkkkkkkkkkl", []want{{0, 1, 1, ByLine}, {11, 12, 1, ByLine}}},
		"one, nine seconds between":   {"lkkkkkkkkkl", []want{{0, 11, 2, ByLine}}},
		"a gap ends it":               {"ll.ll", []want{{0, 2, 2, ByLine}, {3, 5, 2, ByLine}}},
		"the cause of most seconds":   {"ollof", []want{{0, 5, 5, ByOwn}}},
		"mostly the far end":          {"offuf", []want{{0, 5, 5, ByFar}}},
		"over the minute's end":       {pad("k", 58) + "uuuu", []want{{58, 62, 4, ByUnknown}}},
		"to the end of what is known": {"kkoo", []want{{2, 4, 2, ByOwn}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Violations(core, minutesOf(250, c.text), false)
			if len(got) != len(c.want) {
				t.Fatalf("%d intervals, want %d: %+v", len(got), len(c.want), got)
			}
			for i, w := range c.want {
				g := got[i]
				if int(g.From.Sub(begin).Seconds()) != w.from || int(g.To.Sub(begin).Seconds()) != w.to || g.Seconds != w.seconds || g.Cause != w.cause || g.Worst != 0.25 || g.Rate != 20*mbit {
					t.Errorf("got %+v, want %+v", g, w)
				}
			}
		})
	}
	two := minutesOf(250, pad("l", 180))
	if got := Violations(core, []Record{two[0], two[2]}, false); len(got) != 2 || got[0].Seconds != 60 {
		t.Errorf("a minute is missing between: %+v", got)
	}
	if got := Violations(core, two, true); len(got) != 0 {
		t.Errorf("the other direction: %+v", got)
	}
}

func pad(s string, n int) string {
	out := ""
	for range n {
		out += s
	}
	return out
}
