package pdf_test

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// Layers that a document opens without are reported, and what lies on them goes where the route wants nothing hidden.
func TestHiddenLayers(t *testing.T) {
	view := func(d string) string { return "/OCProperties << /OCGs [6 0 R 7 0 R] /D << " + d + " >> >>" }
	const content = "/OC /H BDC BT /F1 9 Tf 1 1 Td (MARKER) Tj ET 5 w 1 1 9 9 re f BI /W 1 /H 1 /BPC 8 /CS /G ID A EI /OC /V BDC (MARKER) Tj EMC EMC /OC /V BDC BT /F1 12 Tf 20 100 Td (Hello) Tj ET EMC /X Do /OC /M BDC BT (MARKER) Tj ET EMC"
	file := func(d string) []byte {
		return page(view(d), "/Annots [<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (MARKER) /OC 6 0 R >>]",
			"/Properties << /H 6 0 R /V 7 0 R /M 9 0 R >> /XObject << /X 8 0 R >>", content,
			"<< /Type /OCG /Name (hidden) >>", "<< /Type /OCG /Name (shown) >>",
			"stream /Type /XObject /Subtype /Form /BBox [0 0 9 9] /OC 6 0 R /Resources << /Font << /F1 5 0 R >> >>\nBT /F1 9 Tf (MARKER) Tj ET",
			"<< /Type /OCMD /VE [/And 6 0 R [/Not 7 0 R]] >>")
	}
	for what, d := range map[string]string{"switched off": "/OFF [6 0 R]", "not switched on": "/BaseState /OFF /ON [7 0 R]"} {
		in := file(d)
		rep, out := run(t, in, sanitize.Options{})
		if !sanitizetest.Has(rep, "pdf.layer", verdict.Reported) || !strings.Contains(plain(t, out), "MARKER") {
			t.Errorf("%s: got %+v", what, rep.Findings)
		}
		remove := verdict.Policy{Hidden: "remove"}
		if v := verify.CheckFor(t.Context(), remove, rep.OutName, out); v.Outcome != verdict.Blocked {
			t.Errorf("%s: the verifier lets hidden layers pass where the route does not want them", what)
		}
		rep, shown := clean(t, in, sanitize.Options{Policy: remove})
		if !sanitizetest.Has(rep, "pdf.layer", verdict.Removed) || strings.Contains(shown, "MARKER") || !strings.Contains(shown, "(Hello) Tj") || !strings.Contains(shown, "5 w") {
			t.Errorf("%s: got %+v\n%s", what, rep.Findings, shown)
		}
	}
	if rep, _ := run(t, file("/ON [6 0 R 7 0 R]"), sanitize.Options{}); sanitizetest.Has(rep, "pdf.layer", verdict.Reported) {
		t.Errorf("nothing is hidden: got %+v", rep.Findings)
	}
}
