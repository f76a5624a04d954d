package mail

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// Bounds of a mail's structure.
const (
	maxHeader = 1 << 20 // bytes of one part's headers
	maxFields = 2000
	maxParts  = 2000
	maxDepth  = 30 // of multiparts in multiparts
)

// field is one header, unfolded, as it was written.
type field struct{ name, value string } // name in lower case

type part struct {
	fields []field
	body   []byte
}

// get is the first header of the name.
func (p part) get(name string) string {
	for _, f := range p.fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// split takes headers and body apart (RFC 5322, 2.1). A line that is no header is skipped; white space before a colon is allowed.
func split(in []byte) part {
	var p part
	at := 0
	for at < len(in) && at < maxHeader && len(p.fields) < maxFields {
		end, next := len(in), len(in)
		if i := bytes.IndexByte(in[at:], '\n'); i >= 0 {
			end, next = at+i, at+i+1
		}
		line := bytes.TrimSuffix(in[at:end], []byte("\r"))
		at = next
		if len(line) == 0 {
			p.body = in[at:]
			return p
		}
		if line[0] == ' ' || line[0] == '\t' {
			if n := len(p.fields); n > 0 {
				p.fields[n-1].value += " " + strings.TrimLeft(string(line), " \t")
			}
			continue
		}
		name, value, ok := strings.Cut(string(line), ":")
		if name = strings.ToLower(strings.TrimRight(name, " \t")); ok && token(name) {
			p.fields = append(p.fields, field{name, strings.TrimLeft(value, " \t")})
		}
	}
	p.body = in[at:]
	return p
}

// token tells a header's name: visible ASCII without a space.
func token(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F {
			return false
		}
	}
	return s != ""
}

// children takes a multipart apart at its boundary (RFC 2046, 5.1.1). What stands before the first and behind the last is for
// programs that know no multiparts.
func children(in []byte, boundary string) [][]byte {
	var parts [][]byte
	delimiter, start := []byte("--"+boundary), -1
	for at := 0; at < len(in) && len(parts) < maxParts; {
		end := len(in)
		if i := bytes.IndexByte(in[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := bytes.TrimRight(in[at:end], " \t\r\n")
		rest, is := bytes.CutPrefix(line, delimiter)
		if is && (len(rest) == 0 || string(rest) == "--") {
			if start >= 0 {
				parts = append(parts, bytes.TrimSuffix(bytes.TrimSuffix(in[start:at], []byte("\n")), []byte("\r")))
			}
			if start = end; len(rest) > 0 {
				return parts
			}
		}
		at = end
	}
	if start >= 0 && start < len(in) {
		parts = append(parts, in[start:])
	}
	return parts
}

// content is the body without its transfer encoding (RFC 2045, 6). What breaks the encoding is skipped.
func (p part) content() []byte {
	switch strings.ToLower(strings.TrimSpace(p.get("content-transfer-encoding"))) {
	case "base64":
		return unbase64(p.body)
	case "quoted-printable":
		return unquote(p.body, false)
	}
	return p.body
}

// unbase64 decodes what belongs to the alphabet, also of several pieces that were padded each.
func unbase64(in []byte) []byte {
	out := make([]byte, 0, len(in)*3/4)
	var group [4]byte
	n := 0
	flush := func() {
		var b [3]byte
		if k, err := base64.RawStdEncoding.Decode(b[:], group[:n]); err == nil {
			out = append(out, b[:k]...)
		}
		n = 0
	}
	for _, c := range in {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/':
			group[n] = c
			if n++; n == 4 {
				flush()
			}
		case c == '=' && n > 0:
			flush()
		}
	}
	if n > 1 {
		flush()
	}
	return out
}

// unquote decodes quoted-printable; in a header _ is a space.
func unquote(in []byte, header bool) []byte {
	out := make([]byte, 0, len(in))
	hex := func(c byte) int { return strings.IndexByte("0123456789ABCDEF", bytes.ToUpper([]byte{c})[0]) }
	for i := 0; i < len(in); i++ {
		switch c := in[i]; {
		case c == '_' && header:
			out = append(out, ' ')
		case c != '=':
			out = append(out, c)
		case i+2 < len(in) && hex(in[i+1]) >= 0 && hex(in[i+2]) >= 0:
			out = append(out, byte(hex(in[i+1])<<4|hex(in[i+2])))
			i += 2
		default: // a soft line end, with or without blanks
			k := i + 1
			for k < len(in) && (in[k] == ' ' || in[k] == '\t' || in[k] == '\r') {
				k++
			}
			if k < len(in) && in[k] == '\n' {
				i = k
			} else {
				out = append(out, c)
			}
		}
	}
	return out
}
