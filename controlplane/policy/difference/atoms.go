package difference

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
)

// side is one revision: its permits as boxes.
type side struct {
	doc    *reading.Document
	boxes  []space.Box
	record []int  // place of the box's permit
	fresh  []bool // the other revision has no permit of the same boxes
}

func newSide(d *reading.Document) *side {
	s := &side{doc: d}
	for i := range d.Permits {
		for _, b := range d.Boxes(&d.Permits[i]) {
			s.boxes, s.record = append(s.boxes, b), append(s.record, i)
		}
	}
	s.fresh = make([]bool, len(s.boxes))
	return s
}

// compare marks the boxes that only one side has. What both have, whatever its name, makes no difference by itself.
func compare(a, b *side) (any bool) {
	count := map[string]int{}
	keys := [2][]string{}
	for n, s := range []*side{a, b} {
		keys[n] = make([]string, len(s.boxes))
		for i, x := range s.boxes {
			keys[n][i] = x.Key()
			count[keys[n][i]] |= 1 << n
		}
	}
	for n, s := range []*side{a, b} {
		for i, k := range keys[n] {
			s.fresh[i] = count[k] != 3
			any = any || s.fresh[i]
		}
	}
	return any
}

// crossing is two atoms: addresses that every box of both sides treats alike, as initiator and as destination.
type crossing struct{ src, dst int32 }

// atoms are the addresses of both sides, cut so that each box holds whole ones.
type atoms struct {
	addrs  []space.Addrs
	family []space.Family
	from   [2][][]int32 // atoms of each box
	to     [2][][]int32
}

// newAtoms cuts. Costs n log n in the intervals of the boxes.
func newAtoms(sides [2]*side) *atoms {
	var cuts []netip.Addr
	seen := map[*space.Interval[netip.Addr]]bool{} // lists that many boxes share
	add := func(a space.Addrs) {
		if len(a) == 0 || seen[&a[0]] {
			return
		}
		seen[&a[0]] = true
		for _, v := range a {
			cuts = append(cuts, v.Lo)
			if n := v.Hi.Next(); n.IsValid() {
				cuts = append(cuts, n)
			}
		}
	}
	for _, s := range sides {
		for _, b := range s.boxes {
			add(b.From)
			add(b.To)
		}
	}
	slices.SortFunc(cuts, netip.Addr.Compare)
	cuts = slices.Compact(cuts)
	marks := make([][]uint32, len(cuts)) // of each unit: boxes that hold it
	each := func(a space.Addrs, do func(unit int)) {
		for _, v := range a {
			i, _ := slices.BinarySearchFunc(cuts, v.Lo, netip.Addr.Compare)
			for ; i < len(cuts) && cuts[i].Compare(v.Hi) <= 0; i++ {
				do(i)
			}
		}
	}
	for n, s := range sides {
		for i, b := range s.boxes {
			mark := uint32(i)<<2 | uint32(n)<<1
			each(b.From, func(u int) { marks[u] = append(marks[u], mark) })
			each(b.To, func(u int) { marks[u] = append(marks[u], mark|1) })
		}
	}
	k := &atoms{}
	of := make([]int32, len(cuts))
	known := map[string]int32{}
	for u, m := range marks {
		f := space.FamilyOf(cuts[u])
		key := []byte{byte(f)}
		for _, x := range m {
			key = binary.BigEndian.AppendUint32(key, x)
		}
		n, ok := known[string(key)]
		if !ok {
			n = int32(len(k.addrs))
			known[string(key)] = n
			k.addrs, k.family = append(k.addrs, nil), append(k.family, f)
		}
		of[u] = n
		hi := space.Last(netip.PrefixFrom(cuts[u], 0))
		if u+1 < len(cuts) && cuts[u+1].Is4() == cuts[u].Is4() {
			hi = cuts[u+1].Prev()
		}
		k.addrs[n] = append(k.addrs[n], space.Interval[netip.Addr]{Lo: cuts[u], Hi: hi})
	}
	for n := range k.addrs {
		k.addrs[n] = space.Of(k.addrs[n]...)
	}
	for n, s := range sides {
		for _, b := range s.boxes {
			var from, to []int32
			each(b.From, func(u int) { from = append(from, of[u]) })
			each(b.To, func(u int) { to = append(to, of[u]) })
			k.from[n], k.to[n] = append(k.from[n], unique(from)), append(k.to[n], unique(to))
		}
	}
	return k
}

func unique(in []int32) []int32 {
	slices.Sort(in)
	return slices.Compact(in)
}

// piece is part of a difference: ports and times, and the records of the side that has it.
type piece struct {
	ports   space.Ports
	times   space.Times
	records []string
}

func (p piece) key() string {
	return space.Box{Ports: p.ports, Times: p.times}.Key() + "\x00" + strings.Join(p.records, "\x00")
}

// parts gives what only sides[0] permits and what only sides[1] does: exactly, in few boxes.
//
// Only crossings of boxes that one side alone has can differ. For each of them the ports and times of both sides are compared;
// crossings with the same boxes are compared once.
func parts(sides [2]*side) [2][]Part {
	if !compare(sides[0], sides[1]) {
		return [2][]Part{}
	}
	k := newAtoms(sides)
	boxes := map[crossing]*[2][]int32{} // of each side, at crossings in question
	each := func(n, i int, do func(crossing)) {
		for _, src := range k.from[n][i] {
			for _, dst := range k.to[n][i] {
				if k.family[src] == k.family[dst] {
					do(crossing{src, dst})
				}
			}
		}
	}
	for n, s := range sides {
		for i := range s.boxes {
			if s.fresh[i] {
				each(n, i, func(c crossing) {
					if boxes[c] == nil {
						boxes[c] = &[2][]int32{}
					}
				})
			}
		}
	}
	for n, s := range sides {
		for i := range s.boxes {
			each(n, i, func(c crossing) {
				if b := boxes[c]; b != nil {
					b[n] = append(b[n], int32(i))
				}
			})
		}
	}
	type found struct {
		piece
		srcs map[int32][]int32 // by destination
	}
	var out [2]map[string]*found
	out[0], out[1] = map[string]*found{}, map[string]*found{}
	known := map[string][2][]*found{}
	for c, b := range boxes {
		key := []byte{byte(k.family[c.src])}
		for _, list := range b {
			key = binary.BigEndian.AppendUint32(key, uint32(len(list)))
			for _, i := range list {
				key = binary.BigEndian.AppendUint32(key, uint32(i))
			}
		}
		answer, ok := known[string(key)]
		if !ok {
			for n, pieces := range differ(sides, b, k.family[c.src]) {
				for _, p := range pieces {
					f := out[n][p.key()]
					if f == nil {
						f = &found{p, map[int32][]int32{}}
						out[n][p.key()] = f
					}
					answer[n] = append(answer[n], f)
				}
			}
			known[string(key)] = answer
		}
		for _, list := range answer {
			for _, f := range list {
				f.srcs[c.dst] = append(f.srcs[c.dst], c.src)
			}
		}
	}
	var all [2][]Part
	for n, m := range out {
		byRecords := map[string]space.Set{}
		names := map[string][]string{}
		for _, f := range m {
			key := strings.Join(f.records, "\x00")
			names[key] = f.records
			for dst, srcs := range f.srcs {
				var from []space.Interval[netip.Addr]
				for _, src := range srcs {
					from = append(from, k.addrs[src]...)
				}
				byRecords[key] = append(byRecords[key], space.Box{From: space.Of(from...), To: k.addrs[dst], Ports: f.ports, Times: f.times})
			}
		}
		for key, set := range byRecords {
			for _, b := range set.Merge() {
				all[n] = append(all[n], Part{Box: b, Records: names[key]})
			}
		}
	}
	return all
}

// differ compares ports and times of two lists of boxes: what only the first has, and what only the second has.
func differ(sides [2]*side, lists *[2][]int32, f space.Family) (out [2][]piece) {
	var sets [2]space.Set
	some := space.Single(netip.IPv4Unspecified()) // in place of the addresses, which all share
	if f == space.V6 {
		some = space.Single(netip.IPv6Unspecified())
	}
	plain := func(b *space.Box) space.Box { return space.Box{From: some, To: some, Ports: b.Ports, Times: b.Times} }
	for n, list := range lists {
		for _, i := range list {
			sets[n] = sets[n].Union(space.Set{plain(&sides[n].boxes[i])})
		}
	}
	for n, list := range lists {
		left := []share{{set: sets[n].Minus(sets[1-n])}}
		if left[0].set.Empty() {
			continue
		}
		for _, i := range list {
			left = split(left, plain(&sides[n].boxes[i]), sides[n].doc.Permits[sides[n].record[i]].Record)
		}
		for _, s := range left {
			for _, b := range s.set.Merge() {
				out[n] = append(out[n], piece{b.Ports, b.Times, s.records})
			}
		}
	}
	return out
}

// share is packets that the same records permit.
type share struct {
	set     space.Set
	records []string
}

// mostShares is from how many shares on a record is no longer told apart from those that it overlaps.
const mostShares = 200

// split tells what a box of a record holds from what it does not.
func split(in []share, box space.Box, record string) []share {
	var out []share
	for _, s := range in {
		with := s.set.Intersect(space.Set{box})
		if slices.Contains(s.records, record) || with.Empty() {
			out = append(out, s)
			continue
		}
		names := append(slices.Clone(s.records), record)
		if without := s.set.Minus(space.Set{box}); len(in) >= mostShares || without.Empty() {
			with = s.set
		} else {
			out = append(out, share{without, s.records})
		}
		out = append(out, share{with, names})
	}
	return out
}
