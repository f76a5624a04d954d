package line

import (
	"cmp"
	"maps"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// turns is what the order goes by: who is at work, and when each was called last.
type turns struct {
	places int
	all    int
	atWork map[Who]int
	inZone map[anchors.Zone]int
	calls  uint64
	last   map[Who]uint64 // number of the call; absent: not since they came
	lastOf map[anchors.Zone]uint64
}

func (t *turns) free() bool { return t.all < t.places }

// pick gives the ticket that is next; there is one.
func (t *turns) pick(queue map[Who][]*Ticket) *Ticket {
	var best *Ticket
	for _, waiting := range queue {
		if best == nil || t.compare(waiting[0], best) < 0 {
			best = waiting[0]
		}
	}
	return best
}

func (t *turns) compare(a, b *Ticket) int {
	return cmp.Or(
		cmp.Compare(t.inZone[a.who.Zone], t.inZone[b.who.Zone]),
		cmp.Compare(t.lastOf[a.who.Zone], t.lastOf[b.who.Zone]),
		cmp.Compare(t.atWork[a.who], t.atWork[b.who]),
		cmp.Compare(t.last[a.who], t.last[b.who]),
		cmp.Compare(a.came, b.came),
	)
}

func (t *turns) called(w Who) {
	t.calls++
	t.all++
	t.atWork[w]++
	t.inZone[w.Zone]++
	t.last[w], t.lastOf[w.Zone] = t.calls, t.calls
}

func (t *turns) done(w Who) {
	t.all--
	t.atWork[w]--
	t.inZone[w.Zone]--
}

// forget drops what is known of somebody who has nothing left here.
func (t *turns) forget(w Who, waiting int) {
	if waiting == 0 && t.atWork[w] == 0 {
		delete(t.atWork, w)
		delete(t.last, w)
	}
}

func (t *turns) clone() turns {
	c := *t
	c.atWork, c.inZone, c.last, c.lastOf = maps.Clone(t.atWork), maps.Clone(t.inZone), maps.Clone(t.last), maps.Clone(t.lastOf)
	return c
}
