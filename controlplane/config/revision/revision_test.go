package revision

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// puppet is a dataplane that says what it is told to say, and keeps trials as the real one does.
type puppet struct {
	no      error
	applied []string // revisions, as they took force
	digest  string
	now     func() time.Time
	former  [2]string // revision and digest that come back
	trial   *gate.Trial
	began   time.Time
	ended   *gate.Ended
	asked   func() // called in the middle of each act
}

// act comes to its end whether or not the one who asked still waits for it, as the real one's acts do.
func (p *puppet) act(ctx context.Context, do func() error) error {
	if p.asked != nil {
		p.asked()
	}
	return cmp.Or(do(), ctx.Err())
}

func (p *puppet) Apply(ctx context.Context, g gate.Generation, on *gate.Trial) error {
	return p.act(ctx, func() error { return p.apply(g, on) })
}

func (p *puppet) apply(g gate.Generation, on *gate.Trial) error {
	if p.no != nil {
		return p.no
	}
	p.tick()
	in, _ := p.InForce(context.Background())
	if p.trial != nil {
		p.ended = &gate.Ended{ID: p.trial.ID, Outcome: gate.Replaced, At: p.now()}
	} else {
		p.former = [2]string{in.Revision, in.Digest}
	}
	p.trial, p.began = on, p.now()
	p.applied, p.digest = append(p.applied, g.Revision), g.Digest()
	return nil
}

func (p *puppet) tick() {
	if p.trial != nil && p.now().Sub(p.began) >= p.trial.Time {
		p.back("", "not confirmed in time")
	}
}

func (p *puppet) back(by, why string) {
	p.ended = &gate.Ended{ID: p.trial.ID, Outcome: gate.Reverted, At: p.now(), By: by, Why: why}
	p.trial, p.applied, p.digest = nil, append(p.applied, p.former[0]), p.former[1]
}

func (p *puppet) Confirm(ctx context.Context, id, by string) error {
	return p.act(ctx, func() error { return p.confirm(id, by) })
}

func (p *puppet) Revert(ctx context.Context, id, by, why string) error {
	return p.act(ctx, func() error { return p.revert(id, by, why) })
}

func (p *puppet) confirm(id, by string) error {
	p.tick()
	if p.no != nil || p.trial == nil || p.trial.ID != id {
		return errors.Join(p.no, errors.New("no such trial"))
	}
	p.ended, p.trial = &gate.Ended{ID: id, Outcome: gate.Confirmed, At: p.now(), By: by}, nil
	return nil
}

func (p *puppet) revert(id, by, why string) error {
	p.tick()
	if p.no != nil || p.trial == nil || p.trial.ID != id {
		return errors.Join(p.no, errors.New("no such trial"))
	}
	p.back(by, why)
	return nil
}

func (p *puppet) InForce(context.Context) (InForce, error) {
	if p.no != nil {
		return InForce{}, p.no
	}
	p.tick()
	in := InForce{Ended: p.ended, Digest: p.digest}
	if len(p.applied) > 0 {
		in.Revision = p.applied[len(p.applied)-1]
	}
	if p.trial != nil {
		in.Trial = &gate.TrialStatus{ID: p.trial.ID}
	}
	return in, nil
}

type desk struct {
	*Book
	today  time.Time
	puppet *puppet
	log    *audit.Log
	store  *store.Bolt
	reopen func() *Book
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	skey, vkey, err := audit.GenerateKey("test/audit")
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{puppet: &puppet{now: func() time.Time { return time.Time{} }}, today: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)}
	if d.log, err = audit.Open(filepath.Join(dir, "audit"), skey, vkey, time.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.log.Close() })
	if d.store, err = store.OpenBolt(filepath.Join(dir, "state.db"), time.Second, time.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	cfg, faults := config.Parse(examples.Lab)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	a := policy.Anchors(cfg)
	d.reopen = func() *Book {
		return New(d.store, audit.NewJournal(d.store, d.log), d.puppet, func() (*anchors.Anchors, error) { return a, nil }, func() time.Time { return d.today })
	}
	d.puppet.now = func() time.Time { return d.today }
	d.Book = d.reopen()
	return d
}

// commit is what root's command line asks, in a request of its own.
func (d *desk) commit(who, comment string, text []byte) (Revision, error) {
	return d.Commit(context.Background(), d.person(who), Change{Text: text, Comment: comment})
}

var requests int

// person is somebody who asks now, with a password; root never does.
func (d *desk) person(id string) Author {
	requests++
	d.today = d.today.Add(time.Millisecond)
	return Author{ID: id, Via: Console, Request: fmt.Sprint(requests), Began: d.today, Proven: id != Root}
}

func (d *desk) actions(t *testing.T) (out []string) {
	t.Helper()
	rs, err := d.log.Read(0, d.log.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		out = append(out, r.Action)
	}
	return out
}

var joining = bytes.Replace(examples.Lab, []byte("\ncommunications:\n"), []byte(`
communications:
  - id: quick-fix
    from: {stations: [mn-pc1]}
    to: {services: [web]}
    ports: []
    purpose: 業者の依頼
    owner: 税務課
`), 1)

func TestCommit(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	first, err := d.commit("root", "init", examples.Lab)
	if err != nil || first.Number != 1 || first.Parent != 0 || !slices.Equal(d.puppet.applied, []string{first.Policy}) {
		t.Fatalf("%+v, %v, applied %v", first, err, d.puppet.applied)
	}
	for _, c := range []struct {
		name string
		text []byte
		no   error
		want func(error) bool
	}{
		{"two faults of the text", bytes.Replace(bytes.Replace(examples.Lab, []byte("model: alpha"), []byte("model: omega"), 1), []byte("version: 1"), []byte("version: 2"), 1), nil,
			func(err error) bool { var f config.Errors; return errors.As(err, &f) && len(f) == 2 }},
		{"a record that joins My Number and the internet", joining, nil, func(err error) bool {
			var u *Unproven
			return errors.As(err, &u) && u.By == "control" && strings.Contains(err.Error(), "quick-fix") && strings.Contains(err.Error(), "203.0.113.11") && strings.Contains(err.Error(), "I1")
		}},
		{"the dataplane refuses", examples.Lab, &Unproven{"dataplane", []proof.Violation{{Invariant: "I1"}}}, func(err error) bool {
			var u *Unproven
			return errors.As(err, &u) && u.By == "dataplane"
		}},
		{"the dataplane is down", examples.Lab, errors.New("connection refused"), func(err error) bool { return err != nil }},
	} {
		d.puppet.no = c.no
		before := len(d.puppet.applied)
		_, err := d.commit("sato", c.name, c.text)
		d.puppet.no = nil
		if !c.want(err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(d.puppet.applied) != before || d.Head().Number != 1 {
			t.Errorf("%s: applied %v, head %d", c.name, d.puppet.applied, d.Head().Number)
		}
		if as := d.actions(t); as[len(as)-1] != "config.refuse" {
			t.Errorf("%s: recorded %v", c.name, as)
		}
	}
	changed := append(bytes.Clone(examples.Lab), "# a remark\n"...)
	second, err := d.commit("sato", "why", changed)
	if err != nil || second.Number != 2 || second.Parent != 1 || second.Author != "sato" {
		t.Fatalf("%+v, %v", second, err)
	}
	h, err := d.History(ctx, 0)
	if err != nil || len(h) != 2 || h[0].Number != 2 || h[1].Comment != "init" {
		t.Errorf("history %+v, %v", h, err)
	}
	if _, text, err := d.Read(ctx, 1); err != nil || !bytes.Equal(text, examples.Lab) {
		t.Errorf("the text of revision 1 is not what was committed: %v", err)
	}
	if as := d.actions(t); !slices.Equal(as[len(as)-2:], []string{"config.apply", "config.commit"}) {
		t.Errorf("recorded %v", as)
	}
}

// TestRestore: after a restart of either side the head is in force again, and nothing is done where it is already.
func TestRestore(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	if done, err := d.Restore(ctx); done || err != nil {
		t.Fatalf("without any revision: %v, %v", done, err)
	}
	r, err := d.commit("root", "init", examples.Lab)
	if err != nil {
		t.Fatal(err)
	}
	b := d.reopen()
	if err := b.Load(ctx); err != nil || b.Head().Number != 1 {
		t.Fatal(err)
	}
	if done, err := b.Restore(ctx); done || err != nil {
		t.Errorf("in force already: %v, %v", done, err)
	}
	d.puppet.applied, d.puppet.digest = nil, "" // a dataplane that lost everything
	if done, err := b.Restore(ctx); !done || err != nil || !slices.Equal(d.puppet.applied, []string{r.Policy}) {
		t.Errorf("%v, %v, applied %v", done, err, d.puppet.applied)
	}
	d.puppet.applied, d.puppet.digest = append(d.puppet.applied, "0123456789abcdef"), "other" // one that has something else
	if done, err := b.Restore(ctx); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	if as := d.actions(t); as[len(as)-1] != "config.restore" {
		t.Errorf("recorded %v", as)
	}
}

// TestExpiredRecordNeedsNobody: a record's last day ends, and control has nothing to do, for the packet core knows its end; a
// commit after it names the record.
func TestExpiredRecordNeedsNobody(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	text := bytes.Replace(examples.Lab, []byte("until: 2036-03-31"), []byte("until: 2026-10-02"), 1)
	cfg, faults := config.Parse(text)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	id := cfg.Communications[slices.IndexFunc(cfg.Communications, func(c config.Communication) bool { return c.Until.String() == "2026-10-02" })].ID
	r, err := d.commit("root", "init", text)
	if err != nil || len(r.Expired) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	end := time.Date(2026, 10, 2, 15, 0, 0, 0, time.UTC).Unix() / 60 // midnight in Japan
	rules := d.Head().Generation.Tables.Rules
	if i := slices.IndexFunc(rules, func(r packet.Rule) bool { return slices.Contains(r.Records, id) }); i < 0 || rules[i].Until != end {
		t.Errorf("rule %+v, want the end at minute %d", rules[i], end)
	}
	d.today = d.today.AddDate(0, 0, 2)
	if done, err := d.Restore(ctx); done || err != nil {
		t.Errorf("after the last day: %v, %v, applied %v", done, err, d.puppet.applied)
	}
	b := d.reopen()
	if err := b.Load(ctx); err != nil || b.Head().Policy != r.Policy || !slices.Equal(b.Head().Expired, []string{id}) {
		t.Errorf("after a restart: %v, %+v", err, b.Head().Revision)
	}
	if again, err := d.commit("root", "again", text); err != nil || !slices.Equal(again.Expired, []string{id}) || again.Policy != r.Policy {
		t.Errorf("%+v, %v", again, err)
	}
}

// What keeps the zones apart may still not be what the text says.
func TestTablesThatAreNotTheTextsAreRefused(t *testing.T) {
	d := newDesk(t)
	d.compile = func(cfg *config.Config, a *anchors.Anchors) (gate.Generation, error) {
		g, err := policy.Compile(cfg, a)
		g.Tables.Cells = g.Tables.Cells[:len(g.Tables.Cells)-1]
		return g, err
	}
	_, err := d.commit("suzuki", "", examples.Lab)
	var u *Unproven
	if !errors.As(err, &u) || u.By != "control" || len(u.Violations) == 0 || u.Violations[0].Invariant != equal.Invariant || u.Violations[0].Counterexample == nil {
		t.Errorf("a cell forgotten by the compiler: got %v, want a refusal by control with a packet", err)
	}
	if len(d.puppet.applied) > 0 {
		t.Error("the tables were handed over")
	}
}
