package gate

import (
	"path/filepath"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
	"github.com/sekisho/sekisho/dataplane/place"
)

// Fits tells why the last accepted generation of an instance would be refused under other anchors; nil when it would not, or
// when there is none. For whoever is about to change them; nothing of the gate is touched.
func Fits(instance place.Instance, a *anchors.Anchors) error {
	last, err := readGeneration(filepath.Join(instance.StateOf("dataplane"), "generation.json"))
	if err != nil || last == nil {
		return err
	}
	if err := checkObjects(&last.Generation, a, nil); err != nil {
		return &Refusal{Problems: err}
	}
	if v := proof.Check(&last.Tables, a); len(v) > 0 {
		return &Refusal{Violations: v}
	}
	return nil
}
