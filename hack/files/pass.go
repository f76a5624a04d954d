// Package files sends made and real files through sanitizer and verifier, and says what became of them.
//
// Problem: what the file lane is worth shows only over many files, and from outside. Mechanism: Pass does what the broker does,
// rebuilder, helpers, rebuilder again, verifier, in this process and without sandboxes, so that thousands of files are looked at in
// minutes. Life cycle: one call a file. Invariant: an outcome is clean only when both sides said so.
package files

import (
	"bytes"
	"context"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// Outcome of one file.
type Outcome struct {
	Report   verdict.Report
	Verified verdict.Report
	Body     []byte // of the result; nil when blocked
}

// Clean tells whether both sides passed it.
func (o Outcome) Clean() bool { return o.Body != nil }

// Refusal is why a file was blocked: code, place and detail of the finding that says so.
func (o Outcome) Refusal() (verdict.Finding, string) {
	for side, r := range map[string]verdict.Report{"sanitizer": o.Report, "verifier": o.Verified} {
		for _, f := range r.Findings {
			if f.Action == verdict.Refused {
				return f, side
			}
		}
	}
	return verdict.Finding{}, ""
}

// rounds is how often a rebuilder may ask.
const rounds = 8

// Pass sends one file through both sides.
func Pass(ctx context.Context, name string, in []byte, opt sanitize.Options) (Outcome, error) {
	for range rounds {
		var out bytes.Buffer
		report, needs := sanitize.Rebuild(ctx, name, in, &out, opt)
		if len(needs) > 0 {
			for _, n := range needs {
				opt.Answers = append(opt.Answers, tool.Answer(ctx, n))
			}
			continue
		}
		o := Outcome{Report: report}
		if report.Outcome != verdict.Clean {
			return o, nil
		}
		o.Verified = verify.Route{Policy: opt.Policy, Formats: opt.Formats, Keys: opt.Keys}.Check(ctx, report.OutName, out.Bytes())
		if o.Verified.Outcome == verdict.Clean {
			o.Body = out.Bytes()
		}
		return o, nil
	}
	return Outcome{}, fmt.Errorf("%s: still asks after %d rounds", name, rounds)
}
