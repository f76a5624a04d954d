// Command sekisho-sanitize is the one-shot worker inside a sandbox: one file in, one verdict out. It opens no file, no socket
// and starts no program; all it has are standard input and output. Only as a tool, in a sandbox of another kind, it starts the one
// program that was asked for, and says nothing about the file but what that program made of it.
//
//	sekisho-sanitize sanitize   reads a job, writes the report and, when clean, the rebuilt file
//	sekisho-sanitize verify     reads a job with a rebuilt file, writes the second opinion
//	sekisho-sanitize tool       reads a need, writes the answer
//	sekisho-sanitize office     the same for documents, with LibreOffice started before
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/sekisho/sekisho/dataplane/sandbox/inside"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// workers by name. Each reads one job and writes one report; an error means that no report was written.
var workers = map[string]func(stdin io.Reader, stdout io.Writer) error{
	"sanitize": runSanitize,
	"verify":   runVerify,
	"tool":     runTool,
	"office":   runOffice,
}

func main() {
	if len(os.Args) != 2 || workers[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: sekisho-sanitize sanitize|verify|tool|office < job > report")
		os.Exit(2)
	}
	if starts := os.Args[1] == "tool" || os.Args[1] == "office"; !starts {
		if err := inside.Seal(); err != nil {
			fmt.Fprintf(os.Stderr, "sekisho-sanitize %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
	}
	if err := workers[os.Args[1]](os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "sekisho-sanitize %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// runSanitize has no clock of its own: the broker's budget ends the process.
func runSanitize(stdin io.Reader, stdout io.Writer) error {
	job, in, err := verdict.ReadJob(stdin, sanitize.MaxIn)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(400<<20 + 8*int64(len(in))) // collect early rather than run into the sandbox's limit
	var out bytes.Buffer
	opt := sanitize.Options{MaxOut: job.MaxOut, Formats: job.Formats, Policy: job.Policy, Keys: job.Keys, Answers: job.Answers}
	if job.Scan {
		opt.Member = func(place string, in []byte) error { return verdict.WriteMember(stdout, place, in) }
	}
	report, needs := sanitize.Rebuild(context.Background(), job.Name, in, &out, opt)
	if len(needs) > 0 {
		return verdict.WriteNeeds(stdout, report, needs)
	}
	return verdict.WriteReport(stdout, report, out.Bytes())
}
