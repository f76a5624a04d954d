package legacy_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/compound/compoundtest"
	"github.com/sekisho/sekisho/dataplane/sanitize/crypt/crypttest"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// record is one of a workbook.
func record(kind uint16, body string) string {
	b := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, kind), uint16(len(body)))
	return string(b) + body
}

// show is a record of a presentation.
func show(version, kind uint16, body string) string {
	b := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, version), kind)
	return string(binary.LittleEndian.AppendUint32(b, uint32(len(body)))) + body
}

func sheet(kind byte) string {
	return record(0x0085, "\x00\x00\x00\x00\x00"+string([]byte{kind})+"\x01\x00M")
}

func TestWhatDoesNotComeOverIsNamed(t *testing.T) {
	word := "\xEC\xA5\xC1\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for name, c := range map[string]struct {
		file string
		in   []byte
		from string
		want []string
	}{
		"plain Word":       {"a.doc", compoundtest.File(map[string]string{"WordDocument": word}), "doc", nil},
		"Word with macros": {"a.doc", compoundtest.File(map[string]string{"WordDocument": word, "Macros/VBA/_VBA_PROJECT": "x"}), "doc", []string{"legacy.macros"}},
		"Word with an object": {"a.dot", compoundtest.File(map[string]string{"WordDocument": word, "ObjectPool/_1/\x01Ole10Native": "x"}), "doc",
			[]string{"legacy.ole"}},
		"Excel with macro sheets": {"a.xls", compoundtest.File(map[string]string{"Workbook": record(0x0809, "\x00\x06") + sheet(0) + sheet(1) + sheet(1)}), "xls", []string{"legacy.macro-sheet"}},
		"Excel 95 with macros":    {"a.xlt", compoundtest.File(map[string]string{"Book": record(0x0809, "\x00\x05") + sheet(0), "_VBA_PROJECT_CUR/VBA/dir": "x"}), "xls", []string{"legacy.macros"}},
		"PowerPoint with macros and an object": {"a.pps", compoundtest.File(map[string]string{"PowerPoint Document": show(15, 0x03E8, show(0, 0x03E9, "abc")+show(15, 0x03FF, show(2, 0x0400, "x"))+show(15, 0x0FCC, ""))}), "ppt",
			[]string{"legacy.macros", "legacy.ole"}},
		"RTF with an object": {"a.rtf", []byte(`{\rtf1{\object\objemb{\*\objdata 01}}}`), "rtf", []string{"legacy.ole"}},
		"RTF called doc":     {"a.doc", []byte(`{\rtf1 x}`), "rtf", nil},
		"a page called xls":  {"a.xls", []byte(`<html><table><tr><td>1</td></tr></table></html>`), "html", nil},
		"XML of 2003":        {"a.xls", []byte(`<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>`), "xml", nil},
		"a web archive":      {"a.mht", []byte("MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html>=E9=96=A2</html>\r\n--b--\r\n"), "html", nil},
		"xlsb":               {"a.xlsb", officetest.Zip(t, map[string]string{"[Content_Types].xml": `<Types><Override ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/></Types>`, "xl/vbaProject.bin": "x", "xl/macrosheets/sheet1.bin": "x"}), "xlsb", []string{"legacy.macro-sheet", "legacy.macros"}},
	} {
		_, _, needs := sanitizetest.Ask(t, c.file, c.in, sanitize.Options{})
		if len(needs) != 1 || needs[0].Kind != "convert" || needs[0].Options["from"] != c.from {
			t.Errorf("%s: asks %+v, want a conversion from %s", name, needs, c.from)
			continue
		}
		var answer []byte
		switch to := needs[0].Options["to"]; to {
		case "docx":
			answer = officetest.Docx(t, map[string]string{"word/evil.bin": "x"})
		case "xlsx":
			answer = officetest.Xlsx(t, []string{"worksheet"}, nil, "SHEETS")
		case "pptx":
			answer = officetest.Pptx(t, "", nil, nil)
		}
		answered := sanitize.Options{Answers: []verdict.Answer{{ID: needs[0].ID, Body: answer}}}
		if c.from != "xls" && c.from != "xlsb" && c.from != "xml" && !strings.HasSuffix(c.file, ".xls") && c.from != "ppt" {
			rep, out, _ := sanitizetest.Ask(t, c.file, c.in, answered)
			if rep.Outcome != verdict.Clean || rep.Family != "docx" || rep.OutName != "a.docx" || !strings.HasPrefix(string(out), "PK") {
				t.Errorf("%s: got %s %s %s %v", name, rep.Outcome, rep.Family, rep.OutName, rep.Findings)
			}
			check(t, name, rep, c.want)
			continue
		}
		// The test's workbooks and shows are of macro kinds, which no helper writes: that is refused.
		rep, _, _ := sanitizetest.Ask(t, c.file, c.in, answered)
		check(t, name, rep, c.want)
	}
}

func check(t *testing.T, name string, rep verdict.Report, want []string) {
	t.Helper()
	var got []string
	for _, f := range rep.Findings {
		if strings.HasPrefix(f.Code, "legacy.") && f.Action == verdict.Removed {
			got = append(got, f.Code)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || !sanitizetest.Has(rep, "legacy.converted", verdict.Changed) {
		t.Errorf("%s: told %v of %v, want %v", name, got, rep.Findings, want)
	}
}

func TestPasswordsAndDamageOfOldFiles(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		in   []byte
		code string
	}{
		"Word, obfuscated":            {"a.doc", compoundtest.File(map[string]string{"WordDocument": "\xEC\xA5\xC1\x00\x00\x00\x00\x00\x00\x00\x00\x81"}), "legacy.encryption"},
		"PowerPoint without its edit": {"a.ppt", compoundtest.File(map[string]string{"PowerPoint Document": "x", "Current User": "\x00\x00\xF6\x0F\x14\x00\x00\x00\x14\x00\x00\x00\xDF\xC4\xD1\xF3"}), "legacy.broken"},
		"another program's file":      {"a.doc", compoundtest.File(map[string]string{"x": "x"}), "legacy.broken"},
		"a web archive without page":  {"a.mht", []byte("MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"), "legacy.broken"},
		"plain text called doc":       {"a.doc", []byte("just text"), "type.mismatch"},
	} {
		rep, _ := sanitizetest.Run(t, c.file, c.in)
		if rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %s %v, want %s", name, rep.Outcome, rep.Findings, c.code)
		}
	}
}

func TestATableCalledXLSBecomesCSV(t *testing.T) {
	rep, out := sanitizetest.Clean(t, "住民.xls", []byte("氏名,額\r\n=1+1,2\r\n"))
	if rep.Family != "csv" || rep.OutName != "住民.csv" || !sanitizetest.Has(rep, "name.kind", verdict.Changed) || !strings.Contains(string(out), "'=1+1") {
		t.Errorf("got %s %s %v %q", rep.Family, rep.OutName, rep.Findings, out)
	}
	rep, _, _ = sanitizetest.Ask(t, "a.xls", []byte("a,b\n"), sanitize.Options{Formats: []string{"xlsx"}})
	if rep.Outcome != verdict.Blocked || !sanitizetest.Has(rep, "type.not-admitted", verdict.Refused) {
		t.Errorf("a route for xlsx lets csv pass: %v", rep.Findings)
	}
}

func TestRoutesTakeOldFormatsByEitherName(t *testing.T) {
	for _, c := range []struct {
		formats []string
		taken   bool
	}{{[]string{"rtf"}, true}, {[]string{"docx"}, true}, {[]string{"xlsx", "doc"}, false}, {nil, true}} {
		_, _, needs := sanitizetest.Ask(t, "a.rtf", []byte(`{\rtf1 x}`), sanitize.Options{Formats: c.formats})
		if got := len(needs) == 1; got != c.taken {
			t.Errorf("%v: taken %v, want %v", c.formats, got, c.taken)
		}
	}
}

func TestADocumentUnderAPasswordIsOpenedWithTheSendersKey(t *testing.T) {
	in := crypttest.File(officetest.Docx(t, nil), "かぎ")
	rep, out, _ := sanitizetest.Ask(t, "申請.docx", in, sanitize.Options{Keys: []string{"違う", "かぎ"}})
	if rep.Outcome != verdict.Clean || !sanitizetest.Has(rep, "legacy.opened", verdict.Changed) || !strings.HasPrefix(string(out), "PK") || rep.OutName != "申請.docx" {
		t.Errorf("got %s %v", rep.Outcome, rep.Findings)
	}
	if rep, _, _ := sanitizetest.Ask(t, "申請.xlsx", in, sanitize.Options{Keys: []string{"かぎ"}}); !sanitizetest.Has(rep, "type.mismatch", verdict.Refused) {
		t.Errorf("a document called a workbook: %v", rep.Findings)
	}
	sanitizetest.Blocked(t, "申請.docx", in, "type.encrypted")
}
