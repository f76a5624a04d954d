package town

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const netnsDir = "/run/netns"

// In runs f with the calling goroutine inside a named network namespace. Sockets that f opens stay there. What f starts in
// other goroutines does not.
func In(ns string, f func() error) error {
	target, err := os.Open(filepath.Join(netnsDir, ns))
	if err != nil {
		return fmt.Errorf("enter namespace %s: %w", ns, err)
	}
	defer target.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: remember the own one: %w", ns, err)
	}
	defer home.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", ns, err)
	}
	ferr := f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		// The thread stays locked, so it dies with this goroutine and no other code ever runs in the wrong namespace.
		return errors.Join(ferr, fmt.Errorf("leave namespace %s: %w", ns, err))
	}
	runtime.UnlockOSThread()
	return ferr
}

func addNetns(ns string) error {
	if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
		return fmt.Errorf("make namespace %s: %w: %s", ns, err, bytes.TrimSpace(out))
	}
	return In(ns, func() error {
		lo, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput()
		if err != nil {
			return fmt.Errorf("make namespace %s: loopback: %w: %s", ns, err, lo)
		}
		return nil
	})
}

// delNetns takes a namespace's name away; the kernel removes it with its last process and socket.
func delNetns(ns string) error {
	path := filepath.Join(netnsDir, ns)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove namespace %s: %w", ns, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove namespace %s: %w", ns, err)
	}
	return nil
}

// netnsOf lists the town's namespaces that exist, those of portals included.
func netnsOf(n Name) ([]string, error) {
	es, err := os.ReadDir(netnsDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var names []string
	for _, e := range es {
		if strings.HasPrefix(e.Name(), string(n)+"-") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// pidsIn lists the processes whose network namespace is one of the named.
func pidsIn(namespaces []string) ([]int, error) {
	inside := map[uint64]bool{}
	for _, ns := range namespaces {
		if st, err := os.Stat(filepath.Join(netnsDir, ns)); err == nil {
			inside[st.Sys().(*syscall.Stat_t).Ino] = true
		}
	}
	self, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	// A name left over by a crash before its mount is a plain file and could only collide by chance; the own namespace never counts.
	delete(inside, self.Sys().(*syscall.Stat_t).Ino)
	es, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range es {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		st, err := os.Stat(filepath.Join("/proc", e.Name(), "ns/net"))
		if err == nil && inside[st.Sys().(*syscall.Stat_t).Ino] {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
