package office_test

import (
	"bytes"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// TestJapaneseFormsStayAsTheyAre holds what Japanese documents need and what a careless rebuilder loses: gaiji, variation selectors,
// vertical text, ruby, and forms on graph-paper sheets.
func TestJapaneseFormsStayAsTheyAre(t *testing.T) {
	for name, c := range map[string]struct{ file, inner string }{
		"gaiji":               {"a.docx", "<w:p><w:r><w:t>\uE000\uE757\uF8FF外字</w:t></w:r></w:p>"},
		"gaiji by reference":  {"a.docx", "<w:p><w:r><w:t>&#xE000;&#x20BB7;</w:t></w:r></w:p>"},
		"variation selectors": {"a.docx", "<w:p><w:r><w:t>葛\U000E0100城 辻\U000E0101 邊\uFE00 か\u3099</w:t></w:r></w:p>"},
		"beyond 16 bits":      {"a.docx", "<w:p><w:r><w:t>𠮷野家 髙﨑</w:t></w:r></w:p>"},
		"ruby":                {"a.docx", `<w:p><w:r><w:ruby><w:rubyPr><w:rubyAlign w:val="distributeSpace"/><w:hps w:val="10"/><w:lid w:val="ja-JP"/></w:rubyPr><w:rt><w:r><w:t>せきしょ</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>関所</w:t></w:r></w:rubyBase></w:ruby></w:r></w:p>`},
		"vertical text":       {"a.docx", `<w:p><w:r><w:rPr><w:eastAsianLayout w:id="1" w:vert="1" w:vertCompress="1"/></w:rPr><w:t>12</w:t></w:r></w:p><w:sectPr><w:pgSz w:w="11906" w:h="16838"/><w:textDirection w:val="tbRl"/><w:docGrid w:type="linesAndChars" w:linePitch="360" w:charSpace="1000"/></w:sectPr>`},
		"two lines in one":    {"a.docx", `<w:p><w:r><w:rPr><w:eastAsianLayout w:id="2" w:combine="1" w:combineBrackets="round"/><w:em w:val="dot"/></w:rPr><w:t>割注</w:t></w:r></w:p>`},
	} {
		_, out := clean(t, c.file, docx(t, body(c.inner)))
		if got := partsOf(t, out)["word/document.xml"]; !strings.Contains(got, c.inner) {
			t.Errorf("%s: got\n%s\nwant it to hold\n%s", name, got, c.inner)
		}
		if r := verify.Check(t.Context(), c.file, out); r.Outcome != verdict.Clean {
			t.Errorf("%s: the verifier refuses %v", name, r.Findings)
		}
	}
	sheet := `<sheetFormatPr defaultColWidth="2.125" defaultRowHeight="13.5"/><cols><col min="1" max="60" width="2.125" customWidth="1"/></cols><sheetData>` +
		`<row r="3" ht="13.5" customHeight="1"><c r="B3" s="4" t="inlineStr"><is><t xml:space="preserve">申　請　書</t><rPh sb="0" eb="1"><t>シン</t></rPh><phoneticPr fontId="1" type="noConversion"/></is></c><c r="C3" s="4"/><c r="D3" s="4"/></row></sheetData>` +
		`<mergeCells count="2"><mergeCell ref="B3:T4"/><mergeCell ref="B6:C6"/></mergeCells><phoneticPr fontId="1"/><pageSetup paperSize="9" scale="87" orientation="portrait"/>`
	in := officetest.Xlsx(t, []string{"worksheet"}, map[string]string{"xl/worksheets/sheet1.xml": `<worksheet ` + xNS + `>` + sheet + `</worksheet>`}, "SHEETS")
	_, out := clean(t, "a.xlsm", in)
	if got := partsOf(t, out)["xl/worksheets/sheet1.xml"]; !strings.Contains(got, sheet) {
		t.Errorf("a graph-paper form: got\n%s\nwant it to hold\n%s", got, sheet)
	}
}

func TestRoutesThatWantNoLinksAndNoComments(t *testing.T) {
	files := body(`<w:p><w:hyperlink r:id="rId2"><w:r><w:t>頁</w:t></w:r></w:hyperlink><w:hyperlink w:anchor="x"><w:r><w:t>目次</w:t></w:r></w:hyperlink>` +
		`<w:fldSimple w:instr=" HYPERLINK &quot;https://www.example.jp/&quot; "><w:r><w:t>欄</w:t></w:r></w:fldSimple><w:commentRangeStart w:id="0"/><w:r><w:t>本文</w:t></w:r><w:commentRangeEnd w:id="0"/><w:r><w:commentReference w:id="0"/></w:r></w:p>`)
	files["word/_rels/document.xml.rels"] = rels("rId2 hyperlink https://www.example.jp/ External", "rId3 comments comments.xml")
	files["word/comments.xml"] = `<w:comments ` + wNS + `><w:comment w:id="0" w:author="山田"><w:p><w:r><w:t>注意</w:t></w:r></w:p></w:comment></w:comments>`
	files["[Content_Types].xml"] = types(map[string]string{"word/document.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml", "word/comments.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.comments+xml"})
	in := docx(t, files)
	_, out := clean(t, "a.docx", in)
	all := partsOf(t, out)
	if doc := all["word/document.xml"]; all["word/comments.xml"] == "" || !strings.Contains(doc, "commentReference") || !strings.Contains(doc, "HYPERLINK") || !strings.Contains(doc, `r:id="rId2"`) {
		t.Errorf("gone by default: %s", doc)
	}
	rep, out, _ := sanitizetest.Ask(t, "a.docx", in, sanitize.Options{Policy: verdict.Policy{Links: "remove", Comments: "remove"}})
	all = partsOf(t, out)
	doc := all["word/document.xml"]
	if all["word/comments.xml"] != "" || strings.Contains(doc, "omment") || strings.Contains(doc, "HYPERLINK") || strings.Contains(doc, "r:id=") || !strings.Contains(doc, `w:anchor="x"`) {
		t.Errorf("left: %s", doc)
	}
	for _, s := range []string{"頁", "目次", "欄", "本文"} {
		if !strings.Contains(doc, s) {
			t.Errorf("%s is gone", s)
		}
	}
	if !has(rep, "ooxml.comments", verdict.Removed) || !has(rep, "ooxml.link", verdict.Removed) {
		t.Errorf("findings %v", rep.Findings)
	}
}

func TestMetafilesAreDrawnByAHelper(t *testing.T) {
	emf := make([]byte, 120)
	copy(emf, "\x01\x00\x00\x00\x58\x00\x00\x00")
	copy(emf[40:], " EMF")
	files := body(`<w:p/>`)
	files["word/_rels/document.xml.rels"] = rels("rId1 image media/a.emf", "rId2 image media/b.wmf", "rId3 image media/c.bin")
	files["word/media/a.emf"], files["word/media/b.wmf"], files["word/media/c.bin"] = string(emf), "\xD7\xCD\xC6\x9A"+string(emf[:40]), "nothing that is known"
	in := docx(t, files)
	_, out, needs := sanitizetest.Ask(t, "a.docx", in, sanitize.Options{})
	if len(needs) != 2 || len(out) != 0 {
		t.Fatalf("asks %d needs and writes %d bytes, want both pictures at once and none", len(needs), len(out))
	}
	var answers []verdict.Answer
	for _, n := range needs {
		a := verdict.Answer{ID: n.ID, Body: pngOf(t, testPicture(5, 4))}
		if n.Options["from"] == "wmf" {
			a = verdict.Answer{ID: n.ID, Failed: "helper.failed"}
		}
		answers = append(answers, a)
	}
	rep, out, _ := sanitizetest.Ask(t, "a.docx", in, sanitize.Options{Answers: answers})
	all := partsOf(t, out)
	if rep.Outcome != verdict.Clean || all["word/media/a.png"] == "" || !has(rep, "image.converted", verdict.Changed) || !has(rep, "image.replaced", verdict.Changed) {
		t.Errorf("got %s %v", rep.Outcome, rep.Findings)
	}
}

func TestNumbersOfPersonsAreHeardInCells(t *testing.T) {
	const number = "123456789018"
	row := `<row r="2"><c r="A2" t="s"><v>1</v></c><c r="C2"><v>` + number + `</v></c></row><row r="3"><c r="A3" t="s"><v>1</v></c><c r="C3"><v>1.23456789018E11</v></c></row>`
	boxes := ""
	for i, c := range number {
		boxes += `<c r="` + string(rune('A'+i)) + `9"><v>` + string(c) + `</v></c>`
	}
	for name, c := range map[string]struct {
		file string
		in   []byte
	}{
		"a sheet":             {"a.xlsm", officetest.Xlsx(t, []string{"worksheet"}, map[string]string{"xl/worksheets/sheet1.xml": `<worksheet ` + xNS + `><sheetData><row r="1"><c r="C1" t="inlineStr"><is><t>個人番号</t></is></c></row>` + row + `</sheetData></worksheet>`}, "SHEETS")},
		"a form of boxes":     {"a.xlsm", officetest.Xlsx(t, []string{"worksheet"}, map[string]string{"xl/worksheets/sheet1.xml": `<worksheet ` + xNS + `><sheetData><row r="8"><c r="A8" t="inlineStr"><is><t>個人番号</t></is></c></row><row r="9">` + boxes + `</row></sheetData></worksheet>`}, "SHEETS")},
		"a paragraph of runs": {"a.docx", docx(t, body(`<w:p><w:r><w:t>個人番号 1234</w:t></w:r><w:r><w:t>56789018</w:t></w:r></w:p>`))},
		"a table":             {"a.docx", docx(t, body(`<w:tbl><w:tr><w:tc><w:p><w:r><w:t>個人番号</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>`+number+`</w:t></w:r></w:p></w:tc></w:tr></w:tbl>`))},
	} {
		rep, _ := clean(t, c.file, c.in)
		if !has(rep, "mynumber.found", verdict.Reported) && !has(rep, "mynumber.likely", verdict.Reported) {
			t.Errorf("%s: not found: %v", name, rep.Findings)
		}
	}
}

// TestPlainCellsPassAsOthers: a space more in its tag and a cell is read piece by piece; what comes out, and what is said of it, is the
// same as of one that is read in one step.
func TestPlainCellsPassAsOthers(t *testing.T) {
	cells := `<row r="1"><c r="A1" s="1" t="inlineStr"><is><t>個人番号</t></is></c></row>` +
		`<row r="2"><c r="A2" s="1"><v>123456789018</v></c><c r="B2"/><c r="C2" t="str"><v>字</v></c><c><v>4.5</v></c></row>` +
		`<row r="3"><c r="A3"><v>1.23456789018E11</v></c><c r="B3" t="s"></c><c r="C3" t="e"><v>#REF!</v></c><c r="D3"><f>[1]x!A1</f><v>7</v></c><c r="E3" macro="x"><v>8</v></c></row>` +
		`<row r="4" xmlns:q="urn:q"><c r="A4" q:y="1"><v>1</v></c><c r="B4" t="b"><v>1</v></c></row>` +
		`<extLst><ext uri="u"><row xmlns="urn:e"><c r="A5"><v>gone</v></c></row></ext></extLst>`
	sanitized := func(cells string) (string, []verdict.Finding) {
		rep, out := clean(t, "a.xlsm", officetest.Xlsx(t, []string{"worksheet"}, map[string]string{"xl/worksheets/sheet1.xml": `<worksheet ` + xNS + `><sheetData>` + cells + `</sheetData></worksheet>`}, "SHEETS"))
		return partsOf(t, out)["xl/worksheets/sheet1.xml"], rep.Findings
	}
	fast, told := sanitized(cells)
	slow, toldSlowly := sanitized(strings.ReplaceAll(strings.ReplaceAll(cells, "<c ", "<c  "), "<c>", "<c >"))
	if fast != slow {
		t.Errorf("in one step\n%s\npiece by piece\n%s", fast, slow)
	}
	if d := cmp.Diff(toldSlowly, told); d != "" || len(told) < 4 {
		t.Errorf("%v, in one step %s", told, d)
	}
	if strings.Contains(fast, "gone") || !strings.Contains(fast, `<c r="A2" s="1"><v>123456789018</v></c><c r="B2"/>`) {
		t.Errorf("got %s", fast)
	}
}

func TestARouteMayWantHiddenSheetsOut(t *testing.T) {
	files := map[string]string{
		"xl/worksheets/sheet1.xml": `<worksheet ` + xNS + `><sheetData><row r="1"><c r="A1"><f>Sheet1!A1</f><v>7</v></c></row></sheetData></worksheet>`,
		"xl/worksheets/sheet2.xml": `<worksheet ` + xNS + `><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>秘密</t></is></c></row></sheetData></worksheet>`,
	}
	in := officetest.Xlsx(t, []string{"worksheet", "hidden"}, files, "SHEETS")
	rep, out := clean(t, "a.xlsm", in)
	if all := partsOf(t, out); all["xl/worksheets/sheet2.xml"] == "" || !has(rep, "ooxml.hidden-sheet", verdict.Reported) {
		t.Errorf("gone by default, or not told: %v", rep.Findings)
	}
	rep, out, _ = sanitizetest.Ask(t, "a.xlsm", in, sanitize.Options{Policy: verdict.Policy{Hidden: "remove"}})
	all := partsOf(t, out)
	for name, body := range all {
		if strings.Contains(body, "秘密") || strings.Contains(body, "hidden") {
			t.Errorf("left in %s: %s", name, body)
		}
	}
	if !has(rep, "ooxml.hidden-gone", verdict.Removed) || all["xl/worksheets/sheet1.xml"] == "" {
		t.Errorf("got %v", rep.Findings)
	}
	if r := verify.Check(t.Context(), "a.xlsx", out); r.Outcome != verdict.Clean {
		t.Errorf("the verifier refuses %v", r.Findings)
	}
}

func TestOtherPicturesBecomePNG(t *testing.T) {
	var b, f bytes.Buffer
	if err := bmp.Encode(&b, testPicture(5, 4)); err != nil {
		t.Fatal(err)
	}
	if err := tiff.Encode(&f, testPicture(5, 4), nil); err != nil {
		t.Fatal(err)
	}
	files := body(`<w:p/>`)
	files["word/_rels/document.xml.rels"] = rels("rId1 image media/a.bmp", "rId2 image media/b.tif")
	files["word/media/a.bmp"], files["word/media/b.tif"] = b.String(), f.String()
	_, out, needs := sanitizetest.Ask(t, "a.docx", docx(t, files), sanitize.Options{})
	if len(needs) > 0 {
		t.Fatalf("asks %+v", needs)
	}
	all := partsOf(t, out)
	for _, name := range []string{"word/media/a.png", "word/media/b.png"} {
		img, err := png.Decode(strings.NewReader(all[name]))
		if err != nil || img.Bounds().Dx() != 5 || !sameColor(img.At(3, 2), testPicture(5, 4).At(3, 2)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func sameColor(a, b color.Color) bool {
	r, g, bl, al := a.RGBA()
	r2, g2, b2, a2 := b.RGBA()
	return r>>8 == r2>>8 && g>>8 == g2>>8 && bl>>8 == b2>>8 && al>>8 == a2>>8
}
