package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// session is stored under the hash of its token, so that the file gives nobody a session.
type session struct {
	Person string       `json:"person"`
	Zone   anchors.Zone `json:"zone"`
	Era    uint64       `json:"era"`
	End    time.Time    `json:"end"` // absolute
	Lease  store.Lease  `json:"lease"`
}

const sessionKey = "session/"

func keyOf(token string) string {
	h := sha256.Sum256([]byte(token))
	return sessionKey + hex.EncodeToString(h[:])
}

// SignIn opens a session in the zone. Unknown name, wrong password and wrong zone are one answer.
func (d *Directory) SignIn(ctx context.Context, zone anchors.Zone, user, password string) (string, web.Person, error) {
	r, err := d.authenticate(ctx, zone, user, password)
	if err != nil {
		return "", web.Person{}, err
	}
	if !slices.Contains(r.Zones, zone) {
		return "", web.Person{}, d.refused(ctx, zone, user, "zone")
	}
	token, err := d.open(ctx, zone, r, audit.New(d.now(), zone.String(), r.ID, "session.sign-in", "", nil))
	if err != nil {
		return "", web.Person{}, err
	}
	p := d.Shown(ctx, r.Person)
	p.MustChange = r.OneTime
	return token, p, nil
}

// Prove checks that somebody is a person of the zone, for an act of that person elsewhere than in a session. It opens none.
func (d *Directory) Prove(ctx context.Context, zone anchors.Zone, user, password string) (Person, error) {
	r, err := d.authenticate(ctx, zone, user, password)
	if err != nil {
		return Person{}, err
	}
	if !slices.Contains(r.Zones, zone) {
		return Person{}, d.refused(ctx, zone, user, "zone")
	}
	if r.OneTime { // somebody else knows it
		return Person{}, d.refused(ctx, zone, user, "one-time")
	}
	return r.Person, d.journal.Note(ctx, audit.New(d.now(), zone.String(), r.ID, "session.prove", "", nil))
}

// Session answers whose session it is and keeps it from idling out.
func (d *Directory) Session(ctx context.Context, zone anchors.Zone, token string) (web.Person, error) {
	s, r, err := d.session(ctx, zone, token)
	if err != nil {
		return web.Person{}, err
	}
	if err := d.store.Renew(ctx, s.Lease); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return web.Person{}, web.Refuse(web.CodeSession, err)
		}
		return web.Person{}, err
	}
	p := d.Shown(ctx, r.Person)
	p.MustChange = r.OneTime
	return p, nil
}

// SignOut ends a session. One that has ended already is no error.
func (d *Directory) SignOut(ctx context.Context, zone anchors.Zone, token string) error {
	s, r, err := d.session(ctx, zone, token)
	var refusal *web.Refusal
	if errors.As(err, &refusal) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.journal.Commit(ctx, store.Txn{Delete: []string{keyOf(token)}}, audit.New(d.now(), zone.String(), r.ID, "session.sign-out", "", nil)); err != nil {
		return err
	}
	return d.store.Revoke(ctx, s.Lease)
}

// ChangePassword takes a new password, ends every session of the person and opens one anew.
func (d *Directory) ChangePassword(ctx context.Context, zone anchors.Zone, token, old, new string) (string, error) {
	s, r, err := d.session(ctx, zone, token)
	if err != nil {
		return "", err
	}
	if _, err := d.authenticate(ctx, zone, r.ID, old); err != nil {
		var refusal *web.Refusal
		if errors.As(err, &refusal) && refusal.Why == web.CodeSignIn {
			return "", web.Refuse(web.CodePasswordOld, err)
		}
		return "", err
	}
	if old == new || !strong(r.ID, new) {
		return "", web.Refuse(web.CodePasswordWeak, nil)
	}
	// Read again: the check above took time, and the save below demands that nothing changed since.
	r, rev, err := d.load(ctx, s.Person)
	if err != nil {
		return "", err
	}
	if r.Era != s.Era {
		return "", web.Refuse(web.CodeSession, nil)
	}
	if r.Hash, err = hashPassword(new); err != nil {
		return "", err
	}
	r.OneTime, r.Era = false, r.Era+1
	if err := d.save(ctx, r, rev, audit.New(d.now(), zone.String(), r.ID, "person.password", r.ID, nil)); err != nil {
		return "", err
	}
	return d.open(ctx, zone, r)
}

// authenticate checks a password under the throttle.
func (d *Directory) authenticate(ctx context.Context, zone anchors.Zone, user, password string) (record, error) {
	if len(user) > 64 {
		user = "" // nobody's; keeps the throttle and the log small
	}
	at := door{zone, user}
	if !d.gate.begin(at, d.now()) {
		return record{}, web.Refuse(web.CodeThrottled, nil)
	}
	select {
	case d.busy <- struct{}{}:
		defer func() { <-d.busy }()
	case <-ctx.Done():
		return record{}, fmt.Errorf("check a password: %w", ctx.Err())
	}
	r, _, err := d.load(ctx, user)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return record{}, err
	}
	hash := r.Hash
	if err != nil || hash == "" {
		hash = unknownHash
	}
	if !passwordFits(hash, password) || err != nil {
		return record{}, d.refused(ctx, zone, user, "password")
	}
	if r.Disabled { // told from a wrong password in the log only
		return record{}, d.refused(ctx, zone, user, "disabled")
	}
	d.gate.right(at, d.now())
	return r, nil
}

// refused records a failed sign-in. What was typed as a name is only recorded when it is one: people type passwords there.
func (d *Directory) refused(ctx context.Context, zone anchors.Zone, user, why string) error {
	if _, err := d.Lookup(ctx, user); err != nil {
		user, why = "", "unknown"
	}
	if err := d.journal.Note(ctx, audit.New(d.now(), zone.String(), user, "session.refused", "", map[string]string{"why": why})); err != nil {
		return err
	}
	return web.Refuse(web.CodeSignIn, nil)
}

// open makes a session of the person's present era.
func (d *Directory) open(ctx context.Context, zone anchors.Zone, r record, events ...audit.Event) (string, error) {
	b := make([]byte, 32)
	rand.Read(b)
	token := base64.RawURLEncoding.EncodeToString(b)
	lease, err := d.store.Grant(ctx, d.limits.Idle)
	if err != nil {
		return "", err
	}
	put, err := store.JSON(keyOf(token), session{Person: r.ID, Zone: zone, Era: r.Era, End: d.now().Add(d.limits.Absolute), Lease: lease})
	if err != nil {
		return "", err
	}
	put.Lease = lease
	if err := d.journal.Commit(ctx, store.Txn{Put: []store.Put{put}}, events...); err != nil {
		return "", err
	}
	return token, nil
}

// session answers CodeSession for whatever is not a live session of this zone.
func (d *Directory) session(ctx context.Context, zone anchors.Zone, token string) (session, record, error) {
	var s session
	e, err := d.store.Get(ctx, keyOf(token))
	if errors.Is(err, store.ErrNotFound) {
		return s, record{}, web.Refuse(web.CodeSession, nil)
	}
	if err != nil {
		return s, record{}, err
	}
	if err := e.Decode(&s); err != nil {
		return s, record{}, err
	}
	r, _, err := d.load(ctx, s.Person)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return s, record{}, err
	}
	if err != nil || r.Disabled || s.Zone != zone || s.Era != r.Era || !d.now().Before(s.End) || !slices.Contains(r.Zones, zone) {
		return s, record{}, web.Refuse(web.CodeSession, nil)
	}
	return s, r, nil
}
