// Package text rebuilds text and tables as text.
//
// Problem: a text file says in no byte how it is to be read, hides characters that steer screens and readers, and becomes a program
// where a spreadsheet takes a cell for a formula. Mechanism: the encoding is decided once, each character is decoded and written
// again in its own code, and what no reader sees stays behind; cells are read in every way in which programs read them. Life cycle:
// one call of Plain or Table for one file. Invariant: what was not removed or marked on purpose is the same bytes.
package text

import (
	"bytes"
	"encoding/binary"
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
	t, err := Read(j.In, "")
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
	if err := tell(j, clean, t.set, csv); err != nil {
		return rebuild.Result{}, err
	}
	if j.Policy.Charset == "utf-8" && t.Name() != charset.UTF8.Name {
		s, ok := t.set.Text(clean)
		if !ok {
			return rebuild.Result{}, rebuild.Refuse("text.invalid", "", t.Name())
		}
		j.Found.Add("text.converted", "", verdict.Changed, t.Name()+" -> UTF-8")
		if csv { // without a mark Excel takes a table for the code page of the machine
			s = string(charset.MarkUTF8) + s
		}
		res.Body = []byte(s)
		return res, nil
	}
	res.Body = t.encode(clean)
	return res, nil
}

// Decoded is text whose encoding was decided: a body that a Set walks, and how to write it in its encoding again.
type Decoded struct {
	name   string
	set    charset.Set
	body   []byte
	encode func([]byte) []byte
}

// Name is the encoding that was found.
func (d Decoded) Name() string { return d.name }

// Unicode is all of the text.
func (d Decoded) Unicode() string {
	if d.set.Name == charset.UTF8.Name {
		return string(d.body)
	}
	s, _ := d.set.Text(d.body) // Read saw that it is text of the set
	return s
}

// Read decides the encoding: by a byte order mark; else by what a page says of itself (label, may be empty), where that can be; else
// UTF-16 where its zero bytes make it sure, ISO-2022-JP by its escapes, UTF-8 when all of it is valid, and of CP932 and EUC-JP
// the one in which it looks like Japanese. Text that is none of these is refused at its first bad byte.
func Read(in []byte, label string) (Decoded, error) {
	if bytes.HasPrefix(in, []byte("\xFF\xFE\x00\x00")) || bytes.HasPrefix(in, []byte("\x00\x00\xFE\xFF")) {
		return Decoded{}, rebuild.Refuse("text.encoding", "", "UTF-32")
	}
	if len(in) >= 2 {
		if order, ok := charset.MarkUTF16[string(in[:2])]; ok {
			return utf16Text(in[2:], in[:2], order)
		}
	}
	if bytes.IndexByte(in, 0) >= 0 {
		if order, ok := charset.GuessUTF16(in); ok {
			return utf16Text(in, nil, order)
		}
		return Decoded{}, rebuild.Refuse("text.binary", "", "")
	}
	if body, marked := bytes.CutPrefix(in, charset.MarkUTF8); marked {
		if at := firstInvalid(body, charset.UTF8); at >= 0 {
			return Decoded{}, rebuild.Refuse("text.invalid", lineOf(body, at), "UTF-8")
		}
		return Decoded{"UTF-8", charset.UTF8, body, func(b []byte) []byte { return append(bytes.Clone(charset.MarkUTF8), b...) }}, nil
	}
	same := func(b []byte) []byte { return b }
	switch {
	case charset.LooksISO2022(in):
		euc, at, ok := charset.FromISO2022(in)
		if ok {
			at = firstInvalid(euc, charset.EUCJP)
		}
		if !ok || at >= 0 {
			return Decoded{}, rebuild.Refuse("text.invalid", lineOf(in, min(at, len(in))), "ISO-2022-JP")
		}
		return Decoded{"ISO-2022-JP", charset.EUCJP, euc, charset.ToISO2022}, nil
	case utf8.Valid(in):
		return Decoded{"UTF-8", charset.UTF8, in, same}, nil
	}
	if set, ok := charset.Japanese(label); ok && firstInvalid(in, set) < 0 {
		return Decoded{set.Name, set, in, same}, nil
	}
	if set, ok := charset.Guess(in); ok {
		return Decoded{set.Name, set, in, same}, nil
	}
	if s, ok := charset.Decode(label, in); ok {
		return Decoded{label, charset.UTF8, []byte(s), nil}, nil
	}
	at := max(firstInvalid(in, charset.CP932), firstInvalid(in, charset.EUCJP))
	return Decoded{}, rebuild.Refuse("text.invalid", lineOf(in, at), fmt.Sprintf("0x%02X", in[at]))
}

func utf16Text(in, mark []byte, order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}) (Decoded, error) {
	body, at, ok := charset.FromUTF16(in, order)
	if !ok {
		return Decoded{}, rebuild.Refuse("text.invalid", fmt.Sprintf("byte %d", at+len(mark)+1), "UTF-16")
	}
	if bytes.IndexByte(body, 0) >= 0 {
		return Decoded{}, rebuild.Refuse("text.binary", "", "")
	}
	if mark == nil { // the next reader shall be as sure
		mark = []byte("\xFF\xFE")
		if order.Uint16([]byte{0, 1}) == 1 {
			mark = []byte("\xFE\xFF")
		}
	}
	return Decoded{"UTF-16", charset.UTF8, body, func(b []byte) []byte { return append(bytes.Clone(mark), charset.ToUTF16(b, order)...) }}, nil
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
func dropControls(j *rebuild.Job, t Decoded) ([]byte, error) {
	var out []byte
	controls, line, from := 0, 1, 0 // from: where what is not copied yet begins
	for i := 0; i < len(t.body); {
		r, n := rune(t.body[i]), 1
		if r >= ' ' && r < 0x7F {
			i++
			continue
		}
		if r >= 0x80 {
			if r, n = t.set.Next(t.body[i:]); n == 0 {
				return nil, rebuild.Refuse("text.invalid", lineOf(t.body, i), "")
			}
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
		if code != "" {
			out = append(out, t.body[from:i]...)
			from = i + n
			j.Found.First(code, fmt.Sprintf("L%d", line), verdict.Removed, fmt.Sprintf("U+%04X", r))
		}
		i += n
	}
	if controls > 16 && controls*10 > len(t.body) {
		return nil, rebuild.Refuse("text.binary", "", "")
	}
	if from == 0 {
		return t.body, nil
	}
	return append(out, t.body[from:]...), nil
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
