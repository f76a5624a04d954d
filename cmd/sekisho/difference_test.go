package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What changes in packets stands above the changed lines; in JSON it stands alone.
func TestDiffTellsWhatChangesInPackets(t *testing.T) {
	lab := exampleDir + "lab.yaml"
	changed := spoiled(t, "    owner: 税務課\n    until: 2036-03-31", "    owner: 税務課\n    until: 2027-03-31")
	code, text := ran("diff", "--lang", "ja", lab, changed)
	packets, lines := strings.Index(text, "2027-04-01 から 2036-03-31 まで（eltax-submit）"), strings.Index(text, "-    until: 2036-03-31")
	if code != exitFailed || packets < 0 || lines < packets || !strings.Contains(text, "通らなくなるもの") {
		t.Errorf("got code %d:\n%s", code, text)
	}
	code, text = ran("diff", "--json", lab, changed)
	var d struct {
		Refused struct {
			First []struct {
				Records []string `json:"records"`
			} `json:"first"`
		} `json:"refused"`
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil || code != exitFailed || len(d.Refused.First) != 1 || d.Refused.First[0].Records[0] != "eltax-submit" {
		t.Errorf("got code %d, %v:\n%s", code, err, text)
	}
	if code, text = ran("diff", "--lang", "en", lab, lab); code != exitOK || !strings.Contains(text, "Nothing changes") {
		t.Errorf("the same file: got code %d:\n%s", code, text)
	}
}

// A text that is no configuration is still compared as a text.
func TestDiffOfWhatCannotBeRead(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("version: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, text := ran("diff", exampleDir+"lab.yaml", bad)
	if code != exitFailed || !strings.Contains(text, "only the texts are compared") || !strings.Contains(text, "+version: 7") {
		t.Errorf("got code %d:\n%s", code, text)
	}
}

func TestCheckAgainst(t *testing.T) {
	changed := spoiled(t, "  - id: web-use\n", "  - id: web-use\n    state: suspended\n")
	code, text := ran("check", "--lang", "en", changed, "--against", exampleDir+"lab.yaml")
	if code != exitOK || !strings.Contains(text, "Newly refused") || !strings.Contains(text, "state active -> suspended") {
		t.Errorf("got code %d:\n%s", code, text)
	}
}
