package sanitize

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// The tokenizer reads one XML part and hands out its pieces as they are written: prefixes, attribute order and character
// references stay. (encoding/xml renames prefixes, and mc:Ignorable and many extensions name prefixes, not namespaces.) It
// accepts well-formed XML 1.0 with namespaces and nothing beyond: no DTD, no entity but the five of the standard. Comments and
// processing instructions are skipped. Depth and sizes are bounded.
const (
	maxDepth   = 400
	maxAttrs   = 400
	maxBinding = 4000
)

type xmlKind int

const (
	xmlEnd   xmlKind = iota + 1 // also after an empty element, without bytes of its own
	xmlStart                    // name, attrs, empty
	xmlText                     // text, escaped as in the source
	xmlEOF
)

type xmlAttr struct {
	name  []byte // as written
	value []byte // without quotes, escaped as in the source
}

// xmlToken is valid until the next call.
type xmlToken struct {
	kind  xmlKind
	name  []byte
	ns    string // namespace of a start or end tag as in xmlBinding; attributes are resolved by their reader
	local string
	attrs []xmlAttr
	empty bool
	text  []byte
}

type xmlReader struct {
	b        []byte
	pos      int
	open     []xmlOpen
	bindings []xmlBinding
	attrs    []xmlAttr
	pending  bool // an empty element still owes its end
	rooted   bool // the document element was seen
	names    map[string]string
}

type xmlOpen struct {
	name      []byte
	ns, local string
	bindings  int // length of the bindings before this element
}

// xmlBinding ties a prefix to a namespace: its short name in the rules, or unknownSpace and the URI.
type xmlBinding struct{ prefix, uri string }

const (
	xmlNamespace = "http://www.w3.org/XML/1998/namespace"
	unknownSpace = "?"
)

// newXML checks encoding and characters of the whole part.
func newXML(b []byte) (*xmlReader, error) {
	if len(b) >= 2 {
		if order, ok := markUTF16[string(b[:2])]; ok {
			u, _, ok := fromUTF16(b[2:], order)
			if !ok {
				return nil, refuse("ooxml.encoding", "", "UTF-16")
			}
			b = u
		} else if b[0] == '<' && b[1] == 0 || b[0] == 0 && b[1] == '<' {
			var order binary.ByteOrder = binary.LittleEndian
			if b[0] == 0 {
				order = binary.BigEndian
			}
			u, _, ok := fromUTF16(b, order)
			if !ok {
				return nil, refuse("ooxml.encoding", "", "UTF-16")
			}
			b = u
		}
	}
	b = bytes.TrimPrefix(b, markUTF8)
	if !utf8.Valid(b) {
		return nil, refuse("ooxml.encoding", "", "")
	}
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return nil, broken("control character")
		}
	}
	if bytes.Contains(b, []byte("\xEF\xBF\xBE")) || bytes.Contains(b, []byte("\xEF\xBF\xBF")) {
		return nil, broken("character outside XML")
	}
	x := &xmlReader{b: b, names: map[string]string{}, bindings: []xmlBinding{{"xml", "xml"}}}
	return x, x.declaration()
}

func broken(detail string) error { return refuse("ooxml.broken", "", detail) }

func (x *xmlReader) declaration() error {
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
					return refuse("ooxml.encoding", "", string(v[1:1+n]))
				}
			}
		}
	}
	return nil
}

// next answers the next piece. After the document element has ended only white space may follow.
func (x *xmlReader) next(t *xmlToken) error {
	t.attrs, t.text, t.empty = nil, nil, false
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
			t.kind, t.text = xmlText, text
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
			t.kind, t.text = xmlText, escapeText(rest[9:i])
			return nil
		case bytes.HasPrefix(rest, []byte("<!")):
			return refuse("ooxml.dtd", "", "")
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
	t.kind = xmlEOF
	return nil
}

func (x *xmlReader) endTag(t *xmlToken) error {
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

func (x *xmlReader) end(t *xmlToken) {
	o := x.open[len(x.open)-1]
	x.open = x.open[:len(x.open)-1]
	x.bindings = x.bindings[:o.bindings]
	t.kind, t.name, t.ns, t.local = xmlEnd, o.name, o.ns, o.local
}

func (x *xmlReader) startTag(t *xmlToken) error {
	if len(x.open) == 0 && x.rooted {
		return broken("second document element")
	}
	x.rooted = true
	if len(x.open) >= maxDepth {
		return refuse("limit.depth", "", "")
	}
	b, p := x.b, x.pos+1
	n := nameLen(b[p:])
	if n == 0 {
		return broken("tag without name")
	}
	o := xmlOpen{name: b[p : p+n], bindings: len(x.bindings)}
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
			t.empty, x.pending = true, true
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
		a := xmlAttr{name: b[p : p+n]}
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
		end := bytes.IndexByte(b[p+1:], quote)
		if end < 0 {
			return broken("attribute value without end")
		}
		a.value = b[p+1 : p+1+end]
		p += end + 2
		if bytes.IndexByte(a.value, '<') >= 0 {
			return broken("< in an attribute value")
		}
		if err := checkReferences(a.value); err != nil {
			return err
		}
		if quote == '\'' && bytes.IndexByte(a.value, '"') >= 0 {
			a.value = bytes.ReplaceAll(a.value, []byte(`"`), []byte("&quot;"))
		}
		for i := range x.attrs {
			if bytes.Equal(x.attrs[i].name, a.name) {
				return broken("attribute twice: " + string(a.name[:min(len(a.name), 40)]))
			}
		}
		if len(x.attrs) >= maxAttrs {
			return refuse("limit.depth", "", "attributes")
		}
		x.attrs = append(x.attrs, a)
		if prefix, local := cut(a.name); string(prefix) == "xmlns" || prefix == nil && string(local) == "xmlns" {
			if len(x.bindings) >= maxBinding {
				return refuse("limit.depth", "", "namespaces")
			}
			bind := xmlBinding{uri: string(unescape(a.value))}
			if prefix != nil {
				bind.prefix = string(local)
				if bind.uri == "" || bind.prefix == "xmlns" || (bind.prefix == "xml") != (bind.uri == xmlNamespace) {
					return broken("namespace declaration")
				}
			}
			if short, ok := spaces[bind.uri]; ok {
				bind.uri = short
			} else if bind.uri != "" {
				bind.uri = unknownSpace + bind.uri
			}
			x.bindings = append(x.bindings, bind)
		}
	}
	prefix, local := cut(o.name)
	ns, ok := x.lookup(prefix)
	if !ok {
		return broken("prefix without namespace: " + string(prefix[:min(len(prefix), 40)]))
	}
	o.ns, o.local = ns, x.intern(local)
	x.open = append(x.open, o)
	x.pos = p
	t.kind, t.name, t.ns, t.local, t.attrs = xmlStart, o.name, o.ns, o.local, x.attrs
	return nil
}

// lookup answers the namespace of a prefix in force; of a nil prefix the default one.
func (x *xmlReader) lookup(prefix []byte) (string, bool) {
	for i := len(x.bindings) - 1; i >= 0; i-- {
		if x.bindings[i].prefix == string(prefix) {
			return x.bindings[i].uri, true
		}
	}
	return "", prefix == nil
}

// attrName resolves an attribute's name: no prefix, no namespace.
func (x *xmlReader) attrName(a xmlAttr) (ns string, local []byte, err error) {
	prefix, local := cut(a.name)
	if prefix == nil {
		return "", local, nil
	}
	ns, ok := x.lookup(prefix)
	if !ok {
		return "", nil, broken("prefix without namespace: " + string(prefix[:min(len(prefix), 40)]))
	}
	return ns, local, nil
}

// skip reads to the end of the element whose start was just read. seen, if any, gets each piece.
func (x *xmlReader) skip(seen func(*xmlToken)) error {
	depth := len(x.open)
	var t xmlToken
	for {
		if err := x.next(&t); err != nil {
			return err
		}
		if seen != nil {
			seen(&t)
		}
		if t.kind == xmlEnd && len(x.open) < depth {
			return nil
		}
	}
}

func (x *xmlReader) intern(b []byte) string {
	if s, ok := x.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(x.names) < 10000 {
		x.names[s] = s
	}
	return s
}

func cut(name []byte) (prefix, local []byte) {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return nil, name
}

// nameLen is the length of the qualified name at the start of b, 0 when there is none. Non-ASCII letters are taken as they
// come: schemas have none, so such elements fall to the allow-list.
func nameLen(b []byte) int {
	colons, start := 0, true
	i := 0
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c >= 0x80:
			start = false
		case '0' <= c && c <= '9', c == '-', c == '.':
			if start {
				return 0
			}
		case c == ':':
			if start || colons > 0 {
				return 0
			}
			colons++
			start = true
		default:
			if start || i > 255 {
				return 0
			}
			return i
		}
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// checkReferences accepts the five entities of the standard and characters of XML by number.
func checkReferences(b []byte) error {
	for {
		i := bytes.IndexByte(b, '&')
		if i < 0 {
			return nil
		}
		b = b[i+1:]
		end := bytes.IndexByte(b[:min(len(b), 12)], ';')
		if end < 0 {
			return broken("& without ;")
		}
		if _, ok := reference(b[:end]); !ok {
			return refuse("ooxml.dtd", "", "&"+string(b[:end])+";")
		}
		b = b[end+1:]
	}
}

func reference(name []byte) (rune, bool) {
	switch string(name) {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(name) < 2 || name[0] != '#' {
		return 0, false
	}
	digits, base := string(name[1:]), 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n > utf8.MaxRune {
		return 0, false
	}
	r := rune(n)
	ok := r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && utf8.ValidRune(r) && r != 0xFFFE && r != 0xFFFF
	return r, ok
}

// unescape answers the characters that text or an attribute value stands for.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '&') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		if b[0] == '&' {
			if end := bytes.IndexByte(b, ';'); end > 0 {
				if r, ok := reference(b[1:end]); ok {
					out = utf8.AppendRune(out, r)
					b = b[end+1:]
					continue
				}
			}
		}
		out = append(out, b[0])
		b = b[1:]
	}
	return out
}

func escapeText(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	for _, c := range b {
		switch c {
		case '&':
			out = append(out, "&amp;"...)
		case '<':
			out = append(out, "&lt;"...)
		case '>':
			out = append(out, "&gt;"...)
		case '"':
			out = append(out, "&quot;"...)
		default:
			out = append(out, c)
		}
	}
	return out
}
