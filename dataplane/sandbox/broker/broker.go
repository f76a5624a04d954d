// Package broker is the daemon that starts every sandbox.
//
// Problem: somebody must start sandboxes, hold their budgets and vouch for the outcome, and it must not be the control daemon,
// which may be taken over and would then vouch for anything. Mechanism: a process of its own user takes one order at a time
// per worker, fetches the file from release by itself, believes release and not the order about the file's name and way, runs
// sanitizer and verifier in two sandboxes, and signs what the verifier passed. Orders wait in a line that is fair between zones
// and persons (package line). Life cycle: an order is answered when it is done, and while it is, what it is at can be asked for;
// one whose caller goes away is given up, with its sandbox. Nothing is kept, so an order that was lost in a crash is given again. Invariant (F3, F4): the signature is made over the
// hash of the very bytes that the verifier read, and only then.
package broker

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker/line"
	"github.com/sekisho/sekisho/dataplane/sandbox/tool/pam"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Order is what control asks for. From, To, Formats and MaxSize are only compared with what release knows, or tighten it.
// The revision that is attested is that of the routes file, which the broker reads itself.
type Order struct {
	Transfer string       `json:"transfer"`
	Name     string       `json:"name,omitempty"`
	From     anchors.Zone `json:"from"`
	To       anchors.Zone `json:"to"`
	Formats  []string     `json:"formats,omitempty"`
	MaxSize  int64        `json:"max_size,omitempty"`
	// Keys are passwords that the sender gave with the file. They are passed on and written nowhere.
	Keys []string `json:"keys,omitempty"`
}

// Outcome is the answer. Attestation is there only when both sandboxes called the file clean and release has taken it.
type Outcome struct {
	Report      verdict.Report  `json:"report"`
	Verified    *verdict.Report `json:"verified,omitempty"`
	Attestation *verdict.Signed `json:"attestation,omitempty"`
}

// Passer sends one file through the sandboxes; *sandbox.Worker is one.
type Passer interface {
	Pass(ctx context.Context, j verdict.Job, body []byte) sandbox.Result
	Draw(ctx context.Context, name string, body []byte, most int) ([]pam.Frame, error)
}

// Files is what the broker needs of release; *release.Client is one.
type Files interface {
	About(ctx context.Context, transfer string) (release.Original, error)
	Original(ctx context.Context, transfer string) (release.File, error)
	StoreSanitized(ctx context.Context, transfer string, attestation verdict.Signed, body []byte) error
	StoreReport(ctx context.Context, transfer, sanitized string, r verdict.Report) error
	Sanitized(ctx context.Context, transfer string) (release.File, error)
	Pages(ctx context.Context, transfer string) (verdict.Pages, error)
	StorePages(ctx context.Context, transfer, sanitized string, p verdict.Pages) error
}

// Broker takes orders.
type Broker struct {
	Worker Passer
	Files  Files
	Key    ed25519.PrivateKey
	Routes string // path of the root-owned routes file
	Log    *slog.Logger
	// Scanner is asked how it stands; the worker asks it about files. nil: there is none.
	Scanner *antivirus.Daemon

	places int
	line   *line.Line
	work   work

	drawing chan struct{} // one drawing at a time: files on their way come first
}

// New makes a broker that runs at most parallel files at once.
func New(w Passer, f Files, key ed25519.PrivateKey, routes string, parallel int, log *slog.Logger) *Broker {
	return &Broker{Worker: w, Files: f, Key: key, Routes: routes, Log: log, places: max(1, parallel), line: line.New(parallel), drawing: make(chan struct{}, 1)}
}

// Handler is served on place.BrokerSocket with socket.Server; only control is admitted (and root).
func (b *Broker) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /jobs", b.serveJob)
	mux.HandleFunc("GET /jobs", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, b.At()) })
	mux.HandleFunc("POST /drawings", b.serveDrawing)
	mux.HandleFunc("GET /antivirus", b.serveAntivirus)
	return socket.Admit(mux, place.ControlUser)
}

// standingTime bounds how long clamd is waited for when nobody's file depends on it.
const standingTime = 5 * time.Second

func (b *Broker) serveAntivirus(w http.ResponseWriter, r *http.Request) {
	if b.Scanner == nil {
		answer(w, http.StatusOK, antivirus.Standing{Level: antivirus.Blocking, Code: antivirus.Silent})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), standingTime)
	defer cancel()
	answer(w, http.StatusOK, b.Scanner.Standing(ctx))
}

func (b *Broker) serveJob(w http.ResponseWriter, r *http.Request) {
	o, ok := order(w, r)
	if !ok {
		return
	}
	out, err := b.Run(r.Context(), o)
	if err != nil {
		b.refuse(w, o, err)
		return
	}
	answer(w, http.StatusOK, out)
}

func order(w http.ResponseWriter, r *http.Request) (o Order, ok bool) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": "order: " + err.Error(), "code": "broker.request"})
		return o, false
	}
	return o, true
}

func (b *Broker) refuse(w http.ResponseWriter, o Order, err error) {
	b.Log.Error("order failed", "transfer", o.Transfer, "error", err)
	status, code := http.StatusBadGateway, "broker.error"
	if no := (*release.Refusal)(nil); errors.As(err, &no) {
		status, code = no.Status, no.Code
	}
	answer(w, status, map[string]string{"error": err.Error(), "code": code})
}

// At tells what the broker is at.
func (b *Broker) At() verdict.Work { return verdict.Work{Places: b.places, Files: b.work.stages()} }

// Run does one order. An error means that there is no outcome (release does not answer or refuses), and nothing was released.
func (b *Broker) Run(ctx context.Context, o Order) (Outcome, error) {
	if err := verdict.CheckKeys(o.Keys); err != nil {
		return Outcome{}, &release.Refusal{Code: "broker.request", Status: http.StatusBadRequest, Text: fmt.Sprintf("order for %s: %v", o.Transfer, err)}
	}
	j := b.work.begin(o.Transfer)
	defer b.work.end(o.Transfer, j)
	about, err := b.Files.About(ctx, o.Transfer) // whose turn it is depends on whose file it is, and that is not control's to say
	if err != nil {
		return Outcome{}, fmt.Errorf("ask about %s: %w", o.Transfer, err)
	}
	leave, err := b.line.Enter(ctx, line.Who{Zone: about.From, Person: about.Requester}, func(t *line.Ticket) {
		b.work.at(j, verdict.Stage{Name: verdict.Waiting}, t)
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("wait for a free sandbox: %w", err)
	}
	defer leave()
	tell := func(s verdict.Stage) { b.work.at(j, s, nil) }
	tell(verdict.Stage{Name: verdict.Reading})

	began := time.Now()
	routes, err := release.LoadRoutes(b.Routes) // before release is asked: a change in between makes release refuse the attestation
	if err != nil {
		return Outcome{}, fmt.Errorf("read the routes: %w", err)
	}
	file, body, err := b.fetch(ctx, o)
	if err != nil {
		return Outcome{}, err
	}
	job := verdict.Job{Name: file.Name, Formats: file.Formats, MaxOut: file.MaxSize, Policy: file.Policy, Keys: o.Keys}
	if len(o.Formats) > 0 {
		job.Formats = both(file.Formats, o.Formats)
		if len(job.Formats) == 0 { // an empty list would admit everything
			return Outcome{}, fmt.Errorf("order for %s: no format is admitted by both route and order", o.Transfer)
		}
	}
	if o.MaxSize > 0 {
		job.MaxOut = min(job.MaxOut, o.MaxSize)
	}
	result := b.Worker.Pass(sandbox.Watch(ctx, tell), job, body)
	if ctx.Err() != nil { // what a worker said that was ended says nothing about the file
		return Outcome{}, fmt.Errorf("sanitize %s: given up: %w", o.Transfer, ctx.Err())
	}
	result.Report.Policy = routes.Revision
	out := Outcome{Report: result.Report, Verified: result.Verified}
	b.Log.Info("sanitized", "transfer", o.Transfer, "outcome", result.Report.Outcome, "clean", result.Clean(), "took", time.Since(began))
	if !result.Clean() {
		return out, nil
	}
	signed, err := b.attest(o, routes.Revision, file, result)
	if err != nil {
		return Outcome{}, err
	}
	if err := b.Files.StoreSanitized(ctx, o.Transfer, signed, result.Bytes); err != nil {
		return Outcome{}, fmt.Errorf("store the rebuilt %s: %w", o.Transfer, err)
	}
	if err := b.Files.StoreReport(ctx, o.Transfer, result.Report.After.SHA256, result.Report); err != nil {
		return Outcome{}, fmt.Errorf("store the report on %s: %w", o.Transfer, err)
	}
	out.Attestation = &signed
	return out, nil
}

// fetch reads the original from release and holds the order to what release knows.
func (b *Broker) fetch(ctx context.Context, o Order) (release.Original, []byte, error) {
	f, err := b.Files.Original(ctx, o.Transfer)
	if err != nil {
		return release.Original{}, nil, fmt.Errorf("fetch %s: %w", o.Transfer, err)
	}
	defer f.Body.Close()
	about := f.Original
	if about.Transfer != o.Transfer || about.From != o.From || about.To != o.To {
		return release.Original{}, nil, fmt.Errorf("order for %s says %s -> %s, release says %s -> %s", o.Transfer, o.From, o.To, about.From, about.To)
	}
	if len(about.Formats) == 0 || about.MaxSize <= 0 {
		return release.Original{}, nil, fmt.Errorf("fetch %s: release names no formats or limit", o.Transfer)
	}
	body, err := io.ReadAll(io.LimitReader(f.Body, about.Size+1))
	if err != nil {
		return release.Original{}, nil, fmt.Errorf("fetch %s: %w", o.Transfer, err)
	}
	if sandbox.Digest(body) != about.Digest {
		return release.Original{}, nil, fmt.Errorf("fetch %s: the bytes are not those that release describes", o.Transfer)
	}
	return about, body, nil
}

func (b *Broker) attest(o Order, revision string, file release.Original, r sandbox.Result) (verdict.Signed, error) {
	d := sandbox.Digest(r.Bytes)
	if r.Verified == nil || r.Verified.Outcome != verdict.Clean || r.Verified.Before != d {
		return verdict.Signed{}, fmt.Errorf("attest %s: the verifier did not pass these bytes", o.Transfer)
	}
	name := r.Report.OutName
	if name == "" {
		name = file.Name
	}
	return verdict.Sign(b.Key, verdict.KindAttestation, verdict.Attestation{
		Transfer: o.Transfer, OriginalSHA256: file.SHA256, SanitizedSHA256: d.SHA256, Name: name, Size: d.Size,
		From: file.From.String(), To: file.To.String(), PolicyRevision: revision,
		Verifier: r.Verified.Engine, Time: time.Now().UTC(),
	})
}

// both keeps what two lists share.
func both(a, b []string) []string {
	in := map[string]bool{}
	for _, x := range b {
		in[x] = true
	}
	var out []string
	for _, x := range a {
		if in[x] {
			out = append(out, x)
		}
	}
	return out
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":"answer could not be written","code":"broker.error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // a caller that went away asks again
}
