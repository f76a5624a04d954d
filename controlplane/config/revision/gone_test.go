package revision

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/store"
)

// TestWhoAskedHasGone: what the dataplane did is written down, though the client hung up in the middle of it.
func TestWhoAskedHasGone(t *testing.T) {
	ctx := context.Background()
	hangUp := func(d *desk) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		t.Cleanup(cancel)
		d.puppet.asked = cancel
		return ctx
	}
	t.Run("commit", func(t *testing.T) {
		d, _ := onTrial(t)
		r, err := d.Commit(hangUp(d), d.person("sato"), Change{Text: without(t, examples.Lab, "asp-use"), Parent: 2, Replace: true})
		if err != nil || r.Number != 3 || d.Head().Number != 3 || d.Head().digest != d.puppet.digest {
			t.Errorf("%+v %v, head %+v", r, err, d.Head().Revision)
		}
	})
	t.Run("confirm", func(t *testing.T) {
		d, r := onTrial(t)
		if _, err := d.Confirm(hangUp(d), d.person("sato"), r.Trial.ID); err != nil {
			t.Error(err)
		}
		d.head(t, 2, Confirmed, "")
	})
	t.Run("rollback", func(t *testing.T) {
		d, _ := onTrial(t)
		if r, err := d.Rollback(hangUp(d), d.person("suzuki"), RollbackTo{Comment: "the counter is dead"}); err != nil || r.Number != 1 {
			t.Errorf("%+v %v", r, err)
		}
		d.head(t, 1, Reverted, "the counter is dead")
	})
}

// full is a store that for a while cannot end a trial.
type full struct {
	store.Store
	no error
}

func (f *full) Commit(ctx context.Context, t store.Txn) (uint64, error) {
	if f.no != nil && slices.Contains(t.Delete, waitKey) {
		return 0, f.no
	}
	return f.Store.Commit(ctx, t)
}

// TestTrialWhoseEndIsNotWritten: nothing is committed over a trial that is over but still stands in the book, or it would end the
// change that came after it.
func TestTrialWhoseEndIsNotWritten(t *testing.T) {
	ctx := context.Background()
	d, _ := onTrial(t)
	f := &full{Store: d.store, no: errors.New("no space left on device")}
	b := New(f, audit.NewJournal(f, d.log), d.puppet, d.anchors, d.now)
	if err := b.Load(ctx); err != nil {
		t.Fatal(err)
	}
	d.today = d.today.Add(time.Hour)
	text := without(t, examples.Lab, "asp-use")
	for name, try := range map[string]func() (Revision, error){
		"commit": func() (Revision, error) { return b.Commit(ctx, d.person("sato"), Change{Text: text, Parent: 1}) },
		"replace": func() (Revision, error) {
			return b.Commit(ctx, d.person("sato"), Change{Text: text, Parent: 1, Replace: true})
		},
		"rollback": func() (Revision, error) { return b.Rollback(ctx, d.person("sato"), RollbackTo{Number: 1}) },
	} {
		if r, err := try(); !errors.Is(err, f.no) {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	if n := len(d.puppet.applied); n != 3 { // the first, the one on trial, the first again
		t.Errorf("applied %v", d.puppet.applied)
	}
	f.no = nil
	r, err := b.Commit(ctx, d.person("sato"), Change{Text: text, Parent: 1})
	if err != nil || r.Number != 3 || r.Parent != 1 {
		t.Errorf("%+v %v", r, err)
	}
}
