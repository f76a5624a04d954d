package office

import (
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
)

// plainCell passes a cell of a sheet in one step when it has nothing but a place, a style, a type and a value: nearly all cells of a
// large sheet, and no rule is about any of these. It does what start, text and end do for them.
func (f *partFilter) plainCell() bool {
	n := len(f.frames)
	if n == 0 || f.frames[n-1].element != (element{"x", "row"}) || len(f.ole) > 0 {
		return false
	}
	if ns, ok := f.x.Lookup(nil); !ok || ns != "x" {
		return false
	}
	c, ok := f.x.Short("c", "v", "rst")
	if !ok {
		return false
	}
	f.cell = "" // as behind any cell
	f.out.Write(c.Raw)
	if f.heard != nil {
		f.heard.begin(element{"x", "c"}, &markup.Token{Attrs: c.Attrs})
		f.heard.text = append(f.heard.text, c.Text...)
		f.heard.end(element{"x", "c"})
	}
	return true
}

// sheet holds what is special in SpreadsheetML: positions of sheets, names that start macros.
func (f *partFilter) sheet(t *markup.Token) (handled bool, err error) {
	w := f.books
	if w == nil {
		return false, nil
	}
	switch t.Local {
	case "c":
		f.cell = attr(t, "r")
	case "sheet":
		if w.visible == 0 && !f.madeShown && len(f.frames) == 2 && !f.reported(t) {
			f.madeShown = true
			t.Attrs = without(t.Attrs, "state")
		}
	case "workbookView":
		for i := range t.Attrs {
			switch string(t.Attrs[i].Name) {
			case "activeTab", "firstSheet":
				v, _ := w.move(string(t.Attrs[i].Value))
				t.Attrs[i].Value = []byte(v)
			}
		}
	case "definedName":
		for _, flag := range []string{"function", "vbProcedure", "xlm"} {
			if v := attr(t, flag); v == "1" || strings.EqualFold(v, "true") {
				return true, f.drop(t, "ooxml.macro-call", attr(t, "name"))
			}
		}
		name := strings.TrimPrefix(strings.ToLower(attr(t, "name")), "_xlnm.")
		for _, auto := range []string{"auto_open", "auto_close", "auto_activate", "auto_deactivate"} {
			if strings.HasPrefix(name, auto) {
				return true, f.drop(t, "ooxml.macro-call", name)
			}
		}
		for i := range t.Attrs {
			if string(t.Attrs[i].Name) == "localSheetId" {
				v, ok := w.move(string(t.Attrs[i].Value))
				if !ok {
					return true, f.drop(t, "", "")
				}
				t.Attrs[i].Value = []byte(v)
			}
		}
	case "table":
		t.Attrs = without(t.Attrs, "connectionId")
		if v := attr(t, "tableType"); v == "queryTable" || v == "xml" {
			t.Attrs = without(t.Attrs, "tableType")
		}
	case "tableColumn":
		t.Attrs = without(t.Attrs, "queryTableFieldId")
	case "tableParts":
		t.Attrs = without(t.Attrs, "count")
	}
	return false, nil
}

func without(attrs []markup.Attr, name string) []markup.Attr {
	for i := range attrs {
		if string(attrs[i].Name) == name {
			return append(attrs[:i:i], attrs[i+1:]...)
		}
	}
	return attrs
}

// formulaElement tells elements whose text is a formula.
func formulaElement(e element) bool {
	switch e.local {
	case "f":
		return e.ns == "x" || e.ns == "xm" || e.ns == "c" || strings.HasPrefix(e.ns, "ms:")
	case "sqref":
		return e.ns == "ms:drawing/2012/chart"
	case "formula", "formula1", "formula2", "definedName", "calculatedColumnFormula", "totalsRowFormula":
		return e.ns == "x"
	}
	return e.ns == "xvml" && strings.HasPrefix(e.local, "Fmla")
}

// formula passes a formula, or what stands for it: a cell keeps its value, a name or a rule points nowhere.
func (f *partFilter) formula(t *markup.Token) error {
	e := element{t.NS, t.Local}
	cell := e == element{"x", "f"}
	shared := ""
	if cell && attr(t, "t") == "shared" {
		shared = attr(t, "si")
	}
	attrs, gone, err := f.attributes(t)
	if err != nil {
		return err
	}
	if gone {
		return f.drop(t, "", "")
	}
	start := *t
	var raw []byte
	if err := f.x.Skip(func(t *markup.Token) { raw = append(raw, t.Text...) }); err != nil {
		return err
	}
	if shared != "" && len(raw) == 0 && f.sharedGone[shared] {
		f.top().removed = true
		return nil
	}
	var sheetsGone []string
	if f.books != nil {
		sheetsGone = f.books.removed
	}
	if s := string(markup.Unescape(raw)); dangerous(s, sheetsGone) || f.linksOut(s) {
		f.note("ooxml.formula", "")
		if cell || e.local == "calculatedColumnFormula" || e.local == "totalsRowFormula" || e.ns == "xvml" {
			if shared != "" {
				if f.sharedGone == nil {
					f.sharedGone = map[string]bool{}
				}
				f.sharedGone[shared] = true
			}
			f.top().removed = true
			return nil
		}
		raw = []byte("#REF!")
	}
	start.Empty = len(raw) == 0
	f.begin(&start, start.Name, attrs)
	f.out.Write(raw)
	f.end()
	return nil
}
