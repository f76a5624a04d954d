package equal

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// named is a rule as its cells mean it: with all the records that it names, in the order of the document.
type named struct {
	*packet.Rule
	records []int32 // places in Document.Permits; from stranger on: a name that the document does not have
	cell    int32   // one that names the rule; -1: none
}

// stranger is beyond every permit.
const stranger int32 = 1 << 30

// lists are rules by their numbers: a compiler gives them one after the other, tables of another make may do anything.
type lists struct {
	dense []*named
	rest  map[uint32]*named
}

func newLists(rules int) lists { return lists{make([]*named, rules+1), map[uint32]*named{}} }

func (l *lists) of(id uint32) *named {
	if int64(id) < int64(len(l.dense)) {
		return l.dense[id]
	}
	return l.rest[id]
}

func (l *lists) enter(id uint32, n *named) {
	if int64(id) < int64(len(l.dense)) {
		l.dense[id] = n
		return
	}
	l.rest[id] = n
}

// rules resolves the records' names.
func (k *checker) rules() {
	numbers := make(map[string]int32, len(k.d.Permits))
	for i := range k.d.Permits {
		numbers[k.d.Permits[i].Record] = int32(i)
	}
	k.lists = newLists(len(k.t.Rules))
	all, names := make([]named, len(k.t.Rules)), 0
	for i := range k.t.Rules {
		names += len(k.t.Rules[i].Records)
	}
	records := make([]int32, 0, names) // of all rules, one after the other
	for i := range k.t.Rules {
		r := &k.t.Rules[i]
		n := &all[i]
		n.Rule, n.cell = r, -1
		begin := len(records)
		for j, name := range r.Records {
			p, ok := numbers[name]
			if !ok {
				p = stranger + int32(j)
				k.fault(Fault{What: fmt.Sprintf("rule %d names record %q, which the configuration does not have in force", r.ID, name), Record: name})
			}
			records = append(records, p)
		}
		n.records = records[begin:len(records):len(records)]
		if !slices.IsSorted(n.records) {
			k.fault(Fault{What: fmt.Sprintf("rule %d names %q in another order than the configuration", r.ID, r.Records)})
			slices.Sort(n.records)
		}
		if c := slices.Compact(n.records); len(c) < len(n.records) {
			k.fault(Fault{What: fmt.Sprintf("rule %d names a record twice: %q", r.ID, r.Records)})
			n.records = c
		}
		if k.lists.of(r.ID) != nil {
			k.fault(Fault{What: fmt.Sprintf("rule %d is in the tables twice", r.ID)})
		}
		k.lists.enter(r.ID, n)
	}
}

// index sorts the cells by their keys and finds their rules, and where those of each source begin.
func (k *checker) index() {
	k.cells = k.t.Cells
	byKey := func(a, b packet.Cell) int {
		return cmp.Or(cmp.Compare(a.Src, b.Src), cmp.Compare(a.Dst, b.Dst), cmp.Compare(a.Port, b.Port))
	}
	if !slices.IsSortedFunc(k.cells, byKey) {
		k.cells = slices.Clone(k.cells)
		slices.SortStableFunc(k.cells, byKey)
	}
	k.begin = make([]int32, numbers+1)
	k.rule = make([]*named, len(k.cells))
	for i := range k.cells {
		k.begin[int(k.cells[i].Src)+1]++
		if n := k.lists.of(k.cells[i].Rule); n != nil {
			k.rule[i] = n
			if n.cell < 0 {
				n.cell = int32(i)
			}
		}
	}
	for i := 1; i < len(k.begin); i++ {
		k.begin[i] += k.begin[i-1]
	}
	for f := range versions {
		k.used[f] = make([]int32, len(k.cells))
	}
}

// find gives the place of a cell; -1 when there is none.
func (k *checker) find(src, dst, port uint16) int32 {
	from, to := k.begin[src], k.begin[int(src)+1]
	want := uint32(dst)<<16 | uint32(port)
	for from < to {
		m := (from + to) / 2
		c := &k.cells[m]
		switch got := uint32(c.Dst)<<16 | uint32(c.Port); {
		case got == want:
			return m
		case got < want:
			from = m + 1
		default:
			to = m
		}
	}
	return -1
}

// times compares, for each rule that cells name, the minutes of its chain with those of its records, and what the rules within
// the chain name.
func (k *checker) times() {
	weeks := make(map[uint8]space.Week, len(k.t.Windows))
	for _, w := range k.t.Windows {
		var in []space.Interval[space.Minute]
		for _, s := range w.Spans {
			if s.From < s.To {
				in = append(in, space.Interval[space.Minute]{Lo: space.Minute(s.From), Hi: space.Minute(s.To) - 1})
			}
		}
		weeks[w.ID] = space.Of(in...)
	}
	for i := range k.t.Rules {
		n := k.lists.of(k.t.Rules[i].ID)
		if n == nil || n.cell < 0 || slices.ContainsFunc(n.records, func(r int32) bool { return r >= stranger }) {
			continue
		}
		var want space.Times
		for j, r := range n.records {
			if w := k.d.Permits[r].When; j == 0 {
				want = w
			} else if !want.Same(w) {
				want = want.Union(w)
			}
		}
		k.chain(n, want, weeks)
	}
}

func (k *checker) chain(head *named, want space.Times, weeks map[uint8]space.Week) {
	var got space.Times
	rules := 0
	for n := head; n != nil && rules <= packet.MaxChain; n = k.lists.of(n.Next) {
		if rules > 0 {
			k.tail(head, n, got, weeks)
		}
		got = got.Union(term(n.Rule, weeks))
		rules++
		if n.Next == 0 {
			break
		}
	}
	if got.Same(want) {
		return
	}
	f := Fault{}
	var side string
	if at, ok := got.Minus(want).First(); ok {
		f.Minute, side = at, "the tables permit then, no record does"
	} else {
		f.Minute, _ = want.Minus(got).First()
		side = "a record permits then, the tables do not"
	}
	f.What = fmt.Sprintf("rule %d, records %q: other times than the configuration's, as at %s: %s", head.ID, head.Records, stamp(f.Minute), side)
	if len(head.records) > 0 {
		f.Record = k.d.Permits[head.records[0]].Record
	}
	c := &k.cells[head.cell]
	if p, ok := k.packetOf(c); ok {
		f.Packet, f.Tables = &p, k.tablesSay(p)
		f.Records = k.recordsSay(p)
		if !got.Contains(f.Minute) {
			f.Tables = Answer{}
		} else {
			f.Records = Answer{}
		}
	}
	k.fault(f)
}

// tail checks a later rule of a chain: it names records of the head, those that are in force when it is, and none is left out that
// the rules before it do not answer for.
func (k *checker) tail(head, n *named, before space.Times, weeks map[uint8]space.Week) {
	var names space.Times
	for _, r := range n.records {
		if !slices.Contains(head.records, r) {
			k.fault(Fault{What: fmt.Sprintf("rule %d, asked after rule %d, names other records: %q", n.ID, head.ID, n.Records)})
			return
		}
		names = names.Union(k.d.Permits[r].When)
	}
	if !term(n.Rule, weeks).Within(names) {
		k.fault(Fault{What: fmt.Sprintf("rule %d, asked after rule %d, is in force when none of its records %q is", n.ID, head.ID, n.Records)})
	}
	for _, r := range head.records {
		if p := &k.d.Permits[r]; !slices.Contains(n.records, r) && !p.When.Within(before) {
			k.fault(Fault{What: fmt.Sprintf("rule %d, asked after rule %d, does not name record %q, which the rules before it do not answer for", n.ID, head.ID, p.Record), Record: p.Record})
		}
	}
}

// term is when one rule is in force by itself.
func term(r *packet.Rule, weeks map[uint8]space.Week) space.Times {
	until := r.Until
	if until == 0 {
		until = space.Ever
	}
	if r.Window == 0 {
		if r.From == 0 && until == space.Ever {
			return space.Always
		}
		return space.During(r.From, until, nil)
	}
	if w := weeks[r.Window]; w != nil {
		return space.During(r.From, until, w)
	}
	return nil // no such window: never
}
