// Package ledger reads and writes the list of designated communications (特定通信管理台帳) that a town keeps in Excel.
//
// Problem: the ledger is what the town is audited on, and it was made for people: titles over merged headings, dates of the
// Japanese calendar, 〃 for the cell above, several addresses in one cell, full-width digits, Shift_JIS. Typing it in again
// brings mistakes, and a guess that is wrong opens a way between two networks. Mechanism: Read makes a bounded table of an
// xlsx or CSV file, whatever its encoding; a Mapping says which column is which field, guessed from its titles or written
// down; each row is decoded strictly, its names and addresses found in the document, its rows of one number joined; and the
// records are set into the YAML text of the document, so that its comments and its order stay. Write is the way back. Life
// cycle: one run a file; nothing is kept. Invariant: every row of the file gets one fate (added, changed, unchanged, refused,
// skipped) with its reason and its cell, none is dropped silently, a record permits nothing that its rows do not say, and
// the result is a document that config.Parse takes, that compiles and that is proven, or it is not given out at all.
package ledger

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
)

// Bounds of a file. A designated city's ledger has about 10,000 rows and 30 columns.
const (
	MaxFile     = 16 << 20 // bytes
	MaxUnzipped = 96 << 20 // bytes of all parts of a workbook
	MaxRows     = 20_000
	MaxColumns  = 200
	MaxSheets   = 50
	MaxCells    = 2_000_000 // of all sheets, blank ones within rows and merged ones counted
	MaxCell     = 8192      // bytes
	MaxText     = 32 << 20  // bytes of all cells of a sheet
)

// Book is a file as it was read: one sheet, or those of a workbook that are not hidden.
type Book struct {
	Encoding string // of a CSV file: UTF-8, UTF-8 with BOM, UTF-16, Shift_JIS; "" for a workbook
	Sheets   []*Sheet
	Notes    []Note // hidden sheets and the like
}

// Sheet is one table.
type Sheet struct {
	Name string
	Rows []Row // in order; rows without any cell may be missing
	era  epoch // what its serial dates count from
}

// Row is one row. Number counts from 1, as Excel shows it.
type Row struct {
	Number int
	Hidden bool
	Cells  []Cell // from column A
}

// Cell is one cell: what it shows, and the number or text behind it.
type Cell struct {
	Text    string
	Raw     string
	Formula bool // Text is what the formula gave last
	Struck  bool // some of it is struck through
	Literal bool // an apostrophe says that it is no sign for the cell above
	// A merged cell stands in each of its places; Anchor tells its first place when that is another.
	Anchor Place
}

// Place is a cell's row and column, both from 1; zero for none.
type Place struct{ Row, Column int }

// at gives a cell, blank beyond the row's end.
func (r *Row) at(column int) Cell {
	if column < 1 || column > len(r.Cells) {
		return Cell{}
	}
	return r.Cells[column-1]
}

// cell names a place as Excel does: Sheet1!F12.
func (s *Sheet) cell(row, column int) string {
	return fmt.Sprintf("%s!%s%d", s.Name, letters(column), row)
}

// letters is a column's name: A, B ... Z, AA.
func letters(column int) string {
	var b []byte
	for ; column > 0; column = (column - 1) / 26 {
		b = append([]byte{byte('A' + (column-1)%26)}, b...)
	}
	return string(b)
}

// columnOf reads a column's name; 0 when it is none.
func columnOf(s string) int {
	n := 0
	for _, c := range []byte(strings.ToUpper(s)) {
		if c < 'A' || c > 'Z' || n > MaxColumns {
			return 0
		}
		n = n*26 + int(c-'A') + 1
	}
	return n
}

// Read makes tables of an xlsx or CSV file. The name is only used to name the sheet of a CSV file. The error is a *Fault
// that says what to do.
func Read(name string, data []byte) (book *Book, err error) {
	defer func() {
		if p := recover(); p != nil { // hostile workbooks end here, not in the caller
			book, err = nil, fault("file.broken", fmt.Sprint(p))
		}
	}()
	switch {
	case len(data) > MaxFile:
		return nil, fault("file.large", fmt.Sprint(len(data)), fmt.Sprint(MaxFile))
	case len(bytes.TrimSpace(data)) == 0:
		return nil, fault("file.empty")
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		if bytes.Contains(data, utf16le("EncryptedPackage")) {
			return nil, fault("file.password")
		}
		return nil, fault("file.xls")
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return readWorkbook(data)
	case bytes.HasPrefix(data, []byte("%PDF")):
		return nil, fault("file.kind", "PDF")
	case markup(data):
		return nil, fault("file.kind", "HTML / XML")
	}
	base := filepath.Base(name)
	return readCSV(strings.TrimSuffix(base, filepath.Ext(base)), data)
}

// room is what is left of MaxCells while a file is read.
type room int

// take makes room for cells, or tells that there is none.
func (r *room) take(cells int) error {
	if *r -= room(cells); *r < 0 {
		return fault("file.cells", fmt.Sprint(MaxCells))
	}
	return nil
}

// markup tells files that some programs save with the ending .xls or .csv and that are none.
func markup(data []byte) bool {
	head := bytes.ToLower(bytes.TrimLeft(data[:min(len(data), 512)], "\xef\xbb\xbf \t\r\n"))
	for _, p := range []string{"<!doctype", "<html", "<?xml", "<table"} {
		if bytes.HasPrefix(head, []byte(p)) {
			return true
		}
	}
	return false
}

func utf16le(s string) []byte {
	var b []byte
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return b
}
