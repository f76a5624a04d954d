// Package sanitizetest runs the whole rebuilder for the tests of a family.
//
// Problem: what a family does shows only behind detection, naming and the rules of the route. Mechanism: the calls that such tests
// make again and again. Life cycle: one call a test. Invariant: a blocked file wrote nothing, and the digest of a clean one is that of
// what was written.
package sanitizetest

import (
	"bytes"
	"context"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Run rebuilds and answers report and result. Helpers that are asked answer nothing: the report then has no outcome.
func Run(t testing.TB, name string, in []byte) (verdict.Report, []byte) {
	t.Helper()
	rep, out, _ := Ask(t, name, in, sanitize.Options{})
	return rep, out
}

// Ask rebuilds with options and answers what helpers would be asked, too.
func Ask(t testing.TB, name string, in []byte, opt sanitize.Options) (verdict.Report, []byte, []verdict.Need) {
	t.Helper()
	var out bytes.Buffer
	rep, needs := sanitize.Rebuild(context.Background(), name, in, &out, opt)
	if rep.Outcome == verdict.Blocked && out.Len() > 0 {
		t.Fatalf("%s: blocked, but %d bytes were written", name, out.Len())
	}
	if rep.Outcome == verdict.Clean && (rep.After == nil || rep.After.Size != int64(out.Len())) {
		t.Fatalf("%s: clean, but the digest says %v of %d bytes", name, rep.After, out.Len())
	}
	return rep, out.Bytes(), needs
}

// Clean rebuilds a file that has to pass.
func Clean(t testing.TB, name string, in []byte) (verdict.Report, []byte) {
	t.Helper()
	rep, out := Run(t, name, in)
	if rep.Outcome != verdict.Clean {
		t.Fatalf("%s: got blocked %v, want clean", name, rep.Findings)
	}
	return rep, out
}

// Blocked rebuilds a file that has to be refused by the code.
func Blocked(t testing.TB, name string, in []byte, code string) {
	t.Helper()
	rep, _ := Run(t, name, in)
	if rep.Outcome != verdict.Blocked || !Has(rep, code, verdict.Refused) {
		t.Errorf("%s: got %s %v, want refused by %s", name, rep.Outcome, rep.Findings, code)
	}
}

// Has tells whether the report has such a finding.
func Has(rep verdict.Report, code string, action verdict.Action) bool {
	for _, f := range rep.Findings {
		if f.Code == code && f.Action == action {
			return true
		}
	}
	return false
}
