package pdf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// A font of Type 1 (Adobe Type 1 Font Format) is two programs in PostScript, the second one enciphered with a key that everybody
// knows. What a reader takes from them is read here: numbers, an encoding, and the charstrings of glyphs and subroutines. Of these the
// programs are written anew, always the same but for that.

// type1 is what is read.
type type1 struct {
	numbers  map[string][]number // of the keys below
	standard bool
	encoding []type1Code
	bold     bool
	subrs    [][]byte
	glyphs   []type1Glyph
}

type type1Code struct {
	n    int
	name name
}

type type1Glyph struct {
	name name
	code []byte
}

// Keys of the private part that have numbers, with how many at most.
var type1Keys = []struct {
	key  string
	most int // 1: no array
}{{"BlueValues", 14}, {"OtherBlues", 10}, {"FamilyBlues", 14}, {"FamilyOtherBlues", 10}, {"BlueScale", 1}, {"BlueShift", 1}, {"BlueFuzz", 1}, {"StdHW", 12}, {"StdVW", 12}, {"StemSnapH", 12}, {"StemSnapV", 12}, {"LanguageGroup", 1}, {"ExpansionFactor", 1}}

const maxSubrs = 65_536

// type1Program reads a font of Type 1 and writes it again.
func type1Program(in []byte, out dict) ([]byte, error) {
	if len(in) > 6 && in[0] == 0x80 { // in segments, as on a PC
		in = unsegment(in)
	}
	at := bytes.Index(in, []byte("eexec"))
	if !bytes.HasPrefix(in, []byte("%!")) || at < 0 {
		return nil, fmt.Errorf("%w: no Type 1", errFont)
	}
	start := at + len("eexec")
	for start < len(in) && space(in[start]) {
		start++
	}
	f := &type1{numbers: map[string][]number{}}
	f.open(in[:at])
	if err := f.secret(plainText(in[start:])); err != nil {
		return nil, fmt.Errorf("%w (Type 1)", err)
	}
	head, body := f.head(), encipher(f.body(), 55665)
	out["Length1"], out["Length2"], out["Length3"] = whole(len(head)), whole(len(body)), whole(0)
	return append(head, body...), nil
}

func unsegment(in []byte) (out []byte) {
	for len(in) >= 6 && in[0] == 0x80 && in[1] != 3 {
		n := int(binary.LittleEndian.Uint32(in[2:]))
		if n > len(in)-6 {
			break
		}
		out = append(out, in[6:6+n]...)
		in = in[6+n:]
	}
	return out
}

// plainText is what eexec reads: bytes, or hexadecimal digits where the first four are such.
func plainText(in []byte) []byte {
	digits := len(in) >= 4
	for i := 0; digits && i < 4; i++ {
		digits = strings.IndexByte("0123456789abcdefABCDEF", in[i]) >= 0
	}
	if digits {
		clean := bytes.Map(func(r rune) rune {
			if r < 0x80 && space(byte(r)) {
				return -1
			}
			return r
		}, in)
		b := make([]byte, len(clean)/2)
		n, _ := hex.Decode(b, clean[:len(clean)&^1]) // up to what is no digit
		in = b[:n]
	}
	return decipher(in, 55665, 4)
}

// decipher undoes eexec, and takes off the bytes that it begins with (7.1).
func decipher(in []byte, key uint16, skip int) []byte {
	out := make([]byte, len(in))
	for i, c := range in {
		out[i] = c ^ byte(key>>8)
		key = (uint16(c)+key)*52845 + 22719
	}
	return out[min(max(skip, 0), len(out)):]
}

// encipher puts four zeros before what it enciphers.
func encipher(in []byte, key uint16) []byte {
	out := make([]byte, len(in)+4)
	copy(out[4:], in)
	for i := range out {
		out[i] ^= byte(key >> 8)
		key = (uint16(out[i])+key)*52845 + 22719
	}
	return out
}

// after is a lexer behind a key, or nil.
func after(in []byte, key string) *lexer {
	for at := 0; ; {
		i := bytes.Index(in[at:], []byte("/"+key))
		if i < 0 {
			return nil
		}
		if at += i + 1 + len(key); at < len(in) && (space(in[at]) || delimiter(in[at])) {
			return &lexer{b: in, at: at}
		}
	}
}

// take reads the number behind a key, or those in brackets or braces.
func (f *type1) take(in []byte, key string, most int) {
	l := after(in, key)
	if l == nil {
		return
	}
	var out []number
	for open := false; len(out) < most; {
		t, err := l.next()
		if err != nil || t.kind == tokEnd || t.kind == tokWord || t.kind == tokClose || t.kind == tokBraceEnd {
			break
		}
		if t.kind == tokOpen || t.kind == tokBrace {
			open = true
			continue
		}
		n, ok := t.v.(number)
		if !ok {
			break
		}
		if out = append(out, n); !open {
			break
		}
	}
	f.numbers[key] = out
}

// open reads the part in clear.
func (f *type1) open(in []byte) {
	f.take(in, "FontMatrix", 6)
	f.take(in, "FontBBox", 4)
	f.take(in, "PaintType", 1)
	f.standard = true
	l := after(in, "Encoding")
	if l == nil {
		return
	}
	t, err := l.next()
	if f.standard = err == nil && t.word == "StandardEncoding"; f.standard {
		return
	}
	for err == nil && t.kind != tokEnd && t.word != "def" && t.word != "readonly" {
		if t.word == "dup" {
			n, err1 := l.next()
			glyph, err2 := l.next()
			code, ok := integer(n.v)
			called, ok2 := glyph.v.(name)
			if err1 == nil && err2 == nil && ok && ok2 && code >= 0 && code < 256 && len(f.encoding) < 256 {
				f.encoding = append(f.encoding, type1Code{code, called})
			}
		}
		t, err = l.next()
	}
}

// secret reads the part that was enciphered.
func (f *type1) secret(in []byte) error {
	if bytes.Contains(in, []byte("/WeightVector")) || after(in, "CharStrings") == nil {
		return fmt.Errorf("%w: no glyphs, or several masters", errFont)
	}
	for _, k := range type1Keys {
		f.take(in, k.key, k.most)
	}
	if l := after(in, "ForceBold"); l != nil {
		t, err := l.next()
		f.bold = err == nil && t.word == "true"
	}
	lead := 4
	f.take(in, "lenIV", 1)
	if v := f.numbers["lenIV"]; len(v) == 1 {
		lead, _ = integer(v[0])
	}
	if l := after(in, "Subrs"); l != nil {
		if err := f.readSubrs(l, lead); err != nil {
			return err
		}
	}
	return f.readGlyphs(after(in, "CharStrings"), lead)
}

// code reads a length, a word for "read so many bytes", one space and the bytes.
func (l *lexer) code(lead int) ([]byte, error) {
	size, err := l.next()
	n, ok := integer(size.v)
	read, err2 := l.next()
	if err != nil || err2 != nil || !ok || read.kind != tokWord || n < 0 || n > len(l.b)-l.at-1 {
		return nil, fmt.Errorf("%w: a program's length", errFont)
	}
	b := l.b[l.at+1 : l.at+1+n]
	l.at += 1 + n
	if lead >= 0 {
		b = decipher(b, 4330, lead)
	}
	return type1End(b)
}

func (f *type1) readSubrs(l *lexer, lead int) error {
	count, err := l.next()
	n, ok := integer(count.v)
	if err != nil || !ok || n < 0 || n > maxSubrs {
		return nil // "[]", or none
	}
	f.subrs = make([][]byte, n)
	for {
		t, err := l.next()
		switch {
		case err != nil:
			return fmt.Errorf("%w: subroutines", errFont)
		case t.word == "dup":
			at, err := l.next()
			i, ok := integer(at.v)
			if err != nil || !ok || i < 0 || i >= n {
				return fmt.Errorf("%w: subroutines", errFont)
			}
			if f.subrs[i], err = l.code(lead); err != nil {
				return err
			}
		case t.kind == tokEnd || t.word == "ND" || t.word == "|-" || t.word == "def" || t.kind == tokValue:
			return nil
		}
	}
}

func (f *type1) readGlyphs(l *lexer, lead int) error {
	for {
		t, err := l.next()
		if err != nil {
			return fmt.Errorf("%w: glyphs", errFont)
		}
		called, ok := t.v.(name)
		if !ok {
			if t.kind == tokEnd || t.word == "end" && len(f.glyphs) > 0 {
				break
			}
			continue
		}
		code, err := l.code(lead)
		if err != nil {
			return err
		}
		if f.glyphs = append(f.glyphs, type1Glyph{called, code}); len(f.glyphs) > maxSubrs {
			return fmt.Errorf("%w: glyphs", errFont)
		}
	}
	if len(f.glyphs) == 0 {
		return fmt.Errorf("%w: no glyphs", errFont)
	}
	return nil
}

// type1End is a charstring up to where it ends (6.4): nothing in it jumps, so that is the first operator that ends one.
func type1End(b []byte) ([]byte, error) {
	for at := 0; at < len(b); {
		c := b[at]
		at++
		switch {
		case c >= 32 && c <= 246:
		case c >= 247 && c <= 254:
			at++
		case c == 255:
			at += 4
		case c == 11 || c == 14:
			return b[:at], nil
		case c == 1 || c >= 3 && c <= 10 || c == 13 || c == 21 || c == 22 || c == 30 || c == 31:
		case c == 12 && at < len(b):
			switch b[at] {
			case 6: // an accented letter, of two others
				return b[:at+1], nil
			case 0, 1, 2, 7, 12, 16, 17, 33:
			default:
				return nil, fmt.Errorf("%w: operator 12 %d", errFont, b[at])
			}
			at++
		default:
			return nil, fmt.Errorf("%w: operator %d", errFont, c)
		}
		if at > len(b) {
			return nil, fmt.Errorf("%w: a program without its end", errFont)
		}
	}
	return b, nil
}

func (f *type1) list(key string, otherwise string) string {
	v := f.numbers[key]
	if len(v) == 0 {
		return otherwise
	}
	s := make([]string, len(v))
	for i, n := range v {
		s[i] = string(n)
	}
	return strings.Join(s, " ")
}

func (f *type1) head() []byte {
	matrix, box := f.list("FontMatrix", ""), f.list("FontBBox", "")
	if len(f.numbers["FontMatrix"]) != 6 {
		matrix = "0.001 0 0 0.001 0 0"
	}
	if len(f.numbers["FontBBox"]) != 4 {
		box = "0 0 0 0"
	}
	paint := "0"
	if f.list("PaintType", "0") == "2" {
		paint = "2"
	}
	b := fmt.Appendf(nil, "%%!PS-AdobeFont-1.0: Font\n11 dict begin\n/FontName /Font def\n/PaintType %s def\n/FontType 1 def\n/FontMatrix [%s] readonly def\n", paint, matrix)
	if f.standard {
		b = append(b, "/Encoding StandardEncoding def\n"...)
	} else {
		b = append(b, "/Encoding 256 array\n0 1 255 {1 index exch /.notdef put} for\n"...)
		for _, c := range f.encoding {
			b = fmt.Appendf(b, "dup %d /%s put\n", c.n, c.name)
		}
		b = append(b, "readonly def\n"...)
	}
	return fmt.Appendf(b, "/FontBBox {%s} readonly def\ncurrentdict end\ncurrentfile eexec\n", box)
}

// body is the private part. OtherSubrs, which are programs in PostScript, are known to readers by their numbers.
func (f *type1) body() []byte {
	b := []byte("dup /Private 24 dict dup begin\n/RD {string currentfile exch readstring pop} executeonly def\n/ND {noaccess def} executeonly def\n/NP {noaccess put} executeonly def\n" +
		"/MinFeature {16 16} def\n/password 5839 def\n/OtherSubrs [{} {} {} {}] def\n")
	for _, k := range type1Keys {
		switch v := f.list(k.key, ""); {
		case v == "":
		case k.most == 1:
			b = fmt.Appendf(b, "/%s %s def\n", k.key, v)
		default:
			b = fmt.Appendf(b, "/%s [%s] def\n", k.key, v)
		}
	}
	if f.bold {
		b = append(b, "/ForceBold true def\n"...)
	}
	b = fmt.Appendf(b, "/Subrs %d array\n", len(f.subrs))
	for i, s := range f.subrs {
		if len(s) > 0 {
			b = fmt.Appendf(b, "dup %d %d RD ", i, len(s)+4)
			b = append(append(b, encipher(s, 4330)...), " NP\n"...)
		}
	}
	b = fmt.Appendf(b, "ND\n2 index /CharStrings %d dict dup begin\n", len(f.glyphs))
	for _, g := range f.glyphs {
		b = fmt.Appendf(b, "/%s %d RD ", g.name, len(g.code)+4)
		b = append(append(b, encipher(g.code, 4330)...), " ND\n"...)
	}
	return append(b, "end\nend\nreadonly put\nnoaccess put\ndup /FontName get exch definefont pop\nmark currentfile closefile\n"...)
}
