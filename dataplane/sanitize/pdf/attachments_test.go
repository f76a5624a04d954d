package pdf_test

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// Where a route has attachments rebuilt, each goes its family's way, and what that refuses is left out.
func TestAttachmentsAreRebuilt(t *testing.T) {
	in := page("/Names << /EmbeddedFiles << /Names [(a) 6 0 R (b) 8 0 R] >> >>", "", "", hello,
		"<< /Type /Filespec /F (a.csv) /UF <FEFF88680032002E006300730076> /EF << /F 7 0 R >> >>", "stream /Type /EmbeddedFile\nx,=1+1\n",
		"<< /Type /Filespec /F (b.exe) /EF << /F 9 0 R >> >>", "stream /Type /EmbeddedFile\nMZ\x90\x00MARKER")
	rep, out := run(t, in, sanitize.Options{Policy: verdict.Policy{Attachments: "rebuild"}})
	if rep.Outcome != verdict.Clean {
		t.Fatalf("got %+v", rep.Findings)
	}
	if v := verify.CheckFor(t.Context(), verdict.Policy{Attachments: "rebuild"}, "a.pdf", out); v.Outcome != verdict.Clean {
		t.Errorf("the verifier: %+v", v.Findings)
	}
	shown := plain(t, out)
	if !strings.Contains(shown, "x,'=1+1") || strings.Contains(shown, "MARKER") || !sanitizetest.Has(rep, "csv.formula", verdict.Changed) || !sanitizetest.Has(rep, "pdf.attachment", verdict.Removed) {
		t.Errorf("got %+v\n%s", rep.Findings, shown)
	}
}
