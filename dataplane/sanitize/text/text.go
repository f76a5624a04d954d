// Package text rebuilds text and tables as text.
//
// Problem: a text file says in no byte how it is to be read, hides characters that steer screens and readers, and becomes a program
// where a spreadsheet takes a cell for a formula. Mechanism: the encoding is decided once, each character is decoded and written
// again in its own code, and what no reader sees stays behind; cells are read in every way in which programs read them. Life cycle:
// one call of Plain or Table for one file. Invariant: what was not removed or marked on purpose is the same bytes.
package text

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Plain rebuilds plain text: every character is decoded and written again in its own code; controls and hidden
// characters stay behind; line endings, byte order mark and encoding stay as they were.
func Plain(j *rebuild.Job) (rebuild.Result, error) { return textOf(j, false) }

// Table rebuilds CSV and TSV.
func Table(j *rebuild.Job) (rebuild.Result, error) { return textOf(j, true) }

func textOf(j *rebuild.Job, csv bool) (rebuild.Result, error) {
	t, err := readText(j.In)
	if err != nil {
		return rebuild.Result{}, err
	}
	clean, err := dropControls(j, t)
	if err != nil {
		return rebuild.Result{}, err
	}
	res := rebuild.Result{Original: &verdict.Preview{Text: excerpt(t.body, t.set)}}
	if csv {
		if clean, err = neutralize(j, clean, t.set); err != nil {
			return rebuild.Result{}, err
		}
	}
	res.Result = &verdict.Preview{Text: excerpt(clean, t.set)}
	res.Body = t.encode(clean)
	return res, nil
}

// decoded is text: body in set, and how to write it again.
type decoded struct {
	set    charset.Set
	body   []byte
	encode func([]byte) []byte
}

// readText decides the encoding: a byte order mark, else UTF-8 when all of it is valid, else CP932. Text that is neither is
// refused at its first bad byte.
func readText(in []byte) (decoded, error) {
	if bytes.HasPrefix(in, []byte("\xFF\xFE\x00\x00")) || bytes.HasPrefix(in, []byte("\x00\x00\xFE\xFF")) {
		return decoded{}, rebuild.Refuse("text.encoding", "", "UTF-32")
	}
	if len(in) >= 2 {
		if order, ok := charset.MarkUTF16[string(in[:2])]; ok {
			body, at, ok := charset.FromUTF16(in[2:], order)
			if !ok {
				return decoded{}, rebuild.Refuse("text.invalid", fmt.Sprintf("byte %d", at+3), "UTF-16")
			}
			if bytes.IndexByte(body, 0) >= 0 {
				return decoded{}, rebuild.Refuse("text.binary", "", "")
			}
			mark := in[:2]
			return decoded{set: charset.UTF8, body: body, encode: func(b []byte) []byte {
				return append(bytes.Clone(mark), charset.ToUTF16(b, order)...)
			}}, nil
		}
	}
	if bytes.IndexByte(in, 0) >= 0 {
		return decoded{}, rebuild.Refuse("text.binary", "", "")
	}
	if body, marked := bytes.CutPrefix(in, charset.MarkUTF8); marked {
		if at := firstInvalid(body, charset.UTF8); at >= 0 {
			return decoded{}, rebuild.Refuse("text.invalid", lineOf(body, at), "UTF-8")
		}
		return decoded{set: charset.UTF8, body: body, encode: func(b []byte) []byte { return append(bytes.Clone(charset.MarkUTF8), b...) }}, nil
	}
	same := func(b []byte) []byte { return b }
	if utf8.Valid(in) {
		if bytes.Contains(in, []byte("\x1B$")) {
			return decoded{}, rebuild.Refuse("text.encoding", "", "ISO-2022-JP")
		}
		return decoded{set: charset.UTF8, body: in, encode: same}, nil
	}
	if at := firstInvalid(in, charset.CP932); at >= 0 {
		return decoded{}, rebuild.Refuse("text.invalid", lineOf(in, at), fmt.Sprintf("0x%02X", in[at]))
	}
	return decoded{set: charset.CP932, body: in, encode: same}, nil
}

// firstInvalid is the offset of the first byte that is no character of the set, or -1.
func firstInvalid(b []byte, set charset.Set) int {
	for i := 0; i < len(b); {
		_, n := set.Next(b[i:])
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
func dropControls(j *rebuild.Job, t decoded) ([]byte, error) {
	out := make([]byte, 0, len(t.body))
	controls, line := 0, 1
	for i := 0; i < len(t.body); {
		r, n := t.set.Next(t.body[i:])
		if n == 0 {
			return nil, rebuild.Refuse("text.invalid", lineOf(t.body, i), "")
		}
		code := ""
		switch {
		case r == '\n':
			line++
			if line&0xFFF == 0 && j.Ctx.Err() != nil {
				return nil, j.Ctx.Err()
			}
		case r == '\t', r == '\r':
		case r < 0x20, r == 0x7F:
			controls++
			code = "text.control"
		case charset.Hidden(r):
			code = "text.hidden"
		}
		if code == "" {
			out = append(out, t.body[i:i+n]...)
		} else {
			j.Found.First(code, fmt.Sprintf("L%d", line), verdict.Removed, fmt.Sprintf("U+%04X", r))
		}
		i += n
	}
	if controls > 16 && controls*10 > len(t.body) {
		return nil, rebuild.Refuse("text.binary", "", "")
	}
	return out, nil
}

// excerpt is the beginning of the text as Unicode, for a person to look at.
func excerpt(b []byte, set charset.Set) string {
	var e rebuild.Excerpt
	for len(b) > 0 && !e.Full() {
		r, n := set.Next(b)
		if n == 0 {
			break
		}
		b = b[n:]
		e.Add(r)
	}
	return e.String()
}
