package pdf

import (
	"slices"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// findLayers reads which layers the document opens without (8.11.4). They are reported; a route that wants nothing hidden loses what
// lies on them.
func (w *walk) findLayers(catalog dict) {
	all, _ := first2(w.get(catalog["OCProperties"])).(dict)
	view, _ := first2(w.get(all["D"])).(dict)
	put := func(v value, off bool) {
		list, _ := first2(w.get(v)).(array)
		for _, e := range list {
			if r, _ := w.last(e); r != 0 {
				w.off[r] = off
			}
		}
	}
	if first2(w.get(view["BaseState"])) == name("OFF") {
		put(all["OCGs"], true)
		put(view["ON"], false)
	}
	put(view["OFF"], true)
	for _, off := range w.off {
		if off && !w.bare() {
			w.Found.Add("pdf.layer", "", verdict.Reported, "")
			break
		}
	}
}

// bare tells that the route wants nothing hidden.
func (w *walk) bare() bool { return w.Policy.Hidden == "remove" }

// unseenLayer tells that what belongs to a layer, or to several, is not shown, and goes.
func (w *walk) unseenLayer(v value) bool { return w.bare() && len(w.off) > 0 && !w.shows(v, 0) }

func (w *walk) shows(v value, depth int) bool {
	r, _ := w.last(v)
	if w.off[r] {
		return false
	}
	d, _ := first2(w.get(v)).(dict)
	if depth > 8 || first2(w.get(d["Type"])) != name("OCMD") {
		return true
	}
	if e, ok := first2(w.get(d["VE"])).(array); ok {
		return w.expressed(e, depth)
	}
	groups, ok := first2(w.get(d["OCGs"])).(array)
	if !ok && d["OCGs"] != nil {
		groups = array{d["OCGs"]}
	}
	if len(groups) == 0 {
		return true
	}
	on := func(v value) bool { return w.shows(v, depth+1) }
	off := func(v value) bool { return !on(v) }
	switch first2(w.get(d["P"])) {
	case name("AllOn"):
		return !slices.ContainsFunc(groups, off)
	case name("AnyOff"):
		return slices.ContainsFunc(groups, off)
	case name("AllOff"):
		return !slices.ContainsFunc(groups, on)
	}
	return slices.ContainsFunc(groups, on)
}

// expressed is what a visibility expression says (8.11.2.2).
func (w *walk) expressed(e array, depth int) bool {
	if len(e) < 2 || depth > 8 {
		return true
	}
	is := func(v value) bool {
		if a, ok := first2(w.get(v)).(array); ok {
			return w.expressed(a, depth+1)
		}
		return w.shows(v, depth+1)
	}
	switch first2(w.get(e[0])) {
	case name("Not"):
		return !is(e[1])
	case name("And"):
		return !slices.ContainsFunc(e[1:], func(v value) bool { return !is(v) })
	}
	return slices.ContainsFunc(e[1:], is)
}

// unpainted is the operator that keeps the state of a page as it would be, and paints nothing; "" where there is none to keep.
func unpainted(word string) (instead string, paints bool) {
	switch word {
	case "Tj", "TJ", "Do", "sh":
		return "", true
	case "'", "\"":
		return "T*", true
	case "f", "F", "f*", "B", "B*", "b", "b*", "S", "s":
		return "n", true
	}
	return "", false
}

// unlessBare is for what hides layers: where the route wants nothing hidden, what is left is shown.
func unlessBare(r rule) rule {
	return func(w *walk, v value) (value, bool) {
		if w.bare() {
			return nil, false
		}
		return r(w, v)
	}
}
