// Command fuzz runs the fuzz targets of the file lane, and keeps count.
//
// Problem: what fuzzing is worth grows with how often it ran, over months, and `go test -fuzz` forgets. Mechanism: every target that the
// test packages list runs for the same time; the executions that Go reports are added to a ledger in this folder, which is committed.
// Life cycle: one run, the target that ran least first; Ctrl-C ends it, and what was done counts. Invariant: only executions that Go
// reported count; a target that fails keeps its count and ends the run with an error.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const ledgerFile = "hack/fuzz/executions.json"

var packages = []string{"./dataplane/sanitize/...", "./dataplane/verify/...", "./dataplane/verdict/...", "./dataplane/sandbox/...", "./dataplane/antivirus/..."}

func main() {
	each := flag.Duration("each", time.Minute, "how long each target runs")
	only := flag.String("only", "", "regular expression of the targets, as PACKAGE.FuzzName; all by default")
	parallel := flag.Int("parallel", 0, "processes of a target; as many as processors by default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *each, *only, *parallel); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, each time.Duration, only string, parallel int) error {
	pick, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	ledger, err := read()
	if err != nil {
		return err
	}
	targets, err := list(ctx)
	if err != nil {
		return err
	}
	targets = slices.DeleteFunc(targets, func(t string) bool { return !pick.MatchString(t) })
	slices.SortStableFunc(targets, func(a, b string) int { return int(min(1, max(-1, ledger[a]-ledger[b]))) })
	var errs []error
	for _, t := range targets {
		if ctx.Err() != nil {
			break
		}
		n, err := fuzz(ctx, t, each, parallel)
		ledger[t] += n
		fmt.Printf("%-60s %12d more, %14d in all\n", t, n, ledger[t])
		errs = append(errs, err, write(ledger))
	}
	return errors.Join(errs...)
}

// list gives all targets as PACKAGE.FuzzName.
func list(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-list", "^Fuzz"}, packages...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the targets: %w", err)
	}
	var all, names []string
	for line := range strings.Lines(string(out)) {
		switch f := strings.Fields(line); {
		case len(f) == 1 && strings.HasPrefix(f[0], "Fuzz"):
			names = append(names, f[0])
		case len(f) >= 2 && f[0] == "ok": // names stand before the line of their package
			for _, n := range names {
				all = append(all, f[1]+"."+n)
			}
			names = nil
		}
	}
	return all, nil
}

// shorten is how often Go runs an input that reached something new while it looks for a shorter one. By default it does so for a minute
// each, in which nothing else runs.
const shorten = "100x"

var executions = regexp.MustCompile(`execs: (\d+)`)

// fuzz runs one target and answers how often Go says that it ran.
func fuzz(ctx context.Context, target string, d time.Duration, parallel int) (int64, error) {
	i := strings.LastIndexByte(target, '.')
	args := []string{"test", "-run", "^$", "-fuzz", "^" + target[i+1:] + "$", "-fuzztime", d.String(), "-fuzzminimizetime", shorten}
	if parallel > 0 {
		args = append(args, "-parallel", strconv.Itoa(parallel))
	}
	cmd := exec.CommandContext(ctx, "go", append(args, target[:i])...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var n int64
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := executions.FindStringSubmatch(lines.Text()); m != nil {
			if n, err = strconv.ParseInt(m[1], 10, 64); err != nil {
				return 0, err
			}
			continue
		}
		fmt.Fprintln(&said, lines.Text())
	}
	io.Copy(io.Discard, out) // a line that is too long; the status counts
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		return n, fmt.Errorf("%s: %w\n%s", target, err, said.String())
	}
	return n, nil
}

func read() (map[string]int64, error) {
	ledger := map[string]int64{}
	b, err := os.ReadFile(ledgerFile)
	if errors.Is(err, os.ErrNotExist) {
		return ledger, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &ledger)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s (start in the project's folder): %w", ledgerFile, err)
	}
	return ledger, nil
}

func write(ledger map[string]int64) error {
	maps.DeleteFunc(ledger, func(_ string, n int64) bool { return n == 0 })
	b, err := json.MarshalIndent(ledger, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(ledgerFile, append(b, '\n'), 0o644)
}
