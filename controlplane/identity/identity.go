// Package identity knows the people: who they are, what they may be, and that it is really them.
//
// Problem: the same clerk sits in several zones, IT has nobody to spare, and a guessed password opens the town hall.
// Mechanism: one directory of sections and people, each with one role and the zones they may use; PBKDF2-HMAC-SHA-256
// passwords, one-time until first changed; guessing is slowed down for each person and for each zone; a session belongs to
// the zone whose socket it was opened on, idles out by a lease and ends for good at its absolute time. Life cycle: root adds
// people, they choose a password at first sign-in, a changed password ends all their sessions, and so does root by disabling them or changing their role. Invariant: no session without
// a right password in that zone, none for a zone the person may not use, and every change stands in the audit log before it
// is answered.
package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Section is a part of the town hall.
type Section struct {
	ID   string `json:"id" yaml:"id"`
	Name string `json:"name" yaml:"name"` // as people say it
}

// Person is an entry of the directory.
type Person struct {
	ID      string         `json:"id" yaml:"id"`
	Name    string         `json:"name" yaml:"name"`
	Section string         `json:"section" yaml:"section"` // id
	Role    web.Role       `json:"role" yaml:"role"`
	Zones   []anchors.Zone `json:"zones" yaml:"zones"`
}

// record is what the store holds.
type record struct {
	Person
	Hash     string    `json:"hash"`
	OneTime  bool      `json:"one_time"`
	Disabled bool      `json:"disabled,omitempty"` // no sign-in; the entry stays, since transfers and the log name it
	Era      uint64    `json:"era"`                // sessions of an earlier era are void
	Created  time.Time `json:"created"`
}

// ErrExists is answered when a person of that id is there already.
var ErrExists = errors.New("exists already")

// Limits of sessions.
type Limits struct {
	Idle     time.Duration // without a request
	Absolute time.Duration // since sign-in
}

// DefaultLimits fit a working day.
var DefaultLimits = Limits{Idle: 30 * time.Minute, Absolute: 10 * time.Hour}

// Directory is the people of one gate.
type Directory struct {
	store   store.Store
	journal *audit.Journal
	now     func() time.Time
	limits  Limits
	gate    *throttle
	busy    chan struct{} // bounds the password checks under way: each costs a core for some 0.2 s
}

// New gives the directory that the store holds.
func New(s store.Store, j *audit.Journal, now func() time.Time, l Limits) *Directory {
	return &Directory{store: s, journal: j, now: now, limits: l, gate: newThrottle(), busy: make(chan struct{}, 2)}
}

const (
	personKey  = "person/"
	sectionKey = "section/"
)

var idForm = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,31}$`)

// Check tells what is wrong with an entry.
func (p Person) Check() error {
	if !idForm.MatchString(p.ID) {
		return fmt.Errorf("person %q: want an id of small letters, digits, dots and hyphens, at most 32, a letter first", p.ID)
	}
	if p.Name == "" || len(p.Name) > 200 {
		return fmt.Errorf("person %s: want a name of at most 200 bytes", p.ID)
	}
	if !slices.Contains([]web.Role{web.Staff, web.SectionHead, web.ITAdmin, web.Auditor}, p.Role) {
		return fmt.Errorf("person %s: role %q: want staff, section-head, it-admin or auditor", p.ID, p.Role)
	}
	if len(p.Zones) == 0 {
		return fmt.Errorf("person %s: want at least one zone", p.ID)
	}
	for _, z := range p.Zones {
		office := z == anchors.MyNumber || z == anchors.LGWAN || z == anchors.Internet
		console := z == anchors.Management
		onConsole := p.Role == web.ITAdmin || p.Role == web.Auditor
		if onConsole && !console || !onConsole && !office {
			return fmt.Errorf("person %s: role %s in zone %s: staff and section heads work in my-number, lgwan and internet; it-admin and auditor in management", p.ID, p.Role, z)
		}
	}
	return nil
}

// AddSection adds or renames a section.
func (d *Directory) AddSection(ctx context.Context, actor string, s Section) error {
	if !idForm.MatchString(s.ID) || s.Name == "" || len(s.Name) > 200 {
		return fmt.Errorf("section %q: want an id of small letters, digits, dots and hyphens and a name", s.ID)
	}
	e, err := d.store.Get(ctx, sectionKey+s.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var old Section
	if e.Revision != 0 {
		if err := e.Decode(&old); err != nil {
			return err
		}
		if old == s {
			return nil
		}
	}
	put, err := store.JSON(sectionKey+s.ID, s)
	if err != nil {
		return err
	}
	return d.journal.Commit(ctx, store.Txn{If: []store.If{{Key: put.Key, Revision: e.Revision}}, Put: []store.Put{put}},
		audit.New(d.now(), "", actor, "section.set", s.ID, map[string]string{"name": s.Name}))
}

// Add takes a person in and answers a one-time password. It answers ErrExists for an id that is taken.
func (d *Directory) Add(ctx context.Context, actor string, p Person) (password string, err error) {
	if err := p.Check(); err != nil {
		return "", err
	}
	if _, err := d.section(ctx, p.Section); err != nil {
		return "", fmt.Errorf("person %s: section %q: %w", p.ID, p.Section, err)
	}
	password = oneTime()
	hash, err := hashPassword(password)
	if err != nil {
		return "", err
	}
	r := record{Person: p, Hash: hash, OneTime: true, Era: 1, Created: d.now().UTC()}
	err = d.save(ctx, r, 0, audit.New(d.now(), "", actor, "person.add", p.ID, map[string]string{
		"section": p.Section, "role": string(p.Role), "zones": zoneList(p.Zones),
	}))
	if errors.Is(err, store.ErrConflict) {
		return "", fmt.Errorf("person %s: %w", p.ID, ErrExists)
	}
	if err != nil {
		return "", err
	}
	return password, nil
}

// Reset gives a person a new one-time password and ends their sessions.
func (d *Directory) Reset(ctx context.Context, actor, id string) (password string, err error) {
	r, rev, err := d.load(ctx, id)
	if err != nil {
		return "", err
	}
	password = oneTime()
	if r.Hash, err = hashPassword(password); err != nil {
		return "", err
	}
	r.OneTime, r.Era = true, r.Era+1
	if err := d.save(ctx, r, rev, audit.New(d.now(), "", actor, "person.reset", id, nil)); err != nil {
		return "", err
	}
	return password, nil
}

// Disable ends a person's sessions and refuses every sign-in, until they are enabled again.
func (d *Directory) Disable(ctx context.Context, actor, id string) error {
	return d.admit(ctx, actor, id, "person.disable", true)
}

// Enable lets a person sign in again, with the password they had.
func (d *Directory) Enable(ctx context.Context, actor, id string) error {
	return d.admit(ctx, actor, id, "person.enable", false)
}

func (d *Directory) admit(ctx context.Context, actor, id, action string, disabled bool) error {
	r, rev, err := d.load(ctx, id)
	if err != nil || r.Disabled == disabled {
		return err
	}
	r.Disabled, r.Era = disabled, r.Era+1
	return d.save(ctx, r, rev, audit.New(d.now(), "", actor, action, id, nil))
}

// Change gives a person another section, role or zones, and ends their sessions. What p leaves empty stays as it is.
func (d *Directory) Change(ctx context.Context, actor string, p Person) error {
	r, rev, err := d.load(ctx, p.ID)
	if err != nil {
		return err
	}
	was := r.Person
	if p.Section != "" {
		r.Section = p.Section
	}
	if p.Role != "" {
		r.Role = p.Role
	}
	if len(p.Zones) > 0 {
		r.Zones = p.Zones
	}
	if err := r.Check(); err != nil {
		return err
	}
	if _, err := d.section(ctx, r.Section); err != nil {
		return fmt.Errorf("person %s: section %q: %w", p.ID, r.Section, err)
	}
	r.Era++
	return d.save(ctx, r, rev, audit.New(d.now(), "", actor, "person.change", p.ID, map[string]string{
		"section": r.Section, "role": string(r.Role), "zones": zoneList(r.Zones),
		"section_before": was.Section, "role_before": string(was.Role), "zones_before": zoneList(was.Zones),
	}))
}

// Lookup answers the entry of a person.
func (d *Directory) Lookup(ctx context.Context, id string) (Person, error) {
	r, _, err := d.load(ctx, id)
	return r.Person, err
}

// Everybody lists the directory by id.
func (d *Directory) Everybody(ctx context.Context) ([]Person, error) {
	from, to := store.Under(personKey)
	es, err := d.store.Range(ctx, from, to, 0, false)
	if err != nil {
		return nil, err
	}
	out := make([]Person, len(es))
	for i, e := range es {
		var r record
		if err := e.Decode(&r); err != nil {
			return nil, err
		}
		out[i] = r.Person
	}
	return out, nil
}

// Shown is a person as the pages show them.
func (d *Directory) Shown(ctx context.Context, p Person) web.Person {
	name := p.Section
	if s, err := d.section(ctx, p.Section); err == nil {
		name = s.Name
	}
	return web.Person{ID: p.ID, Name: p.Name, Section: name, Role: p.Role, Zones: p.Zones}
}

func (d *Directory) section(ctx context.Context, id string) (Section, error) {
	var s Section
	e, err := d.store.Get(ctx, sectionKey+id)
	if err != nil {
		return s, err
	}
	return s, e.Decode(&s)
}

func (d *Directory) load(ctx context.Context, id string) (record, uint64, error) {
	var r record
	e, err := d.store.Get(ctx, personKey+id)
	if err != nil {
		return r, 0, err
	}
	return r, e.Revision, e.Decode(&r)
}

func (d *Directory) save(ctx context.Context, r record, rev uint64, e audit.Event) error {
	put, err := store.JSON(personKey+r.ID, r)
	if err != nil {
		return err
	}
	return d.journal.Commit(ctx, store.Txn{If: []store.If{{Key: put.Key, Revision: rev}}, Put: []store.Put{put}}, e)
}

func zoneList(zs []anchors.Zone) string {
	var s []string
	for _, z := range zs {
		s = append(s, z.String())
	}
	return strings.Join(s, " ")
}

// oneTime makes a password of 60 random bits from letters and digits that nobody confuses.
func oneTime() string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32 of them
	b := make([]byte, 12)
	rand.Read(b)
	var s strings.Builder
	for i, c := range b {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(alphabet[c%32])
	}
	return s.String()
}
