package merge

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/sekisho/sekisho/controlplane/config"
)

// document is a configuration's text, cut into sections and entries along its lines. Every line belongs to exactly one piece;
// comments belong to what follows them.
type document struct {
	sections []*section
}

// section is one top-level key with its value.
type section struct {
	key     string
	lead    []string // blank lines and comments above
	head    []string // the key's line; of a section that is no list of entries, all of it
	entries []*entry
	tail    []string // comments after the last entry
	list    bool     // its value is a list of entries with ids, one below the other
	value   string   // what it says, layout and comments aside; of a list, "": its entries have theirs
	fields  []Field  // of a map: New holds each field's value
	line    int      // of the key, from 1
	known   map[string]*entry
}

// entry is one member of a list.
type entry struct {
	id     string
	lines  []string // with the comments above it
	indent int      // of its dash
	value  string
	fields []Field // New holds each field's value
	line   int     // of the dash, from 1
}

// read cuts a text. What has no form that can be cut is an error; it may still be a valid configuration.
func read(text []byte) (*document, error) {
	root, lines, err := config.Tree(text)
	if err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if m, ok := root.(*ast.MappingNode); ok && m.IsFlowStyle {
		return nil, fmt.Errorf("the document is written in braces")
	}
	values := pairs(root)
	if values == nil {
		return nil, fmt.Errorf("the document is no map")
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	d := &document{}
	starts := make([]int, len(values)+1) // index of each key's line
	starts[len(values)] = len(lines)
	seen := map[string]bool{}
	for i, v := range values {
		at := v.Key.GetToken().Position
		key := v.Key.GetToken().Value
		if at.Line < 1 || at.Line > len(lines) || at.Column != 1 || i > 0 && at.Line-1 <= starts[i-1] || seen[key] {
			return nil, fmt.Errorf("line %d: want each key once, at the beginning of a line of its own", at.Line)
		}
		starts[i], seen[key] = at.Line-1, true
	}
	for i, v := range values {
		begin, from := starts[i], 0
		if i > 0 {
			from = starts[i-1] + 1
		}
		begin = above(lines, begin, from, func(l string) bool { return blank(l) || l[0] == '#' })
		end := starts[i+1]
		if i+1 < len(values) {
			end = above(lines, end, starts[i]+1, func(l string) bool { return blank(l) || l[0] == '#' })
		}
		s := &section{key: v.Key.GetToken().Value, line: starts[i] + 1, lead: lines[begin:starts[i]], head: lines[starts[i]:end], value: said(v.Value), fields: fieldsOf(v.Value)}
		s.cut(v.Value, lines, starts[i], end)
		d.sections = append(d.sections, s)
	}
	return d, nil
}

// cut finds the entries of a list between two lines; whatever has another form stays whole.
func (s *section) cut(n ast.Node, lines []string, start, end int) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok || seq.IsFlowStyle || len(seq.Values) == 0 {
		return
	}
	var dashes []int
	indent := -1
	for i := start + 1; i < end; i++ {
		in := len(lines[i]) - len(strings.TrimLeft(lines[i], " "))
		rest := lines[i][in:]
		if (rest == "-" || strings.HasPrefix(rest, "- ")) && (indent < 0 || in == indent) {
			indent = in
			dashes = append(dashes, i)
		}
	}
	if len(dashes) != len(seq.Values) {
		return
	}
	name := namesOf(s.key)
	known := map[string]*entry{}
	var entries []*entry
	from := start + 1
	for i, v := range seq.Values {
		next := end
		if i+1 < len(dashes) {
			next = dashes[i+1]
		}
		id, ok := idOf(v, name)
		if at := firstLine(v) - 1; !ok || known[id] != nil || at < dashes[i] || at >= next {
			return
		}
		// Indented comments at the end belong to nothing that follows.
		stop := above(lines, next, dashes[i]+1, comment)
		known[id] = &entry{id: id, lines: lines[from:stop], indent: indent, value: said(v), fields: fieldsOf(v), line: dashes[i] + 1}
		entries = append(entries, known[id])
		from = stop
	}
	first := above(lines, dashes[0], start+1, comment)
	entries[0].lines = entries[0].lines[first-(start+1):]
	s.head, s.entries, s.known, s.tail = lines[start:first], entries, known, lines[from:end]
	s.list, s.value, s.fields = true, "", nil
}

func blank(l string) bool { return strings.TrimSpace(l) == "" }

func comment(l string) bool { return blank(l) || strings.TrimLeft(l, " ")[0] == '#' }

// above goes up from a line, over those that are told, not beyond a bound.
func above(lines []string, at, bound int, over func(string) bool) int {
	for at > bound && over(lines[at-1]) {
		at--
	}
	return at
}

// namesOf tells by which fields an entry of a section is known.
func namesOf(key string) []string {
	switch key {
	case "portals":
		return []string{"zone"}
	case "transfers":
		return []string{"from", "to"}
	}
	return []string{"id"}
}

func idOf(n ast.Node, names []string) (string, bool) {
	var parts []string
	for _, name := range names {
		for _, p := range pairs(n) {
			if p.Key.GetToken().Value == name {
				parts = append(parts, p.Value.GetToken().Value)
			}
		}
	}
	return strings.Join(parts, " to "), len(parts) == len(names)
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	}
	return nil
}

// firstLine is where a value begins, from 1.
func firstLine(n ast.Node) int {
	if ps := pairs(n); len(ps) > 0 {
		if m, ok := n.(*ast.MappingNode); !ok || !m.IsFlowStyle {
			return ps[0].Key.GetToken().Position.Line
		}
	}
	if m, ok := n.(*ast.MappingNode); ok && m.Start != nil {
		return m.Start.Position.Line
	}
	return n.GetToken().Position.Line
}

// fieldsOf lists a map's fields by name.
func fieldsOf(n ast.Node) []Field {
	var fs []Field
	for _, p := range pairs(n) {
		fs = append(fs, Field{Name: p.Key.GetToken().Value, New: said(p.Value)})
	}
	sort.SliceStable(fs, func(i, j int) bool { return fs[i].Name < fs[j].Name })
	return fs
}

// said writes a value in one line, the same for every layout of it.
func said(n ast.Node) string {
	switch v := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		var parts []string
		for _, f := range fieldsOf(v) {
			parts = append(parts, f.Name+": "+f.New)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case *ast.SequenceNode:
		parts := make([]string, len(v.Values))
		for i, e := range v.Values {
			parts[i] = said(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *ast.StringNode:
		return word(v.Value)
	case *ast.LiteralNode:
		return word(strings.TrimRight(v.Value.Value, "\n"))
	case *ast.NullNode:
		return "null"
	case nil:
		return ""
	}
	return n.GetToken().Value
}

// word quotes text that could be taken for something else.
func word(s string) string {
	if s == "" || strings.ContainsAny(s, "\n\"'{}[],#&*!|>%@`\\") || strings.Contains(s, ": ") || strings.TrimSpace(s) != s || s == "null" || s == "true" || s == "false" || s == "~" {
		return strconv.Quote(s)
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return strconv.Quote(s)
	}
	return s
}

// text puts the pieces together again.
func (d *document) text() []byte {
	var b bytes.Buffer
	put := func(lines []string) {
		for _, l := range lines {
			b.WriteString(l)
			b.WriteByte('\n')
		}
	}
	for _, s := range d.sections {
		put(s.lead)
		put(s.head)
		for _, e := range s.entries {
			put(e.lines)
		}
		put(s.tail)
	}
	return b.Bytes()
}

func (d *document) section(key string) *section {
	for _, s := range d.sections {
		if s.key == key {
			return s
		}
	}
	return nil
}

func (s *section) entry(id string) *entry {
	if s == nil {
		return nil
	}
	return s.known[id]
}

// all is a list's entries; of no section, none.
func (s *section) all() []*entry {
	if s == nil {
		return nil
	}
	return s.entries
}

// words is what a section says in one line, a list like any other.
func (s *section) words() string {
	if !s.list {
		return s.value
	}
	parts := make([]string, len(s.entries))
	for i, e := range s.entries {
		parts[i] = e.value
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// said is what a section says, field by field where it has any.
func (s *section) said() []Field {
	if len(s.fields) > 0 {
		return s.fields
	}
	return []Field{{Name: s.key, New: s.words()}}
}

// whole is all that a section holds, for comparing; layout at the ends of lines and blank lines around do not count.
func (s *section) whole() string {
	if s == nil {
		return ""
	}
	var all []string
	all = append(append(all, s.lead...), s.head...)
	for _, e := range s.entries {
		all = append(all, e.lines...)
	}
	return plain(append(all, s.tail...))
}

func (e *entry) whole() string {
	if e == nil {
		return ""
	}
	return plain(indented(e.lines, e.indent, 0))
}

func plain(lines []string) string {
	var out []string
	for _, l := range lines {
		if l = strings.TrimRight(l, " "); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// indented moves lines from one column to another.
func indented(lines []string, from, to int) []string {
	if from == to {
		return lines
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		rest := strings.TrimLeft(l, " ")
		if in := len(l) - len(rest); rest != "" {
			l = strings.Repeat(" ", max(0, in+to-from)) + rest
		}
		out[i] = l
	}
	return out
}
