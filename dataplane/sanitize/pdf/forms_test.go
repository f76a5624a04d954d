package pdf_test

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// What fields show becomes part of the page; what they do, and what signs them, goes.
func TestFieldsBecomePartOfThePage(t *testing.T) {
	in := page("/AcroForm << /Fields [6 0 R 8 0 R 9 0 R 10 0 R] /XFA (MARKER) /SigFlags 3 >>", "/Annots [6 0 R 8 0 R 9 0 R 10 0 R 11 0 R]", "", hello,
		"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (drawn) /Rect [10 10 110 30] /AP << /N 7 0 R >> /AA << /K << /S /JavaScript /JS (MARKER) >> >> /A << /S /SubmitForm /F (MARKER) >> >>",
		"stream /Type /XObject /Subtype /Form /BBox [0 0 50 10] /Resources << /Font << /F1 5 0 R >> >>\nBT /F1 8 Tf 2 2 Td (drawn) Tj ET",
		"<< /Type /Annot /Subtype /Widget /FT /Tx /T (b) /V <FEFF95A26240> /Rect [10 40 110 60] >>",
		"<< /Type /Annot /Subtype /Widget /FT /Sig /T (c) /V << /Type /Sig /Contents <00> /ByteRange [0 1 2 3] /Name (MARKER) >> /Rect [10 70 110 90] >>",
		"<< /Type /Annot /Subtype /Widget /FT /Btn /T (d) /V /On /AS /On /Rect [10 100 20 110] /AP << /N << /On 7 0 R /Off 7 0 R >> >> >>",
		"<< /Type /Annot /Subtype /Widget /FT /Tx /T (e) /V (MARKER) /F 2 /Rect [10 120 110 140] >>")
	rep, out := clean(t, in, sanitize.Options{})
	for _, code := range []string{"pdf.signature", "pdf.xfa", "pdf.submit", "pdf.action"} {
		if !sanitizetest.Has(rep, code, verdict.Removed) {
			t.Errorf("no %s in %+v", code, rep.Findings)
		}
	}
	if !sanitizetest.Has(rep, "pdf.form", verdict.Changed) || strings.Contains(out, "MARKER") || strings.Contains(out, "Widget") || strings.Contains(out, "AcroForm") {
		t.Errorf("got %+v\n%s", rep.Findings, out)
	}
	if !strings.Contains(out, "2 0 0 2 10 10 cm\n/Field1 Do") {
		t.Errorf("the appearance is not where its field was:\n%s", out)
	}
	if got := words(t, []byte(out)); !strings.Contains(got, "drawn") || !strings.Contains(out, "<95A26240> Tj") {
		t.Errorf("text: got %q", got)
	}
}

// Where a form says that its appearances are old, the value is drawn.
func TestValuesStandBeforeOldAppearances(t *testing.T) {
	in := page("/AcroForm << /Fields [6 0 R] /NeedAppearances true >>", "/Annots [6 0 R]", "", hello,
		"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (new) /Rect [10 10 110 30] /AP << /N 7 0 R >> >>",
		"stream /Type /XObject /Subtype /Form /BBox [0 0 50 10] /Resources << /Font << /F1 5 0 R >> >>\nBT /F1 8 Tf 2 2 Td (old) Tj ET")
	if _, out := clean(t, in, sanitize.Options{}); !strings.Contains(out, "(new) Tj") || strings.Contains(out, "(old) Tj") {
		t.Errorf("got\n%s", out)
	}
}
