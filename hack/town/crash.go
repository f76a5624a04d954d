package town

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Killed is a process that Kill ended.
type Killed struct {
	PID     int
	Command string // program and subcommand
}

// gateNamespaces are those in which only the gate's daemons run.
func (n Name) gateNamespaces() ([]string, error) {
	all, err := netnsOf(n)
	return slices.DeleteFunc(all, func(ns string) bool {
		return ns != n.Netns(Gate) && !strings.HasPrefix(ns, string(n)+"-portal-")
	}), err
}

// GateProcesses lists what runs in the gate's and its portals' namespaces.
func (n Name) GateProcesses() ([]Killed, error) {
	namespaces, err := n.gateNamespaces()
	if err != nil {
		return nil, err
	}
	pids, err := pidsIn(namespaces)
	if err != nil {
		return nil, err
	}
	var ps []Killed
	for _, pid := range pids {
		if !alive(pid) {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err != nil {
			continue // ended meanwhile
		}
		words := strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
		command := filepath.Base(words[0])
		if len(words) > 1 && !strings.HasPrefix(words[1], "-") {
			command += " " + words[1]
		}
		ps = append(ps, Killed{pid, command})
	}
	return ps, nil
}

// KillGate ends every process of the gate with SIGKILL, all within a few milliseconds, and waits until none is left.
func (t *Town) KillGate(ctx context.Context) ([]Killed, error) {
	ps, err := t.Name.GateProcesses()
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return ps, fmt.Errorf("kill -9 %s (%d): %w", p.Command, p.PID, err)
		}
	}
	return ps, t.Poll(ctx, 5*time.Second, "the killed daemons to end", func(context.Context) error {
		left, err := t.Name.GateProcesses()
		if err == nil && len(left) > 0 {
			// A child that its parent started between the look and the kill.
			for _, p := range left {
				_ = syscall.Kill(p.PID, syscall.SIGKILL) // looked at again in the next round
			}
			err = fmt.Errorf("%d are left: %v", len(left), left)
		}
		return err
	})
}

// RestartGate starts every daemon of the gate again, as a service manager would, and waits until each is ready.
func (t *Town) RestartGate(ctx context.Context) error {
	for _, name := range Daemons() {
		if err := t.Start(ctx, t.daemon(name)); err != nil {
			return err
		}
	}
	return nil
}
