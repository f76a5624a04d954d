// Command asker is a worker for the tests that asks helpers, as the name of the file tells, honestly or not. Its result is what the
// helpers answered.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

func main() {
	if os.Args[1] == "tool" || os.Args[1] == "office" {
		answer := func(n verdict.Need) verdict.Answer { return tool.Run(context.Background(), n, tool.Work) }
		if os.Args[1] == "office" {
			answer = tool.Ready(context.Background(), tool.Work)
		}
		n, err := verdict.ReadNeed(os.Stdin, 1<<30)
		if err == nil {
			err = verdict.WriteAnswer(os.Stdout, answer(n))
		}
		if err != nil {
			os.Exit(1)
		}
		return
	}
	job, in, err := verdict.ReadJob(os.Stdin, 1<<30)
	if err != nil {
		os.Exit(1)
	}
	if job.Name == "slow" {
		time.Sleep(time.Hour)
	}
	sum := sha256.Sum256(in)
	rep := verdict.Report{Version: 1, Name: job.Name, OutName: job.Name, Engine: "asker", Before: verdict.Digest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(in))}}
	if needs := questions(job, in); len(needs) > 0 && os.Args[1] == "sanitize" {
		if err := verdict.WriteNeeds(os.Stdout, rep, needs); err != nil {
			os.Exit(1)
		}
		return
	}
	out := in
	rep.Outcome = verdict.Clean
	if os.Args[1] == "sanitize" {
		for _, a := range job.Answers {
			if out = a.Body; a.Failed != "" {
				rep.Outcome, rep.Findings = verdict.Blocked, []verdict.Finding{{Code: a.Failed, Action: verdict.Refused, Detail: a.Detail}}
			}
		}
	}
	body := out
	sum = sha256.Sum256(out)
	rep.After = &verdict.Digest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(out))}
	if os.Args[1] == "verify" || rep.Outcome == verdict.Blocked {
		body, rep.After = nil, nil
	}
	if err := verdict.WriteReport(os.Stdout, rep, body); err != nil {
		os.Exit(1)
	}
}

// questions of one call.
func questions(job verdict.Job, in []byte) []verdict.Need {
	need := func(kind string, options map[string]string, body []byte) verdict.Need {
		n := verdict.Need{Kind: kind, Options: options, Body: body}
		n.ID = n.Name()
		return n
	}
	again := len(job.Answers) > 0
	switch job.Name {
	case "endless":
		return []verdict.Need{need("pdf-read", nil, []byte(strconv.Itoa(len(job.Answers))))}
	case "repeats":
		return []verdict.Need{need("pdf-read", nil, in)}
	}
	if again {
		return nil
	}
	switch job.Name {
	case "a.docx":
		return []verdict.Need{need("convert", map[string]string{"from": "rtf", "to": "docx"}, in)}
	case "locked.docx":
		return []verdict.Need{need("convert", map[string]string{"from": "rtf", "to": "docx", "password": "x"}, in)}
	case "a.pdf":
		return []verdict.Need{need("pdf-read", nil, in), need("render", map[string]string{"from": "pdf"}, in)}
	case "unknown":
		return []verdict.Need{need("run", nil, in)}
	case "option":
		return []verdict.Need{need("pdf-read", map[string]string{"--help": "x"}, in)}
	case "renamed":
		n := need("pdf-read", nil, in)
		n.ID = "0"
		return []verdict.Need{n}
	case "twice":
		return []verdict.Need{need("pdf-read", nil, in), need("pdf-read", nil, in)}
	case "many":
		var all []verdict.Need
		for i := range 1001 {
			all = append(all, need("pdf-read", nil, []byte(strconv.Itoa(i))))
		}
		return all
	case "oversize":
		return []verdict.Need{need("pdf-read", nil, make([]byte, 600<<20))}
	}
	return nil
}
