package equal_test

import (
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// example is one of the configurations that come with the program.
func example(t *testing.T, name string) *config.Config {
	t.Helper()
	doc, err := os.ReadFile("../../config/examples/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, errs := config.Parse(doc)
	if errs != nil {
		t.Fatal(errs)
	}
	return cfg
}

// compiled gives the tables that a configuration makes, and the anchors that it needs.
func compiled(t interface{ Fatal(...any) }, cfg *config.Config) (*packet.Tables, *anchors.Anchors) {
	a := policy.Anchors(cfg)
	g, err := policy.Compile(cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	return &g.Tables, a
}

func TestExamplesAreEqual(t *testing.T) {
	for _, name := range []string{"lab", "town", "city", "lines"} {
		t.Run(name, func(t *testing.T) {
			cfg := example(t, name)
			tables, a := compiled(t, cfg)
			for _, f := range equal.Check(cfg, a, tables) {
				t.Error(f)
			}
		})
	}
}

func TestDrawnConfigurationsAreEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, cfg := drawn.Config(t)
		tables, a := compiled(t, cfg)
		for _, f := range equal.Check(cfg, a, tables) {
			t.Fatalf("%v\n%s", f, doc)
		}
	})
}
