package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sekisho/sekisho/dataplane/place"
)

// TestStartAfterReboot: /run is empty then. Each daemon's prepare makes what it needs, and the gate serves as before.
func TestStartAfterReboot(t *testing.T) {
	g := newGate(t)
	for _, d := range []string{"control", "broker", "release"} {
		if err := g.stop(d, syscall.SIGTERM); err != nil {
			t.Errorf("%s: %v", d, err)
		}
	}
	if err := os.RemoveAll(g.i.Run()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once more changes nothing
		for _, d := range []string{"control", "broker", "release"} {
			if out, err := exec.Command(filepath.Join(g.bin, "sekisho-"+d), "prepare", "--name", string(g.i)).CombinedOutput(); err != nil {
				t.Fatalf("sekisho-%s prepare: %v\n%s", d, err, out)
			}
		}
	}
	uid := credential(t, place.ControlUser).Uid
	for path, mode := range map[string]os.FileMode{filepath.Dir(g.i.AdminSocket()): 0o711, g.i.StateOf("control"): 0o700} {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st.Sys().(*syscall.Stat_t).Uid != uid || st.Mode().Perm() != mode {
			t.Errorf("%s: %s, owner %d", path, st.Mode(), st.Sys().(*syscall.Stat_t).Uid)
		}
	}
	g.start("control")
	g.sekisho("history", "--name", string(g.i))
}
