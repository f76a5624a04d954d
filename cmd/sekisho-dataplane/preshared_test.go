package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/place"
)

func TestPresharedKeyGoesToAnotherBox(t *testing.T) {
	const here, there = "psk-here", "psk-there"
	for name, peer := range map[string]string{here: "tokyo-a", there: "gate"} {
		i := place.Instance(name)
		t.Cleanup(func() {
			if err := errors.Join(os.RemoveAll(i.State()), os.RemoveAll(i.Etc())); err != nil {
				t.Error(err)
			}
		})
		text := `{version: 1, name: box, segments: [{id: line, zone: uplink, attach: port, port: wan0, prefixes: [192.0.2.0/24], gate: [192.0.2.1]},
			{id: tokyo, zone: my-number, attach: tunnel, port: wg0, prefixes: [198.51.100.0/26], gate: [198.51.100.62]}], tunnels: [{device: wg0, line: line, listen: 51820, peers: [
			{id: ` + peer + `, segment: tokyo, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51820", allowed: [198.51.100.0/26], probe: 198.51.100.1}]}], services: []}`
		if err := errors.Join(os.MkdirAll(i.Etc(), 0o755), os.WriteFile(i.Anchors(), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
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
	for stdin, args := range map[string][]string{"not a key": {"--name", here, "import", "tokyo-a"}, "x": {"--name", here, "rotate", "tokyo-a"},
		strings.TrimSpace(key): {"--name", here, "import", "tokio-a"}, "": {"--name", here, "export", "tokio-a"}} {
		if code, _, errs := run(stdin, args...); code != 1 || errs == "" {
			t.Errorf("%v: exit %d, %q; want 1 and why", args, code, errs)
		}
	}
}
