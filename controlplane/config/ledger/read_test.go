package ledger

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/sekisho/sekisho/controlplane/config/examples"
)

func encoded16(t *testing.T, s string) []byte {
	b, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sjis(t testing.TB, s string) []byte {
	b, err := japanese.ShiftJIS.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEncodings: the same table in every encoding and form of line, with the encoding told and rows counted as Excel counts them.
func TestEncodings(t *testing.T) {
	text := "管理番号,名称\n\n1,\"上\n下\"\n\n\n2,\"引用\"\"符\"\n"
	crlf := strings.ReplaceAll(text, "\n", "\r\n")
	for _, x := range []struct {
		name, encoding string
		data           []byte
	}{
		{"UTF-8", "UTF-8", []byte(text)},
		{"UTF-8, CRLF", "UTF-8", []byte(crlf)},
		{"UTF-8 with mark", "UTF-8 (BOM)", []byte("\xef\xbb\xbf" + crlf)},
		{"Shift_JIS", "Shift_JIS", sjis(t, crlf)},
		{"UTF-16 with tabs", "UTF-16", encoded16(t, strings.ReplaceAll(crlf, ",", "\t"))},
		{"tabs", "UTF-8", []byte(strings.ReplaceAll(text, ",", "\t"))},
		{"no last line end", "UTF-8", []byte(strings.TrimSuffix(text, "\n"))},
	} {
		book, err := Read("x/台帳.csv", x.data)
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		var got []string
		for _, r := range book.Sheets[0].Rows {
			got = append(got, fmt.Sprintf("%d:%s|%s", r.Number, r.at(1).Text, strings.ReplaceAll(r.at(2).Text, "\r", "")))
		}
		if want := "1:管理番号|名称 3:1|上\n下 6:2|引用\"符"; strings.Join(got, " ") != want || book.Encoding != x.encoding || book.Sheets[0].Name != "台帳" {
			t.Errorf("%s: got %s in %s, want %s in %s", x.name, strings.Join(got, " "), book.Encoding, want, x.encoding)
		}
	}
}

// zipped makes an archive of parts.
func zipped(t testing.TB, parts map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range parts {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sheetOf is a workbook of one sheet with the XML given.
func sheetOf(t testing.TB, sheet string) []byte {
	return zipped(t, map[string]string{
		"[Content_Types].xml":        `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>`,
		"xl/workbook.xml":            `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
		"_rels/.rels":                `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/styles.xml":              `<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>`,
		"xl/worksheets/sheet1.xml":   `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">` + sheet + `</worksheet>`,
	})
}

// wideRows are as many rows as are read, with a value in the last column of each.
func wideRows() string {
	var b strings.Builder
	for n := 1; n <= MaxRows; n++ {
		fmt.Fprintf(&b, `<row r="%d"><c r="%s%d"><v>1</v></c></row>`, n, letters(MaxColumns), n)
	}
	return b.String()
}

// TestFilesThatAreRefused: each with the code that says what to do.
func TestFilesThatAreRefused(t *testing.T) {
	protected := func() []byte {
		f := excelize.NewFile()
		var b bytes.Buffer
		if err := f.Write(&b, excelize.Options{Password: "secret"}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}()
	wide := strings.Repeat("a,", MaxColumns+1)
	for _, x := range []struct {
		name, code string
		data       []byte
	}{
		{"nothing", "file.empty", nil},
		{"blanks", "file.empty", []byte("\n \n")},
		{"too large", "file.large", make([]byte, MaxFile+1)},
		{"a password", "file.password", protected},
		{"the old format", "file.xls", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), utf16le("Workbook")...)},
		{"PDF", "file.kind", []byte("%PDF-1.7")},
		{"HTML that is called xls", "file.kind", []byte("<html><table>")},
		{"ods", "file.kind", zipped(t, map[string]string{"content.xml": "<a/>"})},
		{"xlsb", "file.kind", zipped(t, map[string]string{"xl/workbook.bin": "x"})},
		{"another archive", "file.kind", zipped(t, map[string]string{"a.txt": "x"})},
		{"half an archive", "file.broken", zipped(t, map[string]string{"xl/workbook.xml": "x"})[:60]},
		{"another encoding", "file.encoding", []byte(strings.Repeat("\x80\xa0", 50))},
		{"quotation marks that do not match", "csv.quotes", []byte("a,b\n\"c,d\n")},
		{"too many columns", "file.columns", []byte(wide)},
		{"too many rows", "file.rows", []byte(strings.Repeat("a\n", MaxRows+1))},
		{"empty lines without end", "file.rows", []byte("a" + strings.Repeat("\n", MaxRows+1) + "b")},
		{"a huge cell", "file.cell", []byte("a," + strings.Repeat("b", MaxCell+1))},
		{"a bomb", "file.bomb", zipped(t, map[string]string{"xl/workbook.xml": "x", "xl/a": strings.Repeat("\x00", MaxUnzipped)})},
		{"a value in the last row", "file.rows", sheetOf(t, `<sheetData><row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>`)},
		{"a value in the last column", "file.columns", sheetOf(t, `<sheetData><row r="1"><c r="XFD1"><v>1</v></c></row></sheetData>`)},
		{"rows out of order", "file.broken", sheetOf(t, `<sheetData><row r="5"><c r="A5"><v>1</v></c></row><row r="2"/></sheetData>`)},
		{"cells out of order", "file.broken", sheetOf(t, `<sheetData><row r="1"><c r="C1"><v>1</v></c><c r="A1"><v>1</v></c></row></sheetData>`)},
		{"a cell of another row", "file.broken", sheetOf(t, `<sheetData><row r="1"><c r="A9"><v>1</v></c></row></sheetData>`)},
		{"blank cells before the last column of every row", "file.cells", sheetOf(t, "<sheetData>"+wideRows()+"</sheetData>")},
		{"merged cells over everything", "file.cells", sheetOf(t, `<sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="20000"><c r="A20000"><v>1</v></c></row></sheetData><mergeCells><mergeCell ref="A1:GR20000"/></mergeCells>`)},
	} {
		_, err := Read("l.csv", x.data)
		var f *Fault
		if !errors.As(err, &f) || f.Code != x.code {
			t.Errorf("%s: got %v, want %s", x.name, err, x.code)
		}
	}
}

// TestWhatStandsAroundCells: merged and hidden ones, formulas, lines through text, rows formatted down to the last.
func TestWhatStandsAroundCells(t *testing.T) {
	f := excelize.NewFile()
	defer f.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := [][]any{{"管理番号", "通信名称", "送信元端末", "宛先", "ポート番号", "利用目的", "所管課"}, {"a", "一", "lg-pc1", "eltax", "TCP/443", "目的", "総務課"}, {"", "", "lg-pc2"}, {"b", "二", "lg-pc1", "eltax", "TCP/443", "", "総務課"}, {"c", "三", "lg-pc1", "eltax", "TCP/443", "目的", "総務課"}}
	for i := range rows {
		must(f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &rows[i]))
	}
	must(f.MergeCell("Sheet1", "A2", "A3"))
	must(f.MergeCell("Sheet1", "D2", "D3"))
	must(f.SetCellFormula("Sheet1", "F4", `"目"&"的"`))
	must(f.SetRowVisible("Sheet1", 2, false))
	strike, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Strike: true}})
	must(err)
	must(f.SetCellStyle("Sheet1", "B5", "B5", strike))
	_, err = f.NewSheet("旧台帳")
	must(err)
	must(f.SetSheetVisible("旧台帳", false))
	var b bytes.Buffer
	must(f.Write(&b))
	book, err := Read("l.xlsx", b.Bytes())
	must(err)
	m, err := Guess(book, "", nil)
	must(err)
	_, r, err := Import(examples.Lab, book, m, Options{})
	must(err)
	text := printed(r, "en")
	for _, want := range []string{
		"note: sheet 旧台帳 is hidden and was not read",
		"Sheet1!A2  added  a  (hidden row)", "Sheet1!A3  added  a\n",
		"Sheet1!F4: a formula: its last value",
		"Sheet1!B5: text is struck through (三)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if got := r.Rows[0].Records; len(got) != 1 || got[0] != "a" {
		t.Errorf("rows 2 and 3 became %v, want a alone", got)
	}
	// A row that is formatted only, at the end of the sheet, is none.
	book, err = Read("l.xlsx", sheetOf(t, `<sheetData><row r="1"><c r="A1" t="str"><f>X()</f><v>管理番号</v></c></row><row r="1048576" s="3" hidden="1"><c r="XFD1048576" s="3"/></row></sheetData>`))
	if err != nil || len(book.Sheets[0].Rows) != 1 || !book.Sheets[0].Rows[0].Cells[0].Formula || book.Sheets[0].Rows[0].Cells[0].Text != "管理番号" {
		t.Errorf("got %+v, %v", book, err)
	}
}

// TestNoFormula: text that a spreadsheet would take for a formula is written so that it does not, and is read back as it was.
func TestNoFormula(t *testing.T) {
	for _, text := range []string{"=1+2", "+81", "-1", "@x", "\t=1", "'=1", "''", "'a", "〃", "＝x", "普通", "'〃"} {
		if e := escape(text); unescape(e) != text || strings.ContainsAny(e[:1], "=+-@\t\r") {
			t.Errorf("%q: written as %q, read as %q", text, e, unescape(e))
		}
	}
	doc := strings.Replace(string(examples.Lab), "purpose: 情報収集", `purpose: "=HYPERLINK(\"http://x\")"`, 1)
	for name, f := range formats {
		var b bytes.Buffer
		if err := Export(&b, parsed(t, []byte(doc)), f); err != nil {
			t.Fatal(err)
		}
		if name == "l.xlsx" {
			x, err := excelize.OpenReader(bytes.NewReader(b.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			for i := range 30 {
				at, _ := excelize.CoordinatesToCellName(i+1, 4)
				if formula, _ := x.GetCellFormula(sheetName, at); formula != "" {
					t.Errorf("%s is a formula: %s", at, formula)
				}
			}
		} else if bytes.Contains(b.Bytes(), []byte(",=")) || bytes.Contains(b.Bytes(), []byte(",\"=")) {
			t.Error("a cell begins with =")
		}
	}
}

// TestShiftJISRefusesWhatItCannotHold with the cell and the character.
func TestShiftJISRefusesWhatItCannotHold(t *testing.T) {
	for _, c := range []string{"𠮷", "〜", "¥", "é", "😀"} {
		doc := strings.Replace(string(examples.Lab), "purpose: 情報収集", "purpose: \"情報"+c+"\"", 1)
		err := Export(&bytes.Buffer{}, parsed(t, []byte(doc)), Format{CSV: true, Encoding: ShiftJIS})
		var f *Fault
		if !errors.As(err, &f) || f.Code != "csv.character" || f.Cell != sheetName+"!P4" || f.Args[0] != c {
			t.Errorf("%s: got %v", c, err)
		}
	}
}
