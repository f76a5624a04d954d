package policy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// tables makes classes, port classes, cells and rules from the plan.
func (p *plan) tables() (packet.Tables, error) {
	t := packet.Tables{Windows: p.windows, DSCP: p.codePoints}
	for _, s := range p.segments {
		t.Segments = append(t.Segments, packet.Segment{
			ID: s.number, Name: s.ID, Zone: s.Zone, Port: s.port, VLAN: s.VLAN, Outer: s.Outer, Strict: s.strict, Tunnel: s.Tunnel != "",
			Multicast: s.Multicast, Routers: s.Advertising, DHCPServers: s.DHCPServers, TrustDSCP: s.TrustDSCP, Limits: limits(s.Limits),
		})
	}
	c := p.classify()
	if len(c.classes) > MaxClasses {
		return t, fmt.Errorf("the records split the addresses into %d classes; the packet core has room for %d: use groups and segments instead of single stations", len(c.classes), MaxClasses)
	}
	t.Hosts, t.Prefixes = c.hosts, c.prefixes
	for i, e := range c.classes {
		t.Classes = append(t.Classes, p.class(uint16(i+1), e))
	}
	ports := classifyPorts(p.permits)
	if ports.count > MaxPorts {
		return t, fmt.Errorf("the records split the ports into %d classes; the packet core has room for %d: use fewer different ranges", ports.count, MaxPorts)
	}
	t.Ports = ports.ranges
	var err error
	t.Cells, t.Rules, err = p.cells(c, ports)
	return t, err
}

func (p *plan) class(id uint16, e exit) packet.Class {
	c := packet.Class{ID: id, Segment: e.segment, Kind: e.kind, OnLink: e.onLink}
	for _, s := range p.segments {
		if s.number == e.segment {
			c.Port, c.VLAN, c.Outer = s.port, s.VLAN, s.Outer
		}
	}
	for _, v := range []netip.Addr{e.via4, e.via6} {
		if v.IsValid() {
			c.Via = append(c.Via, v)
		}
	}
	return c
}

// Usual bounds of a segment: a quarter of a flow table of the usual size, so that no segment can take it all, and a quarter of
// that for one station.
const (
	usualFlows = packet.DefaultFlows / 4
	usualRate  = 4096 // new flows a second
	share      = 4
)

// limits fills in what the configuration leaves open. What bounds one station never exceeds what bounds its segment.
func limits(l config.Limits) packet.Limits {
	out := packet.Limits{Flows: cmp.Or(l.Flows, usualFlows), Rate: cmp.Or(l.Rate, usualRate)}
	out.StationFlows = min(out.Flows, cmp.Or(l.StationFlows, max(usualFlows/share, out.Flows/share)))
	out.StationRate = min(out.Rate, cmp.Or(l.StationRate, max(usualRate/share, out.Rate/share)))
	return out
}

// classified is the result of dividing the addresses.
type classified struct {
	hosts    []packet.Host
	prefixes []packet.Prefix
	classes  []exit                    // by class number - 1
	families []uint8                   // of the addresses that fall to it, by class number - 1: 1 = IPv4, 2 = IPv6
	within   map[netip.Prefix][]uint16 // classes of a prefix and of all that lies in it, without the gate's own
}

// classify puts addresses into one class exactly when every permit treats them alike, as initiator and as destination,
// and they leave the gate alike.
func (p *plan) classify() classified {
	prefixTerms := p.terms()
	prefixes := sortedPrefixes(p.prefixes)

	// Every prefix inherits the terms of the prefixes around it; every host those of the closest prefix.
	inherited := map[netip.Prefix][]uint32{}
	parents := closest(prefixes)
	for i, q := range prefixes { // outer prefixes come first
		var outer []uint32
		if parents[i] >= 0 {
			outer = inherited[prefixes[parents[i]].prefix]
		}
		inherited[q.prefix] = union(outer, prefixTerms[q.prefix])
	}

	c := classified{hosts: make([]packet.Host, 0, len(p.ranked)), within: map[netip.Prefix][]uint16{}}
	known := map[string]uint16{}
	number := func(e exit, terms []uint32) uint16 {
		key := classKey(e, terms)
		n, ok := known[key]
		if !ok {
			c.classes = append(c.classes, e)
			c.families = append(c.families, 0)
			if len(c.classes) > MaxClasses {
				return 0 // the caller refuses
			}
			n = uint16(len(c.classes))
			known[key] = n
		}
		return n
	}
	catch := func(n uint16, a netip.Addr) {
		if n != 0 {
			c.families[n-1] |= family(a)
		}
	}
	left := uncovered(prefixes, parents)
	tree := newTrie(prefixes)
	for _, h := range p.ranked {
		terms := h.terms
		around := tree.around(h.addr)
		if h.exit.kind != packet.KindLocal && len(around) > 0 {
			terms = union(inherited[around[len(around)-1]], terms)
		}
		n := number(h.exit, terms)
		catch(n, h.addr)
		if len(around) > 0 {
			left[around[len(around)-1]].take(1)
		}
		c.hosts = append(c.hosts, packet.Host{Addr: h.addr, Class: n, Segment: h.exit.segment, MAC: h.mac})
		h.class = n
		if h.exit.kind != packet.KindLocal {
			for _, q := range around {
				c.within[q] = append(c.within[q], n)
			}
		}
	}
	for i, q := range prefixes {
		n := number(q.exit, inherited[q.prefix])
		if !left[q.prefix].none() {
			catch(n, q.prefix.Addr())
		}
		c.prefixes = append(c.prefixes, packet.Prefix{Prefix: q.prefix, Class: n, Segment: q.exit.segment, MAC: q.mac})
		for j := i; j >= 0; j = parents[j] {
			c.within[prefixes[j].prefix] = append(c.within[prefixes[j].prefix], n)
		}
	}
	for q, classes := range c.within {
		slices.Sort(classes)
		c.within[q] = slices.Compact(classes)
	}
	return c
}

// amount is a number of addresses, up to those of a /1 of IPv6.
type amount struct{ hi, lo uint64 }

// size is the number of addresses in a prefix; that of ::/0, which no segment can have, is given as one less than it is.
func size(p netip.Prefix) amount {
	switch n := p.Addr().BitLen() - p.Bits(); {
	case n == 128:
		return amount{math.MaxUint64, math.MaxUint64}
	case n >= 64:
		return amount{hi: 1 << (n - 64)}
	default:
		return amount{lo: 1 << n}
	}
}

func (a *amount) minus(b amount) {
	var borrow uint64
	a.lo, borrow = bits.Sub64(a.lo, b.lo, 0)
	a.hi, _ = bits.Sub64(a.hi, b.hi, borrow)
}

func (a *amount) take(n uint64) { a.minus(amount{lo: n}) }
func (a *amount) none() bool    { return a.hi|a.lo == 0 }

// uncovered counts, for each prefix, the addresses that no inner prefix catches; hosts are still to be taken off.
func uncovered(prefixes []*prefix, parents []int) map[netip.Prefix]*amount {
	left := make(map[netip.Prefix]*amount, len(prefixes))
	for i, q := range prefixes {
		n := size(q.prefix)
		left[q.prefix] = &n
		if parents[i] >= 0 {
			left[prefixes[parents[i]].prefix].minus(n)
		}
	}
	return left
}

// family is the bit of an address's IP version.
func family(a netip.Addr) uint8 {
	if a.Is4() {
		return 1
	}
	return 2
}

// terms says, for each host and prefix that a permit names, which permits on which side: 2*permit as initiator,
// 2*permit+1 as destination.
func (p *plan) terms() map[netip.Prefix][]uint32 {
	prefixes := map[netip.Prefix][]uint32{}
	add := func(s set, term uint32) {
		for _, h := range s.hosts {
			h.terms = append(h.terms, term)
		}
		for _, q := range s.prefixes {
			prefixes[q] = append(prefixes[q], term)
		}
	}
	for i, q := range p.permits {
		add(q.from, uint32(2*i))
		add(q.to, uint32(2*i+1))
	}
	return prefixes
}

// union of two sorted lists without repetitions.
func union(a, b []uint32) []uint32 {
	if len(b) == 0 {
		return a
	}
	out := make([]uint32, 0, len(a)+len(b))
	out = append(append(out, a...), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

func classKey(e exit, terms []uint32) string {
	b := make([]byte, 0, 96+4*len(terms))
	b = fmt.Appendf(b, "%d %d %t %v %v|", e.segment, e.kind, e.onLink, e.via4, e.via6)
	for _, t := range terms {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	return string(b)
}

// sortedPrefixes orders by address, outer before inner.
func sortedPrefixes(m map[netip.Prefix]*prefix) []*prefix {
	out := make([]*prefix, 0, len(m))
	for _, q := range m {
		out = append(out, q)
	}
	slices.SortFunc(out, func(a, b *prefix) int { return comparePrefix(a.prefix, b.prefix) })
	return out
}

// closest finds, for prefixes sorted outer first, the index of the smallest prefix around each; -1 = none.
func closest(prefixes []*prefix) []int {
	parents := make([]int, len(prefixes))
	var open []int
	for i, q := range prefixes {
		for len(open) > 0 && !prefixes[open[len(open)-1]].prefix.Contains(q.prefix.Addr()) {
			open = open[:len(open)-1]
		}
		parents[i] = -1
		if len(open) > 0 {
			parents[i] = open[len(open)-1]
		}
		open = append(open, i)
	}
	return parents
}

// trie finds the prefixes around an address by trying each length that occurs.
type trie struct {
	lengths map[bool][]int // by Is4, shortest first
	present map[netip.Prefix]bool
}

func newTrie(prefixes []*prefix) trie {
	t := trie{map[bool][]int{}, map[netip.Prefix]bool{}}
	for _, q := range prefixes {
		v4 := q.prefix.Addr().Is4()
		t.present[q.prefix] = true
		if !slices.Contains(t.lengths[v4], q.prefix.Bits()) {
			t.lengths[v4] = append(t.lengths[v4], q.prefix.Bits())
		}
	}
	slices.Sort(t.lengths[true])
	slices.Sort(t.lengths[false])
	return t
}

// around lists the prefixes that hold a, outer first.
func (t trie) around(a netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range t.lengths[a.Is4()] {
		if q, err := a.Prefix(n); err == nil && t.present[q] {
			out = append(out, q)
		}
	}
	return out
}

// portClasses is the result of dividing the ports.
type portClasses struct {
	ranges   []packet.PortRange
	count    int
	of       [][]uint16 // by permit: its port classes
	families []uint8    // by class: the IP versions that have such packets, as in classified
}

// classifyPorts puts two ports into one class when every list of ports treats them alike. Only single ports beside each other
// take turns between two classes: one class would make them a range in the tables, and between My Number and LGWAN a range
// is refused (I2) where ports that were named one by one are not.
func classifyPorts(permits []permit) portClasses {
	var lists [][]config.Range
	listOf := make([]int, len(permits))
	seen := map[string]int{}
	for i, p := range permits {
		if p.key == "" { // the gate's own
			p.key = portKey(p.ports)
		}
		n, ok := seen[p.key]
		if !ok {
			n = len(lists)
			seen[p.key] = n
			var rs []config.Range
			for _, s := range p.ports {
				rs = append(rs, s.Ranges()...)
			}
			lists = append(lists, rs)
		}
		listOf[i] = n
	}

	out := portClasses{of: make([][]uint16, len(permits)), families: []uint8{0}}
	members := make([][]uint16, len(lists))
	known := map[string]uint16{}
	last, lastKey := piece{}, ""
	for _, piece := range elementary(lists) {
		key := fmt.Sprint(piece.lists)
		if piece.single() && last.single() && last.proto == piece.proto && int(last.hi)+1 == int(piece.lo) && lastKey == key {
			key += "'"
		}
		last, lastKey = piece, key
		n, ok := known[key]
		if !ok {
			out.count++
			n = uint16(min(out.count, MaxPorts)) // the caller refuses beyond the bound
			known[key] = n
			out.families = append(out.families, 0)
			for _, l := range piece.lists {
				members[l] = append(members[l], n)
			}
		}
		out.families[n] |= families(piece.proto)
		out.ranges = append(out.ranges, packet.PortRange{Proto: piece.proto, Lo: piece.lo, Hi: piece.hi, Class: n})
	}
	for i, l := range listOf {
		out.of[i] = members[l]
	}
	return out
}

// families are the IP versions in which a protocol occurs.
func families(proto uint8) uint8 {
	switch proto {
	case config.ProtoICMP:
		return 1
	case config.ProtoICMPv6:
		return 2
	}
	return 1 | 2
}

// piece is a run of ports that the same lists hold.
type piece struct {
	proto  uint8
	lo, hi uint16
	lists  []int
}

// single tells a run of one port; the zero piece is none.
func (p piece) single() bool { return p.lo == p.hi && p.lists != nil }

// elementary cuts all ranges at each other's ends.
func elementary(lists [][]config.Range) []piece {
	cuts := map[uint8][]int{}
	for _, l := range lists {
		for _, r := range l {
			cuts[r.Proto] = append(cuts[r.Proto], int(r.Lo), int(r.Hi)+1)
		}
	}
	var out []piece
	at := map[[2]int]int{} // (proto, lo) -> piece
	for proto := range 256 {
		c := cuts[uint8(proto)]
		slices.Sort(c)
		c = slices.Compact(c)
		cuts[uint8(proto)] = c
		for i := 0; i+1 < len(c); i++ {
			at[[2]int{proto, c[i]}] = len(out)
			out = append(out, piece{proto: uint8(proto), lo: uint16(c[i]), hi: uint16(c[i+1] - 1)})
		}
	}
	for l, rs := range lists {
		for _, r := range rs {
			c := cuts[r.Proto]
			i, _ := slices.BinarySearch(c, int(r.Lo))
			for ; i < len(c) && c[i] <= int(r.Hi); i++ {
				k := at[[2]int{int(r.Proto), c[i]}]
				if n := len(out[k].lists); n == 0 || out[k].lists[n-1] != l {
					out[k].lists = append(out[k].lists, l)
				}
			}
		}
	}
	return slices.DeleteFunc(out, func(p piece) bool { return len(p.lists) == 0 })
}
