package container

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// lexer cuts a part into tags and text. It knows the one form that a rebuilder writes: one space before each attribute, double quotes,
// nothing but the five entities and characters by number. Where XML allows more, two readers may see two things, so it is not read.
// Everything handed out is a piece of the part, except where a reference stood.
type lexer struct {
	s     string
	at    int
	attrs []Attribute // of the last start tag, as written
}

// maxAttributes of one element, declarations among them.
const maxAttributes = 1000

var (
	nameFirst = bytesOf("_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", true)
	nameLater = bytesOf("_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.", true)
)

func bytesOf(s string, beyondASCII bool) (t [256]bool) {
	for i := range len(s) {
		t[s[i]] = true
	}
	for c := 0x80; c < 0x100; c++ {
		t[c] = beyondASCII
	}
	return t
}

// name reads a qualified name; empty when there is none here.
func (l *lexer) name() string {
	from, i, colons := l.at, l.at, 0
	for ; i < len(l.s); i++ {
		switch c := l.s[i]; {
		case i == from || l.s[i-1] == ':':
			if !nameFirst[c] {
				return ""
			}
		case nameLater[c]:
		case c == ':' && colons == 0:
			colons++
		default:
			l.at = i
			return l.s[from:i]
		}
	}
	return ""
}

// take steps over what has to come next.
func (l *lexer) take(s string) bool {
	if !strings.HasPrefix(l.s[l.at:], s) {
		return false
	}
	l.at += len(s)
	return true
}

// startTag reads behind "<". The attributes stay in l.attrs until the next one. fault says what is wrong.
func (l *lexer) startTag() (name string, empty bool, fault string) {
	if name = l.name(); name == "" {
		return "", false, "not a name"
	}
	l.attrs = l.attrs[:0]
	for {
		switch {
		case l.take(">"):
			return name, false, ""
		case l.take("/>"):
			return name, true, ""
		case !l.take(" "):
			return "", false, "a tag in another form"
		case len(l.attrs) == maxAttributes:
			return "", false, "too many attributes"
		}
		a := Attribute{Name: l.name()}
		if a.Name == "" || !l.take(`="`) {
			return "", false, "an attribute in another form"
		}
		n := strings.IndexByte(l.s[l.at:], '"')
		if n < 0 {
			return "", false, "an attribute without end"
		}
		a.Value = l.s[l.at : l.at+n]
		l.at += n + 1
		if a.Value, fault = plain(a.Value); fault != "" {
			return "", false, fault
		}
		l.attrs = append(l.attrs, a)
	}
}

// text reads up to the next tag.
func (l *lexer) text() (string, string) {
	n := strings.IndexByte(l.s[l.at:], '<')
	if n < 0 {
		n = len(l.s) - l.at
	}
	s := l.s[l.at : l.at+n]
	l.at += n
	if strings.Contains(s, "]]>") {
		return "", "]]> in text"
	}
	return plain(s)
}

var entities = map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}

// plain puts characters in the place of references.
func plain(s string) (string, string) {
	if strings.IndexByte(s, '<') >= 0 {
		return "", "< in a value"
	}
	if strings.IndexByte(s, '&') < 0 {
		return s, ""
	}
	var b strings.Builder
	for {
		before, after, more := strings.Cut(s, "&")
		b.WriteString(before)
		if !more {
			return b.String(), ""
		}
		ref, rest, ok := strings.Cut(after, ";")
		if !ok {
			return "", "& without ;"
		}
		if e, named := entities[ref]; named {
			b.WriteString(e)
		} else if r, ok := numbered(ref); ok {
			b.WriteRune(r)
		} else {
			return "", "an unknown entity"
		}
		s = rest
	}
}

// numbered reads #65 or #x41: a character of XML 1.0 (2.2).
func numbered(ref string) (rune, bool) {
	digits, ok := strings.CutPrefix(ref, "#")
	base := 10
	if hex, x := strings.CutPrefix(digits, "x"); x {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	if !ok || err != nil {
		return 0, false
	}
	r := rune(n)
	return r, r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && utf8.ValidRune(r) && r != 0xFFFE && r != 0xFFFF
}
