package container

import (
	"context"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/text"
)

const maxDepth = 400

// Node is one start tag with its names resolved: "w:p" by the short names of spaces, whatever prefix the part uses. Its attributes are
// valid until the next one.
type Node struct {
	Name  string
	Attrs []Attribute
}

// Attribute of a Node.
type Attribute struct{ Name, Value string } // name without prefix: "val"; with: "r:id"

// Get is the value of an attribute, empty when it is missing.
func (n Node) Get(name string) string {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// Visitor is told what stands in a part. Text comes with the element that it stands in.
type Visitor struct {
	Start func(n Node, path []string) error
	Text  func(in string, s string) error
	End   func(name string) error
}

// Walk reads one XML part and resolves its namespaces. It refuses everything but tags and text in the form that lexer reads, and every
// element or attribute of a namespace that spaces does not name.
func Walk(ctx context.Context, place string, b []byte, spaces map[string]string, v Visitor) error {
	w := &walker{lexer: lexer{s: string(b)}, place: place, spaces: spaces, Visitor: v, scope: &scope{own: []binding{{"xml", "xml"}}}}
	if err := w.characters(); err != nil {
		return err
	}
	if w.take(`<?xml version="1.0" encoding="UTF-8"`) {
		if w.take(` standalone="yes"`); !w.take("?>") {
			return w.no("XML declaration")
		}
	}
	for tokens := 0; w.at < len(w.s); tokens++ {
		if tokens%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		switch {
		case w.s[w.at] != '<':
			err = w.words()
		case strings.HasPrefix(w.s[w.at:], "</"):
			err = w.end()
		default:
			err = w.start()
		}
		if err != nil {
			return err
		}
	}
	if !w.rooted || len(w.path) != 0 {
		return w.no("cut off")
	}
	return nil
}

// walker is on its way through one part.
type walker struct {
	lexer
	Visitor
	place  string
	spaces map[string]string
	scope  *scope
	path   []string // open elements, resolved
	open   []opened // and as written
	rooted bool
	attrs  []Attribute // resolved
}

// opened is an open element: its name as written, and the scope around it.
type opened struct {
	name  string
	outer *scope
}

func (w *walker) no(format string, args ...any) error {
	return rule.Refuse(CodeMarkup, w.place, format, args...)
}

// characters holds the whole part to those of XML 1.0 (2.2), in UTF-8.
func (w *walker) characters() error {
	s := w.s
	for i := 0; i < len(s); {
		if c := s[i]; c >= 0x20 && c < 0x80 {
			i++
			continue
		}
		r, n := text.UTF8([]byte(s[i:min(i+utf8Max, len(s))]))
		if n == 0 || r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return w.no("no character at byte %d", i)
		}
		i += n
	}
	return nil
}

const utf8Max = 4 // bytes of one character

func (w *walker) words() error {
	s, fault := w.text()
	if fault != "" {
		return w.no("%s", fault)
	}
	if len(w.path) == 0 {
		if strings.Trim(s, " \t\r\n") != "" {
			return w.no("text outside the root")
		}
		return nil
	}
	if w.Text == nil {
		return nil
	}
	return w.Text(w.path[len(w.path)-1], s)
}

func (w *walker) end() error {
	w.at += len("</")
	n := len(w.open)
	if n == 0 || !w.take(w.open[n-1].name) || !w.take(">") {
		return w.no("tags do not match")
	}
	return w.close()
}

// close leaves the innermost element.
func (w *walker) close() error {
	n := len(w.open) - 1
	name := w.path[n]
	w.scope, w.open, w.path = w.open[n].outer, w.open[:n], w.path[:n]
	if w.End == nil {
		return nil
	}
	return w.End(name)
}

func (w *walker) start() error {
	if w.rooted && len(w.path) == 0 || len(w.path) >= maxDepth {
		return w.no("a second root, or nested too deeply")
	}
	w.rooted = true
	w.at++
	raw, empty, fault := w.startTag()
	if fault != "" {
		return w.no("%s", fault)
	}
	outer := w.scope
	n, err := w.resolve(raw)
	if err != nil {
		return err
	}
	w.open, w.path = append(w.open, opened{raw, outer}), append(w.path, n.Name)
	if w.Start != nil {
		if err := w.Start(n, w.path); err != nil {
			return err
		}
	}
	if empty {
		return w.close()
	}
	return nil
}

// resolve enters the scope of the tag that was just read and gives its names in it.
func (w *walker) resolve(raw string) (Node, error) {
	var own []binding
	for _, a := range w.lexer.attrs {
		prefix, declares := strings.CutPrefix(a.Name, "xmlns:")
		if a.Name == "xmlns" {
			prefix, declares = "", true
		}
		if !declares {
			continue
		}
		for _, b := range own {
			if b.prefix == prefix {
				return Node{}, w.no("attribute %s twice", a.Name)
			}
		}
		space := w.spaces[a.Value] // "" when it is not on the list: harmless until it is used
		if prefix == "" && a.Value == "" {
			space = none
		}
		if prefix == "xmlns" || prefix != "" && a.Value == "" || (prefix == "xml") != (space == "xml") {
			return Node{}, w.no("declaration of %q", prefix)
		}
		own = append(own, binding{prefix, space})
	}
	if own != nil {
		w.scope = &scope{outer: w.scope, own: own}
	}
	var n Node
	var ok bool
	if n.Name, ok = w.scope.element(raw); !ok {
		return n, w.no("element %s of an unknown namespace", raw)
	}
	w.attrs = w.attrs[:0]
	for _, a := range w.lexer.attrs {
		if a.Name == "xmlns" || strings.HasPrefix(a.Name, "xmlns:") {
			continue
		}
		name, ok := w.scope.attribute(a.Name)
		if !ok {
			return n, w.no("attribute %s of an unknown namespace", a.Name)
		}
		w.attrs = append(w.attrs, Attribute{name, a.Value})
		// Compatibility attributes name prefixes, which must mean something here.
		if name == "mc:Ignorable" || name == "mc:MustUnderstand" || n.Name == "mc:Choice" && name == "Requires" {
			for _, p := range strings.Fields(a.Value) {
				if _, ok := w.scope.find(p); !ok {
					return n, w.no("%s names the undeclared prefix %s", name, p)
				}
			}
		}
	}
	if twice := repeated(w.attrs); twice != "" {
		return n, w.no("attribute %s twice", twice)
	}
	n.Attrs = w.attrs
	return n, nil
}

// repeated is the name that two attributes have, or "".
func repeated(attrs []Attribute) string {
	if len(attrs) > 32 {
		seen := make(map[string]bool, len(attrs))
		for _, a := range attrs {
			if seen[a.Name] {
				return a.Name
			}
			seen[a.Name] = true
		}
		return ""
	}
	for i := range attrs {
		for j := range i {
			if attrs[i].Name == attrs[j].Name {
				return attrs[i].Name
			}
		}
	}
	return ""
}
