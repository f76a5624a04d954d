package verify

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

// node is one start tag with its names resolved: "w:p" by the short names of spaces, whatever prefix the part uses.
type node struct {
	name  string
	attrs []attribute
}

type attribute struct{ name, value string } // name without prefix: "val"; with: "r:id"

func (n node) get(name string) string {
	for _, a := range n.attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// visitor is told what stands in a part. text comes with the element that it stands in.
type visitor struct {
	start func(n node, path []string) error
	text  func(in string, s string) error
	end   func(name string) error
}

// walk reads one XML part with encoding/xml, raw, and resolves namespaces itself. It refuses DTDs, processing instructions,
// comments, directives, foreign encodings, and every element or attribute of a namespace that is not on the list.
func walk(ctx context.Context, place string, b []byte, v visitor) error {
	no := func(format string, args ...any) error { return rule.Refuse(codeMarkup, place, format, args...) }
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
		return nil, rule.Refuse(codeMarkup, place, "encoding %q", charset)
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
			scope, n, err := resolve(scopes[len(scopes)-1], t, place)
			if err != nil {
				return err
			}
			scopes, raw, path = append(scopes, scope), append(raw, t.Name), append(path, n.name)
			if v.start != nil {
				if err := v.start(n, path); err != nil {
					return err
				}
			}
		case xml.EndElement:
			if len(raw) == 0 || raw[len(raw)-1] != t.Name {
				return no("tags do not match")
			}
			if v.end != nil {
				if err := v.end(path[len(path)-1]); err != nil {
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
			if v.text != nil {
				if err := v.text(path[len(path)-1], string(t)); err != nil {
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
func resolve(outer map[string]string, t xml.StartElement, place string) (map[string]string, node, error) {
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
	n := node{attrs: make([]attribute, 0, len(t.Attr))}
	space, ok := scope[t.Name.Space]
	if !ok && t.Name.Space == "" {
		space, ok = "none", true // only in VML drawings, where the caller looks
	}
	if !ok || space == "" {
		return nil, n, rule.Refuse(codeMarkup, place, "element %s:%s of an unknown namespace", t.Name.Space, t.Name.Local)
	}
	n.name = space + ":" + t.Name.Local
	seen := make(map[string]bool, len(t.Attr))
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		name := a.Name.Local
		if a.Name.Space != "" {
			s := scope[a.Name.Space]
			if s == "" {
				return nil, n, rule.Refuse(codeMarkup, place, "attribute %s:%s of an unknown namespace", a.Name.Space, a.Name.Local)
			}
			name = s + ":" + name
		}
		if seen[name] {
			return nil, n, rule.Refuse(codeMarkup, place, "attribute %s twice", name)
		}
		seen[name] = true
		n.attrs = append(n.attrs, attribute{name, a.Value})
		// Compatibility attributes name prefixes, which must mean something here.
		if name == "mc:Ignorable" || name == "mc:MustUnderstand" || n.name == "mc:Choice" && name == "Requires" {
			for _, p := range strings.Fields(a.Value) {
				if _, ok := scope[p]; !ok {
					return nil, n, rule.Refuse(codeMarkup, place, "%s names the undeclared prefix %s", name, p)
				}
			}
		}
	}
	return scope, n, nil
}
