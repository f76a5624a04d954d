package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Version 2 has processes in leaves only, and what a group is bound to holds for all below it. So what belongs to a gate has a leaf for
// the daemon, which runs as any other, and beside it the group of all cells, which is bounded and yields.
const (
	daemonLeaf  = "daemon"
	cellsGroup  = "cells"
	scannerLeaf = "clamd"
)

// beside is a name beside the group of all cells.
func (g *Group) beside(name string) string { return filepath.Join(filepath.Dir(g.memory), name) }

// ownGroup divides the group that this process was started in, and answers the group of all cells.
func ownGroup(mount string) (cells string, err error) {
	path, err := ownPath()
	if err != nil {
		return "", err
	}
	return divide(filepath.Join(mount, path), os.Getpid(), os.Mkdir)
}

// ownPath is where this process is in the hierarchy of version 2.
func ownPath() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("own control group: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path, nil
		}
	}
	return "", errors.New("own control group: none in /proc/self/cgroup")
}

// divide makes of a delegated group the daemon's leaf and the group of all cells. One that root has divided, or this daemon when it was
// started before, stays as it is.
func divide(dir string, pid int, mkdir func(string, fs.FileMode) error) (cells string, err error) {
	sub := func(name string) (string, error) {
		path := filepath.Join(dir, name)
		if err := mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("own control group: not delegated (systemd: Delegate=cpu memory pids): %w", err)
		}
		return path, nil
	}
	if filepath.Base(dir) == daemonLeaf {
		dir = filepath.Dir(dir)
	} else {
		leaf, err := sub(daemonLeaf)
		if err != nil {
			return "", err
		}
		if err := write(leaf, "cgroup.procs", strconv.Itoa(pid)); err != nil { // before the controllers: a group that hands them down has no process
			return "", err
		}
		if err := handDown(dir); err != nil {
			return "", err
		}
	}
	if cells, err = sub(cellsGroup); err != nil {
		return "", err
	}
	if err := write(cells, "cgroup.subtree_control", "+memory +pids"); err != nil {
		return "", err
	}
	if err := idle(cells); err != nil && !errors.Is(err, fs.ErrPermission) { // root's to say, where root made it
		return "", err
	}
	return cells, nil
}

// handDown gives a group's children the controllers. Where there is none for processors, the unit's CPUWeight is all there is.
func handDown(dir string) error {
	if err := write(dir, "cgroup.subtree_control", "+memory +pids"); err != nil {
		return err
	}
	if err := write(dir, "cgroup.subtree_control", "+cpu"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		b, rerr := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if rerr != nil || hasWord(string(b), "cpu") {
			return err
		}
	}
	return nil
}

func hasWord(line, word string) bool {
	for w := range strings.FieldsSeq(line) {
		if w == word {
			return true
		}
	}
	return false
}

// Bound bounds what all cells take together to total bytes, unless root has bounded them. The broker calls it: a group that a service
// manager delegated has no bound but the unit's, which holds the broker, too.
func (g *Group) Bound(total int64) error {
	if g.version == 1 {
		return nil // root did, in Delegate
	}
	b, err := os.ReadFile(filepath.Join(g.memory, "memory.max"))
	if err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	err = g.limit(total)
	if errors.Is(err, fs.ErrPermission) && strings.TrimSpace(string(b)) != "max" {
		return nil
	}
	return err
}
