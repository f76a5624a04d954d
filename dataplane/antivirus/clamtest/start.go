package clamtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/antivirus"
)

// Options of a clamd for a test.
type Options struct {
	Made    time.Time         // of the daily signatures; zero: there are none
	Changed map[string]string // lines of the configuration that are to say something else
	Group   string            // whose members may connect; empty: root's
}

// Clamd is a clamd that runs.
type Clamd struct {
	Settings antivirus.Settings
	t        testing.TB
	cmd      *exec.Cmd
	log      bytes.Buffer
}

// Start runs clamd until the test ends; when root calls, as the user that Debian made for it.
func Start(t testing.TB, o Options) *Clamd {
	t.Helper()
	dir, err := os.MkdirTemp("", "clamd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &Clamd{t: t, Settings: antivirus.Settings{File: filepath.Join(dir, "clamd.conf"), Socket: filepath.Join(dir, "run", "s"),
		Signatures: filepath.Join(dir, "db"), Temporary: filepath.Join(dir, "tmp"), Shared: true}}
	for _, sub := range []string{"run", "db", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		c.own(dir, o.Group)
	}
	if err := Signatures(c.Settings.Signatures, o.Made); err != nil {
		t.Fatal(err)
	}
	var conf strings.Builder
	for line := range strings.Lines(c.Settings.Configuration()) {
		key, _, _ := strings.Cut(line, " ")
		if v, ok := o.Changed[key]; ok {
			line = key + " " + v + "\n"
		}
		conf.WriteString(line)
	}
	if err := os.WriteFile(c.Settings.File, []byte(conf.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	c.Again()
	return c
}

// own gives clamd's user what it writes to, and the group the way to the socket.
func (c *Clamd) own(dir, group string) {
	c.t.Helper()
	uid, gid := ids(c.t)
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			c.t.Fatalf("%v; hack/bootstrap adds it", err)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, sub := range []string{"run", "tmp"} {
		path := filepath.Join(dir, sub)
		if err := os.Chown(path, uid, gid); err != nil {
			c.t.Fatal(err)
		}
		if err := os.Chmod(path, os.ModeSetgid|0o750); err != nil {
			c.t.Fatal(err)
		}
	}
}

func ids(t testing.TB) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup(antivirus.User)
	if err != nil {
		t.Fatalf("%v; hack/bootstrap installs clamav-daemon, which makes it", err)
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		t.Fatal(err)
	}
	return uid, gid
}

// Again starts a clamd that was killed and waits until it listens.
func (c *Clamd) Again() {
	c.t.Helper()
	command := c.Settings.Command()
	c.cmd = exec.Command(command[0], command[1:]...)
	c.cmd.Dir, c.cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		uid, gid := ids(c.t)
		c.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s, err := net.Dial("unix", c.Settings.Socket)
		if err == nil {
			s.Close()
			return
		}
		if time.Now().After(end) {
			c.Kill()
			c.t.Fatalf("clamd does not listen: %v\n%s", err, c.log.String())
		}
	}
}

// Freeze stops clamd where it stands: it listens, and answers nothing.
func (c *Clamd) Freeze() {
	c.t.Helper()
	if err := syscall.Kill(-c.cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
}

// Kill ends clamd; more than once is once.
func (c *Clamd) Kill() {
	if c.cmd == nil {
		return
	}
	if err := syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		c.t.Logf("end clamd: %v", err)
	}
	_ = c.cmd.Wait() // it was killed, and says so
	c.cmd = nil
}

// Daemon is the way to ask it.
func (c *Clamd) Daemon() *antivirus.Daemon { return &antivirus.Daemon{Socket: c.Settings.Socket} }
