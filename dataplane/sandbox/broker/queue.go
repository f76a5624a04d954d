package broker

import (
	"context"
	"sync"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// queue bounds how many files are worked on at once and is fair between zones: a free place goes to the zone that has the
// fewest at work, and among equals to the one that waits longest. A zone that sends a thousand files delays another's single
// file by one.
type queue struct {
	mu      sync.Mutex
	free    int
	working map[anchors.Zone]int
	waiting []*ticket
}

type ticket struct {
	zone anchors.Zone
	call chan struct{} // closed when it is this one's turn
}

func newQueue(places int) *queue {
	return &queue{free: max(1, places), working: map[anchors.Zone]int{}}
}

// enter waits for a place; call leave when done.
func (q *queue) enter(ctx context.Context, z anchors.Zone) (leave func(), err error) {
	t := &ticket{zone: z, call: make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, t)
	q.next()
	q.mu.Unlock()
	leave = sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.free++
		q.working[z]--
		q.next()
	})
	select {
	case <-t.call:
		return leave, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	for i, w := range q.waiting {
		if w == t {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			q.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	q.mu.Unlock() // called in the same moment
	leave()
	return nil, ctx.Err()
}

func (q *queue) next() {
	for q.free > 0 && len(q.waiting) > 0 {
		best := 0
		for i, t := range q.waiting {
			if q.working[t.zone] < q.working[q.waiting[best].zone] {
				best = i
			}
		}
		t := q.waiting[best]
		q.waiting = append(q.waiting[:best], q.waiting[best+1:]...)
		q.free--
		q.working[t.zone]++
		close(t.call)
	}
}
