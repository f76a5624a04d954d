package policy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// cells turns permits into cells, in the order of the tables. A cell that several records permit keeps them all by name and the
// bandwidth class of the first, and is in force when any of them is.
//
// There are hundreds of thousands of cells, but each initiator class has few: its crossings are written down as numbers that
// sort by cell first and by permit second, and read off in that order. Two halves of the initiator classes are written at once,
// each with a rule book of its own: what a book's lists are numbered does not show in the tables.
func (p *plan) cells(c classified, ports portClasses) ([]packet.Cell, []packet.Rule, error) {
	book := newRuleBook(p.permits)
	o := p.openings(c, ports)
	half := o.half()
	first := cellWriter{plan: p, openings: o, book: book, ports: ports, classes: c}
	second := first
	second.book = book.fresh()
	failed := make(chan error, 1)
	go func() { failed <- second.write(half, len(o.opens)) }()
	err := cmp.Or(first.write(0, half), <-failed)
	if err != nil || len(first.done)+len(second.done) > MaxCells {
		all := cellWriter{plan: p, openings: o, book: book.fresh(), ports: ports, classes: c}
		return nil, nil, cmp.Or(all.write(0, len(o.opens)), err, tooManyCells()) // names the first record that is too much
	}
	same := book.take(second.book)
	for i := range second.done {
		second.done[i].Rule = same[second.done[i].Rule]
	}
	cells := slices.Concat(first.done, second.done)
	rules, err := book.number(cells)
	return cells, rules, err
}

func tooManyCells() error {
	return fmt.Errorf("the records make more than %d cells, which is what the packet core has room for: use groups, segments or fewer port ranges", MaxCells)
}

// openings say which permits open from each initiator class, and to which classes.
type openings struct {
	to    [][]uint16 // by permit
	opens [][]uint32 // by initiator class: permits
	most  []int      // by initiator class: cells, at most
}

func (p *plan) openings(c classified, ports portClasses) openings {
	o := openings{make([][]uint16, len(p.permits)), make([][]uint32, len(c.classes)+1), make([]int, len(c.classes)+1)}
	for i := range p.permits {
		q := &p.permits[i]
		o.to[i] = c.side(q.to)
		for _, src := range c.side(q.from) {
			o.opens[src] = append(o.opens[src], uint32(i))
			o.most[src] += len(o.to[i]) * len(ports.of[i])
		}
	}
	return o
}

// half is the initiator class before which half of the work is.
func (o *openings) half() int {
	all := 0
	for _, n := range o.most {
		all += n
	}
	half, sum := 0, 0
	for half < len(o.most) && sum < all/2 {
		sum += o.most[half]
		half++
	}
	return half
}

// cellWriter writes the cells of one initiator class after the other.
type cellWriter struct {
	openings
	plan    *plan
	book    *ruleBook
	ports   portClasses
	classes classified

	waiting []uint64      // crossings of the class at hand: destination class, port class and permit
	row     []packet.Cell // of the class at hand, in order; rules are lists of the book
	spare   []packet.Cell // the memory of the row before
	done    []packet.Cell
}

// write writes the cells of the initiator classes from one to before another.
func (w *cellWriter) write(from, to int) error {
	most, c := 0, w.classes
	for _, n := range w.most[from:to] {
		most += n
	}
	w.done = make([]packet.Cell, 0, min(most, MaxCells))
	for n := from; n < to; n++ {
		src := uint16(n)
		for _, i := range w.opens[n] {
			q := &w.plan.permits[i]
			for _, dst := range w.to[i] {
				if !q.local && c.classes[src-1].segment == c.classes[dst-1].segment {
					continue // neighbours speak directly, not through the gate
				}
				common := c.families[src-1] & c.families[dst-1]
				if common == 0 {
					continue // no packet goes from IPv4 to IPv6, and none comes from where closer entries hold every address
				}
				if err := w.crossings(src, dst, i, common); err != nil {
					return err
				}
			}
		}
		if err := w.end(src); err != nil {
			return err
		}
	}
	return nil
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
		return tooManyCells()
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
