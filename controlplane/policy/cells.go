package policy

import (
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// cells turns permits into cells, in the order of the tables. A cell that several records permit keeps them all by name and the
// bandwidth class of the first, and is in force when any of them is.
//
// There are hundreds of thousands of cells, but each initiator class has few: its crossings are written down as numbers that
// sort by cell first and by permit second, and read off in that order.
func (p *plan) cells(c classified, ports portClasses) ([]packet.Cell, []packet.Rule, error) {
	w := cellWriter{plan: p, book: newRuleBook(p.permits), ports: ports}
	to, most := make([][]uint16, len(p.permits)), 0
	opens := make([][]uint32, len(c.classes)+1) // permits by initiator class
	for i := range p.permits {
		q := &p.permits[i]
		to[i] = c.side(q.to)
		from := c.side(q.from)
		for _, src := range from {
			opens[src] = append(opens[src], uint32(i))
		}
		most += len(from) * len(to[i]) * len(ports.of[i])
	}
	w.done = make([]packet.Cell, 0, min(most, MaxCells))
	for n, permits := range opens {
		src := uint16(n)
		for _, i := range permits {
			q := &p.permits[i]
			for _, dst := range to[i] {
				if !q.local && c.classes[src-1].segment == c.classes[dst-1].segment {
					continue // neighbours speak directly, not through the gate
				}
				common := c.families[src-1] & c.families[dst-1]
				if common == 0 {
					continue // no packet goes from IPv4 to IPv6, and none comes from where closer entries hold every address
				}
				if err := w.crossings(src, dst, i, common); err != nil {
					return nil, nil, err
				}
			}
		}
		if err := w.end(src); err != nil {
			return nil, nil, err
		}
	}
	rules, err := w.book.number(w.done)
	return w.done, rules, err
}

// cellWriter writes the cells of one initiator class after the other.
type cellWriter struct {
	plan  *plan
	book  *ruleBook
	ports portClasses

	waiting []uint64      // crossings of the class at hand: destination class, port class and permit
	row     []packet.Cell // of the class at hand, in order; rules are lists of the book
	spare   []packet.Cell // the memory of the row before
	done    []packet.Cell
}

// mostWaiting bounds the memory for crossings of many records that permit the same.
var mostWaiting = 1 << 20 // less in a test

// crossings notes what a permit opens between two classes that have addresses of the common IP versions.
func (w *cellWriter) crossings(src, dst uint16, permit uint32, common uint8) error {
	for _, port := range w.ports.of[permit] {
		if common&w.ports.families[port] == 0 {
			continue // one version's ICMP between addresses of the other
		}
		w.waiting = append(w.waiting, uint64(dst)<<48|uint64(port)<<32|uint64(permit))
	}
	if len(w.waiting) < mostWaiting {
		return nil
	}
	return w.fold(src)
}

// fold puts the crossings that wait into the row: permits of an earlier fold come first.
func (w *cellWriter) fold(src uint16) error {
	slices.Sort(w.waiting)
	old := w.row
	row := w.spare[:0]
	for i := 0; i < len(w.waiting); {
		key := w.waiting[i] >> 32
		for len(old) > 0 && crossing(&old[0]) < key {
			row, old = append(row, old[0]), old[1:]
		}
		q := &w.plan.permits[uint32(w.waiting[i])]
		cell := packet.Cell{Src: src, Dst: uint16(key >> 16), Port: uint16(key), BWClass: q.class}
		if len(old) > 0 && crossing(&old[0]) == key {
			cell, old = old[0], old[1:]
		}
		for ; i < len(w.waiting) && w.waiting[i]>>32 == key; i++ {
			q = &w.plan.permits[uint32(w.waiting[i])]
			cell.Rule = w.book.add(cell.Rule, q.number)
		}
		if row = append(row, cell); len(w.done)+len(row) > MaxCells {
			return fmt.Errorf("record %q brings the policy beyond %d cells, which is what the packet core has room for: use groups, segments or fewer port ranges", q.record, MaxCells)
		}
	}
	w.row, w.spare, w.waiting = append(row, old...), w.row[:0], w.waiting[:0]
	return nil
}

// crossing is the destination class and port class of a cell as one number, in the order of the tables.
func crossing(c *packet.Cell) uint64 { return uint64(c.Dst)<<16 | uint64(c.Port) }

// end moves the row to the cells.
func (w *cellWriter) end(src uint16) error {
	if err := w.fold(src); err != nil {
		return err
	}
	if w.done = append(w.done, w.row...); len(w.done) > MaxCells {
		return fmt.Errorf("the records make more than %d cells, which is what the packet core has room for: use groups, segments or fewer port ranges", MaxCells)
	}
	w.row = w.row[:0]
	return nil
}

// side lists the classes that make up one side of a permit.
func (c classified) side(s set) []uint16 {
	out := make([]uint16, 0, len(s.hosts))
	for _, h := range s.hosts {
		out = append(out, h.class)
	}
	for _, q := range s.prefixes {
		out = append(out, c.within[q]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
