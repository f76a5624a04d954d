package pdf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// compactParts are those of a CFF font, in the order in which they lie, with bytes behind some of them.
type compactParts struct {
	head, top, behind, private string
	strings, glyphs, subrs     []string
}

func indexOf(parts ...string) string {
	b := []byte{0, byte(len(parts))}
	if len(parts) == 0 {
		return string(b)
	}
	b = append(b, 1)
	at := 1
	for i := range len(parts) + 1 {
		if b = append(b, byte(at)); i < len(parts) {
			at += len(parts[i])
		}
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return string(b)
}

func (p compactParts) bytes() []byte {
	var charset, glyphs, private int
	place := func(op byte, v ...int) (b []byte) {
		for _, n := range v {
			b = binary.BigEndian.AppendUint32(append(b, 29), uint32(n))
		}
		return append(b, op)
	}
	var out []byte
	for range 2 {
		top := p.top + string(place(15, charset)) + string(place(17, glyphs)) + string(place(18, len(p.private), private))
		out = []byte(p.head + indexOf("Font") + indexOf(top) + indexOf(p.strings...) + indexOf())
		charset = len(out)
		out = append(out, "\x00\x01\x87"...)
		glyphs = len(out)
		out = append(out, indexOf(p.glyphs...)+p.behind...)
		private = len(out)
		out = append(out, p.private+indexOf(p.subrs...)...)
	}
	return out
}

func TestCompactFontsAreTiled(t *testing.T) {
	good := compactParts{head: "\x01\x00\x04\x04", top: "\x8B\x8B\x8C\x8C\x05", private: "\x8B\x14\x8F\x13", strings: []string{"a1"}, glyphs: []string{"\x0E", "\x20\x0A"}, subrs: []string{"\x8B\x16\x0E"}}
	if !compact(good.bytes()) {
		t.Error("a font as it is written is refused")
	}
	for what, change := range map[string]func(*compactParts){
		"bytes behind glyphs":              func(p *compactParts) { p.behind = "x" },
		"bytes in the header":              func(p *compactParts) { p.head = "\x01\x00\x05\x04x" },
		"a note of rights":                 func(p *compactParts) { p.top += "\x8B\x01" },
		"a program of PostScript":          func(p *compactParts) { p.top += "\x8B\x0C\x15" },
		"an operator twice":                func(p *compactParts) { p.top += p.top },
		"an unknown operator":              func(p *compactParts) { p.private = "\x8B\x0F" + p.private },
		"bytes behind a glyph":             func(p *compactParts) { p.glyphs[0] += "xxxx" },
		"bytes behind a subroutine":        func(p *compactParts) { p.subrs[0] += "xxxx" },
		"a glyph that does not end":        func(p *compactParts) { p.glyphs[0] = "\x8B\x8B\x15" },
		"an empty glyph":                   func(p *compactParts) { p.glyphs[0] = "" },
		"a name with a space":              func(p *compactParts) { p.strings[0] = "a 1" },
		"an operand without its operator":  func(p *compactParts) { p.top += "\x8B" },
		"bytes between index and charset":  func(p *compactParts) { p.strings = append(p.strings, "\x80") },
		"private bytes that are no number": func(p *compactParts) { p.private = "\xFF\xFF" + p.private },
	} {
		p := good
		p.glyphs, p.subrs, p.strings = append([]string{}, p.glyphs...), append([]string{}, p.subrs...), append([]string{}, p.strings...)
		if change(&p); compact(p.bytes()) {
			t.Errorf("%s: passes", what)
		}
	}
	if b := good.bytes(); compact(append(b, 'x')) || compact(b[:len(b)-1]) {
		t.Error("bytes behind the font, or one too few, pass")
	}
}

func TestGlyphsAreTiled(t *testing.T) {
	simple := "\x00\x01\x00\x00\x00\x00\x00\x09\x00\x09\x00\x02\x00\x01\x4F\x3F\x01\x37\x05\x05\x05\x06\x06\x06"
	both := "\xFF\xFF\x00\x00\x00\x00\x00\x09\x00\x09\x01\x02\x00\x01\x01\x01\x00\x01\x4F"
	table := func(glyphs ...string) (glyf, loca []byte) {
		loca = []byte{0, 0}
		for _, g := range glyphs {
			glyf = append(glyf, g...)
			loca = binary.BigEndian.AppendUint16(loca, uint16(len(glyf)/2))
		}
		return glyf, loca
	}
	for what, c := range map[string]struct {
		glyphs []string
		want   bool
	}{
		"as written":                {[]string{"", simple, both + "\x00"}, true},
		"bytes behind a glyph":      {[]string{simple + "xx"}, false},
		"a byte behind a glyph":     {[]string{both + "x"}, false},
		"a glyph without outline":   {[]string{"\x00\x00\x00\x00\x00\x00\x00\x09\x00\x09xx"}, false},
		"a glyph that is too short": {[]string{simple[:20]}, false},
	} {
		if glyf, loca := table(c.glyphs...); outlines(glyf, loca, false) != c.want {
			t.Errorf("%s: got %t", what, !c.want)
		}
	}
	glyf, loca := table(simple)
	if outlines(append(bytes.Clone(glyf), "xx"...), loca, false) {
		t.Error("bytes behind the last glyph pass")
	}
	head := string(make([]byte, 54))
	for what, c := range map[string]struct {
		tag, data string
		want      bool
	}{
		"a head":                {"head", head, true},
		"a head with a date":    {"head", head[:20] + "x" + head[21:], false},
		"a head that is long":   {"head", head + "x", false},
		"a long maxp":           {"maxp", "\x00\x01\x00\x00" + string(make([]byte, 40)), false},
		"names of glyphs":       {"post", "\x00\x02" + string(make([]byte, 30)) + "\x00\x00\x02a1", true},
		"names and more":        {"post", "\x00\x02" + string(make([]byte, 30)) + "\x00\x00\x02a1\x05x", false},
		"names with spaces":     {"post", "\x00\x02" + string(make([]byte, 30)) + "\x00\x00\x02a ", false},
		"no names, but bytes":   {"post", "\x00\x03" + string(make([]byte, 32)), false},
		"characters":            {"cmap", "\x00\x00\x00\x01\x00\x03\x00\x01\x00\x00\x00\x0C\x00\x06\x00\x0C\x00\x00\x00\x41\x00\x01\x00\x02", true},
		"a gap before them":     {"cmap", "\x00\x00\x00\x01\x00\x03\x00\x01\x00\x00\x00\x0Exx\x00\x06\x00\x0C\x00\x00\x00\x41\x00\x01\x00\x02", false},
		"bytes behind them":     {"cmap", "\x00\x00\x00\x01\x00\x03\x00\x01\x00\x00\x00\x0C\x00\x06\x00\x0C\x00\x00\x00\x41\x00\x01\x00\x02xx", false},
		"widths of no glyph":    {"hmtx", "xxxx", false},
		"glyphs without places": {"glyf", "xxxx", false},
	} {
		if got := sized(map[string][]byte{c.tag: []byte(c.data)}, c.tag); got != c.want {
			t.Errorf("%s: got %t", what, got)
		}
	}
}

func TestTypeOneSaysNothingElse(t *testing.T) {
	locked := func(s string, key uint16) string {
		out := []byte("\x00\x00\x00\x00" + s)
		for i := range out {
			out[i] ^= byte(key >> 8)
			key = (key+uint16(out[i]))*52845 + 22719
		}
		return string(out)
	}
	const matrix = "/FontMatrix [0.001 0 0 0.001 0 0] readonly def\n"
	head := "%!PS-AdobeFont-1.0: Font\n11 dict begin\n/FontName /Font def\n/PaintType 0 def\n/FontType 1 def\n" + matrix + "/Encoding 256 array\n0 1 255 {1 index exch /.notdef put} for\ndup 65 /A put\nreadonly def\n" +
		"/FontBBox {0 0 100 100} readonly def\ncurrentdict end\ncurrentfile eexec\n"
	begin := "dup /Private 24 dict dup begin\n/RD {string currentfile exch readstring pop} executeonly def\n/ND {noaccess def} executeonly def\n/NP {noaccess put} executeonly def\n" +
		"/MinFeature {16 16} def\n/password 5839 def\n/OtherSubrs [{} {} {} {}] def\n/BlueValues [-10 0] def\n/Subrs 1 array\n"
	body := func(begin, subr, glyph, end string) string {
		subr, glyph = locked(subr, 4330), locked(glyph, 4330)
		return fmt.Sprintf("%sdup 0 %d RD %s NP\nND\n2 index /CharStrings 1 dict dup begin\n/.notdef %d RD %s ND\n%s", begin, len(subr), subr, len(glyph), glyph, end)
	}
	const subr, glyph = "\x8B\x8B\x15\x0B", "\x8B\xEF\x0D\x8B\x0A\x0E"
	for what, c := range map[string]struct {
		head, body string
		rest       int
		want       bool
	}{
		"as written":               {head, body(begin, subr, glyph, typeOneEnd), 0, true},
		"a notice":                 {strings.Replace(head, matrix, matrix+"/Notice (x) def\n", 1), body(begin, subr, glyph, typeOneEnd), 0, false},
		"another name":             {strings.Replace(head, "/FontName /Font", "/FontName /Other", 1), body(begin, subr, glyph, typeOneEnd), 0, false},
		"a comment":                {"%!PS-AdobeFont-1.0: Font\n%x" + head[24:], body(begin, subr, glyph, typeOneEnd), 0, false},
		"a program of PostScript":  {head, body(strings.Replace(begin, "[{} ", "[{run} ", 1), subr, glyph, typeOneEnd), 0, false},
		"a key that is not known":  {head, body(strings.Replace(begin, "/Subrs", "/UniqueID 1 def\n/Subrs", 1), subr, glyph, typeOneEnd), 0, false},
		"bytes behind a glyph":     {head, body(begin, subr, glyph+"x", typeOneEnd), 0, false},
		"bytes behind a subr":      {head, body(begin, subr+"x", glyph, typeOneEnd), 0, false},
		"an unknown operator":      {head, body(begin, subr, "\x0F\x0E", typeOneEnd), 0, false},
		"an unknown long operator": {head, body(begin, subr, "\x0C\x20\x0E", typeOneEnd), 0, false},
		"a program behind the end": {head, body(begin, subr, glyph, typeOneEnd+"(x) run\n"), 0, false},
		"a third part":             {head, body(begin, subr, glyph, typeOneEnd), 1, false},
	} {
		secret := locked(c.body, 55665)
		if got := typeOne([]byte(c.head+secret), len(c.head), len(secret)-c.rest, c.rest); got != c.want {
			t.Errorf("%s: got %t", what, got)
		}
	}
}

func FuzzFont(f *testing.F) {
	f.Add([]byte(sfntOf("cvt ", "abcd")))
	f.Add(compactParts{head: "\x01\x00\x04\x04", private: "\x8B\x14", glyphs: []string{"\x0E"}}.bytes())
	f.Add([]byte("\x00\x00\x00\x01\x00\x03\x00\x01\x00\x00\x00\x0C\x00\x06\x00\x0C\x00\x00\x00\x41\x00\x01\x00\x02"))
	f.Fuzz(func(_ *testing.T, in []byte) {
		_ = tables(in)
		_ = compact(in)
		_ = typeOne(in, len(in)/2, len(in)-len(in)/2, 0)
		_ = strokes(in)
		for _, tag := range []string{"cmap", "post", "glyf"} {
			_ = sized(map[string][]byte{tag: in, "loca": in[:len(in)/2], "maxp": in, "head": in}, tag)
		}
	})
}
