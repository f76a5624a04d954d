package transfer

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

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
		id := b.next(t)
		got = append(got, slices.Index(ids, id))
		b.end(t, nil)
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
		b.next(t)
	}
	for range 5 {
		b.end(t, nil)
		b.next(t)
	}
	for range 3 {
		b.end(t, nil)
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
	if got := b.next(t); got != first {
		t.Fatal(got)
	}
	second := o.send("b.txt").ID
	b.end(t, errors.New("connection refused"))
	if got := b.next(t); got != second {
		t.Errorf("%s while the other waits to be tried again", got)
	}
	b.end(t, nil)
	if got := b.next(t); got != first {
		t.Errorf("%s, want the first again", got)
	}
	b.end(t, nil)
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
	b.next(t)
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
		b.end(t, nil)
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
		b.next(t)
		waits, other := o.send("b.txt").ID, o.send("c.txt").ID
		for _, id := range []string{waits, at, at} {
			if err := o.Cancel(ctx, o.suzuki, anchors.LGWAN, id); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.next(t); got != other {
			t.Errorf("%s has the place of what was cancelled, want %s", got, other)
		}
		b.end(t, nil)
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
