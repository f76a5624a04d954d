package account

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestFindingsAreGathered: by how they were answered, refusals first, and by what they are; all are counted, few are shown at once.
func TestFindingsAreGathered(t *testing.T) {
	got := Groups([]verdict.Finding{
		{Code: "a.link", Action: verdict.Removed, Place: "p1", Count: 2}, {Code: "a.macro", Action: verdict.Removed},
		{Code: "a.link", Action: verdict.Removed, Place: "p2"}, {Code: "a.link", Action: verdict.Removed, Place: "p3", Detail: "x"},
		{Code: "a.link", Action: verdict.Removed, Place: "p4"}, {Code: "a.link", Action: verdict.Reported}, {Code: "a.bomb", Action: verdict.Refused, Place: "p9"},
	})
	want := []Group{
		{verdict.Refused, []Kind{{Code: "a.bomb", Count: 1, Spots: []Spot{{Place: "p9"}}}}},
		{verdict.Removed, []Kind{{Code: "a.link", Count: 5, Spots: []Spot{{"p1", "", 2}, {Place: "p2"}, {Place: "p3", Detail: "x"}}, More: []Spot{{Place: "p4"}}}, {Code: "a.macro", Count: 1}}},
		{verdict.Reported, []Kind{{Code: "a.link", Count: 1}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("groups differ (-want +got):\n%s", d)
	}
}
