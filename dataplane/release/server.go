package release

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Headers beyond HTTP's own. Values are base64 of JSON.
const (
	HeaderAttestation = "X-Sekisho-Attestation" // verdict.Signed, on PUT /sanitized
	HeaderOriginal    = "X-Sekisho-Original"    // Original, on GET /originals
	HeaderSHA256      = "X-Sekisho-Sha256"      // hexadecimal, on every answer with bytes
)

// Original is what release knows of a received file; the broker trusts this and not what control says.
type Original struct {
	Transfer  string       `json:"transfer"`
	Name      string       `json:"name"`
	From      anchors.Zone `json:"from"`
	To        anchors.Zone `json:"to"`
	Requester string       `json:"requester"`
	Formats   []string     `json:"formats"`  // from the route
	MaxSize   int64        `json:"max_size"` // from the route
	// Policy is the route's, too: control has no say in what is removed and what passes.
	Policy verdict.Policy `json:"policy,omitzero"`
	verdict.Digest
}

// State is what control may know of a transfer.
type State struct {
	Transfer    string           `json:"transfer"`
	From        anchors.Zone     `json:"from,omitzero"` // zero when a damaged transfer was erased
	To          anchors.Zone     `json:"to,omitzero"`
	State       string           `json:"state"` // received, sanitized, releasable, refused, expired, erased
	Code        string           `json:"code,omitempty"`
	Created     time.Time        `json:"created"`
	Expires     *time.Time       `json:"expires,omitempty"`
	Original    *verdict.Digest  `json:"original,omitempty"`
	Sanitized   *verdict.Digest  `json:"sanitized,omitempty"`
	Attestation *verdict.Signed  `json:"attestation,omitempty"`
	Approvals   []verdict.Signed `json:"approvals,omitempty"`
	Missing     []string         `json:"missing,omitempty"` // roles whose approval is missing
}

// Statement is what release itself knows of a file that somebody is asked to approve. An approver's portal shows this, and not
// what control says: name, size and hash are the verifier's, requester and section those that release holds the approval to.
type Statement struct {
	Transfer        string       `json:"transfer"`
	Name            string       `json:"name"` // to be released under
	Size            int64        `json:"size"` // bytes, rebuilt
	SanitizedSHA256 string       `json:"sanitized_sha256"`
	From            anchors.Zone `json:"from"`
	To              anchors.Zone `json:"to"`
	Requester       string       `json:"requester"`
	Section         string       `json:"section,omitempty"` // of the requester
}

// ApprovalRequest is what an approver's portal sends.
type ApprovalRequest struct {
	Transfer        string `json:"transfer"`
	SanitizedSHA256 string `json:"sanitized_sha256"` // the bytes that the approver has seen
	Person          string `json:"person"`
	Passphrase      string `json:"passphrase"`
	Reason          string `json:"reason"`
}

// Server answers the daemons.
type Server struct {
	vault    *vault
	paths    Paths
	key      ed25519.PrivateKey
	throttle throttle
	hashing  chan struct{} // one passphrase at a time: hashing is dear, and the box has other work
	now      func() time.Time
	log      *slog.Logger
}

// Options of a Server. Now and Log may be nil.
type Options struct {
	State string // directory, mode 0700, of the release user
	Paths Paths
	Now   func() time.Time
	Log   *slog.Logger
}

// New opens the vault and the signing key; both are made when they are not there.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	v, err := openVault(o.State, o.Now(), o.Log)
	if err != nil {
		return nil, err
	}
	key, err := signingKey(filepath.Join(o.State, keyFile))
	if err != nil {
		return nil, err
	}
	return &Server{vault: v, paths: o.Paths, key: key, hashing: make(chan struct{}, 1), now: o.Now, log: o.Log}, nil
}

// PublicKey is the key that approvals are signed with.
func (s *Server) PublicKey() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// Handler is served on place.ReleaseSocket with socket.Server.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, may func(role) bool, h func(http.ResponseWriter, *http.Request, role) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			who := roleOf(r)
			if !may(who) {
				s.answerError(w, r, refuse(http.StatusForbidden, CodeRole, "%s is not for %s", r.Pattern, who))
				return
			}
			if err := h(w, r, who); err != nil {
				s.answerError(w, r, err)
			}
		})
	}
	control := func(who role) bool { return who.control }
	broker := func(who role) bool { return who.broker }
	portal := func(who role) bool { return who.portal != anchors.None }
	looks := func(who role) bool { return portal(who) || broker(who) }
	handle("POST /originals/{t}", control, s.storeOriginal)
	handle("GET /originals/{t}", broker, s.readOriginal)
	handle("GET /originals/{t}/about", broker, s.aboutOriginal)
	handle("PUT /sanitized/{t}", broker, s.storeSanitized)
	handle("GET /sanitized/{t}", looks, s.inspect)
	handle("PUT /shown/{t}/{what}", broker, s.storeShown)
	handle("GET /shown/{t}/{what}", looks, s.shown)
	handle("GET /transfers/{t}/statement", portal, s.statement)
	handle("POST /approvals", portal, s.approve)
	handle("GET /released/{t}", portal, s.release)
	handle("GET /transfers/{t}", control, s.state)
	handle("DELETE /transfers/{t}", control, s.erase)
	return mux
}

// role is what a caller may be; the kernel says which user calls.
type role struct {
	control, broker bool
	portal          anchors.Zone
}

func roleOf(r *http.Request) role {
	peer, ok := socket.PeerOf(r)
	switch {
	case !ok:
		return role{}
	case peer.Is(place.ControlUser):
		return role{control: true}
	case peer.Is(place.BrokerUser):
		return role{broker: true}
	}
	for _, z := range place.PortalZones {
		if peer.Is(place.PortalUser(z)) {
			return role{portal: z}
		}
	}
	return role{}
}

func (r role) String() string {
	switch {
	case r.control:
		return "control"
	case r.broker:
		return "the broker"
	case r.portal != anchors.None:
		return "the portal of " + r.portal.String()
	}
	return "this user"
}

func (s *Server) storeOriginal(w http.ResponseWriter, r *http.Request, _ role) error {
	id, q := r.PathValue("t"), r.URL.Query()
	if !transferID.MatchString(id) {
		return refuse(http.StatusBadRequest, CodeRequest, "transfer number: want letters, digits, - and _, at most 64")
	}
	from, err1 := anchors.ParseZone(q.Get("from"))
	to, err2 := anchors.ParseZone(q.Get("to"))
	if err := errors.Join(err1, err2); err != nil {
		return refuse(http.StatusBadRequest, CodeRequest, "store %s: %v", id, err)
	}
	d := details{Name: q.Get("name"), Requester: q.Get("requester"), Section: q.Get("section")}
	if d.Name == "" || d.Requester == "" || len(d.Name) > 1024 || len(d.Requester) > 256 || len(d.Section) > 256 {
		return refuse(http.StatusBadRequest, CodeRequest, "store %s: name and requester are needed, and not longer than 1024 and 256 bytes", id)
	}
	routes, err := LoadRoutes(s.paths.Routes)
	if err != nil {
		return err
	}
	route, err := routes.find(from, to)
	if err != nil {
		return err
	}
	if slices.Contains(route.Approvals, RoleSectionHead) && strings.TrimSpace(d.Section) == "" {
		return refuse(http.StatusForbidden, CodeSection, "store %s: %s -> %s wants the head of the requester's section, and no section is named", id, from, to)
	}
	if r.ContentLength > route.MaxSize {
		return refuse(http.StatusRequestEntityTooLarge, CodeTooLarge, "store %s: %d bytes, the route admits %d", id, r.ContentLength, route.MaxSize)
	}
	rec, err := s.vault.create(r.Context(), record{Transfer: id, From: from, To: to, Created: s.now().UTC()}, d, r.Body, route.MaxSize)
	if err != nil {
		return err
	}
	s.log.Info("received", "transfer", id, "from", from, "to", to, "size", rec.Original.Size)
	return answer(w, http.StatusCreated, verdict.Digest{SHA256: rec.Original.SHA256, Size: rec.Original.Size})
}

func (s *Server) readOriginal(w http.ResponseWriter, r *http.Request, _ role) error {
	rec, d, route, err := s.find(r.PathValue("t"))
	if err != nil {
		return err
	}
	body, b, err := s.vault.open(rec, roleOriginal)
	if err != nil {
		return err
	}
	defer body.Close()
	about, err := json.Marshal(stored(rec, d, route, b))
	if err != nil {
		return err
	}
	w.Header().Set(HeaderOriginal, base64.StdEncoding.EncodeToString(about))
	return s.send(w, r, body, b)
}

// aboutOriginal is for an order that has to wait for its turn: whose file it is decides when that is.
func (s *Server) aboutOriginal(w http.ResponseWriter, r *http.Request, _ role) error {
	rec, d, route, err := s.find(r.PathValue("t"))
	if err != nil {
		return err
	}
	if rec.Original == nil {
		return unknown(rec.Transfer)
	}
	return answer(w, http.StatusOK, stored(rec, d, route, *rec.Original))
}

func stored(rec record, d details, route Route, b blob) Original {
	return Original{Transfer: rec.Transfer, Name: d.Name, From: rec.From, To: rec.To, Requester: d.Requester,
		Formats: route.Formats, MaxSize: route.MaxSize, Policy: route.Sanitize, Digest: verdict.Digest{SHA256: b.SHA256, Size: b.Size}}
}

// find gives a live transfer with its details and route.
func (s *Server) find(id string) (record, details, Route, error) {
	rec, err := s.vault.get(id)
	if err != nil {
		return record{}, details{}, Route{}, err
	}
	routes, err := LoadRoutes(s.paths.Routes)
	if err != nil {
		return record{}, details{}, Route{}, err
	}
	route, err := settings{routes: routes}.alive(rec, s.now())
	if err != nil {
		return record{}, details{}, Route{}, err
	}
	d, err := s.vault.details(rec)
	return rec, d, route, err
}

func (s *Server) storeSanitized(w http.ResponseWriter, r *http.Request, _ role) error {
	id := r.PathValue("t")
	var signed verdict.Signed
	line, err := base64.StdEncoding.DecodeString(r.Header.Get(HeaderAttestation))
	if err != nil || json.Unmarshal(line, &signed) != nil {
		return refuse(http.StatusBadRequest, CodeRequest, "store the rebuilt %s: header %s: want base64 of a signed statement", id, HeaderAttestation)
	}
	set, err := s.paths.load()
	if err != nil {
		return err
	}
	rec, _, route, err := s.find(id)
	if err != nil {
		return err
	}
	b, err := s.vault.stage(r.Context(), id, roleSanitized, r.Body, route.MaxSize)
	if err != nil {
		return err
	}
	staged := b
	rec, _, err = s.vault.update(id, func(rec *record, d *details) error {
		if _, err := set.alive(*rec, s.now()); err != nil {
			return err
		}
		if _, err := set.attested(*rec, &signed, b, route); err != nil {
			return err
		}
		if len(d.Approvals) > 0 && rec.Sanitized != nil {
			_, err := set.attested(*rec, d.Attestation, *rec.Sanitized, route)
			switch {
			case err != nil: // what was approved was checked under other rules: void, like its approvals
				d.Approvals = nil
			case rec.Sanitized.SHA256 == b.SHA256:
				return errSame
			default:
				return refuse(http.StatusConflict, CodeFixed, "%s: the approved bytes can't be replaced", id)
			}
		}
		if err := s.vault.adopt(id, roleSanitized, &b); err != nil {
			return err
		}
		rec.Sanitized, rec.Shown, d.Attestation = &b, nil, &signed
		return nil
	})
	if errors.Is(err, errSame) {
		if err := s.vault.drop(staged); err != nil {
			return err
		}
		return answer(w, http.StatusOK, verdict.Digest{SHA256: b.SHA256, Size: b.Size})
	}
	if err != nil {
		return errors.Join(err, s.vault.drop(staged))
	}
	s.log.Info("sanitized", "transfer", id, "sha256", rec.Sanitized.SHA256, "size", rec.Sanitized.Size)
	return answer(w, http.StatusCreated, verdict.Digest{SHA256: rec.Sanitized.SHA256, Size: rec.Sanitized.Size})
}

var errSame = errors.New("the same bytes are stored and approved already")

// inspect shows the rebuilt bytes to the approver, in the zone that they come from: nothing has crossed yet.
func (s *Server) inspect(w http.ResponseWriter, r *http.Request, who role) error {
	rec, _, att, err := s.forApprover(r.PathValue("t"), who)
	if err != nil {
		return err
	}
	return s.sendSanitized(w, r, rec, att)
}

// statement tells the approver what the bytes are and who asks.
func (s *Server) statement(w http.ResponseWriter, r *http.Request, who role) error {
	rec, d, att, err := s.forApprover(r.PathValue("t"), who)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, Statement{Transfer: rec.Transfer, Name: att.Name, Size: att.Size, SanitizedSHA256: att.SanitizedSHA256,
		From: rec.From, To: rec.To, Requester: d.Requester, Section: d.Section})
}

// forApprover gives a transfer that the verifier passed, to the portal of the zone that it comes from, and to the broker, which has
// pages drawn for it.
func (s *Server) forApprover(id string, who role) (record, details, verdict.Attestation, error) {
	fail := func(err error) (record, details, verdict.Attestation, error) {
		return record{}, details{}, verdict.Attestation{}, err
	}
	set, err := s.paths.load()
	if err != nil {
		return fail(err)
	}
	rec, d, route, err := s.find(id)
	if err != nil {
		return fail(err)
	}
	if !who.broker && who.portal != rec.From {
		return fail(refuse(http.StatusForbidden, CodeZone, "%s is looked at in %s, not in %s", rec.Transfer, rec.From, who.portal))
	}
	if err := set.connected(rec); err != nil {
		return fail(err)
	}
	if rec.Sanitized == nil {
		return fail(refuse(http.StatusConflict, CodeNotSanitized, "%s: not sanitized", rec.Transfer))
	}
	att, err := set.attested(rec, d.Attestation, *rec.Sanitized, route)
	return rec, d, att, err
}

func (s *Server) approve(w http.ResponseWriter, r *http.Request, who role) error {
	var q ApprovalRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return refuse(http.StatusBadRequest, CodeRequest, "approve: %v", err)
	}
	if q.Person == "" || len(q.Person) > 256 || len(q.Reason) > 4096 {
		return refuse(http.StatusBadRequest, CodeRequest, "approve: person is needed; a reason has at most 4096 bytes")
	}
	set, err := s.paths.load()
	if err != nil {
		return err
	}
	rec, d, _, err := s.find(q.Transfer)
	if err != nil {
		return err
	}
	if who.portal != rec.From {
		return refuse(http.StatusForbidden, CodeZone, "%s is approved in %s, not in %s", rec.Transfer, rec.From, who.portal)
	}
	if err := set.connected(rec); err != nil {
		return err
	}
	approver, ok := set.approvers.find(q.Person, rec.From)
	if err := s.checkPassphrase(r.Context(), rec.From, approver, ok, q.Passphrase); err != nil {
		return err
	}
	switch {
	case q.Person == d.Requester:
		return refuse(http.StatusForbidden, CodeOwnRequest, "%s: nobody approves their own request", rec.Transfer)
	case approver.Role == RoleSectionHead && approver.Section != d.Section:
		return refuse(http.StatusForbidden, CodeNotSectionMember, "%s: %s heads another section", rec.Transfer, q.Person)
	}
	var signed verdict.Signed
	_, _, err = s.vault.update(q.Transfer, func(rec *record, d *details) error {
		route, err := set.alive(*rec, s.now())
		if err != nil {
			return err
		}
		if rec.Sanitized == nil {
			return refuse(http.StatusConflict, CodeNotSanitized, "%s: not sanitized", rec.Transfer)
		}
		att, err := set.attested(*rec, d.Attestation, *rec.Sanitized, route)
		if err != nil {
			return err
		}
		if q.SanitizedSHA256 != att.SanitizedSHA256 {
			return refuse(http.StatusConflict, CodeHashMismatch, "%s: the approval names other bytes than the stored ones", rec.Transfer)
		}
		for _, old := range d.Approvals { // asked twice: the first answer stands
			var a verdict.Approval
			if old.Open(s.PublicKey(), verdict.KindApproval, &a) == nil && a.Person == q.Person && a.Role == approver.Role && approves(a, *rec, att) {
				signed = old
				return nil
			}
		}
		signed, err = verdict.Sign(s.key, verdict.KindApproval, verdict.Approval{Transfer: rec.Transfer, SanitizedSHA256: att.SanitizedSHA256,
			From: rec.From.String(), To: rec.To.String(), PolicyRevision: att.PolicyRevision, Person: q.Person, Section: approver.Section,
			Role: approver.Role, Reason: q.Reason, Time: s.now().UTC()})
		d.Approvals = append(d.Approvals, signed)
		return err
	})
	if err != nil {
		return err
	}
	s.log.Info("approved", "transfer", q.Transfer, "person", q.Person, "sha256", q.SanitizedSHA256)
	return answer(w, http.StatusOK, signed)
}

func (s *Server) checkPassphrase(ctx context.Context, zone anchors.Zone, a Approver, known bool, passphrase string) error {
	at := door{zone: zone}
	if known {
		at.person = a.Person
	}
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if r := s.throttle.begin(at, s.now()); r != nil {
		return r
	}
	if !passphraseFits(a, known, passphrase) {
		return refuse(http.StatusForbidden, CodePassphrase, "wrong passphrase, or nobody of that name may approve here")
	}
	s.throttle.passed(at)
	return nil
}

func (s *Server) release(w http.ResponseWriter, r *http.Request, who role) error {
	set, err := s.paths.load()
	if err != nil {
		return err
	}
	rec, d, _, err := s.find(r.PathValue("t"))
	if err != nil {
		return err
	}
	if who.portal != rec.To {
		return refuse(http.StatusForbidden, CodeZone, "%s is released in %s, not in %s", rec.Transfer, rec.To, who.portal)
	}
	att, err := set.releasable(rec, d, s.PublicKey(), s.now())
	if err != nil {
		return err
	}
	s.log.Info("released", "transfer", rec.Transfer, "to", rec.To, "sha256", att.SanitizedSHA256)
	return s.sendSanitized(w, r, rec, att)
}

func (s *Server) sendSanitized(w http.ResponseWriter, r *http.Request, rec record, att verdict.Attestation) error {
	body, b, err := s.vault.open(rec, roleSanitized)
	if err != nil {
		return err
	}
	defer body.Close()
	w.Header().Set("Content-Disposition", attachment(att.Name))
	return s.send(w, r, body, b)
}

func (s *Server) state(w http.ResponseWriter, r *http.Request, _ role) error {
	rec, err := s.vault.get(r.PathValue("t"))
	if err != nil {
		return err
	}
	st := State{Transfer: rec.Transfer, From: rec.From, To: rec.To, Created: rec.Created, State: "received"}
	if rec.Erased != nil {
		st.State = "erased"
		return answer(w, http.StatusOK, st)
	}
	d, err := s.vault.details(rec)
	if err != nil {
		return err
	}
	st.Attestation, st.Approvals = d.Attestation, d.Approvals
	if rec.Original != nil {
		st.Original = &verdict.Digest{SHA256: rec.Original.SHA256, Size: rec.Original.Size}
	}
	if rec.Sanitized != nil {
		st.Sanitized, st.State = &verdict.Digest{SHA256: rec.Sanitized.SHA256, Size: rec.Sanitized.Size}, "sanitized"
	}
	set, err := s.paths.load()
	if err != nil {
		return err
	}
	route, err := set.alive(rec, s.now())
	if r := (*Refusal)(nil); errors.As(err, &r) {
		st.Code, st.State = r.Code, "refused"
		if r.Code == CodeExpired {
			st.State = "expired"
		}
		return answer(w, http.StatusOK, st)
	}
	expires := route.expires(rec.Created)
	st.Expires = &expires
	if rec.Sanitized != nil {
		att, err := set.attested(rec, d.Attestation, *rec.Sanitized, route)
		if r := (*Refusal)(nil); errors.As(err, &r) {
			st.Code, st.State = r.Code, "refused"
			return answer(w, http.StatusOK, st)
		}
		if st.Missing = missing(route, rec, d, att, s.PublicKey()); len(st.Missing) == 0 {
			st.State = "releasable"
		}
		if err := set.connected(rec); err != nil { // it waits
			st.Code, st.State = CodeIsolated, "sanitized"
		}
	}
	return answer(w, http.StatusOK, st)
}

func (s *Server) erase(w http.ResponseWriter, r *http.Request, _ role) error {
	id := r.PathValue("t")
	known, err := strconv.Atoi(r.URL.Query().Get("approvals"))
	if err != nil {
		return refuse(http.StatusBadRequest, CodeRequest, "approvals: %v", err)
	}
	if err := s.vault.erase(id, known, s.now()); err != nil {
		return err
	}
	s.log.Info("erased", "transfer", id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Retention, in days, for a transfer whose route is no longer there or whose record can't be read. No route keeps longer.
const orphanDays = 366

// Tend erases what has expired and rotates the period key when it is older than every, or when a rotation is not finished. The
// daemon calls it each minute. One transfer that can't be erased stops neither the others nor the rotation.
func (s *Server) Tend(ctx context.Context, every time.Duration) error {
	errs := []error{s.expire(ctx)}
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	switch now := s.now(); {
	case now.Sub(s.vault.ring.since()) >= every:
		err = s.vault.rotate(now)
	case s.vault.ring.rotating():
		err = s.vault.rewrap()
	default:
		return errors.Join(errs...)
	}
	if err == nil {
		s.log.Info("period key rotated")
	}
	return errors.Join(append(errs, err)...)
}

func (s *Server) expire(ctx context.Context) error {
	routes, err := LoadRoutes(s.paths.Routes)
	if err != nil {
		return err
	}
	ids, err := s.vault.ids()
	if err != nil {
		return fmt.Errorf("look for expired files: %w", err)
	}
	var errs []error
	now := s.now()
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		due, err := s.due(id, routes)
		if err == nil && !due.IsZero() && !now.Before(due) {
			if err = s.vault.erase(id, -1, now); err == nil {
				s.log.Info("expired and erased", "transfer", id)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("erase the expired %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// due is when a transfer is to be erased; zero for one that is.
func (s *Server) due(id string, routes Routes) (time.Time, error) {
	rec, err := s.vault.get(id)
	if err != nil {
		written, err := s.vault.written(id)
		return Route{KeepDays: orphanDays}.expires(written), err
	}
	if rec.Erased != nil {
		return time.Time{}, nil
	}
	route, err := routes.find(rec.From, rec.To)
	if err != nil {
		route = Route{KeepDays: orphanDays}
	}
	return route.expires(rec.Created), nil
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, body io.Reader, b blob) error {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(b.Size, 10))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set(HeaderSHA256, b.SHA256)
	if _, err := io.Copy(w, contextReader{r.Context(), body}); err != nil {
		s.log.Warn("sending stopped", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler) // the header is out: break the connection rather than end it as if it were whole
	}
	return nil
}

// attachment is a Content-Disposition (RFC 6266, RFC 8187) for a name of which nothing is assumed.
func attachment(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '/' || r == '\\' || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar:
			return '_'
		}
		return r
	}, filepath.Base(strings.ReplaceAll(name, "\\", "/")))
	if name == "." || name == ".." || name == "" {
		name = "_"
	}
	if v := mime.FormatMediaType("attachment", map[string]string{"filename": name}); v != "" {
		return v
	}
	return "attachment"
}

func answer(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(append(b, '\n'))
	return err
}

func (s *Server) answerError(w http.ResponseWriter, r *http.Request, err error) {
	no := &Refusal{Code: CodeError, Status: http.StatusInternalServerError, Text: "release could not do that; see its log"}
	if known := (*Refusal)(nil); errors.As(err, &known) {
		no = known
	}
	s.log.Warn("refused", "method", r.Method, "path", r.URL.Path, "code", no.Code, "error", err)
	if no.Wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(no.Wait))
	}
	body := map[string]string{"error": no.Text, "code": no.Code}
	if err := answer(w, no.Status, body); err != nil {
		s.log.Warn("answer not sent", "path", r.URL.Path, "error", err)
	}
}
