package region

import (
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/bandwidth/lend"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// between is how often the kernel's counters are read, however often they are asked for.
const between = 100 * time.Millisecond

// meter keeps the last counters of a tree and what they say about what it would send.
type meter struct {
	at       time.Time
	counters []talk.Counter
	demand   uint64
}

// read looks at the tree again unless it did lately.
func (m *meter) read(t bandwidth.Tree, classes []bandwidth.Class, now time.Time) error {
	if now.Sub(m.at) < between || len(t.Classes) == 0 {
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
	m.demand = 0
	for _, w := range lend.Wants(m.counters, next, now.Sub(m.at), classes) {
		m.demand += w.Rate
	}
	m.at, m.counters = now, next
	return nil
}
