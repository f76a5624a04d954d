package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// TestBookOfAGate is the life of a configuration with the real programs: command line, control and dataplane.
func TestBookOfAGate(t *testing.T) {
	h := newHall(t)
	serveTCP(t, "lg-asp", eltax)
	serveTCP(t, "in-web", "203.0.113.11:443")
	netlab.Until(t, 20*time.Second, "the first revision in force", func() bool { return h.status(t).Revision != "" })
	first := h.status(t).Revision
	expect(t, true, "mn-pc1", eltax)
	text := h.must(t, "show")
	if !strings.HasPrefix(text, "# sekisho: revision 1 of town\n") || !strings.Contains(text, string(examples.Lab)) {
		t.Fatalf("show:\n%s", text)
	}
	// Its author loses eLTAX by it, so that whoever looks sees which policy is in force.
	cut := strings.Replace(text, "from: {stations: [mn-pc1]}\n    to: {services: [eltax]}", "from: {stations: [mn-pc2]}\n    to: {services: [eltax]}", 1)
	commit := func(t *testing.T, text string, args ...string) (string, bool) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "town.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"commit", file}, args...)
		if slices.Contains(args, "--confirm") { // only a person who is known can confirm it
			return h.sekisho(h.people["sato"], append(args, "--as", "sato")...)
		}
		return h.sekisho("", args...)
	}
	begin := func(t *testing.T, confirm string) revision.Revision {
		t.Helper()
		out, ok := commit(t, cut, "--confirm", confirm, "--comment", "half the town")
		if !ok || !strings.Contains(out, "on trial: it goes back by itself") {
			t.Fatal(out)
		}
		expect(t, false, "mn-pc1", eltax)
		r := h.history(t)[0]
		if r.Trial == nil || r.Trial.State != revision.Running || h.status(t).Revision != r.Policy {
			t.Fatalf("%+v %+v", r, r.Trial)
		}
		return r
	}
	reverted := func(t *testing.T, number int, why string) {
		t.Helper()
		netlab.Until(t, 15*time.Second, "the book to know", func() bool { r := h.history(t)[0]; return r.Trial != nil && r.Trial.State == revision.Reverted })
		if r := h.history(t)[0]; r.Number != number || !strings.Contains(r.Trial.Why, why) {
			t.Errorf("%+v %+v", r, r.Trial)
		}
		if s := h.status(t); s.Revision != first || s.Trial != nil {
			t.Errorf("in force %+v %+v", s.Result, s.Trial)
		}
		if got := h.must(t, "show"); got != text {
			t.Errorf("the head is\n%s", got)
		}
		time.Sleep(2500 * time.Millisecond) // a round in which control hands out what it holds for the head
		if s := h.status(t); s.Revision != first {
			t.Errorf("control handed out %s again", s.Revision)
		}
		expect(t, true, "mn-pc1", eltax)
		if all := h.must(t, "audit show"); !strings.Contains(all, "config.revert") || !strings.Contains(all, why) {
			t.Errorf("not in the audit log: %s", why)
		}
	}

	t.Run("control watches its time pass", func(t *testing.T) {
		r := begin(t, "3s")
		reverted(t, r.Number, "not confirmed in time")
	})
	t.Run("control is killed, and the dataplane goes back", func(t *testing.T) {
		r := begin(t, "3s")
		h.kill(t)
		netlab.Until(t, 6*time.Second, "the former policy", func() bool { return h.status(t).Revision == first })
		expect(t, true, "mn-pc1", eltax)
		h.control(t)
		reverted(t, r.Number, "not confirmed in time")
	})
	t.Run("both are killed, and control comes back first", func(t *testing.T) {
		r := begin(t, "3s")
		h.kill(t)
		h.stop(t)
		time.Sleep(3 * time.Second) // its time passes, and nobody is there
		h.control(t)
		time.Sleep(2500 * time.Millisecond) // control looks for the dataplane
		h.start(t)
		reverted(t, r.Number, "not confirmed in time")
	})
	t.Run("the dataplane is killed for a moment, control lives", func(t *testing.T) {
		r := begin(t, "8s")
		h.stop(t)
		h.start(t)
		reverted(t, r.Number, "not confirmed in time")
	})
	t.Run("taken back at once", func(t *testing.T) {
		r := begin(t, "1h")
		if out, ok := commit(t, text+"# another\n", "--parent", strconv.Itoa(r.Number)); ok || !strings.Contains(out, "on trial until") {
			t.Errorf("a second change: %s", out)
		}
		h.must(t, "rollback", "--comment", "the counter is dead")
		reverted(t, r.Number, "the counter is dead")
	})
	t.Run("confirmed", func(t *testing.T) {
		if out, ok := h.sekisho("", "confirm"); ok {
			t.Errorf("nothing to confirm: %s", out)
		}
		if out, ok := h.sekisho("", "commit", "--confirm", "1h", filepath.Join(h.bin, "town.yaml")); ok || !strings.Contains(out, "--as ID") {
			t.Errorf("on trial by nobody knows whom: %s", out)
		}
		r := begin(t, "6s")
		// The trial's answer cannot be forged over an old connection's number: another trial is refused.
		if code := h.settleTrial(t, "confirm", strings.Repeat("0", 32)); code != http.StatusConflict {
			t.Error(code)
		}
		if out, ok := h.sekisho("", "confirm"); ok {
			t.Errorf("confirmed by nobody knows whom: %s", out)
		}
		if out, ok := h.sekisho(h.people["sato"], "confirm", "--as", "sato"); !ok {
			t.Fatal(out)
		}
		time.Sleep(6 * time.Second)
		if s := h.status(t); s.Revision != r.Policy || s.Trial != nil {
			t.Errorf("%+v", s.Result)
		}
		h.kill(t)
		h.stop(t)
		h.start(t)
		h.control(t)
		netlab.Until(t, 15*time.Second, "the confirmed policy", func() bool { return h.status(t).Revision == r.Policy })
		if got := h.history(t)[0]; got.Number != r.Number || got.Trial.State != revision.Confirmed || got.Trial.By == "" {
			t.Errorf("%+v %+v", got, got.Trial)
		}
		expect(t, false, "mn-pc1", eltax)
	})
	t.Run("rolled back as a commit", func(t *testing.T) {
		h.must(t, "rollback")
		r := h.history(t)[0]
		if r.Of != 1 || h.status(t).Revision != first {
			t.Errorf("%+v", r)
		}
		expect(t, true, "mn-pc1", eltax)
	})
	t.Run("what is malformed or unproven touches nothing", func(t *testing.T) {
		before := h.status(t)
		head := h.must(t, "show")
		for name, bad := range map[string]string{
			"malformed": strings.Replace(head, "model: alpha", "model: omega", 1),
			"unproven":  strings.Replace(head, "\ncommunications:\n", "\ncommunications:\n  - id: quick-fix\n    from: {stations: [mn-pc1]}\n    to: {services: [web]}\n    ports: []\n    purpose: 業者の依頼\n    owner: 税務課\n", 1),
		} {
			if out, ok := commit(t, bad, "--confirm", "10m"); ok || strings.Contains(out, "--as") {
				t.Errorf("%s: %s", name, out)
			}
			if s := h.status(t); s.Result != before.Result || s.Trial != nil {
				t.Errorf("%s: %+v %+v", name, s.Result, s.Trial)
			}
		}
	})
	t.Run("two people edit", func(t *testing.T) {
		base := h.must(t, "show")
		if out, ok := commit(t, strings.Replace(base, "purpose: 情報収集", "purpose: 情報の収集", 1)); !ok {
			t.Fatal(out)
		}
		mine := strings.Replace(base, "purpose: 申告データの照会", "purpose: 照会", 1)
		out, ok := commit(t, mine)
		if ok || !strings.Contains(out, "情報収集 -> 情報の収集") || !strings.Contains(out, "--merge") {
			t.Fatal(out)
		}
		saved := filepath.Join(t.TempDir(), "merged.yaml")
		if out, ok := commit(t, mine, "--save-merged", saved); ok || !strings.Contains(out, saved) {
			t.Error(out)
		}
		if out, ok := commit(t, mine, "--merge"); !ok || !strings.Contains(out, "merged") {
			t.Fatal(out)
		}
		got := h.must(t, "show")
		if b, err := os.ReadFile(saved); err != nil || !strings.HasSuffix(got, string(b)) || !strings.Contains(got, "情報の収集") || !strings.Contains(got, "purpose: 照会") {
			t.Errorf("%v\n%s", err, got)
		}
	})
	t.Run("four eyes", func(t *testing.T) {
		if out, ok := commit(t, strings.Replace(h.must(t, "show"), "model: alpha\n", "model: alpha\nfour-eyes: true\n", 1)); !ok {
			t.Fatal(out)
		}
		before := h.status(t).Revision
		change := strings.Replace(h.must(t, "show"), "from: {stations: [mn-pc1]}\n    to: {services: [eltax]}", "from: {stations: [mn-pc2]}\n    to: {services: [eltax]}", 1)
		file := filepath.Join(t.TempDir(), "town.yaml")
		if err := os.WriteFile(file, []byte(change), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, ok := commit(t, change); ok || !strings.Contains(out, "--as ID") {
			t.Errorf("root, whoever that is: %s", out)
		}
		if out, ok := h.sekisho("wrong", "commit", "--as", "sato", file); ok || !strings.Contains(out, "sign-in refused") {
			t.Errorf("a wrong password: %s", out)
		}
		if out, ok := h.sekisho(h.people["kansa"], "commit", "--as", "kansa", file); ok || !strings.Contains(out, "no administrator") {
			t.Errorf("an auditor: %s", out)
		}
		out, ok := h.sekisho(h.people["sato"], "commit", "--as", "sato", file)
		if ok || !strings.Contains(out, "proposal 1") || !strings.Contains(out, "communications eltax-submit") || h.status(t).Revision != before {
			t.Fatalf("in force %s: %s", h.status(t).Revision, out)
		}
		if out := h.must(t, "proposals"); !strings.Contains(out, "sato") {
			t.Error(out)
		}
		for who, password := range map[string]string{"sato": h.people["sato"], "": ""} {
			args := []string{"approve", "--yes", "1"}
			if who != "" {
				args = append(args, "--as", who)
			}
			if out, ok := h.sekisho(password, args...); ok || h.status(t).Revision != before {
				t.Errorf("approved by %q: %s", who, out)
			}
		}
		for _, args := range [][]string{{"commit", file}, {"approve", "--yes", "1"}} {
			if out, ok := h.loggedIn(t, "4242", args...); ok || !strings.Contains(out, "--as ID") || h.status(t).Revision != before {
				t.Errorf("%s by another login, without a password: %s", args[0], out)
			}
		}
		expect(t, true, "mn-pc1", eltax)
		if out, ok := h.sekisho(h.people["suzuki"], "approve", "--yes", "--as", "suzuki", "1"); !ok || !strings.Contains(out, "[mn-pc1]} -> {stations: [mn-pc2]}") {
			t.Fatal(out)
		}
		expect(t, false, "mn-pc1", eltax)
		if r := h.history(t)[0]; r.Author != "sato" || r.Approver != "suzuki" {
			t.Errorf("%+v", r)
		}
	})
	h.must(t, "audit verify")
	if n := strings.Count(h.must(t, "audit show"), "config.restore"); n > 1 {
		t.Errorf("control handed the head out %d times: what it holds for in force is not what the dataplane says", n)
	}
}

// hall is the town with its control daemon and command line, as they are installed.
type hall struct {
	*town
	bin     string
	running *exec.Cmd
	people  map[string]string // passwords
}

func newHall(t *testing.T) *hall {
	t.Helper()
	h := &hall{town: newTown(t), bin: t.TempDir(), people: map[string]string{}}
	for d := h.bin; d != "/tmp" && d != "/"; d = filepath.Dir(d) { // control runs as its own user
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", h.bin+"/", "github.com/sekisho/sekisho/cmd/sekisho", "github.com/sekisho/sekisho/cmd/sekisho-control", "github.com/sekisho/sekisho/cmd/sekisho-broker")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	showGroups(t)
	t.Cleanup(func() {
		exec.Command(filepath.Join(h.bin, "sekisho-broker"), "forget", "--name", string(h.instance)).Run()
	})
	if err := os.RemoveAll(h.instance.Etc()); err != nil { // init writes the anchors of the example itself
		t.Fatal(err)
	}
	const roll = `{version: 1, sections: [{id: it, name: 情報政策課}], people: [
  {id: sato, name: 佐藤, section: it, role: it-admin, zones: [management]},
  {id: suzuki, name: 鈴木, section: it, role: it-admin, zones: [management]},
  {id: kansa, name: 監査, section: it, role: auditor, zones: [management]}]}`
	for name, b := range map[string][]byte{"town.yaml": examples.Lab, "people.yaml": []byte(roll)} {
		if err := os.WriteFile(filepath.Join(h.bin, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, ok := h.sekisho("", "init", "--config", filepath.Join(h.bin, "town.yaml"), "--people", filepath.Join(h.bin, "people.yaml"))
	var made struct {
		People []struct{ ID, Password string }
	}
	if at := strings.Index(out, "{"); !ok || at < 0 || json.Unmarshal([]byte(out[at:]), &made) != nil {
		t.Fatalf("init: %s", out)
	}
	t.Cleanup(func() { h.kill(t) })
	h.start(t)
	h.control(t)
	for _, p := range made.People {
		h.people[p.ID] = h.choosePassword(t, p.ID, p.Password)
	}
	return h
}

// showGroups mounts the control groups again, which init wants to see and the test's own /sys hides.
func showGroups(t *testing.T) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil {
		err = unix.Mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=0755")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH) })
	for l := range strings.Lines(string(mounts)) {
		left, right, _ := strings.Cut(l, " - ")
		at, kind := strings.Fields(left), strings.Fields(right)
		if len(at) < 5 || len(kind) < 3 || kind[0] != "cgroup" && kind[0] != "cgroup2" {
			continue
		}
		options := ""
		if kind[0] == "cgroup" {
			options = strings.TrimPrefix(strings.TrimPrefix(kind[2], "rw"), ",")
		}
		if at[4] != "/sys/fs/cgroup" {
			if err := os.Mkdir(at[4], 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Mount(kind[0], at[4], kind[0], 0, options); err != nil {
			t.Fatalf("mount %s (%s): %v", at[4], options, err)
		}
	}
}

// sekisho runs the command line of this gate and answers all that it says. The password, if any, is its input.
func (h *hall) sekisho(input string, args ...string) (string, bool) {
	c := exec.Command(filepath.Join(h.bin, "sekisho"), append([]string{args[0], "--name", string(h.instance)}, args[1:]...)...)
	if args[0] == "audit" {
		c.Args = append([]string{c.Args[0]}, args...)
	}
	c.Stdin = strings.NewReader(input + "\n")
	out, err := c.CombinedOutput()
	return string(out), err == nil
}

// loggedIn runs a command in a session for which the kernel keeps a login.
func (h *hall) loggedIn(t *testing.T, uid string, args ...string) (string, bool) {
	t.Helper()
	args = append([]string{"-c", `echo "$0" > /proc/self/loginuid && exec "$@"`, uid, filepath.Join(h.bin, "sekisho"), args[0], "--name", string(h.instance)}, args[1:]...)
	out, err := exec.Command("sh", args...).CombinedOutput()
	return string(out), err == nil
}

func (h *hall) must(t *testing.T, args ...string) string {
	t.Helper()
	switch args[0] {
	case "audit show":
		args = []string{"audit", "show", h.instance.AuditLog()}
	case "audit verify":
		args = []string{"audit", "verify", "--key", h.instance.AuditKey(), h.instance.AuditLog()}
	}
	out, ok := h.sekisho("", args...)
	if !ok {
		t.Fatalf("sekisho %s: %s", strings.Join(args, " "), out)
	}
	return out
}

func (h *hall) history(t *testing.T) (rs []revision.Revision) {
	t.Helper()
	if err := json.Unmarshal([]byte(h.must(t, "history", "--json")), &rs); err != nil || len(rs) == 0 {
		t.Fatal(err, rs)
	}
	return rs
}

// control starts the daemon as its user and waits for its socket.
func (h *hall) control(t *testing.T) {
	t.Helper()
	prepare := exec.Command(filepath.Join(h.bin, "sekisho-control"), "prepare", "--name", string(h.instance))
	if out, err := prepare.CombinedOutput(); err != nil {
		t.Fatalf("prepare: %v: %s", err, out)
	}
	if err := os.Remove(h.instance.AdminSocket()); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	h.running = exec.Command(filepath.Join(h.bin, "sekisho-control"), "--name", string(h.instance))
	h.running.Stderr, h.running.Dir = os.Stderr, "/"
	h.running.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, place.ControlUser)}
	if err := h.running.Start(); err != nil {
		t.Fatal(err)
	}
	netlab.Until(t, 20*time.Second, "control to serve", func() bool { _, err := os.Stat(h.instance.AdminSocket()); return err == nil })
}

// kill is kill -9.
func (h *hall) kill(t *testing.T) {
	t.Helper()
	if h.running != nil {
		h.running.Process.Kill()
		h.running.Wait()
		h.running = nil
	}
}

func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("%v: run hack/bootstrap", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// choosePassword is a person's first sign-in at the management zone's portal.
func (h *hall) choosePassword(t *testing.T, id, first string) string {
	t.Helper()
	fresh := "a-new-password-of-" + id
	jar := ""
	for _, step := range []struct {
		path string
		form url.Values
	}{
		{"/sign-in", url.Values{"user": {id}, "password": {first}}},
		{"/password", url.Values{"current": {first}, "new": {fresh}, "again": {fresh}}},
	} {
		c := exec.Command("curl", "-sS", "-i", "--fail-with-body", "--unix-socket", h.instance.ControlSocket(anchors.Management), "-H", "Accept: application/json", "-H", "Sec-Fetch-Site: same-origin",
			"-H", "Cookie: "+jar, "-d", step.form.Encode(), "http://gate"+step.path)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, place.PortalUser(anchors.Management))}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s as %s: %v: %s", step.path, id, err, out)
		}
		for _, l := range bytes.Split(out, []byte("\r\n")) {
			if v, ok := bytes.CutPrefix(l, []byte("Set-Cookie: ")); ok {
				jar, _, _ = strings.Cut(string(v), ";")
			}
		}
	}
	return fresh
}
