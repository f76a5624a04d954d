// Package transfer leads one file from request to release.
//
// Problem: a file may only cross after machines rebuilt and checked it and the right person agreed, days may lie between,
// and the daemon that leads it must itself be assumed to lie or die. Mechanism: control keeps a record of where each
// transfer stands and nothing of its bytes: the upload streams through to the release daemon, the broker rebuilds and
// verifies, release checks the approval itself and hands control a signed receipt. What may name residents lies sealed beside
// the record (sheet.go). Life cycle: draft, received, (scanned, sanitized, verified,) awaiting approval or blocked, released
// or rejected, expired. Every step is one transaction with its audit event, and is answered after both are on disk; work
// that a stop interrupted is taken up at the next start. Invariant: control can lose a file's way out, but never open one:
// every condition is checked again by release.
package transfer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Release is what control may ask of the release daemon.
type Release interface {
	StoreOriginal(ctx context.Context, o release.NewOriginal, body io.Reader) (verdict.Digest, error)
	State(ctx context.Context, transfer string) (release.State, error)
	Erase(ctx context.Context, transfer string, known int) error
}

// Options of the transfers of one gate.
type Options struct {
	Store   store.Store
	Journal *audit.Journal
	People  *identity.Directory
	Release Release
	Broker  Broker
	Sheets  string // directory for the sealed sheets

	// Root-owned files: the routes that release goes by, its public key and the verifier's.
	Routes, ReleaseKey, VerifierKey string

	Now func() time.Time
	Log *slog.Logger
}

// Desk leads the transfers.
type Desk struct {
	o       Options
	sheets  sheets
	errands *errands      // transfers to sanitize
	due     chan struct{} // something is to be erased

	drawing sync.Map // id -> chan struct{}, closed when its pages are drawn

	writing sync.Mutex // of sheets that people write to
}

// New makes a desk. Run does its work in the background.
func New(o Options) *Desk {
	return &Desk{o: o, sheets: sheets{o.Sheets}, errands: newErrands(), due: make(chan struct{}, 1)}
}

// record is what the store holds of a transfer: nothing that a person typed.
type record struct {
	ID        string       `json:"id"`
	From      anchors.Zone `json:"from"`
	To        anchors.Zone `json:"to"`
	Requester string       `json:"requester"`
	Section   string       `json:"section"` // of the requester, when sent
	State     web.State    `json:"state"`
	Size      int64        `json:"size"`
	SHA256    string       `json:"sha256"`
	Created   time.Time    `json:"created"`
	Expires   time.Time    `json:"expires"`
	History   []step       `json:"history"`
	Sanitized string       `json:"sanitized,omitempty"` // SHA-256
	Approvals []string     `json:"approvals,omitempty"` // roles still demanded
	Receipts  [][]byte     `json:"receipts,omitempty"`  // signatures of the approvals that are in the log; what they sign holds a person's words
	Tries     int          `json:"tries,omitempty"`     // jobs that the broker answered with an error
	Locked    bool         `json:"locked,omitempty"`    // passwords came with it; they are in memory only (errands.go)
}

type step struct {
	State  web.State `json:"state"`
	Time   time.Time `json:"time"`
	Person string    `json:"person,omitempty"`
	Words  string    `json:"words,omitempty"` // under which the sheet holds what the person said
}

const (
	stateDraft web.State = "draft"

	transferKey = "transfer/"
	byPerson    = "transfer-person/"  // person/id
	bySection   = "transfer-section/" // from-zone/section/id
	byExpiry    = "transfer-expiry/"  // RFC 3339/id
	draftKey    = "transfer-draft/"   // id: not answered yet
	pendingKey  = "transfer-pending/" // id: to be sanitized
	eraseKey    = "transfer-erase/"   // id: release has to erase it
	lookedKey   = "transfer-looked/"  // id/person: the log says that this person looked at it
)

const (
	maxList = 200
	maxName = 255  // bytes
	maxText = 4000 // bytes of a note or reason
)

// Routes are the ways out of a zone.
func (d *Desk) Routes(_ context.Context, p web.Person, from anchors.Zone) ([]web.Route, error) {
	if p.Role != web.Staff && p.Role != web.SectionHead {
		return nil, web.Refuse(web.CodeForbidden, nil)
	}
	rs, err := release.LoadRoutes(d.o.Routes)
	if err != nil {
		return nil, err
	}
	var out []web.Route
	for _, r := range rs.Routes {
		if r.From != from || !slices.Contains(p.Zones, r.To) {
			continue
		}
		w := web.Route{To: r.To, Formats: r.Formats, MaxSize: r.MaxSize, KeepDays: r.KeepDays}
		for _, a := range r.Approvals {
			w.Approvals = append(w.Approvals, web.Role(a))
		}
		out = append(out, w)
	}
	return out, nil
}

// Create takes a file in. When it returns, the file is with release and the record on disk.
func (d *Desk) Create(ctx context.Context, p web.Person, from, to anchors.Zone, name, note string, keys []string, r io.Reader) (web.Transfer, error) {
	who, err := d.o.People.Lookup(ctx, p.ID)
	if err != nil {
		return web.Transfer{}, err
	}
	ways, err := d.Routes(ctx, p, from)
	if err != nil {
		return web.Transfer{}, err
	}
	at := slices.IndexFunc(ways, func(w web.Route) bool { return w.To == to })
	if at < 0 || !slices.Contains(who.Zones, from) || !slices.Contains(who.Zones, to) {
		return web.Transfer{}, web.Refuse(web.CodeRoute, nil)
	}
	if name == "" || len(name) > maxName || len(note) > maxText || !utf8.ValidString(name) || !utf8.ValidString(note) {
		return web.Transfer{}, fmt.Errorf("send a file: name of %d and note of %d bytes, want at most %d and %d of UTF-8", len(name), len(note), maxName, maxText)
	}
	if err := verdict.CheckKeys(keys); err != nil {
		return web.Transfer{}, web.Refuse(web.CodePasswords, err)
	}
	now := d.o.Now().UTC().Truncate(time.Millisecond)
	rec := record{ID: newID(now), From: from, To: to, Requester: who.ID, Section: who.Section, State: stateDraft, Created: now,
		Expires: now.AddDate(0, 0, ways[at].KeepDays), Locked: len(keys) > 0}
	for _, a := range ways[at].Approvals {
		rec.Approvals = append(rec.Approvals, string(a))
	}
	if _, err := d.o.Store.Commit(ctx, store.Txn{Put: []store.Put{{Key: draftKey + rec.ID}}}); err != nil {
		return web.Transfer{}, err
	}
	d.errands.remember(rec.ID, keys)
	t, err := d.take(ctx, rec, ways[at].MaxSize, name, note, r)
	if err != nil {
		d.errands.forget(rec.ID)
		d.drop(context.WithoutCancel(ctx), rec.ID)
		return web.Transfer{}, err
	}
	return t, nil
}

// take streams the bytes on and turns the draft into a received transfer.
func (d *Desk) take(ctx context.Context, rec record, limit int64, name, note string, r io.Reader) (web.Transfer, error) {
	s := sheet{Name: name, Note: note}
	if err := d.sheets.create(rec.ID, s); err != nil {
		return web.Transfer{}, err
	}
	counted := &counter{r: io.LimitReader(r, limit+1)}
	digest, err := d.o.Release.StoreOriginal(ctx, release.NewOriginal{Transfer: rec.ID, Name: name, Requester: rec.Requester,
		Section: rec.Section, From: rec.From, To: rec.To}, counted)
	if counted.err != nil {
		return web.Transfer{}, counted.err // the browser's side failed, not release
	}
	if counted.n > limit {
		return web.Transfer{}, web.Refuse(web.CodeTooLarge, err)
	}
	if err != nil {
		return web.Transfer{}, ofRelease(err)
	}
	if digest.Size == 0 {
		return web.Transfer{}, web.Refuse(web.CodeEmpty, nil)
	}
	rec.Size, rec.SHA256 = digest.Size, digest.SHA256
	rec.advance(web.Received, d.o.Now(), rec.Requester)
	word, err := d.sheets.word(rec.ID, name)
	if err != nil {
		return web.Transfer{}, err
	}
	t := store.Txn{Delete: []string{draftKey + rec.ID}, Put: []store.Put{
		{Key: byPerson + rec.Requester + "/" + rec.ID}, {Key: bySection + rec.From.String() + "/" + rec.Section + "/" + rec.ID},
		{Key: byExpiry + rec.Expires.Format(time.RFC3339) + "/" + rec.ID}, {Key: pendingKey + rec.ID}}}
	err = d.save(ctx, rec, 0, t, d.event(rec, rec.From, rec.Requester, "transfer.create", map[string]string{
		"from": rec.From.String(), "to": rec.To.String(), "size": strconv.FormatInt(rec.Size, 10), "sha256": rec.SHA256, "name": word}))
	if err != nil {
		return web.Transfer{}, err
	}
	d.enqueue(rec)
	return d.shown(ctx, rec, s), nil
}

// drop forgets a draft. What cannot be done now is done at the next start.
func (d *Desk) drop(ctx context.Context, id string) {
	// The commit may have happened although its answer was lost: then it is a transfer, and stays.
	if _, err := d.o.Store.Get(ctx, transferKey+id); !errors.Is(err, store.ErrNotFound) {
		return
	}
	err := d.o.Release.Erase(ctx, id, 0)
	if refusal := new(release.Refusal); errors.As(err, &refusal) && refusal.Code == release.CodeUnknown {
		err = nil
	}
	err = errors.Join(err, d.sheets.destroy(id))
	if err == nil {
		_, err = d.o.Store.Commit(ctx, store.Txn{Delete: []string{draftKey + id}})
	}
	if err != nil {
		d.o.Log.Warn("an unfinished upload is erased later", "transfer", id, "error", err)
	}
}

// List gives one box, newest first.
func (d *Desk) List(ctx context.Context, p web.Person, zone anchors.Zone, box web.Box) ([]web.Transfer, error) {
	who, err := d.o.People.Lookup(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	var index string
	var want func(r record) bool
	switch box {
	case web.Sent:
		index, want = byPerson+who.ID+"/", func(r record) bool { return r.From == zone }
	case web.Receive:
		index, want = byPerson+who.ID+"/", func(r record) bool { return r.To == zone && r.State == web.Released }
	case web.Approve:
		index = bySection + zone.String() + "/" + who.Section + "/"
		want = func(r record) bool { return r.State == web.Awaiting && decides(who, zone, r) && !r.approvedBy(who.ID) }
	case web.Decided:
		index = bySection + zone.String() + "/" + who.Section + "/"
		want = func(r record) bool { return r.decidedBy(who.ID) }
	default:
		return nil, web.Refuse(web.CodeNotFound, nil)
	}
	from, to := store.Under(index)
	keys, err := d.o.Store.Range(ctx, from, to, 0, true)
	if err != nil {
		return nil, err
	}
	stage := d.stager(ctx)
	var out []web.Transfer
	for _, k := range keys {
		r, _, err := d.load(ctx, strings.TrimPrefix(k.Key, index))
		if err != nil {
			return nil, err
		}
		if !want(r) {
			continue
		}
		s, err := d.sheets.read(r.ID)
		if err != nil {
			return nil, err
		}
		t := d.shown(ctx, r, s)
		t.Stage = stage(r)
		if t.Report != nil {
			bare := *t.Report
			bare.Original, bare.Result = nil, nil
			t.Report = &bare
		}
		if out = append(out, t); len(out) == maxList {
			break
		}
	}
	return out, nil
}

// Get gives one transfer to its requester, in both zones, and to who may decide about it, in the zone it comes from.
func (d *Desk) Get(ctx context.Context, p web.Person, zone anchors.Zone, id string) (web.Transfer, error) {
	who, err := d.o.People.Lookup(ctx, p.ID)
	if err != nil {
		return web.Transfer{}, err
	}
	r, _, err := d.load(ctx, id)
	if err != nil {
		return web.Transfer{}, err
	}
	mine := r.Requester == who.ID && (zone == r.From || zone == r.To && r.State == web.Released)
	if !mine && !decides(who, zone, r) {
		return web.Transfer{}, web.Refuse(web.CodeNotFound, nil)
	}
	s, err := d.sheets.read(id)
	if err != nil {
		return web.Transfer{}, err
	}
	if !mine && s.Report != nil {
		if err := d.looked(ctx, r, zone, who.ID); err != nil {
			return web.Transfer{}, err
		}
	}
	t := d.shown(ctx, r, s)
	t.Stage = d.stager(ctx)(r)
	return t, nil
}

// Reject ends a transfer that waits for approval.
func (d *Desk) Reject(ctx context.Context, p web.Person, zone anchors.Zone, id, reason string) error {
	r, rev, err := d.forDecision(ctx, p, zone, id)
	if err != nil {
		return err
	}
	if strings.TrimSpace(reason) == "" || len(reason) > maxText || !utf8.ValidString(reason) {
		return web.Refuse(web.CodeReason, nil)
	}
	words, err := d.reason(id, reason)
	if err != nil {
		return err
	}
	r.advance(web.Rejected, d.o.Now(), p.ID)
	r.History[len(r.History)-1].Words = words
	word, err := d.sheets.word(id, reason)
	if err != nil {
		return err
	}
	defer d.tendSoon()
	return d.save(ctx, r, rev, store.Txn{Put: []store.Put{{Key: eraseKey + id}}},
		d.event(r, zone, p.ID, "transfer.reject", map[string]string{"reason": word, "sanitized_sha256": r.Sanitized}))
}

// MayDownload is asked before each download; yes is recorded.
func (d *Desk) MayDownload(ctx context.Context, p web.Person, zone anchors.Zone, id string) (web.Transfer, error) {
	who, err := d.o.People.Lookup(ctx, p.ID)
	if err != nil {
		return web.Transfer{}, err
	}
	r, _, err := d.load(ctx, id)
	if err != nil {
		return web.Transfer{}, err
	}
	if r.To != zone || r.Requester != who.ID || !slices.Contains(who.Zones, zone) {
		return web.Transfer{}, web.Refuse(web.CodeNotFound, nil)
	}
	if r.State != web.Released || !d.o.Now().Before(r.Expires) {
		return web.Transfer{}, web.Refuse(web.CodeState, nil)
	}
	return d.noted(ctx, r, zone, who.ID, "transfer.download")
}

// MayInspect is asked before an approver gets the sanitized file, and before an approval; yes is recorded.
func (d *Desk) MayInspect(ctx context.Context, p web.Person, zone anchors.Zone, id string) (web.Transfer, error) {
	r, _, err := d.forDecision(ctx, p, zone, id)
	if err != nil {
		return web.Transfer{}, err
	}
	return d.noted(ctx, r, zone, p.ID, "transfer.inspect")
}

func (d *Desk) noted(ctx context.Context, r record, zone anchors.Zone, person, action string) (web.Transfer, error) {
	s, err := d.sheets.read(r.ID)
	if err != nil {
		return web.Transfer{}, err
	}
	if err := d.o.Journal.Note(ctx, d.event(r, zone, person, action, map[string]string{"sanitized_sha256": r.Sanitized})); err != nil {
		return web.Transfer{}, err
	}
	return d.shown(ctx, r, s), nil
}

// Plain makes a sealed word of the audit log readable while its key lives.
func (d *Desk) Plain(id, sealed string) (string, bool) { return d.sheets.plain(id, sealed) }

// forDecision reads a transfer that p may decide about now.
func (d *Desk) forDecision(ctx context.Context, p web.Person, zone anchors.Zone, id string) (record, uint64, error) {
	r, rev, err := d.forDecider(ctx, p, zone, id)
	if err != nil {
		return record{}, 0, err
	}
	if !d.waits(r) {
		return record{}, 0, web.Refuse(web.CodeState, nil)
	}
	return r, rev, nil
}

// waits tells whether a transfer can be decided about now.
func (d *Desk) waits(r record) bool { return r.State == web.Awaiting && d.o.Now().Before(r.Expires) }

// forDecider reads a transfer that it is p's business to decide about, whatever became of it.
func (d *Desk) forDecider(ctx context.Context, p web.Person, zone anchors.Zone, id string) (record, uint64, error) {
	who, err := d.o.People.Lookup(ctx, p.ID)
	if err != nil {
		return record{}, 0, err
	}
	r, rev, err := d.load(ctx, id)
	if err != nil {
		return record{}, 0, err
	}
	switch {
	case r.Requester == who.ID && r.From == zone:
		return record{}, 0, web.Refuse(web.CodeOwn, nil)
	case !decides(who, zone, r):
		return record{}, 0, web.Refuse(web.CodeNotFound, nil)
	}
	return r, rev, nil
}

// decides tells whether it is this person's business to decide about the transfer: head of the requester's section, in the
// zone that the file comes from, and not the requester.
func decides(who identity.Person, zone anchors.Zone, r record) bool {
	return who.Role == web.SectionHead && who.Section == r.Section && zone == r.From && slices.Contains(who.Zones, zone) && who.ID != r.Requester
}

func (d *Desk) load(ctx context.Context, id string) (record, uint64, error) {
	var r record
	e, err := d.o.Store.Get(ctx, transferKey+id)
	if errors.Is(err, store.ErrNotFound) {
		return r, 0, web.Refuse(web.CodeNotFound, err)
	}
	if err != nil {
		return r, 0, err
	}
	return r, e.Revision, e.Decode(&r)
}

// save writes the record over the revision it was read at, with its event.
func (d *Desk) save(ctx context.Context, r record, rev uint64, t store.Txn, events ...audit.Event) error {
	put, err := store.JSON(transferKey+r.ID, r)
	if err != nil {
		return err
	}
	t.If = append(t.If, store.If{Key: put.Key, Revision: rev})
	t.Put = append(t.Put, put)
	err = d.o.Journal.Commit(ctx, t, events...)
	if errors.Is(err, store.ErrConflict) {
		return web.Refuse(web.CodeState, err)
	}
	return err
}

// reason keeps a person's words and answers the name under which a step refers to them. Words of a step that never came to
// be, because another was quicker, are referred to by none.
func (d *Desk) reason(id, text string) (string, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	s, err := d.sheets.read(id)
	if err != nil {
		return "", err
	}
	if s.Reasons == nil {
		s.Reasons = map[string]string{}
	}
	name := rand.Text()
	s.Reasons[name] = text
	return name, d.sheets.write(id, s)
}

func (d *Desk) event(r record, zone anchors.Zone, actor, action string, detail map[string]string) audit.Event {
	z := ""
	if zone != anchors.None {
		z = zone.String()
	}
	return audit.New(d.o.Now(), z, actor, action, r.ID, detail)
}

// shown is a transfer as the pages show it.
func (d *Desk) shown(ctx context.Context, r record, s sheet) web.Transfer {
	t := web.Transfer{ID: r.ID, From: r.From, To: r.To, Name: s.Name, Note: s.Note, Size: r.Size, State: r.State, Created: r.Created,
		Expires: r.Expires, Requester: d.person(ctx, r.Requester)}
	for _, h := range r.History {
		w := web.Happening{State: h.State, Time: h.Time, Reason: s.Reasons[h.Words]}
		if h.Person != "" {
			p := d.person(ctx, h.Person)
			w.Person = &p
		}
		t.History = append(t.History, w)
	}
	if r.State != web.Received && r.State != stateDraft {
		t.Report = s.Report
	}
	return t
}

// person answers at least the id of somebody who has left.
func (d *Desk) person(ctx context.Context, id string) web.Person {
	p, err := d.o.People.Lookup(ctx, id)
	if err != nil {
		return web.Person{ID: id, Name: id}
	}
	return d.o.People.Shown(ctx, p)
}

func (r *record) advance(s web.State, now time.Time, person string) {
	r.State = s
	r.History = append(r.History, step{State: s, Time: now.UTC().Truncate(time.Millisecond), Person: person})
}

func (r *record) approvedBy(person string) bool {
	return slices.ContainsFunc(r.History, func(h step) bool {
		return h.Person == person && (h.State == web.Released || h.State == web.Awaiting)
	})
}

func (r *record) decidedBy(person string) bool {
	return r.approvedBy(person) || slices.ContainsFunc(r.History, func(h step) bool { return h.Person == person && h.State == web.Rejected })
}

// newID sorts by time: 20261121-210644-k3x9q2m7a1b4.
func newID(now time.Time) string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32
	b := make([]byte, 12)
	rand.Read(b)
	for i, c := range b {
		b[i] = alphabet[c%32]
	}
	return now.UTC().Format("20060102-150405") + "-" + string(b)
}

// publicKey reads a base64 line.
func publicKey(path string) (ed25519.PublicKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a public key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("read the public key %s: want one base64 line of %d bytes", path, ed25519.PublicKeySize)
	}
	return key, nil
}

// ofRelease turns release's words into those that a person can act on.
func ofRelease(err error) error {
	refusal := new(release.Refusal)
	if !errors.As(err, &refusal) {
		return web.Refuse(web.CodeUnavailable, err)
	}
	switch refusal.Code {
	case release.CodeForbiddenPair, release.CodeNoRoute:
		return web.Refuse(web.CodeRoute, err)
	case release.CodeTooLarge:
		return web.Refuse(web.CodeTooLarge, err)
	}
	return err
}

// counter counts what passes and remembers whether reading failed.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
