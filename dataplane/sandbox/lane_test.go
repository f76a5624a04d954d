package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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

// TestRealFilesPassBoth sends real files through both sandboxes. What the rebuilder calls clean, the verifier must pass: where the
// two, written apart, disagree, one of them is wrong. A few files may be such that they do (each is logged); a rule that does
// not fit shows as many. SEKISHO_CORPUS=all takes every file, otherwise some of each kind.
func TestRealFilesPassBoth(t *testing.T) {
	w := testWorker(t)
	dir := corpus(t)
	most := 12
	if os.Getenv("SEKISHO_CORPUS") == "all" {
		most = 1 << 20
	}
	total, disagree := 0, 0
	for _, kind := range []string{"txt", "csv", "png", "jpg", "jpeg", "docx", "xlsx", "xlsm", "pptx"} {
		files, err := filepath.Glob(filepath.Join(dir, kind, "*"))
		if err != nil {
			t.Fatal(err)
		}
		step := max(1, len(files)/most)
		clean, blocked, tried := 0, map[string]int{}, 0
		for i := 0; i < len(files); i += step {
			tried++
			b, err := os.ReadFile(files[i])
			if err != nil {
				t.Fatal(err)
			}
			r := w.Pass(t.Context(), verdict.Job{Name: filepath.Base(files[i])}, b)
			switch {
			case r.Clean():
				clean++
			case r.Verified != nil:
				disagree++
				t.Logf("the verifier refused %s: %+v", files[i], r.Verified.Findings)
			default:
				last := r.Report.Findings[len(r.Report.Findings)-1]
				blocked[last.Code]++
				if strings.HasPrefix(last.Code, "sandbox.") {
					t.Errorf("%s: %s %s", files[i], last.Code, last.Detail)
				}
			}
		}
		total += clean
		t.Logf("%-5s %3d files, %3d passed both, the rebuilder blocked %v", kind, tried, clean, blocked)
	}
	if disagree*50 > total {
		t.Errorf("the verifier refused %d of %d rebuilt files", disagree, total+disagree)
	}
}

// TestWorkerAnswers holds what comes out of the sandboxes to the bytes that went in.
func TestWorkerAnswers(t *testing.T) {
	w := testWorker(t)
	text := []byte("関所\n")
	r := w.Pass(t.Context(), verdict.Job{Name: "a.txt"}, text)
	if !r.Clean() || string(r.Bytes) != string(text) || r.Verified.Before != Digest(text) {
		t.Errorf("%+v", r)
	}
	if got := r.Report; got.Kind != "text" || got.Verifier != r.Verified.Engine || got.Verifier == "" || time.Since(got.Began) > time.Minute || got.Took <= 0 {
		t.Errorf("who did it, and when: %+v", got)
	}
	r = w.Pass(t.Context(), verdict.Job{Name: "a.txt", Formats: []string{"png"}}, text)
	if r.Clean() || r.Report.Outcome != verdict.Blocked {
		t.Errorf("a kind that the route does not admit: %+v", r)
	}
	w.Limit = func(size, output int64) Budget {
		b := Scaled(size, output)
		b.Memory = 512 << 10
		return b
	}
	r = w.Pass(t.Context(), verdict.Job{Name: "a.txt"}, text)
	if r.Clean() || r.Report.Outcome != verdict.Blocked || r.Report.Findings[0].Code != string(Memory) {
		t.Errorf("no memory: %+v", r)
	}
}

// copier is a worker that hands on what it was given.
func copier(t *testing.T) *Worker {
	t.Helper()
	path := filepath.Join(filepath.Dir(probe), "copier")
	build := exec.Command("go", "build", "-o", path, "./testdata/copier")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &Worker{Box: testBox(t), Binary: path}
}

// TestAWrongRebuilderIsCaught: a rebuilder that copies everything through meets the real verifier, each in its sandbox.
func TestAWrongRebuilderIsCaught(t *testing.T) {
	w := copier(t)
	for name, body := range map[string]string{"a.csv": "=cmd|' /c calc'!A1\n", "a.docx": "PK\x03\x04 anything", "a.png": "MZ", "a.exe": "MZ", "a.txt": "x\x1b[2J"} {
		r := w.Pass(t.Context(), verdict.Job{Name: name}, []byte(body))
		if r.Report.Outcome != verdict.Clean {
			t.Errorf("%s: the copier did not copy: %+v", name, r.Report)
		}
		if r.Clean() || r.Bytes != nil || r.Verified == nil || r.Verified.Outcome != verdict.Blocked {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := w.Pass(t.Context(), verdict.Job{Name: "a.txt"}, []byte("harmless\n")); !r.Clean() {
		t.Errorf("a harmless text: %+v", r)
	}
}

// TestLyingWorkers puts programs in the worker's place that answer what a taken-over worker might. Each must end as a block.
func TestLyingWorkers(t *testing.T) {
	body := []byte("body")
	d := Digest(body)
	good := verdict.Report{Version: 1, Name: "a.txt", OutName: "a.txt", Outcome: verdict.Clean, Before: d, After: &d, Engine: "x"}
	for _, c := range []struct {
		what   string
		change func(*verdict.Report) string // answers what follows the line
	}{
		{"nothing", func(r *verdict.Report) string { r.Version = 0; return "" }},
		{"another outcome", func(r *verdict.Report) string { r.Outcome = "fine"; return "body" }},
		{"other bytes than announced", func(*verdict.Report) string { return "BODY" }},
		{"more bytes than announced", func(*verdict.Report) string { return "body and more" }},
		{"fewer bytes", func(*verdict.Report) string { return "bo" }},
		{"clean without a digest", func(r *verdict.Report) string { r.After = nil; return "" }},
		{"about another file", func(r *verdict.Report) string { r.Before.SHA256 = strings.Repeat("0", 64); return "body" }},
		{"a path as name", func(r *verdict.Report) string { r.OutName = "../../x.txt"; return "body" }},
		{"a name that reads backwards", func(r *verdict.Report) string { r.OutName = "a\u202Etxt.exe"; return "body" }},
		{"a preview of another size", func(r *verdict.Report) string {
			r.Result = &verdict.Preview{Width: 256, Height: 256, RGBA: []byte{1}}
			return "body"
		}},
		{"an action that nobody knows", func(r *verdict.Report) string {
			r.Findings = []verdict.Finding{{Code: "x", Action: "run"}}
			return "body"
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := good
			tail := c.change(&r)
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := readSanitized(append(append(line, '\n'), tail...), body); err == nil {
				t.Error("it was believed")
			}
		})
	}
	line, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := readSanitized(append(append(line, '\n'), body...), body); err != nil {
		t.Errorf("an honest one: %v", err)
	}
}

func readSanitized(raw, body []byte) error {
	_, _, err := sanitized(raw, verdict.Job{Name: "a.txt", MaxOut: 1000}, body)
	return err
}

func TestReportTextIsMadeFit(t *testing.T) {
	body := []byte("body")
	r := verdict.Report{Version: 1, Outcome: verdict.Blocked, Before: Digest(body), Engine: "e\x1b[31m" + strings.Repeat("x", 500),
		Kind: strings.Repeat("k", 500), Verifier: "me", Policy: "mine", Began: time.Now(), Took: 1, Helpers: []string{"me"},
		Findings: make([]verdict.Finding, 5000), Original: &verdict.Preview{Text: "a\u202Eb\x1b"}}
	for i := range r.Findings {
		r.Findings[i] = verdict.Finding{Code: "c\n", Place: strings.Repeat("p", 1000), Detail: "\x1b]0;\a", Action: verdict.Removed}
	}
	if err := tidy(&r, "name.txt", body); err != nil {
		t.Fatal(err)
	}
	if r.Verifier != "" || r.Policy != "" || !r.Began.IsZero() || r.Took != 0 || r.Helpers != nil || len(r.Kind) > 24 {
		t.Errorf("it says of itself what it cannot know: %+v", r)
	}
	all := fmt.Sprintf("%+v %q", r, r.Original.Text)
	if r.Name != "name.txt" || len(r.Findings) != maxFindings+1 || strings.ContainsAny(all, "\x1b\a\u202E") || len(r.Findings[0].Place) > 210 || len(r.Engine) > 100 {
		t.Errorf("%d findings, %.300s", len(r.Findings), all)
	}
}
