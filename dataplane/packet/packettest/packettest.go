// Package packettest opens a packet core for tests that play packets to its programs and guard no device.
package packettest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Open loads the programs for anchors, in a network namespace in which nothing is plugged in, until the test ends. The test's
// thread stays there for good and ends with the test.
func Open(t *testing.T, a *anchors.Anchors) *packet.Core {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and loads BPF programs: run it as root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	pins := filepath.Join(t.TempDir(), "bpf")
	if err := errors.Join(os.Mkdir(pins, 0o700), unix.Mount("bpf", pins, "bpf", 0, "")); err != nil {
		t.Fatal(err)
	}
	core, err := packet.Open(context.Background(), packet.Options{PinDir: pins, Anchors: a, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(core.Close(), packet.Remove(pins), unix.Unmount(pins, unix.MNT_DETACH)); err != nil {
			t.Error(err)
		}
	})
	return core
}
