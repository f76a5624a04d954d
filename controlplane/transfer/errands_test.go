package transfer

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// slowBroker works on a file until the test lets it end or control gives it up.
type slowBroker struct {
	o      *office
	places int
	begun  chan string // ids, as they come
	finish chan error  // one for each that ends

	mu          sync.Mutex
	now, most   int
	gone        []string // given up
	orders      map[string]broker.Order
	stageOfAll  verdict.Stage
	unreachable error
}

func (b *slowBroker) Run(ctx context.Context, o broker.Order) (broker.Outcome, error) {
	b.mu.Lock()
	b.now++
	b.most = max(b.most, b.now)
	b.orders[o.Transfer] = o
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now--
	}()
	b.begun <- o.Transfer
	select {
	case err := <-b.finish:
		return b.o.honest(o), err
	case <-ctx.Done():
		b.mu.Lock()
		b.gone = append(b.gone, o.Transfer)
		b.mu.Unlock()
		return broker.Outcome{}, ctx.Err()
	}
}

func (b *slowBroker) Draw(context.Context, broker.Order) error { return nil }
func (b *slowBroker) At(context.Context) (verdict.Work, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := verdict.Work{Places: b.places, Files: map[string]verdict.Stage{}}
	for id := range b.orders {
		w.Files[id] = b.stageOfAll
	}
	return w, b.unreachable
}

// slow gives an office whose broker is one of those, and what runs it until the test ends.
func slow(t *testing.T, places int) (*office, *slowBroker, func()) {
	o := newOffice(t)
	b := &slowBroker{o: o, places: places, begun: make(chan string, 100), finish: make(chan error), orders: map[string]broker.Order{}}
	o.Desk.o.Broker = b
	return o, b, func() {
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- o.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func (o *office) person(id string) web.Person {
	o.t.Helper()
	zones := []anchors.Zone{anchors.LGWAN, anchors.Internet}
	if _, err := o.Desk.o.People.Add(context.Background(), "root", identity.Person{ID: id, Name: id, Section: "soumu", Role: web.Staff, Zones: zones}); err != nil {
		o.t.Fatal(err)
	}
	return web.Person{ID: id, Role: web.Staff, Zones: zones}
}

// TestASingleFileWaitsForOneOfMany: the broker gets as many as it has places for, and whose is next is fair.
func TestASingleFileWaitsForOneOfMany(t *testing.T) {
	o, b, run := slow(t, 1)
	mori := o.person("mori")
	var ids []string
	send := func(name string) {
		ids = append(ids, o.send(name).ID)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.time = o.time.Add(time.Second) // transfers of one second are in no order
	}
	for range 5 {
		send("a.txt")
	}
	o.suzuki = mori
	send("b.txt")
	run()
	var got []int
	for range ids {
		id := <-b.begun
		got = append(got, slices.Index(ids, id))
		b.finish <- nil
	}
	if want := []int{0, 5, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if b.most != 1 {
		t.Errorf("%d at once, the broker has one place", b.most)
	}
}

func TestAsManyAreWithTheBrokerAsItHasPlaces(t *testing.T) {
	o, b, run := slow(t, 3)
	for range 8 {
		o.send("a.txt")
	}
	run()
	for range 3 {
		<-b.begun
	}
	for range 5 {
		b.finish <- nil
		<-b.begun
	}
	for range 3 {
		b.finish <- nil
	}
	if b.most != 3 {
		t.Errorf("%d at once, want 3", b.most)
	}
}

// TestAFileThatHasToBeTriedAgainKeepsNobodyWaiting: while the broker is away for one, another has its place.
func TestAFileThatHasToBeTriedAgainKeepsNobodyWaiting(t *testing.T) {
	o, b, run := slow(t, 1)
	run()
	first := o.send("a.txt").ID
	if got := <-b.begun; got != first {
		t.Fatal(got)
	}
	second := o.send("b.txt").ID
	b.finish <- errors.New("connection refused")
	if got := <-b.begun; got != second {
		t.Errorf("%s while the other waits to be tried again", got)
	}
	b.finish <- nil
	if got := <-b.begun; got != first {
		t.Errorf("%s, want the first again", got)
	}
	b.finish <- nil
}

func TestThePageSaysHowFarAFileIs(t *testing.T) {
	o, b, run := slow(t, 1)
	run()
	ctx := context.Background()
	stage := func(id string) *verdict.Stage {
		t.Helper()
		one, err1 := o.Get(ctx, o.suzuki, anchors.LGWAN, id)
		all, err2 := o.List(ctx, o.suzuki, anchors.LGWAN, web.Sent)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(t web.Transfer) bool { return t.ID == id })
		if one.Stage != nil && (all[i].Stage == nil || *all[i].Stage != *one.Stage) {
			t.Errorf("the list says %+v, the page %+v", all[i].Stage, one.Stage)
		}
		return one.Stage
	}
	b.stageOfAll = verdict.Stage{Name: verdict.Helping, Done: 3, Of: 12}
	at := o.send("a.txt").ID
	<-b.begun
	next, last := o.send("b.txt").ID, o.send("c.txt").ID
	for id, want := range map[string]verdict.Stage{at: b.stageOfAll, next: {Name: verdict.Waiting, Place: 1}, last: {Name: verdict.Waiting, Place: 2}} {
		if got := stage(id); got == nil || *got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	b.mu.Lock()
	b.unreachable = errors.New("connection refused")
	b.mu.Unlock()
	if got := stage(at); got != nil {
		t.Errorf("nobody knows, and it says %+v", got)
	}
	for range 3 {
		b.finish <- nil
	}
}

// TestCancel: what is done ends, what waits leaves the line, and release erases; nothing of it is undone by a step that the gate was
// just about to take.
func TestCancel(t *testing.T) {
	ctx := context.Background()
	state := func(o *office, id string) web.State {
		t.Helper()
		got, err := o.Get(ctx, o.suzuki, anchors.LGWAN, id)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	erased := func(o *office, ids ...string) {
		t.Helper()
		if err := o.Tend(ctx); err != nil {
			t.Fatal(err)
		}
		o.release.mu.Lock()
		defer o.release.mu.Unlock()
		for _, id := range ids {
			if _, there := o.release.files[id]; there {
				t.Errorf("release keeps %s", id)
			}
		}
	}
	t.Run("at work and waiting", func(t *testing.T) {
		o, b, run := slow(t, 1)
		run()
		at := o.send("a.txt").ID
		<-b.begun
		waits, other := o.send("b.txt").ID, o.send("c.txt").ID
		for _, id := range []string{waits, at, at} {
			if err := o.Cancel(ctx, o.suzuki, anchors.LGWAN, id); err != nil {
				t.Fatal(err)
			}
		}
		if got := <-b.begun; got != other {
			t.Errorf("%s has the place of what was cancelled, want %s", got, other)
		}
		b.finish <- nil
		if !slices.Equal(b.gone, []string{at}) {
			t.Errorf("given up: %v, want %s", b.gone, at)
		}
		for _, id := range []string{at, waits} {
			if got := state(o, id); got != web.Cancelled {
				t.Errorf("%s is %s", id, got)
			}
		}
		erased(o, at, waits)
		var noted []string
		for _, e := range readAll(t, o.log) {
			if e.Action == "transfer.cancel" && e.Actor == "suzuki" {
				noted = append(noted, e.Object)
			}
		}
		if !slices.Equal(noted, []string{waits, at}) {
			t.Errorf("the log tells of %v", noted)
		}
	})
	t.Run("while the broker's answer is on its way", func(t *testing.T) {
		o := newOffice(t)
		id := o.send("a.txt").ID
		o.broker = func(b broker.Order) (broker.Outcome, error) {
			return o.honest(b), o.Cancel(ctx, o.suzuki, anchors.LGWAN, id)
		}
		if got := o.work(id).State; got != web.Cancelled {
			t.Errorf("%s", got)
		}
		erased(o, id)
	})
	t.Run("awaiting approval, and after it", func(t *testing.T) {
		o := newOffice(t)
		waits, passed := o.send("a.txt").ID, o.send("b.txt").ID
		o.work(waits)
		r, rev, err := o.load(ctx, passed)
		if err != nil {
			t.Fatal(err)
		}
		r.advance(web.Released, o.now(), "tanaka")
		if err := o.save(ctx, r, rev, store.Txn{}); err != nil {
			t.Fatal(err)
		}
		if err := o.Cancel(ctx, o.suzuki, anchors.LGWAN, waits); err != nil || state(o, waits) != web.Cancelled {
			t.Errorf("%v, %s", err, state(o, waits))
		}
		if err := o.Reject(ctx, o.tanaka, anchors.LGWAN, waits, "遅い"); why(err) != web.CodeState {
			t.Errorf("rejected after it was cancelled: %v", err)
		}
		if err := o.Cancel(ctx, o.suzuki, anchors.LGWAN, passed); why(err) != web.CodeApproved || state(o, passed) != web.Released {
			t.Errorf("after approval: %v, %s", err, state(o, passed))
		}
		erased(o, waits)
	})
	t.Run("another's", func(t *testing.T) {
		o := newOffice(t)
		id := o.send("a.txt").ID
		for _, c := range []struct {
			who  web.Person
			zone anchors.Zone
		}{{o.tanaka, anchors.LGWAN}, {o.person("mori"), anchors.LGWAN}, {o.suzuki, anchors.Internet}} {
			if err := o.Cancel(ctx, c.who, c.zone, id); why(err) != web.CodeNotFound || state(o, id) != web.Received {
				t.Errorf("%s in %s: %v, %s", c.who.ID, c.zone, err, state(o, id))
			}
		}
	})
}

// TestPasswordsAreHandedOnAndForgotten: the broker gets them, and nothing that control keeps or logs ever holds them.
func TestPasswordsAreHandedOnAndForgotten(t *testing.T) {
	ctx := context.Background()
	const secret = "planted-password"
	send := func(o *office, keys ...string) (web.Transfer, error) {
		return o.Create(ctx, o.suzuki, anchors.LGWAN, anchors.Internet, "a.zip", "", keys, strings.NewReader(content))
	}
	locked := func(b broker.Order) (broker.Outcome, error) {
		return broker.Outcome{Report: verdict.Report{Outcome: verdict.Blocked, Findings: []verdict.Finding{{Code: "archive.password", Action: verdict.Refused}}}}, nil
	}
	t.Run("handed on", func(t *testing.T) {
		o, b, run := slow(t, 1)
		var log bytes.Buffer
		o.Desk.o.Log = slog.New(slog.NewTextHandler(&log, nil))
		run()
		sent, err := send(o, secret, "second")
		if err != nil {
			t.Fatal(err)
		}
		<-b.begun
		b.finish <- errors.New("connection refused") // tried again
		<-b.begun
		if got := b.orders[sent.ID].Keys; !slices.Equal(got, []string{secret, "second"}) {
			t.Errorf("the broker was given %q", got)
		}
		b.finish <- nil
		other, err := send(o) // the one before is settled when this one's turn comes
		if err != nil {
			t.Fatal(err)
		}
		<-b.begun
		b.finish <- nil
		if got := b.orders[other.ID].Keys; got != nil {
			t.Errorf("another file was given %q", got)
		}
		if err := o.Cancel(ctx, o.suzuki, anchors.LGWAN, other.ID); err != nil {
			t.Fatal(err)
		}
		o.errands.mu.Lock()
		defer o.errands.mu.Unlock()
		if len(o.errands.keys) != 0 {
			t.Errorf("kept: %q", o.errands.keys)
		}
		scan(t, o.dir, secret)
		if strings.Contains(log.String(), secret) {
			t.Errorf("logged: %s", log.String())
		}
	})
	t.Run("forgotten by a stop", func(t *testing.T) {
		o := newOffice(t)
		o.broker = locked
		sent, err := send(o, secret)
		if err != nil {
			t.Fatal(err)
		}
		o.Desk = New(o.Desk.o)
		got := o.work(sent.ID)
		if fs := got.Report.Findings; len(fs) != 2 || fs[1].Code != "gate.password-forgotten" {
			t.Errorf("%+v", fs)
		}
	})
	t.Run("wrong ones", func(t *testing.T) {
		o := newOffice(t)
		o.broker = locked
		sent, err := send(o, secret)
		if err != nil {
			t.Fatal(err)
		}
		if fs := o.work(sent.ID).Report.Findings; len(fs) != 1 {
			t.Errorf("%+v", fs)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		o := newOffice(t)
		sent, err := send(o, secret)
		if err == nil {
			err = o.Cancel(ctx, o.suzuki, anchors.LGWAN, sent.ID)
		}
		if err != nil || len(o.errands.keys) != 0 {
			t.Errorf("%v, kept %q", err, o.errands.keys)
		}
	})
	t.Run("odd ones", func(t *testing.T) {
		o := newOffice(t)
		for _, k := range []string{"", "a\nb", "a\x00b", strings.Repeat("x", verdict.MaxKey+1)} {
			if _, err := send(o, k); why(err) != web.CodePasswords {
				t.Errorf("%.20q: %v", k, err)
			}
		}
	})
}
