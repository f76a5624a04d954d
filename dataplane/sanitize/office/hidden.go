package office

import (
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// What nobody sees of a document: by default it is told, on a route that wants it out it goes. Sheets are judged where the workbook is
// read; slides and text here. Rows and columns are told only.

// noHidden tells whether what nobody sees stays behind.
func (o *office) noHidden() bool { return o.Policy.Hidden == "remove" }

// hiddenSlide looks into a slide: does the show pass over it?
func (o *office) hiddenSlide(key string) bool {
	b, err := o.Unpack(o.Members[key])
	if err != nil {
		return false // and the filter refuses it
	}
	x, err := markup.New(b, spaces)
	if err != nil {
		return false
	}
	var t markup.Token
	if err := x.Next(&t); err != nil || (element{t.NS, t.Local}) != (element{"p", "sld"}) {
		return false
	}
	return off(attr(&t, "show"))
}

// off and on read a switch (ECMA-376 part 1, 22.9.2.7).
func off(v string) bool { return v == "0" || v == "false" || v == "off" }
func on(v string) bool  { return v == "" || v == "1" || v == "true" || v == "on" }

// hidden tells of what nobody sees, and answers whether the element goes.
func (f *partFilter) hidden(t *markup.Token, e element) (goes bool) {
	switch e {
	case element{"w", "vanish"}, element{"w", "specVanish"}:
		if !on(attrW(f.x, t, "val")) {
			return false
		}
		if !f.noHidden() && e.local == "vanish" && len(f.frames) > 2 && f.frames[len(f.frames)-2].element == (element{"w", "r"}) {
			f.Found.First("ooxml.hidden-text", f.where(), verdict.Reported, "")
		}
		return f.noHidden() // what it hid by a style is seen then
	case element{"w", "r"}:
		if !f.noHidden() || !f.vanished() {
			return false
		}
		f.note("ooxml.hidden-gone", "")
		return true
	case element{"x", "row"}, element{"x", "col"}:
		if v := attr(t, "hidden"); v != "" && on(v) {
			f.Found.First("ooxml.hidden-rows", f.where(), verdict.Reported, "")
		}
	}
	return false
}

// vanished looks ahead into a run: is it text that is not shown? The marks and instructions of fields are no text.
func (f *partFilter) vanished() bool {
	hidden, text, field := false, false, false
	err := f.x.Fork().Skip(func(t *markup.Token) {
		if t.Kind != markup.Start || t.NS != "w" {
			return
		}
		switch t.Local {
		case "vanish":
			hidden = hidden || on(attrW(f.x, t, "val"))
		case "t", "drawing", "pict", "object", "sym":
			text = true
		case "fldChar", "instrText", "delInstrText":
			field = true
		}
	})
	return err == nil && hidden && text && !field
}
