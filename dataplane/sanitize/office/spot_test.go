package office_test

import (
	"slices"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/office/officetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Findings in a text name the paragraph, or the row and column of a table, where a reader finds them; those of links out of the package
// the place that names the link.
func TestFindingsNameParagraphAndRow(t *testing.T) {
	files := officetest.Body(`<w:p><w:r><w:t>一</w:t></w:r></w:p>` +
		`<w:p><w:hyperlink r:id="rId1"><w:r><w:t>二</w:t></w:r></w:hyperlink></w:p>` +
		`<w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr><w:tr><w:tc><w:p/><w:p/></w:tc><w:tc><w:p><w:r><w:object><o:OLEObject xmlns:o="urn:schemas-microsoft-com:office:office" r:id="rId9"/></w:object></w:r></w:p></w:tc></w:tr></w:tbl>` +
		`<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>隠れた</w:t></w:r></w:p><w:p><w:hyperlink r:id="rId2"><w:r><w:t>外</w:t></w:r></w:hyperlink></w:p>`)
	files["word/_rels/document.xml.rels"] = officetest.Rels("rId1 hyperlink file:///c:/x.exe External", "rId2 hyperlink file:///c:/y.exe External", "rId3 hyperlink file:///c:/z.exe External")
	rep, _ := clean(t, "a.docx", officetest.Docx(t, files))
	places := func(code string, action verdict.Action) (got []string) {
		for _, f := range rep.Findings {
			if f.Code == code && f.Action == action {
				got = append(got, f.Place)
			}
		}
		return got
	}
	if got, want := places("ooxml.link", verdict.Removed), []string{"word/document.xml L2", "word/document.xml L6", "word/document.xml"}; !slices.Equal(got, want) {
		t.Errorf("links at %q, want %q: %v", got, want, rep.Findings)
	}
	if got, want := places("ooxml.ole", verdict.Removed), []string{"word/document.xml R4C2"}; !slices.Equal(got, want) {
		t.Errorf("object at %q, want %q", got, want)
	}
	if got, want := places("ooxml.hidden-text", verdict.Reported), []string{"word/document.xml L5"}; !slices.Equal(got, want) {
		t.Errorf("hidden text at %q, want %q", got, want)
	}
}
