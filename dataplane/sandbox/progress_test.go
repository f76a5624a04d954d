package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestStagesAreTold: in their order, and how many parts are done.
func TestStagesAreTold(t *testing.T) {
	w := askingWorker(t)
	var mu sync.Mutex
	var got []verdict.Stage
	ctx := Watch(t.Context(), func(s verdict.Stage) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, s)
	})
	if r := w.Pass(ctx, verdict.Job{Name: "a.docx"}, []byte(rtf)); !r.Clean() {
		t.Fatalf("%+v", r.Report)
	}
	want := []verdict.Stage{{Name: verdict.Reading}, {Name: verdict.Helping, Of: 1}, {Name: verdict.Helping, Done: 1, Of: 1}, {Name: verdict.Reading}, {Name: verdict.Verifying}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestWhoGivesUpEndsTheSandbox: at once, with every process in it.
func TestWhoGivesUpEndsTheSandbox(t *testing.T) {
	w := askingWorker(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan Result, 1)
	go func() { ended <- w.Pass(ctx, verdict.Job{Name: "slow"}, []byte("x")) }()
	signal(t, w, 0, "") // it is at work
	cancel()
	select {
	case r := <-ended:
		if r.Clean() || r.Bytes != nil {
			t.Errorf("%+v", r)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	lists, _ := filepath.Glob(filepath.Join(w.Box.Group.memory, "cell-*", "cgroup.procs"))
	for _, list := range lists {
		if b, _ := os.ReadFile(list); strings.TrimSpace(string(b)) != "" {
			t.Errorf("left: %s", b)
		}
	}
}

// TestTimeGrowsWithTheFile: fixed limits break large honest files, and what waits for one waits longer than what it waits for.
func TestTimeGrowsWithTheFile(t *testing.T) {
	const large = 256 << 20
	for _, kind := range []string{"convert", "pdf-read", "decode", "render"} {
		if small, big := Helping(kind, 1<<20), Helping(kind, large); big.Time < 20*small.Time/2 || big.CPU <= small.CPU {
			t.Errorf("%s: %s for 1 MiB, %s for %d MiB", kind, small.Time, big.Time, large>>20)
		}
	}
	for _, size := range []int64{0, 1 << 20, large} {
		all := 2*Scaled(size, 0).Time + Helping("convert", size).Time
		if got := rebuilding(size); got <= all {
			t.Errorf("%d bytes: %s for all rounds, one of each takes %s", size, got, all)
		}
		if got := Longest(size, size); got < rebuilding(size)+Scaled(size, 0).Time {
			t.Errorf("%d bytes: %s, less than it may take", size, got)
		}
	}
}

// TestATimeOutIsABlockThatSaysWhatToDo: of the worker's call as of all calls together.
func TestATimeOutIsABlockThatSaysWhatToDo(t *testing.T) {
	w := askingWorker(t)
	w.Limit = func(size, output int64) Budget {
		b := Scaled(size, output)
		b.Time = 500 * time.Millisecond
		return b
	}
	r := w.Pass(t.Context(), verdict.Job{Name: "slow"}, []byte("x"))
	if r.Clean() || r.Report.Outcome != verdict.Blocked || r.Report.Findings[0].Code != string(Time) {
		t.Fatalf("%+v", r.Report)
	}
	for lang, want := range map[string]string{"ja": "分割", "en": "Split"} {
		if s := Sentences.Sentence(string(Time), lang); !strings.Contains(s, want) {
			t.Errorf("%s: %q does not say what to do", lang, s)
		}
	}
}
