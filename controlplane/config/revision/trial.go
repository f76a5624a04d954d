package revision

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/gate"
)

// waiting is the change on trial, as the store keeps it beside the head that it is.
type waiting struct {
	Number  int       `json:"number"`
	Former  int       `json:"former"` // becomes the head again
	Request string    `json:"request"`
	Took    time.Time `json:"took"` // force

	guard uint64
}

func (t *Trial) ended(s State, at time.Time, by, why string) *Trial {
	e := *t
	e.State, e.At, e.By, e.Why = s, at.UTC(), by, why
	return &e
}

// Pending is the change that waits for its confirmation; nil when none does. Its Trial.ID is what Confirm asks for.
func (b *Book) Pending(ctx context.Context) (*Revision, error) {
	w, err := b.waiting(ctx)
	if err != nil || w == nil {
		return nil, err
	}
	r, err := b.meta(ctx, w.Number)
	return &r, err
}

func (b *Book) waiting(ctx context.Context) (*waiting, error) {
	e, err := b.store.Get(ctx, waitKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	var w waiting
	if err == nil {
		err = e.Decode(&w)
	}
	w.guard = e.Revision
	return &w, err
}

// Confirm makes the change on trial last (確定). Only its author may, by the way it was made, and with a request that began
// after it had taken force: so it is sure that a person still gets through. trial is that of Pending, so that an answer to an
// earlier change confirms no later one.
func (b *Book) Confirm(ctx context.Context, by Author, trial string) (Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, err := b.confirm(ctx, by, trial)
	return r, b.told(ctx, by, "confirm", "", err)
}

func (b *Book) confirm(ctx context.Context, by Author, trial string) (Revision, error) {
	w, _, err := b.settle(ctx)
	if err != nil {
		return Revision{}, err
	}
	no := func(why string) (Revision, error) { return Revision{}, &Denied{"confirm", why} }
	if w == nil {
		return no("no change waits for a confirmation")
	}
	r, err := b.meta(ctx, w.Number)
	if err != nil {
		return Revision{}, err
	}
	took := w.Took
	if !b.took.IsZero() {
		took = b.took
	}
	switch {
	case trial != r.Trial.ID:
		return no(fmt.Sprintf("this is about another change than the one on trial, which is %s: look again", r))
	case !by.same(r.author()):
		return no(fmt.Sprintf("%s must be confirmed by the one who made it, by the same way (%s)", r, r.via()))
	case by.Request == "" || by.Request == w.Request:
		return no("the confirmation must be a new request: this is the one that made the change")
	case !by.Began.After(took):
		return no("the confirmation must begin after the change took force: ask again")
	}
	if err := acting(ctx, func(ctx context.Context) error { return b.dataplane.Confirm(ctx, r.Trial.ID, by.ID) }); err != nil {
		return Revision{}, err
	}
	return b.finish(context.WithoutCancel(ctx), w, by, Confirmed, b.now(), "")
}

// RollbackTo says where to.
type RollbackTo struct {
	Number  int // revision; 0: what was in force for good before the head
	Comment string
	Confirm time.Duration
	Replace bool
	Head    int    // that was looked at beside it: refused when another is in force by now; 0: not known
	Trial   string // end this trial and do nothing else: refused when it is over, however it ended
}

// Rollback goes back (切戻し). Where a change is on trial and no revision is named, the trial ends and the former revision is the
// head again. Otherwise it is a commit: a new revision with the text of the old one, whatever has become of the newest text.
func (b *Book) Rollback(ctx context.Context, by Author, to RollbackTo) (Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := readable(to.Comment); err != nil {
		return Revision{}, b.told(ctx, by, "rollback", "", err)
	}
	r, err := b.rollback(ctx, by, to)
	return r, b.told(ctx, by, "rollback", to.Comment, err)
}

func (b *Book) rollback(ctx context.Context, by Author, to RollbackTo) (Revision, error) {
	w, _, err := b.settle(ctx)
	if err != nil && w != nil {
		return Revision{}, err
	}
	if to.Trial != "" {
		if w == nil {
			return Revision{}, &Denied{"rollback", "the change that was to be taken back is not on trial any more: look what became of it"}
		}
		if r, err := b.meta(ctx, w.Number); err != nil || r.Trial.ID != to.Trial {
			return Revision{}, errors.Join(err, &Denied{"rollback", "another change is on trial than the one that was to be taken back: look again"})
		}
		to.Number = 0
	}
	if w != nil && to.Number == 0 {
		return b.takeBack(ctx, by, w, to.Comment)
	}
	head, _, err := b.headRevision(ctx)
	if err != nil {
		return Revision{}, err
	}
	if to.Head != 0 && to.Head != head.Number {
		return Revision{}, &Stale{Parent: to.Head, Head: head, Back: to.Number}
	}
	n := to.Number
	if n == 0 {
		if n, err = b.before(ctx, head); err != nil {
			return Revision{}, err
		}
	}
	if n < 1 || n == head.Number {
		return Revision{}, &Denied{"rollback", fmt.Sprintf("revision %d is in force, and there is none before it", head.Number)}
	}
	_, text, err := b.Read(ctx, n)
	if err != nil {
		return Revision{}, err
	}
	if to.Comment == "" {
		to.Comment = fmt.Sprintf("rollback to revision %d", n)
	}
	return b.commit(ctx, by, Change{Text: text, Comment: to.Comment, Confirm: to.Confirm, Replace: to.Replace}, n)
}

// before is the last revision before the head that was in force for good; 0: none. The parent of one that replaced a trial is that
// trial, which nobody confirmed.
func (b *Book) before(ctx context.Context, head Revision) (int, error) {
	for r := head; r.Parent > 0; {
		p, err := b.meta(ctx, r.Parent)
		if err != nil || p.Trial == nil || p.Trial.State == Confirmed {
			return r.Parent, err
		}
		r = p
	}
	return 0, nil
}

// takeBack ends the trial. Anybody who may change the configuration may: it leads to what was confirmed.
func (b *Book) takeBack(ctx context.Context, by Author, w *waiting, why string) (Revision, error) {
	r, err := b.meta(ctx, w.Number)
	if err != nil {
		return Revision{}, err
	}
	if why == "" {
		why = "rolled back"
	}
	if err := acting(ctx, func(ctx context.Context) error { return b.dataplane.Revert(ctx, r.Trial.ID, by.ID, why) }); err != nil {
		return Revision{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if _, err := b.finish(ctx, w, by, Reverted, b.now(), why); err != nil {
		return Revision{}, err
	}
	return b.meta(ctx, w.Former)
}

// settle learns from the dataplane what became of the trial. It answers the one that still runs, and with an error the one that
// may, or whose end could not be written down. An error without one is about the former revision, which does not stand any more.
func (b *Book) settle(ctx context.Context) (*waiting, InForce, error) {
	w, err := b.waiting(ctx)
	if err != nil || b.dataplane == nil {
		return w, InForce{}, err
	}
	in, err := b.dataplane.InForce(ctx)
	if err != nil || w == nil {
		return w, in, err
	}
	r, err := b.meta(ctx, w.Number)
	if err != nil {
		return w, in, err
	}
	plane := Author{ID: "sekisho-dataplane"}
	switch e := in.Ended; {
	case in.Trial != nil && in.Trial.ID == r.Trial.ID:
		return w, in, nil
	case e != nil && e.ID == r.Trial.ID && e.Outcome == gate.Confirmed:
		// Control died between the dataplane's answer and its own note of it; or root asked the dataplane itself.
		by := Author{ID: e.By, Via: r.via()}
		if e.By == "" {
			by = plane
		}
		_, err = b.finish(ctx, w, by, Confirmed, e.At, "")
	case e != nil && e.ID == r.Trial.ID:
		if e.By != "" {
			plane = Author{ID: e.By}
		}
		_, err = b.finish(ctx, w, plane, Reverted, e.At, e.Why)
	default:
		_, err = b.finish(ctx, w, plane, Reverted, b.now(), "the dataplane does not know of it any more")
	}
	if err != nil { // written down or not: the store tells
		if still, serr := b.waiting(ctx); still != nil {
			return still, in, errors.Join(err, serr)
		}
	}
	return nil, in, err
}

// finish writes down how the trial ended; after a reversion the former revision is the head again.
func (b *Book) finish(ctx context.Context, w *waiting, by Author, s State, at time.Time, why string) (Revision, error) {
	r, err := b.meta(ctx, w.Number)
	if err != nil {
		return r, err
	}
	_, guard, err := b.headNumber(ctx)
	if err != nil {
		return r, err
	}
	r.Trial = r.Trial.ended(s, at, by.ID, why)
	t := store.Txn{If: []store.If{{Key: waitKey, Revision: w.guard}, {Key: headKey, Revision: guard}}, Delete: []string{waitKey}}
	if err := put(&t, key(metaKey, r.Number), r); err != nil {
		return r, err
	}
	fields := map[string]string{"policy": r.Policy, "why": why, "at": at.UTC().Format(time.RFC3339)}
	action := "config.confirm"
	var more []audit.Event
	if s == Reverted {
		action = "config.revert"
		fields["to"] = strconv.Itoa(w.Former)
		t.Put = append(t.Put, store.Put{Key: headKey, Value: []byte(strconv.Itoa(w.Former))})
		former := Revision{Number: w.Former}
		if more, err = b.closeProposals(ctx, &t, former, 0); err != nil {
			return r, err
		}
	}
	if err := b.journal.Commit(ctx, t, append([]audit.Event{b.event(by, action, strconv.Itoa(r.Number), fields)}, more...)...); err != nil {
		return r, err
	}
	b.took = time.Time{}
	if s == Reverted {
		b.set(nil)
		return r, b.load(ctx)
	}
	if h := b.Head(); h != nil && h.Number == r.Number {
		confirmed := *h
		confirmed.Revision = r
		b.set(&confirmed)
	}
	return r, nil
}

// Restore learns what became of a trial, and hands the head to the dataplane when something else is in force there for good. It
// answers whether it did. A change on trial is never handed out again. A record that ends meanwhile needs nobody: its time stands
// in the tables.
func (b *Book) Restore(ctx context.Context) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dataplane == nil {
		return false, nil
	}
	if err := b.expireProposals(ctx); err != nil {
		return false, err
	}
	w, in, err := b.settle(ctx)
	if err != nil || w != nil {
		return false, err
	}
	h := b.Head()
	if h == nil || in.Digest == h.digest && in.Trial == nil {
		return false, nil
	}
	fields := map[string]string{"policy": h.Policy, "before": in.Revision}
	if err := b.note(ctx, Author{ID: "sekisho-control"}, "config.restore", strconv.Itoa(h.Number), fields); err != nil {
		return false, err
	}
	if err := b.dataplane.Apply(ctx, h.Generation, nil); err != nil {
		return false, fmt.Errorf("restore revision %d: %w", h.Number, err)
	}
	return true, nil
}
