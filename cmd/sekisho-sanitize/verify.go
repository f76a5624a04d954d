package main

import (
	"context"
	"io"
	"runtime/debug"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// runVerify reads a rebuilt file and answers with the second opinion. The report comes alone: the caller holds the bytes.
func runVerify(stdin io.Reader, stdout io.Writer) error {
	debug.SetMemoryLimit(384 << 20) // collect early rather than run into the sandbox's limit
	job, in, err := verdict.ReadJob(stdin, verify.MaxIn)
	if err != nil {
		return err
	}
	route := verify.Route{Policy: job.Policy, Formats: job.Formats, Keys: job.Keys}
	return verdict.WriteReport(stdout, route.Check(context.Background(), job.Name, in), nil)
}
