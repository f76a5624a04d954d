package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func TestSanitizeCommand(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test makes a control group: run it as root")
	}
	dir, err := os.MkdirTemp("/var/tmp", "sekisho-cli-") // where the sandbox's user may read the worker
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	worker := filepath.Join(dir, "sekisho-sanitize")
	build := exec.Command("go", "build", "-o", worker, "github.com/sekisho/sekisho/cmd/sekisho-sanitize")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	file := func(name, s string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	table, text, program := file("表.csv", "=1+1,-2\n"), file("a.txt", "関所\n"), file("請求書.pdf", "MZ\x90\x00\x03")
	out, report := filepath.Join(dir, "out"), filepath.Join(dir, "report.json")
	run := func(args ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := runSanitize(t.Context(), append(args, "--worker", worker), &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	if code, said := run(table, "--out", out, text, "--report", report); code != exitOK {
		t.Fatalf("clean files: %d %s", code, said)
	}
	if b, err := os.ReadFile(filepath.Join(out, "表.csv")); err != nil || string(b) != "'=1+1,-2\n" {
		t.Errorf("%q %v", b, err)
	}
	var results []fileResult
	b, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(b, &results)
	}
	if err != nil || len(results) != 2 || results[0].Verified == nil || results[0].Verified.Outcome != verdict.Clean {
		t.Errorf("report: %v %s", err, b)
	}
	code, said := run(text, program, "--out", out)
	if code != exitFailed || !strings.Contains(said, "blocked") {
		t.Errorf("with a program among them: %d %s", code, said)
	}
	if names, err := filepath.Glob(out + "/*"); err != nil || len(names) != 3 || !slices.Contains(names, filepath.Join(out, "a-2.txt")) {
		t.Errorf("nothing is overwritten, nothing blocked is written: %v %v", names, err)
	}
	c := clamtest.Start(t, clamtest.Options{Made: time.Now()})
	for name, want := range map[string]struct {
		code int
		said string
	}{c.Settings.Socket: {exitOK, "ClamAV 1."}, filepath.Join(dir, "nobody"): {exitFailed, "antivirus program does not answer"}, "": {exitOK, "No antivirus program looked"}} {
		code, said := run(text, "--out", out, "--report", report, "--clamd", name)
		b, err := os.ReadFile(report)
		if err != nil || code != want.code || !strings.Contains(said+string(b), want.said) {
			t.Errorf("clamd at %q: %d %s %s %v, want %q", name, code, said, b, err, want.said)
		}
	}
	for _, args := range [][]string{{}, {text}, {"--out", out}, {text, "--out", out, "--unknown"}} {
		if code, _ := run(args...); code != exitUsage {
			t.Errorf("%v: %d", args, code)
		}
	}
	if code, _ := run(filepath.Join(dir, "none.txt"), "--out", out); code != exitFailed {
		t.Errorf("a file that is not there: %d", code)
	}
}

func TestInterspersedFlags(t *testing.T) {
	flags := flag.NewFlagSet("x", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	out := flags.String("out", "", "")
	files, err := interspersed(flags, []string{"a", "--out", "d", "b", "--", "--c"})
	if err != nil || *out != "d" || !slices.Equal(files, []string{"a", "b", "--c"}) {
		t.Errorf("%v %q %v", files, *out, err)
	}
}
