package container

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
	"github.com/sekisho/sekisho/dataplane/verify/text"
)

const maxDepth = 400

// Node is one start tag with its names resolved: "w:p" by the short names of spaces, whatever prefix the part uses.
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

// Walk reads one XML part with encoding/xml, raw, and resolves namespaces itself. It refuses DTDs, processing instructions,
// comments, directives, foreign encodings, and every element or attribute of a namespace that spaces does not name.
func Walk(ctx context.Context, place string, b []byte, spaces map[string]string, v Visitor) error {
	no := func(format string, args ...any) error { return rule.Refuse(CodeMarkup, place, format, args...) }
	if bytes.HasPrefix(b, []byte("\xFE\xFF")) || bytes.HasPrefix(b, []byte("\xFF\xFE")) {
		return no("not UTF-8")
	}
	b = bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))
	for i := 0; i < len(b); {
		r, n := text.UTF8(b[i:])
		if n == 0 || r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return no("no character at byte %d", i)
		}
		i += n
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, rule.Refuse(CodeMarkup, place, "encoding %q", charset)
	}
	var path []string                             // resolved
	var raw []xml.Name                            // as written
	scopes := []map[string]string{{"xml": "xml"}} // prefix -> short name
	rooted := false
	for tokens := 0; ; tokens++ {
		if tokens%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return no("%v", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if rooted && len(path) == 0 || len(path) >= maxDepth {
				return no("a second root, or nested too deeply")
			}
			rooted = true
			scope, n, err := resolve(spaces, scopes[len(scopes)-1], t, place)
			if err != nil {
				return err
			}
			scopes, raw, path = append(scopes, scope), append(raw, t.Name), append(path, n.Name)
			if v.Start != nil {
				if err := v.Start(n, path); err != nil {
					return err
				}
			}
		case xml.EndElement:
			if len(raw) == 0 || raw[len(raw)-1] != t.Name {
				return no("tags do not match")
			}
			if v.End != nil {
				if err := v.End(path[len(path)-1]); err != nil {
					return err
				}
			}
			scopes, raw, path = scopes[:len(scopes)-1], raw[:len(raw)-1], path[:len(path)-1]
		case xml.CharData:
			if len(path) == 0 {
				if len(bytes.TrimSpace(t)) > 0 {
					return no("text outside the root")
				}
				continue
			}
			if v.Text != nil {
				if err := v.Text(path[len(path)-1], string(t)); err != nil {
					return err
				}
			}
		case xml.ProcInst:
			if t.Target != "xml" || rooted || tokens != 0 {
				return no("processing instruction %q", t.Target)
			}
		default:
			return no("comment or DTD")
		}
	}
	if !rooted || len(path) != 0 {
		return no("cut off")
	}
	return nil
}

// resolve gives the scope and the resolved names of a start tag.
func resolve(spaces, outer map[string]string, t xml.StartElement, place string) (map[string]string, Node, error) {
	scope, copied := outer, false
	for _, a := range t.Attr {
		prefix, declares := a.Name.Local, a.Name.Space == "xmlns"
		if a.Name.Space == "" && a.Name.Local == "xmlns" {
			prefix, declares = "", true
		}
		if !declares {
			continue
		}
		if !copied {
			next := make(map[string]string, len(outer)+1)
			for k, v := range outer {
				next[k] = v
			}
			scope, copied = next, true
		}
		scope[prefix] = spaces[a.Value] // "" when it is not on the list: harmless until it is used
	}
	n := Node{Attrs: make([]Attribute, 0, len(t.Attr))}
	space, ok := scope[t.Name.Space]
	if !ok && t.Name.Space == "" {
		space, ok = "none", true // only in VML drawings, where the caller looks
	}
	if !ok || space == "" {
		return nil, n, rule.Refuse(CodeMarkup, place, "element %s:%s of an unknown namespace", t.Name.Space, t.Name.Local)
	}
	n.Name = space + ":" + t.Name.Local
	seen := make(map[string]bool, len(t.Attr))
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		name := a.Name.Local
		if a.Name.Space != "" {
			s := scope[a.Name.Space]
			if s == "" {
				return nil, n, rule.Refuse(CodeMarkup, place, "attribute %s:%s of an unknown namespace", a.Name.Space, a.Name.Local)
			}
			name = s + ":" + name
		}
		if seen[name] {
			return nil, n, rule.Refuse(CodeMarkup, place, "attribute %s twice", name)
		}
		seen[name] = true
		n.Attrs = append(n.Attrs, Attribute{name, a.Value})
		// Compatibility attributes name prefixes, which must mean something here.
		if name == "mc:Ignorable" || name == "mc:MustUnderstand" || n.Name == "mc:Choice" && name == "Requires" {
			for _, p := range strings.Fields(a.Value) {
				if _, ok := scope[p]; !ok {
					return nil, n, rule.Refuse(CodeMarkup, place, "%s names the undeclared prefix %s", name, p)
				}
			}
		}
	}
	return scope, n, nil
}
