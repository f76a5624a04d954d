package pdf_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

const individual = "123456789018"

// counted is how many numbers of persons a report tells of, with their places.
func counted(rep verdict.Report) (sure, likely int, places string) {
	for _, f := range rep.Findings {
		switch f.Code {
		case "mynumber.found":
			sure += f.Count
		case "mynumber.likely":
			likely += f.Count
		default:
			continue
		}
		places += f.Place + " "
	}
	return sure, likely, strings.TrimSpace(places)
}

// boxed has each digit shown at a place of its own.
func boxed(s string) string {
	var b strings.Builder
	for i, c := range s {
		fmt.Fprintf(&b, "BT /F1 10 Tf 1 0 0 1 %d 100 Tm (%c) Tj ET ", 20+16*i, c)
	}
	return b.String()
}

// Numbers of persons are counted by page in whatever way a PDF spells digits, and stand in no report.
func TestNumbersOfPersons(t *testing.T) {
	named := "BT /F1 10 Tf 20 150 Td (My Number) Tj ET "
	identity := func(font string, codes string, more ...string) []byte {
		return page("", "", "/Font << /F1 6 0 R >>", named+"BT /F1 10 Tf 20 100 Td "+codes+" ET", append([]string{font}, more...)...)
	}
	wide := strings.NewReplacer("0", "0041", "1", "0042", "2", "0043", "3", "0044", "4", "0045", "5", "0046", "6", "0047", "7", "0048", "8", "0049", "9", "004A").Replace
	cid := "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [<< /Type /Font /Subtype /CIDFontType0 /BaseFont /X /CIDSystemInfo << /Registry (Adobe) /Ordering (%s) /Supplement 0 >> /DW 500 >>] %s >>"
	for what, c := range map[string]struct {
		in           []byte
		sure, likely int
		places       string
	}{
		"in one string":       {page("", "", "", "BT /F1 10 Tf 20 100 Td (My Number "+individual+") Tj ET"), 1, 0, "p1"},
		"in fours":            {page("", "", "", "BT /F1 10 Tf 20 100 Td (1234 5678 9018) Tj ET"), 0, 1, "p1"},
		"with kerning":        {page("", "", "", "BT /F1 10 Tf 20 100 Td [(My Number 12) 20 (34567) -30 (89018)] TJ ET"), 1, 0, "p1"},
		"string after string": {page("", "", "", "BT /F1 10 Tf 20 100 Td (My Number ) Tj (123456) Tj (789018) Tj ET"), 1, 0, "p1"},
		"in boxes":            {page("", "", "", "BT /F1 10 Tf 20 100 Td (MyNumber) Tj ET q 1 0 0 1 70 0 cm "+boxed(individual)+" Q"), 1, 0, "p1 R1C2"},
		"in wide boxes":       {page("", "", "", named+"q 2 0 0 1 0 0 cm "+boxed(individual)+" Q"), 0, 1, "p1 R2C1"},
		"spread by spacing":   {page("", "", "", "BT /F1 10 Tf 18 Tc 20 100 Td ("+individual+") Tj ET"), 0, 1, "p1 R1C1"},
		"in a table": {page("", "", "", "BT /F1 10 Tf 20 150 Td (Name) Tj 100 0 Td (MyNumber) Tj -100 -20 Td (A) Tj 100 0 Td ("+individual+") Tj -100 -20 Td (B) Tj 100 0 Td (1234 5678 9018) Tj ET"),
			2, 0, "p1 R2C2"},
		"turned":              {page("", "", "", "BT /F1 10 Tf 0 1 -1 0 100 20 Tm (MyNumber "+individual+") Tj ET"), 1, 0, "p1"},
		"one below the other": {page("", "", "", "BT /F1 10 Tf 12 TL 20 180 Td (MyNumber) Tj ("+individual+") ' ET"), 1, 0, "p1"},
		"struck twice":        {page("", "", "", "BT /F1 10 Tf 20 100 Td (1234) Tj 0.3 0 Td (1234) Tj 30 0 Td (5678) Tj 0.3 0 Td (5678) Tj 30 0 Td (9018) Tj ET"), 0, 1, "p1 R1C1"},
		"through ToUnicode":   {identity(fmt.Sprintf(cid, "Identity", "/ToUnicode 7 0 R"), "<"+wide(individual)+"> Tj", "stream \n1 begincodespacerange <0000> <FFFF> endcodespacerange 1 beginbfrange <0041> <004A> <0030> endbfrange"), 0, 1, "p1"},
		"wide digits":         {identity(fmt.Sprintf(cid, "Identity", "/ToUnicode 7 0 R"), "<"+wide(individual)+"> Tj", "stream \n1 begincodespacerange <0000> <FFFF> endcodespacerange 1 beginbfrange <0041> <004A> <FF10> endbfrange"), 0, 1, "p1"},
		"numbers of glyphs":   {identity(fmt.Sprintf(cid, "Japan1", ""), "<001200130014001500160017001800190 01A001100120019> Tj"), 0, 1, "p1"},
		"CP932":               {identity(strings.Replace(fmt.Sprintf(cid, "Japan1", ""), "Identity-H", "90ms-RKSJ-H", 1), "<8CC2906C94D48D86> Tj ("+individual+") Tj"), 1, 0, "p1"},
		"names of glyphs": {page("", "", "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /X /Encoding << /Differences [65 /zero /one /two /three /four /five /six /seven /eight /nine] >> >> >>",
			"BT /F1 10 Tf 20 100 Td ("+strings.NewReplacer("0", "A", "1", "B", "2", "C", "3", "D", "4", "E", "5", "F", "6", "G", "7", "H", "8", "I", "9", "J").Replace("1234 5678 9018")+") Tj ET"), 0, 1, "p1"},
		"in a form that is shown twice": {page("", "", "/XObject << /X 6 0 R >>", "/X Do 1 0 0 1 0 50 cm /X Do", "stream /Type /XObject /Subtype /Form /BBox [0 0 300 200]\n BT /F1 10 Tf 20 100 Td (MyNumber "+individual+") Tj ET"), 2, 0, "p1"},
		"in a note":                     {page("", "/Annots [<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (MyNumber "+individual+") >>]", "", hello), 1, 0, "p1"},
		"in a title":                    {page("/Outlines << /Type /Outlines /First 6 0 R /Last 6 0 R /Count 1 >>", "", "", hello, "<< /Title (MyNumber "+individual+") /Dest [3 0 R /Fit] >>"), 1, 0, ""},
		"in a field": {page("/AcroForm << /Fields [6 0 R] >>", "/Annots [6 0 R]", "", "BT /F1 10 Tf 20 14 Td (MyNumber) Tj ET",
			"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V ("+individual+") /Rect [100 10 210 30] >>"), 1, 0, "p1 R1C2"},
		"on a page that becomes a picture": {page("", "", "", "(broken BT /F1 10 Tf 20 100 Td (MyNumber "+individual+") Tj ET"), 0, 0, ""},
		"before what is broken":            {page("", "", "", "BT /F1 10 Tf 20 100 Td (MyNumber "+individual+") Tj ET (broken"), 1, 0, "p1"},
		"another number":                   {page("", "", "", "BT /F1 10 Tf 20 100 Td (TEL 123456789019, order "+individual+") Tj ET"), 0, 0, ""},
	} {
		t.Run(what, func(t *testing.T) {
			rep, _ := run(t, c.in, sanitize.Options{})
			sure, likely, places := counted(rep)
			if rep.Outcome != verdict.Clean || sure != c.sure || likely != c.likely || places != c.places {
				t.Errorf("got %d and %d at %q, want %d and %d at %q: %+v", sure, likely, places, c.sure, c.likely, c.places, rep.Findings)
			}
			said, err := json.Marshal(rep)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(said), individual) || strings.Contains(string(said), "1234 5678") {
				t.Errorf("the number is in the report: %s", said)
			}
			if c.sure+c.likely == 0 {
				return
			}
			if rep, out := run(t, c.in, sanitize.Options{Policy: verdict.Policy{FindMyNumber: "block"}}); !sanitizetest.Has(rep, "mynumber.blocked", verdict.Refused) || len(out) > 0 {
				t.Errorf("not blocked: %+v", rep.Findings)
			}
		})
	}
}

// As LibreOffice writes them: in a line, in the cells of a table, and digit by digit in boxes.
func TestNumbersOfPersonsFromAnOffice(t *testing.T) {
	var boxes strings.Builder
	for _, c := range individual {
		fmt.Fprintf(&boxes, `<td style="border:1px solid black; width:8mm; text-align:center">%c</td>`, c)
	}
	body := `<html><head><meta charset="utf-8"></head><body style="font-family:'Noto Sans CJK JP','IPAexGothic',sans-serif">
<p>個人番号：` + individual + ` の方</p><table border="1"><tr><td>氏名</td><td>個人番号</td></tr><tr><td>山田</td><td>1234 5678 9018</td></tr><tr><td>鈴木</td><td>１２３４５６７８９０１８</td></tr></table>
<p style="page-break-before:always">個人番号</p><table border="1"><tr>` + boxes.String() + `</tr></table></body></html>`
	a := tool.Answer(t.Context(), verdict.Need{ID: "x", Kind: "convert", Options: map[string]string{"from": "html", "to": "pdf"}, Body: []byte(body)})
	if a.Failed != "" {
		t.Fatalf("LibreOffice: %s %s", a.Failed, a.Detail)
	}
	rep, _ := run(t, a.Body, sanitize.Options{})
	sure, likely, places := counted(rep)
	if sure+likely != 4 || sure < 3 || !strings.Contains(places, "p1") || !strings.Contains(places, "p2") {
		t.Errorf("got %d and %d at %q: %+v", sure, likely, places, rep.Findings)
	}
}
