package web_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet/stones"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// hall is a town hall in memory: it stands for the services behind the pages and for the release daemon. The rebuilding is real.
type hall struct {
	mu        sync.Mutex
	people    map[string]*worker
	sessions  map[string]string // token -> zone + " " + person
	transfers []*parcel
	samples   []web.Sample
	status    web.Status
	events    []web.Event
	audit     web.AuditState
	pace      time.Duration // between two states of a new transfer
	fail      error         // what every service answers, when set
	routes    []web.Route
	decided   []string // receipts that were taken
	town      web.Name // when it is not the usual one
	cuts      []web.Cut
	acts      []string // of administrators
	book      *revision.Book
	store     store.Store // of the book
	differ    web.Differ
	usage     policy.Usage
	stones    func() ([]stones.Stone, error)
	evidence  web.Evidence
	faults    web.Faults
	early     func() // done once, while a request is under way
}

type worker struct {
	web.Person
	password, passphrase string
}

type parcel struct {
	web.Transfer
	out []byte // sanitized
}

const firstPassword = "kari-no-password"

func newHall() *hall {
	office := []anchors.Zone{anchors.LGWAN, anchors.Internet, anchors.MyNumber}
	h := &hall{people: map[string]*worker{}, sessions: map[string]string{}, pace: 150 * time.Millisecond,
		routes: []web.Route{{Approvals: []web.Role{web.SectionHead}, Formats: []string{"txt", "csv", "png", "jpeg", "docx", "xlsx", "pptx"}, MaxSize: 2 << 20, KeepDays: 7}}}
	for _, p := range []worker{
		{web.Person{ID: "sato", Name: "佐藤 花子", Section: "税務課", Role: web.Staff, Zones: office}, "sato-no-password", ""},
		{web.Person{ID: "tanaka", Name: "田中 一郎", Section: "税務課", Role: web.SectionHead, Zones: office}, "tanaka-no-password", "shinsei no aikotoba"},
		{web.Person{ID: "new", Name: "新人 太郎", Section: "税務課", Role: web.Staff, Zones: office, MustChange: true}, firstPassword, ""},
		{web.Person{ID: "joho", Name: "情報 次郎", Section: "総務課", Role: web.ITAdmin, Zones: []anchors.Zone{anchors.Management}}, "joho-no-password", ""},
		{web.Person{ID: "kawa", Name: "川 四郎", Section: "総務課", Role: web.ITAdmin, Zones: []anchors.Zone{anchors.Management}}, "kawa-no-password", ""},
		{web.Person{ID: "kansa", Name: "監査 三郎", Section: "監査委員事務局", Role: web.Auditor, Zones: []anchors.Zone{anchors.Management}}, "kansa-no-password", ""},
	} {
		h.people[p.ID] = &p
	}
	return h
}

func (h *hall) townName() web.Name {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.town == (web.Name{}) {
		return web.Name{JA: "海山町", EN: "Umiyama"}
	}
	return h.town
}

func (h *hall) services(zone anchors.Zone) web.Services {
	s := web.Services{People: h, Transfers: h}
	if zone == anchors.Management {
		s.Monitor, s.Audit, s.Emergency = h, ledger{h}, alarm{h}
		s.Stones, s.Evidence = h.stones, h.evidence
		s.Faults = h.faults
		s.Differ, s.Usage = h.differ, func() policy.Usage { return h.usage }
		if h.book != nil {
			s.Book = h.book
		}
	}
	return s
}

func (h *hall) SignIn(_ context.Context, zone anchors.Zone, user, password string) (string, web.Person, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.people[user]
	if w == nil || w.password != password || !slices.Contains(w.Zones, zone) {
		return "", web.Person{}, web.Refuse(web.CodeSignIn, nil)
	}
	t := rand.Text()
	h.sessions[t] = zone.String() + " " + user
	return t, w.Person, nil
}

func (h *hall) Session(_ context.Context, zone anchors.Zone, token string) (web.Person, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if act := h.early; act != nil {
		h.early = nil
		act()
	}
	for id, w := range h.people {
		if h.sessions[token] == zone.String()+" "+id {
			return w.Person, nil
		}
	}
	return web.Person{}, web.Refuse(web.CodeSession, nil)
}

func (h *hall) SignOut(_ context.Context, _ anchors.Zone, token string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, token)
	return nil
}

func (h *hall) ChangePassword(ctx context.Context, zone anchors.Zone, token, old, new string) (string, error) {
	p, err := h.Session(ctx, zone, token)
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	w := h.people[p.ID]
	switch {
	case w.password != old:
		err = web.Refuse(web.CodePasswordOld, nil)
	case len(new) < 8 || new == old:
		err = web.Refuse(web.CodePasswordWeak, nil)
	default:
		w.password, w.MustChange = new, false
		delete(h.sessions, token)
	}
	h.mu.Unlock()
	if err != nil {
		return "", err
	}
	t, _, err := h.SignIn(ctx, zone, p.ID, new)
	return t, err
}

func (h *hall) Routes(_ context.Context, _ web.Person, from anchors.Zone) ([]web.Route, error) {
	if h.fail != nil {
		return nil, h.fail
	}
	var rs []web.Route
	to := map[anchors.Zone][]anchors.Zone{anchors.LGWAN: {anchors.Internet, anchors.MyNumber}, anchors.Internet: {anchors.LGWAN}, anchors.MyNumber: {anchors.LGWAN}}
	for _, z := range to[from] {
		for _, r := range h.routes {
			r.To = z
			rs = append(rs, r)
		}
	}
	return rs, nil
}

func (h *hall) Create(ctx context.Context, p web.Person, from, to anchors.Zone, name, note string, keys []string, r io.Reader) (web.Transfer, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return web.Transfer{}, err
	}
	now := time.Now()
	x := &parcel{Transfer: web.Transfer{ID: "t-" + hex.EncodeToString([]byte(rand.Text())[:8]), From: from, To: to, Name: name, Note: note, Size: int64(len(b)),
		State: web.Received, Requester: p, Created: now, History: []web.Happening{{State: web.Received, Time: now, Person: &p}}}}
	h.mu.Lock()
	h.transfers = append([]*parcel{x}, h.transfers...)
	t := x.Transfer
	h.mu.Unlock()
	go h.work(x, b, keys)
	return t, nil
}

// work does what broker and sandboxes do.
func (h *hall) work(x *parcel, b []byte, keys []string) {
	var out bytes.Buffer
	rep, _ := sanitize.Rebuild(context.Background(), x.Name, b, &out, sanitize.Options{Keys: keys})
	time.Sleep(h.pace)
	if rep.Outcome == verdict.Blocked {
		h.advance(x, web.Blocked, nil, "", func() { x.Report = &rep })
		return
	}
	h.advance(x, web.Sanitized, nil, "", func() { x.Report, x.out = &rep, out.Bytes() })
	time.Sleep(h.pace)
	h.advance(x, web.Verified, nil, "", nil)
	h.advance(x, web.Awaiting, nil, "", nil)
}

func (h *hall) advance(x *parcel, s web.State, p *web.Person, reason string, also func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.State = s
	x.History = append(slices.Clone(x.History), web.Happening{State: s, Time: time.Now(), Person: p, Reason: reason})
	if also != nil {
		also()
	}
}

func (h *hall) List(_ context.Context, p web.Person, zone anchors.Zone, box web.Box) ([]web.Transfer, error) {
	if h.fail != nil {
		return nil, h.fail
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var ts []web.Transfer
	for _, x := range h.transfers {
		own := x.Requester.ID == p.ID
		var in bool
		switch box {
		case web.Sent:
			in = own && x.From == zone
		case web.Receive:
			in = own && x.To == zone && x.State == web.Released
		case web.Approve:
			in = !own && x.From == zone && x.State == web.Awaiting
		case web.Decided:
			in = slices.ContainsFunc(x.History, func(e web.Happening) bool { return e.Person != nil && e.Person.ID == p.ID }) && !own
		}
		if in {
			ts = append(ts, x.Transfer)
		}
	}
	return ts, nil
}

func (h *hall) find(p web.Person, zone anchors.Zone, id string) (*parcel, error) {
	for _, x := range h.transfers {
		if x.ID == id && (x.Requester.ID == p.ID || p.Role == web.SectionHead && x.From == zone) {
			return x, nil
		}
	}
	return nil, web.Refuse(web.CodeNotFound, nil)
}

func (h *hall) Get(_ context.Context, p web.Person, zone anchors.Zone, id string) (web.Transfer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x, err := h.find(p, zone, id)
	if err != nil {
		return web.Transfer{}, err
	}
	return x.Transfer, nil
}

func (h *hall) Reject(_ context.Context, p web.Person, zone anchors.Zone, id, reason string) error {
	h.mu.Lock()
	x, err := h.find(p, zone, id)
	h.mu.Unlock()
	switch {
	case err != nil:
		return err
	case x.Requester.ID == p.ID:
		return web.Refuse(web.CodeOwn, nil)
	case x.State != web.Awaiting:
		return web.Refuse(web.CodeState, nil)
	}
	h.advance(x, web.Rejected, &p, reason, nil)
	return nil
}

func (h *hall) Cancel(_ context.Context, p web.Person, zone anchors.Zone, id string) error {
	h.mu.Lock()
	x, err := h.find(p, zone, id)
	h.mu.Unlock()
	switch {
	case err != nil:
		return err
	case x.State == web.Released:
		return web.Refuse(web.CodeApproved, nil)
	case x.State != web.Received && x.State != web.Awaiting:
		return web.Refuse(web.CodeState, nil)
	}
	h.advance(x, web.Cancelled, &p, "", nil)
	return nil
}

func (h *hall) Receipt(_ context.Context, p web.Person, zone anchors.Zone, id string, s verdict.Signed) error {
	h.mu.Lock()
	x, err := h.find(p, zone, id)
	h.mu.Unlock()
	if err != nil {
		return err
	}
	if s.Kind != "approval" {
		return errors.New("no approval")
	}
	h.advance(x, web.Released, &p, string(s.Statement[1:len(s.Statement)-1]), func() {
		x.Expires = time.Now().AddDate(0, 0, 7)
		h.decided = append(h.decided, id)
	})
	return nil
}

func (h *hall) MayDownload(ctx context.Context, p web.Person, zone anchors.Zone, id string) (web.Transfer, error) {
	t, err := h.Get(ctx, p, zone, id)
	if err == nil && (t.Requester.ID != p.ID || zone != t.To) {
		err = web.Refuse(web.CodeNotFound, nil)
	}
	if err == nil && t.State != web.Released {
		err = web.Refuse(web.CodeState, nil)
	}
	return t, err
}

func (h *hall) MayInspect(ctx context.Context, p web.Person, zone anchors.Zone, id string) (web.Transfer, error) {
	t, err := h.Get(ctx, p, zone, id)
	if err == nil && t.Requester.ID == p.ID {
		err = web.Refuse(web.CodeOwn, nil)
	}
	return t, err
}

func (h *hall) Draw(ctx context.Context, p web.Person, zone anchors.Zone, id string) (<-chan struct{}, error) {
	done := make(chan struct{})
	close(done)
	_, err := h.MayInspect(ctx, p, zone, id)
	return done, err
}

func (h *hall) Status(context.Context) (web.Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status, h.fail
}

func (h *hall) Samples(context.Context, time.Time) ([]web.Sample, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.samples, h.fail
}

// ledger is the hall's audit log.
type ledger struct{ h *hall }

func (l ledger) Events(_ context.Context, _ web.Person, before int64, max int) ([]web.Event, error) {
	var es []web.Event
	for _, e := range slices.Backward(l.h.events) {
		if (before == 0 || e.Index < before) && len(es) < max {
			es = append(es, e)
		}
	}
	return es, nil
}

func (l ledger) State(context.Context) (web.AuditState, error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	return l.h.audit, nil
}

func (l ledger) Verify(context.Context, web.Person) (web.AuditState, error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	l.h.audit.Verified, l.h.audit.OK = time.Now(), l.h.audit.Problem == ""
	return l.h.audit, nil
}

// desk is the release daemon as one portal sees it.
type desk struct {
	*hall
	zone anchors.Zone
}

func (d desk) Statement(_ context.Context, id string) (release.Statement, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.transfers {
		if x.ID == id && x.From == d.zone && x.out != nil {
			sum := sha256.Sum256(x.out)
			return release.Statement{Transfer: id, Name: x.OutName(), Size: int64(len(x.out)), SanitizedSHA256: hex.EncodeToString(sum[:]),
				From: x.From, To: x.To, Requester: x.Requester.ID, Section: x.Requester.Section}, nil
		}
	}
	return release.Statement{}, &release.Refusal{Code: release.CodeUnknown, Status: 404, Text: "unknown"}
}

func (d desk) Report(_ context.Context, id string) (verdict.Report, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.transfers {
		if x.ID == id && x.From == d.zone && x.Report != nil {
			return *x.Report, nil
		}
	}
	return verdict.Report{}, &release.Refusal{Code: release.CodeNotShown, Status: 404, Text: "none"}
}

func (d desk) Pages(_ context.Context, id string) (verdict.Pages, error) {
	if _, err := d.Report(context.Background(), id); err != nil {
		return verdict.Pages{}, err
	}
	return verdict.Pages{Version: 1, Before: verdict.Drawing{Failed: "draw.kind"}, After: verdict.Drawing{Failed: "draw.kind"}}, nil
}

func (d desk) Approve(_ context.Context, a release.ApprovalRequest) (verdict.Signed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.people[a.Person]
	if w == nil || w.passphrase == "" || w.passphrase != a.Passphrase {
		return verdict.Signed{}, &release.Refusal{Code: release.CodePassphrase, Status: 403, Text: "wrong"}
	}
	for _, x := range d.transfers {
		if x.ID != a.Transfer {
			continue
		}
		sum := sha256.Sum256(x.out)
		if hex.EncodeToString(sum[:]) != a.SanitizedSHA256 {
			return verdict.Signed{}, &release.Refusal{Code: release.CodeHashMismatch, Status: 409, Text: "other bytes"}
		}
		return verdict.Signed{Kind: "approval", Statement: fmt.Appendf(nil, "%q", a.Reason)}, nil
	}
	return verdict.Signed{}, &release.Refusal{Code: release.CodeUnknown, Status: 404, Text: "unknown"}
}

func (d desk) Sanitized(_ context.Context, id string) (release.File, error) { return d.file(id, false) }
func (d desk) Released(_ context.Context, id string) (release.File, error)  { return d.file(id, true) }

func (d desk) file(id string, out bool) (release.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range d.transfers {
		if x.ID == id && (!out || slices.Contains(d.decided, id) && d.zone == x.To) {
			return release.File{Body: io.NopCloser(bytes.NewReader(x.out)), Size: int64(len(x.out)), Disposition: "attachment; filename*=UTF-8''" + escape(x.OutName())}, nil
		}
	}
	return release.File{}, &release.Refusal{Code: release.CodeApprovalMissing, Status: 403, Text: "no approval"}
}

func escape(name string) string {
	s := ""
	for _, b := range []byte(name) {
		s += fmt.Sprintf("%%%02X", b)
	}
	return s
}
