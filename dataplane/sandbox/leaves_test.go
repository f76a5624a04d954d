package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sekisho/sekisho/dataplane/place"
)

// kernel makes in a plain directory what the kernel makes with a group of version 2.
func kernel(t *testing.T, controllers string) func(string, fs.FileMode) error {
	return func(dir string, mode fs.FileMode) error {
		if err := os.Mkdir(dir, mode); err != nil {
			return err
		}
		for _, f := range []string{"cgroup.procs", "cgroup.subtree_control", "memory.max", "cpu.idle"} {
			if f == "cpu.idle" && !strings.Contains(controllers, "cpu") {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil {
				t.Error(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "memory.max"), []byte("max\n"), 0o644); err != nil {
			t.Error(err)
		}
		return os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte(controllers+"\n"), 0o644)
	}
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(b))
}

// A group that a service manager delegates is divided: the bound and the idle class are of the cells, and never of the daemon.
func TestADelegatedGroupIsDivided(t *testing.T) {
	for _, controllers := range []string{"cpu memory pids", "memory pids"} {
		mkdir := kernel(t, controllers)
		unit := filepath.Join(t.TempDir(), "unit")
		if err := mkdir(unit, 0o755); err != nil {
			t.Fatal(err)
		}
		cells, err := divide(unit, 4711, mkdir)
		if err != nil || cells != filepath.Join(unit, "cells") {
			t.Fatalf("%s %v", cells, err)
		}
		g := &Group{version: 2, memory: cells}
		if err := g.Bound(1 << 30); err != nil {
			t.Fatal(err)
		}
		if got := content(t, unit, "daemon", "cgroup.procs"); got != "4711" {
			t.Errorf("in the daemon's leaf: %q", got)
		}
		if got := content(t, cells, "memory.max"); got != "1073741824" {
			t.Errorf("the cells are bound to %q", got)
		}
		if strings.Contains(controllers, "cpu") {
			if got := content(t, cells, "cpu.idle"); got != "1" {
				t.Errorf("cells yield: %q", got)
			}
			if got := content(t, unit, "daemon", "cpu.idle"); got != "" {
				t.Errorf("the daemon yields: %q", got)
			}
		}
		for _, dir := range []string{unit, filepath.Join(unit, "daemon")} {
			if got := content(t, dir, "memory.max"); got != "max" {
				t.Errorf("%s is bound to %q", dir, got)
			}
		}
		if again, err := divide(filepath.Join(unit, "daemon"), 4712, mkdir); err != nil || again != cells {
			t.Errorf("started again: %s %v", again, err)
		}
	}
}

func TestABoundAnywhereAboveClamdWillDo(t *testing.T) {
	mount := t.TempDir()
	mkdir := kernel(t, "memory")
	for _, dir := range []string{"system.slice", "system.slice/clamd.service", "system.slice/clamd.service/leaf"} {
		if err := mkdir(filepath.Join(mount, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := bounded(mount, "/system.slice/clamd.service/leaf", "x"); err == nil || !strings.Contains(err.Error(), "MemoryMax") {
		t.Errorf("got %v", err)
	}
	if err := write(filepath.Join(mount, "system.slice/clamd.service"), "memory.max", "1000"); err != nil {
		t.Fatal(err)
	}
	if err := bounded(mount, "/system.slice/clamd.service/leaf", "x"); err != nil {
		t.Error(err)
	}
}

// divided is what the broker found when it opened its group.
type divided struct{ Self, Cell, Bound, Idle string }

// openAsBroker opens the group, puts a program into a cell and tells where all of them are.
func openAsBroker(name string) (d divided, err error) {
	g, err := OpenGroup(name)
	if err == nil {
		err = g.Bound(64 << 20)
	}
	if err != nil {
		return d, err
	}
	c, err := g.cell(32<<20, 8)
	if err != nil {
		return d, err
	}
	defer c.remove()
	sleeps := exec.Command("/bin/sleep", "60")
	if err := sleeps.Start(); err != nil {
		return d, err
	}
	defer sleeps.Wait()
	defer sleeps.Process.Kill()
	if err := c.add(sleeps.Process.Pid); err != nil {
		return d, err
	}
	read := func(path string) string {
		b, rerr := os.ReadFile(path)
		if rerr != nil && err == nil {
			err = rerr
		}
		return strings.TrimSpace(string(b))
	}
	d.Self, d.Cell = read("/proc/self/cgroup"), read(fmt.Sprintf("/proc/%d/cgroup", sleeps.Process.Pid))
	if g.version == 2 {
		d.Bound, d.Idle = read(filepath.Join(g.memory, "memory.max")), read(filepath.Join(g.memory, "cpu.idle"))
		return d, err
	}
	d.Bound, d.Idle = read(filepath.Join(g.memory, "memory.limit_in_bytes")), read(filepath.Join(g.cpu, "cpu.idle"))
	return d, err
}

// TestTheBrokerIsOutsideOfWhatItBounds: with the kernel's own groups, of either version; with version 2, in a group that root made and in
// one that a service manager delegates.
func TestTheBrokerIsOutsideOfWhatItBounds(t *testing.T) {
	cred := brokerUser(t)
	name := fmt.Sprintf("test-%d-outside", os.Getpid())
	start, err := Delegate(name, int(cred.Uid), int(cred.Gid), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Undelegate(name); err != nil {
			t.Error(err)
		}
	})
	g, err := locate(name)
	if err != nil {
		t.Fatal(err)
	}
	starts := []string{start}
	if g.version == 2 {
		unit := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(g.memory))), name+".service")
		if err := os.Mkdir(unit, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for _, dir := range []string{unit + "/cells", unit + "/daemon", unit} {
				if err := os.Remove(dir); err != nil {
					t.Error(err)
				}
			}
		})
		for _, f := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
			if err := os.Chown(filepath.Join(unit, f), int(cred.Uid), int(cred.Gid)); err != nil {
				t.Fatal(err)
			}
		}
		starts = append(starts, unit)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(filepath.Dir(probe), "as-broker-2")
	if err := os.WriteFile(test, self, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, start := range starts {
		cmd := exec.Command(test)
		cmd.Env = []string{asBroker + "=" + name, "WHAT=group", "PATH=/usr/bin:/bin"}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
		if g.version == 2 {
			at, err := os.Open(start)
			if err != nil {
				t.Fatal(err)
			}
			defer at.Close()
			cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(at.Fd())
		}
		out, err := cmd.CombinedOutput()
		var d divided
		if err != nil || json.Unmarshal(out, &d) != nil {
			t.Errorf("%s: %v %s", start, err, out)
			continue
		}
		if d.Bound != strconv.Itoa(64<<20) || d.Idle != "1" || !strings.Contains(d.Cell, "/cell-") || strings.Contains(d.Self, "cell") {
			t.Errorf("%s: %+v", start, d)
		}
		t.Logf("%s: %+v", start, d)
	}
}

// TestClamdIsBounded: whoever reads strangers' files has a bound that it cannot lift, and yields.
func TestClamdIsBounded(t *testing.T) {
	u, err := user.Lookup(place.ClamdUser)
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	name := fmt.Sprintf("test-%d-clamd", os.Getpid())
	broker := brokerUser(t)
	if _, err := Delegate(name, int(broker.Uid), int(broker.Gid), 64<<20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Undelegate(name); err != nil {
			t.Error(err)
		}
	})
	for range 2 { // before each start
		if err := DelegateScanner(name, uid, gid, 128<<20); err != nil {
			t.Fatal(err)
		}
	}
	g, err := locate(name)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(filepath.Dir(probe), "as-clamd")
	if err := os.WriteFile(test, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(test)
	cmd.Env = []string{asBroker + "=" + name, "WHAT=clamd", "PATH=/usr/bin:/bin"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	at, err := os.Open(g.scanner()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	if g.version == 2 { // whoever starts it does that
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(at.Fd())
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("clamd")) || bytes.Count(out, []byte("clamd")) < len(g.scanner()) {
		t.Errorf("%v: it is in %s", err, out)
	}
	knob, want := filepath.Join(g.scanner()[0], "memory.limit_in_bytes"), strconv.Itoa(128<<20)
	if g.version == 2 {
		knob = filepath.Join(g.scanner()[0], "memory.max")
	}
	if got := content(t, knob); got != want {
		t.Errorf("it may take %s bytes, want %s", got, want)
	}
	idle := filepath.Join(g.scanner()[len(g.scanner())-1], "cpu.idle")
	if got := content(t, idle); got != "1" {
		t.Errorf("it yields: %q", got)
	}
	for _, f := range []string{knob, idle} {
		if info, err := os.Stat(f); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm()&0o022 != 0 {
			t.Errorf("clamd could change %s: %v %v", f, info, err)
		}
	}
}
