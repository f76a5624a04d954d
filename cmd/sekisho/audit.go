package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sekisho/sekisho/controlplane/audit"
)

// runAudit verifies and shows audit logs, offline: a directory and a key are enough.
func runAudit(_ context.Context, args []string, stdout, stderr io.Writer) int {
	const usage = `usage: sekisho audit verify [--key FILE] [--checkpoint FILE] DIR
       sekisho audit show [--from N] [--max N] DIR`
	if len(args) > 0 {
		switch args[0] {
		case "verify":
			return auditVerify(args[1:], stdout, stderr, usage)
		case "show":
			return auditShow(args[1:], stdout, stderr, usage)
		}
	}
	fmt.Fprintln(stderr, usage)
	return exitUsage
}

func auditVerify(args []string, stdout, stderr io.Writer, usage string) int {
	flags := flag.NewFlagSet("audit verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	keyFile := flags.String("key", "", "verifier key `file` that root kept; by default the copy that lies with the log")
	known := flags.String("checkpoint", "", "`file` with a checkpoint kept elsewhere, which the log must still hold")
	if flags.Parse(args) != nil || flags.NArg() != 1 {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	dir := flags.Arg(0)
	fail := func(err error) int {
		fmt.Fprintln(stderr, "sekisho audit verify:", err)
		return exitFailed
	}
	own := *keyFile == ""
	if own {
		*keyFile = filepath.Join(dir, "key.pub")
	}
	key, err := audit.ReadKey(*keyFile)
	if err != nil {
		return fail(err)
	}
	var kept *audit.Checkpoint
	if *known != "" {
		b, err := os.ReadFile(*known)
		if err != nil {
			return fail(err)
		}
		c, err := audit.OpenCheckpoint(b, key)
		if err != nil {
			return fail(fmt.Errorf("%s: %w", *known, err))
		}
		kept = &c
	}
	r, err := audit.Verify(dir, key, kept)
	if err != nil {
		return fail(err)
	}
	for _, p := range r.Problems {
		fmt.Fprintln(stdout, p)
	}
	if len(r.Problems) > 0 {
		fmt.Fprintf(stdout, "the log does NOT hold: %d problems, %d events read\n", len(r.Problems), r.Events)
		return exitFailed
	}
	fmt.Fprintf(stdout, "the log holds: %d events under %d checkpoints, root %s, last sealed %s, key %s\n",
		r.Events, r.Checkpoints, r.Last.Tree.Hash, r.Last.Time.Format("2006-01-02T15:04:05Z07:00"), key.Name())
	if own {
		fmt.Fprintln(stderr, "note: verified with the key that lies with the log; --key with root's copy shows also whose log it is")
	}
	return exitOK
}

func auditShow(args []string, stdout, stderr io.Writer, usage string) int {
	flags := flag.NewFlagSet("audit show", flag.ContinueOnError)
	flags.SetOutput(stderr)
	from := flags.Int64("from", 0, "first event, by `index`")
	most := flags.Int64("max", 0, "at most so `many`; 0 = all")
	if flags.Parse(args) != nil || flags.NArg() != 1 || *from < 0 || *most < 0 {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	enc := json.NewEncoder(stdout)
	err := audit.Each(flags.Arg(0), *from, *most, func(r audit.Record) error {
		return enc.Encode(struct {
			Index int64 `json:"index"`
			audit.Event
		}{r.Index, r.Event})
	})
	if err != nil {
		fmt.Fprintln(stderr, "sekisho audit show:", err)
		return exitFailed
	}
	return exitOK
}
