// Package line calls those who wait for one of a few places in a fair order.
//
// Problem: a section that sends a thousand files must not keep a colleague's single one waiting until all of them are done, and
// neither may a zone. Mechanism: who waits does so under a zone and a person. A free place goes to the zone that has the fewest at
// work, among equals to the one that was called longest ago; within it to a person by the same two rules; of a person to the
// file that came first. Life cycle: Join when there is something to do, Leave when it is done or given up, each once; what a
// person had is forgotten when nothing of theirs is left. Invariant: no more are at work than there are places, and whoever has
// nothing at work is called before anybody of the same zone is called a second time.
package line

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Who waits. The person is a name to count by, and nothing more.
type Who struct {
	Zone   anchors.Zone
	Person string
}

// Line is the places and all who wait for one.
type Line struct {
	mu    sync.Mutex
	turns turns
	queue map[Who][]*Ticket // who waits, in the order of arrival
	busy  []*Ticket         // who was called, in that order
	came  uint64            // tickets ever
	ahead map[*Ticket]int   // places in the line as foreseen; nil when something has changed since
}

// Ticket is one that waits or is at work.
type Ticket struct {
	line *Line
	who  Who
	call func()
	came uint64
}

// New makes a line for so many places, at least one.
func New(places int) *Line {
	return &Line{queue: map[Who][]*Ticket{}, turns: turns{places: max(1, places), atWork: map[Who]int{}, inZone: map[anchors.Zone]int{},
		last: map[Who]uint64{}, lastOf: map[anchors.Zone]uint64{}}}
}

// Resize changes how many places there are. Who is at work stays.
func (l *Line) Resize(places int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if places = max(1, places); places != l.turns.places {
		l.turns.places = places
		l.next()
	}
}

// Join waits in the line; call is run by a goroutine of its own when it is this one's turn. Leave gives the place back, or the wait up.
func (l *Line) Join(who Who, call func()) *Ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came++
	t := &Ticket{line: l, who: who, call: call, came: l.came}
	l.queue[who] = append(l.queue[who], t)
	l.next()
	return t
}

// Enter joins and waits for its turn; call leave when done.
func (l *Line) Enter(ctx context.Context, who Who, joined func(*Ticket)) (leave func(), err error) {
	turn := make(chan struct{})
	t := l.Join(who, func() { close(turn) })
	if joined != nil {
		joined(t)
	}
	select {
	case <-turn:
		return t.Leave, nil
	case <-ctx.Done():
		t.Leave()
		return nil, ctx.Err()
	}
}

// Leave gives a place back, or gives up waiting. A second time does nothing.
func (t *Ticket) Leave() {
	l := t.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.busy, t); i >= 0 {
		l.busy = slices.Delete(l.busy, i, i+1)
		l.turns.done(t.who)
	} else if i := slices.Index(l.queue[t.who], t); i >= 0 {
		l.leave(t.who, i)
	}
	l.turns.forget(t.who, len(l.queue[t.who]))
	l.next()
}

// Place is how many turns it takes until this one is called, if all work took the same time: 1 is next, 0 is at work or gone.
func (t *Ticket) Place() int {
	l := t.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ahead == nil {
		l.foresee()
	}
	return l.ahead[t]
}

func (l *Line) leave(who Who, i int) {
	if l.queue[who] = slices.Delete(l.queue[who], i, i+1); len(l.queue[who]) == 0 {
		delete(l.queue, who)
	}
}

// next calls as many as there are places for.
func (l *Line) next() {
	l.ahead = nil
	for l.turns.free() && len(l.queue) > 0 {
		t := l.turns.pick(l.queue)
		l.leave(t.who, 0)
		l.busy = append(l.busy, t)
		l.turns.called(t.who)
		go t.call()
	}
}

// foresee plays the line to its end, with whoever was called first done first.
func (l *Line) foresee() {
	l.ahead = map[*Ticket]int{}
	turns, queue, busy := l.turns.clone(), maps.Clone(l.queue), slices.Clone(l.busy)
	for n := 1; len(queue) > 0; n++ {
		for !turns.free() {
			turns.done(busy[0].who)
			busy = busy[1:]
		}
		t := turns.pick(queue)
		if queue[t.who] = queue[t.who][1:]; len(queue[t.who]) == 0 {
			delete(queue, t.who)
		}
		busy = append(busy, t)
		turns.called(t.who)
		l.ahead[t] = n
	}
}
