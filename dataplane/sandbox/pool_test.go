package sandbox

import (
	"fmt"
	"path/filepath"
	"sync"
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
