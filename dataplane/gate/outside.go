package gate

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/place"
)

// Outside makes the process run again in the mount namespace of process 1 when its own is another and no bpffs is mounted
// for the instance: what `ip netns exec` gives a program is a mount namespace that ends with it, and the pins would end too.
// It returns when nothing needs to change. Call it first thing in main.
func Outside(instance place.Instance) error {
	if isBPF(instance.BPF()) {
		return nil
	}
	own, err1 := os.Readlink("/proc/self/ns/mnt")
	first, err2 := os.Readlink("/proc/1/ns/mnt")
	if err1 != nil || err2 != nil || own == first {
		return nil // here is outside already, or /proc does not show process 1 and there is none to go to
	}
	ns, err := os.Open("/proc/1/ns/mnt")
	if err != nil {
		return fmt.Errorf("leave the mount namespace: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("leave the mount namespace: %w", err)
	}
	runtime.LockOSThread() // until exec replaces the process, or the caller ends
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leave the mount namespace: %w", err)
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("leave the mount namespace: %w", err)
	}
	if err := unix.Exec(exe, os.Args, os.Environ()); err != nil {
		return fmt.Errorf("run %s again outside the mount namespace: %w", exe, err)
	}
	return nil
}
