package sandbox

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/sandbox/tool"
	"github.com/sekisho/sekisho/dataplane/sanitize"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// testTree is the tree of helper programs; nothing is skipped without it.
func testTree(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(tool.Tree, "manifest")); err != nil {
		t.Fatalf("%v; hack/bootstrap makes it", err)
	}
	return tool.Tree
}

func askingWorker(t *testing.T) *Worker {
	t.Helper()
	testTree(t)
	path := filepath.Join(filepath.Dir(probe), "asker")
	build := exec.Command("go", "build", "-o", path, "./testdata/asker")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &Worker{Box: testBox(t), Binary: path}
}

const rtf = `{\rtf1\ansi\deff0{\fonttbl{\f0 Times New Roman;}}\f0 Sekisho\par}`

// TestHelpersAnswerInTheirSandboxes: LibreOffice, qpdf and poppler run in the very sandboxes that files meet.
func TestHelpersAnswerInTheirSandboxes(t *testing.T) {
	w := askingWorker(t)
	r := w.Pass(t.Context(), verdict.Job{Name: "a.docx"}, []byte(rtf))
	if !r.Clean() {
		t.Fatalf("%+v", r.Report)
	}
	if z, err := zip.NewReader(bytes.NewReader(r.Bytes), int64(len(r.Bytes))); err != nil {
		t.Error(err)
	} else if _, err := z.Open("word/document.xml"); err != nil {
		t.Error(err)
	}
	if h := fmt.Sprint(r.Report.Helpers); !strings.Contains(h, "libreoffice-core-nogui 4:") || !strings.Contains(h, "runtime ") {
		t.Errorf("helpers: %q", h)
	}
	r = w.Pass(t.Context(), verdict.Job{Name: "a.docx"}, []byte("MZ"))
	if r.Clean() || r.Report.Findings[0].Code != tool.Failed {
		t.Errorf("no document: %+v", r.Report)
	}
	r = w.Pass(t.Context(), verdict.Job{Name: "a.pdf"}, []byte("%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"+
		"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>\nendobj\ntrailer\n<</Root 1 0 R/Size 4>>\n%%EOF\n"))
	if !r.Clean() || !bytes.HasPrefix(r.Bytes, []byte("P7\n")) && !bytes.HasPrefix(r.Bytes, []byte("{")) {
		t.Errorf("a PDF: %+v", r.Report)
	}
}

// TestHelpersWorkWithoutAGroup: for an operator's own command line, where nothing was delegated.
func TestHelpersWorkWithoutAGroup(t *testing.T) {
	w := askingWorker(t)
	w.Box = &Box{DataLimit: true, Credential: brokerUser(t)}
	if r := w.Pass(t.Context(), verdict.Job{Name: "a.docx"}, []byte(rtf)); !r.Clean() {
		t.Errorf("%+v", r.Report)
	}
}

// TestWorkersThatAskWrongly are ended: a worker that was taken over asks for anything, and for ever.
func TestWorkersThatAskWrongly(t *testing.T) {
	w := askingWorker(t)
	for name, want := range map[string]Kind{
		"endless": Many, "many": Many, "repeats": Answer, "unknown": Answer, "option": Answer, "renamed": Answer, "twice": Answer, "oversize": Output,
	} {
		r := w.Pass(t.Context(), verdict.Job{Name: name}, []byte("x"))
		if r.Clean() || r.Report.Outcome != verdict.Blocked || len(r.Report.Findings) != 1 || r.Report.Findings[0].Code != string(want) {
			t.Errorf("%s: got %+v, want %s", name, r.Report, want)
		}
	}
}

func TestQuestionsAreBounded(t *testing.T) {
	need := func(body int) verdict.Need {
		n := verdict.Need{Kind: "pdf-read", Body: make([]byte, body)}
		n.ID = n.Name()
		return n
	}
	a := &asking{answers: map[string]bool{}, kinds: map[string]bool{}}
	if err := a.admit([]verdict.Need{need(maxAsked/2 + 1)}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, a.admit([]verdict.Need{need(maxAsked / 2)}), Many)
	if maxCarried != sanitize.MaxIn {
		t.Errorf("a worker reads %d bytes, it is handed %d", sanitize.MaxIn, maxCarried)
	}
}

func TestAnswersAreHeldToTheQuestion(t *testing.T) {
	for _, a := range []verdict.Answer{{ID: "2", Body: []byte("x")}, {ID: "1", Failed: "made.up"}, {Failed: tool.Failed}} {
		if got := tidyAnswer(a, "1"); got.Failed != string(Answer) || got.Body != nil || got.ID != "1" {
			t.Errorf("%+v became %+v", a, got)
		}
	}
	got := tidyAnswer(verdict.Answer{ID: "1", Failed: tool.Failed, Detail: "\x1b]0;\a" + strings.Repeat("x", 900)}, "1")
	if strings.ContainsAny(got.Detail, "\x1b\a") || len([]rune(got.Detail)) > 201 {
		t.Errorf("%q", got.Detail)
	}
}

func TestEveryFailureHasASentence(t *testing.T) {
	for _, code := range []string{tool.Unknown, tool.Absent, tool.Failed, tool.Password, tool.TooLarge, tool.Late, string(Start), string(Time), string(Memory),
		string(Output), string(Crash), string(Answer), string(Many)} {
		for _, lang := range []string{"ja", "en"} {
			if Sentences.Sentence(code, lang) == code {
				t.Errorf("%s has no sentence", code)
			}
		}
	}
}

// TestAHelperThatWasTakenOver: what a program can't do in a helper's sandbox, tried by one that tries.
func TestAHelperThatWasTakenOver(t *testing.T) {
	box, tree := testBox(t), testTree(t)
	secret := filepath.Join(filepath.Dir(probe), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"socket", "dial", "raw-socket", "packet-socket", "netlink", "userns", "clone-userns", "setns", "ptrace", "mount", "chroot", "mknod",
		"bpf", "io-uring", "keyctl", "module", "perf", "userfaultfd", "terminal", "host-file", "write-tree", "fill", "bombs"} {
		t.Run(what, func(t *testing.T) {
			b := small()
			out, err := box.Run(t.Context(), Job{Binary: probe, Tree: tree, Args: []string{what, secret}, Budget: b})
			if bytes.Contains(out, []byte("done")) || err == nil && !bytes.Contains(out, []byte("refused")) {
				t.Errorf("it got away with it: %q, %v", out, err)
			}
			t.Logf("%q %v", out, err)
		})
	}
	out, err := box.Run(t.Context(), Job{Binary: probe, Tree: tree, Args: []string{"processes"}, Budget: small()})
	if err != nil || string(out) != "processes 1\n" {
		t.Errorf("it sees %q, %v", out, err)
	}
	out, err = box.Run(t.Context(), Job{Binary: probe, Tree: tree, Args: []string{"run-qpdf"}, Budget: small()})
	if err != nil || !bytes.Contains(out, []byte("qpdf version")) {
		t.Errorf("a program of the tree: %q, %v", out, err)
	}
	_, err = box.Run(t.Context(), Job{Binary: probe, Tree: "/nonexistent", Args: []string{"who"}, Budget: small()})
	wantKind(t, err, Start)
}

// Answers lie in the memory of whoever holds the sandboxes: when there is no more room, the rest are refused and nothing is run.
func TestAnswersFillNoMoreThanTheirRoom(t *testing.T) {
	w := testWorker(t)
	var needs []verdict.Need
	for i := range 6 {
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 20+i, 20))); err != nil {
			t.Fatal(err)
		}
		n := verdict.Need{Kind: "decode", Options: map[string]string{"format": "png"}, Body: b.Bytes()}
		n.ID = n.Name()
		needs = append(needs, n)
	}
	made, refused := 0, 0
	for _, a := range w.ask(t.Context(), needs, 10) {
		switch {
		case a.Failed == "":
			made++
		case a.Failed == string(Many):
			refused++
		default:
			t.Errorf("got %s %s", a.Failed, a.Detail)
		}
	}
	if made == 0 || made > side || refused != len(needs)-made {
		t.Errorf("%d answers and %d refusals of %d, want at most %d answers", made, refused, len(needs), side)
	}
}
