package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/place"
)

// runDiff compares two texts: a file with the head, or two revisions. What changes in packets stands above the lines that change.
// Exit code 1 when the texts differ.
func runDiff(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("diff", stderr)
	lang := langFlag(flags)
	asJSON := flags.Bool("json", false, "only what changes in packets, registrations and records, as JSON")
	rest, err := interspersed(flags, args)
	if err != nil || *name == "" || len(rest) < 1 || len(rest) > 2 {
		fmt.Fprintln(stderr, "usage: sekisho diff --name N [--lang ja|en] [--json] FILE|REVISION [FILE|REVISION]   one alone is compared with the head")
		return exitUsage
	}
	if len(rest) == 1 {
		rest = []string{"head", rest[0]}
	}
	dir, err := os.MkdirTemp("", "sekisho-diff")
	if err != nil {
		fmt.Fprintln(stderr, "sekisho diff:", err)
		return exitUsage
	}
	defer os.RemoveAll(dir)
	var files [2]string
	var texts [2][]byte
	for n, what := range rest {
		text, err := textOf(ctx, place.Instance(*name), what)
		texts[n] = text
		if err == nil {
			files[n] = filepath.Join(dir, fmt.Sprint(n))
			err = os.WriteFile(files[n], text, 0o600)
		}
		if err != nil {
			fmt.Fprintln(stderr, "sekisho diff:", err)
			return exitUsage
		}
	}
	d := compared(texts, rest, stderr)
	switch {
	case *asJSON && d == nil:
		return exitUsage
	case *asJSON:
		if code := printJSON(stdout, stderr, d); code != exitOK || bytes.Equal(texts[0], texts[1]) {
			return code
		}
		return exitFailed
	case d != nil:
		if err := d.Print(stdout, *lang); err != nil {
			fmt.Fprintln(stderr, "sekisho diff:", err)
			return exitUsage
		}
		fmt.Fprintln(stdout)
	}
	c := exec.CommandContext(ctx, "diff", "-u", "--label", rest[0], "--label", rest[1], files[0], files[1])
	c.Stdout, c.Stderr = stdout, stderr
	err = c.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return exitFailed
	}
	fmt.Fprintln(stderr, "sekisho diff:", err)
	return exitUsage
}

func textOf(ctx context.Context, i place.Instance, what string) ([]byte, error) {
	if strings.Trim(what, "0123456789") != "" && what != "head" {
		return os.ReadFile(what)
	}
	var r struct {
		Text string `json:"text"`
	}
	err := control{i}.call(ctx, http.MethodGet, "/revisions/"+what, nil, &r)
	return []byte(r.Text), err
}

// runStatus prints what control sees, as JSON, and on standard error how the antivirus program stands where that needs somebody.
func runStatus(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("status", stderr)
	flags.Bool("json", true, "it is always JSON")
	if flags.Parse(args) != nil || *name == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho status --name N [--json]")
		return exitUsage
	}
	var raw json.RawMessage
	var out struct {
		Gate struct {
			Antivirus *antivirus.Standing `json:"antivirus"`
		} `json:"gate"`
	}
	err := (control{place.Instance(*name)}).call(ctx, http.MethodGet, "/status", nil, &raw)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		fmt.Fprintln(stderr, "sekisho status:", err)
		return exitFailed
	}
	if line := antivirusLine(out.Gate.Antivirus); line != "" {
		fmt.Fprintln(stderr, "sekisho status:", line)
	}
	return printJSON(stdout, stderr, raw)
}

// antivirusLine says what is wrong with the antivirus program; empty when nothing is.
func antivirusLine(s *antivirus.Standing) string {
	switch {
	case s == nil:
		return "how the antivirus program stands is not known yet"
	case !s.Reachable:
		return "the antivirus program does not answer: no file passes (" + s.Detail + ")"
	case s.Level == antivirus.Blocking:
		return fmt.Sprintf("no file passes: %s (%s)", antivirus.Sentences.Sentence(s.Code, "en"), s.Detail)
	case s.Level != antivirus.Fresh:
		return fmt.Sprintf("virus signatures %d are %d days old: bring new ones", s.Signatures, s.AgeHours/24)
	}
	return ""
}

func instanceFlags(verb string, stderr io.Writer) (*flag.FlagSet, *string) {
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(stderr)
	return flags, flags.String("name", "sekisho", "`name` of the gate instance")
}
