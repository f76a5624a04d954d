package monitor

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/store"
)

// memory is since when records and stations are watched and when they were last used, which counters alone do not tell: those of
// records begin anew with every policy, and those of stations end with their flows. It keeps days, so that a thing is written
// at most once a day, however busy it is. A day is Japan's.
type memory struct {
	mu       sync.Mutex
	loaded   bool
	records  map[string]*memo
	stations map[string]*memo
}

// memo is what is remembered of one thing, and the key under which it is stored.
type memo struct {
	use policy.Use
	key string
}

const (
	recordKeys  = "used/record/"
	stationKeys = "used/station/"

	rememberEvery = time.Minute
	// forgetAfter is how long something is remembered that is no longer in the configuration: it may come back.
	forgetAfter = 400 * 24 * time.Hour
)

var japan = time.FixedZone("JST", 9*60*60)

func dayOf(t time.Time) string { return t.In(japan).Format(time.DateOnly) }

// load reads what was remembered before.
func (m *memory) load(ctx context.Context, s store.Store) error {
	if m.loaded {
		return nil
	}
	read := func(prefix string) (map[string]*memo, error) {
		from, to := store.Under(prefix)
		entries, err := s.Range(ctx, from, to, 0, false)
		if err != nil {
			return nil, fmt.Errorf("read what was used: %w", err)
		}
		out := make(map[string]*memo, len(entries))
		for _, e := range entries {
			n := &memo{key: e.Key}
			if err := e.Decode(&n.use); err != nil {
				return nil, err
			}
			out[e.Key[len(prefix):]] = n
		}
		return out, nil
	}
	var err error
	if m.records, err = read(recordKeys); err != nil {
		return err
	}
	if m.stations, err = read(stationKeys); err != nil {
		return err
	}
	m.loaded = true
	return nil
}

// remember takes up what was used by now and writes what is new of the day.
func (m *memory) remember(ctx context.Context, s store.Store, cfg *config.Config, used map[string]time.Time, seen map[netip.Addr]time.Time, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.load(ctx, s); err != nil {
		return err
	}
	var t store.Txn
	var err error
	there := map[string]bool{}
	note := func(list map[string]*memo, prefix, id string, last time.Time) {
		n := list[id]
		write := n == nil
		if write {
			n = &memo{policy.Use{First: now.UTC()}, prefix + id}
			list[id] = n
		}
		there[n.key] = true
		if n.use.First.After(now) || n.use.Last.After(now) { // the clock was ahead when it was written
			n.use, write = policy.Use{First: now.UTC()}, true
		}
		if last.After(n.use.Last) {
			write = write || dayOf(last) != dayOf(n.use.Last)
			n.use.Last = last.UTC()
		}
		if write && err == nil {
			var p store.Put
			if p, err = store.JSON(n.key, n.use); err == nil {
				t.Put = append(t.Put, p)
			}
		}
	}
	for i := range cfg.Communications {
		if c := &cfg.Communications[i]; c.Active() {
			note(m.records, recordKeys, c.ID, used[c.ID])
		}
	}
	for i := range cfg.Stations {
		var last time.Time
		for _, a := range cfg.Stations[i].Addresses {
			if at := seen[a]; at.After(last) {
				last = at
			}
		}
		note(m.stations, stationKeys, cfg.Stations[i].ID, last)
	}
	for _, list := range []map[string]*memo{m.records, m.stations} {
		for id, n := range list {
			if !there[n.key] && now.Sub(n.use.First) > forgetAfter && now.Sub(n.use.Last) > forgetAfter {
				t.Delete = append(t.Delete, n.key)
				delete(list, id)
			}
		}
	}
	if err != nil || len(t.Put)+len(t.Delete) == 0 {
		return err
	}
	if _, err := s.Commit(ctx, t); err != nil {
		m.loaded = false // what was not written is not known, either
		return fmt.Errorf("remember what was used: %w", err)
	}
	return nil
}

// usage is what is remembered of the configuration's records and stations.
func (m *memory) usage() policy.Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := policy.Usage{Records: map[string]policy.Use{}, Stations: map[string]policy.Use{}}
	for id, n := range m.records {
		u.Records[id] = n.use
	}
	for id, n := range m.stations {
		u.Stations[id] = n.use
	}
	return u
}

// recall asks the dataplane which stations it heard of, once a minute, and remembers what was used.
func (m *Monitor) recall(ctx context.Context) {
	m.mu.RLock()
	s := m.now
	m.mu.RUnlock()
	if m.o.Store == nil || !s.up || s.at.Sub(m.recalled) < rememberEvery {
		return
	}
	m.recalled = s.at
	h := m.o.Head()
	if h == nil {
		return
	}
	var seen map[netip.Addr]time.Time
	err := m.get(ctx, "/stations", &seen)
	if err == nil {
		err = m.memory.remember(ctx, m.o.Store, h.Config, s.lastUsed(), seen, s.at)
	}
	if err != nil && ctx.Err() == nil {
		m.o.Log.Error("what is used is not remembered; tried again in a minute", "error", err)
	}
}

// Usage tells how records and stations were used, as far as somebody watched.
func (m *Monitor) Usage() policy.Usage {
	u := m.memory.usage()
	m.mu.RLock()
	s := m.last
	m.mu.RUnlock()
	for id, n := range s.byRecord() {
		if use, ok := u.Records[id]; ok {
			use.Packets, use.Bytes = n.Packets, n.Bytes
			u.Records[id] = use
		}
	}
	return u
}
