package packet

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
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

// The answer to a packet does not hang on those that were played before: first pieces of fragments and claims on quotas go with
// the flows.
func TestARehearsalForgets(t *testing.T) {
	w := newTown(t)
	r, err := w.open().Rehearse()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, m := range []*ebpf.Map{r.objects.Fragments, r.objects.SegmentPairs} {
		for i := range byte(3) {
			key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
			key[0] = i
			if err := m.Put(key, value); err != nil {
				t.Fatal(m, err)
			}
		}
		if err := r.forget(); err != nil {
			t.Fatal(err)
		}
		var left []byte
		if err := m.NextKey(nil, &left); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("%s holds %x (%v)", m, left, err)
		}
	}
}
