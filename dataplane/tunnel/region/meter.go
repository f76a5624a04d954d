package region

import (
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/bandwidth/lend"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

const (
	// fresh is how old counters in an answer may be: the gate makes rates of a second of them.
	fresh = 10 * time.Millisecond
	// between is the least over which demand is judged: over less, it is noise.
	between = 100 * time.Millisecond
)

// meter keeps the last counters of a tree and what they say about what it would send.
type meter struct {
	at       time.Time
	counters []talk.Counter
	demand   uint64

	judged time.Time // demand, from the counters then
	base   []talk.Counter
}

// read looks at the tree again unless it did just now.
func (m *meter) read(t bandwidth.Tree, classes []bandwidth.Class, now time.Time) error {
	if now.Sub(m.at) < fresh || len(t.Classes) == 0 {
		return nil
	}
	have, err := bandwidth.Read(t)
	if err != nil {
		return err
	}
	var next []talk.Counter
	for _, c := range have[:min(len(have), talk.MaxClasses)] {
		next = append(next, talk.Counter{ID: c.ID, Bytes: c.Bytes, Packets: c.Packets, Drops: c.Drops, Backlog: c.Backlog})
	}
	m.at, m.counters = now, next
	if now.Sub(m.judged) < between {
		return nil
	}
	m.demand = 0
	for _, w := range lend.Wants(m.base, next, now.Sub(m.judged), classes) {
		m.demand += w.Rate
	}
	m.judged, m.base = now, next
	return nil
}
