package lend

import (
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// held is for how long a class's packets may wait before it counts as one that is held back.
const held = 10 * time.Millisecond

// Wants is what classes would send, by their counters now and a time before: what they sent, or, when packets were dropped or
// wait for long, all that they may. A class that was not there before wants nothing yet.
func Wants(before, now []talk.Counter, passed time.Duration, classes []bandwidth.Class) []Want {
	was := map[uint8]talk.Counter{}
	for _, c := range before {
		was[c.ID] = c
	}
	is := map[uint8]talk.Counter{}
	for _, c := range now {
		is[c.ID] = c
	}
	var out []Want
	for _, c := range classes {
		w := Want{Priority: c.Priority}
		a, known := was[c.ID]
		b, there := is[c.ID]
		if known && there && passed > 0 && b.Bytes >= a.Bytes {
			w.Rate = uint64(float64(b.Bytes-a.Bytes) * 8 / passed.Seconds())
			waits := float64(b.Backlog) * 8 / float64(max(w.Rate, c.Guarantee))
			if b.Drops > a.Drops || waits > held.Seconds() {
				w.Rate = max(w.Rate, c.Ceiling)
			}
		}
		out = append(out, w)
	}
	return out
}
