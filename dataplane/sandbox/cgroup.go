package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Group is a delegated control group under which each job gets a cell of its own. Both hierarchies are known: version 1 with
// a memory controller (and pids, where there is one), version 2 with both in one tree.
type Group struct {
	version int
	memory  string // v1: under the memory controller; v2: the group of all cells, beside the leaf of the daemon (leaves.go)
	pids    string // v1 only; empty where there is no such controller
	cpu     string // v1 only, without cells; empty where there is no such controller
}

// Root names the delegated group of an instance under each hierarchy.
func groupName(instance string) string { return filepath.Join("sekisho", instance) }

// OpenGroup finds what `sekisho-broker prepare` delegated to an instance, or, for root, makes it. It clears away cells that a
// killed broker left behind. An error means: run nothing.
func OpenGroup(instance string) (*Group, error) {
	g, err := locate(instance)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if err := g.make(); err != nil {
			return nil, err
		}
	}
	for _, dir := range g.dirs() {
		probe := filepath.Join(dir, "cell-"+random())
		if err := os.Mkdir(probe, 0o755); err != nil {
			return nil, fmt.Errorf("control group %s is not delegated to this user; run `sekisho-broker prepare --name %s` as root: %w", dir, instance, err)
		}
		if err := os.Remove(probe); err != nil {
			return nil, fmt.Errorf("control group %s: %w", dir, err)
		}
	}
	g.clear()
	return g, nil
}

// Delegate makes the group of an instance, bounds all of its cells together to total bytes of memory, and gives it to a user, who
// can't lift that bound. Called by root before the broker starts. On version 2 the broker must be started in the leaf whose path is
// answered, or in a group that a service manager delegates to it (systemd: Delegate=cpu memory pids), which it then divides itself.
func Delegate(instance string, uid, gid int, total int64) (string, error) {
	g, err := locate(instance)
	if err != nil {
		return "", err
	}
	if err := g.make(); err != nil {
		return "", err
	}
	if err := g.limit(total); err != nil {
		return "", err
	}
	var files []string
	for _, dir := range append(g.dirs(), g.idle()...) {
		files = append(files, dir, filepath.Join(dir, "cgroup.procs"))
		if g.version == 2 {
			files = append(files, filepath.Join(dir, "cgroup.subtree_control"), filepath.Join(dir, "cgroup.threads"))
		}
	}
	start := g.memory
	if g.version == 2 { // whoever moves a process writes to where it comes from, where it goes to, and what holds both
		start = g.beside(daemonLeaf)
		files = append(files, filepath.Join(start, "cgroup.procs"), g.beside("cgroup.procs"))
	}
	for _, f := range files {
		if err := os.Chown(f, uid, gid); err != nil {
			return "", fmt.Errorf("delegate the control group: %w", err)
		}
	}
	return start, nil
}

// Undelegate removes the group of an instance, with every cell in it.
func Undelegate(instance string) error {
	g, err := locate(instance)
	if err != nil {
		return err
	}
	g.clear()
	var errs []error
	dirs := append(g.dirs(), g.idle()...)
	dirs = append(dirs, g.scanner()...)
	if g.version == 2 {
		dirs = append(dirs, g.beside(daemonLeaf), filepath.Dir(g.memory))
	}
	for _, dir := range dirs {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove the control group: %w", err))
		}
	}
	return errors.Join(errs...)
}

// locate reads which hierarchies this machine has.
func locate(instance string) (*Group, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look for control groups: %w", err)
	}
	v1, v2 := hierarchies(string(b))
	if at, ok := v1["memory"]; ok {
		g := &Group{version: 1, memory: filepath.Join(at, groupName(instance))}
		if at, ok := v1["pids"]; ok {
			g.pids = filepath.Join(at, groupName(instance))
		}
		if at, ok := v1["cpu"]; ok {
			g.cpu = filepath.Join(at, groupName(instance))
		}
		return g, nil
	}
	if v2 == "" {
		return nil, errors.New("look for control groups: no memory controller is mounted")
	}
	controllers, err := os.ReadFile(filepath.Join(v2, "cgroup.controllers"))
	if err != nil || !strings.Contains(string(controllers), "memory") {
		return nil, fmt.Errorf("look for control groups: %s has no memory controller (%v)", v2, err)
	}
	if os.Geteuid() != 0 {
		cells, err := ownGroup(v2)
		if err != nil {
			return nil, err
		}
		return &Group{version: 2, memory: cells}, nil
	}
	return &Group{version: 2, memory: filepath.Join(v2, groupName(instance), cellsGroup)}, nil
}

// hierarchies maps controllers of version 1 to where they are mounted, and gives the mount point of version 2.
func hierarchies(mountinfo string) (v1 map[string]string, v2 string) {
	v1 = map[string]string{}
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		switch r[0] {
		case "cgroup2":
			v2 = l[4]
		case "cgroup":
			for _, c := range strings.Split(r[2], ",") {
				v1[c] = l[4]
			}
		}
	}
	return v1, v2
}

func (g *Group) make() error {
	for _, dir := range append(g.dirs(), g.idle()...) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the control group: %w", err)
		}
	}
	if g.version == 2 { // the controllers are handed down level by level
		all := filepath.Dir(g.memory)
		if err := os.Mkdir(g.beside(daemonLeaf), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the control group: %w", err)
		}
		for _, dir := range []string{filepath.Dir(filepath.Dir(all)), filepath.Dir(all), all} {
			if err := handDown(dir); err != nil {
				return err
			}
		}
		if err := write(g.memory, "cgroup.subtree_control", "+memory +pids"); err != nil {
			return err
		}
	}
	return g.yield()
}

// yield lets all cells together have what is left of the processors' time: packets and tunnels come first, and wake without waiting for
// a file. A niceness would not do, where the kernel groups tasks by session.
func (g *Group) yield() error { return idle(append(g.idle(), g.memory)...) }

func idle(dirs ...string) error {
	for _, dir := range dirs {
		err := write(dir, "cpu.idle", "1")
		if errors.Is(err, fs.ErrNotExist) {
			err = write(dir, "cpu.shares", "2") // version 1 before Linux 5.15
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = write(dir, "cpu.weight", "1") // version 2 before it
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// idle is where version 1 has the share of processors.
func (g *Group) idle() []string {
	if g.cpu == "" {
		return nil
	}
	return []string{g.cpu}
}

// Total is how much memory the sandboxes of so many files at once may take together, in bytes: what they may want, and at most half of
// what the machine has, so that the gate itself lives on whatever the files do.
func Total(parallel int) (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("size of the memory: %w", err)
	}
	return min(wanted(parallel), int64(info.Totalram)*int64(info.Unit)/2), nil
}

// wanted is as much as each file's sandbox may take, those of helpers, and those that wait with LibreOffice started.
func wanted(parallel int) int64 {
	return int64(max(1, parallel)+side)*maxMemory + int64(Pooled(parallel))*Helping("convert", largePooled).Memory
}

// limit bounds what all cells take together. It can be called again with another bound.
func (g *Group) limit(total int64) error { return limitMemory(g.version, g.memory, total) }

func limitMemory(version int, dir string, total int64) error {
	n := strconv.FormatInt(total, 10)
	if version == 2 {
		return write(dir, "memory.max", n)
	}
	swap := func(v string) error { // absent where swap is not accounted; never below the other, so it is lifted in between
		if err := write(dir, "memory.memsw.limit_in_bytes", v); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := swap("-1"); err != nil {
		return err
	}
	if err := write(dir, "memory.limit_in_bytes", n); err != nil {
		return err
	}
	return swap(n)
}

func (g *Group) dirs() []string {
	if g.pids == "" {
		return []string{g.memory}
	}
	return []string{g.memory, g.pids}
}

// clear ends and removes cells that were left behind.
func (g *Group) clear() {
	left := map[string]bool{}
	for _, dir := range g.dirs() {
		cells, err := filepath.Glob(filepath.Join(dir, "cell-*"))
		if err != nil {
			continue
		}
		for _, c := range cells {
			left[filepath.Base(c)] = true
		}
	}
	for name := range left {
		c := &cell{g: g, name: name}
		c.kill()
		c.remove()
	}
}

func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("control group: %s = %s: %w", filepath.Join(dir, file), value, err)
	}
	return nil
}

func random() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}
