package packet

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// timedTables permit pings between mnpc and lgasp: there by rule 1, back by rule 2.
func timedTables(there, back Rule) Tables {
	t := townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 1}, Cell{Src: 22, Dst: 21, Port: 3, Rule: 2})
	there.ID, there.Records = 1, []string{"there"}
	back.ID, back.Records = 2, []string{"back"}
	t.Rules = []Rule{there, back}
	return t
}

// pings tells whether one ping of a few is answered.
func (w *town) pings(from, to string) bool {
	return w.in(from, "ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "0.5", to).Run() == nil
}

// One record ends at the next minute and another begins, both with live traffic and with nobody there who could do anything
// about it.
func TestRecordsEndAndBeginToTheMinute(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, timedTables(Rule{}, Rule{}))
	if !w.pings("mnpc", "198.18.21.11") || !w.pings("lgasp", "198.18.10.11") { // neighbours are known from here on
		t.Fatal("pings do not pass")
	}
	turn := time.Now().Truncate(time.Minute).Add(time.Minute)
	if time.Until(turn) < 5*time.Second {
		turn = turn.Add(time.Minute)
	}
	minute := turn.Unix() / 60
	swap(t, c, timedTables(Rule{Until: minute}, Rule{From: minute}))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	n := strconv.Itoa(int(time.Until(turn)/(100*time.Millisecond)) + 30)
	answered := func(from, to string) chan []time.Time {
		out := make(chan []time.Time, 1)
		ping := w.in(from, "ping", "-n", "-D", "-i", "0.1", "-c", n, "-W", "1", to)
		go func() {
			b, _ := ping.Output() // that packets were lost is what is wanted
			var at []time.Time
			for line := range strings.Lines(string(b)) {
				stamp, found := strings.CutPrefix(line, "[")
				stamp, _, _ = strings.Cut(stamp, "]")
				if s, err := strconv.ParseFloat(stamp, 64); found && err == nil && strings.Contains(line, "bytes from") {
					at = append(at, time.UnixMicro(int64(s*1e6)))
				}
			}
			out <- at
		}()
		return out
	}
	there, back := answered("mnpc", "198.18.21.11"), answered("lgasp", "198.18.10.11")
	ended, begun := <-there, <-back
	const slack = 700 * time.Millisecond // of a busy machine, not of the programs
	if len(ended) < 10 || ended[len(ended)-1].After(turn.Add(slack)) || ended[len(ended)-1].Before(turn.Add(-4*slack)) {
		t.Errorf("%d answers by the record that ends at %s, the last: %v", len(ended), turn, ended[max(len(ended)-1, 0):])
	}
	if len(begun) < 5 || begun[0].Before(turn) || begun[0].After(turn.Add(4*slack)) {
		t.Errorf("%d answers by the record that begins at %s, the first: %v", len(begun), turn, begun[:min(len(begun), 1)])
	}
	c = w.open()
	if w.drops(c, "record-time") == 0 {
		t.Error("nothing was dropped for record-time")
	}
}

// Each way in which a rule can have a time, and the clock that it goes by.
func TestRulesHoldWhenTheirTimeHolds(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	now := time.Now().Unix() / 60
	week := uint16((now + 3*24*60) % weekLength)
	around := func(from, to int) []Span { // minutes from now, in the week
		f, to2 := (int(week)+from+weekLength)%weekLength, (int(week)+to+weekLength)%weekLength
		if f < to2 {
			return []Span{{uint16(f), uint16(to2)}}
		}
		if to2 == 0 {
			return []Span{{uint16(f), weekLength}}
		}
		return []Span{{0, uint16(to2)}, {uint16(f), weekLength}}
	}
	windows := []Window{{ID: 1, Spans: around(-60, 60)}, {ID: 255, Spans: around(60, 120)}}
	cases := []struct {
		name   string
		rule   Rule
		more   []Rule // of the chain
		reason string
	}{
		{"always", Rule{}, nil, ""},
		{"between", Rule{From: now - 60, Until: now + 60}, nil, ""},
		{"over", Rule{Until: now - 60}, nil, "record-time"},
		{"still to come", Rule{From: now + 60}, nil, "record-time"},
		{"inside its window", Rule{Window: 1}, nil, ""},
		{"outside its window", Rule{Window: 255}, nil, "record-time"},
		{"inside its window, but over", Rule{Window: 1, Until: now - 60}, nil, "record-time"},
		{"over, and renewed", Rule{Until: now - 60, Next: 3}, []Rule{{ID: 3, From: now + 60, Next: 4}, {ID: 4, Window: 1}}, ""},
		{"over, and not yet renewed", Rule{Until: now - 60, Next: 3}, []Rule{{ID: 3, From: now + 60, Next: 4}, {ID: 4, Window: 255}}, "record-time"},
	}
	for _, x := range cases {
		tables := timedTables(x.rule, Rule{})
		for _, r := range x.more {
			r.Records = []string{"more"}
			tables.Rules = append(tables.Rules, r)
		}
		tables.Windows = windows
		swap(t, c, tables)
		before := w.drops(c, x.reason)
		if got := w.pings("mnpc", "198.18.21.11"); got != (x.reason == "") {
			t.Errorf("%s: pings pass %t, want %t", x.name, got, x.reason == "")
		}
		if x.reason != "" && w.drops(c, x.reason) == before {
			t.Errorf("%s: nothing was dropped for %s", x.name, x.reason)
		}
	}

	// A clock that was set back: what has a time is closed, the rest goes on.
	swap(t, c, timedTables(Rule{Until: now + 60}, Rule{}))
	offset, err := taiOffset()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name   string
		offset time.Duration
		floor  uint32
		pass   bool
	}{
		{"right", offset, uint32(now), true},
		{"an hour behind", offset, uint32(now + 60), false},
		{"never set", offset, 0, false},
		{"two hours ahead", offset - 2*time.Hour, uint32(now), false},
		{"right again", offset, uint32(now), true},
	} {
		if err := c.objects.WallClock.Put(uint32(0), clockValueOf(x.offset, x.floor)); err != nil {
			t.Fatal(err)
		}
		before := w.drops(c, "clock-behind")
		if got := w.pings("mnpc", "198.18.21.11"); got != x.pass {
			t.Errorf("clock %s: pings by a record with a time pass %t, want %t", x.name, got, x.pass)
		}
		if got := w.drops(c, "clock-behind") > before; got != (!x.pass && x.offset == offset) {
			t.Errorf("clock %s: dropped for clock-behind %t", x.name, got)
		}
		if !w.pings("lgasp", "198.18.10.11") {
			t.Errorf("clock %s: pings by a record without a time do not pass", x.name)
		}
	}
}

func TestFloorOutlivesTheDaemon(t *testing.T) {
	w := newTown(t)
	file := filepath.Join(t.TempDir(), "clock")
	open := func() (*Core, error) {
		return Open(t.Context(), Options{PinDir: w.pins, Anchors: townAnchors(), ClockFile: file})
	}
	floor := func(what string) uint32 {
		t.Helper()
		c, err := open()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer c.Close()
		var v clockValue
		if err := c.objects.WallClock.Lookup(uint32(0), &v); err != nil {
			t.Fatal(err)
		}
		if err := c.KeepTime(); (err == nil) != (v.floor() <= uint32(time.Now().Unix()/60)) {
			t.Errorf("%s: keep time: %v", what, err)
		}
		return v.floor()
	}
	now := uint32(time.Now().Unix() / 60)
	if got := floor("first start"); got < now || got > now+2 {
		t.Errorf("first start: floor %d, want %d", got, now)
	}
	b, err := os.ReadFile(file)
	if at, perr := time.Parse(floorLayout, strings.TrimSpace(string(b))); err != nil || perr != nil || uint32(at.Unix()/60) < now {
		t.Errorf("the file holds %q (%v, %v)", b, err, perr)
	}
	future := now + 600
	if err := writeFloor(file, future); err != nil {
		t.Fatal(err)
	}
	if got := floor("clock behind the file"); got != future {
		t.Errorf("clock behind the file: floor %d, want %d", got, future)
	}
	if kept, err := readFloor(file); err != nil || kept != future {
		t.Errorf("the file was changed to %d, %v", kept, err)
	}
	if err := os.WriteFile(file, []byte("yesterday"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := floor("a damaged file"); got != math.MaxUint32 {
		t.Errorf("a damaged file: floor %d, want everything closed", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := floor("removed by root"); got < now || got > now+2 {
		t.Errorf("removed by root: floor %d, want %d", got, now)
	}
}

// The floor rises only when the file has it, so that it can never be forgotten.
func TestFloorWaitsForTheFile(t *testing.T) {
	w := newTown(t)
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), Options{PinDir: w.pins, Anchors: townAnchors(), ClockFile: filepath.Join(dir, "clock")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	was := c.clock.floor()
	if warning, err := c.setClock(time.Now().Add(3*time.Minute), was); warning == nil || err != nil || c.clock.floor() != was {
		t.Errorf("without a place for the file: %v, %v, floor %d, want a warning and %d", warning, err, c.clock.floor(), was)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if warning, err := c.setClock(time.Now().Add(3*time.Minute), was); warning != nil || err != nil || c.clock.floor() < was+3 {
		t.Errorf("with one: %v, %v, floor %d, want at least %d", warning, err, c.clock.floor(), was+3)
	}
}
