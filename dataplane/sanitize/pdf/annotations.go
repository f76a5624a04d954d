package pdf

import (
	"maps"
	"strings"
)

// markup are the annotations that people write on a page, with what each has besides what all have (12.5.6).
func markup() map[string]map[name]rule {
	ending := either(aName, each(aName))
	return map[string]map[name]rule{
		"Text":      {"Open": aBool, "Name": aName, "State": aText, "StateModel": aText},
		"FreeText":  {"DA": appearanceString, "Q": anInt, "CL": numbers(4, 6), "BE": reach("BorderEffect"), "RD": aRect, "BS": reach("BorderStyle"), "LE": ending},
		"Line":      {"L": aRect, "BS": reach("BorderStyle"), "LE": ending, "IC": numbers(0, 4), "LL": aNumber, "LLE": aNumber, "LLO": aNumber, "Cap": aBool, "CP": aName, "CO": numbers(2, 2)},
		"Square":    {"BS": reach("BorderStyle"), "BE": reach("BorderEffect"), "IC": numbers(0, 4), "RD": aRect},
		"Circle":    {"BS": reach("BorderStyle"), "BE": reach("BorderEffect"), "IC": numbers(0, 4), "RD": aRect},
		"Polygon":   {"Vertices": each(aNumber), "BS": reach("BorderStyle"), "BE": reach("BorderEffect"), "IC": numbers(0, 4), "LE": ending},
		"PolyLine":  {"Vertices": each(aNumber), "BS": reach("BorderStyle"), "BE": reach("BorderEffect"), "IC": numbers(0, 4), "LE": ending},
		"Highlight": {"QuadPoints": each(aNumber)}, "Underline": {"QuadPoints": each(aNumber)}, "Squiggly": {"QuadPoints": each(aNumber)}, "StrikeOut": {"QuadPoints": each(aNumber)},
		"Caret": {"RD": aRect, "Sy": aName},
		"Stamp": {"Name": aName},
		"Ink":   {"InkList": each(each(aNumber)), "BS": reach("BorderStyle")},
		"Popup": {"Open": aBool, "Parent": reach("Annotation")},
	}
}

// annotationKinds has one kind for each annotation that stays.
func annotationKinds() map[string]kind {
	all := map[name]rule{
		"Type": trimmed, "Subtype": aName, "Rect": aRect, "Contents": aText, "P": trimmed, "NM": trimmed, "M": trimmed, "F": anInt, "AP": reach("Appearances"), "AS": aName,
		"Border": border, "C": numbers(0, 4), "StructParent": trimmed, "OC": membership, "CA": aNumber, "ca": aNumber, "BM": aName, "Lang": aText,
		"T": aText, "Popup": reach("Annotation"), "RC": trimmed, "DS": trimmed, "CreationDate": trimmed, "IRT": reach("Annotation"), "RT": aName, "Subj": aText, "IT": aName, "ExData": trimmed,
	}
	m := map[string]kind{
		"Annotation":   {make: makeAnnotation},
		"Appearances":  {keys: map[name]rule{"N": appearance, "R": trimmed, "D": trimmed}, need: []name{"N"}},
		"States":       {make: makeStates},
		"BorderStyle":  {keys: map[name]rule{"Type": trimmed, "W": aNumber, "S": aName, "D": each(aNumber)}},
		"BorderEffect": {keys: map[name]rule{"S": aName, "I": aNumber}},
		"Link": {typ: "Annot", keys: map[name]rule{
			"Type": trimmed, "Subtype": aName, "Rect": aRect, "Contents": aText, "P": trimmed, "NM": trimmed, "M": trimmed, "F": anInt, "Border": border, "C": numbers(0, 4), "StructParent": trimmed, "OC": membership,
			"A": action, "Dest": destination, "H": aName, "PA": trimmed, "QuadPoints": each(aNumber), "BS": reach("BorderStyle"), "AP": trimmed, "AS": trimmed,
		}, need: []name{"Rect"}},
		"Action": {make: makeAction},
	}
	for s, more := range markup() {
		keys := maps.Clone(all)
		maps.Copy(keys, more)
		m["Annotation "+s] = kind{typ: "Annot", keys: keys, need: []name{"Rect", "Subtype"}}
	}
	return m
}

// droppedAnnotations are named in the report by what they are.
var droppedAnnotations = map[name]string{
	"FileAttachment": "pdf.attachment", "Sound": "pdf.media", "Movie": "pdf.media", "Screen": "pdf.media", "RichMedia": "pdf.media", "3D": "pdf.media",
}

// makeAnnotation takes an annotation of a known kind.
func makeAnnotation(w *walk, o *object, _ kind) (value, bool) {
	d, ok := o.v.(dict)
	if !ok || o.stream {
		return nil, false
	}
	if w.unseenLayer(d["OC"]) {
		w.removed("pdf.layer", "")
		return nil, false
	}
	s, _ := w.get(d["Subtype"])
	n, _ := s.(name)
	if n == "Link" {
		v, ok := w.shape(o, w.kinds["Link"])
		return v, ok && (v.(dict)["A"] != nil || v.(dict)["Dest"] != nil)
	}
	if n == "Widget" {
		return nil, false // drawn into the page: see fields
	}
	k, ok := w.kinds["Annotation "+string(n)]
	if !ok {
		code := droppedAnnotations[n]
		if code == "" {
			code = "pdf.annotation"
		}
		w.removed(code, string(n))
		return nil, false
	}
	if w.Policy.Comments == "remove" {
		w.removed("pdf.comment", string(n))
		return nil, false
	}
	if a, _ := w.get(d["A"]); a != nil {
		w.removed("pdf.action", string(n))
	}
	k.keys = maps.Clone(k.keys)
	k.keys["A"] = trimmed
	return w.shape(o, k)
}

// appearance is a form, or one for each state.
func appearance(w *walk, v value) (value, bool) {
	_, o := w.get(v)
	if o != nil && o.stream {
		return reach("Form")(w, v)
	}
	return named(reach("Form"))(w, v)
}

func makeStates(w *walk, o *object, _ kind) (value, bool) { return named(reach("Form"))(w, o.v) }

// appearanceString is a content stream of text operators.
func appearanceString(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	s, ok := v.(text)
	if !ok {
		return nil, false
	}
	c := &content{ctx: w.Ctx, props: properties, image: func(dict, *lexer) ([]byte, error) { return nil, errGrammar }}
	if c.run([]byte(s)) != nil {
		return nil, false
	}
	return text(strings.TrimSpace(strings.ReplaceAll(string(c.end()), "\n", " "))), true
}

func border(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	a, ok := v.(array)
	if !ok || len(a) < 3 {
		return nil, false
	}
	out := array{}
	for _, e := range a[:3] {
		n, ok := aNumber(w, e)
		if !ok {
			return nil, false
		}
		out = append(out, n)
	}
	if len(a) == 4 {
		if d, ok := each(aNumber)(w, a[3]); ok {
			out = append(out, d)
		}
	}
	return out, true
}

// action takes what leads inside the document, and addresses of pages and mail where links are kept.
func action(w *walk, v value) (value, bool) {
	got, o := w.get(v)
	if d, ok := got.(dict); ok {
		if o == nil {
			o = &object{v: d}
		}
		return makeAction(w, o, kind{})
	}
	return nil, false
}

// droppedActions are named in the report by what they are (12.6.4).
var droppedActions = map[name]string{
	"JavaScript": "pdf.javascript", "Launch": "pdf.launch", "GoToR": "pdf.remote", "GoToE": "pdf.remote", "SubmitForm": "pdf.submit", "ImportData": "pdf.submit", "ResetForm": "pdf.action",
	"Sound": "pdf.media", "Movie": "pdf.media", "Rendition": "pdf.media", "GoTo3DView": "pdf.media", "RichMediaExecute": "pdf.media",
}

func makeAction(w *walk, o *object, _ kind) (value, bool) {
	d, ok := o.v.(dict)
	if !ok || o.stream {
		return nil, false
	}
	if next, _ := w.get(d["Next"]); next != nil {
		w.removed("pdf.action", "Next")
	}
	s, _ := w.get(d["S"])
	n, _ := s.(name)
	switch n {
	case "GoTo":
		to, ok := destination(w, d["D"])
		return dict{"S": n, "D": to}, ok
	case "Named":
		to, ok := oneOf("NextPage PrevPage FirstPage LastPage")(w, d["N"])
		if !ok {
			w.removed("pdf.action", "Named")
		}
		return dict{"S": n, "N": to}, ok
	case "URI":
		uri, _ := w.get(d["URI"])
		t, _ := uri.(text)
		to, ok := address(t)
		if !ok || w.Policy.Links == "remove" {
			w.removed("pdf.link", to)
			return nil, false
		}
		return dict{"S": n, "URI": text(to)}, true
	}
	code := droppedActions[n]
	if code == "" {
		code = "pdf.action"
	}
	w.removed(code, string(n))
	return nil, false
}

// address takes what a browser or a mail program opens, and spells it in ASCII. It is a string of bytes (12.6.4.8).
func address(t text) (string, bool) {
	s := string(t)
	if strings.HasPrefix(s, "\xFE\xFF") {
		s = decodeText(t)
	}
	s = strings.Trim(s, "\x00\t\n\r ")
	lower := strings.ToLower(s)
	if !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") && !strings.HasPrefix(lower, "mailto:") {
		return s, false
	}
	var b []byte
	for _, c := range []byte(s) {
		switch {
		case c < 0x20 || c == 0x7F:
			return s, false
		case c == ' ' || c > 0x7F || strings.IndexByte("\"<>\\^`{|}", c) >= 0:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b), len(b) < 8192
}

// destination is a place in this document (12.3.2): its page and how it is shown, or the name of one.
func destination(w *walk, v value) (value, bool) {
	v, _ = w.get(v)
	switch v := v.(type) {
	case name:
		return v, w.named("/" + string(v))
	case text:
		return v, w.named(string(v))
	case dict:
		return destination(w, array2(w, v["D"]))
	case array:
		if len(v) < 2 {
			return nil, false
		}
		page, ok := thePage(w, v[0])
		how, ok2 := oneOf("XYZ Fit FitH FitV FitR FitB FitBH FitBV")(w, v[1])
		if !ok || !ok2 {
			return nil, false
		}
		out := array{page, how}
		for _, e := range v[2:min(len(v), 6)] {
			if n, ok := aNumber(w, e); ok {
				out = append(out, n)
			} else {
				out = append(out, nil)
			}
		}
		return out, true
	}
	return nil, false
}

func array2(w *walk, v value) value {
	v, _ = w.get(v)
	if _, ok := v.(array); ok {
		return v
	}
	return nil
}

// thePage is the page of the new document, by reference or by number.
func thePage(w *walk, v value) (value, bool) {
	if n, ok := integer(v); ok {
		if n >= 0 && n < len(w.pages) {
			return w.pages[n].self, true
		}
		return nil, false
	}
	r, _ := w.last(v)
	n, ok := w.pageOf[r]
	return n, ok
}
