package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/place"
)

func TestPresharedKeyGoesToAnotherBox(t *testing.T) {
	const here, there = "psk-here", "psk-there"
	t.Cleanup(func() {
		for _, name := range []string{here, there} {
			if err := os.RemoveAll(place.Instance(name).State()); err != nil {
				t.Error(err)
			}
		}
	})
	run := func(stdin string, args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := preshared(args, strings.NewReader(stdin), &out, &errs)
		return code, out.String(), errs.String()
	}
	code, key, errs := run("", "--name", here, "export", "tokyo-a")
	if code != 0 || len(strings.TrimSpace(key)) != 44 {
		t.Fatalf("export: exit %d, %d characters, %s", code, len(key), errs)
	}
	if code, out, errs := run(key, "--name", there, "import", "gate"); code != 0 || out != "" {
		t.Errorf("import: exit %d, %q, %s; want nothing said", code, out, errs)
	}
	if _, again, _ := run("", "--name", there, "export", "gate"); again != key {
		t.Error("the other box has another key")
	}
	for _, args := range [][]string{{"export", "a"}, {"--name", here, "export"}, {"--name", here}, {"--name", here, "--secret", "export", "a"}} {
		if code, out, _ := run("", args...); code != 2 || out != "" {
			t.Errorf("%v: exit %d, %q; want 2 and how it is used", args, code, out)
		}
	}
	for stdin, args := range map[string][]string{"not a key": {"--name", here, "import", "a"}, "x": {"--name", here, "rotate", "a"}} {
		if code, _, errs := run(stdin, args...); code != 1 || errs == "" {
			t.Errorf("%v: exit %d, %q; want 1 and why", args, code, errs)
		}
	}
}
