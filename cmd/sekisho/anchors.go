package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/anchors/history"
	"github.com/sekisho/sekisho/dataplane/durable"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/place"
)

const anchorsUsage = "anchors FILE | history --name N [--json] | diff --name N [A [B]] | put --name N [--yes] FILE"

// runAnchors prints the anchors that a configuration needs, for root to put into force, or does one of the things with those
// that are: all of it at the box, by files that are root's; no socket serves it.
func runAnchors(_ context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "history":
			return anchorsHistory(args[1:], stdout, stderr)
		case "diff":
			return anchorsDiff(args[1:], stdout, stderr)
		case "put":
			return anchorsPut(args[1:], os.Stdin, stdout, stderr)
		}
	}
	return derive(anchorsUsage, args, stdout, stderr, func(cfg *config.Config) ([]byte, error) {
		a := policy.Anchors(cfg)
		if err := a.Validate(); err != nil {
			return nil, err
		}
		return a.YAML()
	})
}

func historyOf(name string) history.Book {
	return history.Book{Dir: place.Instance(name).AnchorsHistory()}
}

// anchorsHistory lists the anchors that the dataplane ran with, newest first.
func anchorsHistory(args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("anchors history", stderr)
	asJSON := flags.Bool("json", false, "print the list as JSON")
	if flags.Parse(args) != nil || *name == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: sekisho anchors history --name N [--json]")
		return exitUsage
	}
	told, err := historyOf(*name).List(0)
	if err != nil {
		fmt.Fprintln(stderr, "sekisho anchors history:", err)
		return exitFailed
	}
	if *asJSON {
		return printJSON(stdout, stderr, told)
	}
	for _, t := range told {
		fmt.Fprintf(stdout, "%d\t%s\t%s\n", t.Number, t.Time.Local().Format(time.DateTime), t.Hash)
		printChanges(stdout, t.Changes)
		if t.Error != "" {
			fmt.Fprintf(stdout, "    %s\n", t.Error)
		}
	}
	if len(told) == 0 {
		fmt.Fprintf(stdout, "none yet: sekisho-dataplane keeps the first when it starts\n")
	}
	return exitOK
}

func printChanges(w io.Writer, changes []anchors.Change) {
	for _, c := range changes {
		fmt.Fprintf(w, "    %s\n", c)
	}
}

// anchorsDiff tells what differs: between two numbers of the history, one and the file, or the last one and the file. Exit code
// 1 when something does.
func anchorsDiff(args []string, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("anchors diff", stderr)
	rest, err := interspersed(flags, args)
	if err != nil || *name == "" || len(rest) > 2 {
		fmt.Fprintln(stderr, "usage: sekisho anchors diff --name N [A [B]]   numbers of the history; without B the file, without A the number in force")
		return exitUsage
	}
	b := historyOf(*name)
	if len(rest) == 0 {
		n, err := b.Last()
		if err == nil && n == 0 {
			err = errors.New("there is no history yet: sekisho-dataplane keeps the first copy when it starts")
		}
		if err != nil {
			fmt.Fprintln(stderr, "sekisho anchors diff:", err)
			return exitUsage
		}
		rest = []string{strconv.Itoa(n)}
	}
	var both [2]*anchors.Anchors
	for i := range both {
		if i < len(rest) {
			both[i], err = numbered(b, rest[i])
		} else {
			both[i], err = anchors.Load(place.Instance(*name).Anchors())
		}
		if err != nil {
			fmt.Fprintln(stderr, "sekisho anchors diff:", err)
			return exitUsage
		}
	}
	changes := anchors.Diff(both[0], both[1])
	for _, c := range changes {
		fmt.Fprintln(stdout, c)
	}
	if len(changes) > 0 {
		return exitFailed
	}
	return exitOK
}

func numbered(b history.Book, number string) (*anchors.Anchors, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("%q: want a number of the history", number)
	}
	text, err := b.Read(n)
	if err != nil {
		return nil, err
	}
	return anchors.Parse(text)
}

// anchorsPut makes a file the anchors of the gate, once root has read what changes and typed the gate's name. It is in force
// when the dataplane starts the next time.
func anchorsPut(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags, name := instanceFlags("anchors put", stderr)
	yes := flags.Bool("yes", false, "do not ask")
	files, err := interspersed(flags, args)
	if err != nil || *name == "" || len(files) != 1 {
		fmt.Fprintln(stderr, "usage: sekisho anchors put --name N [--yes] FILE")
		return exitUsage
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "sekisho anchors put:", err)
		return exitFailed
	}
	if os.Geteuid() != 0 {
		return fail(errors.New("only root may change the anchors, at the box itself"))
	}
	target := place.Instance(*name).Anchors()
	next, text, err := anchors.Read(files[0], anchors.AnyOwner())
	if err != nil {
		return fail(err)
	}
	now, before, err := anchors.Read(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(fmt.Errorf("%w; is %q the gate's name? `sekisho init` writes the first ones", err, *name))
	case err != nil:
		return fail(err)
	case bytes.Equal(before, text):
		fmt.Fprintf(stdout, "%s is what %s says already: nothing changes\n", files[0], target)
		return exitOK
	}
	changes := anchors.Diff(now, next)
	fmt.Fprintf(stdout, "%s would change in these points:\n", target)
	printChanges(stdout, changes)
	if len(changes) == 0 {
		fmt.Fprintln(stdout, "    none: only comments, or the order of what has none")
	}
	if err := gate.Fits(place.Instance(*name), next); err != nil {
		fmt.Fprintf(stdout, "WARNING: the policy in force does not fit them: at its next start sekisho-dataplane closes everything until one is committed that does\n    %s\n",
			strings.ReplaceAll(err.Error(), "\n", "\n    "))
	}
	if !*yes {
		fmt.Fprintf(stdout, "Type the gate's name, %s, to put them there: ", *name)
		line, err := bufio.NewReader(io.LimitReader(stdin, 1<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) || strings.TrimSpace(line) != *name {
			fmt.Fprintln(stdout)
			return fail(errors.New("nothing was changed: the name was not typed"))
		}
	}
	if err := durable.Replace(target, text, 0o644); err != nil {
		return fail(err)
	}
	fmt.Fprintf(stdout, "%s is written. It binds from the next start of the dataplane on: systemctl restart sekisho-dataplane (packets go on meanwhile)\n", target)
	return exitOK
}
