package broker

import (
	"sync"

	"github.com/sekisho/sekisho/dataplane/sandbox/broker/line"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// work is what the broker is at: one entry for each order that is under way.
type work struct {
	mu    sync.Mutex
	files map[string]*job // by transfer
}

// job is one order on its way: in the line, or at a stage.
type job struct {
	ticket *line.Ticket
	stage  verdict.Stage
}

func (w *work) begin(transfer string) *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := &job{stage: verdict.Stage{Name: verdict.Waiting}}
	if w.files == nil {
		w.files = map[string]*job{}
	}
	w.files[transfer] = j
	return j
}

// end forgets an order, unless the same transfer was ordered again meanwhile.
func (w *work) end(transfer string, j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.files[transfer] == j {
		delete(w.files, transfer)
	}
}

// at sets what is told of a job; a ticket is set while it waits.
func (w *work) at(j *job, s verdict.Stage, t *line.Ticket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j.stage, j.ticket = s, t
}

// stages tells where every file stands.
func (w *work) stages() map[string]verdict.Stage {
	w.mu.Lock()
	files := make(map[string]job, len(w.files))
	for id, j := range w.files {
		files[id] = *j
	}
	w.mu.Unlock()
	out := make(map[string]verdict.Stage, len(files))
	for id, j := range files {
		if j.ticket != nil {
			j.stage.Place = j.ticket.Place()
		}
		out[id] = j.stage
	}
	return out
}
