package ledger

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/sekisho/sekisho/controlplane/config/examples"
)

// shown is a workbook with one record of the lab, one cell of which somebody has typed or formatted.
func shown(t *testing.T, change func(f *excelize.File, sheet string) error) *Report {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	rows := [][]any{
		{"管理番号", "送信元端末", "宛先IPアドレス", "プロトコル", "ポート番号", "利用目的", "所管課", "終了日"},
		{"a", "lg-pc1", "198.18.21.0/25", "TCP", 443, "目的", "総務課", "2027/3/31"},
	}
	for i := range rows {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := change(f, "Sheet1"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	_, r := imported(t, examples.Lab, "l.xlsx", b.Bytes(), Options{})
	return r
}

// numberCell sets a number into a cell, in one of the program's own formats or in another one.
func numberCell(at string, value any, builtIn int, format string) func(*excelize.File, string) error {
	return func(f *excelize.File, sheet string) error {
		style := &excelize.Style{NumFmt: builtIn}
		if format != "" {
			style.CustomNumFmt = &format
		}
		id, err := f.NewStyle(style)
		if err != nil {
			return err
		}
		if err := f.SetCellValue(sheet, at, value); err != nil {
			return err
		}
		return f.SetCellStyle(sheet, at, at, id)
	}
}

// TestWhatTheTownSees: a value behind a cell that shows something else is refused, not taken for what nobody wrote.
func TestWhatTheTownSees(t *testing.T) {
	for _, x := range []struct {
		name, cell, code string
		change           func(*excelize.File, string) error
	}{
		{"22,443 became one number", "E2", "port.shown", numberCell("E2", 22443, 3, "")},
		{"10-12 became a day", "E2", "port.shown", numberCell("E2", 46307, 16, "")},
		{"10-12 became a day in Japanese", "E2", "port.shown", numberCell("E2", 46307, 56, "")},
		{"10-12 became a day of another format", "E2", "port.shown", numberCell("E2", 46307, 0, `m"月"d"日";@`)},
		{"a number that is not shown", "E2", "port.shown", numberCell("E2", 443, 0, ";;;")},
		{"a whole number of days, shown with its time", "H2", "date.midnight", numberCell("H2", 46113, 22, "")},
		{"a whole number of days, shown with its hour", "H2", "date.midnight", numberCell("H2", 46113, 0, `yyyy"年"m"月"d"日" h"時"`)},
		{"a number as it is", "", "", numberCell("E2", 443, 0, "")},
		{"a number in whole digits", "", "", numberCell("E2", 443, 1, "")},
		{"a number as text", "", "", numberCell("E2", 443, 49, "")},
		{"a number in thousands that has none", "", "", numberCell("E2", 443, 3, "")},
		{"a day", "", "", numberCell("H2", 46113, 14, "")},
		{"a day in Japanese", "", "", numberCell("H2", 46113, 58, "")},
		{"a minute", "", "", numberCell("H2", 46113.75, 22, "")},
	} {
		r := shown(t, x.change)
		switch faults := r.Rows[0].Faults; {
		case x.code == "" && !r.Written:
			t.Errorf("%s: refused\n%s", x.name, printed(r, "en"))
		case x.code != "" && (len(faults) != 1 || faults[0].Code != x.code || faults[0].Cell != "Sheet1!"+x.cell):
			t.Errorf("%s: want %s at %s, got\n%s", x.name, x.code, x.cell, printed(r, "en"))
		}
	}
}

// TestStruckInPart: text with a line through a part of it is refused like one with a line through all of it.
func TestStruckInPart(t *testing.T) {
	part := func(strike bool) func(*excelize.File, string) error {
		return func(f *excelize.File, sheet string) error {
			return f.SetCellRichText(sheet, "E2", []excelize.RichTextRun{{Text: "TCP/443, "}, {Text: "TCP/80", Font: &excelize.Font{Strike: strike, Color: "FF0000"}}})
		}
	}
	r := shown(t, part(true))
	if f := r.Rows[0].Faults; len(f) != 1 || f[0].Code != "cell.struck" || f[0].Cell != "Sheet1!E2" {
		t.Errorf("got\n%s", printed(r, "en"))
	}
	if r = shown(t, part(false)); !r.Written {
		t.Errorf("coloured text is refused\n%s", printed(r, "en"))
	}
	// Text that stands in the cell itself.
	for run, struck := range map[string]bool{"<strike/>": true, `<strike val="1"/>`: true, `<strike val="true"/>`: true, `<strike val="0"/>`: false, `<strike val="false"/>`: false, "<b/>": false} {
		book, err := Read("l.xlsx", sheetOf(t, `<sheetData><row r="1"><c r="A1" t="inlineStr"><is><r><t>一</t></r><r><rPr>`+run+`</rPr><t>二</t></r></is></c><c r="B1" t="inlineStr"><is><t>三</t></is></c></row></sheetData>`))
		if err != nil {
			t.Fatal(err)
		}
		if cells := book.Sheets[0].Rows[0].Cells; cells[0].Text != "一二" || cells[0].Struck != struck || cells[1].Struck {
			t.Errorf("%s: got %+v", run, cells)
		}
	}
}

// TestSignsForTheCellAbove bring along what makes that cell doubtful: the row is no better than the one that it repeats.
func TestSignsForTheCellAbove(t *testing.T) {
	for code, change := range map[string]func(*excelize.File, string) error{
		"port.shown": numberCell("E2", 22443, 3, ""),
		"cell.struck": func(f *excelize.File, sheet string) error {
			return f.SetCellRichText(sheet, "E2", []excelize.RichTextRun{{Text: "443, "}, {Text: "80", Font: &excelize.Font{Strike: true}}})
		},
	} {
		r := shown(t, func(f *excelize.File, sheet string) error {
			if err := change(f, sheet); err != nil {
				return err
			}
			return f.SetSheetRow(sheet, "A3", &[]any{"b", "lg-pc2", "〃", "〃", "〃", "〃", "〃", "〃"})
		})
		if f := r.Rows[1].Faults; len(f) != 1 || f[0].Code != code || f[0].Cell != "Sheet1!E3" {
			t.Errorf("want %s at Sheet1!E3, got\n%s", code, printed(r, "en"))
		}
	}
}
