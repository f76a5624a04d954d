// Package revision keeps every configuration that was ever in force, and is the one way to a new one.
//
// Problem: a configuration is changed at night by a tired person, cuts that person off, overwrites what a colleague did in the
// afternoon, and the next morning somebody must know what changed, by whom, and what was proven about it. Mechanism: one lock
// and one path: the text is merged with what was changed since it was read, parsed, compiled, proven over the very tables that
// go out, which must also permit exactly what the text does, approved by a second person where the town wants that, handed to the
// dataplane, which checks all of it again, and only then written down as the head. A change may be on trial: the dataplane goes back by itself unless its author confirms it with
// a new request. Life cycle: init writes the first revision; each commit adds one, and so does each rollback; at start and
// whenever the dataplane has another policy in force, the head is handed to it again. Invariant: the head is the last text that
// the dataplane accepted and did not go back from, or, before the first contact, the one that root installed; nothing unproven
// is sent, and nothing that was not confirmed is sent a second time.
package revision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/merge"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/policy/proven"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// Revision is one configuration (版). Those written before a field existed lack it.
type Revision struct {
	Number   int       `json:"number"` // from 1, never given twice
	Parent   int       `json:"parent"` // the head before it; 0: none
	Policy   string    `json:"policy"` // as the dataplane names it
	Hash     string    `json:"hash"`   // of the tables, hexadecimal
	Digest   string    `json:"digest,omitempty"`
	Text     string    `json:"text_sha256,omitempty"`
	Author   string    `json:"author"`
	Via      string    `json:"via,omitempty"`
	Claim    string    `json:"claim,omitempty"`
	Comment  string    `json:"comment"`
	Time     time.Time `json:"time"`
	Expired  []string  `json:"expired,omitempty"`     // records whose time was over at the commit: they permit nothing
	Of       int       `json:"rollback_of,omitempty"` // the revision whose text this is
	Merged   int       `json:"merged,omitempty"`      // the revision that its text was edited from, where that was not the parent
	Proposal int       `json:"proposal,omitempty"`
	Approver string    `json:"approver,omitempty"`
	Trial    *Trial    `json:"trial,omitempty"` // nil: in force for good from the start
}

// Trial is a revision's time to be confirmed, and what became of it.
type Trial struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"` // by the clock at the commit
	State State     `json:"state"`
	At    time.Time `json:"at,omitzero"` // of the end
	By    string    `json:"by,omitempty"`
	Why   string    `json:"why,omitempty"`
}

// State of a trial.
type State string

const (
	Running   State = "unconfirmed"
	Confirmed State = "confirmed"
	Reverted  State = "reverted"
)

// String names the revision for people.
func (r Revision) String() string {
	return fmt.Sprintf("revision %d (%s, %s)", r.Number, r.who(), r.Time.Local().Format(time.DateTime))
}

func (r Revision) who() string { return Author{ID: r.Author, Claim: r.Claim}.String() }

// Dataplane is what a revision needs of the privileged daemon.
type Dataplane interface {
	// Apply hands over a generation, for good (on nil) or on trial; a refusal is an *Unproven or an error.
	Apply(ctx context.Context, g gate.Generation, on *gate.Trial) error
	// Confirm makes the generation on trial last; doing it again changes nothing.
	Confirm(ctx context.Context, trial, by string) error
	// Revert ends a trial before its time.
	Revert(ctx context.Context, trial, by, why string) error
	// InForce tells what is in force, and what became of trials.
	InForce(ctx context.Context) (InForce, error)
}

// InForce is what the dataplane says of itself.
type InForce struct {
	Revision string            `json:"revision"` // policy; empty: none
	Digest   string            `json:"digest"`   // of the whole generation
	Trial    *gate.TrialStatus `json:"trial"`
	Ended    *gate.Ended       `json:"ended"` // the last trial that is over
}

// Unproven is the answer to a configuration that would break an invariant.
type Unproven struct {
	By         string // who refused: "control", "dataplane"
	Violations []proof.Violation
}

func (u *Unproven) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "refused by %s: %d violations of the isolation", u.By, len(u.Violations))
	for _, v := range u.Violations {
		b.WriteString("\n" + v.String())
	}
	return b.String()
}

// Book is all revisions of one gate.
type Book struct {
	store     store.Store
	journal   *audit.Journal
	dataplane Dataplane // nil: not reachable from here (init)
	anchors   func() (*anchors.Anchors, error)
	now       func() time.Time
	compile   func(*config.Config, *anchors.Anchors) (gate.Generation, error)

	mu   sync.Mutex // one change at a time
	took time.Time  // when the change on trial took force, by this process's clock; zero: another process began it
	view sync.RWMutex
	head *Head
}

// Head is the revision that should be in force, compiled.
type Head struct {
	Revision
	Config     *config.Config
	Generation gate.Generation
	digest     string
}

const (
	metaKey = "revision/"
	textKey = "revision-text/"
	headKey = "revision-head"
	waitKey = "revision-pending"
)

// New opens the book. The anchors are read again for each commit.
func New(s store.Store, j *audit.Journal, d Dataplane, a func() (*anchors.Anchors, error), now func() time.Time) *Book {
	return &Book{store: s, journal: j, dataplane: d, anchors: a, now: now, compile: policy.Compile}
}

// Load reads and compiles the head. Without any revision it does nothing.
func (b *Book) Load(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.load(ctx)
}

func (b *Book) load(ctx context.Context) error {
	n, _, err := b.headNumber(ctx)
	if err != nil || n == 0 {
		return err
	}
	r, text, err := b.Read(ctx, n)
	if err != nil {
		return err
	}
	cfg, g, err := b.prove(text)
	if err != nil {
		return fmt.Errorf("revision %d does not stand any more: %w", n, err)
	}
	r.Policy, r.Hash, r.Expired = g.Revision, packet.Hash(g.Tables), b.expired(cfg)
	b.set(&Head{r, cfg, g, g.Digest()})
	return nil
}

func (b *Book) expired(cfg *config.Config) []string {
	var ids []string
	for _, c := range policy.Expired(cfg, b.now()) {
		ids = append(ids, c.ID)
	}
	return ids
}

// Head answers nil before the first revision.
func (b *Book) Head() *Head {
	b.view.RLock()
	defer b.view.RUnlock()
	return b.head
}

func (b *Book) set(h *Head) {
	b.view.Lock()
	b.head = h
	b.view.Unlock()
}

// prove gives what may be sent for the text. Faults of the text are config.Errors, of the policy *Unproven.
func (b *Book) prove(text []byte) (*config.Config, gate.Generation, error) {
	cfg, faults := config.Parse(text)
	if err := faults.Err(); err != nil {
		return nil, gate.Generation{}, err
	}
	a, err := b.anchors()
	if err != nil {
		return nil, gate.Generation{}, err
	}
	p, err := proven.Compile(cfg, a, b.compile)
	if err != nil {
		return nil, gate.Generation{}, err
	}
	if len(p.Isolation) > 0 {
		return nil, gate.Generation{}, &Unproven{"control", b.replayed(p.Generation, p.Isolation)}
	}
	if len(p.Equality) > 0 {
		return nil, gate.Generation{}, &Unproven{"control", p.Equality}
	}
	return cfg, p.Generation, nil
}

// Check tells why a text would be refused, with all its faults; nil when it would not. Nothing changes, and nothing is recorded.
func (b *Book) Check(text []byte) error {
	_, _, err := b.prove(text)
	return err
}

// refused records that and why something was refused, and answers the cause.
func (b *Book) refused(ctx context.Context, by Author, act, comment string, cause error) error {
	why := cause.Error()
	if len(why) > 2000 {
		why = strings.ToValidUTF8(why[:2000], "") + " ..."
	}
	fields := map[string]string{"act": act, "comment": comment, "why": why}
	return errors.Join(cause, b.note(context.WithoutCancel(ctx), by, "config.refuse", "", fields))
}

// note records what changes no state.
func (b *Book) note(ctx context.Context, by Author, action, object string, fields map[string]string) error {
	return b.journal.Note(ctx, b.event(by, action, object, fields))
}

func (b *Book) event(by Author, action, object string, fields map[string]string) audit.Event {
	by.mark(fields)
	maps.DeleteFunc(fields, func(_, v string) bool { return v == "" })
	return audit.New(b.now(), by.zone(), by.ID, action, object, fields)
}

// History lists revisions, newest first, at most max (0 = all).
func (b *Book) History(ctx context.Context, max int) ([]Revision, error) {
	from, to := store.Under(metaKey)
	es, err := b.store.Range(ctx, from, to, max, true)
	if err != nil {
		return nil, err
	}
	out := make([]Revision, len(es))
	for i, e := range es {
		if err := e.Decode(&out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Read gives one revision and its text.
func (b *Book) Read(ctx context.Context, n int) (Revision, []byte, error) {
	var r Revision
	e, err := b.store.Get(ctx, key(metaKey, n))
	if err == nil {
		err = e.Decode(&r)
	}
	if err != nil {
		return r, nil, fmt.Errorf("revision %d: %w", n, err)
	}
	text, err := b.store.Get(ctx, key(textKey, n))
	if err != nil {
		return r, nil, fmt.Errorf("revision %d: %w", n, err)
	}
	return r, text.Value, nil
}

// HeadNumber is the number of the revision that should be in force, whether its text can still be used or not; 0 before the first.
func (b *Book) HeadNumber(ctx context.Context) (int, error) {
	n, _, err := b.headNumber(ctx)
	return n, err
}

// Diff lists what differs between two revisions, entry by entry.
func (b *Book) Diff(ctx context.Context, from, to int) ([]merge.Change, error) {
	_, old, err := b.Read(ctx, from)
	if err != nil {
		return nil, err
	}
	_, new, err := b.Read(ctx, to)
	if err != nil {
		return nil, err
	}
	return merge.Changes(old, new)
}

// headNumber answers 0 when there is none yet, and the store's revision of it for the guard.
func (b *Book) headNumber(ctx context.Context) (int, uint64, error) {
	e, err := b.store.Get(ctx, headKey)
	if errors.Is(err, store.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	n, err := strconv.Atoi(string(e.Value))
	if err != nil {
		return 0, 0, fmt.Errorf("head revision %q: %w", e.Value, err)
	}
	return n, e.Revision, nil
}

func key(prefix string, n int) string { return fmt.Sprintf("%s%08d", prefix, n) }
