package revision

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Proposal is a change that waits for a second person (四つの目). What is approved is exactly this text and what it compiled to.
type Proposal struct {
	Number  int           `json:"number"` // from 1
	Parent  int           `json:"parent"` // the head that it would replace
	Author  string        `json:"author"`
	Via     Via           `json:"via"`
	Claim   string        `json:"claim,omitempty"`
	Login   string        `json:"login,omitempty"`
	Proven  bool          `json:"proven,omitempty"` // who Author is
	Comment string        `json:"comment"`
	Time    time.Time     `json:"time"`
	Expires time.Time     `json:"expires"`
	Text    string        `json:"text_sha256"`
	Digest  string        `json:"digest"`
	Policy  string        `json:"policy"`
	Hash    string        `json:"hash"`
	Confirm time.Duration `json:"confirm,omitempty"` // on trial for, once it is approved
	Why     []string      `json:"why,omitempty"`     // what of My Number it touches
	State   Fate          `json:"state"`
	At      time.Time     `json:"at,omitzero"` // of the end
	By      string        `json:"by,omitempty"`
	Because string        `json:"because,omitempty"`

	Of      int    `json:"rollback_of,omitempty"`
	Merged  int    `json:"merged,omitempty"`
	Request string `json:"request,omitempty"` // its author's, so that the same one does not confirm it
}

// Fate of a proposal.
type Fate string

const (
	Open      Fate = "waiting"
	Applied   Fate = "applied"
	Withdrawn Fate = "withdrawn"
	Expired   Fate = "expired"
	Void      Fate = "void" // what it was to change is not in force any more
)

// ProposalTime is how long a proposal waits.
const ProposalTime = 7 * 24 * time.Hour

// MostProposals bounds those that wait at once.
const MostProposals = 100

// Waiting is the answer to a commit that a second person must approve.
type Waiting struct{ Proposal Proposal }

func (w *Waiting) Error() string {
	p := w.Proposal
	var b strings.Builder
	fmt.Fprintf(&b, "not in force: it waits for approval as proposal %d until %s, by another administrator than %s", p.Number, p.Expires.Local().Format(time.DateTime), p.Author)
	if len(p.Why) > 0 {
		b.WriteString(", because it touches My Number:")
		for _, w := range p.Why {
			b.WriteString("\n  " + w)
		}
	}
	return b.String()
}

const (
	openKey  = "proposal-open/" // those that wait; the others under doneKey
	doneKey  = "proposal-done/"
	draftKey = "proposal-text/"
	countKey = "proposal-count"
)

// Propose lays a change before a second person, whether or not the town demands it.
func (b *Book) Propose(ctx context.Context, by Author, c Change) (Proposal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := readable(c.Comment); err != nil {
		return Proposal{}, b.told(ctx, by, "propose", "", err)
	}
	d, err := b.draft(ctx, by, c, 0)
	var p Proposal
	if err == nil {
		p, err = b.propose(ctx, d, nil)
	}
	return p, b.told(ctx, by, "propose", c.Comment, err)
}

func (b *Book) propose(ctx context.Context, d *draft, why []string) (Proposal, error) {
	if !d.by.Proven {
		return Proposal{}, &Denied{"propose", "a second person must approve this, and the directory does not know who sits at this console: sign in with --as ID"}
	}
	open, err := b.openProposals(ctx)
	if err != nil {
		return Proposal{}, err
	}
	if len(open) >= MostProposals {
		return Proposal{}, &Denied{"propose", fmt.Sprintf("%d proposals wait already: approve or withdraw some", len(open))}
	}
	count, n := store.Entry{}, 0
	if count, err = b.store.Get(ctx, countKey); err == nil {
		n, err = strconv.Atoi(string(count.Value))
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Proposal{}, fmt.Errorf("number of proposals: %w", err)
	}
	p := Proposal{Number: n + 1, Parent: d.head.Number, Author: d.by.ID, Via: d.by.Via, Claim: d.by.Claim, Login: d.by.Login, Proven: d.by.Proven, Comment: d.Comment, Time: b.now().UTC(), Expires: b.now().Add(ProposalTime).UTC(),
		Text: textHash(d.Text), Digest: d.digest, Policy: d.g.Revision, Hash: packet.Hash(d.g.Tables), Confirm: d.Confirm, Why: why, State: Open, Of: d.of, Merged: d.merged, Request: d.by.Request}
	object := strconv.Itoa(p.Number)
	t := store.Txn{If: []store.If{{Key: countKey, Revision: count.Revision}}, Put: []store.Put{{Key: key(draftKey, p.Number), Value: d.Text}, {Key: countKey, Value: []byte(object)}}}
	if err := put(&t, key(openKey, p.Number), p); err != nil {
		return Proposal{}, err
	}
	fields := map[string]string{"text": p.Text, "digest": p.Digest, "comment": p.Comment, "parent": strconv.Itoa(p.Parent), "why": strings.Join(why, ", ")}
	return p, b.journal.Commit(ctx, t, b.event(d.by, "config.propose", object, fields))
}

// Approve brings a proposal into force. by is another person than its author; that it is an administrator is for the caller to
// know. text and digest are those that the person has seen.
func (b *Book) Approve(ctx context.Context, by Author, number int, text, digest string) (Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, err := b.approve(ctx, by, number, text, digest)
	return r, b.told(ctx, by, "approve", "proposal "+strconv.Itoa(number), err)
}

func (b *Book) approve(ctx context.Context, by Author, number int, text, digest string) (Revision, error) {
	p, written, err := b.openProposal(ctx, number)
	if err != nil {
		return Revision{}, err
	}
	author := Author{ID: p.Author, Via: p.Via, Claim: p.Claim, Login: p.Login, Proven: p.Proven, Request: p.Request}
	no := func(why string) (Revision, error) { return Revision{}, &Denied{"approve", why} }
	switch {
	case !by.Proven:
		return no("the directory does not know who sits at this console: sign in with --as ID")
	case !author.Proven:
		return no(fmt.Sprintf("the directory did not know who %s is, whose proposal %d is: propose it again", author, number))
	case !by.another(author):
		return no(fmt.Sprintf("proposal %d is %s's: another person must approve it", number, author))
	case text != p.Text || digest != p.Digest:
		return no(fmt.Sprintf("proposal %d holds another text than the one that was looked at: look again", number))
	case !b.now().Before(p.Expires):
		return no(fmt.Sprintf("proposal %d has expired", number))
	}
	d, err := b.draft(ctx, author, Change{Text: written, Comment: p.Comment, Parent: p.Parent, Confirm: p.Confirm}, p.Of)
	if err != nil {
		return Revision{}, err
	}
	switch {
	case textHash(written) != p.Text:
		return no(fmt.Sprintf("the text of proposal %d has changed in the store: propose it again", number))
	case d.head.Number != p.Parent:
		return no(fmt.Sprintf("proposal %d was made to follow revision %d, but %d is in force: propose it again", number, p.Parent, d.head.Number))
	case d.digest != p.Digest:
		return no(fmt.Sprintf("the text of proposal %d compiles to something else now, since anchors or program have changed: propose it again", number))
	}
	d.merged, d.proposal, d.approver = p.Merged, number, by
	if err := b.note(ctx, by, "config.approve", strconv.Itoa(number), map[string]string{"text": p.Text, "digest": p.Digest, "author": p.Author}); err != nil {
		return Revision{}, err
	}
	return b.bring(ctx, d)
}

// Withdraw ends a proposal that waits. Any administrator may: its author takes it back, another one refuses it.
func (b *Book) Withdraw(ctx context.Context, by Author, number int, why string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := readable(why)
	var p Proposal
	if err == nil {
		p, _, err = b.openProposal(ctx, number)
	}
	if err == nil {
		var t store.Txn
		var e audit.Event
		if e, err = b.closeProposal(&t, p, Withdrawn, by, why); err == nil {
			err = b.journal.Commit(ctx, t, e)
		}
	}
	return b.told(ctx, by, "withdraw", "proposal "+strconv.Itoa(number), err)
}

// Proposals lists those that wait, or with all those that have ended, too, newest first.
func (b *Book) Proposals(ctx context.Context, all bool) ([]Proposal, error) {
	open, err := b.openProposals(ctx)
	if err != nil || !all {
		return open, err
	}
	done, err := b.listed(ctx, doneKey)
	return append(open, done...), err
}

// Proposed gives one proposal and its text.
func (b *Book) Proposed(ctx context.Context, number int) (Proposal, []byte, error) {
	p, text, err := b.proposal(ctx, openKey, number)
	if errors.Is(err, store.ErrNotFound) {
		p, text, err = b.proposal(ctx, doneKey, number)
	}
	return p, text, err
}

func (b *Book) openProposal(ctx context.Context, number int) (Proposal, []byte, error) {
	p, text, err := b.proposal(ctx, openKey, number)
	if !errors.Is(err, store.ErrNotFound) {
		return p, text, err
	}
	done, _, derr := b.proposal(ctx, doneKey, number)
	if derr != nil {
		return p, nil, err
	}
	return p, nil, &Denied{"proposal " + strconv.Itoa(number), fmt.Sprintf("it does not wait any more: %s at %s %s", done.State, done.At.Local().Format(time.DateTime), done.Because)}
}

func (b *Book) proposal(ctx context.Context, under string, number int) (Proposal, []byte, error) {
	var p Proposal
	e, err := b.store.Get(ctx, key(under, number))
	if err == nil {
		err = e.Decode(&p)
	}
	if err != nil {
		return p, nil, fmt.Errorf("proposal %d: %w", number, err)
	}
	text, err := b.store.Get(ctx, key(draftKey, number))
	if err != nil {
		return p, nil, fmt.Errorf("proposal %d: %w", number, err)
	}
	return p, text.Value, nil
}

func (b *Book) openProposals(ctx context.Context) ([]Proposal, error) { return b.listed(ctx, openKey) }

func (b *Book) listed(ctx context.Context, under string) ([]Proposal, error) {
	from, to := store.Under(under)
	es, err := b.store.Range(ctx, from, to, 0, true)
	out := make([]Proposal, len(es))
	for i, e := range es {
		if err := e.Decode(&out[i]); err != nil {
			return nil, err
		}
	}
	return out, err
}

// closeProposal moves one to those that have ended.
func (b *Book) closeProposal(t *store.Txn, p Proposal, f Fate, by Author, because string) (audit.Event, error) {
	p.State, p.At, p.By, p.Because = f, b.now().UTC(), by.ID, because
	t.Delete = append(t.Delete, key(openKey, p.Number))
	action := map[Fate]string{Applied: "config.approved", Withdrawn: "config.withdraw", Expired: "config.expire", Void: "config.void"}[f]
	return b.event(by, action, strconv.Itoa(p.Number), map[string]string{"why": because, "author": p.Author}), put(t, key(doneKey, p.Number), p)
}

// closeProposals ends all that wait, since another head comes; the one that brought it was applied.
func (b *Book) closeProposals(ctx context.Context, t *store.Txn, head Revision, applied int) (events []audit.Event, err error) {
	open, err := b.openProposals(ctx)
	for _, p := range open {
		fate, because := Void, fmt.Sprintf("revision %d is the head since", head.Number)
		if p.Number == applied {
			fate, because = Applied, fmt.Sprintf("as revision %d", head.Number)
		}
		by := Author{ID: "sekisho-control"}
		if fate == Applied {
			by = Author{ID: head.Approver}
		}
		e, err := b.closeProposal(t, p, fate, by, because)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, err
}

func (b *Book) expireProposals(ctx context.Context) error {
	open, err := b.openProposals(ctx)
	for _, p := range open {
		if b.now().Before(p.Expires) {
			continue
		}
		var t store.Txn
		e, err := b.closeProposal(&t, p, Expired, Author{ID: "sekisho-control"}, "nobody approved it in time")
		if err == nil {
			err = b.journal.Commit(ctx, t, e)
		}
		if err != nil {
			return err
		}
	}
	return err
}
