package pdf_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

// file writes a PDF of objects, the first of which is the root; a body that begins with "stream " is the dictionary of a stream,
// a line end, and its data.
func file(objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	at := make([]int, len(objects))
	for i, o := range objects {
		at[i] = b.Len()
		if s, ok := strings.CutPrefix(o, "stream "); ok {
			d, data, _ := strings.Cut(s, "\n")
			o = fmt.Sprintf("<< /Length %d %s >>\nstream\n%s\nendstream", len(data), d, data)
		}
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, n := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", n)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

// page is a file of one page: what its catalog, its dictionary and its resources hold besides, its content, and more objects from 6 on.
func page(catalog, dict, resources, content string, more ...string) []byte {
	return file(append([]string{
		"<< /Type /Catalog /Pages 2 0 R " + catalog + " >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> " + resources + " >> " + dict + " >>",
		"stream \n" + content,
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}, more...)...)
}

// run rebuilds with the programs that are asked for.
func run(t testing.TB, in []byte, opt sanitize.Options) (verdict.Report, []byte) {
	t.Helper()
	for range 8 {
		rep, out, needs := sanitizetest.Ask(t, "資料.pdf", in, opt)
		if len(needs) == 0 {
			return rep, out
		}
		for _, n := range needs {
			opt.Answers = append(opt.Answers, tool.Answer(t.Context(), n))
		}
	}
	t.Fatal("asks again and again")
	return verdict.Report{}, nil
}

// clean rebuilds what has to pass, has the other side check it, rebuilds it once more, and answers what is in it, uncompressed by qpdf.
func clean(t testing.TB, in []byte, opt sanitize.Options) (verdict.Report, string) {
	t.Helper()
	rep, out := run(t, in, opt)
	if rep.Outcome != verdict.Clean {
		t.Fatalf("blocked: %+v", rep.Findings)
	}
	if v := verify.CheckFor(t.Context(), opt.Policy, rep.OutName, out); v.Outcome != verdict.Clean {
		t.Fatalf("the verifier: %+v", v.Findings)
	}
	again, twice := run(t, out, sanitize.Options{})
	if again.Outcome != verdict.Clean || len(again.Findings) > 0 || !bytes.Equal(out, twice) {
		t.Errorf("the result is not settled: %+v, %d and %d bytes", again.Findings, len(out), len(twice))
	}
	return rep, plain(t, out)
}

// plain is a PDF without compression, as qpdf shows it.
func plain(t testing.TB, in []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(name, in, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("qpdf", "--qdf", "--object-streams=disable", name, "-").Output()
	if err != nil {
		t.Fatalf("qpdf: %v", err)
	}
	return string(out)
}
