package legacy_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// piece is a run of a Word document's text: one byte a character, or two.
type piece struct {
	text   string
	narrow bool
}

// wordOf is a Word document of these pieces; header is how many characters at the end are of headers.
func wordOf(header int, pieces ...piece) []byte {
	le := binary.LittleEndian
	doc := make([]byte, 512)
	le.PutUint16(doc, 0xA5EC)
	le.PutUint16(doc[2:], 0x00C1)
	le.PutUint16(doc[10:], 0x0200)
	var ends, places []byte
	ends = le.AppendUint32(ends, 0)
	n := uint32(0)
	for _, p := range pieces {
		at := uint32(len(doc))
		u := utf16.Encode([]rune(p.text))
		for _, c := range u {
			if p.narrow {
				doc = append(doc, byte(c))
			} else {
				doc = le.AppendUint16(doc, c)
			}
		}
		if p.narrow {
			at = 2*at | 0x40000000
		}
		n += uint32(len(u))
		ends = le.AppendUint32(ends, n)
		places = append(le.AppendUint32(append(places, 0, 0), at), 0, 0)
	}
	table := append([]byte{1, 2, 0, 'x', 'x', 2}, le.AppendUint32(nil, uint32(len(ends)+len(places)))...)
	table = append(append(table, ends...), places...)
	le.PutUint32(doc[76:], n-uint32(header))
	le.PutUint32(doc[84:], uint32(header))
	le.PutUint32(doc[418:], 0)
	le.PutUint32(doc[422:], uint32(len(table)))
	return compoundtest.File(map[string]string{"WordDocument": string(doc), "1Table": string(table)})
}

// The report tells which characters the conversion lost and which it made, by the structures of the old document.
func TestWhatTheConversionChangedIsTold(t *testing.T) {
	book := func(strings string, uses ...uint32) []byte {
		s := record(0x0809, "\x00\x06\x05\x00") + strings
		for _, u := range uses {
			s += record(0x00FD, "\x00\x00\x00\x00\x0F\x00"+string(binary.LittleEndian.AppendUint32(nil, u)))
		}
		return compoundtest.File(map[string]string{"Workbook": s})
	}
	// Two strings: the second begins with one byte a character and goes on in the next record with two.
	shared := record(0x00FC, "\x03\x00\x00\x00\x02\x00\x00\x00"+"\x01\x00\x01\x40\x62"+"\x04\x00\x00ab") + record(0x003C, "\x01\xA2\x95\x40\x62")
	document := func(text string) []byte {
		return officetest.Docx(t, officetest.Body(`<w:p><w:r><w:t>`+text+`</w:t></w:r></w:p>`))
	}
	sheet := func(cells string, strings ...string) []byte {
		table := ""
		for _, s := range strings {
			table += `<si><t>` + s + `</t><rPh sb="0" eb="1"><t>ヨミ</t></rPh></si>`
		}
		const spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml."
		return officetest.Xlsx(t, []string{"worksheet"}, map[string]string{"xl/worksheets/sheet1.xml": `<worksheet ` + officetest.X + `><sheetData><row r="1">` + cells + `</row></sheetData></worksheet>`,
			"xl/sharedStrings.xml": `<sst ` + officetest.X + `>` + table + `</sst>`, "xl/_rels/workbook.xml.rels": officetest.Rels("rId1 worksheet worksheets/sheet1.xml", "rId2 sharedStrings sharedStrings.xml"),
			"[Content_Types].xml": officetest.Types(map[string]string{"xl/workbook.xml": spreadsheet + "sheet.main+xml", "xl/worksheets/sheet1.xml": spreadsheet + "worksheet+xml", "xl/sharedStrings.xml": spreadsheet + "sharedStrings+xml"})}, "SHEETS")
	}
	for name, c := range map[string]struct {
		file         string
		in, answer   []byte
		lost, gained int
		examples     string
	}{
		"all is there":         {"a.doc", wordOf(0, piece{"関所の", false}, piece{"abc\r", true}), document("関所のabc"), 0, 0, ""},
		"one is lost":          {"a.doc", wordOf(0, piece{"関所の髙", false}, piece{"abc\r", true}), document("関所のabc"), 1, 0, "髙"},
		"one became another":   {"a.doc", wordOf(0, piece{"\uE000町", false}), document("?町"), 1, 1, "\uE000"},
		"a field's code":       {"a.doc", wordOf(0, piece{"\x13 PAGE \x1412\x15頁", false}), document("12頁"), 0, 0, ""},
		"white space":          {"a.doc", wordOf(0, piece{"a b\t\u3000c", false}), document("abc"), 0, 0, ""},
		"digits are not shown": {"a.doc", wordOf(0, piece{"番号123456789018町", false}), document("番号"), 13, 0, "町"},
		"a header may be":      {"a.doc", wordOf(2, piece{"本文頭書", false}), document("本文"), 0, 0, ""},
		"a header that is":     {"a.doc", wordOf(2, piece{"本文頭書", false}), document("本文頭書"), 0, 0, ""},
		"a workbook":           {"a.xls", book(shared, 0, 1, 0), sheet(`<c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="inlineStr"><is><t>所</t></is></c><c r="D1"><v>12</v></c>`, "所", "ab関所"), 0, 0, ""},
		"a cell that is empty": {"a.xls", book(shared, 0, 1, 0), sheet(`<c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>`, "所", "ab関所"), 1, 0, "所"},
		"a string of nobody":   {"a.xls", book(shared, 1), sheet(`<c r="B1" t="s"><v>1</v></c>`, "所", "ab関所"), 0, 0, ""},
		"strings that lie":     {"a.xls", book(record(0x00FC, "\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\x0c"), 0), sheet(``), 0, 0, ""},
		"pieces that lie":      {"a.doc", wordOf(1<<30, piece{"本文", false}), document("x"), 0, 0, ""},
	} {
		_, _, needs := sanitizetest.Ask(t, c.file, c.in, sanitize.Options{})
		rep, _, _ := sanitizetest.Ask(t, c.file, c.in, sanitize.Options{Answers: []verdict.Answer{{ID: needs[0].ID, Body: c.answer}}})
		if rep.Outcome != verdict.Clean {
			t.Fatalf("%s: %v", name, rep.Findings)
		}
		got := map[string]verdict.Finding{}
		for _, f := range rep.Findings {
			got[f.Code] = f
		}
		if l, g := got["legacy.lost"], got["legacy.gained"]; l.Count != c.lost || g.Count != c.gained || l.Detail != c.examples {
			t.Errorf("%s: lost %d %q, gained %d %q, want %d %q, %d", name, l.Count, l.Detail, g.Count, g.Detail, c.lost, c.examples, c.gained)
		}
		for _, f := range rep.Findings {
			if strings.ContainsAny(f.Detail, "0123456789") && strings.HasPrefix(f.Code, "legacy.l") {
				t.Errorf("%s: digits in %q", name, f.Detail)
			}
		}
	}
}
