// Command probe does one forbidden or greedy thing inside a sandbox, for the tests. It prints "done" when it got away with it.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/sandbox/inside"
)

var hog [][]byte

func main() {
	var err error
	switch os.Args[1] {
	case "echo":
		_, err = io.Copy(os.Stdout, os.Stdin)
		if err == nil {
			return
		}
	case "who":
		names, _ := os.ReadDir("/")
		host, _ := os.Hostname()
		fmt.Printf("uid=%d gid=%d pid=%d env=%s files=%d host=%s\n", os.Getuid(), os.Getgid(), os.Getpid(), strings.Join(os.Environ(), ","), len(names), host)
		for fd := 3; fd < 32; fd++ {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT != 0 {
				fmt.Printf("fd %d mode %o\n", fd, st.Mode&unix.S_IFMT)
			}
		}
		return
	case "sleep":
		time.Sleep(time.Hour)
	case "spin":
		for { // CPU time, not wall time
		}
	case "spin-threads":
		for range 4 {
			go func() {
				for {
				}
			}()
		}
		select {}
	case "hog":
		for {
			b := make([]byte, 8<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hog = append(hog, b)
		}
	case "flood":
		b := make([]byte, 1<<16)
		for {
			if _, err := os.Stdout.Write(b); err != nil {
				os.Exit(3)
			}
		}
	case "crash":
		panic("crashed on purpose \x1b[31m\u202e")
	case "fail":
		fmt.Fprintln(os.Stderr, "evil \x1b]0;title\x07 \u202etxt", strings.Repeat("long ", 4000))
		os.Exit(7)
	case "socket":
		_, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	case "unix-socket":
		_, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	case "dial":
		_, err = net.Dial("tcp", "127.0.0.1:22")
	case "fork":
		_, _, e := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
		err = errOf(e)
	case "clone":
		_, _, e := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		err = errOf(e)
	case "userns":
		err = unix.Unshare(unix.CLONE_NEWUSER)
	case "clone-userns":
		_, _, e := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(unix.CLONE_NEWUSER|unix.CLONE_THREAD|unix.CLONE_VM|unix.CLONE_SIGHAND), 0, 0)
		err = errOf(e)
	case "ptrace":
		err = syscall.PtraceAttach(1)
	case "exec":
		err = syscall.Exec("/bin/sh", []string{"sh", "-c", "echo done"}, nil)
	case "exec-self-sealed":
		if err = inside.Seal(); err != nil {
			break
		}
		err = syscall.Exec("/worker", []string{"worker", "who"}, nil)
	case "memfd":
		_, err = unix.MemfdCreate("x", 0)
	case "write-file":
		err = os.WriteFile("/x", []byte("x"), 0o600)
	case "read-file":
		_, err = os.ReadFile("/worker")
	case "mount":
		err = syscall.Mount("none", "/", "tmpfs", 0, "")
	case "exec-memory":
		_, err = syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	case "kill-parent":
		err = syscall.Kill(os.Getppid(), syscall.SIGKILL)
	case "bpf":
		_, _, e := syscall.RawSyscall(unix.SYS_BPF, 0, 0, 0)
		err = errOf(e)
	case "io-uring":
		_, _, e := syscall.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
		err = errOf(e)
	case "keyctl":
		_, err = unix.KeyctlInt(unix.KEYCTL_GET_KEYRING_ID, unix.KEY_SPEC_SESSION_KEYRING, 0, 0, 0)
	case "raw-socket":
		_, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
	case "packet-socket":
		_, err = syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	case "netlink":
		_, err = syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, 0)
	case "setns":
		_, _, e := syscall.RawSyscall(unix.SYS_SETNS, 0, 0, 0)
		err = errOf(e)
	case "chroot":
		err = syscall.Chroot("/tmp")
	case "mknod":
		err = syscall.Mknod("/tmp/job/sda", syscall.S_IFBLK|0o600, 8<<8)
	case "module":
		_, _, e := syscall.RawSyscall(unix.SYS_FINIT_MODULE, 0, 0, 0)
		err = errOf(e)
	case "perf":
		_, _, e := syscall.RawSyscall(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0)
		err = errOf(e)
	case "userfaultfd":
		_, _, e := syscall.RawSyscall(unix.SYS_USERFAULTFD, 0, 0, 0)
		err = errOf(e)
	case "terminal":
		_, _, e := syscall.RawSyscall(unix.SYS_IOCTL, 0, unix.TIOCSTI, 0)
		err = errOf(e)
	case "host-file":
		for _, path := range []string{"/etc/shadow", "/etc/hostname", "/root", "/home", "/var/tmp", "/run", "/sys", os.Args[2]} {
			if _, err := os.Stat(path); err == nil {
				fmt.Println("done", path)
			}
		}
		err = os.ErrNotExist
	case "write-tree":
		err = os.ErrPermission
		for _, path := range []string{"/x", "/usr/lib/x", "/etc/passwd", "/usr/bin/qpdf", "/worker", "/var/cache/fontconfig/x", "/proc/sys/kernel/core_pattern", "/dev/x/../../etc/x"} {
			if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
				f.Close()
				fmt.Println("done", path)
			}
		}
	case "processes":
		list, _ := os.ReadDir("/proc")
		n := 0
		for _, e := range list {
			if e.Name()[0] >= '0' && e.Name()[0] <= '9' {
				n++
			}
		}
		fmt.Println("processes", n)
		return
	case "run-qpdf":
		out, err := exec.Command("/usr/bin/qpdf", "--version").CombinedOutput()
		fmt.Printf("%s %v\n", out, err)
		return
	case "fill":
		var f *os.File
		if f, err = os.Create("/tmp/job/x"); err == nil {
			b := make([]byte, 1<<20)
			for err == nil {
				_, err = f.Write(b)
			}
		}
	case "bombs":
		for range 1000 {
			if err = exec.Command("/worker", "sleep").Start(); err != nil {
				break
			}
		}
	case "many-threads":
		for range 1000 {
			go func() { runtime.LockOSThread(); select {} }()
		}
		time.Sleep(time.Second)
	}
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println("done")
}

func errOf(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
