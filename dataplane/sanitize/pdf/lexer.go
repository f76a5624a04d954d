package pdf

import (
	"bytes"
	"errors"
)

// A token of a content stream, a CMap or a function.
type token struct {
	kind tokenKind
	v    value  // of a number, name, string
	word string // of an operator
}

type tokenKind byte

const (
	tokEnd tokenKind = iota
	tokValue
	tokOpen      // [
	tokClose     // ]
	tokDict      // <<
	tokDictEnd   // >>
	tokBrace     // {
	tokBraceEnd  // }
	tokWord      // operator or keyword
	maxTokenSize = 1 << 20
)

// errGrammar says that bytes are no tokens: nobody can tell what a reader makes of them.
var errGrammar = errors.New("breaks the grammar")

type lexer struct {
	b  []byte
	at int
}

func space(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func delimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

func (l *lexer) next() (token, error) {
	for l.at < len(l.b) {
		c := l.b[l.at]
		switch {
		case space(c):
			l.at++
			continue
		case c == '%':
			for l.at < len(l.b) && l.b[l.at] != '\n' && l.b[l.at] != '\r' {
				l.at++
			}
			continue
		}
		break
	}
	if l.at >= len(l.b) {
		return token{}, nil
	}
	c := l.b[l.at]
	l.at++
	two := l.at < len(l.b) && l.b[l.at] == c
	switch c {
	case '[':
		return token{kind: tokOpen}, nil
	case ']':
		return token{kind: tokClose}, nil
	case '{':
		return token{kind: tokBrace}, nil
	case '}':
		return token{kind: tokBraceEnd}, nil
	case '(':
		return l.literal()
	case '<':
		if two {
			l.at++
			return token{kind: tokDict}, nil
		}
		return l.hex()
	case '>':
		if two {
			l.at++
			return token{kind: tokDictEnd}, nil
		}
		return token{}, errGrammar
	case '/':
		return token{kind: tokValue, v: l.name()}, nil
	case ')':
		return token{}, errGrammar
	}
	start := l.at - 1
	for l.at < len(l.b) && !space(l.b[l.at]) && !delimiter(l.b[l.at]) {
		l.at++
	}
	word := l.b[start:l.at]
	if c == '+' || c == '-' || c == '.' || c >= '0' && c <= '9' {
		if n := plainNumber(string(word)); n != "" {
			return token{kind: tokValue, v: n}, nil
		}
	}
	if len(word) > 127 {
		return token{}, errGrammar
	}
	return token{kind: tokWord, word: string(word)}, nil
}

func (l *lexer) name() name {
	start := l.at
	for l.at < len(l.b) && !space(l.b[l.at]) && !delimiter(l.b[l.at]) {
		l.at++
	}
	raw := l.b[start:l.at]
	if bytes.IndexByte(raw, '#') < 0 {
		return plainName(name(raw))
	}
	n, _ := nameOf("n:/" + string(raw))
	return n
}

// literal stands behind "(".
func (l *lexer) literal() (token, error) {
	var out []byte
	for depth := 1; l.at < len(l.b); {
		c := l.b[l.at]
		l.at++
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return token{kind: tokValue, v: text(out)}, nil
			}
		case '\r': // any end of line is one line feed
			if l.at < len(l.b) && l.b[l.at] == '\n' {
				l.at++
			}
			c = '\n'
		case '\\':
			if l.at >= len(l.b) {
				return token{}, errGrammar
			}
			c = l.b[l.at]
			l.at++
			switch c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case '\r':
				if l.at < len(l.b) && l.b[l.at] == '\n' {
					l.at++
				}
				continue
			case '\n':
				continue
			case '0', '1', '2', '3', '4', '5', '6', '7':
				o := int(c - '0')
				for range 2 {
					if l.at < len(l.b) && l.b[l.at] >= '0' && l.b[l.at] <= '7' {
						o = o<<3 | int(l.b[l.at]-'0')
						l.at++
					} else {
						break
					}
				}
				c = byte(o)
			}
		}
		if out = append(out, c); len(out) > maxTokenSize {
			return token{}, errGrammar
		}
	}
	return token{}, errGrammar
}

// hex stands behind "<".
func (l *lexer) hex() (token, error) {
	var out []byte
	half, digit := byte(0), false
	for ; l.at < len(l.b); l.at++ {
		c := l.b[l.at]
		var d byte
		switch {
		case c == '>':
			if digit {
				out = append(out, half)
			}
			l.at++
			return token{kind: tokValue, v: text(out)}, nil
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'a' && c <= 'f':
			d = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			d = c - 'A' + 10
		case space(c):
			continue
		default:
			return token{}, errGrammar
		}
		if digit {
			out = append(out, half|d)
		} else {
			half = d << 4
		}
		if digit = !digit; len(out) > maxTokenSize {
			return token{}, errGrammar
		}
	}
	return token{}, errGrammar
}

// composite reads what begins with an opening token.
func (l *lexer) composite(t token, depth int) (value, error) {
	if depth > 20 {
		return nil, errGrammar
	}
	switch t.kind {
	case tokValue:
		return t.v, nil
	case tokWord:
		switch t.word {
		case "true", "false":
			return t.word == "true", nil
		case "null":
			return nil, nil
		}
		return nil, errGrammar
	case tokOpen:
		a := array{}
		for {
			t, err := l.next()
			if err != nil {
				return nil, err
			}
			if t.kind == tokClose {
				return a, nil
			}
			v, err := l.composite(t, depth+1)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
	case tokDict:
		return l.dict(tokDictEnd, "", depth)
	}
	return nil, errGrammar
}

// dict reads keys and values up to the token, or to the word where one is given.
func (l *lexer) dict(end tokenKind, word string, depth int) (dict, error) {
	d := dict{}
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		if t.kind == end && t.word == word {
			return d, nil
		}
		k, ok := t.v.(name)
		if !ok {
			return nil, errGrammar
		}
		if t, err = l.next(); err != nil {
			return nil, err
		}
		v, err := l.composite(t, depth+1)
		if err != nil {
			return nil, err
		}
		d[k] = v
	}
}

const hexDigits = "0123456789ABCDEF"

// appendValue spells a value as a content stream has it.
func appendValue(b []byte, v value) []byte {
	switch v := v.(type) {
	case bool:
		if v {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case number:
		return append(b, v...)
	case name:
		return append(append(b, '/'), v...)
	case text:
		return appendString(b, v)
	case array:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ' ')
			}
			b = appendValue(b, e)
		}
		return append(b, ']')
	case dict:
		b = append(b, "<<"...)
		for _, k := range v.keys() {
			b = append(append(append(b, '/'), k...), ' ')
			b = append(appendValue(b, v[k]), ' ')
		}
		return append(b, ">>"...)
	}
	return append(b, "null"...)
}

// appendString writes a string of letters as letters, any other in hexadecimal.
func appendString(b []byte, s text) []byte {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] >= 0x20 && s[i] < 0x7F
	}
	if plain {
		b = append(b, '(')
		for i := range len(s) {
			if s[i] == '(' || s[i] == ')' || s[i] == '\\' {
				b = append(b, '\\')
			}
			b = append(b, s[i])
		}
		return append(b, ')')
	}
	b = append(b, '<')
	for i := range len(s) {
		b = append(b, hexDigits[s[i]>>4], hexDigits[s[i]&15])
	}
	return append(b, '>')
}
