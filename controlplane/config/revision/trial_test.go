package revision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/gate"
)

// without gives the lab's text without one record, and so another policy.
func without(t *testing.T, text []byte, id string) []byte {
	t.Helper()
	from := bytes.Index(text, []byte("  - id: "+id+"\n    name"))
	if from < 0 {
		t.Fatalf("no record %s", id)
	}
	n := bytes.Index(text[from+1:], []byte("  - id: "))
	return slices.Concat(text[:from], text[from+1+n:])
}

// onTrial is a desk with revision 1 in force and 2 on trial by sato for ten minutes.
func onTrial(t *testing.T) (*desk, Revision) {
	t.Helper()
	d := newDesk(t)
	if _, err := d.commit("root", "init", examples.Lab); err != nil {
		t.Fatal(err)
	}
	r, err := d.Commit(context.Background(), d.person("sato"), Change{Text: without(t, examples.Lab, "web-use"), Comment: "no web", Confirm: 10 * time.Minute})
	if err != nil || r.Trial == nil || r.Trial.State != Running || d.Head().Number != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	return d, r
}

func (d *desk) last(t *testing.T) audit.Event {
	t.Helper()
	rs, err := d.log.Read(d.log.Size()-1, d.log.Size())
	if err != nil || len(rs) != 1 {
		t.Fatal(rs, err)
	}
	return rs[0].Event
}

// head checks what the book says is in force, in memory and after a restart of control.
func (d *desk) head(t *testing.T, number int, state State, why string) {
	t.Helper()
	again := d.reopen()
	if err := again.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Book{d.Book, again} {
		if b.Head() == nil || b.Head().Number != number {
			t.Fatalf("head %+v, want %d", b.Head(), number)
		}
	}
	h, err := d.History(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range h {
		if r.Number == 2 && (r.Trial == nil || r.Trial.State != state || !strings.Contains(r.Trial.Why, why) || state != Running && r.Trial.At.IsZero()) {
			t.Errorf("revision 2: %+v, want %s %q", r.Trial, state, why)
		}
	}
	if p, err := d.Pending(context.Background()); err != nil || (p != nil) != (state == Running) {
		t.Errorf("pending %+v, %v", p, err)
	}
}

// TestTrialGoesBack: whoever dies meanwhile, the former revision is the head again, and the one that nobody confirmed is never
// handed out a second time.
func TestTrialGoesBack(t *testing.T) {
	ctx := context.Background()
	for name, then := range map[string]func(t *testing.T, d *desk) *Book{
		"control watches": func(t *testing.T, d *desk) *Book {
			for range 10 {
				if done, err := d.Restore(ctx); done || err != nil {
					t.Fatal(done, err)
				}
				d.head(t, 2, Running, "")
				d.today = d.today.Add(59 * time.Second)
			}
			d.today = d.today.Add(11 * time.Second)
			return d.Book
		},
		"control is dead": func(t *testing.T, d *desk) *Book {
			d.today = d.today.Add(time.Hour)
			b := d.reopen()
			if err := b.Load(ctx); err != nil {
				t.Fatal(err)
			}
			return b
		},
		"control cannot ask for a while": func(t *testing.T, d *desk) *Book {
			d.puppet.no = errors.New("connection refused")
			d.today = d.today.Add(time.Hour)
			if done, err := d.Restore(ctx); done || err == nil {
				t.Fatal(done, err)
			}
			d.puppet.no = nil
			return d.Book
		},
		"the clock is set back": func(t *testing.T, d *desk) *Book {
			d.puppet.back("", "not confirmed in time") // by its own clock
			d.today = d.today.Add(-24 * time.Hour)
			return d.Book
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, r := onTrial(t)
			b := then(t, d)
			before := slices.Clone(d.puppet.applied)
			if done, err := b.Restore(ctx); done || err != nil {
				t.Fatal(done, err)
			}
			d.Book = b
			d.head(t, 1, Reverted, "not confirmed in time")
			if e := d.last(t); e.Action != "config.revert" || e.Actor != "sekisho-dataplane" || e.Object != "2" || e.Detail["why"] != "not confirmed in time" || e.Detail["to"] != "1" {
				t.Errorf("recorded %+v", e)
			}
			if n := len(d.puppet.applied); d.puppet.applied[n-1] == r.Policy || len(before) > n {
				t.Errorf("applied %v", d.puppet.applied)
			}
			if next, err := d.commit("suzuki", "goes on", append(bytes.Clone(examples.Lab), "# a remark\n"...)); err != nil || next.Number != 3 || next.Parent != 1 {
				t.Errorf("%+v %v", next, err)
			}
		})
	}
}

// TestDataplaneThatForgot: one that lost its files, or never heard of it, makes nothing permanent.
func TestDataplaneThatForgot(t *testing.T) {
	ctx := context.Background()
	d, r := onTrial(t)
	d.puppet.trial, d.puppet.ended = nil, nil // and the revision on trial is in force as if for good
	if done, err := d.Restore(ctx); !done || err != nil {
		t.Fatal(done, err)
	}
	d.head(t, 1, Reverted, "does not know")
	if got := d.puppet.applied[len(d.puppet.applied)-1]; got == r.Policy || got != d.Head().Policy {
		t.Errorf("in force %s", got)
	}
}

// TestControlDiesBeforeItsNote: the dataplane took the trial, and the book does not know of it: the head comes back.
func TestControlDiesBeforeItsNote(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	if _, err := d.commit("root", "init", examples.Lab); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"another-policy": without(t, examples.Lab, "web-use"), "the-same-policy": examples.Lab} {
		_, g, err := d.prove(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.puppet.Apply(ctx, g, &gate.Trial{ID: name, Time: time.Hour}); err != nil {
			t.Fatal(err)
		}
		b := d.reopen()
		if err := b.Load(ctx); err != nil {
			t.Fatal(err)
		}
		if done, err := b.Restore(ctx); !done || err != nil || d.puppet.trial != nil || d.puppet.digest != b.Head().digest {
			t.Errorf("%s: %v %v, trial %+v", name, done, err, d.puppet.trial)
		}
	}
}

func TestConfirm(t *testing.T) {
	ctx := context.Background()
	d, r := onTrial(t)
	stale := d.person("sato")
	stale.Began = r.Time.Add(-time.Second)
	same := d.person("sato")
	same.Request = fmt.Sprint(requests - 2) // that of the commit
	other, web, claimed, nobody := d.person("suzuki"), d.person("sato"), d.person("sato"), d.person("sato")
	web.Via, claimed.Claim, nobody.Request = Web, "suzuki", ""
	atOnce := d.person("sato")
	atOnce.Began = d.took
	for name, c := range map[string]struct {
		by    Author
		trial string
		want  string
	}{
		"another person":                          {other, r.Trial.ID, "by the one who made it"},
		"root, whoever that is":                   {d.person("root"), r.Trial.ID, "by the one who made it"},
		"by another way":                          {web, r.Trial.ID, "by the same way"},
		"whom the terminal names otherwise":       {claimed, r.Trial.ID, "by the one who made it"},
		"the same request":                        {same, r.Trial.ID, "new request"},
		"a request that nobody can tell":          {nobody, r.Trial.ID, "new request"},
		"a request that began before":             {stale, r.Trial.ID, "began after|begin after"},
		"a request that began in the very moment": {atOnce, r.Trial.ID, "begin after"},
		"an answer to something else":             {d.person("sato"), "0123456789abcdef", "another change"},
		"an answer that names nothing":            {d.person("sato"), "", "another change"},
	} {
		_, err := d.Confirm(ctx, c.by, c.trial)
		var no *Denied
		if !errors.As(err, &no) || !slices.ContainsFunc(strings.Split(c.want, "|"), func(w string) bool { return strings.Contains(err.Error(), w) }) {
			t.Errorf("%s: %v", name, err)
		}
		if e := d.last(t); e.Action != "config.refuse" || e.Detail["act"] != "confirm" || e.Actor != c.by.ID {
			t.Errorf("%s: recorded %+v", name, e)
		}
	}
	if d.puppet.trial == nil {
		t.Fatal("it was confirmed")
	}
	d.puppet.no = errors.New("connection refused")
	if _, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID); err == nil {
		t.Error("confirmed without the dataplane")
	}
	d.puppet.no = nil
	d.head(t, 2, Running, "")
	got, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID)
	if err != nil || got.Trial.State != Confirmed || got.Trial.By != "sato" || d.puppet.trial != nil {
		t.Fatalf("%+v %v", got.Trial, err)
	}
	d.head(t, 2, Confirmed, "")
	if e := d.last(t); e.Action != "config.confirm" || e.Actor != "sato" || e.Object != "2" {
		t.Errorf("recorded %+v", e)
	}
	// Replayed, at once and over the next change.
	if _, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID); err == nil {
		t.Error("confirmed twice")
	}
	if _, err := d.Commit(ctx, d.person("sato"), Change{Text: examples.Lab, Parent: 2, Confirm: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID); err == nil || d.puppet.trial == nil {
		t.Errorf("a replayed confirmation: %v", err)
	}
	// Too late.
	d.today = d.today.Add(time.Hour)
	p := d.Head().Trial.ID
	if _, err := d.Confirm(ctx, d.person("sato"), p); err == nil || d.Head().Number != 2 {
		t.Errorf("after its time: %v, head %d", err, d.Head().Number)
	}
}

// TestConfirmedWhileControlDied: control died between the dataplane's answer and its own note.
func TestConfirmedWhileControlDied(t *testing.T) {
	d, r := onTrial(t)
	if err := d.puppet.Confirm(context.Background(), r.Trial.ID, "sato"); err != nil {
		t.Fatal(err)
	}
	d.Book = d.reopen()
	if err := d.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	if done, err := d.Restore(context.Background()); done || err != nil {
		t.Fatal(done, err)
	}
	d.head(t, 2, Confirmed, "")
	if e := d.last(t); e.Action != "config.confirm" || e.Actor != "sato" {
		t.Errorf("recorded %+v", e)
	}
}

// TestConfirmAfterARestart: the request must begin after the change, by the store's clock, too.
func TestConfirmAfterARestart(t *testing.T) {
	ctx := context.Background()
	d, r := onTrial(t)
	early := d.person("sato")
	early.Began = d.took.Add(-time.Millisecond)
	d.Book = d.reopen()
	if err := d.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Confirm(ctx, early, r.Trial.ID); err == nil {
		t.Error("a request from before")
	}
	if _, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID); err != nil {
		t.Error(err)
	}
}

func TestOneChangeAtATime(t *testing.T) {
	ctx := context.Background()
	d, _ := onTrial(t)
	for name, c := range map[string]struct {
		by      Author
		replace bool
	}{"another person": {d.person("suzuki"), false}, "another person replaces": {d.person("suzuki"), true}, "the same without a word": {d.person("sato"), false}} {
		_, err := d.Commit(ctx, c.by, Change{Text: examples.Lab, Parent: 2, Replace: c.replace})
		var u *Unconfirmed
		if !errors.As(err, &u) || u.Revision.Number != 2 || !strings.Contains(err.Error(), "sato") || !strings.Contains(err.Error(), "on trial until") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := d.Rollback(ctx, c.by, RollbackTo{Number: 1, Replace: c.replace}); !errors.As(err, &u) {
			t.Errorf("%s rolls back: %v", name, err)
		}
	}
	// Edited from the former one or from the one on trial: it is one's own that is replaced, and what comes back is the confirmed one.
	for i, parent := range []int{1, 3} {
		r, err := d.Commit(ctx, d.person("sato"), Change{Text: append(without(t, examples.Lab, "asp-use"), strings.Repeat("# more\n", i)...), Parent: parent, Replace: true, Confirm: time.Minute})
		if err != nil || r.Number != 3+i || r.Parent != 2+i {
			t.Fatalf("%+v %v", r, err)
		}
	}
	if old, err := d.meta(ctx, 2); err != nil || old.Trial.State != Reverted || old.Trial.Why != "replaced by revision 3" {
		t.Errorf("%+v %v", old.Trial, err)
	}
	d.today = d.today.Add(time.Hour)
	if done, err := d.Restore(ctx); done || err != nil || d.Head().Number != 1 {
		t.Errorf("%v %v, head %+v", done, err, d.Head())
	}
}

func TestRollback(t *testing.T) {
	ctx := context.Background()
	t.Run("takes a trial back", func(t *testing.T) {
		d, _ := onTrial(t)
		r, err := d.Rollback(ctx, d.person("suzuki"), RollbackTo{Comment: "the counter is dead"})
		if err != nil || r.Number != 1 {
			t.Fatal(r, err)
		}
		d.head(t, 1, Reverted, "the counter is dead")
		if e := d.last(t); e.Action != "config.revert" || e.Actor != "suzuki" {
			t.Errorf("recorded %+v", e)
		}
	})
	t.Run("is a commit", func(t *testing.T) {
		d, r := onTrial(t)
		if _, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID); err != nil {
			t.Fatal(err)
		}
		back, err := d.Rollback(ctx, d.person("suzuki"), RollbackTo{})
		if err != nil || back.Number != 3 || back.Of != 1 || back.Parent != 2 || back.Author != "suzuki" || back.Text != textHash(examples.Lab) {
			t.Fatalf("%+v %v", back, err)
		}
		if as := d.actions(t); !slices.Equal(as[len(as)-3:], []string{"config.apply", "config.commit", "config.rollback"}) {
			t.Errorf("recorded %v", as)
		}
		on, err := d.Rollback(ctx, d.person("suzuki"), RollbackTo{Number: 2, Confirm: time.Minute})
		if err != nil || on.Of != 2 || on.Trial == nil {
			t.Errorf("%+v %v", on, err)
		}
	})
	t.Run("never to what nobody confirmed", func(t *testing.T) {
		d, _ := onTrial(t)
		more := func(n int) []byte {
			return append(without(t, examples.Lab, "asp-use"), strings.Repeat("# more\n", n)...)
		}
		for i, confirm := range []time.Duration{time.Minute, time.Minute, 0} { // each takes the place of the one before
			if r, err := d.Commit(ctx, d.person("sato"), Change{Text: more(i), Parent: 2 + i, Replace: true, Confirm: confirm}); err != nil || r.Parent != 2+i {
				t.Fatalf("%+v %v", r, err)
			}
		}
		if r, err := d.Rollback(ctx, d.person("suzuki"), RollbackTo{}); err != nil || r.Of != 1 || r.Text != textHash(examples.Lab) {
			t.Errorf("%+v %v, want the text of revision 1", r, err)
		}
	})
	t.Run("while the newest text does not parse any more", func(t *testing.T) {
		d, r := onTrial(t)
		if _, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID); err != nil {
			t.Fatal(err)
		}
		e, err := d.store.Get(ctx, key(textKey, 2))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.store.Commit(ctx, store.Txn{Put: []store.Put{{Key: e.Key, Value: []byte("version: 99\n")}}}); err != nil {
			t.Fatal(err)
		}
		d.Book = d.reopen()
		if err := d.Load(ctx); err == nil || d.Head() != nil {
			t.Fatal("it parses")
		}
		if r, err := d.Rollback(ctx, d.person("suzuki"), RollbackTo{}); err != nil || r.Of != 1 || d.Head().Number != 3 {
			t.Errorf("%+v %v", r, err)
		}
	})
	t.Run("to nothing", func(t *testing.T) {
		d := newDesk(t)
		if _, err := d.commit("root", "init", examples.Lab); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 7, -1} {
			if _, err := d.Rollback(ctx, d.person("sato"), RollbackTo{Number: n}); err == nil {
				t.Errorf("to %d: no error", n)
			}
		}
	})
}

// TestRefusedOnTrial: what is malformed, unproven or out of bounds touches neither what is in force nor the trial that runs.
func TestRefusedOnTrial(t *testing.T) {
	ctx := context.Background()
	d, r := onTrial(t)
	for name, c := range map[string]Change{
		"malformed":      {Text: []byte("version: 9\n"), Parent: 2},
		"unproven":       {Text: joining, Parent: 2},
		"too long":       {Text: examples.Lab, Parent: 2, Confirm: 25 * time.Hour},
		"negative":       {Text: examples.Lab, Parent: 2, Confirm: -time.Minute},
		"unknown parent": {Text: examples.Lab, Parent: 77},
	} {
		c.Replace = true
		before := len(d.puppet.applied)
		if _, err := d.Commit(ctx, d.person("sato"), c); err == nil {
			t.Errorf("%s: no error", name)
		}
		if len(d.puppet.applied) != before || d.puppet.trial == nil || d.puppet.trial.ID != r.Trial.ID {
			t.Errorf("%s: %v, trial %+v", name, d.puppet.applied, d.puppet.trial)
		}
		if e := d.last(t); e.Action != "config.refuse" {
			t.Errorf("%s: recorded %+v", name, e)
		}
	}
	d.head(t, 2, Running, "")
}

// TestOldRevisionsRead: those of a book written before trials, texts' hashes and ways were recorded.
func TestOldRevisionsRead(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	if _, err := d.store.Commit(ctx, store.Txn{Put: []store.Put{
		{Key: key(metaKey, 1), Value: []byte(`{"number":1,"parent":0,"policy":"0123456789abcdef","hash":"00","author":"sato","comment":"init","time":"2026-04-01T00:00:00Z"}`)},
		{Key: key(textKey, 1), Value: examples.Lab}, {Key: headKey, Value: []byte("1")}}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if done, err := d.Restore(ctx); !done || err != nil {
		t.Error(done, err)
	}
	r, err := d.commit("sato", "on", append(bytes.Clone(examples.Lab), "# on\n"...))
	if err != nil || r.Number != 2 || r.Parent != 1 {
		t.Errorf("%+v %v", r, err)
	}
	if h, err := d.History(ctx, 0); err != nil || len(h) != 2 || h[1].Trial != nil || h[1].Author != "sato" {
		t.Errorf("%+v %v", h, err)
	}
}

// TestTakingBackATrialThatIsOver: whoever gives up at the last second, when the gate has just gone back by itself, must not go
// back one revision further; nor undo what was confirmed meanwhile, or another change.
func TestTakingBackATrialThatIsOver(t *testing.T) {
	ctx := context.Background()
	for name, end := range map[string]func(*desk, Revision) string{
		"reverted by time-out": func(d *desk, r Revision) string {
			d.today = d.today.Add(time.Hour)
			return r.Trial.ID
		},
		"confirmed": func(d *desk, r Revision) string {
			d.today = d.today.Add(time.Minute)
			if _, err := d.Confirm(ctx, d.person("sato"), r.Trial.ID); err != nil {
				t.Fatal(err)
			}
			return r.Trial.ID
		},
		"another one runs": func(d *desk, r Revision) string { return "another" },
	} {
		t.Run(name, func(t *testing.T) {
			d, r := onTrial(t)
			id := end(d, r)
			_, err := d.Rollback(ctx, d.person("sato"), RollbackTo{Trial: id})
			var no *Denied
			if !errors.As(err, &no) {
				t.Errorf("answer %v, want a refusal", err)
			}
			h, err := d.History(ctx, 0)
			if err != nil || len(h) != 2 {
				t.Errorf("%d revisions, %v, want the 2 there were", len(h), err)
			}
		})
	}
	d, r := onTrial(t)
	if _, err := d.Rollback(ctx, d.person("sato"), RollbackTo{Trial: r.Trial.ID}); err != nil {
		t.Fatal(err)
	}
	d.head(t, 1, Reverted, "rolled back")
}
