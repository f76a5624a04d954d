package policy

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// mistake is one that the compiler could make: in the plan that it makes of a document, or in the classes that it makes of a plan.
// Seeded at place n; false when there is no such place.
type mistake struct {
	kind string
	plan func(p *plan, n int) bool
	sort func(c *classified, ports *portClasses, n int) bool
}

// permitOf is permit n as a copy of its own, so that a mistake in it is made there alone.
func permitOf(p *plan, n int) *permit {
	q := &p.permits[n]
	q.from.hosts, q.to.hosts, q.ports = slices.Clone(q.from.hosts), slices.Clone(q.to.hosts), slices.Clone(q.ports)
	q.from.prefixes, q.to.prefixes = slices.Clone(q.from.prefixes), slices.Clone(q.to.prefixes)
	return q
}

func inPermit(do func(p *plan, q *permit) bool) func(*plan, int) bool {
	return func(p *plan, n int) bool { return n < len(p.permits) && do(p, permitOf(p, n)) }
}

var mistakes = []mistake{
	{kind: "a part of a record forgotten", plan: func(p *plan, n int) bool {
		if n >= len(p.permits) {
			return false
		}
		p.permits = slices.Delete(p.permits, n, n+1)
		return true
	}},
	{kind: "an initiator forgotten", plan: inPermit(func(_ *plan, q *permit) bool {
		if len(q.from.hosts) < 2 {
			return false
		}
		q.from.hosts = q.from.hosts[1:]
		return true
	})},
	{kind: "a stranger let in", plan: inPermit(func(p *plan, q *permit) bool {
		i := slices.IndexFunc(p.ranked, func(h *host) bool {
			return h.exit.kind == packet.KindForward && h.addr.Is4() && len(q.to.hosts) > 0 && h.exit.segment != q.to.hosts[0].exit.segment && len(q.from.hosts) > 0 &&
				!slices.Contains(q.from.hosts, h)
		})
		if i < 0 || q.local || !slices.ContainsFunc(q.to.hosts, func(h *host) bool { return h.addr.Is4() }) {
			return false
		}
		q.from.hosts = append(q.from.hosts, p.ranked[i])
		return true
	})},
	{kind: "a destination forgotten", plan: inPermit(func(_ *plan, q *permit) bool {
		if len(q.to.hosts) < 2 {
			return false
		}
		q.to.hosts = q.to.hosts[:len(q.to.hosts)-1]
		return true
	})},
	{kind: "sides exchanged", plan: inPermit(func(_ *plan, q *permit) bool { q.from, q.to = q.to, q.from; return true })},
	{kind: "ports up to one more", plan: inPermit(func(_ *plan, q *permit) bool {
		if len(q.ports) == 0 || q.ports[0].Lo == 0 {
			return false
		}
		q.ports[0].Hi++
		q.key += "+"
		return q.ports[0].Proto != "icmp" && q.ports[0].Proto != "icmp6"
	})},
	{kind: "ports from one more", plan: inPermit(func(_ *plan, q *permit) bool {
		if len(q.ports) == 0 || q.ports[0].Lo == 0 || q.ports[0].Lo == q.ports[0].Hi {
			return false
		}
		q.ports[0].Lo++
		q.key += "+"
		return true
	})},
	{kind: "another protocol", plan: inPermit(func(_ *plan, q *permit) bool {
		if len(q.ports) == 0 || q.ports[0].Proto != "tcp" || slices.ContainsFunc(q.ports, func(s config.PortSpec) bool { return s.Proto == "udp" }) {
			return false
		}
		q.ports[0].Proto = "udp"
		q.key += "+"
		return true
	})},
	{kind: "a record's end forgotten", plan: inPermit(func(_ *plan, q *permit) bool { was := q.term.until; q.term.until = ever; return was != ever })},
	{kind: "the last day not counted", plan: inPermit(func(_ *plan, q *permit) bool {
		was := q.term.until
		q.term.until -= 24 * 60
		return was != ever && q.term.until > q.term.from
	})},
	{kind: "a record's beginning forgotten", plan: inPermit(func(_ *plan, q *permit) bool { was := q.term.from; q.term.from = 0; return was != 0 })},
	{kind: "a record's window forgotten", plan: inPermit(func(_ *plan, q *permit) bool { was := q.term.window; q.term.window = 0; return was != 0 })},
	{kind: "bandwidth class of another place in the list", plan: inPermit(func(_ *plan, q *permit) bool { q.class++; return true })},
	{kind: "one record under another's name", plan: func(p *plan, n int) bool {
		if n+1 >= len(p.permits) || p.permits[n].record == p.permits[n+1].record {
			return false
		}
		p.permits[n].record, p.permits[n].number = p.permits[n+1].record, p.permits[n+1].number
		return true
	}},
	{kind: "windows in UTC instead of Japan's time", plan: func(p *plan, n int) bool {
		if n >= len(p.windows) || !slices.ContainsFunc(p.permits, func(q permit) bool { return q.term.window == p.windows[n].ID }) {
			return false
		}
		p.windows = slices.Clone(p.windows)
		w := &p.windows[n]
		if w.Spans[0] == (packet.Span{From: 0, To: aWeek}) {
			return false
		}
		w.Spans = []packet.Span{{From: 540, To: 1035}}
		return true
	}},
	{kind: "a station's MAC forgotten", plan: func(p *plan, n int) bool {
		return n < len(p.ranked) && func(h *host) bool { was := h.mac; h.mac = packet.MAC{}; return !was.IsZero() }(p.ranked[n])
	}},
	{kind: "a station's MAC that of the next", plan: func(p *plan, n int) bool {
		if n+1 >= len(p.ranked) || p.ranked[n].mac == p.ranked[n+1].mac {
			return false
		}
		p.ranked[n].mac = p.ranked[n+1].mac
		return true
	}},
	{kind: "the gate's address taken for a station's", plan: func(p *plan, n int) bool {
		if n >= len(p.ranked) || p.ranked[n].exit.kind != packet.KindLocal {
			return false
		}
		p.ranked[n].exit.kind = packet.KindForward
		return true
	}},
	{kind: "an address in the class of another", sort: func(c *classified, _ *portClasses, n int) bool {
		if n >= len(c.hosts) || !c.hosts[n].Addr.Is4() {
			return false
		}
		h := &c.hosts[n]
		i := slices.IndexFunc(c.hosts, func(o packet.Host) bool { return o.Segment == h.Segment && o.Class != h.Class && o.Addr.Is4() })
		if i < 0 {
			return false
		}
		h.Class = c.hosts[i].Class
		return true
	}},
	{kind: "ports in the class of others", sort: func(_ *classified, ports *portClasses, n int) bool {
		if n+1 >= len(ports.ranges) || ports.ranges[n].Class == ports.ranges[n+1].Class {
			return false
		}
		ports.ranges[n].Class = ports.ranges[n+1].Class
		return true
	}},
	{kind: "a port class forgotten", sort: func(_ *classified, ports *portClasses, n int) bool {
		if n >= len(ports.of) || len(ports.of[n]) == 0 {
			return false
		}
		ports.of[n] = ports.of[n][1:]
		return true
	}},
	{kind: "classes of a prefix forgotten", sort: func(c *classified, _ *portClasses, n int) bool {
		for q, classes := range c.within {
			if q.Addr().Is4() && len(classes) > 1 && n == 0 {
				c.within[q] = classes[:1]
				return true
			}
		}
		return false
	}},
}

// compileWith compiles with a mistake; false when there is no place for it, or the compiler itself refuses.
func compileWith(cfg *config.Config, m mistake, n int) (packet.Tables, bool) {
	p, err := newPlan(cfg, Anchors(cfg))
	if err != nil || m.plan != nil && !m.plan(p, n) {
		return packet.Tables{}, false
	}
	t, err := p.tables()
	if err != nil {
		return t, false
	}
	if m.sort == nil {
		return packet.Canonical(t), true
	}
	if p, err = newPlan(cfg, Anchors(cfg)); err != nil {
		return t, false
	}
	c, ports := p.classify(), classifyPorts(p.permits)
	if !m.sort(&c, &ports, n) {
		return t, false
	}
	t.Hosts, t.Prefixes, t.Ports = c.hosts, c.prefixes, ports.ranges
	t.Cells, t.Rules, err = p.cells(c, ports)
	return packet.Canonical(t), err == nil
}

// otherwise finds a packet that two tables decide otherwise, at any edge of an address or port.
func otherwise(cfg *config.Config, a, b *packet.Tables) (flow, bool) {
	x, y := newLookup(a), newLookup(b)
	addrs, ports := interesting(cfg)
	for _, src := range addrs {
		for _, dst := range addrs {
			for _, p := range ports {
				four := p.Proto != config.ProtoICMPv6 && src.Is4() && dst.Is4()
				six := p.Proto != config.ProtoICMP && src.Is6() && dst.Is6()
				if f := (flow{src, dst, p.Proto, p.Lo}); (four || six) && !slices.Equal(x.permitted(f), y.permitted(f)) {
					return f, true
				}
			}
		}
	}
	return flow{}, false
}

// Whatever mistake the compiler makes, somebody refuses the tables; one that nobody refuses changes no decision, as when it is
// made at an address that no packet of the record could reach. The list is printed with -v.
func TestEveryMistakeOfTheCompilerIsCaught(t *testing.T) {
	towns := map[string]*config.Config{"lab": example(t, "lab"), "town": example(t, "town")}
	for seed := range 6 {
		rapid.Custom(func(t *rapid.T) int { _, towns[fmt.Sprint("drawn ", seed)] = drawn.Config(t); return 0 }).Example(seed)
	}
	for _, m := range mistakes {
		made, by := 0, map[string]int{}
		for name, cfg := range towns {
			good, err := Compile(cfg, Anchors(cfg))
			if err != nil {
				t.Fatal(err)
			}
			good.Tables.Revision = ""
			sound := len(proof.Check(&good.Tables, Anchors(cfg)))
			for n := range 12 {
				bad, ok := compileWith(cfg, m, n)
				if !ok || packet.Hash(bad) == packet.Hash(good.Tables) {
					continue
				}
				caught := false
				if len(proof.Check(&bad, Anchors(cfg))) > sound {
					caught = true
					by["proof"]++
				}
				if len(equal.Check(cfg, Anchors(cfg), &bad)) > 0 {
					caught = true
					by["equality"]++
				}
				if caught {
					made++
				} else if f, differs := otherwise(cfg, &good.Tables, &bad); differs {
					t.Errorf("%s: %s at place %d: nobody notices, as with %v", name, m.kind, n, f)
				}
			}
		}
		if made == 0 {
			t.Errorf("%s: made nowhere", m.kind)
		}
		t.Logf("%-46s made %3d times, caught by %v", m.kind, made, by)
	}
}
