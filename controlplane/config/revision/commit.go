package revision

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/merge"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Change is what somebody wants in force.
type Change struct {
	Text    []byte
	Comment string
	Parent  int           // the revision that the text was edited from; 0: not known
	Merge   bool          // take in what was changed since then, when no entry was changed by both
	Confirm time.Duration // on trial: it goes back unless its author confirms it in this time; 0: for good
	Replace bool          // take the place of a change of one's own that is on trial
}

// Unconfirmed is the answer while another change is on trial.
type Unconfirmed struct{ Revision Revision }

func (u *Unconfirmed) Error() string {
	r := u.Revision
	return fmt.Sprintf("%s is in force on trial until %s: wait, or let its author confirm it, roll it back or replace it (--replace)", r, r.Trial.Until.Local().Format(time.DateTime))
}

// Stale is the answer to a text that was not edited from the head: what was changed meanwhile, and what can be done.
type Stale struct {
	Parent   int // 0: not known
	Head     Revision
	Theirs   []merge.Change
	Conflict []merge.Conflict
	Merged   []byte // both changes in one text; nil: somebody must decide
	Back     int    // the revision to which a rollback was to lead; 0: it was an edited text
}

func (s *Stale) Error() string {
	var b strings.Builder
	if s.Back != 0 {
		fmt.Fprintf(&b, "the way back to revision %d was looked at from revision %d; meanwhile %s came into force, and would be lost: look again", s.Back, s.Parent, s.Head)
		return b.String()
	}
	if s.Parent == 0 {
		fmt.Fprintf(&b, "%s is in force, and this text does not say from which revision it was edited: take the text from `sekisho show`, or name its revision (--parent)", s.Head)
		return b.String()
	}
	fmt.Fprintf(&b, "this text was edited from revision %d; meanwhile %s came into force, with other changes:", s.Parent, s.Head)
	list(&b, s.Theirs)
	if s.Merged != nil {
		b.WriteString("\nnone of them touches an entry that you changed: commit again with --merge to have both")
		return b.String()
	}
	b.WriteString("\nboth of you changed the same:")
	list(&b, s.Conflict)
	fmt.Fprintf(&b, "\nedit the text of revision %d, or make these entries alike and commit with --parent %d", s.Head.Number, s.Head.Number)
	return b.String()
}

// most is how many lines of a list are shown.
const most = 50

func list[T fmt.Stringer](b *strings.Builder, items []T) {
	for i, c := range items {
		if i == most {
			fmt.Fprintf(b, "\n  and %d more", len(items)-most)
			return
		}
		b.WriteString("\n  " + strings.ReplaceAll(c.String(), "\n", "\n    "))
	}
}

// draft is a change that was proven, with what it changes.
type draft struct {
	Change
	by       Author
	of       int // revision whose text it is
	merged   int // revision that the text was edited from, where it was merged
	proposal int
	approver Author
	head     Revision // zero before the first
	guard    uint64   // store revision of the head
	wait     *waiting // on trial, to be replaced
	cfg      *config.Config
	g        gate.Generation
	digest   string
}

// Commit brings a text into force (反映) and makes it the head. Every refusal is recorded. *Waiting is the answer when a second
// person must approve it first.
func (b *Book) Commit(ctx context.Context, by Author, c Change) (Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := readable(c.Comment); err != nil {
		return Revision{}, b.told(ctx, by, "commit", "", err)
	}
	r, err := b.commit(ctx, by, c, 0)
	return r, b.told(ctx, by, "commit", c.Comment, err)
}

// told records a refusal.
func (b *Book) told(ctx context.Context, by Author, act, comment string, err error) error {
	var w *Waiting
	if err == nil || errors.As(err, &w) {
		return err
	}
	return b.refused(ctx, by, act, comment, err)
}

func (b *Book) commit(ctx context.Context, by Author, c Change, of int) (Revision, error) {
	d, err := b.draft(ctx, by, c, of)
	if err != nil {
		return Revision{}, err
	}
	if why := b.fourEyes(ctx, d); len(why) > 0 {
		p, err := b.propose(ctx, d, why)
		if err != nil {
			return Revision{}, err
		}
		return Revision{}, &Waiting{p}
	}
	return b.bring(ctx, d)
}

// draft merges and proves. It changes nothing but what it learns of the last trial.
func (b *Book) draft(ctx context.Context, by Author, c Change, of int) (*draft, error) {
	if by.ID == "" {
		return nil, &Denied{"commit", "nobody is said to have asked for it"}
	}
	if c.Confirm != 0 && (c.Confirm < gate.MinTrial || c.Confirm > gate.MaxTrial || b.dataplane == nil) {
		return nil, &Denied{"commit", fmt.Sprintf("the time to confirm it must be from %s to %s", gate.MinTrial, gate.MaxTrial)}
	}
	if c.Confirm != 0 && !by.named() {
		return nil, &Denied{"commit", "only the one who made a change may confirm it, and nobody can tell who sits at this console: sign in with --as ID"}
	}
	d := &draft{Change: c, by: by, of: of}
	var err error
	if d.wait, _, err = b.settle(ctx); err != nil && d.wait != nil {
		return nil, err
	}
	if d.head, d.guard, err = b.headRevision(ctx); err != nil {
		return nil, err
	}
	if d.wait != nil && (!c.Replace || !by.same(d.head.author())) {
		return nil, &Unconfirmed{d.head}
	}
	if of == 0 {
		if err := b.meet(ctx, d); err != nil {
			return nil, err
		}
	}
	if d.cfg, d.g, err = b.prove(d.Text); err != nil {
		return nil, err
	}
	d.digest = d.g.Digest()
	return d, nil
}

func (r Revision) author() Author { return Author{ID: r.Author, Via: r.via(), Claim: r.Claim} }

// via of a revision that was written before it was recorded: only the console was there.
func (r Revision) via() Via {
	if r.Via == "" {
		return Console
	}
	return Via(r.Via)
}

// meet compares the revision that the text was edited from with the head, and merges where that is wanted.
func (b *Book) meet(ctx context.Context, d *draft) error {
	head := d.head
	switch {
	case head.Number == 0 || d.Parent == head.Number:
		return nil
	case d.wait != nil && d.Parent == d.wait.Former:
		return nil // what it replaces was one's own
	case d.Parent == 0:
		own, err := b.own(ctx, d.by, head)
		if err == nil && !own {
			err = &Stale{Head: head}
		}
		return err
	}
	if _, faults := config.Parse(d.Text); len(faults) > 0 {
		return faults
	}
	_, base, err := b.Read(ctx, d.Parent)
	if err != nil {
		return fmt.Errorf("the text's parent: %w", err)
	}
	_, theirs, err := b.Read(ctx, head.Number)
	if err != nil {
		return err
	}
	m := merge.Texts(base, theirs, d.Text)
	if len(m.Theirs) == 0 && m.Text != nil { // the head says what the parent said
		return nil
	}
	if m.Text == nil || !d.Merge {
		return &Stale{Parent: d.Parent, Head: head, Theirs: m.Theirs, Conflict: m.Conflicts, Merged: m.Text}
	}
	d.merged, d.Text = d.Parent, m.Text
	return nil
}

// own tells whether nobody but this person has changed anything since the first revision, which root installed: then a text from
// nobody knows where undoes nobody else's work. Of one that is not known, nothing is known to be their own.
func (b *Book) own(ctx context.Context, by Author, head Revision) (bool, error) {
	for r := head; r.Parent != 0; {
		if !by.named() || !r.author().same(by) {
			return false, nil
		}
		var err error
		if r, err = b.meta(ctx, r.Parent); err != nil {
			return false, err
		}
	}
	return true, nil
}

// bring applies a draft and writes it down.
func (b *Book) bring(ctx context.Context, d *draft) (Revision, error) {
	var on *gate.Trial
	if d.Confirm != 0 {
		on = &gate.Trial{ID: token(), Time: d.Confirm}
	}
	// What begins here comes to its end, and is written down, even when the one who asked has gone.
	ctx = context.WithoutCancel(ctx)
	if b.dataplane != nil {
		fields := map[string]string{"hash": packet.Hash(d.g.Tables), "comment": d.Comment, "approver": d.approver.ID}
		if on != nil {
			fields["confirm"] = d.Confirm.String()
		}
		if err := b.note(ctx, d.by, "config.apply", d.g.Revision, fields); err != nil {
			return Revision{}, err
		}
		if err := acting(ctx, func(ctx context.Context) error { return b.dataplane.Apply(ctx, d.g, on) }); err != nil {
			return Revision{}, err
		}
	}
	b.took = b.now()
	return b.add(ctx, d, on)
}

// mostActing bounds one act of the dataplane. The longest is to check, replay and load the largest tables.
const mostActing = 5 * time.Minute

// acting lets the dataplane come to the end of an act, whatever becomes of the request that asked for it: the dataplane does not stop
// half-way either, and what it did must be written down.
func acting(ctx context.Context, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mostActing)
	defer cancel()
	return act(ctx)
}

func token() string {
	t := make([]byte, 16)
	rand.Read(t)
	return hex.EncodeToString(t)
}

func textHash(text []byte) string {
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

func (b *Book) add(ctx context.Context, d *draft, on *gate.Trial) (Revision, error) {
	last, err := b.History(ctx, 1)
	if err != nil {
		return Revision{}, err
	}
	r := Revision{Number: 1, Parent: d.head.Number, Policy: d.g.Revision, Hash: packet.Hash(d.g.Tables), Digest: d.digest, Text: textHash(d.Text),
		Author: d.by.ID, Via: string(d.by.Via), Claim: d.by.Claim, Comment: d.Comment, Time: b.now().UTC(), Expired: b.expired(d.cfg),
		Of: d.of, Merged: d.merged, Proposal: d.proposal, Approver: d.approver.ID}
	if len(last) > 0 {
		r.Number = last[0].Number + 1
	}
	object := strconv.Itoa(r.Number)
	fields := map[string]string{"policy": r.Policy, "hash": r.Hash, "text": r.Text, "parent": strconv.Itoa(r.Parent), "comment": r.Comment, "expired": strings.Join(r.Expired, " "), "approver": r.Approver}
	t := store.Txn{If: []store.If{{Key: headKey, Revision: d.guard}}}
	var events []audit.Event
	if d.wait != nil {
		old := d.head
		old.Trial = old.Trial.ended(Reverted, b.now(), d.by.ID, "replaced by revision "+object)
		if err := put(&t, key(metaKey, old.Number), old); err != nil {
			return Revision{}, err
		}
		events = append(events, b.event(d.by, "config.revert", strconv.Itoa(old.Number), map[string]string{"why": old.Trial.Why}))
		t.Delete = append(t.Delete, waitKey)
	}
	if on != nil {
		r.Trial = &Trial{ID: on.ID, Until: b.now().Add(on.Time).UTC(), State: Running}
		fields["until"] = r.Trial.Until.Format(time.RFC3339)
		w := waiting{Number: r.Number, Former: d.head.Number, Request: d.by.Request, Took: b.took}
		if d.wait != nil {
			w.Former = d.wait.Former
		}
		if err := put(&t, waitKey, w); err != nil {
			return Revision{}, err
		}
		t.Delete = slices.DeleteFunc(t.Delete, func(k string) bool { return k == waitKey })
	}
	events = append(events, b.event(d.by, "config.commit", object, fields))
	if d.of != 0 {
		events = append(events, b.event(d.by, "config.rollback", object, map[string]string{"to": strconv.Itoa(d.of)}))
	}
	if d.merged != 0 {
		events = append(events, b.event(d.by, "config.merge", object, map[string]string{"edited_from": strconv.Itoa(d.merged), "with": strconv.Itoa(r.Parent)}))
	}
	over, err := b.closeProposals(ctx, &t, r, d.proposal)
	if err != nil {
		return Revision{}, err
	}
	events = append(events, over...)
	t.Put = append(t.Put, store.Put{Key: key(textKey, r.Number), Value: d.Text}, store.Put{Key: headKey, Value: []byte(object)})
	if err := put(&t, key(metaKey, r.Number), r); err != nil {
		return Revision{}, err
	}
	if err := b.journal.Commit(ctx, t, events...); err != nil {
		return Revision{}, err
	}
	b.set(&Head{r, d.cfg, d.g, d.digest})
	return r, nil
}

func put(t *store.Txn, key string, v any) error {
	p, err := store.JSON(key, v)
	if err == nil {
		t.Put = append(t.Put, p)
	}
	return err
}

// headRevision answers a zero revision before the first, and the store's revision of the head for the guard.
func (b *Book) headRevision(ctx context.Context) (Revision, uint64, error) {
	n, guard, err := b.headNumber(ctx)
	if err != nil || n == 0 {
		return Revision{}, guard, err
	}
	r, err := b.meta(ctx, n)
	return r, guard, err
}

func (b *Book) meta(ctx context.Context, n int) (Revision, error) {
	var r Revision
	e, err := b.store.Get(ctx, key(metaKey, n))
	if err == nil {
		err = e.Decode(&r)
	}
	if err != nil {
		err = fmt.Errorf("revision %d: %w", n, err)
	}
	return r, err
}
