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

// ScannerMemory is what clamd may take, in bytes: its signatures are 1.3 GB and grow, and what it unpacks lies on the disk.
const ScannerMemory = 2 << 30

// scanner are the groups of clamd: its memory is bounded apart from that of the cells, and it has what is left of the processors' time
// as they have.
func (g *Group) scanner() []string {
	if g.version == 2 {
		return []string{g.beside(scannerLeaf)}
	}
	dirs := []string{g.memory + "." + scannerLeaf}
	if g.cpu != "" {
		dirs = append(dirs, g.cpu+"."+scannerLeaf)
	}
	return dirs
}

// DelegateScanner makes the group of an instance's clamd, and lets a user put its own processes into it, who can't lift its bounds.
// Called by root after Delegate.
func DelegateScanner(instance string, uid, gid int, memory int64) error {
	g, err := locate(instance)
	if err != nil {
		return err
	}
	for i, dir := range g.scanner() {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the control group of clamd: %w", err)
		}
		if i == 0 {
			if err := limitMemory(g.version, dir, memory); err != nil {
				return err
			}
		}
		if i > 0 || g.version == 2 {
			if err := idle(dir); err != nil {
				return err
			}
		}
		if err := os.Chown(filepath.Join(dir, "cgroup.procs"), uid, gid); err != nil {
			return fmt.Errorf("delegate the control group of clamd: %w", err)
		}
	}
	return nil
}

// JoinScanner puts this process, and what it starts, into the group of an instance's clamd. On version 2 only root can, so that it must
// be started there; a unit of its own with a bound will do, too. An error says what to do; nothing else has changed.
func JoinScanner(instance string) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("control group of clamd: %w", err)
	}
	v1, v2 := hierarchies(string(b))
	if _, ok := v1["memory"]; !ok && v2 != "" {
		path, err := ownPath()
		if err != nil {
			return err
		}
		return bounded(v2, path, instance)
	}
	g, err := locate(instance)
	if err != nil {
		return err
	}
	for _, dir := range g.scanner() {
		if err := write(dir, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
			return fmt.Errorf("clamd runs without a bound of its memory; run `sekisho-broker prepare --name %s` as root first: %w", instance, err)
		}
	}
	return nil
}

// bounded tells whether a group of version 2, or one that holds it, has a bound of its memory.
func bounded(mount, path, instance string) error {
	for dir := filepath.Clean("/" + path); dir != "/"; dir = filepath.Dir(dir) {
		b, err := os.ReadFile(filepath.Join(mount, dir, "memory.max"))
		if err == nil && strings.TrimSpace(string(b)) != "max" {
			return nil
		}
	}
	return fmt.Errorf("clamd runs without a bound of its memory; start it in the group %s, or in a unit with MemoryMax=%dM and CPUWeight=idle",
		filepath.Join(mount, groupName(instance), scannerLeaf), ScannerMemory>>20)
}
