package pdf

import (
	"fmt"
	"math"
	"strings"
)

// pictured are annotations that go, but whose appearance is a part of the page: a mark across it, the picture that stands for a film.
var pictured = words("Watermark Screen Movie RichMedia 3D")

// fields draws the form fields of a page into it: what they show stays, and nothing can be filled in, sent or calculated. The same
// is done with what else is shown. The page's resources, which others may share, become its own.
func (w *walk) fields(d dict, out dict) []byte {
	annotations, _ := first2(w.get(d["Annots"])).(array)
	var content []byte
	drawn := dict{}
	for _, e := range annotations {
		field, o := w.get(e)
		f, ok := field.(dict)
		if !ok || o != nil && o.stream {
			continue
		}
		subtype, _ := first2(w.get(f["Subtype"])).(name)
		if subtype != "Widget" && !pictured[string(subtype)] {
			continue
		}
		if len(drawn) >= 10_000 {
			break
		}
		if subtype == "Widget" {
			w.fieldFindings(f)
		}
		flags, _ := integer(first2(w.get(f["F"])))
		if flags&(2|32) != 0 || w.unseenLayer(f["OC"]) { // hidden, or not to be viewed
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
	if w.stale && w.redrawn(f) {
		if form, ok := w.written(f, rect); ok {
			return form, fmt.Sprintf("1 0 0 1 %s %s", decimal(cut(rect[0])), decimal(cut(rect[1]))), true
		}
	}
	looks, _ := first2(w.get(f["AP"])).(dict)
	normal := looks["N"]
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

// redrawn tells of a field whose value, or frame, is all that it shows: ticks and words on buttons are known from their appearance only.
func (w *walk) redrawn(f dict) bool {
	if w.inherited(f, "FT") != name("Btn") {
		return true
	}
	kind, _ := integer(w.inherited(f, "Ff"))
	looks, _ := first2(w.get(f["MK"])).(dict)
	words, _ := first2(w.get(looks["CA"])).(text)
	return kind&(1<<16) != 0 && words == ""
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
