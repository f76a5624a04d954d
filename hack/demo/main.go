// Command demo shows the main job: it makes a town, does to its gate what a town hall and its enemies would do, measures
// what comes of it, prints the outcome, and then lets a person look around.
//
// Problem: a claim about a gate is worth what can be seen of it. Mechanism: eight steps of measured claims; each line of
// the outcome is one attempt on the real programs with what was expected and what was seen. Life cycle: a fresh town for
// each run, gone at its end, whatever the end. Invariant: a line is held only by what was measured in this run; an error
// on the way is a line that did not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/sekisho/sekisho/hack/town"
)

func main() {
	once := flag.Bool("once", false, "end after the main job; exit 0 only when every line held")
	name := flag.String("name", "demo"+strconv.Itoa(os.Getpid()), "name of the town")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	held, err := run(ctx, *name, *once, os.Stdout)
	interrupted := ctx.Err() != nil
	stop()
	if err != nil && !(interrupted && errors.Is(err, context.Canceled)) {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if !held || err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, name string, once bool, out io.Writer) (held bool, err error) {
	n, err := town.ParseName(name)
	if err != nil {
		return false, err
	}
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	start := time.Now()
	fmt.Fprintf(out, "Making the town hall %s in network namespaces\n", n)
	t, err := town.Up(ctx, n, town.Options{Bin: filepath.Dir(self), Progress: out})
	if err != nil {
		return false, err
	}
	defer func() {
		if derr := t.Down(); derr != nil {
			held, err = false, errors.Join(err, derr)
		} else {
			fmt.Fprintln(out, "The town is gone; nothing of it is left on this machine.")
		}
	}()
	j := &job{town: t, name: n, out: out, start: start}
	err = j.run(ctx)
	if len(j.lines) > 0 {
		j.table()
	}
	held = err == nil && j.held()
	if !held && ctx.Err() == nil {
		n.TailLogs(out)
		defer j.failures() // after the logs and the town's end, where a reader looks first
	}
	if once || ctx.Err() != nil {
		return held, err
	}
	if err != nil {
		fmt.Fprintln(out, "\nNot all could be shown:", err)
	}
	return held, j.serve(ctx)
}

func (j *job) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{j.proven, j.packets, j.tunnel, j.files, j.refusals, j.ledger, j.crash, j.audited} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
