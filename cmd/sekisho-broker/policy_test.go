package main

import (
	"os"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// What the root-owned routes want blocked is blocked, whatever control asks: the same file passed under the former routes.
func TestARouteBlocksWhatItForbids(t *testing.T) {
	l := newLane(t)
	l.send("t1", "通知.docm", docm(t))
	if out := l.sanitize("t1"); out.Attestation == nil {
		t.Fatalf("without a rule: %+v", out.Report.Findings)
	}
	b, err := os.ReadFile(l.i.Routes())
	if err != nil {
		t.Fatal(err)
	}
	l.setting(l.i.Routes(), strings.Replace(string(b), "max_size: 5000000,", "max_size: 5000000, sanitize: {block: [ooxml.vba]},", 1))
	l.send("t2", "通知.docm", docm(t))
	out := l.sanitize("t2")
	if out.Attestation != nil || out.Report.Outcome != verdict.Blocked || out.Report.Findings[len(out.Report.Findings)-1].Code != "policy.blocked" {
		t.Errorf("with the rule: %s %+v, want it blocked by the policy", out.Report.Outcome, out.Report.Findings)
	}
}
