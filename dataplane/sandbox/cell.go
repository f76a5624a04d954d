package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cell is one job's group. A nil cell bounds nothing and is never full.
type cell struct {
	g    *Group
	name string
}

func (g *Group) cell(memory int64, tasks int) (*cell, error) {
	c := &cell{g: g, name: "cell-" + random()}
	for _, dir := range c.dirs() {
		if err := os.Mkdir(dir, 0o755); err != nil {
			c.remove()
			return nil, fmt.Errorf("make a control group: %w", err)
		}
	}
	if err := c.limit(memory, tasks); err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

func (c *cell) limit(memory int64, tasks int) error {
	mem, n := c.dirs()[0], strconv.FormatInt(memory, 10)
	if c.g.version == 2 {
		for file, v := range map[string]string{"memory.max": n, "memory.oom.group": "1", "pids.max": strconv.Itoa(tasks)} {
			if err := write(mem, file, v); err != nil {
				return err
			}
		}
		if err := write(mem, "memory.swap.max", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := write(mem, "memory.limit_in_bytes", n); err != nil {
		return err
	}
	if err := write(mem, "memory.memsw.limit_in_bytes", n); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // absent where swap is not accounted
	}
	if c.g.pids != "" {
		return write(c.dirs()[1], "pids.max", strconv.Itoa(tasks))
	}
	return nil
}

func (c *cell) dirs() []string {
	var out []string
	for _, d := range c.g.dirs() {
		out = append(out, filepath.Join(d, c.name))
	}
	return out
}

func (c *cell) add(pid int) error {
	for _, dir := range append(c.dirs(), c.g.idle()...) {
		if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// oom tells whether the kernel killed for memory.
func (c *cell) oom() bool {
	if c == nil {
		return false
	}
	file := "memory.oom_control"
	if c.g.version == 2 {
		file = "memory.events"
	}
	b, err := os.ReadFile(filepath.Join(c.dirs()[0], file))
	if err != nil {
		return true // unknown is never "fine"
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strings.TrimSpace(n) != "0"
		}
	}
	return false
}

// kill ends every process of the cell.
func (c *cell) kill() {
	if c == nil {
		return
	}
	b, err := os.ReadFile(filepath.Join(c.dirs()[0], "cgroup.procs"))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// remove takes the cell away; a dying process may hold it for a moment. What stays is cleared at the next start.
func (c *cell) remove() {
	if c == nil {
		return
	}
	for _, dir := range c.dirs() {
		for end := time.Now().Add(2 * time.Second); ; {
			err := os.Remove(dir)
			if err == nil || errors.Is(err, fs.ErrNotExist) || time.Now().After(end) {
				break
			}
			c.kill()
			time.Sleep(2 * time.Millisecond)
		}
	}
}
