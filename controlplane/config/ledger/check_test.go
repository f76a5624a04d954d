package ledger

import (
	"testing"

	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// TestATextThatMeansSomethingElse: when the text became another document than the ledger says, nothing is given out.
func TestATextThatMeansSomethingElse(t *testing.T) {
	cfg, next := parsed(t, examples.Lab), parsed(t, examples.Lab)
	next.Communications[0].Class = "backup"
	_, lay, err := apply(examples.Lab, nil)
	if err != nil {
		t.Fatal(err)
	}
	im := &importer{cfg: cfg, next: next, report: &Report{}}
	if im.check(examples.Lab, lay) || len(im.report.Faults) != 1 || im.report.Faults[0].Code != "edit.layout" {
		t.Errorf("got %v, want edit.layout", im.report.Faults)
	}
}
