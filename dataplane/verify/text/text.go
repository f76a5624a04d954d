// Package text checks rebuilt text and tables as text.
//
// Problem: text has no structure that could be held to a list, only an encoding and characters, and a table is read by programs that
// disagree about where a cell begins. Mechanism: own state machines for the encodings, the same question of each character, and every
// reading of a table. Life cycle: one call of Check for one file. Invariant: nil only when each byte belongs to a character that a
// person can see, or to white space, and no cell can be taken for a formula.
package text

import (
	"bytes"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/verify/rule"
)

// reader gives the next character of b and its length, 0 when there is none. Which one reads a file is decided once, for all of it.
type reader func(b []byte) (rune, int)

// Check accepts the families text and csv: text in UTF-8, UTF-16 with a mark, CP932, EUC-JP or ISO-2022-JP, that holds nothing
// but characters a person can see, spaces, tabs and line ends. What can be read as CP932 and as EUC-JP is held to both readings.
func Check(f *rule.File) error {
	next, body, err := encodingOf(f.In)
	if f.Policy.Charset == "utf-8" {
		next, body, err = UTF8, bytes.TrimPrefix(f.In, []byte("\xEF\xBB\xBF")), nil
	}
	if err != nil {
		return err
	}
	if next != nil {
		return read(f, body, next)
	}
	// Whoever opens it decides which of both it is.
	whole := false
	for _, n := range []reader{readCP932, readEUC} {
		if err := read(f, body, n); err == nil {
			whole = true
		} else if err != errNoText {
			return err
		}
	}
	if !whole {
		return rule.Refuse(codeText, "", "neither UTF-8, CP932 nor EUC-JP")
	}
	return nil
}

// errNoText tells that a reading is none: some bytes are no character in it.
var errNoText = rule.Refuse(codeText, "", "no character")

func read(f *rule.File, body []byte, next reader) error {
	table := f.Family == "csv" && f.Policy.Formulas != "report"
	var runes []rune
	if table {
		runes = make([]rune, 0, len(body))
	}
	line := 1
	for i := 0; i < len(body); {
		r, n := next(body[i:])
		if n == 0 {
			return errNoText
		}
		switch {
		case r >= ' ' && r < 0x7F:
		case r == '\n':
			line++
			if line%4096 == 0 && f.Ctx.Err() != nil {
				return f.Ctx.Err()
			}
		case r == '\t' || r == '\r':
		case r < 0x20 || r == 0x7F || Invisible(r):
			return rule.Refuse(codeText, fmt.Sprintf("L%d", line), "character %U", r)
		}
		if table {
			runes = append(runes, r)
		}
		i += n
	}
	if table {
		return checkCells(f.Ctx, runes)
	}
	return nil
}

// encodingOf decides how the text is read; no reader says that it is CP932 or EUC-JP.
func encodingOf(in []byte) (reader, []byte, error) {
	has := func(mark string) bool { return len(in) >= len(mark) && string(in[:len(mark)]) == mark }
	switch {
	case has("\xEF\xBB\xBF"):
		return UTF8, in[3:], nil
	case has("\xFF\xFE"):
		return readUTF16(0, 1), in[2:], nil
	case has("\xFE\xFF"):
		return readUTF16(1, 0), in[2:], nil
	}
	escaped := false
	for i := 0; i < len(in); {
		_, n := UTF8(in[i:])
		if n == 0 {
			return nil, in, nil
		}
		escaped = escaped || in[i] == 0x1B
		i += n
	}
	if escaped {
		euc, ok := fromISO2022(in)
		if !ok {
			return nil, nil, rule.Refuse(codeText, "", "an escape that is not written here")
		}
		return readEUC, euc, nil
	}
	return UTF8, in, nil
}

// UTF8 gives the first character of b and its length in bytes, 0 when there is none. It follows table 3-7 of the Unicode Standard (well-formed byte sequences).
func UTF8(b []byte) (rune, int) {
	c := b[0]
	need, low, high, r := 0, byte(0x80), byte(0xBF), rune(0)
	switch {
	case c <= 0x7F:
		return rune(c), 1
	case 0xC2 <= c && c <= 0xDF:
		need, r = 1, rune(c&0x1F)
	case c == 0xE0:
		need, low, r = 2, 0xA0, 0
	case c == 0xED:
		need, high, r = 2, 0x9F, rune(c&0x0F)
	case 0xE1 <= c && c <= 0xEF:
		need, r = 2, rune(c&0x0F)
	case c == 0xF0:
		need, low, r = 3, 0x90, 0
	case c == 0xF4:
		need, high, r = 3, 0x8F, rune(c&0x07)
	case 0xF1 <= c && c <= 0xF3:
		need, r = 3, rune(c&0x07)
	default:
		return 0, 0
	}
	if len(b) <= need {
		return 0, 0
	}
	for _, t := range b[1 : 1+need] {
		if t < low || t > high {
			return 0, 0
		}
		r, low, high = r<<6|rune(t&0x3F), 0x80, 0xBF
	}
	return r, 1 + need
}

// readUTF16 takes the places of the low and the high byte of a unit.
func readUTF16(low, high int) reader {
	unit := func(b []byte) rune { return rune(b[low]) | rune(b[high])<<8 }
	return func(b []byte) (rune, int) {
		if len(b) < 2 {
			return 0, 0
		}
		r := unit(b)
		switch {
		case r&0xF800 != 0xD800:
			return r, 2
		case r >= 0xDC00 || len(b) < 4:
			return 0, 0
		}
		s := unit(b[2:])
		if s&0xFC00 != 0xDC00 {
			return 0, 0
		}
		return 0x10000 + (r-0xD800)<<10 + (s - 0xDC00), 4
	}
}

// unassigned rows of CP932, by lead byte: no font and no program agrees on what they are.
var unassigned = map[byte]bool{0x85: true, 0x86: true, 0xEB: true, 0xEC: true, 0xEF: true}

// readCP932 knows the shape of the code, not its characters: bytes below 0x80 are themselves, half-width katakana are named,
// user-defined codes are the private use area, and any other pair is one visible ideograph. Full-width ASCII (row 0x82, and
// the signs of row 0x81 that begin formulas) is named, because cells are judged by it.
func readCP932(b []byte) (rune, int) {
	c := b[0]
	switch {
	case c <= 0x7F:
		return rune(c), 1
	case 0xA1 <= c && c <= 0xDF:
		return 0xFF61 + rune(c-0xA1), 1
	case c == 0x80 || c == 0xA0 || c >= 0xFD || len(b) < 2 || unassigned[c]:
		return 0, 0
	}
	t := b[1]
	if t < 0x40 || t == 0x7F || t > 0xFC || c == 0xFC && t > 0x4B {
		return 0, 0
	}
	column := rune(t - 0x40)
	if t > 0x7F {
		column--
	}
	switch {
	case 0xF0 <= c && c <= 0xF9:
		return 0xE000 + rune(c-0xF0)*188 + column, 2
	case c == 0x82 && 0x4F <= t && t <= 0x58:
		return '０' + rune(t-0x4F), 2
	case c == 0x82 && 0x60 <= t && t <= 0x79:
		return 'Ａ' + rune(t-0x60), 2
	case c == 0x82 && 0x81 <= t && t <= 0x9A:
		return 'ａ' + rune(t-0x81), 2
	case c == 0x81:
		if r, ok := signs81[t]; ok {
			return r, 2
		}
	}
	return '字', 2
}

// signs81 are the signs of row 0x81 that matter to a reader of cells.
var signs81 = map[byte]rune{
	0x40: '\u3000', 0x43: '，', 0x44: '．', 0x46: '：', 0x47: '；', 0x5C: '\u2015', 0x5E: '／', 0x69: '（', 0x6A: '）',
	0x7B: '＋', 0x7C: '\u2212', 0x81: '＝', 0x93: '％', 0x97: '＠',
}

// Invisible tells characters that a reader does not see and that change what he sees. Joiners and variation selectors are needed
// by names and gaiji and are not among them.
func Invisible(r rune) bool {
	if 0x20 <= r && r < 0x7F || 0x3000 <= r && r < 0xD800 { // nearly all
		return false
	}
	for _, span := range [...][2]rune{
		{0x80, 0x9F}, {0x061C, 0x061C}, {0x200E, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x2064}, {0x2066, 0x206F},
		{0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xFDD0, 0xFDEF}, {0xE0000, 0xE007F},
	} {
		if span[0] <= r && r <= span[1] {
			return true
		}
	}
	return r&0xFFFF >= 0xFFFE || 0xD800 <= r && r <= 0xDFFF || r > 0x10FFFF
}
