package office_test

import (
	"bytes"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// A drawing in SVG goes with the extension that names it, and the picture that every such document has beside it stays.
func TestADrawingInSVGLeavesItsPicture(t *testing.T) {
	var dot bytes.Buffer
	if err := png.Encode(&dot, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	const drawing = `<w:p><w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"><wp:extent cx="9" cy="9"/><wp:docPr id="1" name="p"/>` +
		`<a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture">` +
		`<pic:nvPicPr><pic:cNvPr id="1" name="p"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:embed="rId1"><a:extLst><a:ext uri="{96DAC541-7B7A-43D3-8B79-37D633B846F1}">` +
		`<asvg:svgBlip xmlns:asvg="http://schemas.microsoft.com/office/drawing/2016/SVG/main" r:EMBED="rId2"/></a:ext></a:extLst></a:blip><a:stretch><a:fillRect/></a:stretch></pic:blipFill><pic:spPr/></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>`
	for name, c := range map[string]struct{ embed, rel, svg string }{
		"honest":               {"embed", "rId2 image media/b.svg", `<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`},
		"with a script":        {"embed", "rId2 image media/b.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>evil()</script></svg>`},
		"linked from outside":  {"link", "rId2 image http://198.51.100.9/b.svg External", "evil"},
		"called a picture":     {"embed", "rId2 image media/b.png", `<svg xmlns="http://www.w3.org/2000/svg" onload="evil()"/>`},
		"no drawing at all":    {"embed", "rId2 image media/b.svg", "MZ evil"},
		"a relation that lies": {"embed", "rId2 hyperlink file:///c:/evil External", "x"},
	} {
		files := officetest.Body(strings.Replace(drawing, "EMBED", c.embed, 1))
		files["word/_rels/document.xml.rels"] = officetest.Rels("rId1 image media/a.png", c.rel)
		files["word/media/a.png"] = dot.String()
		files["word/media/b.svg"], files["word/media/b.png"] = c.svg, c.svg
		files["[Content_Types].xml"] = strings.Replace(officetest.Types(map[string]string{"word/document.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"}), "<Override", `<Default Extension="png" ContentType="image/png"/><Default Extension="svg" ContentType="image/svg+xml"/><Override`, 1)
		rep, out, _ := sanitizetest.Ask(t, "a.docx", officetest.Docx(t, files), sanitize.Options{})
		if rep.Outcome != verdict.Clean {
			t.Errorf("%s: %v", name, rep.Findings)
			continue
		}
		parts := partsOf(t, out)
		doc := parts["word/document.xml"]
		if !strings.Contains(doc, `r:embed="rId1"`) || parts["word/media/a.png"] == "" {
			t.Errorf("%s: the picture is gone: %s", name, doc)
		}
		for part, s := range parts {
			if strings.Contains(s, "svgBlip") || strings.Contains(s, "evil") || strings.Contains(s, "<svg") || strings.HasSuffix(part, ".svg") || strings.Contains(s, "198.51") {
				t.Errorf("%s: %s has %q", name, part, s)
			}
		}
		if !has(rep, "image.svg", verdict.Removed) {
			t.Errorf("%s: not reported: %v", name, rep.Findings)
		}
		if r := verify.Check(t.Context(), rep.OutName, out); r.Outcome != verdict.Clean {
			t.Errorf("%s: the verifier refuses %v", name, r.Findings)
		}
	}
}
