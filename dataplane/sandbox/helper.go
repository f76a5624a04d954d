package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Bounds of what a worker may ask for one file, over all its calls. A worker that was taken over asks for anything.
const (
	maxRounds  = 6                // calls of the worker that end with questions
	maxNeeds   = 1000             // questions
	maxAsked   = 512 << 20        // bytes of questions
	maxCarried = 512 << 20        // bytes of the file and all answers, as much as a worker reads
	maxHelping = 10 * time.Minute // for the small parts of a file, beside what its size gives
	side       = 2                // sandboxes for helpers at a time, over all files
)

// asking is what was asked and answered for one file.
type asking struct {
	rounds  int
	bytes   int64
	answers map[string]bool
	kinds   map[string]bool
}

// admit holds one round of questions to the bounds. What is wrong with them is a fault of the worker, and blocks the file.
func (a *asking) admit(needs []verdict.Need) error {
	if a.rounds++; a.rounds > maxRounds || len(a.answers)+len(needs) > maxNeeds {
		return fail(Many, "%d questions in round %d", len(needs), a.rounds)
	}
	for _, n := range needs {
		if err := tool.Check(n); err != nil {
			return fail(Answer, "%v", err)
		}
		if n.ID != n.Name() || a.answers[n.ID] {
			return fail(Answer, "a question has the name of another or was asked before")
		}
		a.answers[n.ID], a.kinds[n.Kind] = true, true
		if a.bytes += int64(len(n.Body)); a.bytes > maxAsked {
			return fail(Many, "over %d bytes are asked about", maxAsked)
		}
	}
	return nil
}

// ask has needs answered, each in a sandbox of its own. A helper that fails is an answer, too: what it means for the file is the
// rebuilder's to say. What all answers together may hold is bounded while they come, since they lie in this process's memory, which
// no sandbox bounds.
func (w *Worker) ask(ctx context.Context, needs []verdict.Need, left int64) []verdict.Answer {
	answers := make([]verdict.Answer, len(needs))
	var room, done atomic.Int64
	room.Store(left)
	Tell(ctx, verdict.Stage{Name: verdict.Helping, Of: len(needs)})
	var all sync.WaitGroup
	next := make(chan int)
	for range min(side, len(needs)) {
		all.Go(func() {
			for i := range next {
				answers[i] = w.help(ctx, needs[i], room.Load())
				room.Add(-int64(len(answers[i].Body)))
				Tell(ctx, verdict.Stage{Name: verdict.Helping, Done: int(done.Add(1)), Of: len(needs)})
			}
		})
	}
	for i := range needs {
		next <- i
	}
	close(next)
	all.Wait()
	return answers
}

// help answers one need with at most so many bytes.
func (w *Worker) help(ctx context.Context, n verdict.Need, most int64) verdict.Answer {
	failed := func(err error) verdict.Answer {
		f := blocked("", nil, "", err).Findings[0]
		return verdict.Answer{ID: n.ID, Failed: f.Code, Detail: f.Detail}
	}
	if most <= 0 {
		return failed(fail(Many, "the answers before fill all the room that there is"))
	}
	leave, err := w.enter(ctx)
	if err != nil {
		return failed(fail(Time, "%v", err))
	}
	defer leave()
	budget := Helping(n.Kind, int64(len(n.Body)))
	budget.Output = min(budget.Output, most+verdict.MaxJobLine)
	var in bytes.Buffer
	if err := verdict.WriteNeed(&in, n); err != nil {
		return failed(fail(Start, "%v", err))
	}
	raw, err, done := w.convert(ctx, n, in.Bytes())
	if !done {
		raw, err = w.Box.Run(ctx, Job{Binary: w.Binary, Tree: w.tree(), Args: []string{"tool"}, Stdin: &in, Budget: budget})
	}
	if err != nil {
		return failed(err)
	}
	a, err := verdict.ReadAnswer(bytes.NewReader(raw), tool.MaxAnswer)
	if err != nil {
		return failed(fail(Answer, "%v", err))
	}
	return tidyAnswer(a, n.ID)
}

// tidyAnswer makes what came out of a helper's sandbox fit for the worker and for a report.
func tidyAnswer(a verdict.Answer, id string) verdict.Answer {
	if a.ID != id || a.Failed != "" && Sentences.Sentence(a.Failed, "ja") == a.Failed {
		return verdict.Answer{ID: id, Failed: string(Answer), Detail: "a helper answered something else"}
	}
	a.Detail = escape(a.Detail, 200)
	return a
}

// enter waits for one of the places of helpers.
func (w *Worker) enter(ctx context.Context) (leave func(), err error) {
	w.once.Do(func() { w.places = make(chan struct{}, side) })
	select {
	case w.places <- struct{}{}:
		return func() { <-w.places }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a helper's place: %w", ctx.Err())
	}
}

func (w *Worker) tree() string {
	if w.Tree == "" {
		return tool.Tree
	}
	return w.Tree
}

// Longest is the most wall time that Pass takes for so many bytes, of which at most output come out: whoever waits for it waits no
// longer. Few files need a tenth of it.
func Longest(size, output int64) time.Duration {
	return rebuilding(size) + Scaled(output, 0).Time + antivirus.Scaled(size) + antivirus.Scaled(output) + 2*antivirus.StartPatience
}

// rebuilding bounds all rounds of one file with all that helpers do for it. The worker begins anew in each round, and the helper that
// takes longest is the one for the whole.
func rebuilding(size int64) time.Duration {
	return maxHelping + 2*Scaled(size, 0).Time + Helping("convert", size).Time + antivirus.Scaled(size) + antivirus.StartPatience
}

// Helping is the budget of a helper of the kind on so many bytes.
func Helping(kind string, size int64) Budget {
	mib := time.Duration(size>>20 + 1)
	b := Budget{Time: 60*time.Second + 4*time.Second*mib, CPU: 30*time.Second + 3*time.Second*mib, Memory: min(512<<20+32*size, maxMemory),
		Output: tool.MaxAnswer + verdict.MaxJobLine, Tasks: 64}
	if kind == "convert" {
		b.Time, b.CPU, b.Tasks = 90*time.Second+15*time.Second*mib, 60*time.Second+12*time.Second*mib, 128
		b.Memory = min(1<<30+32*size, maxMemory)
	}
	return b
}
