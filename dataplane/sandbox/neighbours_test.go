package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSandboxesTakeWhatIsLeft: all that runs in a sandbox is in a group whose tasks run when nobody else wants to, and only root can
// change that. What it is worth is measured by `make bench` (sanitize.neighbour_loss).
func TestSandboxesTakeWhatIsLeft(t *testing.T) {
	box := testBox(t)
	dir := box.Group.memory
	if box.Group.version == 1 {
		dir = box.Group.cpu
	}
	knob := filepath.Join(dir, "cpu.idle")
	b, err := os.ReadFile(knob)
	if err != nil || strings.TrimSpace(string(b)) != "1" {
		t.Errorf("%s: %q %v", knob, b, err)
	}
	if info, err := os.Stat(knob); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm()&0o022 != 0 {
		t.Errorf("the broker could change it: %v %v", info, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := box.Run(ctx, Job{Binary: probe, Args: []string{"spin-threads"}, Budget: small()})
		ended <- err
	}()
	in := func(pattern string) map[string]bool {
		all := map[string]bool{}
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			b, _ := os.ReadFile(f) // a cell may be gone
			for _, pid := range strings.Fields(string(b)) {
				all[pid] = true
			}
		}
		return all
	}
	seen := 0
	for end := time.Now().Add(10 * time.Second); seen == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		yields := in(filepath.Join(dir, "cgroup.procs"))
		if box.Group.version == 2 {
			yields = in(filepath.Join(dir, "cell-*", "cgroup.procs"))
		}
		for pid := range in(filepath.Join(box.Group.memory, "cell-*", "cgroup.procs")) {
			seen++
			if !yields[pid] && len(yields) > 0 {
				t.Errorf("process %s of a sandbox takes its share", pid)
			}
			if len(yields) == 0 {
				seen = 0 // on its way from one to the other
			}
		}
	}
	if seen == 0 {
		t.Error("no process of the sandbox yields")
	}
	cancel()
	wantKind(t, <-ended, Time)
}
