package pdf_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// words is what poppler finds in a PDF.
func words(t testing.TB, in []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(name, in, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pdftotext", "-enc", "UTF-8", name, "-").Output()
	if err != nil {
		t.Fatalf("pdftotext: %v", err)
	}
	return string(out)
}

// A page that nobody can vouch for becomes a picture, with its text to be found; the others stay as they are.
func TestDoubtfulPagesAreFlattened(t *testing.T) {
	const text = "BT /F1 24 Tf 20 100 Td (Hello & <you>) Tj ET"
	for what, in := range map[string][]byte{
		"a string without an end":   page("", "", "", text+" (MARKER"),
		"a picture without an end":  page("", "", "", text+" BI /W 9 /H 9 /BPC 8 /CS /G ID MARKER"),
		"a font that is none":       page("", "", "/Font << /F1 6 0 R >>", text, "<< /Type /Font /Subtype /TrueType /BaseFont /X /FontDescriptor 7 0 R >>", "<< /Type /FontDescriptor /FontName /X /Flags 32 /FontFile2 8 0 R >>", "stream \nMARKER"),
		"a form that breaks":        page("", "", "/XObject << /X 6 0 R >>", text+" /X Do", "stream /Type /XObject /Subtype /Form /BBox [0 0 9 9]\n(MARKER"),
		"a picture of a new filter": page("", "", "/XObject << /X 6 0 R >>", text+" /X Do", "stream /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /MARKER\nMARKER"),
	} {
		t.Run(what, func(t *testing.T) {
			rep, out := clean(t, in, sanitize.Options{})
			if !reported(rep, "pdf.flattened", "p1") || strings.Contains(out, "MARKER") || !strings.Contains(out, "/DCTDecode") {
				t.Errorf("got %+v\n%.2000s", rep.Findings, out)
			}
			if got := strings.Join(strings.Fields(words(t, []byte(out))), " "); !strings.HasPrefix(got, "Hello & <you>") {
				t.Errorf("text: got %q", got)
			}
		})
	}
}

func TestPasswords(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.pdf"), filepath.Join(dir, "out.pdf")
	if err := os.WriteFile(in, page("", "", "", hello), 0o600); err != nil {
		t.Fatal(err)
	}
	lock := func(user string) []byte {
		if b, err := exec.Command("qpdf", "--encrypt", user, "owner", "256", "--print=none", "--", in, out).CombinedOutput(); err != nil {
			t.Fatalf("qpdf: %s", b)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		user string
		keys []string
		pass bool
	}{{"", nil, true}, {"秘密", nil, false}, {"秘密", []string{"x", "y"}, false}, {"秘密", []string{"x", "秘密"}, true}} {
		rep, body := run(t, lock(c.user), sanitize.Options{Keys: c.keys})
		if c.pass && (rep.Outcome != verdict.Clean || !sanitizetest.Has(rep, "pdf.encryption", verdict.Changed) || !strings.Contains(plain(t, body), "(Hello) Tj")) {
			t.Errorf("%q with %q: %+v", c.user, c.keys, rep.Findings)
		}
		if !c.pass && !sanitizetest.Has(rep, "pdf.password", verdict.Refused) {
			t.Errorf("%q with %q: got %+v, want the question for a password", c.user, c.keys, rep)
		}
	}
}
