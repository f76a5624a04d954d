package gate

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/backstop"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// isolating is a gate that can do no more than cut zones off, in a namespace of its own.
func isolating(t *testing.T) *Gate {
	t.Helper()
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
	t.Cleanup(func() {
		if err := errors.Join(core.Close(), packet.Remove(pins), unmountBPF(pins), backstop.Remove()); err != nil {
			t.Error(err)
		}
	})
	return &Gate{core: core, anchors: a, log: slog.New(slog.DiscardHandler), backstop: backstop.Options{Anchors: a, Magic: core.Magic(), Tunnel: 1}}
}

// A generation may take seconds to be proven and installed; a zone is cut off meanwhile.
func TestCuttingOffWaitsForNoGeneration(t *testing.T) {
	g := isolating(t)
	var waited atomic.Bool
	g.mu.Lock() // a generation is under way
	late := time.AfterFunc(10*time.Second, func() {
		waited.Store(true)
		g.mu.Unlock()
	})
	err := g.cutOff([]anchors.Zone{anchors.LGWAN})
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

// What failed is done when the same is asked again, as it is every second: rules, and queues that hold what was let in before.
func TestCuttingOffIsTriedAgain(t *testing.T) {
	g := isolating(t)
	cut := func(harm string) {
		t.Helper()
		if err := g.cutOff([]anchors.Zone{anchors.LGWAN}); (err == nil) != (harm == "") || err != nil && !strings.Contains(err.Error(), harm) {
			t.Errorf("cut off: %v, want an error about %q", err, harm)
		}
	}
	if err := g.cutOff(nil); err != nil {
		t.Fatal(err)
	}
	nft := exec.Command("nft", "-i") // another program owns the table
	in, err := nft.StdinPipe()
	if err == nil {
		err = nft.Start()
	}
	if err == nil {
		_, err = io.WriteString(in, "delete table inet sekisho; add table inet sekisho { flags owner; }\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	for out := []byte(nil); !bytes.Contains(out, []byte("owner")); out, _ = exec.Command("nft", "list", "ruleset").Output() {
		time.Sleep(10 * time.Millisecond)
	}
	g.shaped = []bandwidth.Tree{{Device: "lo", Classes: []bandwidth.Class{{Name: "bulk"}}}, {Device: "gone"}} // lo has no queue to empty
	cut("backstop")
	cut("backstop")
	if err := errors.Join(in.Close(), nft.Wait()); err != nil {
		t.Fatal(err)
	}
	cut("empty the queues of lo")
	cut("empty the queues of lo")
	if found, err := backstop.Look(); err != nil || found != g.print || found == (backstop.Print{}) {
		t.Errorf("the backstop's print %x, %v; the gate knows %x", found, err, g.print)
	}
	g.shaped = nil
	cut("")
	g.shaped = []bandwidth.Tree{{Device: "lo", Classes: []bandwidth.Class{{Name: "bulk"}}}}
	cut("") // nothing that was let in before waits there any more
}

// Nor does a check wait for a generation, or anything for a check.
func TestACheckWaitsForNoGeneration(t *testing.T) {
	g := isolating(t)
	g.stand.Core = g.core
	var waited atomic.Bool
	g.mu.Lock()
	late := time.AfterFunc(10*time.Second, func() {
		waited.Store(true)
		g.mu.Unlock()
	})
	err := g.Check(Generation{Revision: "next"})
	if late.Stop() {
		g.mu.Unlock()
	}
	if waited.Load() {
		t.Errorf("it waited for the generation; %v", err)
	}
}
