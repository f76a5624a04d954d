// Guest is the first process of the virtual machine that hack/test-qemu boots.
//
// Problem: some of what Sekisho does shows only on the kernel of its appliance, Debian 13's: VLAN devices, kernel WireGuard,
// another verifier. Mechanism: the machine boots that kernel with this program alone; it loads the modules that it was given,
// takes the building machine's file system, read-only, as its root, and runs the test programs that were built there. Life
// cycle: it powers the machine off when all have ended. Invariant: the last line on the console is the verdict, so a machine
// that hangs or panics can never look like one that passed.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Verdict begins the last line on the console; after it "ok", or what failed.
const verdict = "guest verdict: "

// Files of the initial file system, made by hack/test-qemu.
const (
	moduleDir = "/modules"
	order     = "/modules/order" // names, one a line, what others need first
	plan      = "/plan"          // one command a line: DIRECTORY PROGRAM ARGUMENT...
	checkout  = "/checkout"      // where the checkout lies on the building machine
	root      = "/root"
)

func main() {
	err := run()
	if err != nil {
		fmt.Println(verdict + strings.ReplaceAll(err.Error(), "\n", "; "))
	} else {
		fmt.Println(verdict + "ok")
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("power off:", err)
	}
	select {}
}

func run() error {
	if os.Getpid() != 1 {
		return errors.New("this is the first process of a virtual machine and runs nowhere else")
	}
	if err := mount("devtmpfs", "/dev", "devtmpfs", ""); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	commands, err := os.ReadFile(plan)
	if err != nil {
		return err
	}
	place, err := os.ReadFile(checkout)
	if err != nil {
		return err
	}
	if err := enterRoot(strings.TrimSpace(string(place))); err != nil {
		return err
	}
	var failed []string
	for line := range strings.Lines(string(commands)) {
		if f := strings.Fields(line); len(f) > 1 {
			if err := test(f[0], f[1:]); err != nil {
				failed = append(failed, fmt.Sprintf("%s: %v", filepath.Base(f[1]), err))
			}
		}
	}
	if failed != nil {
		return errors.New(strings.Join(failed, "; "))
	}
	return nil
}

func mount(source, target, kind, options string) error {
	if err := os.MkdirAll(target, 0o755); err != nil && !errors.Is(err, os.ErrExist) && !errors.Is(err, unix.EROFS) {
		return err
	}
	if err := unix.Mount(source, target, kind, 0, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, target, err)
	}
	return nil
}

func loadModules() error {
	list, err := os.ReadFile(order)
	if err != nil {
		return err
	}
	const compressed = 4 // MODULE_INIT_COMPRESSED_FILE of linux/module.h
	for _, name := range strings.Fields(string(list)) {
		f, err := os.Open(filepath.Join(moduleDir, name))
		if err != nil {
			return err
		}
		flags := 0
		if strings.HasSuffix(name, ".xz") {
			flags = compressed
		}
		err = unix.FinitModule(int(f.Fd()), "", flags)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load module %s: %w", name, err)
		}
	}
	return nil
}

// How the building machine's file system is shared.
const share = "trans=virtio,version=9p2000.L,ro,msize=1048576,cache=loose"

// enterRoot makes the building machine's file system the root, with fresh memory where programs write and the checkout where
// it lies there, also when that is in memory's place.
func enterRoot(checkout string) error {
	if err := mount("host", root, "9p", share); err != nil {
		return err
	}
	for _, m := range []struct{ source, target, kind string }{
		{"devtmpfs", "/dev", "devtmpfs"}, {"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"bpf", "/sys/fs/bpf", "bpf"},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2"}, {"tracefs", "/sys/kernel/tracing", "tracefs"}, {"tmpfs", "/tmp", "tmpfs"}, {"tmpfs", "/run", "tmpfs"}, {"tmpfs", "/var/tmp", "tmpfs"},
	} {
		if err := unix.Mount(m.source, root+m.target, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.target, err)
		}
	}
	if err := mount("checkout", root+checkout, "9p", share); err != nil {
		return err
	}
	if err := unix.Chroot(root); err != nil {
		return fmt.Errorf("enter the file system of the building machine: %w", err)
	}
	for name, value := range map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "SEKISHO_GUEST": "1",
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return exec.Command("ip", "link", "set", "lo", "up").Run()
}

func test(dir string, command []string) error {
	fmt.Printf("guest runs %s in %s\n", strings.Join(command, " "), filepath.Base(dir))
	begin := time.Now()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stdout
	err := cmd.Run()
	fmt.Printf("guest ran %s in %.0f s: %v\n", filepath.Base(command[0]), time.Since(begin).Seconds(), err)
	return err
}
