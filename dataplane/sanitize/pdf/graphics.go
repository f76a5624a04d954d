package pdf

import (
	"strconv"
	"strings"
)

// colour takes a colour space (8.6): a name, or an array whose first name says what follows.
func colour(w *walk, v value) (value, bool) {
	if w.depth++; w.depth > 2*maxDepth {
		w.depth--
		return nil, false
	}
	defer func() { w.depth-- }()
	v, _ = w.get(v)
	if n, ok := v.(name); ok {
		return n, true // a device's, Pattern, or one of the resources
	}
	a, ok := v.(array)
	if !ok || len(a) == 0 {
		return nil, false
	}
	first, _ := w.get(a[0])
	n, _ := first.(name)
	rest := map[name][]rule{
		"DeviceGray": {}, "DeviceRGB": {}, "DeviceCMYK": {}, "Pattern": {}, "G": {}, "RGB": {}, "CMYK": {},
		"CalGray": {reach("CalGray")}, "CalRGB": {reach("CalRGB")}, "Lab": {reach("Lab")}, "ICCBased": {reach("ICC")},
		"Indexed": {colour, anInt, either(aText, reach("Lookup"))}, "I": {colour, anInt, either(aText, reach("Lookup"))},
		"Separation": {aName, colour, function},
		"DeviceN":    {each(aName), colour, function},
	}
	want, ok := rest[n]
	if !ok {
		return nil, false
	}
	switch {
	case n == "Pattern" && len(a) == 2:
		want = []rule{colour}
	case n == "DeviceN" && len(a) == 5:
		want = append(want, reach("DeviceN"))
	}
	if len(a) < 1+len(want) {
		return nil, false
	}
	out := array{n}
	for i, r := range want {
		v, ok := r(w, a[1+i])
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
	if len(out) == 1 {
		return n, true
	}
	return out, true
}

// components of a colour space as it stands in the old graph; 0 when nobody can tell.
func (w *walk) components(v value, depth int) int {
	v, _ = w.get(v)
	switch v := v.(type) {
	case name:
		switch v {
		case "DeviceGray", "G", "CalGray":
			return 1
		case "DeviceRGB", "RGB", "CalRGB", "Lab":
			return 3
		case "DeviceCMYK", "CMYK":
			return 4
		case "Indexed", "I", "Separation":
			return 1
		}
	case array:
		if len(v) == 0 || depth > 4 {
			return 0
		}
		first, _ := w.get(v[0])
		switch first {
		case name("ICCBased"):
			if len(v) > 1 {
				if d, ok := first2(w.get(v[1])).(dict); ok {
					n, _ := integer(first2(w.get(d["N"])))
					return n
				}
			}
		case name("DeviceN"):
			if len(v) > 1 {
				names, _ := first2(w.get(v[1])).(array)
				return len(names)
			}
		}
		if n, ok := first.(name); ok {
			return w.components(n, depth+1)
		}
	}
	return 0
}

func first2(v value, _ *object) value { return v }

func dash(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	a, ok := v.(array)
	if !ok || len(a) != 2 {
		return nil, false
	}
	pattern, ok := each(aNumber)(w, a[0])
	phase, ok2 := aNumber(w, a[1])
	return array{pattern, phase}, ok && ok2
}

func fontSize(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	a, ok := v.(array)
	if !ok || len(a) != 2 {
		return nil, false
	}
	font, ok := reach("Font")(w, a[0])
	size, ok2 := aNumber(w, a[1])
	return array{font, size}, ok && ok2
}

func function(w *walk, v value) (value, bool) { return reach("Function")(w, v) }

// transfer is a function, four of them, or a name.
func transfer(w *walk, v value) (value, bool) { return either(aName, function, each(function))(w, v) }

var functionKeys = map[name]rule{
	"FunctionType": anInt, "Domain": each(aNumber), "Range": each(aNumber), "Size": each(anInt), "BitsPerSample": anInt, "Order": anInt,
	"Encode": each(aNumber), "Decode": each(aNumber), "C0": each(aNumber), "C1": each(aNumber), "N": aNumber, "Functions": each(function), "Bounds": each(aNumber),
}

// makeFunction parts functions that are streams (types 0 and 4) from those that are dictionaries.
func makeFunction(w *walk, o *object, k kind) (value, bool) {
	if o.stream {
		w.at.stream = true
		return makeStreamFunction(w, o, w.kinds["StreamFunction"])
	}
	v, ok := w.shape(o, kind{keys: k.keys, need: []name{"FunctionType", "Domain"}})
	return v, ok && (v.(dict)["FunctionType"] == number("2") || v.(dict)["FunctionType"] == number("3"))
}

func makeStreamFunction(w *walk, o *object, k kind) (value, bool) {
	k.stream = true
	v, ok := w.shape(o, k)
	if !ok {
		return nil, false
	}
	d := v.(dict)
	data, ok := w.decoded(o)
	if !ok {
		return nil, false
	}
	switch d["FunctionType"] {
	case number("0"):
		bits, _ := integer(d["BitsPerSample"])
		size, _ := d["Size"].(array)
		rng, _ := d["Range"].(array)
		for _, s := range size {
			n, _ := integer(s)
			if n < 1 || n > 1<<20 || bits > 1<<32 {
				return nil, false
			}
			bits *= n
		}
		need := (bits*len(rng)/2 + 7) / 8
		if need <= 0 || need > len(data) {
			return nil, false
		}
		w.at.data = data[:need]
		return d, true
	case number("4"):
		b, err := calculator(data)
		if err != nil {
			return nil, false
		}
		w.at.data = b
		return d, true
	}
	return nil, false
}

// calculate are the operators of a calculator function (7.10.5).
var calculate = words("abs add atan ceiling cos cvi cvr div exp floor idiv ln log mod mul neg round sin sqrt sub truncate and bitshift eq false ge gt le lt ne not or true xor if ifelse copy dup exch index pop roll")

func calculator(in []byte) ([]byte, error) {
	l := &lexer{b: in}
	var out []byte
	for depth := 0; ; {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		switch t.kind {
		case tokBrace:
			if depth++; depth > 50 || depth == 1 && len(out) > 0 {
				return nil, errGrammar
			}
			out = append(out, "{ "...)
		case tokBraceEnd:
			if depth--; depth < 0 {
				return nil, errGrammar
			}
			out = append(out, "} "...)
		case tokValue:
			n, ok := t.v.(number)
			if !ok || depth == 0 {
				return nil, errGrammar
			}
			out = append(append(out, n...), ' ')
		case tokWord:
			if !calculate[t.word] || depth == 0 {
				return nil, errGrammar
			}
			out = append(append(out, t.word...), ' ')
		case tokEnd:
			if depth != 0 || len(out) == 0 {
				return nil, errGrammar
			}
			return out, nil
		default:
			return nil, errGrammar
		}
	}
}

var shadingKeys = map[name]rule{
	"ShadingType": anInt, "ColorSpace": colour, "Background": each(aNumber), "BBox": aRect, "AntiAlias": aBool, "Domain": each(aNumber), "Matrix": numbers(6, 6),
	"Function": either(function, each(function)), "Coords": numbers(4, 6), "Extend": each(aBool),
	"BitsPerCoordinate": anInt, "BitsPerComponent": anInt, "BitsPerFlag": anInt, "Decode": each(aNumber), "VerticesPerRow": anInt,
}

func makeShading(w *walk, o *object, k kind) (value, bool) {
	if o.stream {
		w.at.stream = true
		return makeMesh(w, o, w.kinds["MeshShading"])
	}
	v, ok := w.shape(o, kind{keys: k.keys, need: []name{"ShadingType", "ColorSpace"}})
	if !ok {
		return nil, false
	}
	t, _ := integer(v.(dict)["ShadingType"])
	return v, t >= 1 && t <= 3
}

// makeMesh keeps the bits of a mesh (8.7.4.5.5): they are coordinates and colours whatever they are.
func makeMesh(w *walk, o *object, k kind) (value, bool) {
	k.stream, k.need = true, []name{"ShadingType", "ColorSpace", "BitsPerCoordinate", "BitsPerComponent", "Decode"}
	v, ok := w.shape(o, k)
	if !ok {
		return nil, false
	}
	t, _ := integer(v.(dict)["ShadingType"])
	w.at.data, ok = w.decoded(o)
	return v, ok && t >= 4 && t <= 7
}

func makePattern(w *walk, o *object, _ kind) (value, bool) {
	d, _ := o.v.(dict)
	t, _ := integer(first2(w.get(d["PatternType"])))
	if t == 1 && o.stream {
		w.at.stream = true
		return makeContent(w, o, w.kinds["TilingPattern"])
	}
	return w.shape(o, w.kinds["ShadingPattern"])
}

// decoded is what a stream holds, when qpdf could decode it.
func (w *walk) decoded(o *object) ([]byte, bool) {
	d := o.dict()
	v, _ := w.get(d["Filter"])
	filters, ok := v.(array)
	if !ok && v != nil {
		filters = array{v}
	}
	data := o.data
	for _, f := range filters {
		f, _ := w.get(f)
		switch f {
		case name("RunLengthDecode"), name("RL"):
			if data, ok = runLength(data); !ok {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return data, true
}

// runLength decodes (7.4.5); it grows at most by 64.
func runLength(in []byte) ([]byte, bool) {
	var out []byte
	for i := 0; i < len(in); {
		n := int(in[i])
		i++
		switch {
		case n == 128:
			return out, true
		case n < 128:
			if i+n+1 > len(in) {
				return append(out, in[i:]...), true
			}
			out = append(out, in[i:i+n+1]...)
			i += n + 1
		default:
			if i >= len(in) {
				return out, true
			}
			for range 257 - n {
				out = append(out, in[i])
			}
			i++
		}
		if len(out) > maxContent {
			return nil, false
		}
	}
	return out, true
}

// copyData is for a stream whose bytes are a table, whatever they are.
func copyData(w *walk, o *object, k kind) (value, bool) {
	v, ok := w.shape(o, k)
	if !ok {
		return nil, false
	}
	w.at.data, ok = w.decoded(o)
	return v, ok && len(w.at.data) <= 1<<16*4
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// makeContent rewrites a form, a pattern or a glyph.
func makeContent(w *walk, o *object, k kind) (value, bool) {
	k.stream = true
	v, ok := w.shape(o, k)
	if !ok {
		return nil, false
	}
	data, ok := w.decoded(o)
	if !ok {
		w.broke(errGrammar)
		return v, true
	}
	resources := dict{}
	if d := o.dict(); d != nil {
		r, _ := w.get(d["Resources"])
		resources, _ = r.(dict)
	}
	w.at.data = w.rewrite(data, resources)
	return v, true
}

// rewrite is a content stream written again; one that breaks the grammar marks its object.
func (w *walk) rewrite(data []byte, resources dict) []byte {
	c := &content{ctx: w.Ctx, props: properties, out: make([]byte, 0, len(data)+len(data)/8)}
	c.image = func(d dict, l *lexer) ([]byte, error) { return w.inline(d, l, resources) }
	if w.bare() && len(w.off) > 0 {
		c.unseen = func(kind, n name) bool {
			named, _ := first2(w.get(resources[kind])).(dict)
			if v := named[n]; kind == "Properties" {
				return w.unseenLayer(v)
			} else if _, o := w.get(v); o != nil {
				return w.unseenLayer(o.dict()["OC"])
			}
			return false
		}
	}
	if w.at.says = nil; w.Heard != nil && w.at.kind != "Glyph" && w.at.kind != "TilingPattern" {
		w.at.says = newScript()
		c.heard = w.at.says.hear
	}
	if err := c.run(data); err != nil {
		w.broke(err)
		return nil
	}
	if c.dropped > 0 {
		w.changed("pdf.operators", strconv.Itoa(c.dropped))
	}
	if c.went > 0 {
		w.removed("pdf.layer", "")
	}
	return c.end()
}

func outlineParent(w *walk, v value) (value, bool) {
	r, _ := w.last(v)
	if r != 0 && r == w.outlines {
		return reach("Outlines")(w, v)
	}
	return reach("Outline")(w, v)
}

func layersOf(w *walk, v value) (value, bool) {
	if a, _ := w.get(v); a != nil {
		if _, ok := a.(array); ok {
			return some(reach("Layer"))(w, v)
		}
	}
	return reach("Layer")(w, v)
}

// makeProperties parts what marked content may name (8.11.2, 14.6).
func makeProperties(w *walk, o *object, _ kind) (value, bool) {
	d, ok := o.v.(dict)
	if !ok || o.stream {
		return nil, false
	}
	switch t, _ := w.get(d["Type"]); t {
	case name("OCG"):
		return nil, false // reached as "Layer": see layer
	case name("OCMD"):
		return w.shape(o, w.kinds["Membership"])
	}
	out := dict{}
	for k, v := range d {
		v, _ := w.get(v)
		out[k] = v
	}
	return properties(out), true
}

// membership reaches a layer as what it is: one object, whoever names it.
func membership(w *walk, v value) (value, bool) {
	got, _ := w.get(v)
	if d, ok := got.(dict); ok {
		if t, _ := w.get(d["Type"]); t == name("OCG") {
			return reach("Layer")(w, v)
		}
	}
	return reach("Properties")(w, v)
}

// expression is a visibility expression (8.11.2.2).
func expression(levels int) rule {
	return func(w *walk, v value) (value, bool) {
		got, _ := w.get(v)
		a, ok := got.(array)
		if !ok || len(a) < 2 || levels == 0 {
			return nil, false
		}
		op, ok := oneOf("And Or Not")(w, a[0])
		if !ok {
			return nil, false
		}
		out := array{op}
		for _, e := range a[1:] {
			v, ok := either(expression(levels-1), reach("Layer"))(w, e)
			if !ok {
				return nil, false
			}
			out = append(out, v)
		}
		return out, true
	}
}

// order is how layers are listed: groups, names and lists of them.
func order(levels int) rule {
	return func(w *walk, v value) (value, bool) {
		got, _ := w.get(v)
		switch got := got.(type) {
		case text:
			return got, true
		case dict:
			return reach("Layer")(w, v)
		case array:
			if levels > 0 {
				return some(order(levels-1))(w, v)
			}
		}
		return nil, false
	}
}

// makeProfile keeps the tables of a colour profile.
func makeProfile(w *walk, o *object, k kind) (value, bool) {
	k.stream = true
	v, ok := w.shape(o, k)
	if !ok {
		return nil, false
	}
	data, ok := w.decoded(o)
	if !ok {
		return nil, false
	}
	w.at.data, ok = profile(data)
	return v, ok
}
