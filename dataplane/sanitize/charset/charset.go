// Package charset walks the character encodings that Japanese offices write.
//
// Problem: encoders of libraries turn user-defined characters (gaiji) into replacement marks without an error, and codes that share
// a character into one of them. Mechanism: text is walked code by code, and the same code is written again. Invariant: what was
// not changed on purpose is the same bytes.
package charset

import (
	"encoding/binary"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// Set walks text one character at a time. Next answers the character at the start of b and its length in bytes, or a
// length of 0 when there is none. The rebuilder writes the same code again, so that codes which share a character (NEC and
// IBM duplicates) stay what they were.
type Set struct {
	Name string
	Next func(b []byte) (rune, int)
}

var (
	UTF8  = Set{"UTF-8", nextUTF8}
	CP932 = Set{"Shift_JIS (CP932)", nextCP932}
)

// Byte order marks.
var (
	MarkUTF8  = []byte("\xEF\xBB\xBF")
	MarkUTF16 = map[string]interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}{"\xFF\xFE": binary.LittleEndian, "\xFE\xFF": binary.BigEndian}
)

func nextUTF8(b []byte) (rune, int) {
	if len(b) > 0 && b[0] < utf8.RuneSelf {
		return rune(b[0]), 1
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n <= 1 {
		return 0, 0
	}
	return r, n
}

// nextCP932 decodes Microsoft code page 932: JIS X 0201, JIS X 0208, NEC row 13, NEC selected IBM extensions (ED, EE), IBM
// extensions (FA-FC) and the user-defined area F040-F9FC, which is U+E000-E757 in order of codes.
func nextCP932(b []byte) (rune, int) {
	if len(b) == 0 {
		return 0, 0
	}
	c := b[0]
	switch {
	case c < 0x80:
		return rune(c), 1
	case 0xA1 <= c && c <= 0xDF: // half-width katakana
		return rune(c) + 0xFF61 - 0xA1, 1
	case c == 0x80 || c == 0xA0 || c >= 0xFD || len(b) < 2:
		return 0, 0
	}
	if r := cp932Table()[int(c)<<8|int(b[1])]; r != 0 {
		return rune(r), 2
	}
	return 0, 0
}

// cp932Table maps each double-byte code to its character, 0 where there is none.
var cp932Table = sync.OnceValue(func() *[65536]uint16 {
	var t [65536]uint16
	d := japanese.ShiftJIS.NewDecoder()
	for lead := 0x81; lead <= 0xFC; lead++ {
		if 0xA0 <= lead && lead <= 0xDF {
			continue
		}
		for trail := 0x40; trail <= 0xFC; trail++ {
			if trail == 0x7F {
				continue
			}
			code := lead<<8 | trail
			if 0xF0 <= lead && lead <= 0xF9 { // user-defined: 188 codes a row
				n := (lead-0xF0)*188 + trail - 0x40
				if trail > 0x7F {
					n--
				}
				t[code] = uint16(0xE000 + n)
				continue
			}
			s, err := d.Bytes([]byte{byte(lead), byte(trail)})
			if err != nil {
				continue
			}
			if r, n := utf8.DecodeRune(s); r != utf8.RuneError && n == len(s) {
				t[code] = uint16(r)
			}
		}
	}
	return &t
})

// IsGaiji tells private-use characters, which towns use for names that no standard has.
func IsGaiji(r rune) bool { return 0xE000 <= r && r <= 0xF8FF }

// FromUTF16 decodes text with a byte order mark; ok is false for an odd length or a lone surrogate, at is its byte offset.
func FromUTF16(b []byte, order binary.ByteOrder) (out []byte, at int, ok bool) {
	out = make([]byte, 0, len(b)*3/2)
	for i := 0; i < len(b); {
		if len(b)-i < 2 {
			return nil, i, false
		}
		r, n := rune(order.Uint16(b[i:])), 2
		if utf16.IsSurrogate(r) {
			if len(b)-i < 4 {
				return nil, i, false
			}
			r, n = utf16.DecodeRune(r, rune(order.Uint16(b[i+2:]))), 4
			if r == utf8.RuneError {
				return nil, i, false
			}
		}
		out = utf8.AppendRune(out, r)
		i += n
	}
	return out, 0, true
}

// ToUTF16 is UTF-8 in UTF-16 without a mark.
func ToUTF16(b []byte, order binary.AppendByteOrder) []byte {
	out := make([]byte, 0, len(b)*2)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			out = order.AppendUint16(order.AppendUint16(out, uint16(hi)), uint16(lo))
			continue
		}
		out = order.AppendUint16(out, uint16(r))
	}
	return out
}

// Hidden tells characters that change what a reader sees without being seen: bidirectional controls, invisible operators,
// tags, annotation marks, byte order marks inside text and noncharacters. Joiners and variation selectors are not among
// them: emoji, gaiji and personal names need them.
func Hidden(r rune) bool {
	switch {
	case r < 0x80:
		return false
	case 0x80 <= r && r <= 0x9F, // C1 controls
		r == 0x061C, r == 0x200E, r == 0x200F,
		0x202A <= r && r <= 0x202E,
		0x2060 <= r && r <= 0x2064, 0x2066 <= r && r <= 0x206F,
		r == 0xFEFF, 0xFFF9 <= r && r <= 0xFFFB,
		0xFDD0 <= r && r <= 0xFDEF, r&0xFFFE == 0xFFFE,
		0xE0000 <= r && r <= 0xE007F:
		return true
	}
	return false
}
