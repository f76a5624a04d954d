package tunnel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// attachTUN opens the TUN device, made if it is missing. Persistent: it outlives every descriptor, so that a dead engine
// leaves a device into which packets vanish, not a hole through which the default route takes them. Owner root: nobody else
// can attach by name, the engine gets the descriptor. Neither IFF_VNET_HDR nor a second queue: with offloads the kernel would
// hand over super-packets, which spoil the accounting of what each packet costs on the line.
func attachTUN(name string, persistent bool) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("attach to TUN %s: open /dev/net/tun: %w", name, err)
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err == nil && persistent {
		err = errors.Join(unix.IoctlSetInt(fd, unix.TUNSETOWNER, 0), unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("attach to TUN %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), "tun:"+name), nil
}

// takeTUN attaches, after ending a stale engine that still holds the device.
func takeTUN(name string, engineUID uint32) (*os.File, error) {
	f, err := attachTUN(name, true)
	if !errors.Is(err, unix.EBUSY) {
		return f, err
	}
	if err := endHolders(name, engineUID); err != nil {
		return nil, err
	}
	for range 100 { // the kernel detaches when the last descriptor is gone, shortly after the process
		if f, err = attachTUN(name, true); !errors.Is(err, unix.EBUSY) {
			return f, err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, err
}

// endHolders kills the processes of the engine's user in this network namespace that hold the TUN device. Found by what the
// kernel says of their descriptors, so that no recorded process number can point at a stranger.
func endHolders(name string, engineUID uint32) error {
	own, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("find the holder of TUN %s: %w", name, err)
	}
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("find the holder of TUN %s: %w", name, err)
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		pidfd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // gone
		}
		ns, err := os.Stat(filepath.Join("/proc", p.Name(), "ns/net"))
		if err == nil && os.SameFile(ns, own) && uidOf(pid) == engineUID && holdsTUN(pid, name) {
			err = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
			if err != nil && !errors.Is(err, unix.ESRCH) {
				unix.Close(pidfd)
				return fmt.Errorf("end the stale engine of %s (process %d): %w", name, pid, err)
			}
		}
		unix.Close(pidfd)
	}
	return nil
}

// uidOf reads the user from status: the owner of the files under /proc is root for an undumpable process.
func uidOf(pid int) uint32 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nobodyAtAll
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Uid:" {
			if n, err := strconv.ParseUint(f[2], 10, 32); err == nil {
				return uint32(n)
			}
		}
	}
	return nobodyAtAll
}

const nobodyAtAll = ^uint32(0)

func holdsTUN(pid int, name string) bool {
	dir := fmt.Sprintf("/proc/%d/fdinfo", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		b, err := os.ReadFile(filepath.Join(dir, fd.Name()))
		if err == nil && strings.Contains(string(b), "iff:\t"+name+"\n") {
			return true
		}
	}
	return false
}
