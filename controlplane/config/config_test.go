package config

import (
	"os"
	"testing"
)

func TestExamplesAreClean(t *testing.T) {
	for _, name := range []string{"lab", "town", "city"} {
		t.Run(name, func(t *testing.T) {
			doc, err := os.ReadFile("examples/" + name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			if _, errs := Parse(doc); errs != nil {
				t.Fatalf("got errors, want none:\n%v", errs)
			}
		})
	}
}
