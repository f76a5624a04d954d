package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mapping says which column of which sheet is which field.
type Mapping struct {
	Sheet    string
	Header   []int // rows of the heading, the uppermost first
	Columns  []Column
	Defaults map[Field]string // for cells that are blank, and fields without a column
}

// Column is one column of the ledger.
type Column struct {
	Column int      // from 1
	Title  []string // of the heading's rows, the uppermost first; without repetitions
	Field  Field    // Ignore for columns that only people read
}

// of finds the column of a field, 0 = none.
func (m *Mapping) of(f Field) int {
	for _, c := range m.Columns {
		if c.Field == f {
			return c.Column
		}
	}
	return 0
}

// has tells whether a field has a column or a default.
func (m *Mapping) has(f Field) bool { return m.of(f) > 0 || m.Defaults[f] != "" }

// Where a heading is looked for.
const (
	headRows   = 40 // rows from the top
	headHeight = 3  // rows that one heading may take
	headFields = 4  // fields that a heading must name at least
)

// Guess finds the heading of a book, among its sheets or in the one named, and what its columns mean. The error tells when
// there is none, or more than one sheet could be the ledger.
func Guess(b *Book, sheet string, header []int) (*Mapping, error) {
	var found []*Mapping
	for _, s := range b.Sheets {
		if sheet != "" && s.Name != sheet {
			continue
		}
		if m := guess(s, header); m != nil {
			found = append(found, m)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		names := make([]string, len(found))
		for i, m := range found {
			names[i] = m.Sheet
		}
		return nil, fault("map.sheets", strings.Join(names, ", "))
	case sheet != "" && b.sheet(sheet) == nil:
		names := make([]string, len(b.Sheets))
		for i, s := range b.Sheets {
			names[i] = s.Name
		}
		return nil, fault("map.nosheet", sheet, strings.Join(names, ", "))
	}
	return nil, fault("map.noheading", fmt.Sprint(headRows))
}

func (b *Book) sheet(name string) *Sheet {
	for _, s := range b.Sheets {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// guess takes the rows whose titles name the most fields; of equal ones the fewest and the uppermost. nil = no heading.
func guess(s *Sheet, header []int) *Mapping {
	var best *Mapping
	score := headFields - 1
	try := func(rows []int) {
		m := &Mapping{Sheet: s.Name, Header: rows}
		seen := map[Field]bool{}
		for column := 1; column <= s.width(); column++ {
			title := s.title(rows, column)
			if len(title) == 0 {
				continue
			}
			f := fieldOf(title)
			if f != Ignore && (f == "" || seen[f]) {
				f = Ignore
			}
			seen[f] = true
			m.Columns = append(m.Columns, Column{column, title, f})
		}
		delete(seen, Ignore)
		from := seen[From] || seen[FromIP] || seen[FromSegment]
		to := seen[To] || seen[ToIP] || seen[ToNetwork] || seen[ToSegment]
		if len(seen) > score && seen[ID] && from && to {
			best, score = m, len(seen)
		}
	}
	if len(header) > 0 {
		score = 0
		try(header)
		if best == nil { // what is written down is believed, whatever the titles
			best = &Mapping{Sheet: s.Name, Header: header}
			for column := 1; column <= s.width(); column++ {
				if title := s.title(header, column); len(title) > 0 {
					best.Columns = append(best.Columns, Column{column, title, cmp.Or(fieldOf(title), Ignore)})
				}
			}
		}
		return best
	}
	for height := 1; height <= headHeight; height++ {
		for i := 0; i < min(headRows, len(s.Rows)-height+1); i++ {
			rows := make([]int, height)
			for h := range rows {
				rows[h] = s.Rows[i+h].Number
			}
			if rows[height-1]-rows[0] == height-1 {
				try(rows)
			}
		}
	}
	return best
}

func (s *Sheet) width() int {
	n := 0
	for i := range s.Rows {
		n = max(n, len(s.Rows[i].Cells))
	}
	return n
}

// row finds a row by its number; rows are in order.
func (s *Sheet) row(number int) *Row {
	i, ok := slices.BinarySearchFunc(s.Rows, number, func(r Row, n int) int { return r.Number - n })
	if !ok {
		return &Row{Number: number}
	}
	return &s.Rows[i]
}

// title is what the heading says of a column. A title above several columns stands in the first of them, also where no cells
// are merged: it counts for the blank ones to its right that have a title below.
func (s *Sheet) title(rows []int, column int) []string {
	var out []string
	for i, n := range rows {
		row := s.row(n)
		t := strings.TrimSpace(line(row.at(column).Text))
		if t == "" && i < len(rows)-1 && s.row(rows[i+1]).at(column).Text != "" {
			for c := column - 1; c > 0 && t == ""; c-- {
				t = strings.TrimSpace(line(row.at(c).Text))
			}
		}
		if t != "" && (len(out) == 0 || out[len(out)-1] != t) {
			out = append(out, t)
		}
	}
	return out
}

// String writes the mapping as a file that can be edited and given back.
func (m *Mapping) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# 台帳の列の対応 / what the ledger's columns mean. Fields: %s\n", joinFields(Fields))
	fmt.Fprintf(&b, "sheet: %s\nheader: %s\ncolumns:\n", quote(m.Sheet), numbers(m.Header))
	for _, c := range m.Columns {
		fmt.Fprintf(&b, "  %s: %-14s # %s\n", keyQuote(letters(c.Column)), c.Field, short(strings.Join(c.Title, " / ")))
	}
	if len(m.Defaults) > 0 {
		b.WriteString("defaults:\n")
		for _, f := range Fields {
			if v, ok := m.Defaults[f]; ok {
				fmt.Fprintf(&b, "  %s: %s\n", f, quote(v))
			}
		}
	}
	return b.String()
}

// keyQuote quotes the columns N and Y, which YAML takes for no and yes.
func keyQuote(s string) string {
	if s == "N" || s == "Y" || s == "NO" || s == "ON" {
		return quote(s)
	}
	return s
}

func joinFields(list []Field) string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = string(f)
	}
	return strings.Join(out, ", ")
}

func numbers(list []int) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = fmt.Sprint(n)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
