package model

import (
	"net/netip"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Part is the packet of a query as a rehearsal plays it: it enters by a segment of the tables, or, with out, the gate itself
// sends it there. It is played at a moment at which the rule that permits it, if one does, is in force; at q.At when that is
// set.
func (m *Model) Part(q Query, s packet.Segment, out bool) packet.Part {
	src, _ := m.find(q.Src)
	dst, _ := m.find(q.Dst)
	q.MAC = m.sender(q)
	p := packet.Part{Port: s.Port, Out: out, Frame: m.firstPacket(q, s), At: q.At, Dst: q.Dst}
	if c, ok := m.permission(src.class, dst.class, q.Proto, q.DPort); ok && p.At.IsZero() {
		p.At = m.moment(c.Rule, time.Now())
	}
	if to, ok := m.class(dst.class); ok && to.Kind != packet.KindLocal && !out {
		p.Device, p.Next = to.Port, q.Dst
		if hops := m.NextHops(q.Dst); len(hops) > 0 {
			p.Next = hops[0]
		}
	}
	return p
}

// NextHops are those that the class of an address permits for it; the address itself when it may be on link.
func (m *Model) NextHops(dst netip.Addr) (hops []netip.Addr) {
	b, _ := m.find(dst)
	to, _ := m.class(b.class)
	if to.OnLink {
		hops = append(hops, dst)
	}
	for _, via := range to.Via {
		if via.Is4() == dst.Is4() {
			hops = append(hops, via)
		}
	}
	return hops
}

// moment is the one nearest to now at which a rule or one of its chain is in force; now itself when there is none.
func (m *Model) moment(id uint32, now time.Time) time.Time {
	if m.inForce(id, Clock{Floor: now}, now) == "" {
		return now
	}
	best, found := now, false
	for range packet.MaxChain {
		r, ok := m.rule(id)
		if !ok {
			break
		}
		if at, ok := m.holdsFrom(r, now); ok && (!found || at.Sub(now).Abs() < best.Sub(now).Abs()) {
			best, found = at, true
		}
		if id = r.Next; id == 0 {
			break
		}
	}
	return best
}

// holdsFrom finds a minute in which one rule's own time holds: within the week from now or from its beginning on, or, when it
// is over, within its last week.
func (m *Model) holdsFrom(r packet.Rule, now time.Time) (time.Time, bool) {
	const week = 7 * 24 * 60
	begin := max(now.Unix()/60, r.From)
	if r.Until != 0 && begin >= r.Until {
		begin = max(r.Until-week, r.From)
	}
	for minute := begin; minute < begin+week; minute++ {
		if at := time.Unix(60*minute, 0).UTC(); m.holds(r, at) {
			return at, true
		}
	}
	return now, false
}
