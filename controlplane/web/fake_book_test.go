package web_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/policy/difference"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
)

// plane is a dataplane that takes everything, and keeps trials.
type plane struct {
	mu       sync.Mutex
	in, back [2]string // revision and digest in force, and those that come back
	trial    *gate.Trial
	ended    *gate.Ended
}

func (p *plane) Apply(_ context.Context, g gate.Generation, on *gate.Trial) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trial == nil {
		p.back = p.in
	}
	p.in, p.trial = [2]string{g.Revision, g.Digest()}, on
	return nil
}

func (p *plane) end(id, by, why string, outcome gate.Outcome) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trial == nil || p.trial.ID != id {
		return errors.New("no such trial")
	}
	if outcome == gate.Reverted {
		p.in = p.back
	}
	p.ended, p.trial = &gate.Ended{ID: id, Outcome: outcome, At: time.Now(), By: by, Why: why}, nil
	return nil
}

func (p *plane) Confirm(_ context.Context, id, by string) error {
	return p.end(id, by, "", gate.Confirmed)
}

func (p *plane) Revert(_ context.Context, id, by, why string) error {
	return p.end(id, by, why, gate.Reverted)
}

func (p *plane) InForce(context.Context) (revision.InForce, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := revision.InForce{Revision: p.in[0], Digest: p.in[1], Ended: p.ended}
	if p.trial != nil {
		in.Trial = &gate.TrialStatus{ID: p.trial.ID}
	}
	return in, nil
}

// timeOut is the deadline passing.
func (p *plane) timeOut(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	id := p.trial.ID
	p.mu.Unlock()
	if err := p.end(id, "", "not confirmed in time", gate.Reverted); err != nil {
		t.Fatal(err)
	}
}

// withBook gives the hall a real book over that dataplane, with the lab's town hall as revision 1.
func (h *hall) withBook(t *testing.T) (*hall, *plane) {
	t.Helper()
	dir := t.TempDir()
	signer, verifier, err := audit.GenerateKey("sekisho.test/audit")
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(filepath.Join(dir, "audit"), signer, verifier, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenBolt(filepath.Join(dir, "state.db"), time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close(); log.Close() })
	cfg, faults := config.Parse(examples.Lab)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	h.store = db
	a, p := policy.Anchors(cfg), &plane{}
	h.differ = func(older, newer *config.Config, lang string) (string, error) { // as control does
		var b strings.Builder
		err := difference.Of(older, newer).Print(&b, lang)
		return b.String(), err
	}
	h.book = revision.New(db, audit.NewJournal(db, log), p, func() (*anchors.Anchors, error) { return a, nil }, time.Now)
	if _, err := h.book.Commit(t.Context(), revision.Author{ID: "root", Via: revision.Console}, revision.Change{Text: examples.Lab, Comment: "初回の設定"}); err != nil {
		t.Fatal(err)
	}
	return h, p
}
