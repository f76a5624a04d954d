package odf_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

const corpus = "../../../../shared/corpus"

// TestCorpus rebuilds real files: the text stays, the verifier agrees, a second rebuild changes nothing.
func TestCorpus(t *testing.T) {
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("no corpus beside the repository (%s)", corpus)
	}
	if testing.Short() {
		t.Skip("-short")
	}
	for _, ext := range []string{"odt", "ods", "odp"} {
		files, err := filepath.Glob(filepath.Join(corpus, ext, "*"))
		if err != nil {
			t.Fatal(err)
		}
		passed := 0
		var growth []float64
		for _, name := range files {
			in, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rep, out := sanitizetest.Run(t, name, in)
			if rep.Outcome != verdict.Clean {
				t.Logf("%s: %v", filepath.Base(name), rep.Findings[len(rep.Findings)-1])
				continue
			}
			passed++
			growth = append(growth, float64(len(out))/float64(len(in)))
			parts(t, "a."+ext, out)
			if before, after := shownText(t, in), shownText(t, out); before != after {
				t.Errorf("%s: text differs: %d and %d bytes; %v", filepath.Base(name), len(before), len(after), rep.Findings)
			}
		}
		if len(files) == 0 {
			continue
		}
		slices.Sort(growth)
		t.Logf("%s: %d of %d passed, size %.2f of the original", ext, passed, len(files), growth[len(growth)/2])
		if float64(passed) < 0.97*float64(len(files)) {
			t.Errorf("%s: only %d of %d passed", ext, passed, len(files))
		}
	}
}

// shownText is the text of paragraphs, read by another parser.
func shownText(t *testing.T, in []byte) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(in), int64(len(in)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := z.Open("content.xml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	depth := 0
	for d := xml.NewDecoder(r); ; {
		tok, err := d.Token()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth > 0 || tok.Name.Local == "p" || tok.Name.Local == "h" {
				depth++
			}
		case xml.EndElement:
			depth = max(0, depth-1)
		case xml.CharData:
			if depth > 0 {
				b.Write(tok)
			}
		}
	}
}
