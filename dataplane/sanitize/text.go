package sanitize

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// previewChars is the length of a text preview, in characters.
const previewChars = 4000

// text rebuilds plain text and CSV: every character is decoded and written again in its own code; controls and hidden
// characters stay behind; line endings, byte order mark and encoding stay as they were.
func (j *job) text(csv bool) (result, error) {
	t, err := readText(j.in)
	if err != nil {
		return result{}, err
	}
	clean, err := j.dropControls(t)
	if err != nil {
		return result{}, err
	}
	res := result{original: &verdict.Preview{Text: excerpt(t.body, t.set)}}
	if csv {
		if clean, err = j.neutralize(clean, t.set); err != nil {
			return result{}, err
		}
	}
	res.result = &verdict.Preview{Text: excerpt(clean, t.set)}
	res.body = t.encode(clean)
	return res, nil
}

// plainText is decoded text: body in set, and how to write it again.
type plainText struct {
	set    charset
	body   []byte
	encode func([]byte) []byte
}

var (
	markUTF8  = []byte("\xEF\xBB\xBF")
	markUTF16 = map[string]interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}{"\xFF\xFE": binary.LittleEndian, "\xFE\xFF": binary.BigEndian}
)

// readText decides the encoding: a byte order mark, else UTF-8 when all of it is valid, else CP932. Text that is neither is
// refused at its first bad byte.
func readText(in []byte) (plainText, error) {
	if bytes.HasPrefix(in, []byte("\xFF\xFE\x00\x00")) || bytes.HasPrefix(in, []byte("\x00\x00\xFE\xFF")) {
		return plainText{}, refuse("text.encoding", "", "UTF-32")
	}
	if len(in) >= 2 {
		if order, ok := markUTF16[string(in[:2])]; ok {
			body, at, ok := fromUTF16(in[2:], order)
			if !ok {
				return plainText{}, refuse("text.invalid", fmt.Sprintf("byte %d", at+3), "UTF-16")
			}
			if bytes.IndexByte(body, 0) >= 0 {
				return plainText{}, refuse("text.binary", "", "")
			}
			mark := in[:2]
			return plainText{set: utf8Set, body: body, encode: func(b []byte) []byte {
				return append(bytes.Clone(mark), toUTF16(b, order)...)
			}}, nil
		}
	}
	if bytes.IndexByte(in, 0) >= 0 {
		return plainText{}, refuse("text.binary", "", "")
	}
	if body, marked := bytes.CutPrefix(in, markUTF8); marked {
		if at := firstInvalid(body, utf8Set); at >= 0 {
			return plainText{}, refuse("text.invalid", lineOf(body, at), "UTF-8")
		}
		return plainText{set: utf8Set, body: body, encode: func(b []byte) []byte { return append(bytes.Clone(markUTF8), b...) }}, nil
	}
	same := func(b []byte) []byte { return b }
	if utf8.Valid(in) {
		if bytes.Contains(in, []byte("\x1B$")) {
			return plainText{}, refuse("text.encoding", "", "ISO-2022-JP")
		}
		return plainText{set: utf8Set, body: in, encode: same}, nil
	}
	if at := firstInvalid(in, cp932Set); at >= 0 {
		return plainText{}, refuse("text.invalid", lineOf(in, at), fmt.Sprintf("0x%02X", in[at]))
	}
	return plainText{set: cp932Set, body: in, encode: same}, nil
}

// firstInvalid is the offset of the first byte that is no character of the set, or -1.
func firstInvalid(b []byte, set charset) int {
	for i := 0; i < len(b); {
		_, n := set.next(b[i:])
		if n == 0 {
			return i
		}
		i += n
	}
	return -1
}

func lineOf(b []byte, at int) string {
	return fmt.Sprintf("L%d", 1+bytes.Count(b[:at], []byte("\n")))
}

// dropControls writes the text again without control and hidden characters. A file that is largely controls is no text.
func (j *job) dropControls(t plainText) ([]byte, error) {
	out := make([]byte, 0, len(t.body))
	controls, line := 0, 1
	for i := 0; i < len(t.body); {
		r, n := t.set.next(t.body[i:])
		if n == 0 {
			return nil, refuse("text.invalid", lineOf(t.body, i), "")
		}
		code := ""
		switch {
		case r == '\n':
			line++
			if line&0xFFF == 0 && j.ctx.Err() != nil {
				return nil, j.ctx.Err()
			}
		case r == '\t', r == '\r':
		case r < 0x20, r == 0x7F:
			controls++
			code = "text.control"
		case hidden(r):
			code = "text.hidden"
		}
		if code == "" {
			out = append(out, t.body[i:i+n]...)
		} else {
			j.found.first(code, fmt.Sprintf("L%d", line), verdict.Removed, fmt.Sprintf("U+%04X", r))
		}
		i += n
	}
	if controls > 16 && controls*10 > len(t.body) {
		return nil, refuse("text.binary", "", "")
	}
	return out, nil
}

// first counts a finding that can come once a character: only its first place is kept.
func (f *findings) first(code, place string, action verdict.Action, detail string) {
	for i := range f.list {
		if f.list[i].Code == code && f.list[i].Action == action {
			f.list[i].Count++
			return
		}
	}
	f.add(code, place, action, detail)
}

// excerpt is the beginning of the text as Unicode, for a person to look at. Controls become visible pictures.
func excerpt(b []byte, set charset) string {
	out := make([]byte, 0, previewChars)
	for count := 0; len(b) > 0 && count < previewChars; count++ {
		r, n := set.next(b)
		if n == 0 {
			break
		}
		b = b[n:]
		out = utf8.AppendRune(out, visible(r))
	}
	return string(out)
}

func visible(r rune) rune {
	switch {
	case r == '\n', r == '\t', r == '\r':
		return r
	case r < 0x20:
		return 0x2400 + r // control pictures
	case r == 0x7F, hidden(r):
		return '␣'
	}
	return r
}
