package ledger

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/xuri/excelize/v2"
)

// readWorkbook reads the sheets of an xlsx or xlsm file that are not hidden. Parts are kept in memory, never on disk.
func readWorkbook(data []byte) (*Book, error) {
	if err := packaged(data); err != nil {
		return nil, err
	}
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{UnzipSizeLimit: MaxUnzipped, UnzipXMLSizeLimit: MaxUnzipped, CultureInfo: excelize.CultureNameJaJP})
	if err != nil {
		return nil, fault("file.broken", err.Error())
	}
	defer f.Close()
	parts, err := sheetParts(f)
	if err != nil {
		return nil, fault("file.broken", err.Error())
	}
	names := f.GetSheetList()
	if len(names) > MaxSheets {
		return nil, fault("file.sheets", fmt.Sprint(len(names)), fmt.Sprint(MaxSheets))
	}
	era := epoch1900
	if p, err := f.GetWorkbookProps(); err == nil && p.Date1904 != nil && *p.Date1904 {
		era = epoch1904
	}
	texts, _ := f.Pkg.Load("xl/sharedStrings.xml")
	shared, err := struckTexts(texts)
	if err != nil {
		return nil, fault("file.broken", err.Error())
	}
	book, left := &Book{}, room(MaxCells)
	for _, name := range names {
		if visible, err := f.GetSheetVisible(name); err == nil && !visible {
			book.Notes = append(book.Notes, Note{Code: "sheet.hidden", Args: []string{name}})
			continue
		}
		part, ok := f.Pkg.Load(parts[name])
		if !ok {
			continue // a chart
		}
		facts, err := scan(name, part.([]byte), shared, &left)
		if err != nil {
			return nil, err
		}
		s, err := readSheet(f, name, facts, &left)
		if err != nil {
			return nil, err
		}
		s.era = era
		book.Sheets = append(book.Sheets, s)
	}
	if len(book.Sheets) == 0 {
		return nil, fault("file.nosheet")
	}
	return book, nil
}

// packaged refuses archives that are no xlsx, or that unpack to too much.
func packaged(data []byte) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fault("file.broken", err.Error())
	}
	total, book := uint64(0), false
	for _, f := range z.File {
		total += min(f.UncompressedSize64, MaxUnzipped+1)
		if total > MaxUnzipped {
			return fault("file.bomb", fmt.Sprint(MaxUnzipped))
		}
		switch f.Name {
		case "xl/workbook.bin":
			return fault("file.kind", "xlsb")
		case "content.xml":
			return fault("file.kind", "ods")
		case "xl/workbook.xml":
			book = true
		}
	}
	if !book {
		return fault("file.kind", "zip")
	}
	return nil
}

// sheetParts tells in which part of the package each sheet stands.
func sheetParts(f *excelize.File) (map[string]string, error) {
	var book struct {
		Sheets []struct {
			Name string `xml:"name,attr"`
			ID   string `xml:"http://schemas.openxmlformats.org/officeDocument/2006/relationships id,attr"`
			Old  string `xml:"http://purl.oclc.org/ooxml/officeDocument/relationships id,attr"` // strict files
		} `xml:"sheets>sheet"`
	}
	var rels struct {
		List []struct {
			ID     string `xml:"Id,attr"`
			Target string `xml:"Target,attr"`
		} `xml:"Relationship"`
	}
	for name, into := range map[string]any{"xl/workbook.xml": &book, "xl/_rels/workbook.xml.rels": &rels} {
		part, ok := f.Pkg.Load(name)
		if !ok {
			return nil, errors.New(name + " is missing")
		}
		if err := xml.Unmarshal(part.([]byte), into); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	at := map[string]string{}
	for _, r := range rels.List {
		if rest, ok := strings.CutPrefix(r.Target, "/"); ok {
			at[r.ID] = path.Clean(rest)
		} else {
			at[r.ID] = path.Join("xl", r.Target)
		}
	}
	parts := map[string]string{}
	for _, s := range book.Sheets {
		parts[s.Name] = at[s.ID+s.Old]
	}
	return parts, nil
}

// readSheet joins what cells show and hold with what the scan found around them.
func readSheet(f *excelize.File, name string, facts *facts, left *room) (*Sheet, error) {
	shown, err := values(f, name, facts.last, false)
	if err != nil {
		return nil, err
	}
	raw, err := values(f, name, facts.last, true)
	if err != nil {
		return nil, err
	}
	for n := range shown {
		if err := left.take(max(len(shown[n]), len(raw[n]))); err != nil {
			return nil, err
		}
	}
	s := &Sheet{Name: name}
	struck := map[int]bool{}
	for n := 1; n <= facts.last; n++ {
		width := max(len(shown[n]), len(raw[n]))
		row := Row{Number: n, Hidden: facts.hidden[n], Cells: make([]Cell, width)}
		for i := range row.Cells {
			c := &row.Cells[i]
			if i < len(shown[n]) {
				c.Text = shown[n][i]
			}
			if i < len(raw[n]) {
				c.Raw = raw[n][i]
			}
			if len(c.Text) > MaxCell || len(c.Raw) > MaxCell {
				return nil, fault("file.cell", s.cell(n, i+1), fmt.Sprint(max(len(c.Text), len(c.Raw))), fmt.Sprint(MaxCell))
			}
			c.Literal = unescape(c.Text) != c.Text
			c.Text, c.Raw = unescape(c.Text), unescape(c.Raw)
			at := Place{n, i + 1}
			c.Formula = facts.formulas[at]
			c.Struck = c.Text != "" && (facts.struck[at] || strikes(f, facts.styles[at], struck))
		}
		s.Rows = append(s.Rows, row)
	}
	for _, m := range facts.merged {
		s.spread(m)
	}
	return s, nil
}

// values reads a sheet's cells row by row, from row 1 to last.
func values(f *excelize.File, name string, last int, raw bool) ([][]string, error) {
	rows, err := f.Rows(name)
	if err != nil {
		return nil, fault("file.broken", err.Error())
	}
	defer rows.Close()
	out, bytes := make([][]string, last+1), 0
	for n := 1; n <= last && rows.Next(); n++ {
		cells, err := rows.Columns(excelize.Options{RawCellValue: raw})
		if err != nil {
			return nil, fault("file.broken", err.Error())
		}
		if len(cells) > MaxColumns {
			return nil, fault("file.columns", name, letters(len(cells)), letters(MaxColumns))
		}
		for _, c := range cells { // one shared text may stand in every cell
			bytes += len(c)
		}
		if bytes > MaxText {
			return nil, fault("file.text", name, fmt.Sprint(MaxText))
		}
		out[n] = cells
	}
	return out, nil
}

// strikes tells whether a style strikes its text through; known remembers answers by style.
func strikes(f *excelize.File, style int, known map[int]bool) bool {
	if style == 0 {
		return false
	}
	answer, ok := known[style]
	if !ok {
		st, err := f.GetStyle(style)
		answer = err == nil && st != nil && st.Font != nil && st.Font.Strike
		known[style] = answer
	}
	return answer
}

// spread sets a merged cell into each of its places.
func (s *Sheet) spread(m area) {
	top := s.Rows[m.top-1].at(m.left)
	if top.Text == "" && top.Raw == "" {
		return
	}
	top.Anchor = Place{m.top, m.left}
	for n := m.top; n <= min(m.bottom, len(s.Rows)); n++ {
		row := &s.Rows[n-1]
		if missing := m.right - len(row.Cells); missing > 0 {
			row.Cells = append(row.Cells, make([]Cell, missing)...)
		}
		for c := m.left; c <= m.right; c++ {
			if n != m.top || c != m.left {
				row.Cells[c-1] = top
			}
		}
	}
}
