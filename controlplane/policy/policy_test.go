package policy

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

func example(t testing.TB, name string) *config.Config {
	t.Helper()
	doc, err := os.ReadFile("../config/examples/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, errs := config.Parse(doc)
	if errs != nil {
		t.Fatalf("parse %s: %v", name, errs)
	}
	return cfg
}

func TestCompileIsDeterministic(t *testing.T) {
	cfg := example(t, "lab")
	first, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Compile(cfg, Anchors(cfg))
		if err != nil {
			t.Fatal(err)
		}
		if packet.Hash(again.Tables) != packet.Hash(first.Tables) {
			t.Fatal("two compilations of one document differ:", cmp.Diff(first, again))
		}
	}
	t.Logf("%d classes, %d ports, %d cells, %d rules", len(first.Tables.Classes), len(first.Tables.Ports), len(first.Tables.Cells), len(first.Tables.Rules))
}
