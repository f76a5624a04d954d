package packet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// prefixes reads the list that the trie's entries name; it must be in order, so that none can be there twice.
func (r *reader) prefixes(t *Tables) error {
	table := &r.tables[tablePrefixes]
	if table.count == 0 || table.entries != table.count-1 || !zero(table.bytes[:32]) {
		return fmt.Errorf("%d entries with %d in use: want entry 0 empty, and no other", table.count, table.entries)
	}
	for n := 1; n < int(table.count); n++ {
		b := table.bytes[32*n:][:32]
		a := netip.AddrFrom16([16]byte(b))
		switch {
		case b[29] == 4 && zero(b[:12]):
			a = netip.AddrFrom4([4]byte(b[12:]))
		case b[29] != 6:
			return fmt.Errorf("prefix %d is of family %d", n, b[29])
		}
		p := Prefix{Prefix: netip.PrefixFrom(a, int(b[28]))}
		p.Class, p.Segment, p.MAC = binding(b[16:])
		if !p.Prefix.IsValid() || !zero(b[26:28]) || !zero(b[30:32]) {
			return fmt.Errorf("prefix %d: %s/%d is none, or there are bytes where there should be none", n, a, b[28])
		}
		if last := len(t.Prefixes) - 1; last >= 0 && comparePrefixes(t.Prefixes[last], p) >= 0 {
			return fmt.Errorf("prefix %d, %s, is not in order", n, p.Prefix)
		}
		t.Prefixes = append(t.Prefixes, p)
	}
	return nil
}

// position is an address as a number, IPv4 in the highest 32 bits.
type position struct{ hi, lo uint64 }

// plus adds 1 << bit; false when that is beyond the last address.
func (p position) plus(bit int) (position, bool) {
	if bit >= 128 {
		return p, false
	}
	if bit >= 64 {
		sum := p.hi + 1<<(bit-64)
		return position{sum, p.lo}, sum > p.hi
	}
	sum := p.lo + 1<<bit
	if sum < p.lo {
		return position{p.hi + 1, sum}, p.hi+1 != 0
	}
	return position{p.hi, sum}, true
}

func (p position) less(q position) bool { return p.hi < q.hi || p.hi == q.hi && p.lo < q.lo }

func positionOf(a netip.Addr) position {
	if a.Is4() {
		b := a.As4()
		return position{hi: uint64(b[0])<<56 | uint64(b[1])<<48 | uint64(b[2])<<40 | uint64(b[3])<<32}
	}
	b := a.As16()
	var p position
	for i := range 8 {
		p.hi, p.lo = p.hi<<8|uint64(b[i]), p.lo<<8|uint64(b[8+i])
	}
	return p
}

// stretches divide all addresses of a family: from each start on, up to the next, one prefix decides; 0: none.
type stretches []stretch

type stretch struct {
	start  position
	prefix uint32 // number
}

// from says that a prefix decides from a position on; positions come in order, and the last word on one counts.
func (s *stretches) from(start position, prefix uint32) {
	v := *s
	if n := len(v); n > 0 && v[n-1].start == start {
		v = v[:n-1]
	}
	if n := len(v); n == 0 || v[n-1].prefix != prefix {
		v = append(v, stretch{start, prefix})
	}
	*s = v
}

// implied is what the list of prefixes says: the narrowest decides.
func implied(list []Prefix, four bool) (s stretches) {
	type open struct {
		end    position
		ends   bool // false: with the last address
		prefix uint32
	}
	var around []open
	s.from(position{}, 0)
	closeUntil := func(done func(open) bool) {
		for n := len(around) - 1; n >= 0 && done(around[n]); n-- {
			last := around[n]
			around = around[:n]
			if last.ends {
				outer := uint32(0)
				if n > 0 {
					outer = around[n-1].prefix
				}
				s.from(last.end, outer)
			}
		}
	}
	for i, p := range list { // in order: wide before narrow
		a := p.Prefix.Addr()
		if a.Is4() != four {
			continue
		}
		start := positionOf(a)
		closeUntil(func(o open) bool { return o.ends && !start.less(o.end) })
		end, ends := start.plus(128 - p.Prefix.Bits())
		s.from(start, uint32(i+1))
		around = append(around, open{end, ends, uint32(i + 1)})
	}
	closeUntil(func(open) bool { return true })
	return s
}

// nodes walks the trie as every possible address would, and compares what decides about each with the list.
func (r *reader) nodes(t *Tables) error {
	table := &r.tables[tableNodes]
	if table.count < 2 || table.count > maxNodes || table.entries != table.count {
		return fmt.Errorf("%d nodes, %d in use: want 2 to %d, all in use", table.count, table.entries, maxNodes)
	}
	w := trieWalk{nodes: table.bytes, used: make([]bool, table.count)}
	for root, family := range []struct {
		four  bool
		depth int
	}{{true, 4}, {false, 16}} {
		w.found = nil
		if err := w.visit(uint32(root), position{}, 0, family.depth); err != nil {
			return err
		}
		if !slices.Equal(w.found, implied(t.Prefixes, family.four)) {
			return fmt.Errorf("the trie of addresses of %d bytes says otherwise than the list of prefixes", family.depth)
		}
	}
	if slices.Contains(w.used, false) {
		return errors.New("a node is on no way from a root")
	}
	return nil
}

type trieWalk struct {
	nodes []byte
	used  []bool
	found stretches
}

// visit walks a node whose entries are the byte of that depth; each node is on one way only, so the walk ends.
func (w *trieWalk) visit(node uint32, start position, depth, bytes int) error {
	if node >= uint32(len(w.used)) || w.used[node] {
		return fmt.Errorf("node %d of %d: not there, or on two ways", node, len(w.used))
	}
	w.used[node] = true
	entries := w.nodes[4*nodeFan*int(node):][:4*nodeFan]
	for i := range uint64(nodeFan) {
		at := start
		if depth < 8 {
			at.hi |= i << (56 - 8*depth)
		} else {
			at.lo |= i << (56 - 8*(depth-8))
		}
		v := le.Uint32(entries[4*i:])
		if v&nodeChild == 0 {
			w.found.from(at, v)
			continue
		}
		if depth+1 == bytes {
			return fmt.Errorf("node %d: there is no byte left of the address for another", node)
		}
		if err := w.visit(v&^nodeChild, at, depth+1, bytes); err != nil {
			return err
		}
	}
	return nil
}
