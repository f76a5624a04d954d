package policy

import (
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// ruleBook keeps each different list of records once. Number 0 is the empty list.
type ruleBook struct {
	records []record
	lists   []entry
	alone   []uint32          // by record: the list of it alone
	next    map[uint64]uint32 // list << 32 | record -> longer list
}

// record is a name and when it is in force.
type record struct {
	name string
	term term
}

// entry is a list: a shorter one and one record more.
type entry struct {
	shorter uint32
	record  uint32
}

// newRuleBook numbers the records of the permits.
func newRuleBook(permits []permit) *ruleBook {
	b := &ruleBook{next: map[uint64]uint32{}}
	known := make(map[string]uint32, len(permits))
	for i := range permits {
		q := &permits[i]
		n, ok := known[q.record]
		if !ok {
			n = uint32(len(b.records))
			known[q.record] = n
			b.records = append(b.records, record{q.record, q.term})
		}
		q.number = n
	}
	b.alone = make([]uint32, len(b.records))
	return b
}

// fresh is a book of the same records without lists.
func (b *ruleBook) fresh() *ruleBook {
	return &ruleBook{records: b.records, alone: make([]uint32, len(b.records)), next: map[uint64]uint32{}}
}

// take enters the lists of another book of the same records, and tells by their numbers there what they are here.
func (b *ruleBook) take(o *ruleBook) []uint32 {
	same := make([]uint32, len(o.lists)+1)
	for i, e := range o.lists { // the shorter stands before the longer
		same[i+1] = b.add(same[e.shorter], e.record)
	}
	return same
}

// add gives the list that is one record longer. Permits of a record follow each other, so only the last can be the same.
func (b *ruleBook) add(list, record uint32) uint32 {
	if list == 0 {
		if b.alone[record] == 0 {
			b.lists = append(b.lists, entry{0, record})
			b.alone[record] = uint32(len(b.lists))
		}
		return b.alone[record]
	}
	if b.lists[list-1].record == record {
		return list
	}
	key := uint64(list)<<32 | uint64(record)
	n, ok := b.next[key]
	if !ok {
		b.lists = append(b.lists, entry{list, record})
		n = uint32(len(b.lists))
		b.next[key] = n
	}
	return n
}

// read gives the records of a list, the first first, in the memory of out.
func (b *ruleBook) read(list uint32, out []record) []record {
	out = out[:0]
	for ; list != 0; list = b.lists[list-1].shorter {
		out = append(out, b.records[b.lists[list-1].record])
	}
	slices.Reverse(out)
	return out
}

// number gives the lists that are in use rule numbers, in the order of the cells. A list whose records are in force at times
// that no single term says becomes a chain of rules, one for each term; its cells name the first.
func (b *ruleBook) number(cells []packet.Cell) ([]packet.Rule, error) {
	rules := make([]packet.Rule, 0, len(b.records))
	ids := make([]uint32, len(b.lists)+1)
	var records []record
	for i := range cells {
		list := cells[i].Rule
		if ids[list] == 0 {
			ids[list] = uint32(len(rules) + 1)
			records = b.read(list, records)
			more, err := chain(ids[list], records)
			if err != nil {
				return nil, err
			}
			rules = append(rules, more...)
		}
		cells[i].Rule = ids[list]
	}
	return rules, nil
}

// chain makes the rules of a list of records, numbered from id.
func chain(id uint32, records []record) ([]packet.Rule, error) {
	terms := make([]term, len(records))
	names := make([]string, len(records))
	for i, r := range records {
		terms[i], names[i] = r.term, r.name
	}
	terms = together(terms)
	if len(terms) > packet.MaxChain {
		return nil, fmt.Errorf("records %q to %q permit the same packets at %d different times; the packet core asks at most %d: give some of them the same time", names[0], names[len(names)-1], len(terms), packet.MaxChain)
	}
	out := make([]packet.Rule, len(terms))
	for i, t := range terms {
		out[i] = packet.Rule{ID: id + uint32(i), Records: names}
		t.put(&out[i])
		if i > 0 {
			out[i].Records = nil
			for _, r := range records {
				if slices.ContainsFunc(terms[i:], func(t term) bool { return t.covers(r.term) }) {
					out[i].Records = append(out[i].Records, r.name)
				}
			}
		}
		if i+1 < len(terms) {
			out[i].Next = id + uint32(i) + 1
		}
	}
	return out, nil
}
