package markup

import "bytes"

// resolved is what an element's name means.
type resolved struct{ ns, local string }

// maxKnown names are remembered: they are forgotten with each declaration, which has to be cheap.
const maxKnown = 256

// resolve gives an element's name its meaning.
func (x *Reader) resolve(name []byte) (resolved, error) {
	prefix, local := Cut(name)
	ns, ok := x.Lookup(prefix)
	if !ok {
		return resolved{}, broken("prefix without namespace: " + string(prefix[:min(len(prefix), 40)]))
	}
	r := resolved{ns, x.intern(local)}
	if x.known == nil {
		x.known = map[string]resolved{}
	}
	if len(x.known) < maxKnown {
		x.known[string(name)] = r
	}
	return r, nil
}

// Lookup answers the namespace of a prefix in force; of a nil prefix the default one.
func (x *Reader) Lookup(prefix []byte) (string, bool) {
	for i := len(x.bindings) - 1; i >= 0; i-- {
		if x.bindings[i].prefix == string(prefix) {
			return x.bindings[i].uri, true
		}
	}
	return "", prefix == nil
}

// AttrName resolves an attribute's name: no prefix, no namespace.
func (x *Reader) AttrName(a Attr) (ns string, local []byte, err error) {
	prefix, local := Cut(a.Name)
	if prefix == nil {
		return "", local, nil
	}
	ns, ok := x.Lookup(prefix)
	if !ok {
		return "", nil, broken("prefix without namespace: " + string(prefix[:min(len(prefix), 40)]))
	}
	return ns, local, nil
}

func (x *Reader) intern(b []byte) string {
	if s, ok := x.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(x.names) < 10000 {
		x.names[s] = s
	}
	return s
}

// Cut parts a qualified name.
func Cut(name []byte) (prefix, local []byte) {
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
