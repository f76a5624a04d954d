package town

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Program is one process of the town.
type Program struct {
	Name string // also of its log
	Host string // namespace: a host, the gate, or portal-XX
	User string // empty: root
	Args []string
	Caps []uintptr // capabilities that User keeps
	// Prepare is run as root before each start. If it prints the folder of a version 2 control group, the program starts inside.
	Prepare []string
	// Ready tells whether it does its work yet; nil: it is ready at once.
	Ready func(ctx context.Context) error
}

// Running is a started program.
type Running struct {
	Program
	PID  int
	done chan struct{} // closed when it ended
	err  error         // valid after done
}

// start runs a program in its namespace, in a session of its own (so that a Ctrl-C does not reach it), with its output in
// the town's log folder.
func (n Name) start(p Program) (*Running, error) {
	fail := func(err error) (*Running, error) { return nil, fmt.Errorf("start %s: %w", p.Name, err) }
	log, err := os.OpenFile(n.Log(p.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fail(err)
	}
	defer log.Close()
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.SysProcAttr.AmbientCaps = p.Caps
	if p.User != "" {
		cred, err := Credential(p.User)
		if err != nil {
			return fail(err)
		}
		cmd.SysProcAttr.Credential = cred
	}
	if len(p.Prepare) > 0 {
		out, err := exec.Command(p.Prepare[0], p.Prepare[1:]...).Output()
		if err != nil {
			return fail(fmt.Errorf("prepare: %w: %s", err, said(err)))
		}
		if group, err := delegated(string(out)); err != nil {
			return fail(err)
		} else if group != nil {
			defer group.Close()
			cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
		}
	}
	if err := In(n.Netns(p.Host), cmd.Start); err != nil {
		return fail(err)
	}
	r := &Running{Program: p, PID: cmd.Process.Pid, done: make(chan struct{})}
	go func() {
		r.err = cmd.Wait()
		close(r.done)
	}()
	return r, nil
}

// delegated opens the control group that a preparation printed, when it is one of version 2.
func delegated(printed string) (*os.File, error) {
	dir := strings.TrimSpace(printed)
	if dir == "" {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err != nil {
		return nil, nil // version 1: the program moves its children itself
	}
	return os.Open(dir)
}

// said is what a failed command wrote to standard error.
func said(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}

// wait polls until the program is ready, gives up, or ended.
func (r *Running) wait(ctx context.Context, limit time.Duration) error {
	if r.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := r.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-r.done:
			return fmt.Errorf("%s ended before it was ready (%v); see its log", r.Name, r.err)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %v: %w; see its log", r.Name, limit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Log is the file that a program's output goes to.
func (n Name) Log(program string) string {
	return filepath.Join(n.Instance().Run(), "log", program+".log")
}

// TailLogs shows the end of every program's log, for whoever must find out why something did not come about.
func (n Name) TailLogs(w io.Writer) {
	files, err := filepath.Glob(n.Log("*"))
	if err != nil {
		return // the pattern is ours
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && len(b) > 0 {
			fmt.Fprintf(w, "\n--- end of %s\n%s", filepath.Base(f), b[max(0, len(b)-2000):])
		}
	}
}

// Credential is the user that a daemon runs as, without any further group.
func Credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("%w; hack/bootstrap adds it", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// dials tells whether something accepts at a Unix socket.
func dials(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// listens tells whether a TCP port is open inside a namespace.
func listens(ns, addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		return In(ns, func() error {
			d := net.Dialer{Timeout: time.Second}
			c, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return c.Close()
		})
	}
}

// end stops processes: politely, then, two seconds later, not.
func end(pids []int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
	}
	deadline := time.Now().Add(2 * time.Second)
	for _, pid := range pids {
		for alive(pid) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		if alive(pid) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end process %d: %w", pid, err)
			}
		}
	}
	return nil
}

// alive is false for a zombie too: it runs nothing and holds nothing.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	for i := len(stat) - 1; i > 0; i-- { // the state follows the closing parenthesis of the name
		if stat[i] == ')' {
			return i+2 < len(stat) && stat[i+2] != 'Z' && stat[i+2] != 'X'
		}
	}
	return false
}
