package merge

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// A region with its ends, and a class with its lines, are one entry each: two people who change different ones do not meet.
func TestRegionsAndClassesAreEntries(t *testing.T) {
	base := string(examples.Lines)
	otherEnd := []string{"endpoint: \"192.0.2.140:51820\"", "endpoint: \"192.0.2.150:51820\""}
	for _, c := range []struct {
		name         string
		theirs, mine []string
		conflict     string
	}{
		{"two regions", otherEnd, []string{"takes-over: [tokyo]\n", "takes-over: [tokyo]\n    share: 3\n"}, ""},
		{"two classes", []string{"guarantee: 2Mbit, ceiling: 20Mbit}", "guarantee: 1Mbit, ceiling: 20Mbit}"}, []string{"dscp: [ef, af41]", "dscp: [ef]"}, ""},
		{"a line and a region", []string{"down: 40Mbit", "down: 30Mbit"}, otherEnd, ""},
		{"two ends of one region", otherEnd, []string{"probe: 198.51.100.1, preshared: true", "probe: 198.51.100.1"}, "regions tokyo changed"},
		{"two lines of one class", []string{"guarantee: 2Mbit, ceiling: 20Mbit}", "guarantee: 1Mbit, ceiling: 20Mbit}"}, []string{"guarantee: 5Mbit, ceiling: 40Mbit}", "guarantee: 4Mbit, ceiling: 40Mbit}"}, "classes backup changed"},
	} {
		r := Texts([]byte(base), edit(t, base, c.theirs...), edit(t, base, c.mine...))
		if c.conflict != "" {
			if r.Text != nil || len(r.Conflicts) != 1 || !strings.Contains(r.Conflicts[0].String(), c.conflict) {
				t.Errorf("%s: got %v, want a conflict with %q", c.name, r.Conflicts, c.conflict)
			}
			continue
		}
		if want := edit(t, base, append(append([]string{}, c.theirs...), c.mine...)...); string(r.Text) != string(want) {
			t.Errorf("%s: conflicts %v, got\n%s", c.name, r.Conflicts, r.Text)
		}
	}
}
