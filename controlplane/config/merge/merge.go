// Package merge joins what two people changed in one configuration.
//
// Problem: two people edit the same document, the second brings into force what was read before the first was done, and the
// first's work is gone without a word. Mechanism: three texts, the one that both began with, theirs and mine, are cut into
// entries by section and id (a station, a record); an entry that one side changed is taken from that side, one that both changed
// is a conflict. Life cycle: a pure function at each commit that was not edited from the head. Invariant: the merged text is
// mine, with its comments and its order, and in it every entry that they added, changed or removed as they have it; it is read
// again and compared entry by entry before it is offered. What cannot be cut into entries is a conflict, never a guess.
package merge

import (
	"fmt"
	"slices"
	"strings"
)

// Kind of a change.
type Kind string

const (
	Added    Kind = "added"
	Removed  Kind = "removed"
	Changed  Kind = "changed"
	Reworded Kind = "reworded" // comments or layout only
	Moved    Kind = "moved"    // the order of a list's entries
)

// Change is one entry, or one section that is no list, that differs between two texts.
type Change struct {
	Section string  `json:"section"`         // key of the document
	Entry   string  `json:"entry,omitempty"` // id; "": the section itself
	Kind    Kind    `json:"kind"`
	Line    int     `json:"line"` // in the newer text, from 1; of what was removed, in the older
	Fields  []Field `json:"fields,omitempty"`
}

// Field of an entry. Values are in one line of YAML; "" where the field is missing.
type Field struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

func (c Change) String() string {
	what := c.Section
	if c.Entry != "" {
		what += " " + c.Entry
	}
	var fs []string
	for _, f := range c.Fields {
		switch {
		case f.Old == "":
			fs = append(fs, f.Name+": "+f.New)
		case f.New == "":
			fs = append(fs, "no "+f.Name+" (was "+f.Old+")")
		default:
			fs = append(fs, f.Name+": "+f.Old+" -> "+f.New)
		}
	}
	s := fmt.Sprintf("%s %s (line %d)", what, c.Kind, c.Line)
	if len(fs) > 0 {
		s += ": " + strings.Join(fs, "; ")
	}
	return s
}

// Conflict is an entry that both changed, each in another way.
type Conflict struct {
	Section string  `json:"section"`
	Entry   string  `json:"entry,omitempty"`
	Theirs  *Change `json:"theirs,omitempty"`
	Mine    *Change `json:"mine,omitempty"`
	Why     string  `json:"why,omitempty"` // where it is not that both changed it
}

func (c Conflict) String() string {
	var parts []string
	if c.Why != "" {
		parts = append(parts, strings.TrimSpace(c.Section+" "+c.Entry)+": "+c.Why)
	}
	if c.Theirs != nil {
		parts = append(parts, "theirs: "+c.Theirs.String())
	}
	if c.Mine != nil {
		parts = append(parts, "yours: "+c.Mine.String())
	}
	return strings.Join(parts, "\n")
}

// Result of a merge.
type Result struct {
	Theirs    []Change   `json:"theirs"` // what they changed
	Mine      []Change   `json:"mine"`
	Conflicts []Conflict `json:"conflicts,omitempty"`
	Text      []byte     `json:"-"` // nil with conflicts
}

// Texts merges theirs into mine; base is what both began with.
func Texts(base, theirs, mine []byte) Result {
	b, errB := read(base)
	t, errT := read(theirs)
	m, errM := read(mine)
	for who, err := range map[string]error{"the text that both began with": errB, "their text": errT, "your text": errM} {
		if err != nil {
			return Result{Conflicts: []Conflict{{Why: who + " cannot be compared entry by entry: " + err.Error()}}}
		}
	}
	w := &work{}
	w.Theirs, w.Mine = compare(b, t), compare(b, m)
	out := &document{}
	for _, s := range m.sections {
		if merged := w.section(b.section(s.key), t.section(s.key), s); merged != nil {
			out.sections = append(out.sections, merged)
		}
	}
	for i, s := range t.sections { // sections that mine has not
		if m.section(s.key) != nil {
			continue
		}
		if merged := w.section(b.section(s.key), s, nil); merged != nil {
			out.sections = slices.Insert(out.sections, place(i, func(j int) int {
				return slices.IndexFunc(out.sections, func(x *section) bool { return x.key == t.sections[j].key })
			}), merged)
		}
	}
	if len(w.Conflicts) > 0 {
		return w.Result
	}
	text := out.text()
	if err := verify(text, out); err != nil {
		w.Conflicts = []Conflict{{Why: "the texts cannot be merged by machine: " + err.Error()}}
		return w.Result
	}
	w.Text = text
	return w.Result
}

// Changes lists what differs between two texts, entry by entry.
func Changes(old, new []byte) ([]Change, error) {
	a, err := read(old)
	if err != nil {
		return nil, fmt.Errorf("the older text: %w", err)
	}
	b, err := read(new)
	if err != nil {
		return nil, fmt.Errorf("the newer text: %w", err)
	}
	return compare(a, b), nil
}

type work struct{ Result }

// section merges one section; nil: it is in no text any more.
func (w *work) section(b, t, m *section) *section {
	wb, wt, wm := b.whole(), t.whole(), m.whole()
	switch {
	case wt == wb || wt == wm:
		return m
	case wm == wb:
		return t
	case t != nil && m != nil && t.list && m.list && (b == nil || b.list):
		return w.list(b, t, m)
	}
	key := ""
	for _, s := range []*section{b, t, m} {
		if s != nil {
			key = s.key
		}
	}
	w.conflict(key, "", differ(b, t), differ(b, m))
	return m
}

func (w *work) conflict(key, id string, theirs, mine *Change) {
	w.Conflicts = append(w.Conflicts, Conflict{Section: key, Entry: id, Theirs: theirs, Mine: mine})
}

func (w *work) list(b, t, m *section) *section {
	if b == nil {
		b = &section{key: m.key, list: true}
	}
	out := *m
	out.entries = nil
	indent := m.entries[0].indent
	take := func(e *entry) *entry {
		moved := *e
		moved.lines, moved.indent = indented(e.lines, e.indent, indent), indent
		return &moved
	}
	// pick gives what becomes of an entry; nil: it goes.
	pick := func(id string) *entry {
		eb, et, em := b.entry(id), t.entry(id), m.entry(id)
		wb, wt, wm := eb.whole(), et.whole(), em.whole()
		switch {
		case wt == wb || wt == wm:
			return em
		case wm == wb && et == nil:
			return nil
		case wm == wb:
			return take(et)
		}
		w.conflict(m.key, id, differEntry(m.key, eb, et), differEntry(m.key, eb, em))
		return em
	}
	for _, e := range m.entries {
		if p := pick(e.id); p != nil {
			out.entries = append(out.entries, p)
		}
	}
	for i, e := range t.entries {
		if m.entry(e.id) != nil {
			continue
		}
		if p := pick(e.id); p != nil {
			out.entries = slices.Insert(out.entries, place(i, func(j int) int {
				return slices.IndexFunc(out.entries, func(x *entry) bool { return x.id == t.entries[j].id })
			}), p)
		}
	}
	for _, part := range []struct {
		b, t, m []string
		set     *[]string
		why     string
	}{{b.lead, t.lead, m.lead, &out.lead, "the comment above the list"}, {b.head, t.head, m.head, &out.head, "the line of the key"}, {b.tail, t.tail, m.tail, &out.tail, "the comment at the end of the list"}} {
		pb, pt, pm := plain(part.b), plain(part.t), plain(part.m)
		switch {
		case pt == pb || pt == pm:
		case pm == pb:
			*part.set = part.t
		default:
			w.Conflicts = append(w.Conflicts, Conflict{Section: m.key, Why: "both changed " + part.why})
		}
	}
	if moved(b, t) && !slices.Equal(order(t, b, m), order(m, b, t)) {
		w.Conflicts = append(w.Conflicts, Conflict{Section: m.key, Theirs: &Change{Section: m.key, Kind: Moved, Line: t.line}, Why: "they changed the order of the entries, which yours has otherwise"})
	}
	if len(out.entries) == 0 { // a list that both emptied: there is no line left to hold it
		w.Conflicts = append(w.Conflicts, Conflict{Section: m.key, Why: "no entry would be left: remove the section by hand"})
	}
	return &out
}

// place is where the i-th of a sequence goes in another: after the nearest one before it that is there.
func place(i int, find func(j int) int) int {
	for j := i - 1; j >= 0; j-- {
		if at := find(j); at >= 0 {
			return at + 1
		}
	}
	return 0
}

// order is the ids of s that are in all the others, too.
func order(s *section, others ...*section) (ids []string) {
	for _, e := range s.entries {
		if !slices.ContainsFunc(others, func(o *section) bool { return o.entry(e.id) == nil }) {
			ids = append(ids, e.id)
		}
	}
	return ids
}

func moved(a, b *section) bool { return !slices.Equal(order(a, b), order(b, a)) }

// compare lists what differs, in the order of the newer text, what was removed last.
func compare(a, b *document) (out []Change) {
	for _, s := range b.sections {
		old := a.section(s.key)
		if s.list && (old == nil || old.list) {
			out = append(out, compareLists(old, s)...)
		} else if c := differ(old, s); c != nil {
			out = append(out, *c)
		}
	}
	for _, s := range a.sections {
		if b.section(s.key) == nil {
			out = append(out, *differ(s, nil))
		}
	}
	return out
}

// compareLists lists what differs; a is nil where there was none.
func compareLists(a, b *section) (out []Change) {
	for _, e := range b.entries {
		if c := differEntry(b.key, a.entry(e.id), e); c != nil {
			out = append(out, *c)
		}
	}
	for _, e := range a.all() {
		if b.entry(e.id) == nil {
			out = append(out, *differEntry(a.key, e, nil))
		}
	}
	if a == nil {
		return out
	}
	if moved(a, b) {
		out = append(out, Change{Section: b.key, Kind: Moved, Line: b.line})
	}
	if plain(a.lead)+"\n"+plain(a.head)+"\n"+plain(a.tail) != plain(b.lead)+"\n"+plain(b.head)+"\n"+plain(b.tail) {
		out = append(out, Change{Section: b.key, Kind: Reworded, Line: b.line})
	}
	return out
}

// differ compares two sections as wholes; nil when they are the same.
func differ(a, b *section) *Change {
	switch {
	case a.whole() == b.whole():
		return nil
	case a == nil:
		return &Change{Section: b.key, Kind: Added, Line: b.line, Fields: b.said()}
	case b == nil:
		return &Change{Section: a.key, Kind: Removed, Line: a.line}
	case a.list != b.list || a.list:
		return &Change{Section: b.key, Kind: Changed, Line: b.line, Fields: []Field{{b.key, a.words(), b.words()}}}
	}
	c := &Change{Section: b.key, Kind: Changed, Line: b.line, Fields: differFields(a.fields, b.fields)}
	switch {
	case a.value == b.value:
		c.Kind = Reworded
	case len(c.Fields) == 0:
		c.Fields = []Field{{Name: b.key, Old: a.value, New: b.value}}
	}
	return c
}

func differEntry(key string, a, b *entry) *Change {
	switch {
	case a.whole() == b.whole():
		return nil
	case a == nil:
		return &Change{Section: key, Entry: b.id, Kind: Added, Line: b.line, Fields: b.fields}
	case b == nil:
		return &Change{Section: key, Entry: a.id, Kind: Removed, Line: a.line}
	case a.value == b.value:
		return &Change{Section: key, Entry: b.id, Kind: Reworded, Line: b.line}
	}
	return &Change{Section: key, Entry: b.id, Kind: Changed, Line: b.line, Fields: differFields(a.fields, b.fields)}
}

func differFields(a, b []Field) (out []Field) {
	find := func(fs []Field, name string) string {
		for _, f := range fs {
			if f.Name == name {
				return f.New
			}
		}
		return ""
	}
	for _, f := range b {
		if old := find(a, f.Name); old != f.New {
			out = append(out, Field{f.Name, old, f.New})
		}
	}
	for _, f := range a {
		if find(b, f.Name) == "" {
			out = append(out, Field{Name: f.Name, Old: f.New})
		}
	}
	return out
}

// verify reads the merged text and compares it with what it was put together from.
func verify(text []byte, want *document) error {
	got, err := read(text)
	if err != nil {
		return err
	}
	if len(got.sections) != len(want.sections) {
		return fmt.Errorf("%d sections instead of %d", len(got.sections), len(want.sections))
	}
	for i, s := range want.sections {
		g := got.sections[i]
		if g.key != s.key || g.list != s.list || g.value != s.value || len(g.entries) != len(s.entries) {
			return fmt.Errorf("%s reads otherwise", s.key)
		}
		for j, e := range s.entries {
			if g.entries[j].id != e.id || g.entries[j].value != e.value {
				return fmt.Errorf("%s %s reads otherwise", s.key, e.id)
			}
		}
	}
	return nil
}
