package transfer

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// slowBroker works on a file until the test lets it end or control gives it up.
type slowBroker struct {
	o      *office
	places int
	begun  chan string // ids, as they come
	finish chan error  // one for each that ends

	mu          sync.Mutex
	now, most   int
	gone        []string // given up
	orders      map[string]broker.Order
	stageOfAll  verdict.Stage
	unreachable error
}

func (b *slowBroker) Run(ctx context.Context, o broker.Order) (broker.Outcome, error) {
	b.mu.Lock()
	b.now++
	b.most = max(b.most, b.now)
	b.orders[o.Transfer] = o
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now--
	}()
	b.begun <- o.Transfer
	select {
	case err := <-b.finish:
		return b.o.honest(o), err
	case <-ctx.Done():
		b.mu.Lock()
		b.gone = append(b.gone, o.Transfer)
		b.mu.Unlock()
		return broker.Outcome{}, ctx.Err()
	}
}

func (b *slowBroker) Draw(context.Context, broker.Order) error { return nil }
func (b *slowBroker) At(context.Context) (verdict.Work, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := verdict.Work{Places: b.places, Files: map[string]verdict.Stage{}}
	for id := range b.orders {
		w.Files[id] = b.stageOfAll
	}
	return w, b.unreachable
}

// slow gives an office whose broker is one of those, and what runs it until the test ends.
func slow(t *testing.T, places int) (*office, *slowBroker, func()) {
	o := newOffice(t)
	b := &slowBroker{o: o, places: places, begun: make(chan string, 100), finish: make(chan error), orders: map[string]broker.Order{}}
	o.Desk.o.Broker = b
	return o, b, func() {
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- o.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// patience is how long a test waits for a step that takes milliseconds when it is taken at all.
const patience = time.Minute

// next gives the file that the broker was given next.
func (b *slowBroker) next(t *testing.T) string {
	t.Helper()
	select {
	case id := <-b.begun:
		return id
	case <-time.After(patience):
		t.Fatal("the broker was given no other file")
		return ""
	}
}

// end lets the broker end with a file.
func (b *slowBroker) end(t *testing.T, err error) {
	t.Helper()
	select {
	case b.finish <- err:
	case <-time.After(patience):
		t.Fatal("the broker works on no file")
	}
}
