package files

import (
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// A text is told of only when all of it is there and the report says what was done to it.
func TestToldTexts(t *testing.T) {
	for what, c := range map[string]struct {
		code          string
		action        verdict.Action
		before, after string
		want          bool
	}{
		"in another order":     {"pdf.flattened", verdict.Changed, "a b", "b\na", true},
		"with a sign more":     {"csv.formula", verdict.Changed, "-1", "'-1", true},
		"without a letter":     {"pdf.flattened", verdict.Changed, "ab", "a", false},
		"without a word of it": {"pdf.metadata", verdict.Removed, "a b", "b a", false},
		"of what was removed":  {"pdf.form", verdict.Removed, "a b", "b a", false},
	} {
		r := verdict.Report{Findings: []verdict.Finding{{Code: c.code, Action: c.action}}}
		if got := told(r, c.before, c.after); got != c.want {
			t.Errorf("%s: got %v", what, got)
		}
	}
}
