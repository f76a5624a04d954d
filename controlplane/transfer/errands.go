package transfer

import (
	"context"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker/line"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// errands are the files that wait for the broker or are with it: as many are there at once as it has places, and who is next is
// decided by the same rules as there, because nobody jumps a line behind which another one stands.
type errands struct {
	line *line.Line

	mu  sync.Mutex
	ctx context.Context // of Run; nil before and after: then Tend finds the work
	all map[string]*errand
	// keys are the passwords that came with files, until the file has been read. They are nowhere else: a stop forgets them, and
	// whoever sent the file gives them again.
	keys map[string][]string
	wg   sync.WaitGroup // of those at work
}

// errand is one file's.
type errand struct {
	id     string
	who    line.Who
	ctx    context.Context
	cancel context.CancelFunc
	ticket *line.Ticket  // nil while it waits to be tried again
	atWork bool          // with the broker
	wait   time.Duration // before the next try
}

func newErrands() *errands {
	return &errands{line: line.New(broker.Parallel), all: map[string]*errand{}, keys: map[string][]string{}}
}

func (s *errands) remember(id string, keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(keys) > 0 {
		s.keys[id] = keys
	}
}

func (s *errands) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, id)
}

func (s *errands) keysOf(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[id]
}

// begin takes errands from now on, until end.
func (s *errands) begin(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx = ctx
}

// end takes no more and waits for those at work; their context has ended.
func (s *errands) end() {
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.wg.Wait()
}

// enqueue lets a file wait for its turn. One that waits already or is at work is left alone.
func (d *Desk) enqueue(r record) {
	s := d.errands
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil || s.all[r.ID] != nil {
		return
	}
	e := &errand{id: r.ID, who: line.Who{Zone: r.From, Person: r.Requester}, wait: firstWait}
	e.ctx, e.cancel = context.WithCancel(s.ctx)
	s.all[r.ID] = e
	d.join(e)
}

// join lets an errand wait in the line. The caller holds the lock.
func (d *Desk) join(e *errand) { e.ticket = d.errands.line.Join(e.who, func() { d.turn(e) }) }

// turn is run when a file may go to the broker.
func (d *Desk) turn(e *errand) {
	s := d.errands
	s.mu.Lock()
	gone := s.ctx == nil || s.all[e.id] != e
	ticket := e.ticket
	if !gone {
		e.atWork = true
		s.wg.Add(1)
	}
	s.mu.Unlock()
	defer ticket.Leave()
	if gone {
		return
	}
	defer s.wg.Done()
	err := d.sanitize(e.ctx, e.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.atWork = false; err == nil || e.ctx.Err() != nil {
		e.cancel()
		delete(s.all, e.id)
		delete(s.keys, e.id)
		return
	}
	// Another may have the place meanwhile.
	d.o.Log.Warn("sanitize again", "transfer", e.id, "in", e.wait, "error", err)
	e.ticket = nil
	time.AfterFunc(e.wait, func() { d.again(e) })
	e.wait = min(2*e.wait, maxWait)
}

func (d *Desk) again(e *errand) {
	s := d.errands
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx != nil && s.all[e.id] == e {
		d.join(e)
	}
}

// abandon ends what is done for a file, with its sandbox, or its wait.
func (d *Desk) abandon(id string) {
	s := d.errands
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, id)
	e := s.all[id]
	if e == nil {
		return
	}
	e.cancel()
	if !e.atWork { // else it takes itself away when it has ended
		delete(s.all, id)
		if e.ticket != nil {
			defer e.ticket.Leave()
		}
	}
}

// maxAsk bounds what a page waits for the broker to say how far it is.
const maxAsk = 500 * time.Millisecond

// at asks the broker what it is at, and has as many files with it as it has places.
func (d *Desk) at(ctx context.Context) verdict.Work {
	ctx, cancel := context.WithTimeout(ctx, maxAsk)
	defer cancel()
	w, err := d.o.Broker.At(ctx)
	if err != nil {
		return verdict.Work{} // a page without it says that the file is being worked on
	}
	if w.Places > 0 {
		d.errands.line.Resize(w.Places)
	}
	return w
}

// stager tells how far files are that are not sanitized yet; it asks the broker once, and only when a file is with it.
func (d *Desk) stager(ctx context.Context) func(record) *verdict.Stage {
	work := sync.OnceValue(func() verdict.Work { return d.at(ctx) })
	return func(r record) *verdict.Stage {
		if r.State != web.Received {
			return nil
		}
		s := d.errands
		s.mu.Lock()
		e := s.all[r.ID]
		var ticket *line.Ticket
		atWork := e != nil && e.atWork
		if e != nil {
			ticket = e.ticket
		}
		s.mu.Unlock()
		switch {
		case atWork:
			if st, ok := work().Files[r.ID]; ok {
				return &st
			}
			return nil
		case ticket != nil:
			return &verdict.Stage{Name: verdict.Waiting, Place: ticket.Place()}
		}
		return &verdict.Stage{Name: verdict.Waiting}
	}
}
