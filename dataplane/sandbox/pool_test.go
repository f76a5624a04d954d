package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestPooledSandboxesAreUsedOnce: each document meets a LibreOffice that has seen no other, and nothing is left at the end.
func TestPooledSandboxesAreUsedOnce(t *testing.T) {
	w := askingWorker(t)
	w.Pool = 1
	w.Warm()
	seen := map[*standby]bool{}
	for i := range 3 {
		w.pool.mu.Lock()
		if len(w.pool.waiting) != 1 || seen[w.pool.waiting[0]] {
			t.Errorf("before document %d: %d wait, used before: %v", i, len(w.pool.waiting), seen)
		}
		seen[w.pool.waiting[0]] = true
		w.pool.mu.Unlock()
		if r := w.Pass(t.Context(), verdict.Job{Name: "a.docx"}, []byte(rtf)); !r.Clean() {
			t.Fatalf("%+v", r.Report)
		}
	}
	w.Close()
	for _, dir := range w.Box.Group.dirs() {
		if left, _ := filepath.Glob(filepath.Join(dir, "cell-*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if r := w.Pass(t.Context(), verdict.Job{Name: "a.docx"}, []byte(rtf)); !r.Clean() || len(w.pool.waiting) != 0 {
		t.Errorf("after the end: %+v, %d wait", r.Report, len(w.pool.waiting))
	}
}

// TestASandboxThatDiedWhileItWaitedIsReplaced: a document never meets it.
func TestASandboxThatDiedWhileItWaitedIsReplaced(t *testing.T) {
	w := askingWorker(t)
	w.Pool = 1
	w.Warm()
	defer w.Close()
	dead := w.pool.waiting[0]
	dead.end()
	<-dead.over
	if r := w.Pass(t.Context(), verdict.Job{Name: "a.docx"}, []byte(rtf)); !r.Clean() {
		t.Errorf("%+v", r.Report)
	}
}

// TestADocumentOutlivesTheSandboxThatItWasGivenTo: one that dies with the document in its hands, or whose LibreOffice died while it
// waited, blocks nothing.
func TestADocumentOutlivesTheSandboxThatItWasGivenTo(t *testing.T) {
	w := askingWorker(t)
	w.Pool = 1
	w.Warm()
	defer w.Close()
	standing := w.pool.waiting[0]
	signal(t, w, syscall.SIGSTOP, "") // so that it cannot answer
	passed := make(chan Result, 1)
	go func() { passed <- w.Pass(t.Context(), verdict.Job{Name: "a.docx"}, []byte(rtf)) }()
	for taken := false; !taken; runtime.Gosched() {
		w.pool.mu.Lock()
		taken = !slices.Contains(w.pool.waiting, standing)
		w.pool.mu.Unlock()
	}
	standing.end()
	if r := <-passed; !r.Clean() {
		t.Errorf("the sandbox died: %+v", r.Report)
	}
	signal(t, w, syscall.SIGKILL, "soffice.bin")
	if r := w.Pass(t.Context(), verdict.Job{Name: "locked.docx"}, []byte(rtf)); !r.Clean() {
		t.Errorf("LibreOffice died: %+v", r.Report)
	}
}

// signal sends a signal to the processes of the sandboxes, of that name where one is given, as soon as there is one.
func signal(t *testing.T, w *Worker, sig syscall.Signal, name string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); runtime.Gosched() {
		lists, _ := filepath.Glob(filepath.Join(w.Box.Group.memory, "cell-*", "cgroup.procs"))
		sent := false
		for _, list := range lists {
			b, _ := os.ReadFile(list) // it may be gone
			for _, pid := range strings.Fields(string(b)) {
				n, err := strconv.Atoi(pid)
				if comm, _ := os.ReadFile("/proc/" + pid + "/comm"); err == nil && (name == "" || strings.TrimSpace(string(comm)) == name) {
					sent = syscall.Kill(n, sig) == nil || sent
				}
			}
		}
		if sent {
			return
		}
	}
	t.Fatalf("no process %q in any sandbox", name)
}

// TestManyDocumentsShareThePool: more at a time than there are places.
func TestManyDocumentsShareThePool(t *testing.T) {
	w := askingWorker(t)
	w.Pool = 2
	w.Warm()
	defer w.Close()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			began := time.Now()
			text := fmt.Sprintf(`{\rtf1\ansi document %d\par}`, i)
			if r := w.Pass(t.Context(), verdict.Job{Name: "a.docx"}, []byte(text)); !r.Clean() {
				t.Errorf("%d: %+v", i, r.Report)
			}
			t.Logf("%d: %s", i, time.Since(began))
		})
	}
	all.Wait()
}
