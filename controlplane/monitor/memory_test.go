package monitor

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// counted passes everything on and counts what is written.
type counted struct {
	store.Store
	commits int
	last    store.Txn
}

func (c *counted) Commit(ctx context.Context, t store.Txn) (uint64, error) {
	c.commits, c.last = c.commits+1, t
	return c.Store.Commit(ctx, t)
}

func TestUseIsRemembered(t *testing.T) {
	ctx := context.Background()
	m, p, now := newEye(t)
	s, err := store.OpenBolt(filepath.Join(t.TempDir(), "store"), time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	kept := &counted{Store: s}
	m.o.Store = kept
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, japan)
	look := func(at time.Time) {
		t.Helper()
		*now = at
		m.poll(ctx)
		m.recall(ctx)
	}
	pc1 := netip.MustParseAddr("2001:db8:10::11") // mn-pc1, which has another address
	p.set(func() {
		p.names.Rules = map[uint32][]string{1: {"eltax-submit"}, 2: {"eltax-submit", "asp-use"}}
		p.counters.LastUsed = map[uint32]time.Time{1: noon.Add(-time.Minute)}
		p.counters.Rules = map[uint32]packet.Count{1: {Packets: 7, Bytes: 700}}
		p.stations = map[netip.Addr]time.Time{pc1: noon.Add(-2 * time.Minute)}
	})
	look(noon)
	u := m.Usage()
	if got := u.Records["eltax-submit"]; !got.First.Equal(noon) || !got.Last.Equal(noon.Add(-time.Minute)) || got.Packets != 7 || got.Bytes != 700 {
		t.Errorf("eltax-submit %+v", got)
	}
	if got := u.Records["asp-use"]; !got.First.Equal(noon) || !got.Last.IsZero() {
		t.Errorf("asp-use %+v", got)
	}
	if got := u.Stations["mn-pc1"]; !got.Last.Equal(noon.Add(-2 * time.Minute)) {
		t.Errorf("mn-pc1 %+v", got)
	}
	if got := u.Stations["noc"]; !got.First.Equal(noon) || !got.Last.IsZero() {
		t.Errorf("noc %+v", got)
	}
	if _, ok := u.Records["eltax"]; ok {
		t.Error("a record that is not in the configuration is remembered")
	}

	// Within the day nothing is written again, and within the minute nothing is asked.
	writes := kept.commits
	p.set(func() { p.counters.LastUsed[1] = noon.Add(30 * time.Second) })
	look(noon.Add(30 * time.Second))
	if !m.Usage().Records["eltax-submit"].Last.Equal(noon.Add(-time.Minute)) {
		t.Error("asked again within the minute")
	}
	look(noon.Add(time.Hour))
	if got := m.Usage().Records["eltax-submit"].Last; !got.Equal(noon.Add(30*time.Second)) || kept.commits != writes || writes != 1 {
		t.Errorf("last used %s, written %d times; want it known and written once a day", got, kept.commits)
	}
	// The next day, of what was used alone.
	p.set(func() { p.counters.LastUsed[1] = noon.Add(24 * time.Hour) })
	look(noon.Add(24*time.Hour + time.Minute))
	if kept.commits != 2 || len(kept.last.Put) != 1 || kept.last.Put[0].Key != "used/record/eltax-submit" {
		t.Errorf("written %d times, at last %+v", kept.commits, kept.last)
	}

	// It outlives a policy under which the record was not used yet, and the daemon.
	p.set(func() { p.counters.LastUsed, p.counters.Rules, p.stations = nil, nil, nil })
	m.memory = memory{}
	look(noon.Add(25 * time.Hour))
	if got := m.Usage().Records["eltax-submit"]; !got.First.Equal(noon) || !got.Last.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("after a restart eltax-submit %+v", got)
	}
	if got := m.Usage().Stations["mn-pc1"]; !got.Last.Equal(noon.Add(-2 * time.Minute)) {
		t.Errorf("after a restart mn-pc1 %+v", got)
	}

	// What left the configuration is forgotten in the end, a draft is not watched.
	cfg := *m.o.Head().Config
	cfg.Stations = cfg.Stations[1:]
	cfg.Communications = append([]config.Communication{}, cfg.Communications...)
	cfg.Communications[1].State = config.Draft
	m.o.Head = func() *revision.Head { return &revision.Head{Config: &cfg} }
	look(noon.Add(300 * 24 * time.Hour))
	if _, ok := m.Usage().Stations["mn-pc1"]; !ok {
		t.Error("a station that left is forgotten within the year")
	}
	look(noon.Add(402 * 24 * time.Hour))
	if _, ok := m.Usage().Stations["mn-pc1"]; ok {
		t.Error("a station that left is never forgotten")
	}
	if _, ok := m.Usage().Records["asp-use"]; ok {
		t.Error("a draft is watched")
	}
	if _, err := s.Get(ctx, "used/station/mn-pc1"); err == nil {
		t.Error("it is still stored")
	}
}

// A clock that was ahead for a while must not make things look used for years.
func TestUseOfTheFutureIsForgotten(t *testing.T) {
	ctx := context.Background()
	m, _, _ := newEye(t)
	s, err := store.OpenBolt(filepath.Join(t.TempDir(), "store"), time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	cfg := m.o.Head().Config
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, japan)
	ahead := now.AddDate(5, 0, 0)
	if err := m.memory.remember(ctx, s, cfg, map[string]time.Time{"web-use": ahead}, nil, ahead); err != nil {
		t.Fatal(err)
	}
	if err := m.memory.remember(ctx, s, cfg, nil, nil, now); err != nil {
		t.Fatal(err)
	}
	if got := m.Usage().Records["web-use"]; got != (policy.Use{First: now.UTC()}) {
		t.Errorf("got %+v, want it watched from now on", got)
	}
}
