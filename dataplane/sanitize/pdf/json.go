package pdf

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// document is what qpdf read: objects by number, and the trailer.
type document struct {
	objects map[ref]*object
	trailer dict
}

// Bounds of a document. A page of a map has some thousand objects, a register of residents some hundred thousand.
const (
	maxObjects = 2_000_000
	maxDepth   = 100 // arrays and dictionaries in each other
	maxValues  = 40_000_000
)

var errJSON = errors.New("not the JSON that qpdf writes")

// errDeep is told apart: it is the document's fault.
var errDeep = errors.New("nested too deep")

// read takes qpdf JSON version 2 with streams inline (qpdf manual, "qpdf JSON"). It reads this one shape of JSON and nothing else:
// streams are most of it, and they go from base64 to bytes without a copy in between.
func read(ctx context.Context, in []byte) (*document, error) {
	r := &reader{ctx: ctx, in: in}
	doc := &document{objects: map[ref]*object{}}
	err := r.members(func(key string) error {
		if key != "qpdf" {
			_, err := r.value(0)
			return err
		}
		return r.elements(func(i int) error {
			if i == 0 {
				_, err := r.value(0) // version and counts
				return err
			}
			return r.members(func(key string) error { return r.object(doc, key) })
		})
	})
	r.space()
	switch {
	case err != nil:
		return nil, err
	case r.at != len(in):
		return nil, fmt.Errorf("byte %d: %w", r.at, errJSON)
	case doc.trailer == nil:
		return nil, fmt.Errorf("no trailer: %w", errJSON)
	}
	return doc, nil
}

type reader struct {
	ctx    context.Context
	in     []byte
	at     int
	values int
}

func (r *reader) object(doc *document, key string) error {
	o := &object{}
	err := r.members(func(k string) (err error) {
		switch k {
		case "value":
			o.v, err = r.value(0)
		case "stream":
			o.stream = true
			err = r.members(func(k string) (err error) {
				switch k {
				case "data":
					o.data, err = r.base64()
				case "dict":
					o.v, err = r.value(0)
				default:
					_, err = r.value(0)
				}
				return err
			})
		default:
			_, err = r.value(0)
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, ok := o.v.(dict); o.stream && !ok {
		return errJSON
	}
	if key == "trailer" {
		doc.trailer = o.dict()
		return nil
	}
	n, ok := reference(strings.TrimPrefix(key, "obj:"))
	if !ok || len(doc.objects) >= maxObjects {
		return fmt.Errorf("object %.20q of %d: %w", key, len(doc.objects), errJSON)
	}
	doc.objects[n] = o
	return r.ctx.Err()
}

func (r *reader) space() {
	for r.at < len(r.in) && (r.in[r.at] == ' ' || r.in[r.at] == '\n' || r.in[r.at] == '\r' || r.in[r.at] == '\t') {
		r.at++
	}
}

// accept takes the character when it is next.
func (r *reader) accept(c byte) bool {
	r.space()
	if r.at < len(r.in) && r.in[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *reader) fail() error { return fmt.Errorf("byte %d: %w", r.at, errJSON) }

func (r *reader) members(each func(key string) error) error {
	if !r.accept('{') {
		return r.fail()
	}
	if r.accept('}') {
		return nil
	}
	for {
		key, err := r.string()
		if err != nil {
			return err
		}
		if !r.accept(':') {
			return r.fail()
		}
		if err := each(key); err != nil {
			return err
		}
		if r.accept('}') {
			return nil
		}
		if !r.accept(',') {
			return r.fail()
		}
	}
}

func (r *reader) elements(each func(i int) error) error {
	if !r.accept('[') {
		return r.fail()
	}
	if r.accept(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := each(i); err != nil {
			return err
		}
		if r.accept(']') {
			return nil
		}
		if !r.accept(',') {
			return r.fail()
		}
	}
}

func (r *reader) base64() ([]byte, error) {
	if !r.accept('"') {
		return nil, r.fail()
	}
	end := bytes.IndexByte(r.in[r.at:], '"')
	if end < 0 {
		return nil, r.fail()
	}
	src := r.in[r.at : r.at+end]
	out := make([]byte, base64.StdEncoding.DecodedLen(len(src)))
	n, err := base64.StdEncoding.Decode(out, src)
	if err != nil {
		return nil, r.fail()
	}
	r.at += end + 1
	return out[:n], nil
}

func (r *reader) string() (string, error) {
	if !r.accept('"') {
		return "", r.fail()
	}
	var b []byte
	for start := r.at; r.at < len(r.in); r.at++ {
		switch r.in[r.at] {
		case '"':
			b = append(b, r.in[start:r.at]...)
			r.at++
			return string(b), nil
		case '\\':
			b = append(b, r.in[start:r.at]...)
			var err error
			if b, err = r.escape(b); err != nil {
				return "", err
			}
			start = r.at + 1
		}
	}
	return "", r.fail()
}

// escape stands on a backslash and ends on the escape's last character.
func (r *reader) escape(b []byte) ([]byte, error) {
	r.at++
	if r.at >= len(r.in) {
		return nil, r.fail()
	}
	switch c := r.in[r.at]; c {
	case '"', '\\', '/':
		return append(b, c), nil
	case 'b':
		return append(b, '\b'), nil
	case 'f':
		return append(b, '\f'), nil
	case 'n':
		return append(b, '\n'), nil
	case 'r':
		return append(b, '\r'), nil
	case 't':
		return append(b, '\t'), nil
	case 'u':
		u, ok := r.unit(r.at + 1)
		if !ok {
			return nil, r.fail()
		}
		r.at += 4
		if utf16.IsSurrogate(u) {
			if low, ok := r.unit(r.at + 3); ok && r.in[r.at+1] == '\\' && r.in[r.at+2] == 'u' {
				u = utf16.DecodeRune(u, low)
				r.at += 6
			}
		}
		return utf8.AppendRune(b, u), nil
	}
	return nil, r.fail()
}

func (r *reader) unit(at int) (rune, bool) {
	if at+4 > len(r.in) {
		return 0, false
	}
	u, err := strconv.ParseUint(string(r.in[at:at+4]), 16, 32)
	return rune(u), err == nil
}

func (r *reader) value(depth int) (value, error) {
	if r.values++; depth > maxDepth || r.values > maxValues {
		return nil, errDeep
	}
	r.space()
	if r.at >= len(r.in) {
		return nil, r.fail()
	}
	switch c := r.in[r.at]; {
	case c == '{':
		d := dict{}
		err := r.members(func(key string) error {
			v, err := r.value(depth + 1)
			if n, ok := nameOf(key); ok && v != nil {
				d[n] = v
			}
			return err
		})
		return d, err
	case c == '[':
		a := array{}
		err := r.elements(func(int) error {
			v, err := r.value(depth + 1)
			a = append(a, v)
			return err
		})
		return a, err
	case c == '"':
		s, err := r.string()
		if err != nil {
			return nil, err
		}
		return atom(s), nil
	case c == '-' || c >= '0' && c <= '9':
		start := r.at
		for r.at < len(r.in) && (r.in[r.at] == '-' || r.in[r.at] == '+' || r.in[r.at] == '.' || r.in[r.at] == 'e' || r.in[r.at] == 'E' || r.in[r.at] >= '0' && r.in[r.at] <= '9') {
			r.at++
		}
		if n := plainNumber(string(r.in[start:r.at])); n != "" {
			return n, nil
		}
		return nil, nil
	}
	for word, v := range map[string]value{"null": nil, "true": true, "false": false} {
		if bytes.HasPrefix(r.in[r.at:], []byte(word)) {
			r.at += len(word)
			return v, nil
		}
	}
	return nil, r.fail()
}

// atom tells what a JSON string stands for; what it cannot be is null, as for a reader of the PDF.
func atom(s string) value {
	if n, ok := nameOf(s); ok {
		return n
	}
	if u, ok := strings.CutPrefix(s, "u:"); ok {
		return encodeText(u)
	}
	if h, ok := strings.CutPrefix(s, "b:"); ok {
		if b, err := hex.DecodeString(h); err == nil {
			return text(b)
		}
	}
	if n, ok := reference(s); ok {
		return n
	}
	return nil
}

func nameOf(s string) (name, bool) {
	if n, ok := strings.CutPrefix(s, "n:/"); ok { // spelled as in a PDF, #xx for any byte
		var b []byte
		for i := 0; i < len(n); i++ {
			if n[i] == '#' && i+2 < len(n) {
				if v, err := strconv.ParseUint(n[i+1:i+3], 16, 8); err == nil {
					b = append(b, byte(v))
					i += 2
					continue
				}
			}
			b = append(b, n[i])
		}
		return plainName(name(b)), true
	}
	n, ok := strings.CutPrefix(s, "/")
	return plainName(name(n)), ok
}

// reference reads "12 0 R".
func reference(s string) (ref, bool) {
	num, rest, _ := strings.Cut(s, " ")
	_, end, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(num)
	return ref(n), err == nil && n > 0 && end == "R"
}

// docEncoding are the characters that PDFDocEncoding has at 0x18 to 0x1F and from 0x80 on (ISO 32000-2, D.2).
var docEncoding = func() map[rune]byte {
	m := map[rune]byte{'€': 0xA0}
	for i, r := range []rune("˘ˇˆ˙˝˛˚˜") {
		m[r] = 0x18 + byte(i)
	}
	for i, r := range []rune("•†‡…—–ƒ⁄‹›−‰„“”‘’‚™ﬁﬂŁŒŠŸŽıłœšž") {
		m[r] = 0x80 + byte(i)
	}
	return m
}()

// encodeText makes the bytes that qpdf called a text: it does so only for those that PDFDocEncoding or UTF-16 give back.
func encodeText(s string) text {
	var b []byte
	for _, r := range s {
		d, known := docEncoding[r]
		switch {
		case known:
			b = append(b, d)
		case r < 0x18 || r >= 0x20 && r <= 0x7F || r > 0xA0 && r <= 0xFF:
			b = append(b, byte(r))
		default:
			return unicodeText(s)
		}
	}
	return text(b)
}

// unicodeText makes a text string of UTF-16 with its mark (ISO 32000-2, 7.9.2).
func unicodeText(s string) text {
	b := []byte("\xFE\xFF")
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return text(b)
}

// decodeText reads a text string; what is neither UTF-16 nor UTF-8 is read as Latin-1.
func decodeText(t text) string {
	if b, ok := strings.CutPrefix(string(t), "\xFE\xFF"); ok {
		var u []uint16
		for i := 0; i+1 < len(b); i += 2 {
			u = append(u, uint16(b[i])<<8|uint16(b[i+1]))
		}
		return string(utf16.Decode(u))
	}
	if b, ok := strings.CutPrefix(string(t), "\xEF\xBB\xBF"); ok {
		return b
	}
	var b strings.Builder
	for i := range len(t) {
		b.WriteRune(rune(t[i]))
	}
	return b.String()
}
