package main

import (
	"bytes"
	"errors"
	"io"
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

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// A record that ends while control is dead ends all the same, at its minute: what `until` says in the document that control
// committed is in the tables. A connection that is open ends with it, and control does not bring it back when it comes again.
// The clock is the real one: with the dataplane alive it cannot be set.
func TestRecordEndsWhileControlIsDead(t *testing.T) {
	w := newTown(t)
	handleTCP(t, "lg-asp", eltax, func(c net.Conn) {
		io.WriteString(c, "hello")
		io.Copy(c, c)
	})
	serveTCP(t, "in-web", "203.0.113.11:443")
	c := newControl(t, w)
	w.start(t)
	c.start(t)

	end := time.Now().Add(70 * time.Second).Truncate(time.Minute) // in ten seconds or more
	minute := end.In(time.FixedZone("JST", 9*60*60)).Format("2006-01-02 15:04")
	c.commit(t, "until: 2036-03-31", `until: "`+minute+`"`) // eltax-submit, the first of the records
	expect(t, true, "mn-pc1", eltax)
	expect(t, true, "in-pc1", "203.0.113.11:443")
	c.kill(t)
	open := dial(t, "mn-pc1", eltax)
	for time.Until(end) > time.Second {
		if !echoes(open) && time.Until(end) > 0 {
			t.Fatalf("the open connection stopped %s before its record's end", time.Until(end))
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Until(end.Add(300 * time.Millisecond)))
	if echoes(open) {
		t.Error("the open connection goes on after its record's end")
	}
	expect(t, false, "mn-pc1", eltax)
	expect(t, true, "in-pc1", "203.0.113.11:443")

	c.start(t)
	time.Sleep(5 * time.Second) // twice as long as control waits before it looks at what is in force
	expect(t, false, "mn-pc1", eltax)
	expect(t, true, "in-pc1", "203.0.113.11:443")
}

// control is sekisho-control as it runs on the box, installed by sekisho init.
type control struct {
	bin, file string
	doc       []byte
	instance  place.Instance
	daemon    *exec.Cmd
}

func newControl(t *testing.T, w *town) *control {
	t.Helper()
	for _, dir := range []string{"../../cmd/sekisho", "../../cmd/sekisho-control", "../../controlplane", "../../dataplane"} {
		seen(t, dir)
	}
	dir, err := os.MkdirTemp("", "sekisho-expiry") // of everybody: control is not root
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	doc := examples.Lab
	for i, r := range lab(t).Regions { // their keys are the town's own
		doc = bytes.ReplaceAll(doc, []byte(r.PublicKey), []byte(w.cfg.Regions[i].PublicKey))
	}
	c := &control{bin: filepath.Join(dir, "bin"), doc: doc, file: filepath.Join(dir, "town.yaml"), instance: w.instance}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(c.bin, 0o755), os.WriteFile(c.file, doc, 0o644)); err != nil {
		t.Fatal(err)
	}
	netlab.Run(t, "", "go", "build", "-o", c.bin+"/", "github.com/sekisho/sekisho/cmd/sekisho", "github.com/sekisho/sekisho/cmd/sekisho-control")
	showControlGroups(t, w.instance)
	c.run(t, "sekisho", "init", "--name", string(w.instance), "--config", c.file)
	t.Cleanup(func() { c.kill(t) })
	return c
}

// showControlGroups mounts the host's control groups where the namespace's own /sys hides them: init makes one for the broker.
func showControlGroups(t *testing.T, i place.Instance) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH) })
	for line := range strings.Lines(string(mounts)) {
		left, right, _ := strings.Cut(line, " - ")
		at, kind := strings.Fields(left)[4], strings.Fields(right)
		options := ""
		switch {
		case kind[0] == "cgroup" && (strings.HasSuffix(at, "/memory") || strings.HasSuffix(at, "/pids")):
			options = filepath.Base(at)
		case kind[0] != "cgroup2":
			continue
		}
		if err := errors.Join(os.MkdirAll(at, 0o755), unix.Mount(kind[0], at, kind[0], 0, options)); err != nil {
			t.Fatalf("mount the control groups at %s: %v", at, err)
		}
		t.Cleanup(func() {
			os.Remove(filepath.Join(at, "sekisho", string(i)))
			unix.Unmount(at, unix.MNT_DETACH)
		})
	}
}

func lab(t *testing.T) *config.Config {
	t.Helper()
	cfg, errs := config.Parse(examples.Lab)
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func (c *control) run(t *testing.T, program string, args ...string) {
	t.Helper()
	netlab.Run(t, "", filepath.Join(c.bin, program), args...)
}

// commit brings the lab into force with one replacement.
func (c *control) commit(t *testing.T, old, new string) {
	t.Helper()
	if err := os.WriteFile(c.file, bytes.Replace(c.doc, []byte(old), []byte(new), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	c.run(t, "sekisho", "commit", "--name", string(c.instance), c.file)
}

// start prepares and runs it as its user, and waits for its socket.
func (c *control) start(t *testing.T) {
	t.Helper()
	c.run(t, "sekisho-control", "prepare", "--name", string(c.instance))
	u, err := user.Lookup(place.ControlUser)
	if err != nil {
		t.Fatalf("%v; hack/bootstrap adds the gate's users", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.instance.AdminSocket()); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	c.daemon = exec.Command(filepath.Join(c.bin, "sekisho-control"), "--name", string(c.instance))
	c.daemon.Dir, c.daemon.Stderr = "/", os.Stderr
	c.daemon.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := c.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	netlab.Until(t, 10*time.Second, "control to serve", func() bool { _, err := os.Stat(c.instance.AdminSocket()); return err == nil })
}

func (c *control) kill(t *testing.T) {
	t.Helper()
	if c.daemon != nil {
		c.daemon.Process.Kill()
		c.daemon.Wait()
		c.daemon = nil
	}
}

// dial opens a connection that stays open, and reads what the server says first.
func dial(t *testing.T, ns, addr string) net.Conn {
	t.Helper()
	var c net.Conn
	netlab.Do(t, ns, func() (err error) {
		c, err = net.DialTimeout("tcp", addr, 5*time.Second)
		return err
	})
	t.Cleanup(func() { c.Close() })
	if _, err := io.ReadFull(c, make([]byte, len("hello"))); err != nil {
		t.Fatal(err)
	}
	return c
}

// echoes tells whether a byte comes back.
func echoes(c net.Conn) bool {
	c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	_, err1 := c.Write([]byte{1})
	_, err2 := io.ReadFull(c, make([]byte, 1))
	return err1 == nil && err2 == nil
}
