package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
	farplan "github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// way is the direction in which a flow was opened: what comes down is then its answers, or its questions.
type way uint8

const (
	answers   way = iota // opened by the municipality: the port is the source's
	questions            // opened in the region: the port is the destination's
)

// unit is what a match can tell packets by, besides addresses: a port class of the tables, or a protocol that has no ports. Of
// the latter nothing tells questions from answers, nor types of ICMP: between two sides they have one class, the first.
type unit struct {
	way   way
	port  uint16
	proto uint8 // 0: port says it
}

// sorter tells what comes down a tunnel by bandwidth class.
type sorter struct {
	cfg      *config.Config
	t        *packet.Tables
	known    map[uint8]bool // classes that the far end has
	fallback uint8          // the default class
	members  members
}

func newSorter(cfg *config.Config, t *packet.Tables, devices []farplan.Device) *sorter {
	w := &sorter{cfg: cfg, t: t, known: map[uint8]bool{}, members: newMembers(t)}
	for _, d := range devices {
		for _, c := range d.Classes {
			w.known[c.ID] = true
			if c.Default && w.fallback == 0 {
				w.fallback = c.ID
			}
		}
	}
	return w
}

// crossed is what the cells say of one unit: for classes of the region and of the other side, the bandwidth class.
type crossed map[[2]uint16]uint8

// region makes the matches of one region, first those that say most. Whom a record does not let in never gets an answer, so that
// a match may say more than the records do as long as it puts no permitted packet into another class.
func (w *sorter) region(r *config.Region) ([]farplan.Match, error) {
	units := w.units(r)
	order := make([]unit, 0, len(units))
	for u := range units {
		order = append(order, u)
	}
	slices.SortFunc(order, func(a, b unit) int {
		return cmp.Or(cmp.Compare(a.way, b.way), cmp.Compare(a.proto, b.proto), cmp.Compare(a.port, b.port))
	})
	var out []farplan.Match
	for _, u := range order {
		if out = append(out, w.matches(r, u, units[u])...); len(out) > 4*farplan.MaxMatches {
			return nil, fmt.Errorf("more than %d matches, of which at most %d could be told", len(out), farplan.MaxMatches)
		}
	}
	return joinPorts(w.prune(out)), nil
}

// units gathers the cells that join a region with anything, by unit.
func (w *sorter) units(r *config.Region) map[unit]crossed {
	out := map[unit]crossed{}
	inside := map[uint16]bool{}
	for _, c := range w.t.Classes {
		if c.Kind == packet.KindTunnel && w.name(c.Segment) == r.ID {
			inside[c.ID] = true
		}
	}
	enter := func(u unit, c *packet.Cell, near, far uint16) {
		if out[u] == nil {
			out[u] = crossed{}
		}
		class := c.BWClass
		if !w.known[class] {
			class = w.fallback
		}
		if _, said := out[u][[2]uint16{near, far}]; !said {
			out[u][[2]uint16{near, far}] = class
		}
	}
	for _, way := range []way{answers, questions} {
		for i := range w.t.Cells {
			c := &w.t.Cells[i]
			near, far := c.Dst, c.Src
			if way == questions {
				near, far = far, near
			}
			if !inside[near] {
				continue
			}
			for _, r := range w.members.ports[c.Port] {
				u := unit{way: way, port: c.Port}
				if !ported(r.Proto) {
					u = unit{proto: r.Proto}
				}
				enter(u, c, near, far)
			}
		}
	}
	return out
}

func (w *sorter) name(segment uint16) string {
	for i := range w.t.Segments {
		if w.t.Segments[i].ID == segment {
			return w.t.Segments[i].Name
		}
	}
	return ""
}

func ported(proto uint8) bool {
	return proto == config.ProtoTCP || proto == config.ProtoUDP || proto == config.ProtoSCTP
}

// matches says one unit: in one stroke for the whole region where all of it has one class, else address by address.
func (w *sorter) matches(r *config.Region, u unit, all crossed) []farplan.Match {
	if class, one := only(all, func([2]uint16) bool { return true }); one {
		var out []farplan.Match
		for _, p := range segmentOf(w.cfg, r.ID).Prefixes {
			out = append(out, w.spell(u, p, everybody(p), class)...)
		}
		return out
	}
	var hosts, nets []farplan.Match
	near := map[uint16]bool{}
	for pair := range all {
		near[pair[0]] = true
	}
	for _, n := range sorted(near) {
		for _, from := range w.places(n) {
			list := &nets
			if from.IsSingleIP() {
				list = &hosts
			}
			if class, one := only(all, func(p [2]uint16) bool { return p[0] == n }); one {
				*list = append(*list, w.spell(u, from, everybody(from), class)...)
				continue
			}
			*list = append(*list, w.toEach(r, u, from, n, all)...)
		}
	}
	slices.SortStableFunc(nets, func(a, b farplan.Match) int { return b.From.Bits() - a.From.Bits() })
	return append(hosts, nets...)
}

// toEach says one unit from one place, where the class depends on who is spoken to.
func (w *sorter) toEach(r *config.Region, u unit, from netip.Prefix, near uint16, all crossed) []farplan.Match {
	var out []farplan.Match
	far := map[uint16]bool{}
	for pair := range all {
		if pair[0] == near {
			far[pair[1]] = true
		}
	}
	for _, f := range sorted(far) {
		for _, to := range w.places(f) {
			if to.Addr().Is4() != from.Addr().Is4() {
				continue
			}
			for _, seen := range outside(r, to) {
				out = append(out, w.spell(u, from, seen, all[[2]uint16{near, f}])...)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b farplan.Match) int { return b.To.Bits() - a.To.Bits() })
	return out
}

// outside is how the region sees addresses: as they are, or, those that are translated towards it, as what they appear.
func outside(r *config.Region, p netip.Prefix) []netip.Prefix {
	out := []netip.Prefix{p}
	for _, n := range r.NAT {
		switch {
		case n.Inside.Bits() <= p.Bits() && n.Inside.Contains(p.Addr()):
			return []netip.Prefix{mapped(n, p)}
		case p.Bits() < n.Inside.Bits() && p.Contains(n.Inside.Addr()):
			out = append(out, n.Outside)
		}
	}
	return out
}

// mapped moves a prefix from inside to outside, bit by bit behind the length of both.
func mapped(n config.NAT, p netip.Prefix) netip.Prefix {
	in, out := p.Addr().As4(), n.Outside.Addr().As4()
	for i := range in {
		keep := byte(0xff)
		switch b := n.Inside.Bits() - 8*i; {
		case b >= 8:
			keep = 0
		case b > 0:
			keep >>= b
		}
		out[i] = out[i]&^keep | in[i]&keep
	}
	return netip.PrefixFrom(netip.AddrFrom4(out), p.Bits())
}

// places are the addresses of a class, single ones first. A prefix may hold closer ones of another class: those come before it.
func (w *sorter) places(class uint16) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range w.members.hosts[class] {
		out = append(out, single(a))
	}
	return append(out, w.members.prefixes[class]...)
}

// spell writes a unit's ports, or its protocol.
func (w *sorter) spell(u unit, from, to netip.Prefix, class uint8) []farplan.Match {
	m := farplan.Match{From: from, To: to, Proto: u.proto, Class: class}
	if u.proto != 0 {
		if (u.proto == config.ProtoICMP) != from.Addr().Is4() && (u.proto == config.ProtoICMP || u.proto == config.ProtoICMPv6) {
			return nil
		}
		return []farplan.Match{m}
	}
	var out []farplan.Match
	for _, r := range w.members.ports[u.port] {
		if !ported(r.Proto) {
			continue
		}
		m.Proto = r.Proto
		m.Ports, m.Dest = farplan.Ports{}, farplan.Ports{}
		if u.way == answers {
			m.Ports = farplan.Ports{Lo: r.Lo, Hi: r.Hi}
		} else {
			m.Dest = farplan.Ports{Lo: r.Lo, Hi: r.Hi}
		}
		out = append(out, m)
	}
	return out
}

// everybody is all addresses of the IP version of p.
func everybody(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// only is the one class of some crossings; false: there are several.
func only(all crossed, which func([2]uint16) bool) (uint8, bool) {
	class, any := uint8(0), false
	for pair, c := range all {
		if !which(pair) {
			continue
		}
		if any && c != class {
			return 0, false
		}
		class, any = c, true
	}
	return class, any
}

func sorted(in map[uint16]bool) []uint16 {
	out := make([]uint16, 0, len(in))
	for n := range in {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// prune takes out what the default class would say anyway: matches of it that no later match would take otherwise.
func (w *sorter) prune(in []farplan.Match) []farplan.Match {
	var out []farplan.Match
	var later []farplan.Match // of other classes, the last first
	for _, m := range slices.Backward(in) {
		if m.Class == w.fallback && !slices.ContainsFunc(later, func(o farplan.Match) bool { return bothFit(m, o) }) {
			continue
		}
		if m.Class != w.fallback {
			later = append(later, m)
		}
		out = append(out, m)
	}
	slices.Reverse(out)
	return out
}

// bothFit tells whether a packet can fit both.
func bothFit(a, b farplan.Match) bool {
	return a.From.Overlaps(b.From) && a.To.Overlaps(b.To) && (a.Proto == 0 || b.Proto == 0 || a.Proto == b.Proto) && touch(a.Ports, b.Ports) && touch(a.Dest, b.Dest)
}

func touch(a, b farplan.Ports) bool { return a.All() || b.All() || a.Lo <= b.Hi && b.Lo <= a.Hi }

// joinPorts makes one of neighbours that differ only in ports that follow each other.
func joinPorts(in []farplan.Match) []farplan.Match {
	type key struct {
		from, to    netip.Prefix
		proto       uint8
		class       uint8
		ports, dest bool
	}
	keyOf := func(m farplan.Match) key {
		return key{m.From, m.To, m.Proto, m.Class, m.Ports != farplan.Ports{}, m.Dest != farplan.Ports{}}
	}
	var out []farplan.Match
	for _, m := range in {
		i := slices.IndexFunc(out, func(o farplan.Match) bool {
			return keyOf(o) == keyOf(m) && (follows(o.Ports, m.Ports) || follows(o.Dest, m.Dest))
		})
		if i < 0 || slices.ContainsFunc(out[i+1:], func(o farplan.Match) bool { return o.Class != m.Class && bothFit(o, m) }) {
			out = append(out, m)
			continue
		}
		join(&out[i].Ports, m.Ports)
		join(&out[i].Dest, m.Dest)
	}
	return out
}

func follows(a, b farplan.Ports) bool {
	return a != farplan.Ports{} && (int(a.Hi)+1 == int(b.Lo) || int(b.Hi)+1 == int(a.Lo))
}

func join(a *farplan.Ports, b farplan.Ports) {
	if *a != (farplan.Ports{}) {
		*a = farplan.Ports{Lo: min(a.Lo, b.Lo), Hi: max(a.Hi, b.Hi)}
	}
}
