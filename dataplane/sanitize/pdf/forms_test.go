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

// A box that is ticked, or a button with its words, has no value to draw: how it looks stays, old or not.
func TestTicksOutliveOldAppearances(t *testing.T) {
	for what, field := range map[string]string{
		"a tick":   "/FT /Btn /AS /On /AP << /N << /On 7 0 R >> >> /MK << /BC [0] /CA (4) >>",
		"a button": "/FT /Btn /Ff 65536 /AP << /N 7 0 R >> /MK << /BC [0] /CA (Go) >>",
	} {
		in := page("/AcroForm << /Fields [6 0 R] /NeedAppearances true >>", "/Annots [6 0 R]", "", hello, "<< /Type /Annot /Subtype /Widget /T (a) /Rect [10 10 110 30] "+field+" >>",
			"stream /Type /XObject /Subtype /Form /BBox [0 0 50 10]\n1 2 3 4 re f")
		if _, out := clean(t, in, sanitize.Options{}); !strings.Contains(out, "1 2 3 4 re") {
			t.Errorf("%s: got\n%s", what, out)
		}
	}
}

// What stands for a film is a picture of the page when the film is gone, as is a mark across the page.
func TestPicturesOfWhatIsRemovedStay(t *testing.T) {
	for kind, code := range map[string]string{"Screen": "pdf.media", "Movie": "pdf.media", "RichMedia": "pdf.media", "3D": "pdf.media", "Watermark": "pdf.annotation"} {
		in := page("", "/Annots [6 0 R 8 0 R]", "", hello,
			"<< /Type /Annot /Subtype /"+kind+" /Rect [10 10 110 30] /AP << /N 7 0 R >> /A << /S /Rendition /JS (MARKER) >> >>",
			"stream /Type /XObject /Subtype /Form /BBox [0 0 50 10] /Resources << /Font << /F1 5 0 R >> >>\nBT /F1 8 Tf 2 2 Td (poster) Tj ET",
			"<< /Type /Annot /Subtype /"+kind+" /Rect [10 40 110 60] /F 2 /AP << /N 9 0 R >> >>",
			"stream /Type /XObject /Subtype /Form /BBox [0 0 50 10]\n0 0 5 5 re f %MARKER")
		rep, out := clean(t, in, sanitize.Options{})
		if !strings.Contains(out, "2 0 0 2 10 10 cm\n/Field1 Do") || !strings.Contains(words(t, []byte(out)), "poster") || strings.Contains(out, "/Subtype /"+kind) || strings.Contains(out, "Field2") || strings.Contains(out, "MARKER") {
			t.Errorf("%s: got\n%s", kind, out)
		}
		if !sanitizetest.Has(rep, code, verdict.Removed) || sanitizetest.Has(rep, "pdf.form", verdict.Changed) {
			t.Errorf("%s: got %+v", kind, rep.Findings)
		}
	}
}

// A field without an appearance has the frame and the ground that it asks for, also while it is empty.
func TestEmptyFieldsKeepTheirFrames(t *testing.T) {
	for what, c := range map[string]struct{ field, want string }{
		"a frame":      {"/FT /Tx /MK << /BC [1 0 0] >> /BS << /W 2 >>", "1 0 0 RG\n2 w\n1 1 98 18 re\nS"},
		"a line":       {"/FT /Ch /MK << /BC [0] >> /BS << /S /U >>", "0 G\n1 w\n0 0.5 m\n100 0.5 l\nS"},
		"a ground":     {"/FT /Btn /MK << /BG [0 0 1 0] >>", "0 0 1 0 k\n0 0 100 20 re\nf"},
		"with a value": {"/FT /Tx /V (text) /MK << /BC [1 0 0] >>", "1 0 0 RG\n1 w\n0.5 0.5 99 19 re\nS"},
		"of no width":  {"/FT /Tx /V (text) /MK << /BC [1 0 0] >> /BS << /W 0 >>", "(text) Tj"},
		"a secret":     {"/FT /Tx /Ff 8192 /V (MARKER) /MK << /BC [1 0 0] >>", "1 0 0 RG\n1 w\n0.5 0.5 99 19 re\nS"},
	} {
		in := page("/AcroForm << /Fields [6 0 R] >>", "/Annots [6 0 R]", "", hello, "<< /Type /Annot /Subtype /Widget /T (a) /Rect [10 10 110 30] "+c.field+" >>")
		_, out := clean(t, in, sanitize.Options{})
		if !strings.Contains(out, c.want) || strings.Contains(out, "MARKER") || what == "of no width" && strings.Contains(out, "RG") || what == "with a value" && !strings.Contains(out, "(text) Tj") {
			t.Errorf("%s: got\n%s", what, out)
		}
	}
}
