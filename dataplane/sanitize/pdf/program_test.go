package pdf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const hiding = "MARKER"

// compactOf is a CFF font with bytes hidden wherever its format leaves room: between its parts, behind subroutines, in subroutines
// that nothing calls, in strings that name nothing.
func compactOf() []byte { return compactWith("\x0E") }

// compactWith has a first glyph of its own.
func compactWith(first string) []byte {
	glyphs := [][]byte{[]byte(first), []byte("\x20\x0A\x8B\x8B\x15\x0E"), []byte("\x8B\x8B\x01\x8B\x8B\x13\x80\x21\x0A")} // callsubr 0; hstem, hintmask, callsubr 1
	subrs := [][]byte{[]byte("\x8B\x16\x0B" + hiding), []byte("\x0E" + hiding), []byte(hiding)}
	private := append([]byte("\x8B\x14\x1D\x00\x00\x00\x00\x13"), hiding...)
	top := func(charset, glyphs, at int) []byte {
		b := []byte("\xF8\x1B\x00") // version: a string
		for _, p := range [][]int{{15, charset}, {17, glyphs}, {18, 8, at}} {
			for _, v := range p[1:] {
				b = binary.BigEndian.AppendUint32(append(b, 29), uint32(v))
			}
			b = append(b, byte(p[0]))
		}
		return b
	}
	var out []byte
	places := [3]int{}
	for range 2 {
		out = []byte("\x01\x00\x06\x04" + "xx")
		out = appendCFFIndex(out, [][]byte{[]byte(hiding)})
		out = appendCFFIndex(out, [][]byte{top(places[0], places[1], places[2])})
		out = appendCFFIndex(out, [][]byte{[]byte(hiding), []byte("a1"), []byte("b1")})
		out = appendCFFIndex(out, [][]byte{[]byte(hiding)})
		out = append(out, hiding...)
		places[0] = len(out)
		out = append(append(out, "\x00\x01\x88\x01\x89"...), hiding...) // 392, 393
		places[1] = len(out)
		out = append(appendCFFIndex(out, glyphs), hiding...)
		places[2] = len(out)
		out = append(out, private...)
		binary.BigEndian.PutUint32(out[places[2]+3:], uint32(len(private)))
		out = append(appendCFFIndex(out, subrs), hiding...)
	}
	return out
}

func TestCompactFontsHideNothing(t *testing.T) {
	in := compactOf()
	out, err := cff(bytes.Clone(in))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(in), hiding); n < 8 || strings.Contains(string(out), "MARK") {
		t.Errorf("%d hidden; got %q", n, out)
	}
	f, err := readCFF(out)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"\x0E", "\x20\x0A\x8B\x8B\x15\x0E", "\x8B\x8B\x01\x8B\x8B\x13\x80\x21\x0A"} {
		if string(f.glyphs[i]) != want {
			t.Errorf("glyph %d: got %q, want %q", i, f.glyphs[i], want)
		}
	}
	if got := string(bytes.Join(f.privates[0].subrs, []byte("|"))); got != "\x8B\x16\x0B|\x0E|\x0B" {
		t.Errorf("subroutines: got %q", got)
	}
	if string(bytes.Join(f.strings, []byte("|"))) != "|a1|b1" {
		t.Errorf("names of glyphs: got %q", f.strings)
	}
	again, err := cff(bytes.Clone(out))
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("not settled: %v\n%x\n%x", err, out, again)
	}
}

// A glyph that ends before its place does, or a private dictionary that is cut off, tells of damage: readers take another font then,
// and what is left of this one would show a page without some of its letters.
func TestDamagedCompactFontsAreNotMended(t *testing.T) {
	for what, in := range map[string][]byte{
		"a glyph that ends early":    compactWith("\x0E\x8B\x8B\x15\x0E"),
		"a glyph that returns early": compactWith("\x0B\x8B\x8B\x15\x0E"),
		"a dictionary that is cut":   bytes.Replace(compactOf(), []byte("\x1D\x00\x00\x00\x08\x1D"), []byte("\x1D\x00\x00\x03\x08\x1D"), 1),
	} {
		if _, err := cff(in); !errors.Is(err, errFont) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// A program that calls itself, or calls on and on, is no font.
func TestProgramsOfGlyphsHaveBounds(t *testing.T) {
	for what, subrs := range map[string][][]byte{
		"itself":         {[]byte("\x20\x0A")},
		"on and on":      {bytes.Repeat([]byte("\x21\x0A"), 60_000), bytes.Repeat([]byte("\x22\x0A"), 60_000), []byte("\x0B")},
		"nothing":        {[]byte("\x30\x0A")},
		"what was added": {[]byte("\x8B\x8B\x0C\x0A\x0A")},
		"a mask":         {[]byte("\x8B\x8B\x01\x13")},
	} {
		steps := 1_000_000
		c := &charstring{global: newSubrs(nil), local: newSubrs(subrs), steps: &steps}
		if _, err := c.run([]byte("\x20\x0A"), 0); err == nil {
			t.Errorf("%s: passes", what)
		}
	}
}

// trueTypeOf is a font of three glyphs, one of which is made of another, with bytes hidden behind them and in its tables.
func trueTypeOf() []byte {
	head := make([]byte, 54)
	copy(head[20:], hiding)
	maxp := append([]byte("\x00\x01\x00\x00\x00\x03"), make([]byte, 26)...)
	simple := "\x00\x01\x00\x00\x00\x00\x00\x09\x00\x09\x00\x02\x00\x01\x4F\x3F\x01\x37\x05\x05\x05\x06\x06\x06"
	both := "\xFF\xFF\x00\x00\x00\x00\x00\x09\x00\x09\x01\x02\x00\x01\x01\x01\x00\x01\x4F"
	glyf := hiding + simple + hiding + both + "MARKERS"
	var loca []byte
	for _, at := range []int{0, 6, 6 + len(simple) + 6, len(glyf)} {
		loca = binary.BigEndian.AppendUint16(loca, uint16(at/2))
	}
	hhea := append(make([]byte, 34), 0, 1)
	cmap := "\x00\x00\x00\x02" + "\x00\x03\x00\x01\x00\x00\x00\x1A" + "\x00\x01\x00\x00\x00\x00\x00\x1A" + hiding + "\x00\x06\x00\x0C\x00\x00\x00\x41\x00\x01\x00\x02" + hiding
	post := "\x00\x02\x00\x00" + strings.Repeat("\x00", 28) + "\x00\x03\x00\x00\x00\x01\x01\x02\x02a1" + hiding
	tables := map[string]string{
		"head": string(head) + hiding, "maxp": string(maxp) + hiding, "hhea": string(hhea) + hiding, "hmtx": "\x00\x01\x00\x01\x00\x01\x00\x01" + hiding, "loca": string(loca) + hiding, "glyf": glyf,
		"cmap": cmap, "post": post, "OS/2": "\x00\x03" + strings.Repeat("\x00", 94) + hiding, "name": hiding, "GSUB": hiding, "cvt ": "\x00\x01",
	}
	out := []byte("\x00\x01\x00\x00\x00\x0C\x00\x00\x00\x00\x00\x00")
	at := 12 + 16*len(tables) + len(hiding)
	data := []byte(hiding)
	for _, tag := range []string{"OS/2", "GSUB", "cmap", "cvt ", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "name", "post"} {
		out = append(append(out, tag...), "\x00\x00\x00\x00"...)
		out = binary.BigEndian.AppendUint32(out, uint32(at+len(data)-len(hiding)))
		out = binary.BigEndian.AppendUint32(out, uint32(len(tables[tag])))
		data = append(append(data, tables[tag]...), hiding...)
	}
	return append(out, data...)
}

func TestTrueTypeFontsHideNothing(t *testing.T) {
	in := trueTypeOf()
	d := dict{}
	out, err := trueTypeProgram(bytes.Clone(in), d)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(in), hiding); n < 20 || strings.Contains(string(out), "MARK") {
		t.Errorf("%d hidden; got %q", n, out)
	}
	for _, want := range []string{"\x01\x4F\x3F\x01\x37\x05\x05\x05\x06\x06\x06\xFF\xFF", "\x01\x01\x00\x01\x4F", "\x02a1", "\x00\x06\x00\x0C\x00\x00\x00\x41\x00\x01\x00\x02"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is gone from %q", want, out)
		}
	}
	again, err := trueTypeProgram(bytes.Clone(out), dict{})
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("not settled: %v\n%x\n%x", err, out, again)
	}
}

// type1Of is a font of Type 1 with bytes hidden in both programs, and behind its glyphs and subroutines.
func type1Of() []byte { return type1From(func(b []byte) []byte { return b }) }

// type1Hex has its second program in hexadecimal digits.
func type1Hex() []byte {
	return type1From(func(b []byte) []byte { return []byte(strings.ToUpper(hex.EncodeToString(b))) })
}

func type1From(spell func([]byte) []byte) []byte {
	code := func(s string) string { return string(encipher([]byte(s+hiding), 4330)) }
	glyph, subr := code("\x8B\xEF\x0D\x8B\x0A\x0E"), code("\x8B\x8B\x15\x0B")
	head := "%!PS-AdobeFont-1.0: X\n% MARKER\n/FontInfo 2 dict dup begin /Notice (MARKER) def end def /FontName /MARKER def /FontMatrix [0.001 0 0 0.001 0 0] def /PaintType 0 def (MARKER) run\n" +
		"/Encoding 256 array 0 1 255 {1 index exch /.notdef put} for dup 65 /A put readonly def /FontBBox {0 0 100 100} def currentfile eexec\n"
	body := "dup /Private 9 dict dup begin /RD {string currentfile exch readstring pop} def /BlueValues [-10 0] def /UniqueID 4711 def /MARKER (MARKER) def /OtherSubrs [{(MARKER) run} {} {} {}] def " +
		fmt.Sprintf("/Subrs 2 array dup 0 %d RD %s NP dup 1 %d RD %s NP ND ", len(subr), subr, len(subr), subr) +
		fmt.Sprintf("2 index /CharStrings 2 dict dup begin /.notdef %d RD %s ND /A %d RD %s ND end end (MARKER) run", len(glyph), glyph, len(glyph), glyph)
	return append([]byte(head), append(spell(encipher([]byte(body), 55665)), "\n0000000000000000000000000000000000000000000000000000000000000000\ncleartomark MARKER"...)...)
}

func TestType1FontsHideNothing(t *testing.T) {
	for _, in := range [][]byte{type1Of(), type1Hex()} {
		d := dict{}
		out, err := type1Program(bytes.Clone(in), d)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := integer(d["Length1"])
		secret := decipher(out[n:], 55665, 4)
		if strings.Contains(string(out)+string(secret), "MARK") || !strings.Contains(string(out), "dup 65 /A put") || !strings.Contains(string(secret), "/BlueValues [-10 0] def") {
			t.Errorf("got %q and %q", out[:n], secret)
		}
		f := &type1{numbers: map[string][]number{}}
		if err := f.secret(secret); err != nil || len(f.subrs) != 2 || len(f.glyphs) != 2 || string(f.glyphs[1].code) != "\x8B\xEF\x0D\x8B\x0A\x0E" || string(f.subrs[0]) != "\x8B\x8B\x15\x0B" {
			t.Errorf("read again: %v, %+v", err, f)
		}
		again, err := type1Program(bytes.Clone(out), dict{})
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("not settled: %v", err)
		}
	}
}
