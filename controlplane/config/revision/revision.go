// Package revision keeps every configuration that was ever in force, and is the one way to a new one.
//
// Problem: a configuration is changed at night by a tired person, and the next morning somebody must know what changed, by
// whom, and what was proven about it. Mechanism: one lock and one path: the text is parsed, compiled, proven over the very
// tables that go out, which must also permit exactly what the text does, handed to the dataplane, which checks all of it
// again, and only then written down as the head. Life cycle: init writes the first revision; each commit adds one; at start
// and whenever the dataplane has another policy in force, the head is handed to it again. Invariant: the head is the last text
// that the dataplane accepted, or, before the first contact, the one that root installed; nothing unproven is sent.
package revision

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/policy/proven"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// Revision is one configuration (版).
type Revision struct {
	Number  int       `json:"number"` // from 1
	Parent  int       `json:"parent"` // 0: none
	Policy  string    `json:"policy"` // as the dataplane names it
	Hash    string    `json:"hash"`   // of the tables, hexadecimal
	Author  string    `json:"author"`
	Comment string    `json:"comment"`
	Time    time.Time `json:"time"`
	Expired []string  `json:"expired,omitempty"` // records whose time was over at the commit: they permit nothing
}

// Dataplane is what a revision needs of the privileged daemon.
type Dataplane interface {
	// Apply hands over a generation; a refusal is an *Unproven or an error.
	Apply(ctx context.Context, g gate.Generation) error
	// InForce tells the revision in force, empty when there is none.
	InForce(ctx context.Context) (string, error)
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
	view sync.RWMutex
	head *Head
}

// Head is the revision that should be in force, compiled.
type Head struct {
	Revision
	Config     *config.Config
	Generation gate.Generation
}

const (
	metaKey = "revision/"
	textKey = "revision-text/"
	headKey = "revision-head"
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
	b.set(&Head{r, cfg, g})
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

// Commit brings a text into force (反映) and makes it the head. Every refusal is recorded.
func (b *Book) Commit(ctx context.Context, author, comment string, text []byte) (Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	cfg, g, err := b.prove(text)
	if err != nil {
		return Revision{}, b.refused(ctx, author, comment, err)
	}
	if b.dataplane != nil {
		try := audit.New(b.now(), "", author, "config.apply", g.Revision, map[string]string{"hash": packet.Hash(g.Tables), "comment": comment})
		if err := b.journal.Note(ctx, try); err != nil {
			return Revision{}, err
		}
		if err := b.dataplane.Apply(ctx, g); err != nil {
			return Revision{}, b.refused(ctx, author, comment, err)
		}
	}
	// What is in force is written down even when the one who asked has gone.
	return b.add(context.WithoutCancel(ctx), author, comment, text, cfg, g)
}

func (b *Book) add(ctx context.Context, author, comment string, text []byte, cfg *config.Config, g gate.Generation) (Revision, error) {
	parent, rev, err := b.headNumber(ctx)
	if err != nil {
		return Revision{}, err
	}
	r := Revision{Number: parent + 1, Parent: parent, Policy: g.Revision, Hash: packet.Hash(g.Tables), Author: author, Comment: comment, Time: b.now().UTC(), Expired: b.expired(cfg)}
	meta, err := store.JSON(key(metaKey, r.Number), r)
	if err != nil {
		return Revision{}, err
	}
	fields := map[string]string{"policy": r.Policy, "hash": r.Hash, "comment": comment}
	if len(r.Expired) > 0 {
		fields["expired"] = strings.Join(r.Expired, " ")
	}
	err = b.journal.Commit(ctx, store.Txn{If: []store.If{{Key: headKey, Revision: rev}}, Put: []store.Put{meta,
		{Key: key(textKey, r.Number), Value: text}, {Key: headKey, Value: []byte(strconv.Itoa(r.Number))}}},
		audit.New(b.now(), "", author, "config.commit", strconv.Itoa(r.Number), fields))
	if err != nil {
		return Revision{}, err
	}
	b.set(&Head{r, cfg, g})
	return r, nil
}

// refused records that and why a change was refused, and answers the cause.
func (b *Book) refused(ctx context.Context, author, comment string, cause error) error {
	why := cause.Error()
	if len(why) > 2000 {
		why = strings.ToValidUTF8(why[:2000], "") + " ..."
	}
	e := audit.New(b.now(), "", author, "config.refuse", "", map[string]string{"comment": comment, "why": why})
	return errors.Join(cause, b.journal.Note(context.WithoutCancel(ctx), e))
}

// Restore hands the head to the dataplane when another policy is in force there. It answers whether it did. A record that ends
// meanwhile needs nobody: its time stands in the tables.
func (b *Book) Restore(ctx context.Context) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.Head()
	if h == nil || b.dataplane == nil {
		return false, nil
	}
	in, err := b.dataplane.InForce(ctx)
	if err != nil || in == h.Policy {
		return false, err
	}
	e := audit.New(b.now(), "", "sekisho-control", "config.restore", strconv.Itoa(h.Number), map[string]string{"policy": h.Policy, "before": in})
	if err := b.journal.Note(ctx, e); err != nil {
		return false, err
	}
	if err := b.dataplane.Apply(ctx, h.Generation); err != nil {
		return false, fmt.Errorf("restore revision %d: %w", h.Number, err)
	}
	return true, nil
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
