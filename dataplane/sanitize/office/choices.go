package office

import (
	"bytes"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
)

// alternateContent keeps of mc:AlternateContent the choices whose namespaces all may pass (ECMA-376 part 3).
func (f *partFilter) alternateContent(t *markup.Token) error {
	switch t.Local {
	case "AlternateContent":
		tag := append([]byte{'<'}, t.Name...)
		var carry []markup.Attr
		for _, a := range t.Attrs {
			if isDeclaration(a.Name) {
				tag = appendAttr(tag, a)
				carry = append(carry, markup.Attr{Name: bytes.Clone(a.Name), Value: bytes.Clone(a.Value)})
			}
		}
		for _, c := range f.top().carry {
			if !declares(carry, c.Name) {
				tag = appendAttr(tag, c)
				carry = append(carry, c)
			}
		}
		f.frames = append(f.frames, frame{element: element{t.NS, t.Local}, silent: true, name: t.Name, before: f.out.Len(), after: f.out.Len(),
			carry: carry, alt: &alternate{tag: append(tag, '>')}})
		return nil
	case "Choice":
		alt := f.top().alt
		if alt == nil || alt.done {
			return f.drop(t, "", "")
		}
		for _, prefix := range strings.Fields(attr(t, "Requires")) {
			ns, ok := f.x.Lookup([]byte(prefix))
			if !ok || strings.HasPrefix(ns, markup.Unknown) {
				return f.drop(t, removedSpaces[strings.TrimPrefix(ns, markup.Unknown)], "")
			}
		}
		if !alt.written {
			f.out.Write(alt.tag)
			alt.written = true
		}
		return f.write(t, t.Name)
	case "Fallback":
		alt := f.top().alt
		if alt == nil || alt.done {
			return f.drop(t, "", "")
		}
		alt.done = true
		if alt.written {
			return f.write(t, t.Name)
		}
		f.open(t, true)
		return nil
	}
	return f.drop(t, "ooxml.unknown-element", "mc "+t.Local)
}
