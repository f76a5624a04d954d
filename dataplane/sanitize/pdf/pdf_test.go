package pdf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

const hello = "BT /F1 12 Tf 20 100 Td (Hello) Tj ET"

// Each technique is left out, named by its code and its page; nothing of it stays in any corner of the result.
func TestWhatActsIsLeftOut(t *testing.T) {
	annotation := func(s string) []byte {
		return page("", "/Annots [<< /Type /Annot /Rect [0 0 9 9] "+s+" >>]", "", hello, "<< /Type /EmbeddedFile /MARKER 1 >>")
	}
	for _, c := range []struct {
		what, code, place string
		in                []byte
	}{
		{"a program at opening", "pdf.action", "", page("/OpenAction << /S /JavaScript /JS (MARKER) >>", "", "", hello)},
		{"actions of the document", "pdf.action", "", page("/AA << /WC << /S /JavaScript /JS (MARKER) >> >>", "", "", hello)},
		{"actions of a page", "pdf.action", "p1", page("", "/AA << /O << /S /Launch /F (MARKER) >> >>", "", hello)},
		{"named programs", "pdf.javascript", "", page("/Names << /JavaScript << /Names [(MARKER) << /S /JavaScript /JS (MARKER) >>] >> >>", "", "", hello)},
		{"embedded files", "pdf.attachment", "", page("/Names << /EmbeddedFiles << /Names [(MARKER) << /Type /Filespec /F (MARKER) >>] >> >>", "", "", hello)},
		{"associated files", "pdf.attachment", "", page("/AF [<< /Type /Filespec /F (MARKER) >>]", "", "", hello)},
		{"a portfolio", "pdf.attachment", "", page("/Collection << /View /D /D (MARKER) >>", "", "", hello)},
		{"a link that starts a program", "pdf.launch", "p1", annotation("/Subtype /Link /A << /S /Launch /F (MARKER) >>")},
		{"a link with a program", "pdf.javascript", "p1", annotation("/Subtype /Link /A << /S /JavaScript /JS (MARKER) >>")},
		{"a link into another file", "pdf.remote", "p1", annotation("/Subtype /Link /A << /S /GoToR /F (MARKER) /D [0 /Fit] >>")},
		{"a link into an embedded file", "pdf.remote", "p1", annotation("/Subtype /Link /A << /S /GoToE /F (MARKER) /D [0 /Fit] >>")},
		{"a form that is sent", "pdf.submit", "p1", annotation("/Subtype /Link /A << /S /SubmitForm /F (MARKER) >>")},
		{"data that is loaded", "pdf.submit", "p1", annotation("/Subtype /Link /A << /S /ImportData /F (MARKER) >>")},
		{"a sound that plays", "pdf.media", "p1", annotation("/Subtype /Link /A << /S /Rendition /JS (MARKER) >>")},
		{"an action behind another", "pdf.action", "p1", annotation("/Subtype /Link /A << /S /URI /URI (https://www.example.jp/) /Next << /S /JavaScript /JS (MARKER) >> >>")},
		{"an address of a file", "pdf.link", "p1", annotation("/Subtype /Link /A << /S /URI /URI (file:///MARKER) >>")},
		{"an address that is a program", "pdf.link", "p1", annotation("/Subtype /Link /A << /S /URI /URI (java\nscript:MARKER) >>")},
		{"a file on the page", "pdf.attachment", "p1", annotation("/Subtype /FileAttachment /FS << /Type /Filespec /F (MARKER) /EF << /F 6 0 R >> >>")},
		{"rich media", "pdf.media", "p1", annotation("/Subtype /RichMedia /RichMediaContent << /A (MARKER) >>")},
		{"3D", "pdf.media", "p1", annotation("/Subtype /3D /3DD (MARKER)")},
		{"a movie", "pdf.media", "p1", annotation("/Subtype /Movie /Movie << /F (MARKER) >>")},
		{"a sound", "pdf.media", "p1", annotation("/Subtype /Sound /Sound (MARKER)")},
		{"a screen", "pdf.media", "p1", annotation("/Subtype /Screen /A << /S /Rendition /JS (MARKER) >>")},
		{"an unknown annotation", "pdf.annotation", "p1", annotation("/Subtype /MARKER")},
		{"an action of a note", "pdf.action", "p1", annotation("/Subtype /Text /Contents (x) /A << /S /JavaScript /JS (MARKER) >>")},
		{"metadata", "pdf.metadata", "", page("/Metadata 6 0 R", "", "", hello, "stream /Type /Metadata /Subtype /XML\nMARKER")},
		{"private data", "pdf.private", "p1", page("", "/PieceInfo << /A << /Private (MARKER) >> >>", "", hello)},
		{"an unknown key", "pdf.unknown", "p1", page("", "/Unheard (MARKER)", "", hello)},
		{"a program for printers", "pdf.postscript", "p1", page("", "", "/XObject << /X 6 0 R >>", hello+" /X Do", "stream /Type /XObject /Subtype /PS\n(MARKER) run")},
		{"another file as a form", "pdf.remote", "p1", page("", "", "/XObject << /X 6 0 R >>", hello+" /X Do", "stream /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Ref << /F (MARKER) >>\nn")},
		{"an unknown operator", "pdf.operators", "p1", page("", "", "", hello+" (MARKER) exec")},
		{"unknown properties of content", "", "", page("", "", "", "/A << /MARKER (MARKER) /MCID 3 >> BDC "+hello+" EMC")},
	} {
		t.Run(c.what, func(t *testing.T) {
			rep, out := clean(t, c.in, sanitize.Options{})
			if c.code != "" && !reported(rep, c.code, c.place) {
				t.Errorf("got %+v, want %s at %q", rep.Findings, c.code, c.place)
			}
			if strings.Contains(out, "MARKER") || strings.Contains(out, "JavaScript") || strings.Contains(out, "Launch") {
				t.Errorf("it stays:\n%s", out)
			}
			if !strings.Contains(out, "(Hello) Tj") {
				t.Errorf("the text is gone:\n%s", out)
			}
		})
	}
}

func reported(rep verdict.Report, code, place string) bool {
	for _, f := range rep.Findings {
		if f.Code == code && f.Place == place {
			return true
		}
	}
	return false
}

func TestLinksStay(t *testing.T) {
	in := page("/Names << /Dests << /Names [(ch1) [3 0 R /Fit]] >> >>", `/Annots [
		<< /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (HTTPS://www.example.jp/?q=\343\201\202) >> >>
		<< /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (mailto:a@example.jp) >> >>
		<< /Subtype /Link /Rect [0 0 9 9] /Dest [3 0 R /XYZ 0 0 null] >>
		<< /Subtype /Link /Rect [0 0 9 9] /A << /S /GoTo /D (ch1) >> >>
		<< /Subtype /Link /Rect [0 0 9 9] /Dest (nowhere) >>
		<< /Subtype /Text /Rect [0 0 9 9] /Contents (note) /T (clerk) >> ]`, "", hello)
	rep, out := clean(t, in, sanitize.Options{})
	for _, want := range []string{"HTTPS://www.example.jp/?q=%", "mailto:a@example.jp", "/XYZ", "(ch1)", "(note)", "(clerk)"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is gone: %+v\n%s", want, rep.Findings, out)
		}
	}
	if strings.Contains(out, "nowhere") {
		t.Error("a link to nowhere stays")
	}
	rep, out = clean(t, in, sanitize.Options{Policy: verdict.Policy{Links: "remove", Comments: "remove"}})
	if strings.Contains(out, "/URI") || strings.Contains(out, "(note)") || !strings.Contains(out, "/XYZ") || !sanitizetest.Has(rep, "pdf.link", verdict.Removed) || !sanitizetest.Has(rep, "pdf.comment", verdict.Removed) {
		t.Errorf("policy: %+v\n%s", rep.Findings, out)
	}
}

// Older revisions and what nothing leads to do not reach the result.
func TestHistoryIsGone(t *testing.T) {
	in := page("", "", "", "BT /F1 12 Tf (MARKER) Tj ET", "<< /Hidden (MARKER) >>")
	start := len(in)
	in = fmt.Appendf(in, "4 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", len(hello), hello)
	xref := len(in)
	in = fmt.Appendf(in, "xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size 7 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\nMARKER", start, strings.LastIndex(string(in[:start]), "xref\n0"), xref)
	_, out := clean(t, in, sanitize.Options{})
	if strings.Contains(out, "MARKER") || !strings.Contains(out, "(Hello) Tj") {
		t.Errorf("got\n%s", out)
	}
}
