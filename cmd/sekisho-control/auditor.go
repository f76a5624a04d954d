package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/transfer"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// auditor shows the log on the console. Sealed words are made readable while their key lives.
type auditor struct {
	log     *audit.Log
	journal *audit.Journal
	desk    *transfer.Desk
	dir     string
	key     string
	now     func() time.Time

	walk sync.Mutex // one verification at a time
	mu   sync.Mutex
	last web.AuditState
}

const mostEvents = 500

func (a *auditor) Events(_ context.Context, p web.Person, before int64, max int) ([]web.Event, error) {
	if p.Role != web.Auditor {
		return nil, web.Refuse(web.CodeForbidden, nil)
	}
	size := a.log.Size()
	if before <= 0 || before > size {
		before = size
	}
	rs, err := a.log.Read(before-int64(min(max, mostEvents)), before)
	if err != nil {
		return nil, err
	}
	out := make([]web.Event, 0, len(rs))
	for i := len(rs) - 1; i >= 0; i-- {
		r := rs[i]
		e := web.Event{Index: r.Index, Time: r.Time, Actor: r.Actor, Action: r.Action, Object: r.Object, Detail: map[string]string{}}
		for k, v := range r.Detail {
			if strings.HasPrefix(v, "sealed:") {
				if plain, ok := a.desk.Plain(r.Object, v); ok {
					v = plain
				} else {
					continue
				}
			}
			e.Detail[k] = v
		}
		if r.Zone != "" {
			e.Detail["zone"] = r.Zone
		}
		out = append(out, e)
	}
	return out, nil
}

// Verify walks the whole log with the key that root keeps.
func (a *auditor) Verify(ctx context.Context, p web.Person) (web.AuditState, error) {
	if p.Role != web.Auditor {
		return web.AuditState{}, web.Refuse(web.CodeForbidden, nil)
	}
	a.walk.Lock()
	defer a.walk.Unlock()
	key, err := audit.ReadKey(a.key)
	if err != nil {
		return web.AuditState{}, err
	}
	r, err := audit.Verify(a.dir, key, nil)
	if err != nil {
		return web.AuditState{}, err
	}
	s := web.AuditState{Size: r.Events, Root: r.Last.Tree.Hash.String(), Checkpoint: r.Last.Time, Verified: a.now(), OK: len(r.Problems) == 0}
	detail := map[string]string{"outcome": "holds"}
	if !s.OK {
		s.Problem = r.Problems[0].String()
		detail = map[string]string{"outcome": "broken", "problem": s.Problem}
	}
	a.mu.Lock()
	a.last = s
	a.mu.Unlock()
	return s, a.journal.Note(ctx, audit.New(a.now(), anchors.Management.String(), p.ID, "audit.verify", "", detail))
}

func (a *auditor) State(context.Context) (web.AuditState, error) {
	a.mu.Lock()
	s := a.last
	a.mu.Unlock()
	c := a.log.Last()
	s.Size, s.Root, s.Checkpoint = c.Tree.N, c.Tree.Hash.String(), c.Time
	return s, nil
}
