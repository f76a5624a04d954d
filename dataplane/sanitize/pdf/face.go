package pdf

import (
	"strings"
	"unicode/utf16"

	"github.com/sekisho/sekisho/dataplane/sanitize/charset"
)

// face is a font as far as it says what its codes mean, and how wide they are.
type face struct {
	split   func(s text) int // bytes of the next code
	meaning map[code]string  // by its ToUnicode
	plain   func(c code) string
	widths  map[int]float64 // in ems
	width   float64         // of any other
	down    bool            // it is written from top to bottom
}

// code is one code of a font, with its length in bytes.
type code struct {
	bytes, n int
}

// unread stands for what has no known meaning: no digit, and no letter of a word.
const unread = "\uFFFD"

func (f *face) say(c code) string {
	if s, ok := f.meaning[c]; ok {
		return s
	}
	if f.plain != nil {
		return f.plain(c)
	}
	return unread
}

func (f *face) wide(c code) float64 {
	if w, ok := f.widths[c.n]; ok {
		return w
	}
	return f.width
}

// built is a value of the new graph, with the object that it lies in where that is one of its own.
func (w *walk) built(v value) (value, *made) {
	if r, ok := v.(ref); ok && r > 0 && int(r) <= len(w.out) && !w.out[r-1].drop {
		return w.out[r-1].v, w.out[r-1]
	}
	return v, nil
}

func (w *walk) builtDict(v value) dict {
	v, _ = w.built(v)
	d, _ := v.(dict)
	return d
}

// face of a font of the new graph.
func (w *walk) face(v value) *face {
	r, shared := v.(ref)
	if f := w.faces[r]; shared && f != nil {
		return f
	}
	d := w.builtDict(v)
	f := &face{split: func(text) int { return 1 }, width: 0.5}
	if d["Subtype"] == name("Type0") {
		w.composite(f, d)
	} else {
		w.simple(f, d)
	}
	if _, m := w.built(d["ToUnicode"]); m != nil {
		if c, err := readCMap(m.data); err == nil {
			f.meaning = c.meanings()
		}
	}
	if shared {
		w.faces[r] = f
	}
	return f
}

// simple fonts have codes of one byte, which mean what their encoding names; letters of ASCII are the same in all of them.
func (w *walk) simple(f *face, d dict) {
	names := map[int]string{}
	if e := w.builtDict(d["Encoding"]); e != nil {
		at := 0
		differences, _ := e["Differences"].(array)
		for _, v := range differences {
			if n, ok := integer(v); ok {
				at = n
			} else if n, ok := v.(name); ok {
				names[at] = meant(string(n))
				at++
			}
		}
	}
	f.plain = func(c code) string {
		if s, ok := names[c.n]; ok {
			return s
		}
		if c.n >= 0x20 && c.n < 0x7F {
			return string(rune(c.n))
		}
		return unread
	}
	em := 1000.0
	if m, ok := d["FontMatrix"].(array); ok && len(m) == 6 {
		if x, _ := real(m[0]); x != 0 {
			em = 1 / x
		}
	}
	v, _ := w.built(d["Widths"])
	widths, _ := v.(array)
	first, _ := integer(d["FirstChar"])
	f.widths = map[int]float64{}
	for i, v := range widths[:min(len(widths), 256)] {
		if n, ok := real(v); ok {
			f.widths[first+i] = n / em
		}
	}
}

// glyphNames are those of digits and signs (Adobe Glyph List); letters are named by themselves.
var glyphNames = map[string]string{
	"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "space": " ", "hyphen": "-", "minus": "-", "period": ".", "comma": ",", "colon": ":",
	"slash": "/", "parenleft": "(", "parenright": ")", "plus": "+", "percent": "%", "numbersign": "#", "yen": "¥", "at": "@", "underscore": "_",
}

func meant(glyph string) string {
	glyph, _, _ = strings.Cut(glyph, ".")
	if s, ok := glyphNames[glyph]; ok {
		return s
	}
	if len(glyph) == 1 {
		return glyph
	}
	if h, ok := strings.CutPrefix(glyph, "uni"); ok && len(h) == 4 {
		if t, err := (&lexer{b: []byte(h + ">")}).hex(); err == nil {
			b, _ := t.v.(text)
			return decodeText("\xFE\xFF" + b)
		}
	}
	return unread
}

// composite fonts have codes of the length that their encoding says.
func (w *walk) composite(f *face, d dict) {
	encoding, _ := d["Encoding"].(name)
	e := string(encoding)
	f.down = strings.HasSuffix(e, "V")
	f.split = func(text) int { return 2 }
	decoded := func(set charset.Set, or int) func(code) string {
		return func(c code) string {
			b := []byte{byte((c.n | or) >> 8), byte(c.n | or)}
			if s, ok := set.Text(b[2-c.bytes:]); ok {
				return s
			}
			return unread
		}
	}
	switch {
	case strings.Contains(e, "RKSJ"):
		f.split = func(s text) int {
			if c := s[0]; c >= 0x81 && c < 0xA0 || c >= 0xE0 && c <= 0xFC {
				return 2
			}
			return 1
		}
		f.plain = decoded(charset.CP932, 0)
	case strings.Contains(e, "EUC"):
		f.split = func(s text) int {
			if s[0] >= 0x80 {
				return 2
			}
			return 1
		}
		f.plain = decoded(charset.EUCJP, 0)
	case e == "H" || e == "V":
		f.plain = decoded(charset.EUCJP, 0x8080)
	case strings.Contains(e, "UCS2") || strings.Contains(e, "UTF16"):
		f.plain = func(c code) string { return string(utf16.Decode([]uint16{uint16(c.n)})) }
	}
	if _, m := w.built(d["Encoding"]); m != nil {
		if c, err := readCMap(m.data); err == nil {
			f.split = c.split()
			mode, _ := integer(m.dict()["WMode"])
			f.down = mode == 1
		}
	}
	kids, _ := d["DescendantFonts"].(array)
	if len(kids) == 0 {
		return
	}
	kid := w.builtDict(kids[0])
	if system := w.builtDict(kid["CIDSystemInfo"]); f.plain == nil && system["Ordering"] == text("Japan1") {
		f.plain = japan1
	}
	f.width = 1
	if n, ok := real(kid["DW"]); ok {
		f.width = n / 1000
	}
	f.widths = map[int]float64{}
	v, _ := w.built(kid["W"])
	list, _ := v.(array)
	left := maxMeanings
	for i := 0; i+1 < len(list) && left > 0; {
		from, _ := integer(list[i])
		if each, ok := list[i+1].(array); ok {
			for k, v := range each[:min(len(each), left)] {
				n, _ := real(v)
				f.widths[from+k] = n / 1000
			}
			left -= len(each) + 1
			i += 2
			continue
		}
		if i+2 >= len(list) {
			break
		}
		to, _ := integer(list[i+1])
		n, _ := real(list[i+2])
		for k := from; k <= min(to, from+left); k++ {
			f.widths[k] = n / 1000
		}
		left -= max(0, to-from) + 1
		i += 3
	}
}

// japan1 are the letters of ASCII and the wide digits of Adobe-Japan1, whose numbers are the codes of fonts that say nothing else
// (Adobe Technical Note 5078).
func japan1(c code) string {
	switch n := c.n; {
	case n >= 1 && n <= 94:
		return string(rune(n + 0x1F))
	case n >= 231 && n <= 325:
		return string(rune(n - 231 + 0x20))
	case n >= 780 && n <= 789:
		return string(rune('０' + n - 780))
	}
	return unread
}

// maxMeanings bounds what is read of a CMap, or of a table of widths, however often it says the same.
const maxMeanings = 1 << 17

// meanings of codes (9.10.3).
func (m *cmap) meanings() map[code]string {
	out := map[code]string{}
	left := maxMeanings
	put := func(c code, v value) {
		if left--; left < 0 {
			return
		}
		if t, ok := v.(text); ok {
			out[c] = decodeText("\xFE\xFF" + t)
		}
	}
	for _, s := range m.sections {
		switch s.kind {
		case "bfchar":
			for i := 0; i+1 < len(s.v); i += 2 {
				if t, ok := s.v[i].(text); ok {
					put(codeOf(t), s.v[i+1])
				}
			}
		case "bfrange":
			for i := 0; i+2 < len(s.v); i += 3 {
				low, ok := s.v[i].(text)
				high, ok2 := s.v[i+1].(text)
				if !ok || !ok2 {
					continue
				}
				from, to := codeOf(low), codeOf(high).n
				each, many := s.v[i+2].(array)
				first, _ := s.v[i+2].(text)
				for k := 0; from.n+k <= to && left > 0; k++ {
					c := code{from.bytes, from.n + k}
					switch {
					case many && k < len(each):
						put(c, each[k])
					case many || len(first) < 2:
						to = 0
					default:
						last := len(first) - 2
						u := int(first[last])<<8 | int(first[last+1]) + k
						put(c, first[:last]+text([]byte{byte(u >> 8), byte(u)}))
					}
				}
			}
		}
	}
	return out
}

func codeOf(t text) code {
	c := code{bytes: min(len(t), 4)}
	for i := range c.bytes {
		c.n = c.n<<8 | int(t[i])
	}
	return c
}

// split tells codes apart by the ranges that the CMap says they lie in (9.7.6.2).
func (m *cmap) split() func(text) int {
	var low, high []text
	for _, s := range m.sections {
		for i := 0; s.kind == "codespacerange" && i+1 < len(s.v) && len(low) < 100; i += 2 {
			a, ok := s.v[i].(text)
			b, ok2 := s.v[i+1].(text)
			if ok && ok2 && len(a) == len(b) && len(a) > 0 && len(a) <= 4 {
				low, high = append(low, a), append(high, b)
			}
		}
	}
	return func(s text) int {
	next:
		for i, a := range low {
			if len(a) > len(s) {
				continue
			}
			for k := range len(a) {
				if s[k] < a[k] || s[k] > high[i][k] {
					continue next
				}
			}
			return len(a)
		}
		if len(low) > 0 {
			return len(low[0])
		}
		return 2
	}
}
