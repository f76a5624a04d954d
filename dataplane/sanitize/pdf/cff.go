package pdf

import (
	"encoding/binary"
	"fmt"
)

// A CFF font (Adobe Technical Note 5176) is a few indexes and dictionaries that point at each other; between them there may lie
// anything. It is read into its parts and written again without gaps: subroutines end where their programs end (see charstring.go),
// what no glyph calls is gone, names are those of glyphs only. A font in which a glyph ends before its place does, or a part is cut
// off, is damaged: readers show another font instead of it, and one that was mended would lack letters.

// cffEntry is one operator of a dictionary with its operands.
type cffEntry struct {
	op   int // two-byte operators are 12<<8 and the second
	raw  []byte
	ints []int // of reals: 0
}

type cffDict []cffEntry

// Operators of dictionaries that have a meaning here.
const (
	opCharset     = 15
	opEncoding    = 16
	opCharStrings = 17
	opPrivate     = 18
	opSubrs       = 19
	opROS         = 12<<8 | 30
	opCharType    = 12<<8 | 6
	opFDArray     = 12<<8 | 36
	opFDSelect    = 12<<8 | 37
)

// Operators that are kept as they stand: numbers that say how a font is drawn (tables 9, 10 and 23).
var (
	cffTopKept     = map[int]bool{5: true, 12<<8 | 1: true, 12<<8 | 2: true, 12<<8 | 3: true, 12<<8 | 4: true, 12<<8 | 5: true, opCharType: true, 12<<8 | 7: true, 12<<8 | 8: true, opROS: true, 12<<8 | 31: true, 12<<8 | 32: true, 12<<8 | 33: true, 12<<8 | 34: true}
	cffPrivateKept = map[int]bool{6: true, 7: true, 8: true, 9: true, 10: true, 11: true, 20: true, 21: true, 12<<8 | 9: true, 12<<8 | 10: true, 12<<8 | 11: true, 12<<8 | 12: true, 12<<8 | 13: true, 12<<8 | 14: true, 12<<8 | 17: true, 12<<8 | 18: true, 12<<8 | 19: true}
)

func (d cffDict) find(op int) ([]int, bool) {
	for _, e := range d {
		if e.op == op {
			return e.ints, true
		}
	}
	return nil, false
}

// offset is the one operand of an operator.
func (d cffDict) offset(op int) (int, bool) {
	v, ok := d.find(op)
	if !ok || len(v) != 1 {
		return 0, false
	}
	return v[0], true
}

func readCFFDict(in []byte) (cffDict, error) {
	var d cffDict
	var ints []int
	from := 0
	for at := 0; at < len(in); {
		b := int(in[at])
		rest := len(in) - at - 1
		switch {
		case b <= 21:
			op := b
			end := at
			if at++; b == 12 {
				if rest < 1 {
					return nil, errFont
				}
				op = 12<<8 | int(in[at])
				at++
			}
			d = append(d, cffEntry{op, in[from:end], ints})
			ints, from = nil, at
			continue
		case b == 28 && rest >= 2:
			ints, at = append(ints, int(int16(binary.BigEndian.Uint16(in[at+1:])))), at+3
		case b == 29 && rest >= 4:
			ints, at = append(ints, int(int32(binary.BigEndian.Uint32(in[at+1:])))), at+5
		case b == 30:
			for at++; at < len(in) && in[at]&0xF != 0xF && in[at]>>4 != 0xF; at++ {
			}
			ints, at = append(ints, 0), at+1
		case b >= 32 && b <= 246:
			ints, at = append(ints, b-139), at+1
		case b >= 247 && b <= 250 && rest >= 1:
			ints, at = append(ints, (b-247)*256+int(in[at+1])+108), at+2
		case b >= 251 && b <= 254 && rest >= 1:
			ints, at = append(ints, -(b-251)*256-int(in[at+1])-108), at+2
		default:
			return nil, errFont
		}
		if len(ints) > 48 || at > len(in) {
			return nil, errFont
		}
	}
	if from != len(in) {
		return nil, errFont
	}
	return d, nil
}

// write has the operators that are kept, then those whose operands are places.
func (d cffDict) write(kept map[int]bool, places ...cffPlace) (b []byte) {
	for _, e := range d { // ROS stands first
		if kept[e.op] {
			b = appendOp(append(b, e.raw...), e.op)
		}
	}
	for _, p := range places {
		for _, v := range p.v {
			b = append(b, 29)
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
		b = appendOp(b, p.op)
	}
	return b
}

type cffPlace struct {
	op int
	v  []int
}

func appendOp(b []byte, op int) []byte {
	if op >= 12<<8 {
		return append(b, 12, byte(op))
	}
	return append(b, byte(op))
}

// readCFFIndex answers the parts of an index, and where it ends.
func readCFFIndex(in []byte, at int) (parts [][]byte, end int, err error) {
	if at < 0 || at+2 > len(in) {
		return nil, 0, errFont
	}
	n := int(binary.BigEndian.Uint16(in[at:]))
	if n == 0 {
		return nil, at + 2, nil
	}
	if at+3 > len(in) || in[at+2] < 1 || in[at+2] > 4 {
		return nil, 0, errFont
	}
	size := int(in[at+2])
	offsets := at + 3
	data := offsets + (n+1)*size - 1
	if data > len(in) {
		return nil, 0, errFont
	}
	before := 1
	for i := range n + 1 {
		v := 0
		for _, c := range in[offsets+i*size : offsets+(i+1)*size] {
			v = v<<8 | int(c)
		}
		if v < before || data+v > len(in) {
			return nil, 0, errFont
		}
		if i > 0 {
			parts = append(parts, in[data+before:data+v])
		}
		before = v
	}
	return parts, data + before, nil
}

func appendCFFIndex(b []byte, parts [][]byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(parts)))
	if len(parts) == 0 {
		return b
	}
	total := 1
	for _, p := range parts {
		total += len(p)
	}
	size := 1
	for total>>(8*size) > 0 {
		size++
	}
	b = append(b, byte(size))
	at := 1
	for i := range len(parts) + 1 {
		for s := size - 1; s >= 0; s-- {
			b = append(b, byte(at>>(8*s)))
		}
		if i < len(parts) {
			at += len(parts[i])
		}
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// cffPrivate is one private dictionary with its subroutines.
type cffPrivate struct {
	d     cffDict
	subrs [][]byte
	font  cffDict // the one that points at it
}

// cffFont is what is read of a font.
type cffFont struct {
	in                       []byte
	top                      cffDict
	names, strings, gsubrs   [][]byte
	glyphs                   [][]byte
	charset, encoding, chose []byte
	charsetAt, encodingAt    int // 0 to 2: a predefined one
	privates                 []cffPrivate
	of                       []byte // private of each glyph, where there are several
	cid                      bool
}

// cff writes a CFF font again.
func cff(in []byte) ([]byte, error) {
	f, err := readCFF(in)
	if err != nil {
		return nil, fmt.Errorf("%w (CFF)", err)
	}
	if err := f.trim(); err != nil {
		return nil, fmt.Errorf("%w (CFF)", err)
	}
	return f.write(), nil
}

func readCFF(in []byte) (*cffFont, error) {
	f := &cffFont{in: in}
	if len(in) < 8 || in[0] != 1 || in[2] < 4 {
		return nil, fmt.Errorf("%w: header", errFont)
	}
	at := int(in[2])
	var tops [][]byte
	var err error
	for _, to := range []*[][]byte{&f.names, &tops, &f.strings, &f.gsubrs} {
		if *to, at, err = readCFFIndex(in, at); err != nil {
			return nil, fmt.Errorf("%w: index", errFont)
		}
	}
	if len(tops) != 1 {
		return nil, fmt.Errorf("%w: %d fonts in one", errFont, len(tops))
	}
	if f.top, err = readCFFDict(tops[0]); err != nil {
		return nil, fmt.Errorf("%w: top", errFont)
	}
	if t, ok := f.top.offset(opCharType); ok && t != 2 {
		return nil, fmt.Errorf("%w: charstrings of type %d", errFont, t)
	}
	_, f.cid = f.top.find(opROS)
	at, _ = f.top.offset(opCharStrings)
	if f.glyphs, _, err = readCFFIndex(in, at); err != nil || len(f.glyphs) == 0 {
		return nil, fmt.Errorf("%w: glyphs", errFont)
	}
	f.charsetAt, _ = f.top.offset(opCharset)
	if f.charsetAt > 2 {
		if f.charset, err = f.table(f.charsetAt, f.charsetSize); err != nil {
			return nil, fmt.Errorf("%w: charset", errFont)
		}
	}
	if f.encodingAt, _ = f.top.offset(opEncoding); f.encodingAt > 1 && !f.cid {
		if f.encoding, err = f.table(f.encodingAt, encodingSize); err != nil {
			return nil, fmt.Errorf("%w: encoding", errFont)
		}
	}
	if f.cid {
		return f, f.readFonts()
	}
	p, err := f.private(f.top)
	f.privates = []cffPrivate{p}
	return f, err
}

// table is what lies at a place and is as long as size tells; a size of 0 is none that is known.
func (f *cffFont) table(at int, size func([]byte) int) ([]byte, error) {
	if at < 0 || at >= len(f.in) {
		return nil, errFont
	}
	b := f.in[at:]
	n := size(b)
	if n <= 0 || n > len(b) {
		return nil, errFont
	}
	return b[:n], nil
}

func (f *cffFont) charsetSize(b []byte) int {
	left := len(f.glyphs) - 1
	switch b[0] {
	case 0:
		return 1 + 2*left
	case 1, 2:
		at, more := 1, int(b[0])
		for left > 0 {
			if at+2+more > len(b) {
				return 0
			}
			n := int(b[at+2])
			if more == 2 {
				n = n<<8 | int(b[at+3])
			}
			left -= n + 1
			at += 2 + more
		}
		return at
	}
	return 0
}

func encodingSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	n := 2 + int(b[1])*(1+int(b[0]&0x7F))
	if b[0]&0x7F > 1 {
		return 0
	}
	if b[0]&0x80 != 0 {
		if n >= len(b) {
			return 0
		}
		n += 1 + 3*int(b[n])
	}
	return n
}

func (f *cffFont) private(d cffDict) (p cffPrivate, err error) {
	p.font = d
	v, ok := d.find(opPrivate)
	if !ok {
		return p, nil
	}
	if len(v) != 2 || v[0] < 0 || v[1] < 0 || v[1] > len(f.in)-v[0] {
		return p, fmt.Errorf("%w: private", errFont)
	}
	if p.d, err = readCFFDict(f.in[v[1] : v[1]+v[0]]); err != nil {
		return p, fmt.Errorf("%w: private", errFont)
	}
	if at, ok := p.d.offset(opSubrs); ok && at != 0 {
		if p.subrs, _, err = readCFFIndex(f.in, v[1]+at); err != nil {
			return p, fmt.Errorf("%w: subroutines", errFont)
		}
	}
	return p, nil
}

// readFonts reads the fonts that a font of CIDs is made of, and which glyph is of which.
func (f *cffFont) readFonts() error {
	at, ok := f.top.offset(opFDArray)
	fonts, _, err := readCFFIndex(f.in, at)
	if !ok || err != nil || len(fonts) == 0 || len(fonts) > 256 {
		return fmt.Errorf("%w: fonts of a font", errFont)
	}
	for _, b := range fonts {
		d, err := readCFFDict(b)
		if err != nil {
			return err
		}
		p, err := f.private(d)
		if err != nil {
			return err
		}
		f.privates = append(f.privates, p)
	}
	f.of = make([]byte, len(f.glyphs))
	at, ok = f.top.offset(opFDSelect)
	if !ok {
		return fmt.Errorf("%w: fonts of glyphs", errFont)
	}
	f.chose, err = f.table(at, func(b []byte) int {
		switch {
		case b[0] == 0 && len(b) > len(f.glyphs):
			copy(f.of, b[1:])
			return 1 + len(f.glyphs)
		case b[0] == 3 && len(b) >= 5:
			n := int(binary.BigEndian.Uint16(b[1:]))
			if 3+3*n+2 > len(b) {
				return 0
			}
			for i := range n {
				from, to := int(binary.BigEndian.Uint16(b[3+3*i:])), int(binary.BigEndian.Uint16(b[6+3*i:]))
				for g := from; g < min(to, len(f.glyphs)); g++ {
					f.of[g] = b[5+3*i]
				}
			}
			return 3 + 3*n + 2
		}
		return 0
	})
	for _, p := range f.of {
		if int(p) >= len(f.privates) {
			return fmt.Errorf("%w: fonts of glyphs", errFont)
		}
	}
	return err
}

// trim cuts subroutines where they end, empties those that nothing calls, and keeps the strings that name glyphs.
func (f *cffFont) trim() error {
	global := newSubrs(f.gsubrs)
	steps := min(maxSteps, 200_000+50*len(f.in))
	locals := make([]*subrs, len(f.privates))
	for i, p := range f.privates {
		locals[i] = newSubrs(p.subrs)
	}
	for g, code := range f.glyphs {
		own := 0
		if f.cid {
			own = int(f.of[g])
		}
		c := &charstring{global: global, local: locals[own], steps: &steps}
		end, err := c.run(code, 0)
		if err != nil {
			return fmt.Errorf("%w: glyph %d", err, g)
		}
		if end < len(code) && !(end == len(code)-1 && code[end] == 11) { // some return in the end
			return fmt.Errorf("%w: glyph %d ends at %d of %d", errFont, g, end, len(code))
		}
		if !c.done {
			code = append(code[:end:end], 14)
		}
		f.glyphs[g] = code
	}
	f.gsubrs = global.trimmed()
	for i := range f.privates {
		f.privates[i].subrs = locals[i].trimmed()
	}
	used := map[int]bool{}
	if f.cid {
		v, _ := f.top.find(opROS)
		for _, sid := range v[:min(2, len(v))] {
			used[sid] = true
		}
	} else {
		f.sids(used)
	}
	for i, s := range f.strings {
		if !used[391+i] {
			f.strings[i] = nil
			continue
		}
		for _, c := range s {
			if !regular(c) {
				return fmt.Errorf("%w: name of a glyph", errFont)
			}
		}
	}
	return nil
}

// sids are the strings that name glyphs: 391 of them are standard ones.
func (f *cffFont) sids(used map[int]bool) {
	b := f.charset
	if len(b) > 0 {
		switch more := int(b[0]); more {
		case 0:
			for i := 1; i+1 < len(b); i += 2 {
				used[int(binary.BigEndian.Uint16(b[i:]))] = true
			}
		default:
			for i := 1; i+2 < len(b); i += 2 + more {
				n := int(b[i+2])
				if more == 2 {
					n = n<<8 | int(b[i+3])
				}
				for s := range n + 1 {
					used[int(binary.BigEndian.Uint16(b[i:]))+s] = true
				}
			}
		}
	}
	if e := f.encoding; len(e) > 0 && e[0]&0x80 != 0 {
		for i := 2 + int(e[1])*(1+int(e[0]&0x7F)) + 1; i+2 < len(e); i += 3 {
			used[int(binary.BigEndian.Uint16(e[i+1:]))] = true
		}
	}
}

// write lays the parts one behind the other. Places are numbers of five bytes, so that no dictionary changes its size by them.
func (f *cffFont) write() []byte {
	var charset, encoding, glyphs, fonts, chosen int
	privates := make([]int, len(f.privates))
	dicts := make([][]byte, len(f.privates))
	for i, p := range f.privates {
		if dicts[i] = p.d.write(cffPrivateKept); len(p.subrs) > 0 {
			dicts[i] = append(dicts[i], 29, 0, 0, 0, 0, opSubrs)
			binary.BigEndian.PutUint32(dicts[i][len(dicts[i])-5:], uint32(len(dicts[i])))
		}
	}
	place := func(i int) cffPlace { return cffPlace{opPrivate, []int{len(dicts[i]), privates[i]}} }
	var out []byte
	for range 2 { // the first time to learn the places
		places := []cffPlace{{opCharStrings, []int{glyphs}}}
		if f.charset != nil {
			places = append(places, cffPlace{opCharset, []int{charset}})
		} else if f.charsetAt != 0 {
			places = append(places, cffPlace{opCharset, []int{f.charsetAt}})
		}
		if f.encoding != nil {
			places = append(places, cffPlace{opEncoding, []int{encoding}})
		} else if f.encodingAt == 1 {
			places = append(places, cffPlace{opEncoding, []int{1}})
		}
		if f.cid {
			places = append(places, cffPlace{opFDArray, []int{fonts}}, cffPlace{opFDSelect, []int{chosen}})
		} else {
			places = append(places, place(0))
		}
		out = append(out[:0], 1, 0, 4, 4)
		out = appendCFFIndex(out, [][]byte{[]byte("Font")})
		out = appendCFFIndex(out, [][]byte{f.top.write(cffTopKept, places...)})
		out = appendCFFIndex(out, f.strings)
		out = appendCFFIndex(out, f.gsubrs)
		charset = len(out)
		out = append(out, f.charset...)
		encoding = len(out)
		out = append(out, f.encoding...)
		chosen = len(out)
		out = append(out, f.chose...)
		glyphs = len(out)
		out = appendCFFIndex(out, f.glyphs)
		if fonts = len(out); f.cid {
			var all [][]byte
			for i, p := range f.privates {
				all = append(all, p.font.write(cffTopKept, place(i)))
			}
			out = appendCFFIndex(out, all)
		}
		for i, p := range f.privates {
			privates[i] = len(out)
			out = append(out, dicts[i]...)
			if len(p.subrs) > 0 {
				out = appendCFFIndex(out, p.subrs)
			}
		}
	}
	return out
}
