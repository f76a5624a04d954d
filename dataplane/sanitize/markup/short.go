package markup

import (
	"bytes"
	"strings"
)

// Short is an element that is written in the one form that nearly all of a large table's are: <c r="A1" t="s"><v>7</v></c>,
// <c r="A1"></c> or <c r="A1"/>. Its pieces are valid as those of a Token.
type Short struct {
	Raw   []byte // all of it, as it is written
	Attrs []Attr
	Text  []byte // of its only child
}

// Short reads an element in one step when it is one: outer without prefix, attributes whose names are letters of names, and nothing
// in it but one inner without attributes around text without references. Otherwise ok is false and nothing was read: Next tells what
// stands there.
func (x *Reader) Short(outer, inner, names string) (s Short, ok bool) {
	if x.pending || len(x.open) == 0 || len(x.open)+2 > MaxDepth {
		return s, false
	}
	from := x.b[x.pos:]
	rest, ok := cutName(from, "<", outer)
	if !ok {
		return s, false
	}
	x.attrs = x.attrs[:0]
	for len(rest) > 0 && rest[0] == ' ' {
		var a Attr
		if a, rest, ok = shortAttr(rest[1:], names); !ok {
			return s, false
		}
		for _, b := range x.attrs {
			if b.Name[0] == a.Name[0] {
				return s, false
			}
		}
		x.attrs = append(x.attrs, a)
	}
	if after, empty := bytes.CutPrefix(rest, []byte("/>")); empty {
		rest = after
	} else {
		if len(rest) == 0 || rest[0] != '>' {
			return s, false
		}
		rest = rest[1:]
		if child, holds := cutName(rest, "<", inner); holds {
			n := 0
			for n < len(child) && child[n] != '<' && child[n] != '&' && child[n] != ']' {
				n++
			}
			if n == 0 || child[0] != '>' {
				return s, false
			}
			s.Text = child[1:n]
			if rest, ok = cutTag(child[n:], inner); !ok {
				return s, false
			}
		}
		if rest, ok = cutTag(rest, outer); !ok {
			return s, false
		}
	}
	s.Raw, s.Attrs = from[:len(from)-len(rest)], x.attrs
	x.pos += len(s.Raw)
	return s, true
}

// cutName takes mark and name off the beginning of b, where the name ends there.
func cutName(b []byte, mark, name string) (rest []byte, ok bool) {
	n := len(mark) + len(name)
	if len(b) <= n || string(b[:len(mark)]) != mark || string(b[len(mark):n]) != name {
		return b, false
	}
	switch b[n] {
	case ' ', '>', '/':
		return b[n:], true
	}
	return b, false
}

// cutTag takes an end tag off the beginning of b.
func cutTag(b []byte, name string) (rest []byte, ok bool) {
	rest, ok = cutName(b, "</", name)
	if !ok || rest[0] != '>' {
		return b, false
	}
	return rest[1:], true
}

// shortAttr reads x="value", where x is one of names and the value has no references.
func shortAttr(b []byte, names string) (a Attr, rest []byte, ok bool) {
	if len(b) < 3 || b[1] != '=' || b[2] != '"' || strings.IndexByte(names, b[0]) < 0 {
		return a, b, false
	}
	v := 3
	for v < len(b) && b[v] != '"' && b[v] != '<' && b[v] != '&' {
		v++
	}
	if v >= len(b) || b[v] != '"' {
		return a, b, false
	}
	return Attr{Name: b[:1], Value: b[3:v]}, b[v+1:], true
}
