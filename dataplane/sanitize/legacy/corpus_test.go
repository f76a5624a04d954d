package legacy_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/sanitize/sanitizetest"
	"github.com/sekisho/sekisho/dataplane/verdict"
	"github.com/sekisho/sekisho/dataplane/verify"
)

const corpus = "../../../../shared/corpus"

// TestCorpus converts and rebuilds real files of old formats with the very helper that the broker starts, and has the verifier look.
func TestCorpus(t *testing.T) {
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("no corpus beside the repository (%s)", corpus)
	}
	if testing.Short() {
		t.Skip("-short: LibreOffice takes seconds a file")
	}
	for ext, least := range map[string]float64{"doc": 0.85, "xls": 0.95, "ppt": 0.8, "rtf": 0.9, "xlsb": 1, "mht": 1} {
		t.Run(ext, func(t *testing.T) {
			t.Parallel() // LibreOffice keeps one processor busy
			files, err := filepath.Glob(filepath.Join(corpus, ext, "*"))
			if err != nil {
				t.Fatal(err)
			}
			passed, reasons := 0, map[string]int{}
			others := 0 // what only is called so: WordPerfect, DisplayWrite, Word 2
			var took []time.Duration
			for _, name := range files {
				in, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				opt := sanitize.Options{}
				var rep verdict.Report
				var out []byte
				for range 3 {
					var needs []verdict.Need
					if rep, out, needs = sanitizetest.Ask(t, name, in, opt); len(needs) == 0 {
						break
					}
					for _, n := range needs {
						a := tool.Answer(t.Context(), n)
						if a.Failed == tool.Absent {
							t.Skipf("no %s here", a.Detail)
						}
						opt.Answers = append(opt.Answers, a)
					}
				}
				took = append(took, time.Since(began))
				if rep.Outcome == verdict.Clean {
					if again := verify.Check(t.Context(), rep.OutName, out); again.Outcome != verdict.Clean {
						t.Errorf("%s: the verifier refuses %v", filepath.Base(name), again.Findings)
					}
					passed++
					continue
				}
				f := rep.Findings[len(rep.Findings)-1]
				if reasons[f.Code]++; f.Code == "type.mismatch" {
					others++
				}
				t.Logf("%s: %s %s %s", filepath.Base(name), f.Code, f.Place, f.Detail)
			}
			slices.Sort(took)
			t.Logf("%s: %d of %d passed, blocked %v, median %v", ext, passed, len(files), reasons, took[len(took)/2].Round(10*time.Millisecond))
			if float64(passed) < least*float64(len(files)-others) {
				t.Errorf("only %d of %d passed, want at least %.0f %%", passed, len(files), least*100)
			}
		})
	}
}
