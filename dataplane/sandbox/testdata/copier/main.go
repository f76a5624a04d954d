// Command copier is a rebuilder that is wrong in the worst way, for the tests: it calls every file clean and hands it on as it
// came; backwards, when its name says so. Its verifier is the real one.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"

	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

func main() {
	job, in, err := verdict.ReadJob(os.Stdin, 1<<30)
	if err != nil {
		os.Exit(1)
	}
	if os.Args[1] == "verify" {
		err = verdict.WriteReport(os.Stdout, verify.Check(context.Background(), job.Name, in), nil)
	} else {
		before := digest(in)
		if job.Name == "backwards.txt" {
			slices.Reverse(in)
		}
		after := digest(in)
		err = verdict.WriteReport(os.Stdout, verdict.Report{Version: 1, Name: job.Name, OutName: job.Name, Outcome: verdict.Clean, Before: before, After: &after, Engine: "copier"}, in)
	}
	if err != nil {
		os.Exit(1)
	}
}

func digest(b []byte) verdict.Digest {
	sum := sha256.Sum256(b)
	return verdict.Digest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(b))}
}
