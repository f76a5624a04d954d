package evidence

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// dataplane answers as the gate does.
type dataplane struct {
	r     measure.Recorder
	sent  uint64
	down  bool
	asked int
}

func (d *dataplane) get(_ context.Context, query string, into any) error {
	d.asked++
	if d.down {
		return io.ErrUnexpectedEOF
	}
	var run, seq uint64
	for _, kv := range strings.Split(query, "&") {
		k, v, _ := strings.Cut(kv, "=")
		var n uint64
		if err := json.Unmarshal([]byte(v), &n); err != nil {
			return err
		}
		if k == "run" {
			run = n
		} else {
			seq = n
		}
	}
	b, err := json.Marshal(d.r.After(uint32(run), seq, 120))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	return err
}

func (d *dataplane) second(at time.Time) {
	d.sent += 3_000_000
	up := []measure.Counters{{Bytes: d.sent, Packets: d.sent / 1000}}
	d.r.Take(at, []measure.Reading{{Line: "line-a", Device: "wg0", RateUp: 100 * mbit, Ends: []measure.End{{Region: "tokyo", Answered: true}},
		Classes: []measure.Class{{Name: "core", GuaranteeUp: 20 * mbit, Tally: measure.Tally{Up: up}}}}})
}

func TestPullCatchesUp(t *testing.T) {
	var d dataplane
	dir := t.TempDir()
	s, _ := open(t, dir)
	p := &Puller{Store: s, Get: d.get}
	at := begin
	run := func(seconds int) {
		for range seconds {
			at = at.Add(time.Second)
			d.second(at)
		}
	}
	pull := func() {
		t.Helper()
		if err := p.Pull(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	run(100)
	pull()
	if got := read(t, s, Seconds, begin, at); len(got) != 99 {
		t.Fatalf("%d seconds, want 99", len(got))
	}
	s.Close()
	run(800) // control is down
	s, _ = open(t, dir)
	p = &Puller{Store: s, Get: d.get}
	for range 4 {
		pull()
	}
	if got := read(t, s, Seconds, begin, at); len(got) != 899 {
		t.Errorf("%d seconds after a stop, want 899", len(got))
	}
	minutes := read(t, s, Minutes, begin.Add(time.Minute), begin.Add(14*time.Minute))
	for _, m := range minutes {
		if m.Covered != 60 {
			t.Errorf("minute %v covers %d seconds", time.Unix(m.At, 0), m.Covered)
		}
	}
	s.Close()
	lost := at
	run(2000) // longer than the dataplane remembers
	s, _ = open(t, dir)
	p = &Puller{Store: s, Get: d.get}
	for range 4 {
		pull()
	}
	if got := read(t, s, Seconds, begin, at); len(got) != 899+900 || got[899].At != at.Unix()-900 {
		t.Errorf("%d seconds, want 899 and 900", len(got))
	}
	for _, m := range read(t, s, Minutes, lost.Add(time.Minute), at.Add(-16*time.Minute)) {
		t.Errorf("minute %v of the gap: %v", time.Unix(m.At, 0), m.Up.Count)
	}
	d.down = true
	if err := p.Pull(context.Background()); err == nil {
		t.Error("a dataplane that is down gave no error")
	}
}

// An hour that ended while control was down is made of the minutes that were written, when it comes back.
func TestHoursThatEndedDuringAStop(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	for i := range 600 {
		keep(t, s, look(begin.Add(time.Duration(i)*time.Second), 1, 20))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(core.path(dir, Hours)); err != nil { // as if the machine had stopped before it was written
		t.Fatal(err)
	}
	s, _ = open(t, dir)
	for i := range 61 {
		keep(t, s, look(begin.Add(5*time.Hour+time.Duration(i)*time.Second), 1, 20))
	}
	if h := read(t, s, Hours, begin, begin.Add(5*time.Hour)); len(h) != 1 || h[0].Covered != 600 {
		t.Errorf("hours: %+v", h)
	}
}
