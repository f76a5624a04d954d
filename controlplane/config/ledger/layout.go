package ledger

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// layout is where the lists of a document and their entries stand, in lines from 1. The text is that of a document that
// config.Parse took, so it is bounded and holds no anchors, tags or second document.
type layout struct {
	lists map[string]*list
	end   int // last line that is not blank or a comment
}

// list is one of the document's lists.
type list struct {
	line    int  // of its key
	flow    bool // written in brackets
	entries []place
	indent  int // spaces before the dash
}

// place is one entry of a list.
type place struct {
	id         string
	start, end int
	flow       bool
	indent     int // spaces before its keys
	keys       []keyPlace
}

// keyPlace is one key of an entry that is written over several lines.
type keyPlace struct {
	key        string
	start, end int
}

// layoutOf finds them. The error is a *Fault.
func layoutOf(text string, lines []string) (*layout, error) {
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil || len(file.Docs) == 0 {
		return nil, fault("edit.layout", "?")
	}
	root, ok := file.Docs[0].Body.(*ast.MappingNode)
	if !ok || root.IsFlowStyle {
		return nil, fault("edit.flow", "{")
	}
	l := &layout{lists: map[string]*list{}, end: lastFull(lines, 1, len(lines))}
	for i, v := range root.Values {
		key := v.Key.GetToken()
		s, ok := v.Value.(*ast.SequenceNode)
		if !ok {
			continue
		}
		next := len(lines) + 1
		if i+1 < len(root.Values) {
			next = lineOf(root.Values[i+1].Key.GetToken())
		}
		l.lists[key.Value] = listOf(s, lineOf(key), next, lines)
	}
	return l, nil
}

func listOf(s *ast.SequenceNode, line, next int, lines []string) *list {
	out := &list{line: line, flow: s.IsFlowStyle, indent: 2}
	if s.IsFlowStyle {
		if len(s.Values) > 0 {
			out.entries = []place{{start: line, end: line, flow: true}}
		}
		return out
	}
	for i, e := range s.Entries {
		if i == 0 {
			out.indent = max(0, e.Start.Position.Column-1)
		}
		after := next
		if i+1 < len(s.Entries) {
			after = lineOf(s.Entries[i+1].Start)
		}
		p := place{start: lineOf(e.Start), end: lastFull(lines, lineOf(e.Start), after-1), indent: out.indent + 2}
		p.read(e.Value, lines)
		out.entries = append(out.entries, p)
	}
	return out
}

// read finds an entry's keys.
func (p *place) read(n ast.Node, lines []string) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs, p.flow = m.Values, m.IsFlowStyle
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	}
	for i, v := range pairs {
		t := v.Key.GetToken()
		if t.Value == "id" {
			p.id = v.Value.GetToken().Value
		}
		if p.flow {
			continue
		}
		p.indent = t.Position.Column - 1
		end := p.end
		if i+1 < len(pairs) {
			end = lastFull(lines, lineOf(t), lineOf(pairs[i+1].Key.GetToken())-1)
		}
		p.keys = append(p.keys, keyPlace{t.Value, lineOf(t), end})
	}
}

func lineOf(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 1
	}
	return max(1, t.Position.Line)
}

// lastFull is the last line from start to end that is not blank and not a comment only.
func lastFull(lines []string, start, end int) int {
	for n := min(end, len(lines)); n > start; n-- {
		if s := strings.TrimSpace(lines[n-1]); s != "" && !strings.HasPrefix(s, "#") && s != "..." {
			return n
		}
	}
	return start
}

// find tells which entry, and which of its keys, stands in a line.
func (l *layout) find(line int) (kind, id, key string) {
	for name, list := range l.lists {
		for _, p := range list.entries {
			if line < p.start || line > p.end {
				continue
			}
			for _, k := range p.keys {
				if line >= k.start && line <= k.end {
					key = k.key
				}
			}
			return name, p.id, key
		}
	}
	return "", "", ""
}
