package ledger

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
)

var (
	dateForm    = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	emptyList   = regexp.MustCompile(` *\[ *\]`)
	networkForm = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+/\d+$`)
)

// edit is one change of the document's text: a new entry of a list, or new values of some keys of one that is there.
type edit struct {
	list, id string
	fields   []field // of an entry that is there; empty text takes the key out
	whole    []field // the whole entry, for a new one and for one that stands on one line; a single one without key is its text
}

// wide is where an entry's line is broken, in bytes; config.MaxLine is the bound.
const wide = 1000

// apply makes the edits in the text of a document; all other lines stay as they are, byte by byte. It gives the new text and
// its layout. The error is a *Fault.
func apply(doc []byte, edits []edit) ([]byte, *layout, error) {
	text := strings.TrimPrefix(string(doc), "\xef\xbb\xbf")
	mark := string(doc[:len(doc)-len(text)])
	eol := "\n"
	if strings.Contains(text, "\r\n") {
		eol = "\r\n"
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	lines := strings.Split(text, "\n")
	lay, err := layoutOf(text, lines)
	if err != nil {
		return nil, nil, err
	}
	ed := &editor{lines: lines, lay: lay, cut: map[int]int{}, put: map[int][]string{}}
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b edit) int { return strings.Compare(a.list, b.list) })
	for _, e := range edits {
		if err := ed.edit(e); err != nil {
			return nil, nil, err
		}
	}
	lines = ed.result()
	text = strings.Join(lines, "\n")
	if lay, err = layoutOf(text, lines); err != nil {
		return nil, nil, err
	}
	return []byte(mark + strings.ReplaceAll(text, "\n", eol)), lay, nil
}

// editor collects what is cut and what is put, by line of the old text.
type editor struct {
	lines   []string
	lay     *layout
	index   map[string]map[string]int // list -> id -> entry
	cut     map[int]int               // first line -> last line
	put     map[int][]string          // after this line; those of a cut stand in its place, after its last line
	started map[string]bool           // lists that were empty or not there
}

func (ed *editor) edit(e edit) error {
	l := ed.lay.lists[e.list]
	if l != nil && l.flow && len(l.entries) > 0 {
		return fault("edit.flow", e.list)
	}
	i, there := ed.find(e.list, e.id)
	if there && len(e.fields) > 0 {
		p := &l.entries[i]
		if p.flow {
			lines := ed.entry(l.indent, e.whole, true)
			lines[len(lines)-1] += comment(ed.lines[p.end-1])
			ed.replace(p.start, p.end, lines)
			return nil
		}
		ed.keys(p, e.fields)
		return nil
	}
	indent, after := 2, ed.lay.end
	switch {
	case l == nil:
		if !ed.started[e.list] {
			ed.begin(after, "", e.list+":")
		}
	case l.flow: // []
		after = l.line
		if !ed.started[e.list] {
			ed.replace(l.line, l.line, []string{emptyList.ReplaceAllString(ed.lines[l.line-1], "")})
		}
	default:
		indent, after = l.indent, l.entries[len(l.entries)-1].end
	}
	if ed.started == nil {
		ed.started = map[string]bool{}
	}
	if l == nil { // lists that are not there are written one after the other: all of a list's entries come together
		after = ed.lay.end
	}
	ed.started[e.list] = true
	ed.put[after] = append(ed.put[after], ed.entry(indent, e.whole, e.list != "communications")...)
	return nil
}

func (ed *editor) begin(after int, lines ...string) { ed.put[after] = append(ed.put[after], lines...) }

func (ed *editor) find(list, id string) (int, bool) {
	if ed.index == nil {
		ed.index = map[string]map[string]int{}
		for name, l := range ed.lay.lists {
			ed.index[name] = map[string]int{}
			for i, p := range l.entries {
				ed.index[name][p.id] = i
			}
		}
	}
	i, ok := ed.index[list][id]
	return i, ok
}

func (ed *editor) replace(start, end int, lines []string) {
	ed.cut[start] = end
	ed.put[end] = append(lines, ed.put[end]...)
}

// keys changes keys of an entry that stands on lines of its own.
func (ed *editor) keys(p *place, fields []field) {
	for _, f := range fields {
		i := slices.IndexFunc(p.keys, func(k keyPlace) bool { return k.key == f.key })
		if i >= 0 {
			k := p.keys[i]
			first := ed.lines[k.start-1]
			head := strings.Repeat(" ", p.indent)
			if at := strings.Index(first, f.key+":"); at >= 0 {
				head = first[:at] // with the dash of the first key
			}
			switch {
			case f.text != "":
				lines := ed.key(head, p.indent, f)
				if k.start == k.end {
					lines[0] += comment(first)
				}
				ed.replace(k.start, k.end, lines)
			default:
				ed.cut[k.start] = k.end
			}
			continue
		}
		if f.text == "" {
			continue
		}
		after := p.keys[0].end
		for _, k := range p.keys { // behind the last of those that come before it
			if slices.Index(communicationKeys, k.key) < slices.Index(communicationKeys, f.key) && k.end > after {
				after = k.end
			}
		}
		ed.put[after] = append(ed.put[after], ed.key(strings.Repeat(" ", p.indent), p.indent, f)...)
	}
}

// key writes one key; a long list goes over several lines.
func (ed *editor) key(head string, indent int, f field) []string {
	if len(f.text) < wide || !strings.HasPrefix(f.text, "{") && !strings.HasPrefix(f.text, "[") {
		return []string{head + f.key + ": " + f.text}
	}
	lines := []string{head + f.key + ":"}
	rest := strings.TrimSuffix(strings.TrimPrefix(f.text, "{"), "}")
	deeper := strings.Repeat(" ", indent+2)
	if name, items, ok := strings.Cut(rest, ": ["); ok && f.text[0] == '{' {
		lines = append(lines, deeper+name+":")
		rest, deeper = strings.TrimSuffix(items, "]"), deeper+"  "
	} else {
		rest = strings.Trim(rest, "[]")
	}
	for _, item := range strings.Split(rest, ", ") { // ids, ports and prefixes hold no comma
		lines = append(lines, deeper+"- "+item)
	}
	return lines
}

// entry writes a whole entry: on one line, or key by key.
func (ed *editor) entry(indent int, fields []field, one bool) []string {
	head := strings.Repeat(" ", indent) + "- "
	if len(fields) == 1 && fields[0].key == "" {
		return []string{head + fields[0].text}
	}
	if text := head + entryText(fields); one && len(text) < config.MaxLine {
		return []string{text}
	}
	var lines []string
	for _, f := range fields {
		lines = append(lines, ed.key(head, indent+2, f)...)
		head = strings.Repeat(" ", indent+2)
	}
	return lines
}

// result puts the lines together.
func (ed *editor) result() []string {
	out := make([]string, 0, len(ed.lines)+len(ed.put))
	until := 0
	for i := range ed.lines {
		n := i + 1
		if end, ok := ed.cut[n]; ok {
			until = max(until, end)
		}
		if n > until {
			out = append(out, ed.lines[i])
		}
		out = append(out, ed.put[n]...)
	}
	return out
}

// comment gives the comment at the end of a line, with the space before it. A # inside of quotes is none.
func comment(s string) string {
	single, double := false, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"' && !single:
			double = !double
		case s[i] == '\\' && double:
			i++
		case s[i] == '\'' && !double:
			single = !single
		case s[i] == '#' && !single && !double && i > 0 && s[i-1] == ' ':
			start := len(strings.TrimRight(s[:i], " "))
			return s[start:]
		}
	}
	return ""
}
