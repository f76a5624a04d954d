package pdf_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
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

// All passwords go out in one round, since rounds are few: a mail brings a dozen.
func TestPasswordsAreTriedAtOnce(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.pdf"), filepath.Join(dir, "out.pdf")
	if err := os.WriteFile(in, page("", "", "", hello), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command("qpdf", "--encrypt", "k7", "owner", "256", "--", in, out).CombinedOutput(); err != nil {
		t.Fatalf("qpdf: %s", b)
	}
	locked, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	opt := sanitize.Options{Keys: []string{"k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "owner"}}
	var asked []int
	for range 6 {
		rep, _, needs := sanitizetest.Ask(t, "a.pdf", locked, opt)
		if len(needs) == 0 {
			if rep.Outcome != verdict.Clean {
				t.Errorf("got %+v", rep.Findings)
			}
			break
		}
		asked = append(asked, len(needs))
		for _, n := range needs {
			opt.Answers = append(opt.Answers, tool.Answer(t.Context(), n))
		}
	}
	if !slices.Equal(asked, []int{1, 9, 1}) {
		t.Errorf("questions in each round: got %v, want the file, all passwords, the result", asked)
	}
}

// Pages that become pictures are asked for by ranges: the whole file does not go out once a page.
func TestPagesAreAskedForByRanges(t *testing.T) {
	const pages = 40
	objects := []string{"<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"}
	kids := ""
	for i := range pages {
		n := len(objects) + 1
		kids += fmt.Sprintf("%d 0 R ", n)
		content := fmt.Sprintf("BT /F1 24 Tf 20 100 Td (page%d) Tj ET", i+1)
		if i != 19 {
			content += " (MARKER"
		}
		objects = append(objects, fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>", n+1), "stream \n"+content)
	}
	objects[1] = fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", kids, pages)
	in := file(objects...)
	var opt sanitize.Options
	asked := 0
	for range 6 {
		_, _, needs := sanitizetest.Ask(t, "a.pdf", in, opt)
		if len(needs) == 0 {
			break
		}
		for _, n := range needs {
			if n.Kind == "render" {
				asked++
			}
			opt.Answers = append(opt.Answers, tool.Answer(t.Context(), n))
		}
	}
	if asked != 4 {
		t.Errorf("%d questions for pictures and words of two ranges of pages, want 4", asked)
	}
	rep, out := clean(t, in, sanitize.Options{})
	text := words(t, []byte(out))
	for i := range pages {
		if want := fmt.Sprintf("page%d\n", i+1); !strings.Contains(text, want) {
			t.Errorf("%q is gone", want)
		}
		if got := reported(rep, "pdf.flattened", fmt.Sprintf("p%d", i+1)); got != (i != 19) {
			t.Errorf("page %d became a picture: got %t", i+1, got)
		}
	}
}
