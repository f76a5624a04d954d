package tunnel

import (
	"slices"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// A flood in one class, even the first, must not look like a line that is cut.
func TestSilentEndsAreAskedInEveryClass(t *testing.T) {
	now := time.Now()
	const pace = 200 * time.Millisecond
	for _, x := range []struct {
		name    string
		classes []uint8
		quiet   time.Duration
		want    []uint8 // of four times in a row, without repetition
		atOnce  int
	}{
		{"answers", []uint8{2, 1, 3}, pace + silence, []uint8{1, 2, 3}, 1},
		{"silent", []uint8{2, 1, 3}, pace + silence + time.Millisecond, []uint8{0, 1, 2, 3}, 4},
		{"silent for long", []uint8{2, 1, 3}, feelers, []uint8{0, 1, 2, 3}, 2},
		{"no classes", nil, pace + silence + time.Millisecond, []uint8{0}, 1},
	} {
		a := &asker{classes: x.classes, reached: 2, talked: now.Add(-x.quiet)}
		var got []uint8
		for range 4 {
			due := a.due(now, pace)
			if len(due) != x.atOnce {
				t.Errorf("%s: asked in %v at once, want %d classes", x.name, due, x.atOnce)
			}
			got = append(got, due...)
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, x.want) {
			t.Errorf("%s: asked in %v, want %v", x.name, got, x.want)
		}
	}
}

// An end that carries nothing costs less; one that is needed, or that is missed, is asked each time.
func TestEndsThatRestAreAskedSeldom(t *testing.T) {
	now := time.Now()
	s := New(Options{Keys: t.TempDir()})
	ends := []ways.End{{ID: "a", Region: "tokyo", Device: "wg0", Probed: true}, {ID: "b", Region: "tokyo", Device: "wg1", Probed: true}, {ID: "c", Region: "osaka", Device: "wg1", Probed: true}}
	s.machine.Configure(ends, []string{"wg0", "wg1"}, nil, now)
	for _, e := range ends {
		s.askers = append(s.askers, &asker{device: "none", fd: -1, peer: Peer{ID: e.ID, Plain: true}, results: map[uint8]*ring{}})
	}
	for _, id := range []string{"a", "b"} {
		s.machine.Sent(id, now)
		s.machine.Heard(id, time.Millisecond)
	}
	s.machine.Step(now)
	const rounds = 10
	answer := func() {
		s.machine.Heard("a", time.Millisecond)
		s.machine.Heard("b", time.Millisecond)
	}
	for i := range rounds {
		s.ask(now, true, i%seldom == 0)
		answer()
		now = now.Add(beat)
		s.ask(now, false, false)
	}
	for i, want := range []uint64{rounds, rounds / seldom, rounds} { // carries tokyo; rests; is down
		if a := s.askers[i]; a.seq != want {
			t.Errorf("end %s was asked %d times in %d rounds, want %d", a.peer.ID, a.seq, rounds, want)
		}
	}
	before := []uint64{s.askers[0].seq, s.askers[1].seq, s.askers[2].seq}
	s.ask(now, true, true)
	for range 3 { // they do not answer
		now = now.Add(beat)
		s.ask(now, false, false)
	}
	for i, want := range []uint64{4, 4, 1} {
		if got := s.askers[i].seq - before[i]; got != want {
			t.Errorf("end %s was asked %d times in the round and the three beats in which nobody answered, want %d", s.askers[i].peer.ID, got, want)
		}
	}
}
