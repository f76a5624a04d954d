package ledger

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// facts are what stands around the values of a sheet, and what a reader of values would not bound: a sheet of a few kilobytes
// can claim a cell at its millionth row, or merge all of them.
type facts struct {
	last     int // row that holds the last value
	hidden   map[int]bool
	formulas map[Place]bool
	styles   map[Place]int
	struck   map[Place]bool // a part of the text
	merged   []area
}

// area is a merged cell: rows and columns from 1, both ends included.
type area struct{ top, left, bottom, right int }

// scan walks through a sheet's XML once; shared are the struck ones of the texts that cells share. Rows and cells must come in
// order, as every spreadsheet writes them.
func scan(name string, part []byte, shared map[int]bool, left *room) (*facts, error) {
	f := &facts{hidden: map[int]bool{}, formulas: map[Place]bool{}, styles: map[Place]int{}, struck: map[Place]bool{}}
	d := xml.NewDecoder(bytes.NewReader(part))
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errors.New("the sheet is not UTF-8") }
	var at Place
	depth, style, hidden := 0, 0, false
	kind, within := "", false // of the cell; in its value
	var value []byte
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return f, f.bounded(left)
		}
		if err != nil {
			return nil, fault("file.broken", fmt.Sprintf("%s: %v", name, err))
		}
		switch e := tok.(type) {
		case xml.EndElement:
			depth--
			if n, err := strconv.Atoi(strings.TrimSpace(string(value))); within && kind == "s" && err == nil && shared[n] {
				f.struck[at] = true
			}
			within, value = false, nil
		case xml.CharData:
			if within {
				value = append(value, e...)
			}
		case xml.StartElement:
			if depth++; depth > 32 {
				return nil, fault("file.broken", name+": nested too deep")
			}
			switch e.Name.Local {
			case "row":
				n, ok := whole(e, "r", at.Row+1)
				if !ok || n <= at.Row {
					return nil, fault("file.broken", fmt.Sprintf("%s: row %d after row %d", name, n, at.Row))
				}
				at = Place{n, 0}
				hidden = attr(e, "hidden") == "1" || attr(e, "hidden") == "true"
			case "c":
				column := at.Column + 1
				if ref := attr(e, "r"); ref != "" {
					c, r, err := excelize.CellNameToCoordinates(ref)
					if err != nil || r != at.Row || c <= at.Column {
						return nil, fault("file.broken", fmt.Sprintf("%s: cell %s in row %d", name, short(ref), at.Row))
					}
					column = c
				}
				at.Column = column
				style, _ = whole(e, "s", 0)
				kind = attr(e, "t")
			case "strike":
				if strike(e) && at.Row > 0 && at.Column > 0 {
					f.struck[at] = true
				}
			case "f", "v", "is":
				if at.Row == 0 || at.Column == 0 {
					continue
				}
				within = e.Name.Local == "v"
				f.last = max(f.last, at.Row)
				if at.Row > MaxRows {
					return nil, fault("file.rows", name, fmt.Sprint(at.Row), fmt.Sprint(MaxRows))
				}
				if at.Column > MaxColumns {
					return nil, fault("file.columns", name, letters(at.Column), letters(MaxColumns))
				}
				if e.Name.Local == "f" {
					f.formulas[at] = true
				} else if err := left.take(1); err != nil {
					return nil, err
				}
				if style > 0 {
					f.styles[at] = style
				}
				if hidden {
					f.hidden[at.Row] = true
				}
			case "mergeCell":
				if a, ok := areaOf(attr(e, "ref")); ok {
					f.merged = append(f.merged, a)
				}
			}
		}
	}
}

// struckTexts tells which of the texts that cells share are struck through, wholly or in part. part is their XML, nil for none.
func struckTexts(part any) (map[int]bool, error) {
	data, _ := part.([]byte)
	d := xml.NewDecoder(bytes.NewReader(data))
	out, n := map[int]bool{}, -1
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("xl/sharedStrings.xml: %w", err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			switch e.Name.Local {
			case "si":
				n++
			case "strike":
				out[n] = out[n] || strike(e)
			}
		}
	}
}

// strike tells whether the element for a line through text draws one.
func strike(e xml.StartElement) bool {
	v := attr(e, "val")
	return v != "0" && v != "false"
}

// bounded drops merged cells outside of the table, cuts those that reach beyond it, and refuses too many.
func (f *facts) bounded(left *room) error {
	kept := f.merged[:0]
	for _, a := range f.merged {
		a.bottom, a.right = min(a.bottom, f.last), min(a.right, MaxColumns)
		if a.bottom < a.top || a.right < a.left {
			continue
		}
		if err := left.take((a.bottom - a.top + 1) * (a.right - a.left + 1)); err != nil {
			return err
		}
		kept = append(kept, a)
	}
	f.merged = kept
	return nil
}

func areaOf(ref string) (area, bool) {
	from, to, ok := strings.Cut(ref, ":")
	if !ok {
		to = from
	}
	left, top, err1 := excelize.CellNameToCoordinates(from)
	right, bottom, err2 := excelize.CellNameToCoordinates(to)
	return area{top, left, bottom, right}, err1 == nil && err2 == nil && top <= bottom && left <= right
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// whole reads a whole number of an attribute, or the one for a missing attribute.
func whole(e xml.StartElement, name string, missing int) (int, bool) {
	s := attr(e, name)
	if s == "" {
		return missing, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
