package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// sharing is who shares what. It is read off the compiled cells: records that permit the same packet stand in one cell's list, and
// the lists are few, whatever the number of records.
type sharing struct {
	records []sharer // the document's, in its order, then the gate's own
	lists   []list
	of      [][]int // by record: the lists that it is in
}

// sharer is a record that may be in force; nil communication: the gate's own.
type sharer struct {
	name string
	term term
	*config.Communication
	gone bool // over, not active, or shadowed by others
}

// list is the records of one or more cells, in the order of the document.
type list struct {
	records []int
	example *packet.Cell // the first of the cells
}

func (h *hygiene) sharing() *sharing {
	s := &sharing{}
	_, windows := windows(h.cfg)
	known := map[string]int{}
	enter := func(r sharer) int {
		known[r.name] = len(s.records)
		s.records = append(s.records, r)
		s.of = append(s.of, nil)
		return len(s.records) - 1
	}
	for i := range h.cfg.Communications {
		c := &h.cfg.Communications[i]
		enter(sharer{c.ID, termOf(c, windows), c, !c.Active() || h.over(c)})
	}
	rules := map[uint32]*packet.Rule{}
	for i := range h.tables.Rules {
		rules[h.tables.Rules[i].ID] = &h.tables.Rules[i]
	}
	seen := map[uint32]bool{}
	for i := range h.tables.Cells {
		cell := &h.tables.Cells[i]
		if seen[cell.Rule] || rules[cell.Rule] == nil {
			continue
		}
		seen[cell.Rule] = true
		l := list{example: cell}
		for _, name := range rules[cell.Rule].Records {
			n, ok := known[name]
			if !ok {
				n = enter(sharer{name: name, term: always})
			}
			l.records = append(l.records, n)
			s.of[n] = append(s.of[n], len(s.lists))
		}
		s.lists = append(s.lists, l)
	}
	return s
}

// shares finds records that no packet can use, that others make superfluous, or that share packets with others.
func (h *hygiene) shares() {
	s := h.sharing()
	for n, r := range s.records {
		if r.Communication != nil && !r.gone && len(s.of[n]) == 0 {
			h.record(Empty, r.Communication, "look whether its two sides have addresses of one IP version, and other networks", "record %s became no cell: no packet can use it", r.name)
		}
	}
	h.shadowed(s)
	h.overlapping(s)
}

// shadowed goes from the last record to the first, so that of two alike the later one is told, and takes out each that the
// others make superfluous: all that are told may go at once.
func (h *hygiene) shadowed(s *sharing) {
	for n := len(s.records) - 1; n >= 0; n-- {
		r := &s.records[n]
		if r.Communication == nil || r.gone || len(s.of[n]) == 0 {
			continue
		}
		by := map[int]bool{}
		if slices.ContainsFunc(s.of[n], func(l int) bool { return !s.covered(n, s.lists[l].records, by) }) {
			continue
		}
		r.gone = true
		names, class := []string{r.name}, ""
		for _, o := range slices.Sorted(maps.Keys(by)) {
			names = append(names, s.records[o].name)
			if other := s.records[o].Communication; other != nil && other.Class != r.Class {
				class = fmt.Sprintf("; its packets may then go in %s instead of %s", classText(other.Class), classText(r.Class))
			}
		}
		h.add(Finding{Kind: Shadowed, Records: names, Remedy: "take it out, or narrow the others" + class}, r.Communication,
			"all that record %s permits, %s permit, too, whenever it is in force", r.name, shown(names[1:]))
	}
}

// covered tells whether the other records of a list permit its packets whenever record n is in force, and notes which do.
func (s *sharing) covered(n int, records []int, by map[int]bool) bool {
	t := s.records[n].term
	var others []term
	for _, o := range records {
		if o == n || s.records[o].gone {
			continue
		}
		if s.records[o].term.covers(t) {
			by[o] = true
			return true
		}
		others = append(others, s.records[o].term)
	}
	if !slices.ContainsFunc(together(others), func(o term) bool { return o.covers(t) }) {
		return false
	}
	for _, o := range records {
		if o != n && !s.records[o].gone {
			by[o] = true
		}
	}
	return true
}

// overlapping tells each pair of records that share packets once, up to the limit.
func (h *hygiene) overlapping(s *sharing) {
	told := map[[2]int]bool{}
	m := newMembers(h.tables)
	for _, l := range s.lists {
		for j, b := range l.records {
			for _, a := range l.records[:j] {
				x, y := s.records[a], s.records[b]
				if x.gone || y.gone || y.Communication == nil && x.Communication == nil || told[[2]int{a, b}] || !h.meet(x.term, y.term) {
					continue
				}
				if len(told) == h.limits.Overlaps {
					h.found = append(h.found, Finding{Kind: FindingsBounded, Text: fmt.Sprintf("more than %d pairs of records share packets", len(told)), Remedy: "mend some, and look again"})
					return
				}
				told[[2]int{a, b}] = true
				first, second := x, y
				if first.Communication == nil {
					first, second = y, x
				}
				h.add(Finding{Kind: Overlapping, Records: []string{first.name, second.name}, Remedy: "leave it to one of the two, so that each has one purpose and one owner"},
					first.Communication, "record %s shares packets with %s: %s", first.name, second.name, m.example(l.example))
			}
		}
	}
}

// meet tells whether two terms have a minute in common, as far as their windows' weeks can tell.
func (h *hygiene) meet(a, b term) bool {
	if max(a.from, b.from, h.minute) >= min(a.until, b.until) {
		return false
	}
	if a.window == 0 || b.window == 0 || a.window == b.window {
		return true
	}
	spans := func(n uint8) []packet.Span { return h.tables.Windows[n-1].Spans }
	return slices.ContainsFunc(spans(a.window), func(x packet.Span) bool {
		return slices.ContainsFunc(spans(b.window), func(y packet.Span) bool { return x.From < y.To && y.From < x.To })
	})
}

func classText(id string) string {
	if id == "" {
		return "the line's default class"
	}
	return "class " + id
}

// shown names a few of many.
func shown(names []string) string {
	n := min(len(names), 5)
	return strings.Join(names[:n], ", ") + dots(len(names) > n)
}
