package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sekisho/sekisho/dataplane/durable"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path, outside := filepath.Join(dir, "key"), filepath.Join(t.TempDir(), "outside")
	for _, f := range []struct{ name, text string }{{path, "old and longer"}, {outside, "untouched"}} {
		if err := os.WriteFile(f.name, []byte(f.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What a killed writer, or somebody else, left under the stage's name is neither followed nor kept.
	if err := os.Symlink(outside, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "new", outside: "untouched"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode: got %v, %v; want 0600", fi.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("files left: got %v, %v; want the one", left, err)
	}
}

func TestReplaceKeepsTheOldOnFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path+".new/full", 0o700); err != nil { // the stage's name cannot be had
		t.Fatal(err)
	}
	if err := durable.Replace(path, []byte("new"), 0o600); err == nil {
		t.Fatal("got no error, want one")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("got %q, %v; want the old content", got, err)
	}
}
