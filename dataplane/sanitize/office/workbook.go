package office

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// workbook is what must be known of a spreadsheet before its parts are filtered: which sheets stay, and how their indexes
// move. Names, views and print areas count sheets by position.
type workbook struct {
	index   []int    // old position -> new one, -1 when the sheet goes
	removed []string // names of sheets that go
	visible int      // sheets that stay and are not hidden
	kept    int
}

func (o *office) readWorkbook(main *part) error {
	b, err := o.Unpack(o.Members[main.key])
	if err != nil {
		return err
	}
	w := &workbook{}
	err = eachElement(b, main.name, func(x *markup.Reader, t *markup.Token) error {
		if t.NS != "x" || t.Local != "sheet" || x.Depth() != 3 {
			return nil
		}
		id := ""
		for _, a := range t.Attrs {
			if ns, local, err := x.AttrName(a); err == nil && ns == "r" && string(local) == "id" {
				id = string(markup.Unescape(a.Value))
			}
		}
		if !main.byID[id].kept() {
			w.index = append(w.index, -1)
			w.removed = append(w.removed, attr(t, "name"))
			return nil
		}
		to := main.byID[id].to
		if s := attr(t, "state"); o.noHidden() && s != "" && s != "visible" && to != nil {
			o.forget(to)
			main.byID[id].to = nil
			w.index = append(w.index, -1)
			w.removed = append(w.removed, attr(t, "name"))
			o.Found.Add("ooxml.hidden-gone", attr(t, "name"), verdict.Removed, "")
			return nil
		}
		if to != nil {
			to.title = attr(t, "name")
		}
		w.index = append(w.index, w.kept)
		w.kept++
		if s := attr(t, "state"); s == "" || s == "visible" {
			w.visible++
		} else {
			o.Found.Add("ooxml.hidden-sheet", attr(t, "name"), verdict.Reported, "")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if w.kept == 0 {
		if len(w.removed) > 0 {
			return rebuild.Refuse("ooxml.macro-sheet", main.name, "")
		}
		return brokenPart("workbook without sheets")
	}
	o.books = w
	return nil
}

// countSlides gives each slide the number that its viewer sees.
func (o *office) countSlides(main *part) error {
	b, err := o.Unpack(o.Members[main.key])
	if err != nil {
		return err
	}
	n := 0
	return eachElement(b, main.name, func(x *markup.Reader, t *markup.Token) error {
		if t.NS != "p" || t.Local != "sldId" {
			return nil
		}
		n++
		for _, a := range t.Attrs {
			if ns, local, err := x.AttrName(a); err == nil && ns == "r" && string(local) == "id" {
				if l := main.byID[string(markup.Unescape(a.Value))]; l != nil && l.to != nil {
					l.to.title = fmt.Sprintf("p%d", n)
					if o.hiddenSlide(l.to.key) {
						o.Found.Add("ooxml.hidden-slide", l.to.title, verdict.Reported, "")
					}
				}
			}
		}
		return nil
	})
}

// forget takes a part that nothing else leads to yet out of the result again.
func (o *office) forget(p *part) {
	o.order = slices.DeleteFunc(o.order, func(q *part) bool { return q == p })
	delete(o.parts, p.key)
	delete(o.outNames, container.Key(p.name))
}

// move answers the new position of the sheet that a number names, or false when that sheet is gone. A number beyond the sheets
// stays as it is.
func (w *workbook) move(value string) (string, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || n < 0 || n >= len(w.index) {
		return value, true
	}
	if w.index[n] < 0 {
		return "0", false
	}
	return strconv.Itoa(w.index[n]), true
}
