package markup

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

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
			return rebuild.Refuse("xml.dtd", "", "&"+string(b[:end])+";")
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

// Unescape answers the characters that text or an attribute value stands for.
func Unescape(b []byte) []byte {
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

// Escape makes characters fit for text and for a value in double quotes.
func Escape(b []byte) []byte {
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
