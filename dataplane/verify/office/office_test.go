package office_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

const (
	word  = "application/vnd.openxmlformats-officedocument.wordprocessingml."
	excel = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	point = "application/vnd.openxmlformats-officedocument.presentationml."
)

func text(t *testing.T, inner string, more map[string]string) []byte {
	files := officetest.Body(inner)
	maps.Copy(files, more)
	return officetest.Docx(t, files)
}

func sheet(t *testing.T, kinds []string, inner string) []byte {
	return officetest.Xlsx(t, kinds, map[string]string{"xl/worksheets/sheet1.xml": `<worksheet ` + officetest.X + `><sheetData>` + inner + `</sheetData></worksheet>`}, "SHEETS")
}

func show(t *testing.T, second string) []byte {
	return officetest.Pptx(t, `<p:cSld><p:spTree/></p:cSld>`, nil, map[string]string{
		"[Content_Types].xml":             officetest.Types(map[string]string{"ppt/presentation.xml": point + "presentation.main+xml", "ppt/slides/slide1.xml": point + "slide+xml", "ppt/slides/slide2.xml": point + "slide+xml"}),
		"ppt/_rels/presentation.xml.rels": officetest.Rels("rId1 slide slides/slide1.xml", "rId2 slide slides/slide2.xml"),
		"ppt/presentation.xml": `<p:presentation ` + officetest.P + ` ` + officetest.R + ` xmlns:p14="http://schemas.microsoft.com/office/powerpoint/2010/main"><p:sldIdLst><p:sldId id="256" r:id="rId1"/><p:sldId id="257" r:id="rId2"/></p:sldIdLst>` +
			`<p:extLst><p:ext uri="{521415D9-36F7-43E2-AB2F-B90AF26B5E84}"><p14:sectionLst><p14:section name="a" id="{1}"><p14:sldIdLst><p14:sldId id="256"/><p14:sldId id="257"/></p14:sldIdLst></p14:section></p14:sectionLst></p:ext></p:extLst></p:presentation>`,
		"ppt/slides/slide2.xml": `<p:sld ` + officetest.P + second + `><p:cSld><p:spTree><p:sp><p:txBody><a:p><a:r><a:t>秘密</a:t></a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>`,
	})
}

// A rebuilder that forgets what the route chose is caught, whichever way the document keeps it; one that heeds it passes.
func TestRoutesAreKnown(t *testing.T) {
	links, comments, hidden := verdict.Policy{Links: "remove"}, verdict.Policy{Comments: "remove"}, verdict.Policy{Hidden: "remove"}
	for name, c := range map[string]struct {
		file   string
		in     []byte
		policy verdict.Policy
	}{
		"a link":              {"a.docx", text(t, `<w:p><w:hyperlink r:id="rId2"><w:r><w:t>頁</w:t></w:r></w:hyperlink></w:p>`, map[string]string{"word/_rels/document.xml.rels": officetest.Rels("rId2 hyperlink https://www.example.jp/ External")}), links},
		"a link by mail":      {"a.docx", text(t, `<w:p><w:hyperlink r:id="rId2"><w:r><w:t>頁</w:t></w:r></w:hyperlink></w:p>`, map[string]string{"word/_rels/document.xml.rels": officetest.Rels("rId2 hyperlink mailto:a@example.jp External")}), links},
		"a simple field":      {"a.docx", text(t, `<w:p><w:fldSimple w:instr=" HYPERLINK &quot;https://www.example.jp/&quot; "><w:r><w:t>頁</w:t></w:r></w:fldSimple></w:p>`, nil), links},
		"a field":             {"a.docx", text(t, `<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> HYPERLINK "https://www.example.jp/" </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`, nil), links},
		"a formula":           {"a.xlsm", sheet(t, []string{"worksheet"}, `<row r="1"><c r="A1"><f>HYPERLINK("https://www.example.jp/","x")</f><v>1</v></c></row>`), links},
		"a drawing":           {"a.docx", text(t, `<w:p><w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml" href="https://www.example.jp/"/></w:pict></w:r></w:p>`, nil), links},
		"a mark of a comment": {"a.docx", text(t, `<w:p><w:commentRangeStart w:id="0"/><w:r><w:t>本文</w:t></w:r><w:commentRangeEnd w:id="0"/></w:p>`, nil), comments},
		"comments of a text": {"a.docx", text(t, `<w:p/>`, map[string]string{"word/_rels/document.xml.rels": officetest.Rels("rId3 comments comments.xml"), "word/comments.xml": `<w:comments ` + officetest.W + `/>`,
			"[Content_Types].xml": officetest.Types(map[string]string{"word/document.xml": word + "document.main+xml", "word/comments.xml": word + "comments+xml"})}), comments},
		"comments of a sheet": {"a.xlsx", officetest.Xlsx(t, []string{"worksheet"}, map[string]string{"xl/worksheets/_rels/sheet1.xml.rels": officetest.Rels("rId1 comments ../comments1.xml"), "xl/comments1.xml": `<comments ` + officetest.X + `><commentList/></comments>`,
			"[Content_Types].xml": officetest.Types(map[string]string{"xl/workbook.xml": excel + "sheet.main+xml", "xl/worksheets/sheet1.xml": excel + "worksheet+xml", "xl/comments1.xml": excel + "comments+xml"})}, "SHEETS"), comments},
		"a hidden sheet":     {"a.xlsm", sheet(t, []string{"worksheet", "hidden"}, ``), hidden},
		"a hidden slide":     {"a.pptx", show(t, ` show="0"`), hidden},
		"hidden text":        {"a.docx", text(t, `<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>秘密</w:t></w:r><w:r><w:t>本文</w:t></w:r></w:p>`, nil), hidden},
		"a hidden paragraph": {"a.docx", text(t, `<w:p><w:pPr><w:rPr><w:vanish w:val="true"/></w:rPr></w:pPr><w:r><w:t>本文</w:t></w:r></w:p>`, nil), hidden},
		"text that is hidden by one of two switches": {"a.docx", text(t, `<w:p><w:r><w:rPr><w:vanish w:val="0"/><w:specVanish/></w:rPr><w:t>本文</w:t></w:r></w:p>`, nil), hidden},
	} {
		t.Run(name, func(t *testing.T) {
			rep, forgot, _ := sanitizetest.Ask(t, c.file, c.in, sanitize.Options{})
			if rep.Outcome != verdict.Clean {
				t.Fatalf("not rebuilt: %v", rep.Findings)
			}
			if r := verify.Check(t.Context(), rep.OutName, forgot); r.Outcome != verdict.Clean {
				t.Fatalf("refused on a route without the choice: %v", r.Findings)
			}
			if r := verify.CheckFor(t.Context(), c.policy, rep.OutName, forgot); r.Outcome == verdict.Clean {
				t.Error("passes on a route that wants it out")
			}
			rep, heeded, _ := sanitizetest.Ask(t, c.file, c.in, sanitize.Options{Policy: c.policy})
			if r := verify.CheckFor(t.Context(), c.policy, rep.OutName, heeded); r.Outcome != verdict.Clean {
				t.Errorf("refused although it went: %v %v", rep.Findings, r.Findings)
			}
		})
	}
}

// What goes with a hidden slide is all that names it.
func TestHiddenSlidesGoWhole(t *testing.T) {
	rep, out, _ := sanitizetest.Ask(t, "a.pptx", show(t, ` show="0"`), sanitize.Options{Policy: verdict.Policy{Hidden: "remove"}})
	parts := officetest.Parts(t, out)
	if _, there := parts["ppt/slides/slide2.xml"]; there || parts["ppt/slides/slide1.xml"] == "" {
		t.Errorf("got %v", rep.Findings)
	}
	if p := parts["ppt/presentation.xml"]; strings.Contains(p, "257") || strings.Count(p, "256") != 2 {
		t.Errorf("got %s", p)
	}
	rep, out, _ = sanitizetest.Ask(t, "a.pptx", show(t, ` show="0"`), sanitize.Options{})
	if !sanitizetest.Has(rep, "ooxml.hidden-slide", verdict.Reported) || !strings.Contains(officetest.Parts(t, out)["ppt/slides/slide2.xml"], "秘密") {
		t.Errorf("gone by default, or not told: %v", rep.Findings)
	}
}

func TestWhatNobodySeesIsTold(t *testing.T) {
	rep, _, _ := sanitizetest.Ask(t, "a.docx", text(t, `<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>秘密</w:t></w:r></w:p>`, nil), sanitize.Options{})
	if !sanitizetest.Has(rep, "ooxml.hidden-text", verdict.Reported) {
		t.Errorf("text: %v", rep.Findings)
	}
	rep, _, _ = sanitizetest.Ask(t, "a.xlsm", sheet(t, []string{"worksheet"}, `<row r="1" hidden="1"/>`), sanitize.Options{})
	if !sanitizetest.Has(rep, "ooxml.hidden-rows", verdict.Reported) {
		t.Errorf("rows: %v", rep.Findings)
	}
}
