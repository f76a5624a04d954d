package pdf

import (
	"fmt"
	"slices"
)

// fontKinds are the dictionaries of fonts (9.5 to 9.10).
func fontKinds() map[string]kind {
	simple := map[name]rule{
		"Type": trimmed, "Subtype": aName, "BaseFont": aName, "Name": trimmed, "FirstChar": anInt, "LastChar": anInt, "Widths": reachArray("Widths"), "FontDescriptor": reach("Descriptor"),
		"Encoding": either(aName, reach("Encoding")), "ToUnicode": toUnicode,
	}
	type3 := map[name]rule{
		"FontBBox": aRect, "FontMatrix": numbers(6, 6), "CharProcs": named(reach("Glyph")), "Resources": reach("Resources"),
	}
	for k, r := range simple {
		if k != "BaseFont" {
			type3[k] = r
		}
	}
	return map[string]kind{
		"Font":       {make: makeFont},
		"SimpleFont": {typ: "Font", keys: simple, need: []name{"Subtype"}},
		"Type3Font":  {typ: "Font", keys: type3, need: []name{"FontMatrix", "CharProcs", "Encoding"}},
		"Glyph":      {stream: true, make: makeContent, keys: map[name]rule{"Resources": reach("Resources")}},
		"Type0Font":  {typ: "Font", keys: map[name]rule{"Type": trimmed, "Subtype": aName, "Name": trimmed, "BaseFont": aName, "Encoding": either(aName, reach("CMap")), "DescendantFonts": each(reach("CIDFont")), "ToUnicode": toUnicode}, need: []name{"Encoding", "DescendantFonts"}},
		"CIDFont": {typ: "Font", keys: map[name]rule{
			"Type": trimmed, "Subtype": oneOf("CIDFontType0 CIDFontType2"), "BaseFont": aName, "CIDSystemInfo": reach("System"), "FontDescriptor": reach("Descriptor"), "DW": aNumber, "W": reachArray("CIDWidths"),
			"DW2": numbers(2, 2), "W2": reachArray("CIDWidths"), "CIDToGIDMap": either(oneOf("Identity"), reach("GlyphMap")), "Name": trimmed,
		}, need: []name{"Subtype", "CIDSystemInfo"}},
		"System":   {keys: map[name]rule{"Registry": aText, "Ordering": aText, "Supplement": anInt}},
		"Encoding": {typ: "Encoding", keys: map[name]rule{"Type": trimmed, "BaseEncoding": aName, "Differences": each(either(anInt, aName))}},
		"Descriptor": {typ: "FontDescriptor", make: makeDescriptor, keys: map[name]rule{
			"Type": trimmed, "FontName": aName, "FontFamily": aText, "FontStretch": aName, "FontWeight": aNumber, "Flags": anInt, "FontBBox": aRect, "ItalicAngle": aNumber, "Ascent": aNumber, "Descent": aNumber,
			"Leading": aNumber, "CapHeight": aNumber, "XHeight": aNumber, "StemV": aNumber, "StemH": aNumber, "AvgWidth": aNumber, "MaxWidth": aNumber, "MissingWidth": aNumber,
			"FontFile": reach("Type1Program"), "FontFile2": reach("TrueTypeProgram"), "FontFile3": reach("CompactProgram"), "CharSet": trimmed, "CIDSet": trimmed, "Style": trimmed, "Lang": aName, "FD": trimmed,
		}},
		"Widths":          {make: makeArray(aNumber)},
		"CIDWidths":       {make: makeArray(either(aNumber, each(aNumber)))},
		"GlyphMap":        {stream: true, make: copyData},
		"CMap":            {stream: true, make: makeCMap, keys: map[name]rule{"Type": trimmed, "CMapName": aName, "CIDSystemInfo": reach("System"), "WMode": anInt, "UseCMap": aName}},
		"ToUnicode":       {stream: true, make: makeCMap, keys: map[name]rule{"Type": trimmed, "CMapName": trimmed, "CIDSystemInfo": trimmed, "WMode": trimmed, "UseCMap": trimmed}},
		"Type1Program":    {stream: true, make: makeProgram(type1Program)},
		"TrueTypeProgram": {stream: true, make: makeProgram(trueTypeProgram)},
		"CompactProgram":  {stream: true, make: makeProgram(compactProgram), keys: map[name]rule{"Subtype": oneOf("Type1C CIDFontType0C OpenType")}, need: []name{"Subtype"}},
	}
}

func makeFont(w *walk, o *object, _ kind) (value, bool) {
	d, ok := o.v.(dict)
	if !ok || o.stream {
		return nil, false
	}
	switch s, _ := w.get(d["Subtype"]); s {
	case name("Type0"):
		return w.shape(o, w.kinds["Type0Font"])
	case name("Type3"):
		return w.shape(o, w.kinds["Type3Font"])
	case name("Type1"), name("MMType1"), name("TrueType"):
		return w.shape(o, w.kinds["SimpleFont"])
	}
	return nil, false
}

func makeDescriptor(w *walk, o *object, k kind) (value, bool) { return w.shape(o, k) }

// reachArray is for an array that many objects share.
func reachArray(kindName string) rule {
	return func(w *walk, v value) (value, bool) {
		if r, o := w.last(v); o != nil {
			if _, ok := o.v.(array); !ok {
				return nil, false
			}
			return w.number(r, o, kindName)
		}
		if _, ok := v.(array); !ok {
			return nil, false
		}
		return w.within(&object{v: v}, kindName)
	}
}

func makeArray(r rule) func(w *walk, o *object, k kind) (value, bool) {
	return func(w *walk, o *object, _ kind) (value, bool) { return each(r)(w, o.v) }
}

// toUnicode is a CMap, or the name of the one that changes nothing.
func toUnicode(w *walk, v value) (value, bool) {
	return either(oneOf("Identity-H Identity-V"), reach("ToUnicode"))(w, v)
}

// makeCMap reads what a CMap maps and writes that. One that cannot be read is left out where it only tells what to copy
// (ToUnicode), and breaks the font where it says which glyphs are shown.
func makeCMap(w *walk, o *object, k kind) (value, bool) {
	v, ok := w.shape(o, k)
	if !ok {
		return nil, false
	}
	data, ok := w.decoded(o)
	m, err := readCMap(data)
	if !ok || err != nil {
		if w.at.kind == "ToUnicode" {
			w.removed("pdf.cmap", "")
			return nil, false
		}
		w.broke(fmt.Errorf("CMap: %w", errGrammar))
		return v, true
	}
	d := v.(dict)
	if w.at.kind == "CMap" {
		d["Type"] = name("CMap")
		if d["CMapName"] == nil {
			d["CMapName"] = name("Custom")
		}
		m.wmode, _ = integer(d["WMode"])
		m.name, _ = d["CMapName"].(name)
		if use, ok := d["UseCMap"].(name); ok {
			m.use = use
		}
		if m.use != "" {
			d["UseCMap"] = m.use
		}
	}
	w.at.data = m.write()
	return d, true
}

// cmap is what a CMap maps, line by line: the kind of a section and its values.
type cmap struct {
	name     name
	wmode    int
	use      name
	sections []section
}

type section struct {
	kind string
	v    []value
}

// sections of a CMap with how many values make a line (Adobe Technical Note 5014).
var sectionWidth = map[string]int{"codespacerange": 2, "cidrange": 3, "cidchar": 2, "notdefrange": 3, "notdefchar": 2, "bfrange": 3, "bfchar": 2}

func readCMap(in []byte) (*cmap, error) {
	l, m := &lexer{b: in}, &cmap{}
	var operands []value
	var open string
	total := 0
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		switch t.kind {
		case tokEnd:
			if open != "" || len(m.sections) == 0 && m.use == "" {
				return nil, errGrammar
			}
			return m, nil
		case tokWord:
			switch {
			case len(t.word) > 5 && t.word[:5] == "begin" && sectionWidth[t.word[5:]] > 0:
				open, operands = t.word[5:], nil
				continue
			case len(t.word) > 3 && t.word[:3] == "end" && t.word[3:] == open && open != "":
				n := sectionWidth[open]
				if len(operands)%n != 0 && len(operands) > 0 {
					operands = operands[:len(operands)-len(operands)%n]
				}
				if len(operands) > 0 {
					m.sections = append(m.sections, section{open, operands})
				}
				open = ""
			case t.word == "usecmap" && len(operands) > 0:
				m.use, _ = operands[len(operands)-1].(name)
			case open != "":
				return nil, errGrammar
			}
			operands = nil
		case tokValue, tokOpen, tokDict:
			if open == "" && t.kind != tokValue { // who made the CMap: some write it with words between
				continue
			}
			v, err := l.composite(t, 0)
			if err != nil {
				return nil, err
			}
			if open != "" && !mapped(v) {
				return nil, errGrammar
			}
			operands = append(operands, v)
			if total++; total > 1_000_000 {
				return nil, errGrammar
			}
		}
	}
}

// mapped are codes, numbers, and lists of codes.
func mapped(v value) bool {
	switch v := v.(type) {
	case text, number:
		return true
	case name:
		return true
	case array:
		return !slices.ContainsFunc(v, func(e value) bool { _, s := e.(text); _, n := e.(name); return !s && !n })
	}
	return false
}

func (m *cmap) write() []byte {
	n := m.name
	if n == "" {
		n = "Adobe-Identity-UCS"
	}
	b := []byte("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n")
	if m.use != "" {
		b = fmt.Appendf(b, "/%s usecmap\n", m.use)
	}
	b = fmt.Appendf(b, "/CMapName /%s def\n", n)
	if m.wmode == 1 {
		b = append(b, "/WMode 1 def\n"...)
	}
	for _, s := range m.sections {
		width := sectionWidth[s.kind]
		for lines := s.v; len(lines) > 0; {
			now := lines[:min(len(lines), 100*width)]
			lines = lines[len(now):]
			b = fmt.Appendf(b, "%d begin%s\n", len(now)/width, s.kind)
			for i, v := range now {
				b = appendCode(b, v)
				if i%width == width-1 {
					b = append(b, '\n')
				} else {
					b = append(b, ' ')
				}
			}
			b = fmt.Appendf(b, "end%s\n", s.kind)
		}
	}
	return append(b, "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"...)
}

// appendCode writes codes in hexadecimal always, as CMaps have them.
func appendCode(b []byte, v value) []byte {
	switch v := v.(type) {
	case text:
		return fmt.Appendf(b, "<%X>", string(v))
	case array:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ' ')
			}
			b = appendCode(b, e)
		}
		return append(b, ']')
	}
	return appendValue(b, v)
}
