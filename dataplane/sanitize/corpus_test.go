package sanitize

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

const corpus = "../../../shared/corpus"

// TestCorpus rebuilds every real file at hand: no crash, the same bytes each time, the same text before and after, and most of
// the files pass. It prints how many passed and why others did not.
func TestCorpus(t *testing.T) {
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("no corpus beside the repository (%s): only the tests' own files are rebuilt", corpus)
	}
	if testing.Short() {
		t.Skip("-short")
	}
	for ext, least := range map[string]float64{"docx": 0.97, "xlsx": 0.97, "xlsm": 1, "pptx": 0.97, "png": 0.6, "jpg": 0.9, "jpeg": 0.9, "txt": 0.8, "csv": 0.8, "html": 0.9, "svg": 0.9} {
		t.Run(ext, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob(filepath.Join(corpus, ext, "*"))
			if err != nil {
				t.Fatal(err)
			}
			passed, reasons := 0, map[string]int{}
			for i, name := range files {
				in, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				rep, out := run(t, name, in)
				if rep.Outcome == verdict.Blocked {
					f := rep.Findings[len(rep.Findings)-1]
					reasons[f.Code]++
					t.Logf("%s: %s %s %s", path.Base(name), f.Code, f.Place, f.Detail)
					if strings.HasPrefix(f.Code, "internal") {
						t.Errorf("%s: %+v", name, f)
					}
					continue
				}
				passed++
				if i%16 == 0 {
					if again, twice := run(t, name, in); again.Outcome != verdict.Clean || !bytes.Equal(out, twice) {
						t.Errorf("%s: a second rebuild differs", name)
					}
				}
				switch rep.Family {
				case "docx", "xlsx", "pptx":
					if before, after := officeText(t, in), officeText(t, out); before != after {
						t.Errorf("%s: text differs: %s", name, difference(before, after))
					}
					if i%4 != 0 {
						continue
					}
					if again, twice := run(t, "x."+rep.Family, out); again.Outcome != verdict.Clean || !bytes.Equal(twice, out) && !hasPictures(out) {
						t.Errorf("%s: the result is not settled: %v", name, again.Findings)
					}
				}
			}
			t.Logf("%s: %d of %d passed, blocked %v", ext, passed, len(files), reasons)
			if float64(passed) < least*float64(len(files)) {
				t.Errorf("only %d of %d passed, want at least %.0f %%", passed, len(files), least*100)
			}
		})
	}
}

func hasPictures(b []byte) bool {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	return err == nil && slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.HasSuffix(f.Name, ".jpeg") })
}

// officeText extracts the text that a reader sees with a parser of its own: w:t, a:t, and t of shared and inline strings, of
// the parts that documents show.
func officeText(t testing.TB, b []byte) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	var links strings.Builder
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".rels") {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(&links, r); err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
	}
	for _, f := range z.File {
		name := strings.ToLower(f.Name)
		if path.Ext(name) != ".xml" || strings.HasPrefix(name, "customxml/") || strings.HasPrefix(name, "docprops/") || strings.HasPrefix(name, "[content") ||
			strings.HasPrefix(name, "xl/revisions/") || !strings.Contains(links.String(), path.Base(f.Name)) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		d := xml.NewDecoder(r)
		d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
		inside := false
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			switch tok := tok.(type) {
			case xml.StartElement:
				inside = tok.Name.Local == "t" && strings.HasSuffix(strings.TrimSuffix(tok.Name.Space, "/2006/main"), "ml") || tok.Name.Local == "t" && strings.HasSuffix(tok.Name.Space, "/main")
			case xml.EndElement:
				inside = false
			case xml.CharData:
				if inside {
					out.Write(tok)
					out.WriteByte('\n')
				}
			}
		}
		r.Close()
		if out.Len() > 0 {
			text[name] = out.String()
		}
	}
	var all strings.Builder
	for _, k := range slices.Sorted(maps.Keys(text)) {
		all.WriteString(k + "\n" + text[k])
	}
	return all.String()
}

func difference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range la {
		if i >= len(lb) || la[i] != lb[i] {
			return strings.Join(la[max(0, i-2):min(len(la), i+3)], "|") + " <> " + strings.Join(lb[min(len(lb), max(0, i-2)):min(len(lb), i+3)], "|")
		}
	}
	return "longer"
}
