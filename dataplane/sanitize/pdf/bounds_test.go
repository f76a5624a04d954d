package pdf_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// A register with an index of 32,768 links passes, in a time that nobody notices (the nearest peer tells of 3 s).
func TestManyLinks(t *testing.T) {
	var links strings.Builder
	for i := range 32_768 {
		fmt.Fprintf(&links, "<< /Type /Annot /Subtype /Link /Rect [%d 0 9 9] /A << /S /URI /URI (https://www.example.jp/%d) >> >>\n", i%300, i)
	}
	in := page("", "/Annots ["+links.String()+"]", "", hello)
	start := time.Now()
	rep, out := run(t, in, sanitize.Options{})
	if rep.Outcome != verdict.Clean {
		t.Fatalf("got %+v", rep.Findings)
	}
	t.Logf("%d bytes in %v", len(in), time.Since(start))
	if n := strings.Count(plain(t, out), "/URI ("); n != 32_768 {
		t.Errorf("%d links stay", n)
	}
}

// What is too deep or too large ends in a refusal or in a file without it, in time.
func TestBoundsOfHostileFiles(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	var tree []string // of 10,000 nodes, each in the one before it
	for i := range 10_000 {
		tree = append(tree, fmt.Sprintf("<< /Type /Pages /Kids [%d 0 R] /Count 1 >>", 7+i))
	}
	tree = append(tree, "<< /Type /Page /MediaBox [0 0 9 9] >>")
	var forms []string // each shows the next one
	for i := range 10_000 {
		forms = append(forms, fmt.Sprintf("stream /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >>\n/X Do", 7+i))
	}
	chained := page("", "", "/XObject << /X 6 0 R >>", hello+" /X Do", forms...)
	for what, c := range map[string]struct {
		in   []byte
		code string // "": it may pass
	}{
		"arrays in each other":        {page("", "/Unheard "+deep(10_000), "", hello), ""},
		"arrays in content":           {page("", "", "", deep(10_000)+" TJ "+hello), ""},
		"a tree of pages":             {append([]byte{}, file(append([]string{"<< /Type /Catalog /Pages 6 0 R >>", "<< >>", "<< >>", "<< >>", "<< >>"}, tree...)...)...), "limit.nesting"},
		"forms in forms":              {chained, ""},
		"a form that shows itself":    {page("", "", "/XObject << /X 6 0 R >>", hello, "stream /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>\n/X Do"), ""},
		"an object that is itself":    {page("/Outlines 6 0 R", "", "", hello, "6 0 R"), ""},
		"a picture of many pixels":    {page("", "", "/XObject << /X 6 0 R >>", hello, "stream /Type /XObject /Subtype /Image /Width 3000000 /Height 2000000 /BitsPerComponent 8 /ColorSpace /DeviceGray\nx"), ""},
		"a picture that is too short": {page("", "", "/XObject << /X 6 0 R >>", hello, "stream /Type /XObject /Subtype /Image /Width 8000 /Height 8000 /BitsPerComponent 8 /ColorSpace /DeviceGray\nx"), ""},
	} {
		t.Run(what, func(t *testing.T) {
			start := time.Now()
			rep, _ := run(t, c.in, sanitize.Options{})
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if c.code != "" && !sanitizetest.Has(rep, c.code, verdict.Refused) {
				t.Errorf("got %+v, want %s", rep.Findings, c.code)
			}
			for _, f := range rep.Findings {
				if strings.HasPrefix(f.Code, "internal") {
					t.Errorf("got %+v", f)
				}
			}
		})
	}
}
