package packet

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever a rehearsal shares with the programs that guard ports, no program can write: so no packet that is played leaves a
// trace where packets are decided.
func TestRehearsalSharesOnlyWhatNoProgramWrites(t *testing.T) {
	w := newTown(t)
	core := w.open()
	for name, m := range core.shared() {
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		// The zone pairs are frozen instead: see bpf/egress.h.
		if info.Flags&unix.BPF_F_RDONLY_PROG == 0 && name != programsMapZonePairs {
			t.Errorf("programs may write %s", name)
		}
	}
}
