package office

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
)

// hearing tells what a part of the result says (rebuild.Job.Heard): paragraph by paragraph, and tables row by row, because a number
// may be split over the cells of a form.
type hearing struct {
	o     *office
	place string

	text   []byte   // of the paragraph or the cell
	number int      // of paragraphs and of rows so far
	tables int      // open rows of tables in Word or PowerPoint, one in the other
	cells  []string // of the outermost row

	column  int    // of the open cell of a sheet
	kind    string // its type
	row     string // number of the open row of a sheet
	strings []string
}

// maxColumns of a sheet (ECMA-376: XFD).
const maxColumns = 16_384

func (h *hearing) begin(e element, t *markup.Token) {
	switch e {
	case element{"w", "tr"}, element{"a", "tr"}:
		if h.tables++; h.tables == 1 {
			h.cells = nil
		}
	case element{"w", "tc"}, element{"a", "tc"}:
		if h.tables == 1 {
			h.cells = append(h.cells, "")
		}
	case element{"x", "row"}:
		h.cells, h.row = h.cells[:0], attr(t, "r")
	case element{"x", "c"}:
		h.text, h.kind, h.column = h.text[:0], "", 0
		for _, a := range t.Attrs {
			switch string(a.Name) {
			case "t":
				h.kind = string(markup.Unescape(a.Value))
			case "r":
				h.column = columnOf(markup.Unescape(a.Value))
			}
		}
		if h.column == 0 {
			h.column = len(h.cells) + 1
		}
	}
}

// columnOf reads the letters of a reference: A is 1. 0 is none.
func columnOf(ref []byte) int {
	n := 0
	for _, c := range ref {
		if c < 'A' || c > 'Z' {
			break
		}
		if n = n*26 + int(c-'A') + 1; n > maxColumns {
			return 0
		}
	}
	return n
}

// hears tells elements whose text is said.
func hears(e element) bool { return textElement(e) || e == element{"x", "v"} }

func (h *hearing) end(e element) {
	switch e {
	case element{"w", "p"}, element{"a", "p"}, element{"x", "text"}:
		s := string(h.text)
		h.text = h.text[:0]
		if n := len(h.cells); h.tables > 0 && n > 0 {
			h.cells[n-1] += s
			return
		}
		h.number++
		h.o.Text(fmt.Sprintf("%s L%d", h.place, h.number), s)
	case element{"w", "tr"}, element{"a", "tr"}:
		if h.tables--; h.tables == 0 {
			h.number++
			h.o.Row(fmt.Sprintf("%s R%d", h.place, h.number), h.cells)
			h.cells = nil
		}
	case element{"x", "c"}:
		for len(h.cells) < h.column {
			h.cells = append(h.cells, "")
		}
		h.cells[h.column-1] = h.value()
	case element{"x", "row"}:
		h.o.Row(h.place+"!R"+h.row, h.cells)
	}
}

// value is what a cell of a sheet shows, without its format.
func (h *hearing) value() string {
	b := h.text
	h.text = h.text[:0]
	if h.kind == "s" {
		if n, err := strconv.Atoi(string(bytes.TrimSpace(b))); err == nil && n >= 0 && n < len(h.strings) {
			return h.strings[n]
		}
		return ""
	}
	s := string(b)
	if (h.kind == "" || h.kind == "n") && strings.ContainsAny(s, "eE") {
		if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 1e15 {
			return strconv.FormatFloat(f, 'f', 0, 64)
		}
	}
	return s
}

// readStrings takes the shared strings of a workbook, which its sheets name by number.
func (o *office) readStrings() error {
	if o.Heard == nil {
		return nil
	}
	for _, p := range o.order {
		if p.contentType != ctExcel+"sharedstrings+xml" {
			continue
		}
		b, err := o.Unpack(o.Members[p.key])
		if err != nil {
			return err
		}
		x, err := markup.New(b, spaces)
		if err != nil {
			return err
		}
		var t markup.Token
		var text strings.Builder
		inside, phonetic := false, false
		for {
			if err := x.Next(&t); err != nil {
				return err
			}
			switch e := (element{t.NS, t.Local}); {
			case t.Kind == markup.EOF:
				return nil
			case t.Kind == markup.Text && inside && !phonetic:
				text.Write(markup.Unescape(t.Text))
			case t.Kind == markup.Text:
			case e == element{"x", "t"}:
				inside = t.Kind == markup.Start
			case e == element{"x", "rPh"}: // how it is read aloud
				phonetic = t.Kind == markup.Start
			case e == element{"x", "si"} && t.Kind == markup.End:
				o.strings = append(o.strings, text.String())
				text.Reset()
			}
		}
	}
	return nil
}
