package sandbox

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// pool holds sandboxes in which LibreOffice is started and waits for its one document: that start is most of what a small document
// costs. A sandbox is used once and then gone, like any other; the next is started when it is done, behind the file's back.
type pool struct {
	mu      sync.Mutex
	waiting []*standby
	closed  bool
	running sync.WaitGroup
}

// maxStandby bounds how long a sandbox waits, and largePooled what it is used for, in bytes: its budget was fixed when it was started.
const (
	maxStandby  = 30 * time.Minute
	largePooled = 4 << 20
)

// Pooled is how many sandboxes wait where so many files are worked on at once. Total counts their memory.
func Pooled(parallel int) int { return min(max(1, parallel), side) }

// standby is one sandbox that waits.
type standby struct {
	in   *io.PipeWriter
	end  context.CancelFunc
	over chan struct{} // closed when it ended; out and err are then set
	out  []byte
	err  error
}

// Warm fills the pool in the background. Close ends what it started.
func (w *Worker) Warm() {
	w.pool.mu.Lock()
	defer w.pool.mu.Unlock()
	alive := w.pool.waiting[:0]
	for _, s := range w.pool.waiting {
		if !s.ended() {
			alive = append(alive, s)
		}
	}
	w.pool.waiting = alive
	for len(w.pool.waiting) < w.Pool && !w.pool.closed {
		w.pool.waiting = append(w.pool.waiting, w.standBy())
	}
}

// Close ends all sandboxes that wait. The worker still works, without a pool.
func (w *Worker) Close() {
	w.pool.mu.Lock()
	w.pool.closed = true
	for _, s := range w.pool.waiting {
		s.end()
	}
	w.pool.waiting = nil
	w.pool.mu.Unlock()
	w.pool.running.Wait()
}

func (w *Worker) standBy() *standby {
	ctx, cancel := context.WithCancel(context.Background())
	r, in := io.Pipe()
	s := &standby{in: in, end: cancel, over: make(chan struct{})}
	b := Helping("convert", largePooled)
	b.CPU += maxStandby / 50 // what waiting takes
	b.Time += maxStandby
	w.pool.running.Go(func() {
		defer close(s.over)
		defer cancel()
		s.out, s.err = w.Box.Run(ctx, Job{Binary: w.Binary, Tree: w.tree(), Args: []string{"office"}, Stdin: r, Budget: b})
		r.Close()
	})
	return s
}

func (s *standby) ended() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// take gives a sandbox that waits, or nil. It is its user's from now on.
func (p *pool) take() *standby {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) > 0 {
		s := p.waiting[0]
		p.waiting = p.waiting[1:]
		if !s.ended() {
			return s
		}
	}
	return nil
}

// convert answers a need in a sandbox of the pool; false when there is none for it. One that ends without an answer, or says that LibreOffice did, may have
// died while it waited, and not of the document, so the document then gets a sandbox of its own, like any that found none.
func (w *Worker) convert(ctx context.Context, n verdict.Need, in []byte) (out []byte, err error, done bool) {
	if w.Pool <= 0 || n.Kind != "convert" || len(n.Body) > largePooled {
		return nil, nil, false
	}
	defer w.Warm()
	s := w.pool.take()
	if s == nil {
		return nil, nil, false
	}
	budget := Helping(n.Kind, int64(len(n.Body))).Time
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	go func() {
		s.in.Write(in) // breaks when the sandbox ends
		s.in.Close()
	}()
	<-s.over
	if ctx.Err() == nil && (s.err != nil || tool.Ended(s.out)) {
		return nil, nil, false
	}
	return s.out, s.err, true
}
