package archive

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

const block = 512

// checkTar accepts POSIX tar with plain files and folders, one header each or one with a longer path in front, no owners, no links, and
// zeros between and behind.
func checkTar(f *rule.File) error {
	in, places, members := f.In, newTree(), 0
	for {
		h, body, rest, err := nextHeader(in)
		if err != nil {
			return err
		}
		if h == nil {
			if members == 0 || len(in) != 2*block || len(bytes.Trim(in, "\x00")) != 0 {
				return rule.Refuse(codeLayout, "", "end of %d bytes behind %d members", len(in), members)
			}
			return nil
		}
		if members++; members > maxMembers {
			return rule.Refuse(codeLimit, "", "members")
		}
		if h.kind == 'x' {
			long, err := longPath(body)
			if err != nil {
				return err
			}
			if h, body, rest, err = nextHeader(rest); err != nil {
				return err
			} else if h == nil {
				return rule.Refuse(codeLayout, long, "no member behind its path")
			}
			h.name = long
		}
		folder := strings.HasSuffix(h.name, "/")
		switch {
		case h.kind == '0' && !folder && h.mode == 0o644:
		case h.kind == '5' && folder && len(body) == 0 && h.mode == 0o755:
		default:
			return rule.Refuse(codeLayout, h.name, "type %q, mode %o", h.kind, h.mode)
		}
		if !utf8.ValidString(h.name) {
			return rule.Refuse(codeMember, "", "name is not UTF-8")
		}
		if err := places.add(h.name); err != nil {
			return err
		}
		if !folder {
			if err := nested(f, h.name, body); err != nil {
				return err
			}
		}
		in = rest
	}
}

type tarHeader struct {
	name string
	kind byte
	mode int
}

// nextHeader answers nil at the end.
func nextHeader(in []byte) (h *tarHeader, body, rest []byte, err error) {
	no := func(format string, args ...any) (*tarHeader, []byte, []byte, error) {
		return nil, nil, nil, rule.Refuse(codeLayout, "", format, args...)
	}
	if len(in) < block {
		return no("header is cut off")
	}
	b := in[:block]
	if b[0] == 0 {
		return nil, nil, nil, nil
	}
	sum := 0
	for i, c := range b {
		if 148 <= i && i < 156 {
			c = ' '
		}
		sum += int(c)
	}
	if string(b[148:156]) != fmt.Sprintf("%06o\x00 ", sum) {
		return no("header checksum")
	}
	name, ok1 := padded(b[:100])
	prefix, ok2 := padded(b[345:500])
	mode, ok3 := octal(b[100:108])
	size, ok4 := octal(b[124:136])
	_, ok5 := octal(b[136:148])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || string(b[257:265]) != "ustar\x0000" {
		return no("header fields")
	}
	// link name, owner, group, their names, devices and the end of the block hold nothing
	for _, field := range [][]byte{b[108:124], b[157:257], b[265:345], b[500:]} {
		if len(bytes.Trim(field, "0\x00")) != 0 {
			return no("header with owner, link or device")
		}
	}
	if prefix != "" {
		name = prefix + "/" + name
	}
	data := (size + block - 1) / block * block
	if data > len(in)-block || len(bytes.Trim(in[block+size:block+data], "\x00")) != 0 {
		return no("data is cut off, or padded with something")
	}
	return &tarHeader{name, b[156], mode}, in[block : block+size], in[block+data:], nil
}

// padded is text that fills its field with zeros.
func padded(b []byte) (string, bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return string(b), true
	}
	return string(b[:i]), len(bytes.Trim(b[i:], "\x00")) == 0
}

// octal is digits up to a zero that ends the field.
func octal(b []byte) (int, bool) {
	s, ok := padded(b)
	if !ok || len(s) != len(b)-1 {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 8, 40)
	return int(v), err == nil
}

// longPath reads a pax header that holds a path and nothing else: its length, "path", the path, a line end.
func longPath(b []byte) (string, error) {
	length, record, _ := strings.Cut(string(b), " ")
	p, ok := strings.CutPrefix(record, "path=")
	p, end := strings.CutSuffix(p, "\n")
	if !ok || !end || length != strconv.Itoa(len(b)) || strings.Contains(p, "\n") {
		return "", rule.Refuse(codeLayout, "", "pax header holds more than a path")
	}
	return p, nil
}
