package packet

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// links tells the id of every pinned link and of its program, by the pin's name.
func (w *town) links() (ids map[string]link.ID, programs map[string]ebpf.ProgramID) {
	w.t.Helper()
	ids, programs = map[string]link.ID{}, map[string]ebpf.ProgramID{}
	found, err := filepath.Glob(filepath.Join(w.pins, "*", "links", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, pin := range found {
		l, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		info, err := l.Info()
		l.Close()
		if err != nil {
			w.t.Fatal(err)
		}
		ids[filepath.Base(pin)], programs[filepath.Base(pin)] = info.ID, info.Program
	}
	return ids, programs
}

// Programs of another layout take the links over: no port goes down, none is without a program, and what is allowed goes on.
func TestUpgradeFromAnotherLayout(t *testing.T) {
	w := newTown(t)
	run(t, "ip", "link", "set", "lga0", "mtu", "3000") // a port for long frames
	c := w.open()
	w.up()
	want := townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1})
	swap(t, c, want)
	w.serve("lgasp", "443")
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Fatal("an allowed connection does not pass")
	}
	magic := c.Magic()
	before, running := w.links()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(w.pins, layoutVersion), filepath.Join(w.pins, "v0")); err != nil {
		t.Fatal(err)
	}
	prepared := false
	c, err := Open(context.Background(), Options{
		PinDir: w.pins, Anchors: townAnchors(), Log: slog.New(slog.DiscardHandler), Flows: 4096,
		Prepare: func(c *Core) error {
			prepared = true
			_, now := w.links()
			for name, id := range running { // nothing has moved before the tables stand
				if now[name] != id {
					t.Errorf("link %s runs program %d already, was %d", name, now[name], id)
				}
			}
			s, err := c.Load(want)
			if err != nil {
				return err
			}
			return s.Swap()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if !prepared || c.Magic() != magic {
		t.Errorf("prepared %v, magic %#x, want %#x as before", prepared, c.Magic(), magic)
	}
	for _, s := range c.Status() {
		if !s.Guarded() || !s.Up {
			t.Errorf("port %s after the upgrade: %+v", s.Name, s)
		}
	}
	after, running := w.links()
	for name, id := range before {
		if after[name] != id {
			t.Errorf("link %s is now %d, was %d: it was attached anew, not updated", name, after[name], id)
		}
		port, hook, _ := strings.Cut(name, "-")
		want := map[string]*ebpf.Program{"xdp": c.objects.Classify, "ingress": c.objects.PortIn, "egress": c.objects.PortOut}[hook]
		if port == "lga0" && hook == "xdp" {
			want = c.objects.ClassifyJumbo
		}
		program, err := want.Info()
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := program.ID(); running[name] != id {
			t.Errorf("link %s runs program %d, want %d", name, running[name], id)
		}
	}
	left, err := filepath.Glob(filepath.Join(w.pins, "v0", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pin := range left {
		if !strings.HasPrefix(filepath.Base(pin), "flow") {
			t.Errorf("left behind: %s", pin)
		}
	}
	if !w.passes("mnpc", "198.18.21.11", "443") || w.reaches("mnpc", "198.18.21.11", "80") {
		t.Error("after the upgrade the policy does not hold as before")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Remove(w.pins); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(w.pins, "v*")); err != nil || len(left) > 0 {
		t.Errorf("after Remove: %v, %v", left, err)
	}
}
