package evidence

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

const mbit = 1_000_000

// begin is a full hour.
var begin = time.Unix(1_800_000_000, 0).Truncate(time.Hour)

// second is a look at line-a and its class core: 20 Mbit/s guaranteed, of which mbits were sent with a queue that stood.
func look(at time.Time, run uint32, mbits float64, trips ...time.Duration) []measure.Sample {
	line := measure.Sample{At: at.Unix(), Run: run, Seq: uint64(at.Unix()), Line: "line-a", Device: "wg0", Span: time.Second, State: measure.Up,
		Up:   measure.Flow{Counted: true, Bytes: 12_500_000, Packets: 10_000, Rate: 100 * mbit, Arrived: 1},
		Down: measure.Flow{Rate: 100 * mbit, Arrived: -1},
		Probe: measure.Probe{Sent: uint32(len(trips)), Trips: slices.Sorted(slices.Values(trips)),
			P50: measure.Quantile(trips, 0.5), P99: measure.Quantile(trips, 0.99), Max: measure.Quantile(trips, 1)}}
	class := line
	class.Class = "core"
	class.Up = measure.Flow{Counted: true, Bytes: uint64(mbits * mbit / 8), Packets: 1000, Guarantee: 20 * mbit, Ceiling: 50 * mbit, Rate: 100 * mbit, Before: 50_000, Backlog: 50_000, Arrived: -1}
	return []measure.Sample{line, class}
}

var core = Series{"line-a", "core"}

func open(t *testing.T, dir string) (*Store, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	s, err := Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, &log
}

func keep(t *testing.T, s *Store, samples []measure.Sample) {
	t.Helper()
	if err := s.Keep(samples); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s *Store, tier Tier, from, to time.Time) []Record {
	t.Helper()
	got, damaged, err := s.Read(core, tier, from, to)
	if err != nil || damaged > 0 {
		t.Fatalf("%d damaged, %v", damaged, err)
	}
	return got
}

func TestSecondsBecomeMinutesBecomeHours(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	for i := range 3700 {
		sent := 20.0
		if i >= 130 && i < 140 {
			sent = 15
		}
		if i >= 200 && i < 260 {
			continue // nobody looked
		}
		keep(t, s, look(begin.Add(time.Duration(i)*time.Second), 1, sent, 4*time.Millisecond, time.Duration(i%100)*time.Millisecond))
	}
	seconds := read(t, s, Seconds, begin, begin.Add(2*time.Hour))
	if len(seconds) != 3640 || seconds[0].At != begin.Unix() || seconds[3639].At != begin.Unix()+3699 {
		t.Fatalf("%d seconds from %d on", len(seconds), seconds[0].At)
	}
	if x := seconds[130]; x.Up.Verdicts[0] != ByOwn || x.Up.Worst != 750 || x.Up.Bytes != 15*mbit/8 || x.P99 != 30*time.Millisecond || x.Down.Verdicts[0] != Idle {
		t.Errorf("a second in which own traffic filled the line: %+v", x)
	}
	minutes := read(t, s, Minutes, begin, begin.Add(2*time.Hour))
	if len(minutes) != 61 {
		t.Fatalf("%d minutes, want 61: the last is under way", len(minutes))
	}
	if m := minutes[2]; m.Covered != 60 || m.Up.Count != [verdicts]uint16{Kept: 50, ByOwn: 10} || m.Up.Worst != 750 || m.UpFor != 60 || m.Up.Verdicts[10] != ByOwn || m.Up.Verdicts[9] != Kept {
		t.Errorf("the third minute: %+v", m)
	}
	if m := minutes[3]; m.Covered != 20 || m.Up.Count != [verdicts]uint16{NotKnown: 40, Kept: 20} {
		t.Errorf("the minute in which the gap began: covered %d, %v", m.Covered, m.Up.Count)
	}
	if m := minutes[0]; m.P50 != 4*time.Millisecond || m.P99 < 58*time.Millisecond || m.P99 > 59*time.Millisecond || m.Sent != 120 {
		t.Errorf("delays of the first minute: p50 %v, p99 %v of %d probes", m.P50, m.P99, m.Sent)
	}
	hours := read(t, s, Hours, begin, begin.Add(2*time.Hour))
	if len(hours) != 2 {
		t.Fatalf("%d hours: %+v", len(hours), hours)
	}
	h := hours[0]
	if h.Covered != 3540 || h.Up.Count != [verdicts]uint16{NotKnown: 60, Kept: 3530, ByOwn: 10} || h.Up.Worst != 750 || h.UpFor != 3540 {
		t.Errorf("the hour: %+v", h)
	}
	if true99 := 98 * time.Millisecond; h.P99 < true99 || h.P99 > 5*true99/4 || h.P50 < 4*time.Millisecond || h.P50 > 5*time.Millisecond {
		t.Errorf("p50 %v, p99 %v of the hour: want at least 4 and 98 ms, and at most a quarter more", h.P50, h.P99)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := open(t, dir)
	if got := again.Known(); !slices.Equal(got, []Series{{Line: "line-a"}, core}) {
		t.Errorf("known after a start: %v", got)
	}
	if got := read(t, again, Minutes, begin, begin.Add(2*time.Hour)); len(got) != 62 || got[61].Covered != 40 {
		t.Errorf("%d minutes after a start: the one under way was to be written at the end", len(got))
	}
}

// A stop of control: what the dataplane remembers makes the minute whole, what it does not stays a gap.
func TestTakenUpAfterAStop(t *testing.T) {
	for name, c := range map[string]struct {
		resumes int // second with which the dataplane's memory begins
		covered []uint16
	}{
		"all is remembered":         {0, []uint16{60, 60}},
		"from within the minute on": {50, []uint16{30 + 10, 60}},
		"what was kept is more":     {20, []uint16{60, 60}},
		"nothing of the minute":     {70, []uint16{30, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, _ := open(t, dir)
			for i := range 30 {
				keep(t, s, look(begin.Add(time.Duration(i)*time.Second), 1, 20, 4*time.Millisecond))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, _ = open(t, dir)
			var all []measure.Sample
			for i := c.resumes; i < 121; i++ {
				all = append(all, look(begin.Add(time.Duration(i)*time.Second), 1, 20, 4*time.Millisecond)...)
			}
			keep(t, s, all)
			var covered []uint16
			for _, m := range read(t, s, Minutes, begin, begin.Add(2*time.Minute)) {
				covered = append(covered, m.Covered)
			}
			want := c.covered
			if name == "what was kept is more" {
				want = []uint16{40, 60} // 20 to 59, of which 10 were there: the greater part stays, whole
			}
			if !slices.Equal(covered, want) {
				t.Errorf("covered %v, want %v", covered, want)
			}
		})
	}
}

func TestTornRecordsAreDroppedAndTold(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	for i := range 61 {
		keep(t, s, look(begin.Add(time.Duration(i)*time.Second), 1, 20))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := core.path(dir, Seconds)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := ring{Seconds, f}
	if _, err := f.WriteAt([]byte{0xff, 0xff, 0xff}, r.offset(begin.Unix()+60)+40); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s, log := open(t, dir)
	got, damaged, err := s.Read(core, Seconds, begin, begin.Add(time.Hour))
	if err != nil || damaged != 1 || len(got) != 60 {
		t.Fatalf("%d records, %d damaged, %v", len(got), damaged, err)
	}
	for i := 60; i < 122; i++ { // the dataplane still knows them
		keep(t, s, look(begin.Add(time.Duration(i)*time.Second), 1, 20))
	}
	if got := read(t, s, Seconds, begin, begin.Add(time.Hour)); len(got) != 122 {
		t.Errorf("%d seconds after they were taken up again", len(got))
	}
	if !strings.Contains(log.String(), "damaged records") {
		t.Errorf("nothing was told: %s", log)
	}
}

func TestAFileWithADamagedHeadIsSetAside(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	keep(t, s, look(begin, 1, 20))
	s.Close()
	path := core.path(dir, Seconds)
	damage := func(b []byte, at int64) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			_, err = f.WriteAt(b, at)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	damage([]byte{9}, 14)
	s, log := open(t, dir)
	if kept, _ := filepath.Glob(path + ".damaged-*"); len(kept) != 1 || !strings.Contains(log.String(), "begun anew") {
		t.Errorf("set aside: %v; told: %s", kept, log)
	}
	s.Close()
	damage([]byte{version + 1}, int64(len(magic)))
	before, _ := os.ReadFile(path)
	s, log = open(t, dir)
	if !strings.Contains(log.String(), "newer version") || s.Refused() != 1 {
		t.Errorf("of a newer version: %d refused, told: %s", s.Refused(), log)
	}
	if err := s.Keep(look(begin.Add(time.Second), 1, 20)); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("kept in a file of a newer version: %v", err)
	}
	if got, _, err := s.Read(Series{Line: "line-a"}, Seconds, begin, begin.Add(time.Minute)); err != nil || len(got) != 2 {
		t.Errorf("%d seconds of the line beside it, %v", len(got), err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file of a newer version was changed")
	}
}

// The clock is set back, and ahead: nothing is lost but what has no place, and nothing becomes better.
func TestClockSteps(t *testing.T) {
	s, log := open(t, t.TempDir())
	for i := range 60 {
		sent := 20.0
		if i == 30 {
			sent = 10
		}
		keep(t, s, look(begin.Add(time.Duration(i)*time.Second), 1, sent))
	}
	for i := range 121 { // the same minute again, as another run counted it
		sent := 20.0
		if i == 40 {
			sent = 12
		}
		keep(t, s, look(begin.Add(time.Duration(i)*time.Second), 2, sent))
	}
	got := read(t, s, Seconds, begin, begin.Add(time.Minute))
	if len(got) != 60 || !got[30].Up.Verdicts[0].Broken() || !got[40].Up.Verdicts[0].Broken() || got[50].Up.Verdicts[0] != Kept {
		t.Errorf("seconds that came twice: %d, the worse of each must stay", len(got))
	}
	minute := func(what string, broken int) {
		t.Helper()
		if m := read(t, s, Minutes, begin, begin.Add(time.Minute)); len(m) != 1 || m[0].Up.Broken() != broken || m[0].Up.Worst != 500 || m[0].Covered != 60 {
			t.Errorf("%s: %+v", what, m)
		}
	}
	minute("seen twice while it was under way", 2)
	for i := range 61 { // and again, after it was written
		sent := 20.0
		if i == 50 {
			sent = 11
		}
		keep(t, s, look(begin.Add(time.Duration(i)*time.Second), 3, sent))
	}
	minute("seen once more after it was written", 3)
	if !strings.Contains(log.String(), "clock was set back") {
		t.Errorf("nothing was told: %s", log)
	}
	ahead := begin.AddDate(0, 2, 0).Add(12 * time.Hour)
	keep(t, s, look(ahead, 2, 20))
	keep(t, s, look(begin.Add(200*time.Second), 2, 20))
	if got := read(t, s, Seconds, begin, begin.Add(time.Hour)); len(got) != 122 {
		t.Errorf("%d seconds after the clock was ahead for one", len(got))
	}
	if got := read(t, s, Seconds, ahead, ahead.Add(time.Hour)); len(got) != 1 {
		t.Errorf("%d seconds ahead", len(got))
	}
}

// While the disk takes its time, seconds are kept and read; Close waits for it.
func TestASlowDiskHoldsNobodyUp(t *testing.T) {
	s, _ := open(t, t.TempDir())
	slow, begun := make(chan struct{}), make(chan struct{}, 1000)
	s.flush = func(*os.File) error { begun <- struct{}{}; <-slow; return nil }
	done := make(chan error, 1)
	go func() {
		var errs []error
		for i := range 130 {
			errs = append(errs, s.Keep(look(begin.Add(time.Duration(i)*time.Second), 1, 20)))
		}
		done <- errors.Join(errs...)
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		close(slow)
		t.Fatal("Keep waits for the disk")
	}
	<-begun
	if got := read(t, s, Seconds, begin, begin.Add(time.Hour)); len(got) != 130 {
		t.Errorf("%d seconds", len(got))
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case <-closed:
		t.Error("closed while files were being synced")
	case <-time.After(50 * time.Millisecond):
	}
	close(slow)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// A ring never grows beyond its size, and what is older than it reaches back is no more.
func TestRingsAreBounded(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	for day := range 3 {
		for i := range 5 {
			keep(t, s, look(begin.AddDate(0, 0, day).Add(time.Duration(i)*time.Second), 1, 20))
		}
	}
	if got := read(t, s, Seconds, begin, begin.AddDate(0, 0, 3)); len(got) != 5 || got[0].At != begin.AddDate(0, 0, 2).Unix() {
		t.Errorf("%d seconds, want those of the last day", len(got))
	}
	for _, tier := range []Tier{Seconds, Minutes, Hours} {
		st, err := os.Stat(core.path(dir, tier))
		if err != nil || st.Size() > headerSize+tier.Slots*tier.size {
			t.Errorf("%s: %d bytes, %v", tier.end, st.Size(), err)
		}
	}
	if mb := SizeOfSeries() / 1e6; mb != 55 {
		t.Errorf("a series takes %d MB: the comment says 55", mb)
	}
}

func TestClassesComeAndGo(t *testing.T) {
	s, _ := open(t, t.TempDir())
	keep(t, s, look(begin, 1, 20))
	both := look(begin.Add(70*time.Second), 1, 20)
	keep(t, s, both[:1]) // core is gone: its minute ends without it
	if m := read(t, s, Minutes, begin, begin.Add(time.Hour)); len(m) != 1 || m[0].Covered != 1 {
		t.Errorf("minutes of a class that went: %+v", m)
	}
	for i := range mostSeries + 5 {
		both[1].Class = strings.Repeat("x", i+1)
		err := s.Keep(both)
		if full := i >= mostSeries-2; (err != nil) != full {
			t.Fatalf("series %d: %v", i+3, err)
		}
	}
	hostile := both[1]
	hostile.Class, hostile.Line = "../../../../etc/passwd", "../../up"
	dir := t.TempDir()
	s, _ = open(t, filepath.Join(dir, "a", "b"))
	keep(t, s, []measure.Sample{hostile})
	var files []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if !d.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	if len(files) != 3 || !strings.HasPrefix(files[0], filepath.Join(dir, "a", "b")+"/l...%2F") {
		t.Errorf("files of a class with a hostile name: %v", files)
	}
}
