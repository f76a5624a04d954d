package pdf

import (
	"fmt"
	"strings"
)

// written is what a field shows that has no appearance: its frame, and the value where it is one for text or a choice.
func (w *walk) written(f dict, rect [4]float64) (value, bool) {
	ft := w.inherited(f, "FT")
	if ft == nil {
		return nil, false
	}
	width, height := rect[2]-rect[0], rect[3]-rect[1]
	b := w.frame(f, width, height)
	resources := dict{}
	t, _ := w.inherited(f, "V").(text)
	kind, _ := integer(w.inherited(f, "Ff"))
	secret := kind&(1<<13) != 0
	if s := decodeText(t); s != "" && !secret && (ft == name("Tx") || ft == name("Ch")) {
		latin := strings.IndexFunc(s, func(r rune) bool { return r >= 0x7F }) < 0
		resources["Font"] = dict{"V": w.everywhere(latin)}
		b = append(b, filled(s, latin, width, height)...)
	}
	if len(b) == 0 {
		return nil, false
	}
	form := w.add("Form")
	form.stream = true
	form.v = dict{"Type": name("XObject"), "Subtype": name("Form"), "BBox": array{number("0"), number("0"), decimal(cut(width)), decimal(cut(height))}, "Resources": resources}
	r := ref(len(w.out))
	page := w.at
	w.at = form
	form.data = w.rewrite(b, nil)
	w.at = page
	return r, true
}

// frame is the ground of a field and the line around it, or below it (12.5.6.19, 12.5.4).
func (w *walk) frame(f dict, width, height float64) (b []byte) {
	looks, _ := first2(w.get(f["MK"])).(dict)
	style, _ := first2(w.get(f["BS"])).(dict)
	if ink := w.ink(looks["BG"], "g", "rg", "k"); ink != "" {
		b = fmt.Appendf(b, "%s 0 0 %s %s re f\n", ink, decimal(cut(width)), decimal(cut(height)))
	}
	line := 1.0
	if v, ok := real(first2(w.get(style["W"]))); ok {
		line = v
	}
	ink := w.ink(looks["BC"], "G", "RG", "K")
	if ink == "" || !(line > 0) || line > width/2 || line > height/2 {
		return b
	}
	b = fmt.Appendf(b, "%s %s w ", ink, decimal(cut(line)))
	if first2(w.get(style["S"])) == name("U") {
		return fmt.Appendf(b, "0 %s m %s %s l S\n", decimal(cut(line/2)), decimal(cut(width)), decimal(cut(line/2)))
	}
	return fmt.Appendf(b, "%s %s %s %s re S\n", decimal(cut(line/2)), decimal(cut(line/2)), decimal(cut(width-line)), decimal(cut(height-line)))
}

// ink sets a colour of one, three or four numbers by the operator for so many; "" for none, which is not painted.
func (w *walk) ink(v value, gray, rgb, cmyk string) string {
	operator := map[int]string{1: gray, 3: rgb, 4: cmyk}
	a, ok := numbers(1, 4)(w, v)
	if !ok || operator[len(a.(array))] == "" {
		return ""
	}
	var s strings.Builder
	for _, n := range a.(array) {
		s.WriteString(string(n.(number)) + " ")
	}
	return s.String() + operator[len(a.(array))]
}

// filled paints a value line by line in font V.
func filled(s string, latin bool, width, height float64) []byte {
	all := strings.Split(strings.ReplaceAll(s, "\r", "\n"), "\n")
	all = all[:min(len(all), 200)]
	size, up := min(12, max(4, height*0.7)), 0.0
	if up = max(2, (height-size)/2+1); len(all) > 1 {
		size = min(10, max(4, height/float64(len(all))/1.2))
		up = height - size
	}
	b := fmt.Appendf(nil, "q 0 0 %s %s re W n 0 g BT /V %s Tf %s TL 2 %s Td\n", decimal(cut(width)), decimal(cut(height)), decimal(cut(size)), decimal(cut(size*1.2)), decimal(cut(up)))
	for _, l := range all {
		t := text(l)
		if !latin {
			t = unicodeText(l)[2:]
		}
		b = append(appendString(b, t), " Tj T*\n"...)
	}
	return append(b, "ET Q"...)
}

// everywhere is a font that every reader has.
func (w *walk) everywhere(latin bool) ref {
	font := w.add("Font")
	r := ref(len(w.out))
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
	return r
}
