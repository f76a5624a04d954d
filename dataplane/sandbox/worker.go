package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/sanitize/mynumber"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed codes.json
var codesJSON []byte

// Sentences tell a clerk what the codes of this package mean.
var Sentences = verdict.NewCatalogue(codesJSON)

// Worker runs sekisho-sanitize, each time in a sandbox of its own.
type Worker struct {
	Box    *Box
	Binary string
	// Scanner is the antivirus program that looks at each file before a worker does; nil: there is none, and reports say so.
	Scanner *antivirus.Daemon
	// Tree holds the programs that a worker may ask for; empty: where hack/runtime puts it.
	Tree string
	// Pool is how many sandboxes with LibreOffice wait for a document; Warm starts them before the first, Close ends them.
	Pool int
	// Limit lets a caller change the budget of a job on that many bytes; nil means Scaled.
	Limit func(size, output int64) Budget

	once   sync.Once
	places chan struct{} // of helpers
	pool   pool

	absence antivirus.Absence // of the scanner
}

// Result of one file: Bytes only when sanitizer and verifier, in two sandboxes, both called it clean.
type Result struct {
	Report   verdict.Report  // the sanitizer's
	Verified *verdict.Report // the verifier's, when it was asked
	Bytes    []byte
}

// Clean tells whether there is something to release.
func (r Result) Clean() bool {
	return r.Report.Outcome == verdict.Clean && r.Verified != nil && r.Verified.Outcome == verdict.Clean && r.Bytes != nil
}

// DefaultMaxOut bounds a rebuilt file, in bytes, when the caller does not.
const DefaultMaxOut = 256 << 20

// Pass sends a file through both. It always answers: what goes wrong is a block with the reason as a finding (F4).
func (w *Worker) Pass(ctx context.Context, j verdict.Job, body []byte) Result {
	began := time.Now()
	r := w.pass(ctx, j, body)
	r.Report.Began, r.Report.Took = began.UTC().Truncate(time.Millisecond), time.Since(began).Milliseconds()
	if r.Verified != nil {
		r.Report.Verifier = r.Verified.Engine
	}
	return r
}

func (w *Worker) pass(ctx context.Context, j verdict.Job, body []byte) Result {
	if j.MaxOut <= 0 {
		j.MaxOut = DefaultMaxOut
	}
	seen := w.newScan(j.Policy.Antivirus)
	if seen.clamd != nil {
		Tell(ctx, verdict.Stage{Name: verdict.Scanning})
	}
	if err := seen.look(ctx, "", body); err != nil {
		return Result{Report: blocked(j.Name, body, "", err)}
	}
	report, out, err := w.rebuild(ctx, j, body, seen)
	if err != nil {
		return Result{Report: blocked(j.Name, body, "sanitize", err)}
	}
	seen.note(&report)
	if report.Outcome != verdict.Clean {
		return Result{Report: report}
	}
	if err := seen.look(ctx, "result", out); err != nil {
		return Result{Report: blocked(j.Name, body, "", err)}
	}
	name := report.OutName
	if name == "" {
		name = j.Name
	}
	Tell(ctx, verdict.Stage{Name: verdict.Verifying})
	verified, err := w.verify(ctx, verdict.Job{Name: name, Formats: j.Formats, Keys: j.Keys, Policy: j.Policy}, out)
	if err != nil {
		verified = blocked(name, out, "verify", err)
	}
	if verified.Outcome != verdict.Clean {
		return Result{Report: report, Verified: &verified}
	}
	return Result{Report: report, Verified: &verified, Bytes: out}
}

// rebuild calls the worker, has its questions answered, and calls it again, until it says what becomes of the file.
func (w *Worker) rebuild(ctx context.Context, j verdict.Job, body []byte, seen *scan) (verdict.Report, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, rebuilding(int64(len(body))))
	defer cancel()
	asked := &asking{answers: map[string]bool{}, kinds: map[string]bool{}}
	carried := int64(len(body))
	j.Scan = seen.clamd != nil
	for {
		Tell(ctx, verdict.Stage{Name: verdict.Reading})
		report, out, err := w.sanitize(ctx, j, body, seen)
		if err != nil {
			return report, nil, err
		}
		if report.Outcome != verdict.Asks {
			report.Helpers = w.helpers(asked.kinds)
			return report, out, nil
		}
		if err := asked.admit(report.Needs); err != nil {
			return report, nil, err
		}
		answers := w.ask(ctx, report.Needs, maxCarried-carried)
		for _, a := range answers {
			carried += int64(len(a.Body))
		}
		if carried > maxCarried {
			return report, nil, fail(Many, "file and answers are over %d bytes", maxCarried)
		}
		j.Answers = append(j.Answers, answers...)
	}
}

func (w *Worker) sanitize(ctx context.Context, j verdict.Job, body []byte, seen *scan) (verdict.Report, []byte, error) {
	output := max(j.MaxOut, maxAsked) + verdict.MaxReportLine
	if j.Scan {
		output += maxMemberBytes + maxMembers*verdict.MaxMemberLine
	}
	raw, err := w.run(ctx, "sanitize", j, body, output, seen.members(ctx))
	if err != nil {
		return verdict.Report{}, nil, err
	}
	return sanitized(raw, j, body)
}

// sanitized reads what a sanitizer wrote and believes none of it that it can check.
func sanitized(raw []byte, j verdict.Job, body []byte) (verdict.Report, []byte, error) {
	r, out, err := verdict.ReadReport(bytes.NewReader(raw), max(j.MaxOut, maxAsked), true)
	if err != nil {
		return verdict.Report{}, nil, fail(Answer, "%v", err)
	}
	if int64(len(out)) > j.MaxOut {
		return verdict.Report{}, nil, fail(Output, "over %d bytes", j.MaxOut)
	}
	if err := tidy(&r, j.Name, body); err != nil {
		return verdict.Report{}, nil, err
	}
	if r.Outcome == verdict.Clean && (r.After == nil || *r.After != Digest(out)) {
		return verdict.Report{}, nil, fail(Answer, "the report does not describe the bytes that came with it")
	}
	return r, out, nil
}

func (w *Worker) verify(ctx context.Context, j verdict.Job, body []byte) (verdict.Report, error) {
	raw, err := w.run(ctx, "verify", j, body, verdict.MaxReportLine, nil)
	if err != nil {
		return verdict.Report{}, err
	}
	r, _, err := verdict.ReadReport(bytes.NewReader(raw), 0, false)
	if err != nil {
		return verdict.Report{}, fail(Answer, "%v", err)
	}
	return r, tidy(&r, j.Name, body)
}

func (w *Worker) run(ctx context.Context, verb string, j verdict.Job, body []byte, output int64, front func(*bufio.Reader) error) ([]byte, error) {
	var head bytes.Buffer
	j.Size = int64(len(body))
	size := j.Size
	for _, a := range j.Answers {
		size += int64(len(a.Body))
	}
	head.Grow(int(size) + 64<<10) // it is written once, and not doubled again and again
	if err := verdict.WriteJob(&head, j, body); err != nil {
		return nil, fail(Start, "%v", err)
	}
	limit := w.Limit
	if limit == nil {
		limit = Scaled
	}
	budget := limit(size, output)
	if front != nil {
		budget.Time += looking
	}
	return w.Box.Run(ctx, Job{Binary: w.Binary, Args: []string{verb}, Stdin: &head, Budget: budget, Front: front})
}

// looking is how long a worker may wait while the antivirus program looks at what it hands over, and, should
// that program be started anew meanwhile, is waited for.
const looking = 3*time.Minute + antivirus.StartPatience

// Bounds of a report from inside a sandbox.
const (
	maxFindings    = 500
	maxPreviewEdge = 256
	maxPreviewText = 4000
)

// tidy holds a report to the bytes that were sent, and makes its text fit to be stored and shown.
func tidy(r *verdict.Report, name string, body []byte) error {
	if r.Version != 1 || r.Outcome != verdict.Clean && r.Outcome != verdict.Blocked && r.Outcome != verdict.Asks {
		return fail(Answer, "report of version %d with outcome %q", r.Version, r.Outcome)
	}
	if r.Before != Digest(body) {
		return fail(Answer, "the report is about other bytes than were sent")
	}
	r.Helpers, r.Verifier, r.Policy, r.Began, r.Took = nil, "", "", time.Time{}, 0 // said here, not inside
	r.Name, r.Engine, r.Family = name, escape(r.Engine, 80), escape(r.Family, 20)
	r.Kind = escape(r.Kind, 20)
	if r.OutName != "" && !plainName(r.OutName) {
		return fail(Answer, "out name %q", r.OutName)
	}
	if len(r.Findings) > maxFindings {
		r.Findings = append(r.Findings[:maxFindings:maxFindings], verdict.Finding{Code: "report.cut", Action: verdict.Reported, Count: len(r.Findings) - maxFindings})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Code, f.Place, f.Detail = escape(f.Code, 60), told(f.Place), told(f.Detail)
		switch f.Action {
		case verdict.Removed, verdict.Changed, verdict.Reported, verdict.Refused:
		default:
			return fail(Answer, "finding with action %q", f.Action)
		}
	}
	for _, p := range []*verdict.Preview{r.Original, r.Result} {
		if err := tidyPreview(p); err != nil {
			return err
		}
	}
	return nil
}

func tidyPreview(p *verdict.Preview) error {
	if p == nil {
		return nil
	}
	if p.Width < 0 || p.Height < 0 || p.Width > maxPreviewEdge || p.Height > maxPreviewEdge || len(p.RGBA) != p.Width*p.Height*4 {
		return fail(Answer, "preview of %d x %d with %d bytes", p.Width, p.Height, len(p.RGBA))
	}
	if utf8.RuneCountInString(p.Text) > maxPreviewText {
		return fail(Answer, "preview of more than %d characters", maxPreviewText)
	}
	p.Text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\r' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return utf8.RuneError
		}
		return r
	}, p.Text)
	return nil
}

// plainName tells whether a name is one path element of ordinary characters.
func plainName(s string) bool {
	if s == "." || s == ".." || len(s) > 255 || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == '/' || r == '\\' || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError
	})
}

// told is what a report says of a file's own words: bounded, printable, and without the digits of an Individual Number.
func told(s string) string { return escape(mynumber.Mask(s), 200) }

// blocked is the report of a job that has none of its own.
func blocked(name string, body []byte, place string, err error) verdict.Report {
	var virus *infected
	if errors.As(err, &virus) {
		r := verdict.Report{Version: 1, Name: name, Outcome: verdict.Blocked, Before: Digest(body), Engine: "clamd", Findings: []verdict.Finding{virus.refusal()}}
		if virus.engine.Version != "" {
			r.Engine = virus.engine.String()
		}
		return r
	}
	f := &Failure{}
	if !errors.As(err, &f) {
		f = fail(Crash, "%v", err)
	}
	return verdict.Report{Version: 1, Name: name, Outcome: verdict.Blocked, Before: Digest(body), Engine: "sandbox",
		Findings: []verdict.Finding{{Code: string(f.Kind), Place: place, Action: verdict.Refused, Detail: told(f.Detail)}}}
}

// Digest names bytes.
func Digest(b []byte) verdict.Digest {
	sum := sha256.Sum256(b)
	return verdict.Digest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(b))}
}
