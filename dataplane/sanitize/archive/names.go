package archive

import (
	"encoding/binary"
	"sync"
	"unicode/utf8"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
)

// zipNames decodes the names of all members, and tells whether they were in CP932. A name that its flag or Info-ZIP's field calls
// UTF-8 is; the others are in one encoding that all of them fit: what Japanese Windows writes is CP932, and macOS writes UTF-8
// without saying so.
func zipNames(entries []*entry) (names []string, cp932 bool, err error) {
	names = make([]string, len(entries))
	unsaid, utf, long := false, true, false
	for i, e := range entries {
		switch {
		case e.unicodeName != "":
			names[i] = e.unicodeName
		case e.flags&flagUTF8 != 0 || ascii(e.name):
			names[i] = string(e.name)
		default:
			unsaid = true
			utf = utf && utf8.Valid(e.name)
			for _, r := range string(e.name) {
				long = long || r >= 0x800
			}
			long = long || e.maker == 3 || e.maker == 19
		}
		if !utf8.ValidString(names[i]) {
			return nil, false, rebuild.Refuse("archive.name", rebuild.Printable(names[i], 100), "not UTF-8")
		}
	}
	// Pairs of half-width katakana are UTF-8 of two bytes by chance; kana and kanji in UTF-8 have three.
	utf = utf && long
	for i, e := range entries {
		switch {
		case names[i] != "" || len(e.name) == 0:
			continue
		case utf:
			names[i] = string(e.name)
			continue
		}
		name, ok := fromCP932(e.name)
		if !ok {
			return nil, false, rebuild.Refuse("archive.name", rebuild.Printable(string(e.name), 100), "neither UTF-8 nor CP932")
		}
		names[i] = name
	}
	return names, unsaid && !utf, nil
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func fromCP932(b []byte) (string, bool) {
	var out []byte
	for len(b) > 0 {
		r, n := charset.CP932.Next(b)
		if n == 0 {
			return "", false
		}
		out, b = utf8.AppendRune(out, r), b[n:]
	}
	return string(out), true
}

// toCP932 writes each character with the code that Windows writes; ok is false when there is none for one of them.
func toCP932(s string) (out []byte, ok bool) {
	for _, r := range s {
		switch code := codes932()[r]; {
		case r < 0x80:
			out = append(out, byte(r))
		case 0xFF61 <= r && r <= 0xFF9F:
			out = append(out, byte(r-0xFF61+0xA1))
		case code == 0:
			return nil, false
		default:
			out = append(out, byte(code>>8), byte(code))
		}
	}
	return out, true
}

// codes932 is the way back from characters to codes. Of codes that share a character Windows writes that of JIS X 0208, then that of
// NEC row 13, then IBM's; never NEC's selection of IBM's (ED, EE).
var codes932 = sync.OnceValue(func() map[rune]uint16 {
	m := map[rune]uint16{}
	for lead := 0x81; lead <= 0xFC; lead++ {
		if 0xA0 <= lead && lead <= 0xDF || lead == 0xED || lead == 0xEE {
			continue
		}
		for trail := 0x40; trail <= 0xFC; trail++ {
			r, n := charset.CP932.Next([]byte{byte(lead), byte(trail)})
			if n == 2 && m[r] == 0 {
				m[r] = uint16(lead<<8 | trail)
			}
		}
	}
	return m
})

// utf16LE decodes names of LHA's Windows extension.
func utf16LE(b []byte) (string, bool) {
	out, _, ok := charset.FromUTF16(b, binary.LittleEndian)
	return string(out), ok
}
