package files

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/hack/files/hostile"
)

// unseen techniques leave out what no reader sees and no program acts on: a report need not speak of it.
var unseen = map[string]bool{
	"comment": true, "comment with a script": true, "noscript": true, "preamble": true, "thumbnail": true, "object that nothing leads to": true, "stream kept elsewhere": true, "other picture for printing": true,
	"member that is not listed": true, "toolbar": true,
}

// least is how many hostile files there have to be.
const least = 300

// Whatever comes out clean holds nothing of what made the file dangerous, as other programs see it.
func TestNothingHostileSurvives(t *testing.T) {
	all := hostile.All()
	if len(all) < least {
		t.Fatalf("%d hostile files, want at least %d", len(all), least)
	}
	passed, came := map[string]int{}, map[string]int{}
	for _, f := range all {
		o, err := Pass(t.Context(), f.Name, f.Body, sanitize.Options{})
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		kind := path.Ext(f.Name)
		came[kind]++
		conforms(t, f.String(), o)
		if !o.Clean() {
			if r, side := o.Refusal(); side == "verifier" || strings.HasPrefix(r.Code, "internal") || r.Code == "" {
				t.Errorf("%s: %s refuses: %+v", f, side, r)
			}
			continue
		}
		passed[kind]++
		if f.Blocked && f.Nesting == "bare" {
			t.Errorf("%s: passed, want it blocked; findings %+v", f, o.Report.Findings)
		}
		if left, err := hostile.Survives(t.Context(), o.Report.OutName, o.Body); err != nil || len(left) > 0 {
			t.Errorf("%s: survives: %q, %v; findings %+v", f, left, err, o.Report.Findings)
		}
		if !unseen[f.Technique] && !slices.ContainsFunc(o.Report.Findings, func(f verdict.Finding) bool { return f.Action != verdict.Reported }) {
			t.Errorf("%s: passed, and nothing is said to have been removed", f)
		}
	}
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(came)) {
		lines = append(lines, fmt.Sprintf("%s %d of %d", kind, passed[kind], came[kind]))
	}
	t.Logf("%d hostile files; came out clean: %s", len(all), strings.Join(lines, ", "))
}
