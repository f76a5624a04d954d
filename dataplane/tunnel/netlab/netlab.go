// Package netlab gives tests namespaces that cannot leak.
//
// Problem: a test that makes network namespaces and long-lived processes leaves them behind when it is killed. Mechanism:
// Main runs the whole test binary again as process 1 of new PID, mount and network namespaces; everything that the test makes
// (named namespaces under a private /run/netns, mounts, processes) ends with that one process. Life cycle: Main in TestMain,
// then New, Veth and Run in tests. Invariant: nothing in the host's namespaces is changed.
package netlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const inside = "SEKISHO_NETLAB"

// The process's first thread stands for the process (/proc/1/ns/net): it is the main goroutine's alone, so that no test's
// goroutine takes it into another namespace and leaves it there. Only an init is sure to run on it.
func init() { runtime.LockOSThread() }

// Main replaces m.Run in TestMain. The tests run in a network namespace of their own, as root, with loopback up.
func Main(m *testing.M) int {
	if os.Getenv(inside) == "" {
		return again()
	}
	os.Unsetenv(inside)
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "netlab:", err)
		return 1
	}
	return m.Run()
}

func again() int {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "netlab: these tests make network namespaces and need root")
		return 1
	}
	runtime.LockOSThread() // the child dies with this thread
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Pdeathsig:  unix.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "netlab: run the tests in namespaces:", err)
		return 1
	}
	return 0
}

func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// The network namespace's own /sys: the host's shows the host's devices.
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run/netns", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount /run/netns: %w", err)
	}
	return command("ip", "link", "set", "lo", "up")
}

// New makes a network namespace with loopback up; it is removed when the test ends.
func New(t testing.TB, name string) string {
	t.Helper()
	Run(t, "", "ip", "netns", "add", name)
	t.Cleanup(func() { Run(t, "", "ip", "netns", "del", name) })
	Run(t, name, "ip", "link", "set", "lo", "up")
	return name
}

// Veth joins two namespaces ("" is the test's own); both ends are up, without offloads, removed when the test ends.
func Veth(t testing.TB, ns1, dev1, ns2, dev2 string) {
	t.Helper()
	Run(t, ns1, "ip", "link", "add", dev1, "type", "veth", "peer", "name", "nl-tmp")
	if ns2 != "" {
		Run(t, ns1, "ip", "link", "set", "nl-tmp", "netns", ns2, "name", dev2)
	} else {
		Run(t, ns1, "ip", "link", "set", "nl-tmp", "netns", "1", "name", dev2)
	}
	for _, e := range [][2]string{{ns1, dev1}, {ns2, dev2}} {
		Run(t, e[0], "ethtool", "-K", e[1], "tx", "off", "tso", "off", "gso", "off", "gro", "off")
		Run(t, e[0], "ip", "link", "set", e[1], "up")
	}
	t.Cleanup(func() {
		if ns1 == "" {
			_ = command("ip", "link", "del", dev1)
		}
	})
}

// Run runs a command in the namespace and returns what it printed; the test ends when it fails.
func Run(t testing.TB, ns, name string, args ...string) string {
	t.Helper()
	out, err := Try(ns, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try is Run with the error returned.
func Try(ns, name string, args ...string) (string, error) {
	argv := In(ns, name, args...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s (in %q): %w: %s%s", strings.Join(argv, " "), ns, err, errs.String(), out)
	}
	return string(out), nil
}

// In is the argument vector that runs a command in a namespace.
func In(ns, name string, args ...string) []string {
	argv := append([]string{name}, args...)
	if ns != "" {
		argv = append([]string{"ip", "netns", "exec", ns}, argv...)
	}
	return argv
}

// Start starts a command in the namespace; it is killed when the test ends.
func Start(t testing.TB, ns, name string, args ...string) *exec.Cmd {
	t.Helper()
	argv := In(ns, name, args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", strings.Join(argv, " "), err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// Do runs f on a thread in the namespace. Goroutines that f starts are not in it, sockets that it opens are.
func Do(t testing.TB, ns string, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		h, err := netns.GetFromName(ns)
		if err == nil {
			err = netns.Set(h)
			h.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("in namespace %s: %v", ns, err)
	}
}

// Until waits for cond, looking every 20 ms, and fails the test when it does not come true in time.
func Until(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
