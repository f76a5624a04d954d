// Package markup reads XML piece by piece, as it is written.
//
// Problem: what passes must be written again exactly as it was, and encoding/xml renames prefixes, which mc:Ignorable and many
// extensions name instead of namespaces. Mechanism: a tokenizer that hands out pieces of the source: prefixes, attribute order and
// character references stay. Life cycle: New checks the bytes, Next walks them. Invariant: it accepts well-formed XML 1.0 with
// namespaces and nothing beyond: no DTD, no entity but the five of the standard; comments and processing instructions are
// skipped; depth and sizes are bounded.
package markup

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

const (
	MaxDepth   = 400
	maxAttrs   = 400
	maxBinding = 4000
)

// Kind of a Token.
type Kind int

// Kinds of tokens.
const (
	End   Kind = iota + 1 // also after an empty element, without bytes of its own
	Start                 // name, attrs, empty
	Text                  // text, escaped as in the source
	EOF
)

// Attr is one attribute, escaped as in the source.
type Attr struct {
	Name  []byte // as written
	Value []byte // without quotes, escaped as in the source
}

// Token is valid until the next call.
type Token struct {
	Kind  Kind
	Name  []byte
	NS    string // of a start or end tag: the short name that the reader's namespaces give it, or Unknown and the URI; attributes are resolved by AttrName
	Local string
	Attrs []Attr
	Empty bool
	Text  []byte
}

// Reader walks one document.
type Reader struct {
	b        []byte
	spaces   map[string]string
	pos      int
	open     []openTag
	bindings []binding
	attrs    []Attr
	pending  bool // an empty element still owes its end
	rooted   bool // the document element was seen
	names    map[string]string
	known    map[string]resolved // names of elements as written, under the bindings that are in force
}

type openTag struct {
	name      []byte
	ns, local string
	bindings  int // length of the bindings before this element
}

// binding ties a prefix to a namespace: its short name in the rules, or Unknown and the URI.
type binding struct{ prefix, uri string }

// Namespace is that of the prefix xml; Unknown begins the name of one without a short name.
const (
	Namespace = "http://www.w3.org/XML/1998/namespace"
	Unknown   = "?"
)

// New checks encoding and characters of the whole part. Namespaces that may pass are known by the short names that spaces gives them.
func New(b []byte, spaces map[string]string) (*Reader, error) {
	if len(b) >= 2 {
		if order, ok := charset.MarkUTF16[string(b[:2])]; ok {
			u, _, ok := charset.FromUTF16(b[2:], order)
			if !ok {
				return nil, rebuild.Refuse("xml.encoding", "", "UTF-16")
			}
			b = u
		} else if b[0] == '<' && b[1] == 0 || b[0] == 0 && b[1] == '<' {
			var order binary.ByteOrder = binary.LittleEndian
			if b[0] == 0 {
				order = binary.BigEndian
			}
			u, _, ok := charset.FromUTF16(b, order)
			if !ok {
				return nil, rebuild.Refuse("xml.encoding", "", "UTF-16")
			}
			b = u
		}
	}
	b = bytes.TrimPrefix(b, charset.MarkUTF8)
	if !utf8.Valid(b) {
		return nil, rebuild.Refuse("xml.encoding", "", "")
	}
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return nil, broken("control character")
		}
	}
	if bytes.Contains(b, []byte("\xEF\xBF\xBE")) || bytes.Contains(b, []byte("\xEF\xBF\xBF")) {
		return nil, broken("character outside XML")
	}
	x := &Reader{b: b, spaces: spaces, names: map[string]string{}, bindings: []binding{{"xml", "xml"}}}
	return x, x.declaration()
}

func broken(detail string) error { return rebuild.Refuse("xml.broken", "", detail) }

func (x *Reader) declaration() error {
	if !bytes.HasPrefix(x.b, []byte("<?xml")) || len(x.b) < 6 || !isSpace(x.b[5]) {
		return nil
	}
	end := bytes.Index(x.b, []byte("?>"))
	if end < 0 {
		return broken("XML declaration without end")
	}
	d := x.b[5:end]
	x.pos = end + 2
	if i := bytes.Index(d, []byte("encoding")); i >= 0 {
		v := bytes.TrimLeft(d[i+len("encoding"):], " \t\r\n=")
		if len(v) < 2 || v[0] != '"' && v[0] != '\'' {
			return broken("XML declaration")
		}
		n := bytes.IndexByte(v[1:], v[0])
		if n < 0 {
			return broken("XML declaration")
		}
		switch string(bytes.ToLower(v[1 : 1+n])) {
		case "utf-8", "utf8", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be", "unicode":
		default:
			// The bytes are valid UTF-8, but they were meant as something else.
			for _, c := range x.b {
				if c >= 0x80 {
					return rebuild.Refuse("xml.encoding", "", string(v[1:1+n]))
				}
			}
		}
	}
	return nil
}

// Next answers the next piece. After the document element has ended only white space may follow.
func (x *Reader) Next(t *Token) error {
	t.Attrs, t.Text, t.Empty = nil, nil, false
	if x.pending {
		x.pending = false
		x.end(t)
		return nil
	}
	for x.pos < len(x.b) {
		if x.b[x.pos] != '<' {
			i := bytes.IndexByte(x.b[x.pos:], '<')
			if i < 0 {
				i = len(x.b) - x.pos
			}
			text := x.b[x.pos : x.pos+i]
			x.pos += i
			if len(x.open) == 0 {
				if len(bytes.Trim(text, " \t\r\n")) > 0 {
					return broken("text outside the document element")
				}
				continue
			}
			if err := checkReferences(text); err != nil {
				return err
			}
			if bytes.Contains(text, []byte("]]>")) {
				text = bytes.ReplaceAll(text, []byte("]]>"), []byte("]]&gt;"))
			}
			t.Kind, t.Text = Text, text
			return nil
		}
		rest := x.b[x.pos:]
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			i := bytes.Index(rest[4:], []byte("--"))
			if i < 0 || len(rest) < 4+i+3 || rest[4+i+2] != '>' {
				return broken("comment without end")
			}
			x.pos += 4 + i + 3
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			i := bytes.Index(rest, []byte("]]>"))
			if i < 0 || len(x.open) == 0 {
				return broken("CDATA")
			}
			x.pos += i + 3
			t.Kind, t.Text = Text, Escape(rest[9:i])
			return nil
		case bytes.HasPrefix(rest, []byte("<!")):
			return rebuild.Refuse("xml.dtd", "", "")
		case bytes.HasPrefix(rest, []byte("<?")):
			i := bytes.Index(rest, []byte("?>"))
			if i < 0 || len(rest) > 5 && bytes.EqualFold(rest[2:5], []byte("xml")) && isSpace(rest[5]) {
				return broken("processing instruction")
			}
			x.pos += i + 2
		case bytes.HasPrefix(rest, []byte("</")):
			return x.endTag(t)
		default:
			return x.startTag(t)
		}
	}
	if len(x.open) > 0 || !x.rooted {
		return broken("ends inside an element")
	}
	t.Kind = EOF
	return nil
}

func (x *Reader) endTag(t *Token) error {
	if n := len(x.open); n > 0 { // as nearly all are written
		name := x.open[n-1].name
		if rest := x.b[x.pos+2:]; len(rest) > len(name) && rest[len(name)] == '>' && string(rest[:len(name)]) == string(name) {
			x.pos += 2 + len(name) + 1
			x.end(t)
			return nil
		}
	}
	end := bytes.IndexByte(x.b[x.pos:], '>')
	if end < 0 {
		return broken("end tag without end")
	}
	name := bytes.TrimRight(x.b[x.pos+2:x.pos+end], " \t\r\n")
	x.pos += end + 1
	if len(x.open) == 0 || !bytes.Equal(name, x.open[len(x.open)-1].name) {
		return broken("end tag </" + string(name[:min(len(name), 40)]) + "> closes nothing")
	}
	x.end(t)
	return nil
}

func (x *Reader) end(t *Token) {
	o := x.open[len(x.open)-1]
	x.open = x.open[:len(x.open)-1]
	if len(x.bindings) > o.bindings {
		x.bindings = x.bindings[:o.bindings]
		clear(x.known)
	}
	t.Kind, t.Name, t.NS, t.Local = End, o.name, o.ns, o.local
}

func (x *Reader) startTag(t *Token) error {
	if len(x.open) == 0 && x.rooted {
		return broken("second document element")
	}
	x.rooted = true
	if len(x.open) >= MaxDepth {
		return rebuild.Refuse("limit.depth", "", "")
	}
	b, p := x.b, x.pos+1
	n := nameLen(b[p:])
	if n == 0 {
		return broken("tag without name")
	}
	o := openTag{name: b[p : p+n], bindings: len(x.bindings)}
	p += n
	x.attrs = x.attrs[:0]
	for {
		q := p
		for q < len(b) && isSpace(b[q]) {
			q++
		}
		if q >= len(b) {
			return broken("tag without end")
		}
		if b[q] == '>' {
			p = q + 1
			break
		}
		if b[q] == '/' && q+1 < len(b) && b[q+1] == '>' {
			t.Empty, x.pending = true, true
			p = q + 2
			break
		}
		if q == p {
			return broken("attributes without space between")
		}
		p = q
		n := nameLen(b[p:])
		if n == 0 {
			return broken("attribute without name")
		}
		a := Attr{Name: b[p : p+n]}
		p += n
		for p < len(b) && isSpace(b[p]) {
			p++
		}
		if p >= len(b) || b[p] != '=' {
			return broken("attribute without value")
		}
		p++
		for p < len(b) && isSpace(b[p]) {
			p++
		}
		if p >= len(b) || b[p] != '"' && b[p] != '\'' {
			return broken("attribute value without quotes")
		}
		quote := b[p]
		from, refers := p+1, false
		for p++; p < len(b) && b[p] != quote; p++ {
			switch b[p] {
			case '<':
				return broken("< in an attribute value")
			case '&':
				refers = true
			}
		}
		if p >= len(b) {
			return broken("attribute value without end")
		}
		a.Value = b[from:p]
		p++
		if refers {
			if err := checkReferences(a.Value); err != nil {
				return err
			}
		}
		if quote == '\'' && bytes.IndexByte(a.Value, '"') >= 0 {
			a.Value = bytes.ReplaceAll(a.Value, []byte(`"`), []byte("&quot;"))
		}
		for i := range x.attrs {
			if bytes.Equal(x.attrs[i].Name, a.Name) {
				return broken("attribute twice: " + string(a.Name[:min(len(a.Name), 40)]))
			}
		}
		if len(x.attrs) >= maxAttrs {
			return rebuild.Refuse("limit.depth", "", "attributes")
		}
		x.attrs = append(x.attrs, a)
		if prefix, local := Cut(a.Name); string(prefix) == "xmlns" || prefix == nil && string(local) == "xmlns" {
			if len(x.bindings) >= maxBinding {
				return rebuild.Refuse("limit.depth", "", "namespaces")
			}
			bind := binding{uri: string(Unescape(a.Value))}
			if prefix != nil {
				bind.prefix = string(local)
				if bind.uri == "" || bind.prefix == "xmlns" || (bind.prefix == "xml") != (bind.uri == Namespace) {
					return broken("namespace declaration")
				}
			}
			if short, ok := x.spaces[bind.uri]; ok {
				bind.uri = short
			} else if bind.uri != "" {
				bind.uri = Unknown + bind.uri
			}
			x.bindings = append(x.bindings, bind)
			clear(x.known)
		}
	}
	r, ok := x.known[string(o.name)]
	if !ok {
		var err error
		if r, err = x.resolve(o.name); err != nil {
			return err
		}
	}
	o.ns, o.local = r.ns, r.local
	x.open = append(x.open, o)
	x.pos = p
	t.Kind, t.Name, t.NS, t.Local, t.Attrs = Start, o.name, o.ns, o.local, x.attrs
	return nil
}

// Skip reads to the end of the element whose start was just read. seen, if any, gets each piece.
func (x *Reader) Skip(seen func(*Token)) error {
	depth := len(x.open)
	var t Token
	for {
		if err := x.Next(&t); err != nil {
			return err
		}
		if seen != nil {
			seen(&t)
		}
		if t.Kind == End && len(x.open) < depth {
			return nil
		}
	}
}

// Depth is how many elements are open.
func (x *Reader) Depth() int { return len(x.open) }

// Fork is a reader that goes on from here by itself, to look ahead as far as to the end of the element that is open. It costs little,
// however much is declared: some look ahead from every element.
func (x *Reader) Fork() *Reader {
	ahead := *x
	ahead.open = x.open[:len(x.open):len(x.open)]
	ahead.bindings = x.bindings[:len(x.bindings):len(x.bindings)]
	ahead.attrs, ahead.known = nil, nil
	return &ahead
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
