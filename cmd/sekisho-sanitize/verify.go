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
	report := verify.CheckFor(context.Background(), job.Policy, job.Name, in, job.Keys...)
	if report.Outcome == verdict.Clean && len(job.Formats) > 0 && !verdict.AdmitsResult(job.Formats, report.Family) {
		report.Outcome, report.After = verdict.Blocked, nil
		report.Findings = append(report.Findings, verdict.Finding{Code: "verify.format", Action: verdict.Refused, Detail: report.Family})
	}
	return verdict.WriteReport(stdout, report, nil)
}
