package policy

import (
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

func TestExamplesAreProven(t *testing.T) {
	for _, name := range []string{"lab", "town", "city", "lines"} {
		t.Run(name, func(t *testing.T) {
			cfg := example(t, name)
			a := Anchors(cfg)
			if err := a.Validate(); err != nil {
				t.Fatalf("derived anchors: got %v, want none", err)
			}
			g, err := Compile(cfg, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range proof.Check(&g.Tables, a) {
				t.Error(v)
			}
		})
	}
}
