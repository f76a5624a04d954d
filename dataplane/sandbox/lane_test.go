package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

var buildWorker = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(probe), "sekisho-sanitize")
	cmd := exec.Command("go", "build", "-o", path, "github.com/sekisho/sekisho/cmd/sekisho-sanitize")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the worker: %w\n%s", err, out)
	}
	return path, nil
})

func testWorker(t *testing.T) *Worker {
	t.Helper()
	path, err := buildWorker()
	if err != nil {
		t.Fatal(err)
	}
	return &Worker{Box: testBox(t), Binary: path}
}

// corpus is where real files may lie beside the checkout. They are not part of the project.
func corpus(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/corpus")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no corpus of real files: %v", err)
	}
	return dir
}

// TestRealFilesPassBoth sends real files through both sandboxes. What the rebuilder calls clean, the verifier must pass: here the
// two, written apart, agree or one of them is wrong.
func TestRealFilesPassBoth(t *testing.T) {
	w := testWorker(t)
	dir := corpus(t)
	disagree := map[string][]string{}
	for _, kind := range []string{"txt", "csv", "png", "jpg", "jpeg", "docx", "xlsx", "xlsm", "pptx"} {
		files, err := filepath.Glob(filepath.Join(dir, kind, "*"))
		if err != nil {
			t.Fatal(err)
		}
		if testing.Short() && len(files) > 20 {
			files = files[:20]
		}
		clean, blocked, no := 0, map[string]int{}, 0
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			r := w.Pass(context.Background(), verdict.Job{Name: filepath.Base(f)}, b)
			switch {
			case r.Clean():
				clean++
			case r.Verified != nil:
				no++
				key := r.Verified.Findings[0].Code + " " + r.Verified.Findings[0].Detail
				disagree[key] = append(disagree[key], filepath.Base(f)+" "+r.Verified.Findings[0].Place)
			default:
				last := r.Report.Findings[len(r.Report.Findings)-1]
				blocked[last.Code]++
				if strings.HasPrefix(last.Code, "sandbox.") {
					t.Errorf("%s: %s %s", f, last.Code, last.Detail)
				}
			}
		}
		t.Logf("%-5s %3d files, %3d passed both, %3d the verifier refused, the rebuilder blocked %v", kind, len(files), clean, no, blocked)
	}
	keys := make([]string, 0, len(disagree))
	for k := range disagree {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		slices.Sort(disagree[k])
		t.Errorf("%3d x %s: %s", len(disagree[k]), k, strings.Join(disagree[k][:min(3, len(disagree[k]))], "; "))
	}
}
