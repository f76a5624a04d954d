package pdf

import (
	"fmt"
	"math"
	"strings"
)

// fields draws the form fields of a page into it: what they show stays, and nothing can be filled in, sent or calculated. The page's
// resources, which others may share, become its own.
func (w *walk) fields(d dict, out dict) []byte {
	annotations, _ := first2(w.get(d["Annots"])).(array)
	var content []byte
	drawn := dict{}
	for _, e := range annotations {
		field, o := w.get(e)
		f, ok := field.(dict)
		if !ok || o != nil && o.stream || first2(w.get(f["Subtype"])) != name("Widget") {
			continue
		}
		if len(drawn) >= 10_000 {
			break
		}
		w.fieldFindings(f)
		flags, _ := integer(first2(w.get(f["F"])))
		if flags&(2|32) != 0 { // hidden, or not to be viewed
			continue
		}
		form, matrix, ok := w.fieldForm(f)
		if !ok {
			continue
		}
		n := name(fmt.Sprintf("Field%d", len(drawn)+1))
		drawn[n] = form
		content = fmt.Appendf(content, "q %s cm /%s Do Q\n", matrix, n)
	}
	if len(drawn) == 0 {
		return nil
	}
	old, _ := first2(w.get(d["Resources"])).(dict)
	if old == nil {
		old = dict{}
	}
	v, ok := w.within(&object{v: old}, "Resources")
	if !ok {
		return nil
	}
	resources := v.(dict)
	forms, _ := resources["XObject"].(dict)
	if forms == nil {
		forms = dict{}
	}
	for n, r := range drawn {
		for forms[n] != nil { // a name of the page's own
			content = []byte(strings.ReplaceAll(string(content), "/"+string(n)+" Do", "/"+string(n)+"_ Do"))
			n += "_"
		}
		forms[n] = r
	}
	resources["XObject"] = forms
	out["Resources"] = resources
	return content
}

// inherited is a key of a field, or of one that it belongs to (12.7.4).
func (w *walk) inherited(f dict, key name) value {
	for range 32 {
		if v, _ := w.get(f[key]); v != nil {
			return v
		}
		parent, _ := first2(w.get(f["Parent"])).(dict)
		if parent == nil {
			break
		}
		f = parent
	}
	return nil
}

func (w *walk) fieldFindings(f dict) {
	if w.inherited(f, "FT") == name("Sig") {
		if w.inherited(f, "V") != nil {
			w.removed("pdf.signature", "")
		}
	} else {
		w.changed("pdf.form", "")
	}
	if f["A"] != nil {
		if _, ok := action(w, f["A"]); ok {
			w.removed("pdf.action", "")
		}
	}
	if f["AA"] != nil {
		w.removed("pdf.action", "AA")
	}
}

// fieldForm is what a field shows, and the matrix that puts it into its place (12.5.5, algorithm 8.1).
func (w *walk) fieldForm(f dict) (value, string, bool) {
	rect, ok := w.box(f["Rect"])
	if !ok {
		return nil, "", false
	}
	if w.stale {
		if form, ok := w.written(f, rect); ok {
			return form, fmt.Sprintf("1 0 0 1 %s %s", decimal(cut(rect[0])), decimal(cut(rect[1]))), true
		}
	}
	shown, _ := first2(w.get(f["AP"])).(dict)
	normal := shown["N"]
	v, o := w.get(normal)
	if o == nil || !o.stream {
		states, _ := v.(dict)
		state, _ := first2(w.get(f["AS"])).(name)
		normal = states[state]
		_, o = w.get(normal)
	}
	if o == nil || !o.stream {
		form, ok := w.written(f, rect)
		return form, fmt.Sprintf("1 0 0 1 %s %s", decimal(cut(rect[0])), decimal(cut(rect[1]))), ok
	}
	bbox, ok := w.box(o.dict()["BBox"])
	if !ok {
		return nil, "", false
	}
	m := [6]float64{1, 0, 0, 1, 0, 0}
	if a, ok := first2(w.get(o.dict()["Matrix"])).(array); ok && len(a) == 6 {
		for i, e := range a {
			m[i], _ = real(first2(w.get(e)))
		}
	}
	b := [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, c := range [][2]float64{{bbox[0], bbox[1]}, {bbox[2], bbox[1]}, {bbox[0], bbox[3]}, {bbox[2], bbox[3]}} {
		x, y := m[0]*c[0]+m[2]*c[1]+m[4], m[1]*c[0]+m[3]*c[1]+m[5]
		b[0], b[1], b[2], b[3] = min(b[0], x), min(b[1], y), max(b[2], x), max(b[3], y)
	}
	if !(b[2]-b[0] > 0) || !(b[3]-b[1] > 0) {
		return nil, "", false
	}
	sx, sy := (rect[2]-rect[0])/(b[2]-b[0]), (rect[3]-rect[1])/(b[3]-b[1])
	form, ok := reach("Form")(w, normal)
	return form, fmt.Sprintf("%s 0 0 %s %s %s", fine(sx), fine(sy), fine(rect[0]-b[0]*sx), fine(rect[1]-b[1]*sy)), ok
}

func fine(f float64) number { return decimal(math.Round(f*1e6) / 1e6) }

// box is a rectangle with its lower left corner first.
func (w *walk) box(v value) (r [4]float64, ok bool) {
	a, _ := first2(w.get(v)).(array)
	if len(a) != 4 {
		return r, false
	}
	for i, e := range a {
		f, ok := real(first2(w.get(e)))
		if !ok || math.Abs(f) > 1e7 {
			return r, false
		}
		r[i] = f
	}
	return [4]float64{min(r[0], r[2]), min(r[1], r[3]), max(r[0], r[2]), max(r[1], r[3])}, true
}

// written is the value of a text or choice field that has no appearance, in one of the fonts that every reader has.
func (w *walk) written(f dict, rect [4]float64) (value, bool) {
	ft := w.inherited(f, "FT")
	t, ok := w.inherited(f, "V").(text)
	kind, _ := integer(w.inherited(f, "Ff"))
	secret := kind&(1<<13) != 0
	if !ok || secret || decodeText(t) == "" || ft != name("Tx") && ft != name("Ch") {
		return nil, false
	}
	lines := strings.Split(strings.ReplaceAll(decodeText(t), "\r", "\n"), "\n")
	lines = lines[:min(len(lines), 200)]
	width, height := rect[2]-rect[0], rect[3]-rect[1]
	size := min(12, max(4, height*0.7))
	if len(lines) > 1 {
		size = min(10, max(4, height/float64(len(lines))/1.2))
	}
	font := w.add("Font")
	number1 := ref(len(w.out))
	latin := true
	for _, r := range decodeText(t) {
		latin = latin && r < 0x7F
	}
	font.v = dict{"Type": name("Font"), "Subtype": name("Type1"), "BaseFont": name("Helvetica")}
	if !latin {
		cid := w.add("CIDFont")
		cid.v = dict{
			"Type": name("Font"), "Subtype": name("CIDFontType0"), "BaseFont": name("HeiseiKakuGo-W5"), "DW": number("1000"),
			"W":             array{number("1"), number("632"), number("500")},
			"CIDSystemInfo": dict{"Registry": text("Adobe"), "Ordering": text("Japan1"), "Supplement": number("2")},
			"FontDescriptor": dict{"Type": name("FontDescriptor"), "FontName": name("HeiseiKakuGo-W5"), "Flags": number("4"), "FontBBox": array{number("-92"), number("-250"), number("1010"), number("922")},
				"ItalicAngle": number("0"), "Ascent": number("752"), "Descent": number("-221"), "CapHeight": number("737"), "StemV": number("114")},
		}
		font.v = dict{"Type": name("Font"), "Subtype": name("Type0"), "BaseFont": name("HeiseiKakuGo-W5-UniJIS-UCS2-H"), "Encoding": name("UniJIS-UCS2-H"), "DescendantFonts": array{ref(len(w.out))}}
	}
	b := fmt.Appendf(nil, "q 0 0 %s %s re W n BT /V %s Tf %s TL 2 %s Td\n", decimal(cut(width)), decimal(cut(height)), decimal(cut(size)), decimal(cut(size*1.2)), decimal(cut(max(2, (height-size)/2+1))))
	if len(lines) > 1 {
		b = fmt.Appendf(nil, "q 0 0 %s %s re W n BT /V %s Tf %s TL 2 %s Td\n", decimal(cut(width)), decimal(cut(height)), decimal(cut(size)), decimal(cut(size*1.2)), decimal(cut(height-size)))
	}
	for _, l := range lines {
		s := text(l)
		if !latin {
			s = unicodeText(l)[2:]
		}
		b = append(appendString(b, s), " Tj T*\n"...)
	}
	b = append(b, "ET Q"...)
	form := w.add("Form")
	form.stream = true
	form.v = dict{"Type": name("XObject"), "Subtype": name("Form"), "BBox": array{number("0"), number("0"), decimal(cut(width)), decimal(cut(height))}, "Resources": dict{"Font": dict{"V": number1}}}
	r := ref(len(w.out))
	page := w.at
	w.at = form
	form.data = w.rewrite(b, nil)
	w.at = page
	return r, true
}
