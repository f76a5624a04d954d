package gate

import (
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/backstop"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// A generation may take seconds to be proven and installed; a zone is cut off meanwhile.
func TestCuttingOffWaitsForNoGeneration(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test's goroutine, and the namespace with it
	if _, err := netns.New(); err != nil {
		t.Fatalf("%v: this test makes a network namespace and loads BPF programs: run it as root", err)
	}
	pins := filepath.Join(t.TempDir(), "bpf")
	if err := mountBPF(pins); err != nil {
		t.Fatal(err)
	}
	a := &anchors.Anchors{Version: 1, Name: "busy", Segments: []anchors.Segment{{ID: "lg", Zone: anchors.LGWAN, Attach: anchors.AttachPort, Port: "lg0",
		Prefixes: []netip.Prefix{netip.MustParsePrefix("198.18.20.0/24")}, Gate: []netip.Addr{netip.MustParseAddr("198.18.20.1")}}}}
	core, err := packet.Open(t.Context(), packet.Options{PinDir: pins, Anchors: a, Log: slog.New(slog.DiscardHandler), Flows: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(core.Close(), packet.Remove(pins), unmountBPF(pins), backstop.Remove()); err != nil {
			t.Error(err)
		}
	}()
	g := &Gate{core: core, anchors: a, log: slog.New(slog.DiscardHandler), backstop: backstop.Options{Anchors: a, Magic: core.Magic(), Tunnel: 1}}
	var waited atomic.Bool
	g.mu.Lock() // a generation is under way
	late := time.AfterFunc(10*time.Second, func() {
		waited.Store(true)
		g.mu.Unlock()
	})
	err = g.cutOff([]anchors.Zone{anchors.LGWAN})
	if late.Stop() {
		g.mu.Unlock()
	}
	if err != nil || waited.Load() {
		t.Errorf("cut off: %v; it waited for the generation: %v", err, waited.Load())
	}
	if found, err := backstop.Look(); err != nil || found != g.print || found == (backstop.Print{}) {
		t.Errorf("the backstop's print %x, %v; the gate knows %x", found, err, g.print)
	}
}
