package pdf

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
)

// stream looks at what a stream holds, by its kind.
func (g *graph) stream(o *object) error {
	if o.v.key("Filter").s == "DCTDecode" {
		return g.jpeg(o)
	}
	if o.v.keys["DecodeParms"] != nil {
		return g.no("", "parameters of a filter")
	}
	b, err := g.content(o, maxStream)
	if err != nil {
		return err
	}
	ok := true
	switch o.kind {
	case "Contents", "Form", "TilingPattern", "Glyph":
		return operators(g.Ctx, b)
	case "Image":
		return g.pixels(o.v, len(b))
	case "Samples":
		bits := o.v.key("BitsPerSample").i * len(o.v.key("Range").kids) / 2
		for _, k := range o.v.key("Size").kids {
			if bits *= k.i; bits <= 0 || bits > 8*maxStream {
				return g.no("", "samples of a function")
			}
		}
		ok = len(b) == (bits+7)/8
	case "Calculator":
		return g.words(b, calculator)
	case "CMap", "ToUnicode":
		return g.words(b, mapWords)
	case "TrueTypeProgram":
		ok = tables(b)
	case "CompactProgram":
		if o.v.key("Subtype").s == "OpenType" {
			ok = tables(b)
		} else {
			ok = compact(b)
		}
	case "Type1Program":
		ok = typeOne(b, o.v.key("Length1").i, o.v.key("Length2").i, o.v.key("Length3").i)
	case "Profile":
		ok = profile(b)
	case "Lookup", "GlyphMap":
		ok = len(b) <= 1<<18
	case "Mesh", "Attachment": // an attachment is looked at with its name: see attached
	default:
		ok = false
	}
	if !ok {
		return g.no("", "data of a %s", o.kind)
	}
	return nil
}

func (g *graph) jpeg(o *object) error {
	if p := o.v.key("DecodeParms"); p.t != '0' && (p.t != 'd' || len(p.keys) != 1 || p.key("ColorTransform").t != 'i') {
		return g.no("", "parameters of a JPEG")
	}
	if o.kind != "Image" {
		return g.no("", "a JPEG as %s", o.kind)
	}
	return g.Nested("", "picture.jpg", o.data)
}

// pixels holds the bytes of a picture to its size: nothing lies behind the last row.
func (g *graph) pixels(d *node, size int) error {
	w, h, bits := d.key("Width").i, d.key("Height").i, d.key("BitsPerComponent").i
	if w <= 0 || h <= 0 || w > 30_000 || h > 30_000 || bits <= 0 || bits > 16 {
		return g.no("", "picture of %d x %d x %d", w, h, bits)
	}
	n := 1
	if d.key("ImageMask").s != "true" {
		n = g.colours(d.key("ColorSpace"), 0)
	}
	if n == 0 || size != (w*bits*n+7)/8*h {
		return g.no("", "picture of %d x %d, %d x %d bits, holds %d bytes", w, h, n, bits, size)
	}
	return nil
}

// colours of a colour space; 0 for what is none.
func (g *graph) colours(v *node, level int) int {
	v = g.direct(v)
	s := v.s
	if v.t == 'a' && len(v.kids) > 1 && level < 4 {
		s = v.kids[0].s
		switch s {
		case "ICCBased":
			if o := g.objects[v.kids[1].i]; o != nil && v.kids[1].t == 'r' {
				return o.v.key("N").i
			}
			return 0
		case "DeviceN":
			return len(g.direct(v.kids[1]).kids)
		}
	}
	switch s {
	case "DeviceGray", "CalGray", "Indexed", "Separation", "G", "I":
		return 1
	case "DeviceRGB", "CalRGB", "Lab", "RGB":
		return 3
	case "DeviceCMYK", "CMYK":
		return 4
	}
	return 0
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var (
	calculator = set("{ } abs add and atan bitshift ceiling copy cos cvi cvr div dup eq exch exp false floor ge gt idiv if ifelse index le ln log lt mod mul ne neg not or pop roll round sin sqrt sub true truncate xor")
	mapWords   = set(`begin dict findresource begincmap endcmap def usecmap begincodespacerange endcodespacerange begincidrange endcidrange begincidchar endcidchar
		beginbfrange endbfrange beginbfchar endbfchar beginnotdefrange endnotdefrange beginnotdefchar endnotdefchar CMapName currentdict defineresource pop end`)
)

// words holds a small program to words that are known, and values.
func (g *graph) words(b []byte, known map[string]bool) error {
	s := &scanner{in: b}
	for {
		n, err := s.value(0)
		switch {
		case err != nil:
			return g.no("", "byte %d: %v", s.at, err)
		case n.t == 'e':
			return nil
		case n.t == 'w' && !known[n.s], n.t == 'd':
			return g.no("", "byte %d: %q", s.at, n.s)
		}
	}
}

var profileTags = set("A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC wtpt bkpt chad gamt")

func profile(b []byte) bool {
	if len(b) < 132 || int(binary.BigEndian.Uint32(b)) != len(b) || string(b[36:40]) != "acsp" {
		return false
	}
	n := int(binary.BigEndian.Uint32(b[128:]))
	if n > 100 || 132+12*n > len(b) {
		return false
	}
	for i := range n {
		e := b[132+12*i:]
		from, size := int(binary.BigEndian.Uint32(e[4:])), int(binary.BigEndian.Uint32(e[8:]))
		if !profileTags[string(e[:4])] || from < 132+12*n || from > len(b) || size > len(b)-from {
			return false
		}
	}
	return true
}

// signature of each operator that is written (ISO 32000-2, Annex A): its operands from first to last; d number, N name, s string,
// A array of numbers, T array of numbers and strings, P name or properties, C one to 33 numbers, the last perhaps a name.
var signature = map[string]string{
	"b": "", "B": "", "b*": "", "B*": "", "BDC": "NP", "BMC": "N", "BT": "", "c": "dddddd", "cm": "dddddd", "CS": "N", "cs": "N", "d": "Ad", "d0": "dd", "d1": "dddddd", "Do": "N", "DP": "NP",
	"EMC": "", "ET": "", "f": "", "F": "", "f*": "", "G": "d", "g": "d", "gs": "N", "h": "", "i": "d", "j": "d", "J": "d", "K": "dddd", "k": "dddd", "l": "dd", "m": "dd", "M": "d", "MP": "N",
	"n": "", "q": "", "Q": "", "re": "dddd", "RG": "ddd", "rg": "ddd", "ri": "N", "s": "", "S": "", "SC": "C", "sc": "C", "SCN": "C", "scn": "C", "sh": "N", "T*": "", "Tc": "d", "Td": "dd", "TD": "dd",
	"Tf": "Nd", "Tj": "s", "TJ": "T", "TL": "d", "Tm": "dddddd", "Tr": "d", "Ts": "d", "Tw": "d", "Tz": "d", "v": "dddd", "w": "d", "W": "", "W*": "", "y": "dddd", "'": "s", "\"": "dds",
}

// operators reads a content stream. Saved states, text and marked content end as they begin.
func operators(ctx context.Context, b []byte) error {
	s := &scanner{in: b}
	var operands []*node
	saved, marked, text := 0, 0, false
	no := func(what string) error { return errNot{"content: " + what} }
	for steps := 0; ; steps++ {
		if steps&0x3FFF == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := s.value(0)
		if err != nil {
			return no(err.Error())
		}
		switch n.t {
		case 'e':
			if len(operands) > 0 || saved != 0 || marked != 0 || text {
				return no("ends in the middle")
			}
			return nil
		case 'w':
		default:
			if operands = append(operands, n); len(operands) > 40 {
				return no("operands")
			}
			continue
		}
		if n.s == "BI" {
			if len(operands) > 0 || !s.picture() {
				return no("picture")
			}
			continue
		}
		want, known := signature[n.s]
		if !known || !fits(want, operands) {
			return no("operator " + n.s)
		}
		switch n.s {
		case "q":
			saved++
		case "Q":
			saved--
		case "BMC", "BDC":
			marked++
		case "EMC":
			marked--
		case "BT":
			if text {
				return no("BT in text")
			}
			text = true
		case "ET":
			if !text {
				return no("ET without text")
			}
			text = false
		}
		if saved < 0 || saved > 500 || marked < 0 {
			return no("ends what never began")
		}
		operands = operands[:0]
	}
}

func fits(want string, v []*node) bool {
	if want == "C" {
		for i, n := range v {
			if n.t != 'i' && n.t != 'n' && !(n.t == 'N' && i == len(v)-1) {
				return false
			}
		}
		return len(v) > 0 && len(v) <= 33
	}
	if len(v) != len(want) {
		return false
	}
	for i, n := range v {
		ok := false
		switch want[i] {
		case 'd':
			ok = n.t == 'i' || n.t == 'n'
		case 'N', 's':
			ok = n.t == want[i]
		case 'A', 'T':
			ok = n.t == 'a'
			for _, k := range n.kids {
				ok = ok && (k.t == 'i' || k.t == 'n' || k.t == 's' && want[i] == 'T')
			}
		case 'P':
			ok = n.t == 'N' || n.t == 'd'
			for k, v := range n.keys {
				switch k {
				case "MCID":
					ok = ok && v.t == 'i'
				case "ActualText", "Alt", "E", "Lang":
					ok = ok && v.t == 's'
				case "Type", "Subtype":
					ok = ok && v.t == 'N'
				default:
					ok = false
				}
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

// picture reads an inline picture behind BI: a dictionary that tells its length, that many bytes, EI.
func (s *scanner) picture() bool {
	d := map[string]*node{}
	for {
		k, err := s.value(0)
		if err != nil {
			return false
		}
		if k.t == 'w' && k.s == "ID" {
			break
		}
		if k.t != 'N' || d[k.s] != nil {
			return false
		}
		if d[k.s], err = s.value(0); err != nil || d[k.s].t == 'w' || d[k.s].t == 'e' {
			return false
		}
	}
	for k, v := range d {
		ok := false
		switch k {
		case "W", "H", "BPC", "L":
			ok = v.t == 'i' && v.i > 0
		case "IM", "I":
			ok = v.t == 'b'
		case "CS":
			ok = v.t == 'N' || v.t == 'a' && len(v.kids) == 4
		case "D":
			ok = v.t == 'a'
		case "F":
			ok = v.t == 'N' && v.s == "AHx"
		}
		if !ok {
			return false
		}
	}
	size := d["L"]
	if size == nil || d["W"] == nil || d["H"] == nil || s.at+1+size.i > len(s.in) {
		return false
	}
	data := s.in[s.at+1 : s.at+1+size.i]
	s.at += 1 + size.i
	if bytes.Contains(data, []byte("EI")) || !s.literal("\nEI\n") {
		return false
	}
	length := size.i
	if d["F"] != nil {
		if length = (length - 1) / 2; data[len(data)-1] != '>' {
			return false
		}
	}
	if cs := d["CS"]; cs == nil || cs.t == 'N' {
		n := 1
		if cs != nil {
			n = (&graph{}).colours(cs, 0)
		}
		return n == 0 || d["BPC"] == nil || length == (d["W"].i*d["BPC"].i*n+7)/8*d["H"].i
	}
	return true
}
