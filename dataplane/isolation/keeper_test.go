package isolation

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// bench is a keeper with clocks that a test turns, and what it made the engines refuse.
type bench struct {
	t        *testing.T
	path     string
	now      time.Time
	boot     string
	ran      time.Duration
	behind   bool
	enforced []anchors.Zone
	kept     State // what stood in the file when the engines were told
	fails    error
	*Keeper
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "isolation", "state.json"), now: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), boot: "first", ran: time.Hour}
	b.open()
	return b
}

// open starts the keeper anew, as a killed daemon does.
func (b *bench) open() {
	b.Keeper = Open(b.path, Clock{
		Wall: func() time.Time { return b.now }, Boot: func() (string, time.Duration) { return b.boot, b.ran }, Behind: func() bool { return b.behind },
	}, func(zones []anchors.Zone) error {
		b.enforced = zones
		b.kept, _ = Read(b.path)
		return b.fails
	})
}

func (b *bench) begin(zone anchors.Zone, until time.Time) {
	b.t.Helper()
	if _, err := b.Begin(Request{Zone: zone, By: "sato", Reason: "疑わしい通信", Until: until, Via: ViaControl}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) pass(d time.Duration) {
	b.now, b.ran = b.now.Add(d), b.ran+d
	if err := b.KeepTime(); err != nil {
		b.t.Fatal(err)
	}
}

func acts(s State) (out []Act) {
	for _, e := range s.Events {
		out = append(out, e.Act)
	}
	return out
}

func (b *bench) want(what string, zones ...anchors.Zone) {
	b.t.Helper()
	onDisk, err := Read(b.path)
	if err != nil || !slices.Equal(b.State().Zones(), zones) || !slices.Equal(onDisk.Zones(), zones) || !slices.Equal(b.enforced, zones) {
		b.t.Errorf("%s: cut off are %v, in the engines %v, on the disk %v (%v); want %v", what, b.State().Zones(), b.enforced, onDisk.Zones(), err, zones)
	}
}

func TestCutOffSurvivesWhatever(t *testing.T) {
	b := newBench(t)
	b.begin(anchors.LGWAN, time.Time{})
	if b.kept.Zones() != nil {
		t.Error("the disk came before the engines")
	}
	b.begin(anchors.MyNumber, b.now.Add(time.Hour))
	b.want("after two acts", anchors.MyNumber, anchors.LGWAN)
	before := b.State()
	b.open()
	if !reflect.DeepEqual(b.State(), before) || b.Broken() != nil {
		t.Errorf("read back: %+v\nwritten: %+v", b.State(), before)
	}
	if err := b.End(Request{Zone: anchors.LGWAN, By: "root", Reason: "settled", Via: ViaRoot}); err != nil {
		t.Fatal(err)
	}
	if _, cut := b.kept.Of(anchors.LGWAN); cut {
		t.Error("a zone was given back before that was on the disk")
	}
	b.want("given back", anchors.MyNumber)
	if got := acts(b.State()); !slices.Equal(got, []Act{Begin, Begin, End}) {
		t.Errorf("events %v", got)
	}
	if info, err := os.Stat(b.path); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v (%v): release is to read it", info.Mode(), err)
	}
}

func TestThePlannedWayBackComesByItself(t *testing.T) {
	b := newBench(t)
	b.begin(anchors.Internet, b.now.Add(2*time.Hour))
	b.begin(anchors.LGWAN, time.Time{})
	b.pass(2*time.Hour - time.Second)
	b.want("a second too early", anchors.LGWAN, anchors.Internet)
	b.open()
	b.pass(time.Second)
	b.want("in time, by a daemon that was killed in between", anchors.LGWAN)
	if got := b.State().Events; got[len(got)-1].Act != Due || got[len(got)-1].Zone != anchors.Internet || got[len(got)-1].Via != ViaItself {
		t.Errorf("last event %+v", got[len(got)-1])
	}
	b.pass(365 * 24 * time.Hour)
	b.want("a year later", anchors.LGWAN)

	for _, x := range []struct {
		what string
		turn func(b *bench)
		back bool
	}{
		{"the wall clock was set forward", func(b *bench) { b.now = b.now.Add(24 * time.Hour) }, false},
		{"the wall clock was set back", func(b *bench) { b.now, b.ran = b.now.Add(-24*time.Hour), b.ran+2*time.Hour }, false},
		{"the clock shows a time before one that has been", func(b *bench) { b.now, b.ran, b.behind = b.now.Add(3*time.Hour), b.ran+3*time.Hour, true }, false},
		{"the machine started anew meanwhile, and has not run for long", func(b *bench) { b.now, b.ran, b.boot = b.now.Add(3*time.Hour), time.Minute, "second" }, false},
		{"the machine started anew meanwhile, and has run for long enough", func(b *bench) { b.now, b.ran, b.boot = b.now.Add(3*time.Hour), time.Hour, "second" }, true},
		{"the machine started anew, too early", func(b *bench) { b.now, b.ran, b.boot = b.now.Add(time.Minute), time.Minute, "second" }, false},
	} {
		b := newBench(t)
		b.begin(anchors.Internet, b.now.Add(time.Hour))
		x.turn(b)
		b.open()
		b.pass(0)
		if _, cut := b.State().Of(anchors.Internet); cut == x.back {
			t.Errorf("%s: cut off %v, want %v", x.what, cut, !x.back)
		}
	}
}

// A machine that is started anew again and again gives a zone back when it has run for long enough in all, whatever its wall clock
// shows after each start.
func TestThePlannedWayBackCountsOverStartsOfTheMachine(t *testing.T) {
	b := newBench(t)
	b.begin(anchors.Internet, b.now.Add(time.Hour))
	b.now = b.now.Add(24 * time.Hour)
	for i, boot := range []string{"first", "second", "third", "fourth"} {
		if b.boot = boot; i > 0 {
			b.ran = time.Minute // before the daemon started
		}
		b.open()
		b.want("in the boot "+boot, anchors.Internet)
		for range 13 {
			b.pass(countEvery)
		}
	}
	b.want("13 minutes in each of four boots, and a minute in three", anchors.Internet)
	b.pass(4 * countEvery)
	b.want("59 minutes", anchors.Internet)
	b.pass(countEvery)
	b.want("an hour")
}

func TestCutOffTwiceStaysForTheLongerTime(t *testing.T) {
	b := newBench(t)
	hour, day := b.now.Add(time.Hour), b.now.Add(24*time.Hour)
	for _, x := range []struct {
		until, want time.Time
	}{{hour, hour}, {day, day}, {hour, day}, {time.Time{}, time.Time{}}, {day, time.Time{}}} {
		b.begin(anchors.LGWAN, x.until)
		if c, _ := b.State().Of(anchors.LGWAN); !c.Until.Equal(x.want) {
			t.Errorf("until %v: it stays cut off until %v, want %v", x.until, c.Until, x.want)
		}
	}
}

// Control hands on what people ask of it, and may lie about that: what root cut off at the machine, only root gives back.
func TestWhatRootCutOffOnlyRootGivesBack(t *testing.T) {
	end := func(b *bench, via string) error {
		return b.End(Request{Zone: anchors.LGWAN, By: "sato", Reason: "why", Via: via})
	}
	for _, x := range []struct {
		what string
		cuts []string
		ok   bool
	}{
		{"control's", []string{ViaControl}, true},
		{"root's", []string{ViaRoot}, false},
		{"control's, and root's then", []string{ViaControl, ViaRoot}, false},
		{"root's, and control's then", []string{ViaRoot, ViaControl}, false},
		{"the dataplane's own", []string{ViaItself}, true},
	} {
		b := newBench(t)
		for _, via := range x.cuts {
			if _, err := b.Begin(Request{Zone: anchors.LGWAN, By: via, Reason: "why", Via: via}); err != nil {
				t.Fatal(err)
			}
		}
		b.open()
		err := end(b, ViaControl)
		var no *Refusal
		if x.ok != (err == nil) || err != nil && (!errors.As(err, &no) || !strings.Contains(no.Text, "sekisho rejoin")) {
			t.Errorf("%s cut, given back by control: %v", x.what, err)
		}
		if c, cut := b.State().Of(anchors.LGWAN); cut == x.ok || cut && (c.Via != ViaRoot || c.By != ViaRoot) {
			t.Errorf("%s cut: %+v", x.what, c)
		}
		if err := end(b, ViaRoot); !x.ok && err != nil {
			t.Errorf("%s cut, given back by root: %v", x.what, err)
		}
	}
}

func TestWhatIsNotPossibleChangesNothing(t *testing.T) {
	b := newBench(t)
	b.begin(anchors.LGWAN, time.Time{})
	before, _ := os.ReadFile(b.path)
	good := Request{Zone: anchors.Internet, By: "sato", Reason: "why", Via: ViaControl}
	for _, x := range []struct {
		what string
		with func(*Request)
		want string
	}{
		{"management", func(r *Request) { r.Zone = anchors.Management }, "management cannot be cut off"},
		{"no zone", func(r *Request) { r.Zone = anchors.None }, "cannot be cut off"},
		{"no reason", func(r *Request) { r.Reason = " " }, "reason: want"},
		{"nobody", func(r *Request) { r.By = "" }, "by: want"},
		{"a reason of two lines", func(r *Request) { r.Reason = "a\nb" }, "reason: want"},
		{"too long a reason", func(r *Request) { r.Reason = strings.Repeat("長", MaxReason+1) }, "reason: want"},
		{"everything", func(r *Request) { *r = Request{} }, "by: want 1 to 64 characters in one line; reason: want"},
		{"a time that was", func(r *Request) { r.Until = b.now }, "want a time to come"},
		{"a time too far", func(r *Request) { r.Until = b.now.AddDate(2, 0, 0) }, "at most a year"},
	} {
		r := good
		x.with(&r)
		_, err := b.Begin(r)
		var no *Refusal
		if !errors.As(err, &no) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want a refusal with %q", x.what, err, x.want)
		}
	}
	for _, r := range []Request{good, {Zone: anchors.LGWAN, By: "sato"}} {
		var no *Refusal
		if err := b.End(r); !errors.As(err, &no) {
			t.Errorf("give back %+v: %v, want a refusal", r, err)
		}
	}
	if after, _ := os.ReadFile(b.path); string(after) != string(before) {
		t.Errorf("the file changed:\n%s\n%s", before, after)
	}
}

// Each way in which a disk or the kernel fails, and what must still hold: what was to be cut off is, what was is not given back.
func TestFailuresLeaveTheZoneCutOff(t *testing.T) {
	full := func(b *bench) { // the stage's name cannot be had
		if err := os.MkdirAll(b.path+".new/full", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b := newBench(t)
	full(b)
	if _, err := b.Begin(Request{Zone: anchors.LGWAN, By: "sato", Reason: "why"}); err == nil || !strings.Contains(err.Error(), "a restart of the dataplane would forget it") {
		t.Errorf("cut off without a disk: %v", err)
	}
	if !slices.Equal(b.enforced, []anchors.Zone{anchors.LGWAN}) {
		t.Errorf("without a disk the engines refuse %v", b.enforced)
	}
	if err := b.Again(); err == nil {
		t.Error("written again without a disk")
	}
	if err := os.RemoveAll(b.path + ".new"); err != nil {
		t.Fatal(err)
	}
	if err := b.Again(); err != nil {
		t.Error(err)
	}
	b.want("with a disk again", anchors.LGWAN)

	b = newBench(t)
	b.begin(anchors.LGWAN, b.now.Add(time.Hour))
	full(b)
	if err := b.End(Request{Zone: anchors.LGWAN, By: "sato", Reason: "why"}); err == nil || !strings.Contains(err.Error(), "stays cut off") {
		t.Errorf("given back without a disk: %v", err)
	}
	b.want("without a disk", anchors.LGWAN)
	b.now, b.ran = b.now.Add(2*time.Hour), b.ran+2*time.Hour
	if err := b.KeepTime(); err == nil {
		t.Error("given back in time, without a disk")
	}
	b.want("without a disk, in time", anchors.LGWAN)

	b = newBench(t)
	b.fails = errors.New("netlink")
	if _, err := b.Begin(Request{Zone: anchors.LGWAN, By: "sato", Reason: "why"}); err == nil || !strings.Contains(err.Error(), "tried again") {
		t.Errorf("the engines refuse: %v", err)
	}
	b.fails, b.enforced = nil, nil
	if err := b.Again(); err != nil {
		t.Error(err)
	}
	b.want("tried again", anchors.LGWAN)
}

func TestAFileThatCannotBeReadCutsEverythingOff(t *testing.T) {
	good, err := encode(State{Cuts: []Cut{{Zone: anchors.LGWAN, Since: time.Unix(1, 0)}}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	for _, x := range []struct{ what, text string }{
		{"empty", ""},
		{"half", string(good[:len(good)/2])},
		{"a zone less", strings.Replace(string(good), `{"zone":"lgwan"`, `{"zone":"internet"`, 1)},
		{"more behind it", string(good) + "{}"},
		{"another version", strings.Replace(string(good), `"version":1`, `"version":2`, 1)},
		{"an unknown key", strings.Replace(string(good), `{"version"`, `{"x":1,"version"`, 1)},
		{"null", "null"},
		{"nothing in it", "{}"},
	} {
		if err := os.MkdirAll(filepath.Dir(b.path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.path, []byte(x.text), 0o644); err != nil {
			t.Fatal(err)
		}
		b.open()
		if b.Broken() == nil || !slices.Equal(b.State().Zones(), Zones) {
			t.Errorf("%s: %v, cut off are %v; want all", x.what, b.Broken(), b.State().Zones())
			continue
		}
		if err := b.Collected(b.State().Last); err != nil {
			t.Error(err)
		}
		if b.pass(1000 * time.Hour); !slices.Equal(b.State().Zones(), Zones) {
			t.Errorf("%s: after a while cut off are %v", x.what, b.State().Zones())
		}
		if text, _ := os.ReadFile(b.path); string(text) != x.text {
			t.Errorf("%s: the evidence was written over before anybody acted", x.what)
		}
		if err := b.End(Request{Zone: anchors.LGWAN, By: "root", Reason: "looked at"}); err != nil {
			t.Error(err)
		}
		b.want(x.what+": one given back", anchors.MyNumber, anchors.Internet, anchors.Uplink)
		if aside, err := os.ReadFile(b.path + ".unreadable"); err != nil || string(aside) != x.text {
			t.Errorf("%s: kept as evidence: %q (%v)", x.what, aside, err)
		}
	}
}

func TestEventsWaitForControl(t *testing.T) {
	b := newBench(t)
	for range 2 {
		b.begin(anchors.LGWAN, time.Time{})
		b.pass(time.Second)
	}
	if err := b.End(Request{Zone: anchors.LGWAN, By: "sato", Reason: "why"}); err != nil {
		t.Fatal(err)
	}
	events := b.State().Events
	if err := b.Collected(events[1].Seq); err != nil {
		t.Fatal(err)
	}
	b.open()
	if left := b.State().Events; len(left) != 1 || left[0] != events[2] {
		t.Errorf("left are %+v, want the last", left)
	}
	if err := b.Collected(events[2].Seq); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.path); err != nil { // and the numbers rise all the same
		t.Fatal(err)
	}
	b.pass(time.Second)
	b.open()
	b.begin(anchors.LGWAN, time.Time{})
	if got := b.State().Events[0].Seq; got <= events[2].Seq {
		t.Errorf("number %d after %d", got, events[2].Seq)
	}
	for range mostEvents - 1 {
		b.begin(anchors.LGWAN, time.Time{})
	}
	var no *Refusal
	if err := b.End(Request{Zone: anchors.LGWAN, By: "sato", Reason: "why"}); !errors.As(err, &no) {
		t.Errorf("given back while nobody can record it any more: %v", err)
	}
	if _, err := b.Begin(Request{Zone: anchors.LGWAN, By: "sato", Reason: "why"}); !errors.As(err, &no) {
		t.Errorf("one more act: %v", err)
	}
	b.begin(anchors.Internet, time.Time{}) // but cutting off is always possible
}

func FuzzDecode(f *testing.F) {
	for _, s := range []State{{}, {Cuts: []Cut{{Zone: anchors.LGWAN, Since: time.Unix(1, 0)}}, Events: []Event{{Seq: 1, Zone: anchors.LGWAN}}, Last: 1}} {
		b, err := encode(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		again, err := encode(s)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Decode(again); err != nil || !slices.Equal(back.Zones(), s.Zones()) {
			t.Errorf("%+v became %+v (%v)", s, back, err)
		}
	})
}
