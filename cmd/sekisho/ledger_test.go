package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/hack/ledgers"
)

// TestLedgerCommands: a town's ledger into the lab's configuration and back: map, dry run, import, export, import again.
func TestLedgerCommands(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, b []byte) string {
		t.Helper()
		if err := os.WriteFile(at(name), b, 0o640); err != nil {
			t.Fatal(err)
		}
		return at(name)
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	expect := func(code int, want string, args ...string) string {
		t.Helper()
		got, text := ran(append(args, "--lang", "en")...)
		if got != code || !strings.Contains(text, want) {
			t.Fatalf("%v: code %d, want %d and %q\n%s", args, got, code, want, text)
		}
		return text
	}
	cfg, errs := config.Parse(examples.Lab)
	if errs != nil {
		t.Fatal(errs)
	}
	if err := ledgers.Write(at("daicho.xlsx"), cfg, 20); err != nil {
		t.Fatal(err)
	}
	town := write("town.yaml", examples.Lab)

	mapped := expect(0, "D: from-ip", "ledger", "map", at("daicho.xlsx"))
	m := write("daicho.map", []byte(mapped))
	expect(0, "20 added", "ledger", "import", at("daicho.xlsx"), "--into", town, "--map", m, "--dry-run", "--report", at("report.json"))
	if !bytes.Equal(read("town.yaml"), examples.Lab) {
		t.Error("the dry run has written")
	}
	var report struct {
		Rows []struct {
			Fate, Cell string
		}
		Totals  map[string]int
		Written bool
	}
	if err := json.Unmarshal(read("report.json"), &report); err != nil || report.Totals["added"] != 20 || report.Written || len(report.Rows) < 20 {
		t.Errorf("report: %v %+v", err, report)
	}
	expect(0, "written to", "ledger", "import", at("daicho.xlsx"), "--into", town, "--map", m)
	if fi, err := os.Stat(town); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode of %s: %v %v", town, fi.Mode(), err)
	}
	expect(0, "valid", "check", town)
	after := read("town.yaml")
	for _, f := range [][]string{{"out.xlsx"}, {"out.csv"}, {"sjis.csv", "--encoding", "shift_jis"}} {
		expect(0, "written to", append([]string{"ledger", "export", town, "--out", at(f[0])}, f[1:]...)...)
		expect(0, "0 added, 0 changed", "ledger", "import", at(f[0]), "--into", town)
		if !bytes.Equal(read("town.yaml"), after) {
			t.Fatalf("%s changes the configuration that it came from", f[0])
		}
	}

	bad := write("bad.csv", bytes.Replace(read("out.csv"), []byte(",TCP/443,"), []byte(",TCP/44300,"), 1))
	if text := expect(1, "REFUSED", "ledger", "import", bad, "--into", town); !strings.Contains(text, "bad!N") || !strings.Contains(text, "nothing was written") {
		t.Error(text)
	}
	expect(0, "1 refused", "ledger", "import", bad, "--into", town, "--partial", "--out", at("new.yaml"))
	if !bytes.Equal(read("town.yaml"), after) || !bytes.Equal(read("new.yaml"), after) {
		t.Error("a refused row has changed the configuration")
	}
	expect(1, "the old format", "ledger", "map", write("old.xls", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), 0)))
	expect(1, "there is no field nummer", "ledger", "import", at("daicho.xlsx"), "--into", town, "--map", write("daicho.map2", []byte("columns: {A: nummer}\n")))
	expect(1, "must be valid before", "ledger", "import", at("daicho.xlsx"), "--into", write("broken.yaml", []byte("version: 2\n")))
	expect(2, "--into is missing", "ledger", "import", at("daicho.xlsx"))
	expect(2, ".xlsx or .csv", "ledger", "export", town, "--out", at("x.ods"))
	if code, text := ran("ledger"); code != 2 || !strings.Contains(text, "ledger import") {
		t.Errorf("code %d\n%s", code, text)
	}
}
