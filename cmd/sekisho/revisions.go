package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/dataplane/place"
)

// runCommit brings a configuration into force (反映).
func runCommit(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("commit", stderr)
	comment := flags.String("comment", "", "why, for those who read the history")
	files, err := interspersed(flags, args)
	if err != nil || *name == "" || len(files) != 1 {
		fmt.Fprintln(stderr, "usage: sekisho commit --name N [--comment TEXT] FILE")
		return exitUsage
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		fmt.Fprintln(stderr, "sekisho commit:", err)
		return exitFailed
	}
	// Faults of the text are shown with the lines they stand in, as `sekisho check` does.
	cfg, faults := config.Parse(text)
	if len(faults) > 0 {
		faults.Print(stderr, files[0])
		return exitFailed
	}
	var r revision.Revision
	q := url.Values{"comment": {*comment}, "author": {operator()}}
	if err := (control{place.Instance(*name)}).call(ctx, http.MethodPost, "/revisions?"+q.Encode(), text, &r); err != nil {
		fmt.Fprintln(stderr, "sekisho commit:", err)
		return exitFailed
	}
	// Which records have expired is for control's clock to say.
	expired := slices.DeleteFunc(records(cfg), func(c *config.Communication) bool { return !slices.Contains(r.Expired, c.ID) })
	warnExpired(stderr, files[0], cfg, expired)
	fmt.Fprintf(stdout, "revision %d is in force: policy %s, tables %s\n", r.Number, r.Policy, r.Hash)
	return exitOK
}

func records(cfg *config.Config) (all []*config.Communication) {
	for i := range cfg.Communications {
		all = append(all, &cfg.Communications[i])
	}
	return all
}

// operator is who sits at the terminal, as far as sudo tells.
func operator() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}

// runHistory lists the revisions, newest first.
func runHistory(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("history", stderr)
	most := flags.Int("max", 20, "at most so `many`; 0 = all")
	if flags.Parse(args) != nil || *name == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho history --name N [--max N]")
		return exitUsage
	}
	var out struct {
		Revisions []revision.Revision `json:"revisions"`
	}
	if err := (control{place.Instance(*name)}).call(ctx, http.MethodGet, fmt.Sprintf("/revisions?max=%d", *most), nil, &out); err != nil {
		fmt.Fprintln(stderr, "sekisho history:", err)
		return exitFailed
	}
	for _, r := range out.Revisions {
		fmt.Fprintf(stdout, "%d\t%s\t%s\t%s\t%s\n", r.Number, r.Time.Local().Format(time.DateTime), r.Author, r.Policy, r.Comment)
	}
	return exitOK
}

// runDiff compares two texts: a file with the head, or two revisions. Exit code 1 when they differ.
func runDiff(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("diff", stderr)
	rest, err := interspersed(flags, args)
	if err != nil || *name == "" || len(rest) < 1 || len(rest) > 2 {
		fmt.Fprintln(stderr, "usage: sekisho diff --name N FILE|REVISION [FILE|REVISION]   one alone is compared with the head")
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
	for n, what := range rest {
		text, err := textOf(ctx, place.Instance(*name), what)
		if err == nil {
			files[n] = filepath.Join(dir, fmt.Sprint(n))
			err = os.WriteFile(files[n], text, 0o600)
		}
		if err != nil {
			fmt.Fprintln(stderr, "sekisho diff:", err)
			return exitUsage
		}
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

// runStatus prints what control sees, as JSON.
func runStatus(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("status", stderr)
	if flags.Parse(args) != nil || *name == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho status --name N")
		return exitUsage
	}
	var out map[string]any
	if err := (control{place.Instance(*name)}).call(ctx, http.MethodGet, "/status", nil, &out); err != nil {
		fmt.Fprintln(stderr, "sekisho status:", err)
		return exitFailed
	}
	return printJSON(stdout, stderr, out)
}

func instanceFlags(verb string, stderr io.Writer) (*flag.FlagSet, *string) {
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(stderr)
	return flags, flags.String("name", "sekisho", "`name` of the gate instance")
}
