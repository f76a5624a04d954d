package transfer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// The road with the real daemons is tested with sekisho-control. Here release and broker are puppets, because they have to
// lie, fail and let years pass.

type puppetRelease struct {
	mu     sync.Mutex
	files  map[string]string // transfer -> content
	fail   error             // of the next call
	blind  error             // of asking for a state
	erased []string
	state  release.State
	asked  []string
	sick   string                      // this transfer always fails
	given  map[string][]verdict.Signed // approvals, by transfer
	asking func(id string)             // runs behind the back of whoever asks for a state
}

var errSick = errors.New("the disk has a hole there")

func (p *puppetRelease) StoreOriginal(_ context.Context, o release.NewOriginal, body io.Reader) (verdict.Digest, error) {
	b, err := io.ReadAll(body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err = errors.Join(err, p.fail); err != nil {
		return verdict.Digest{}, err
	}
	p.files[o.Transfer] = string(b)
	return digest(string(b)), nil
}

func (p *puppetRelease) State(_ context.Context, id string) (release.State, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == p.sick {
		return release.State{}, errSick
	}
	p.asked = append(p.asked, id)
	st := p.state
	st.Approvals = append(st.Approvals, p.given[id]...)
	if p.asking != nil {
		p.asking(id)
	}
	return st, cmp.Or(p.blind, p.fail)
}

func (p *puppetRelease) Erase(_ context.Context, id string, known int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	if id == p.sick {
		return errSick
	}
	if _, ok := p.files[id]; !ok {
		return &release.Refusal{Code: release.CodeUnknown}
	}
	if known >= 0 && len(p.given[id]) > known {
		return &release.Refusal{Code: release.CodeApproved}
	}
	delete(p.files, id)
	p.erased = append(p.erased, id)
	return nil
}

type puppetBroker func(broker.Order) (broker.Outcome, error)

func (p puppetBroker) Run(_ context.Context, o broker.Order) (broker.Outcome, error) { return p(o) }
func (p puppetBroker) Draw(ctx context.Context, o broker.Order) error {
	if _, err := p(o); err != nil {
		return err
	}
	if ctx.Err() != nil { // what a browser that left must not do
		_, err := p(broker.Order{Transfer: "stopped"})
		return err
	}
	return nil
}

func (p puppetBroker) At(context.Context) (verdict.Work, error) {
	return verdict.Work{}, errors.New("connection refused")
}

func digest(s string) verdict.Digest {
	h := sha256.Sum256([]byte(s))
	return verdict.Digest{SHA256: hex.EncodeToString(h[:]), Size: int64(len(s))}
}

type office struct {
	*Desk
	t        *testing.T
	release  *puppetRelease
	broker   puppetBroker
	verifier ed25519.PrivateKey
	relKey   ed25519.PrivateKey
	log      *audit.Log
	dir      string
	mu       sync.Mutex
	time     time.Time
	suzuki   web.Person
	tanaka   web.Person
}

func (o *office) now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.time
}

const routes = `version: 1
routes:
  - {from: lgwan, to: internet, approvals: [section-head], formats: [txt], max_size: 100, keep_days: 7}
`

func newOffice(t *testing.T) *office {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("routes are only read from a file of root: run this test as root")
	}
	o := &office{t: t, release: &puppetRelease{files: map[string]string{}, given: map[string][]verdict.Signed{}}, dir: t.TempDir(), time: time.Now()}
	in := func(name string) string { return filepath.Join(o.dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(in("routes.yaml"), []byte(routes), 0o644))
	key := func(name string) ed25519.PrivateKey {
		pub, k, err := ed25519.GenerateKey(rand.Reader)
		must(err)
		must(os.WriteFile(in(name), []byte(base64.StdEncoding.EncodeToString(pub)+"\n"), 0o644))
		return k
	}
	o.verifier, o.relKey = key("verifier.pub"), key("release.pub")
	skey, vkey, err := audit.GenerateKey("test/audit")
	must(err)
	o.log, err = audit.Open(in("audit"), skey, vkey, o.now)
	must(err)
	t.Cleanup(func() { o.log.Close() })
	s, err := store.OpenBolt(in("state.db"), time.Second, o.now)
	must(err)
	t.Cleanup(func() { s.Close() })
	j := audit.NewJournal(s, o.log)
	people := identity.New(s, j, o.now, identity.DefaultLimits)
	must(people.AddSection(context.Background(), "root", identity.Section{ID: "soumu", Name: "総務課"}))
	both := []anchors.Zone{anchors.LGWAN, anchors.Internet}
	for _, p := range []identity.Person{{ID: "suzuki", Name: "鈴木", Section: "soumu", Role: web.Staff, Zones: both}, {ID: "tanaka", Name: "田中", Section: "soumu", Role: web.SectionHead, Zones: both}} {
		_, err := people.Add(context.Background(), "root", p)
		must(err)
	}
	o.suzuki = web.Person{ID: "suzuki", Role: web.Staff, Zones: both}
	o.tanaka = web.Person{ID: "tanaka", Role: web.SectionHead, Zones: both}
	o.Desk = New(Options{Store: s, Journal: j, People: people, Release: o.release,
		Broker: puppetBroker(func(b broker.Order) (broker.Outcome, error) { return o.broker(b) }), Sheets: in("sheets"),
		Routes: in("routes.yaml"), ReleaseKey: in("release.pub"), VerifierKey: in("verifier.pub"),
		Now: o.now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	o.broker = func(b broker.Order) (broker.Outcome, error) { return o.honest(b), nil }
	return o
}

const content, rebuilt = "住民の一覧", "rebuilt"

// honest is the outcome of a broker that found the file clean.
func (o *office) honest(b broker.Order) broker.Outcome {
	return o.signed(o.verifier, o.attestation(b))
}

func (o *office) attestation(b broker.Order) verdict.Attestation {
	return verdict.Attestation{Transfer: b.Transfer, OriginalSHA256: digest(content).SHA256, SanitizedSHA256: digest(rebuilt).SHA256,
		From: b.From.String(), To: b.To.String(), PolicyRevision: "r1"}
}

func (o *office) signed(key ed25519.PrivateKey, a verdict.Attestation) broker.Outcome {
	signed, err := verdict.Sign(key, verdict.KindAttestation, a)
	if err != nil {
		o.t.Fatal(err)
	}
	after := digest(rebuilt)
	return broker.Outcome{Report: verdict.Report{Outcome: verdict.Clean, After: &after, Original: &verdict.Preview{Text: content}},
		Verified: &verdict.Report{Outcome: verdict.Clean}, Attestation: &signed}
}

func (o *office) send(name string) web.Transfer {
	o.t.Helper()
	t, err := o.Create(context.Background(), o.suzuki, anchors.LGWAN, anchors.Internet, name, "メモ", nil, strings.NewReader(content))
	if err != nil {
		o.t.Fatal(err)
	}
	return t
}

// work does what Run would, once, without waiting.
func (o *office) work(id string) web.Transfer {
	o.t.Helper()
	ctx := context.Background()
	for range maxTries {
		r, rev, err := o.load(ctx, id)
		if err != nil {
			o.t.Fatal(err)
		}
		if r.State != web.Received {
			break
		}
		o.round(ctx, r, rev) // an error is one try
	}
	t, err := o.Get(ctx, o.suzuki, anchors.LGWAN, id)
	if err != nil {
		o.t.Fatal(err)
	}
	return t
}

func why(err error) string {
	var r *web.Refusal
	if errors.As(err, &r) {
		return r.Why
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return ""
}

// TestOnlyASignedCleanFileGoesOn: whatever the broker says, short of the verifier's signature over this file on this way,
// the file is blocked (F4).
func TestOnlyASignedCleanFileGoesOn(t *testing.T) {
	o := newOffice(t)
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	change := func(f func(*verdict.Attestation)) puppetBroker {
		return func(b broker.Order) (broker.Outcome, error) {
			a := o.attestation(b)
			f(&a)
			return o.signed(o.verifier, a), nil
		}
	}
	cut := func(f func(*broker.Outcome)) puppetBroker {
		return func(b broker.Order) (broker.Outcome, error) { out := o.honest(b); f(&out); return out, nil }
	}
	for name, c := range map[string]struct {
		broker puppetBroker
		want   web.State
	}{
		"clean, verified and signed":  {o.broker, web.Awaiting},
		"blocked":                     {cut(func(x *broker.Outcome) { x.Report.Outcome = verdict.Blocked }), web.Blocked},
		"no outcome at all":           {func(broker.Order) (broker.Outcome, error) { return broker.Outcome{}, nil }, web.Blocked},
		"not verified":                {cut(func(x *broker.Outcome) { x.Verified = nil }), web.Blocked},
		"verifier says no":            {cut(func(x *broker.Outcome) { x.Verified.Outcome = verdict.Blocked }), web.Blocked},
		"not signed":                  {cut(func(x *broker.Outcome) { x.Attestation = nil }), web.Blocked},
		"no digest":                   {cut(func(x *broker.Outcome) { x.Report.After = nil }), web.Blocked},
		"another digest":              {cut(func(x *broker.Outcome) { x.Report.After.SHA256 = digest("x").SHA256 }), web.Blocked},
		"signed by a stranger":        {func(b broker.Order) (broker.Outcome, error) { return o.signed(stranger, o.attestation(b)), nil }, web.Blocked},
		"signed for another transfer": {change(func(a *verdict.Attestation) { a.Transfer = "20260101-000000-abcdefghijkm" }), web.Blocked},
		"signed for another original": {change(func(a *verdict.Attestation) { a.OriginalSHA256 = digest("x").SHA256 }), web.Blocked},
		"signed for another zone":     {change(func(a *verdict.Attestation) { a.To = "my-number" }), web.Blocked},
		"broker answers errors": {func(broker.Order) (broker.Outcome, error) {
			return broker.Outcome{}, &release.Refusal{Code: "broker.error"}
		}, web.Blocked},
		"broker is not there": {func(broker.Order) (broker.Outcome, error) {
			return broker.Outcome{}, fmt.Errorf("ask the broker: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
		}, web.Received},
		"broker dies in the middle":     {func(broker.Order) (broker.Outcome, error) { return broker.Outcome{}, io.ErrUnexpectedEOF }, web.Blocked},
		"kind of statement is approval": {cut(func(x *broker.Outcome) { x.Attestation.Kind = verdict.KindApproval }), web.Blocked},
	} {
		t.Run(name, func(t *testing.T) {
			o.broker = c.broker
			sent := o.send("a.txt")
			got := o.work(sent.ID)
			if got.State != c.want {
				t.Fatalf("%s, want %s", got.State, c.want)
			}
			if c.want != web.Blocked {
				return
			}
			if got.Report == nil || got.Report.After != nil || got.Report.Result != nil {
				t.Errorf("report of a blocked file: %+v", got.Report)
			}
			if err := o.Tend(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, there := o.release.files[sent.ID]; there {
				t.Error("release keeps a blocked file")
			}
		})
	}
	t.Run("release is down too: the error does not count", func(t *testing.T) {
		o.broker = func(broker.Order) (broker.Outcome, error) {
			return broker.Outcome{}, &release.Refusal{Code: "broker.error"}
		}
		sent := o.send("a.txt")
		o.release.fail = errors.New("connection refused")
		got := o.work(sent.ID)
		o.release.fail = nil
		if got.State != web.Received {
			t.Errorf("%s", got.State)
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	o := newOffice(t)
	ctx := context.Background()
	create := func(p web.Person, from, to anchors.Zone, name string, body io.Reader) error {
		_, err := o.Create(ctx, p, from, to, name, "", nil, body)
		return err
	}
	text := func() io.Reader { return strings.NewReader(content) }
	admin := web.Person{ID: "suzuki", Role: web.ITAdmin, Zones: o.suzuki.Zones}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no route":          {create(o.suzuki, anchors.Internet, anchors.LGWAN, "a.txt", text()), web.CodeRoute},
		"my number":         {create(o.suzuki, anchors.MyNumber, anchors.Internet, "a.txt", text()), web.CodeRoute},
		"too large":         {create(o.suzuki, anchors.LGWAN, anchors.Internet, "a.txt", strings.NewReader(strings.Repeat("x", 101))), web.CodeTooLarge},
		"empty":             {create(o.suzuki, anchors.LGWAN, anchors.Internet, "a.txt", strings.NewReader("")), web.CodeEmpty},
		"not for that role": {create(admin, anchors.LGWAN, anchors.Internet, "a.txt", text()), web.CodeForbidden},
	} {
		if got := why(c.err); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if err := create(o.suzuki, anchors.LGWAN, anchors.Internet, "a.txt", io.MultiReader(text(), brokenReader{})); err == nil || why(err) == web.CodeUnavailable {
		t.Errorf("the browser went away: %v", err)
	}
	o.release.fail = errors.New("connection refused")
	if err := create(o.suzuki, anchors.LGWAN, anchors.Internet, "a.txt", text()); why(err) != web.CodeUnavailable {
		t.Errorf("release is down: %v", err)
	}
	o.release.fail = nil
	if ts, err := o.List(ctx, o.suzuki, anchors.LGWAN, web.Sent); err != nil || len(ts) != 0 {
		t.Errorf("refused uploads are listed: %v, %v", ts, err)
	}
	if err := o.resume(ctx); err != nil { // what could not be erased while release was down
		t.Fatal(err)
	}
	if left, err := o.under(ctx, draftKey); err != nil || len(left) != 0 {
		t.Errorf("drafts left: %v, %v", left, err)
	}
	if names, _ := filepath.Glob(filepath.Join(o.dir, "sheets", "*")); len(names) != 0 {
		t.Errorf("sheets left: %v", names)
	}
	if len(o.release.files) != 0 {
		t.Errorf("files left at release: %d", len(o.release.files))
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

// TestNothingReadableIsLeft looks for the words of a file and its name in everything control ever wrote, after the retention.
func TestNothingReadableIsLeft(t *testing.T) {
	o := newOffice(t)
	ctx := context.Background()
	sent := o.send("planted-name-山田太郎.txt")
	if got := o.work(sent.ID); got.State != web.Awaiting || got.Name != "planted-name-山田太郎.txt" || got.Report.Original.Text != content {
		t.Fatalf("%+v", got)
	}
	if err := o.Reject(ctx, o.tanaka, anchors.LGWAN, sent.ID, "planted-reason"); err != nil {
		t.Fatal(err)
	}
	for _, e := range readAll(t, o.log) {
		for k, v := range e.Detail {
			if plain, ok := o.Plain(e.Object, v); strings.HasPrefix(v, sealedText) && (!ok || !strings.HasPrefix(plain, "planted-")) {
				t.Errorf("%s of %s cannot be read while the key lives: %q", k, e.Action, plain)
			}
		}
	}
	backup := t.TempDir() // what a backup would hold: all but the keys
	err := os.CopyFS(backup, os.DirFS(o.dir))
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := filepath.Glob(filepath.Join(backup, "sheets", "*.key"))
	for _, k := range keys {
		os.Remove(k)
	}
	o.mu.Lock()
	o.time = o.time.AddDate(0, 0, 8)
	o.mu.Unlock()
	if err := o.Tend(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := o.Get(ctx, o.suzuki, anchors.LGWAN, sent.ID)
	if err != nil || got.State != web.Expired || got.Name != "" || got.Report != nil {
		t.Errorf("after the retention: %+v, %v", got, err)
	}
	if len(o.release.erased) != 1 {
		t.Errorf("erased at release: %v", o.release.erased)
	}
	for _, dir := range []string{o.dir, backup} {
		scan(t, dir, "planted-name", "planted-reason", "山田太郎", content)
	}
	for _, e := range readAll(t, o.log) {
		for _, v := range e.Detail {
			if _, ok := o.Plain(e.Object, v); ok {
				t.Error("a word of the log can still be read")
			}
		}
	}
}

func readAll(t *testing.T, l *audit.Log) []audit.Record {
	t.Helper()
	rs, err := l.Read(0, l.Size())
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func scan(t *testing.T, dir string, markers ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range markers {
			if bytes.Contains(b, []byte(m)) {
				t.Errorf("%s holds %q", path, m)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReceipts is the table of what may pass for release's word.
func TestReceipts(t *testing.T) {
	o := newOffice(t)
	ctx := context.Background()
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	good := func(id string) verdict.Approval {
		return verdict.Approval{Transfer: id, SanitizedSHA256: digest(rebuilt).SHA256, From: "lgwan", To: "internet", Person: "tanaka", Role: "section-head"}
	}
	for _, c := range []struct {
		name   string
		key    ed25519.PrivateKey
		who    web.Person
		change func(*verdict.Approval)
		want   string
	}{
		{"signed by a stranger", stranger, o.tanaka, func(*verdict.Approval) {}, web.CodeForbidden},
		{"of another transfer", o.relKey, o.tanaka, func(a *verdict.Approval) { a.Transfer = "x" }, web.CodeForbidden},
		{"of other bytes", o.relKey, o.tanaka, func(a *verdict.Approval) { a.SanitizedSHA256 = digest("x").SHA256 }, web.CodeForbidden},
		{"of another way", o.relKey, o.tanaka, func(a *verdict.Approval) { a.To = "my-number" }, web.CodeForbidden},
		{"of another person", o.relKey, o.tanaka, func(a *verdict.Approval) { a.Person = "sato" }, web.CodeForbidden},
		{"of the requester", o.relKey, o.tanaka, func(a *verdict.Approval) { a.Person = "suzuki" }, web.CodeForbidden},
		{"in a role that is not asked for", o.relKey, o.tanaka, func(a *verdict.Approval) { a.Role = "mayor" }, web.CodeForbidden},
		{"brought by the requester", o.relKey, o.suzuki, func(*verdict.Approval) {}, web.CodeOwn},
		{"right", o.relKey, o.tanaka, func(*verdict.Approval) {}, ""},
	} {
		sent := o.send("a.txt")
		o.work(sent.ID)
		a := good(sent.ID)
		c.change(&a)
		signed, err := verdict.Sign(c.key, verdict.KindApproval, a)
		if err != nil {
			t.Fatal(err)
		}
		if got := why(o.Receipt(ctx, c.who, anchors.LGWAN, sent.ID, signed)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		tr, err := o.Get(ctx, o.suzuki, anchors.LGWAN, sent.ID)
		if err != nil || (tr.State == web.Released) != (c.want == "") {
			t.Errorf("%s: %s, %v", c.name, tr.State, err)
		}
		if _, err := o.MayDownload(ctx, o.suzuki, anchors.Internet, sent.ID); (err == nil) != (c.want == "") {
			t.Errorf("%s: download: %v", c.name, err)
		}
		if _, err := o.MayDownload(ctx, o.tanaka, anchors.Internet, sent.ID); why(err) != web.CodeNotFound {
			t.Errorf("%s: download by another: %v", c.name, err)
		}
	}
}

// TestTwoDecideAtOnce: of approval and rejection at the same moment exactly one stands.
func TestTwoDecideAtOnce(t *testing.T) {
	o := newOffice(t)
	ctx := context.Background()
	for range 20 {
		sent := o.send("a.txt")
		o.work(sent.ID)
		signed, err := verdict.Sign(o.relKey, verdict.KindApproval, verdict.Approval{Transfer: sent.ID, SanitizedSHA256: digest(rebuilt).SHA256,
			From: "lgwan", To: "internet", Person: "tanaka", Role: "section-head"})
		if err != nil {
			t.Fatal(err)
		}
		errs := make([]error, 2)
		var wg sync.WaitGroup
		wg.Go(func() { errs[0] = o.Receipt(ctx, o.tanaka, anchors.LGWAN, sent.ID, signed) })
		wg.Go(func() { errs[1] = o.Reject(ctx, o.tanaka, anchors.LGWAN, sent.ID, "no") })
		wg.Wait()
		tr, err := o.Get(ctx, o.suzuki, anchors.LGWAN, sent.ID)
		if err != nil {
			t.Fatal(err)
		}
		approved, rejected := errs[0] == nil, errs[1] == nil
		if approved == rejected || approved != (tr.State == web.Released) || rejected != (tr.State == web.Rejected) {
			t.Fatalf("approve: %v, reject: %v, state %s", errs[0], errs[1], tr.State)
		}
		if last := tr.History[len(tr.History)-1]; approved && last.Reason != "" || rejected && last.Reason != "no" {
			t.Fatalf("%s with the words %q", tr.State, last.Reason)
		}
	}
}

// TestOneSickTransferKeepsNoOtherFromItsTurn: asking for approvals, expiring and erasing go on past one that fails.
func TestOneSickTransferKeepsNoOtherFromItsTurn(t *testing.T) {
	ctx := context.Background()
	for _, sick := range []int{0, 1, 2} {
		o := newOffice(t)
		var ids []string
		for range 3 {
			sent := o.send("a.txt")
			o.work(sent.ID)
			ids = append(ids, sent.ID)
		}
		o.release.sick = ids[sick]
		if err := o.Tend(ctx); !errors.Is(err, errSick) || !strings.Contains(err.Error(), ids[sick]) {
			t.Errorf("%d: tend: %v", sick, err)
		}
		if len(o.release.asked) != 2 {
			t.Errorf("%d: release was asked for approvals of %v", sick, o.release.asked)
		}
		if err := os.Remove(filepath.Join(o.dir, "sheets", ids[sick]+".key")); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(o.dir, "sheets", ids[sick]+".key", "in-the-way"), 0o700); err != nil {
			t.Fatal(err)
		}
		o.mu.Lock()
		o.time = o.time.AddDate(0, 0, 8)
		o.mu.Unlock()
		if err := o.Tend(ctx); err == nil {
			t.Errorf("%d: expiring hides that one failed", sick)
		}
		if len(o.release.erased) != 2 {
			t.Errorf("%d: erased %v, want all but %s", sick, o.release.erased, ids[sick])
		}
		if err := os.RemoveAll(filepath.Join(o.dir, "sheets", ids[sick]+".key")); err != nil {
			t.Fatal(err)
		}
		if err := o.Tend(ctx); !errors.Is(err, errSick) { // expired now, but release cannot erase it yet
			t.Errorf("%d: erase: %v", sick, err)
		}
		o.release.sick = ""
		if err := o.Tend(ctx); err != nil || len(o.release.erased) != 3 {
			t.Errorf("%d: at last: %v, erased %v", sick, err, o.release.erased)
		}
	}
}

// TestPagesAreDrawnForWhoDecides: once for however many ask, for the head of the section alone, and as long as there is something to decide.
func TestPagesAreDrawnForWhoDecides(t *testing.T) {
	o := newOffice(t)
	ctx, stop := context.WithCancel(context.Background())
	id := o.work(o.send("a.txt").ID).ID
	hold, drawn := make(chan struct{}), make(chan broker.Order, 9)
	o.broker = func(b broker.Order) (broker.Outcome, error) {
		drawn <- b
		<-hold
		return broker.Outcome{}, nil
	}
	one, err := o.Draw(ctx, o.tanaka, anchors.LGWAN, id)
	if err != nil {
		t.Fatal(err)
	}
	two, err := o.Draw(ctx, o.tanaka, anchors.LGWAN, id)
	if err != nil {
		t.Fatal(err)
	}
	stop() // the browser that asked first is gone
	if b := <-drawn; b.Transfer != id || b.From != anchors.LGWAN || b.To != anchors.Internet {
		t.Errorf("ordered %+v", b)
	}
	close(hold)
	<-one
	<-two
	if len(drawn) > 0 {
		t.Errorf("drawn twice at a time, or stopped: %+v", <-drawn)
	}
	for name, c := range map[string]struct {
		who  web.Person
		zone anchors.Zone
		want string
	}{"the requester": {o.suzuki, anchors.LGWAN, web.CodeOwn}, "another zone": {o.tanaka, anchors.Internet, web.CodeNotFound}} {
		if _, err := o.Draw(context.Background(), c.who, c.zone, id); why(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if err := o.Reject(context.Background(), o.tanaka, anchors.LGWAN, id, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Draw(context.Background(), o.tanaka, anchors.LGWAN, id); why(err) != web.CodeState {
		t.Errorf("rejected: %v", err)
	}
}
