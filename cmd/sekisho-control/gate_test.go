package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/antivirus/clamtest"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// asked is one HTTP request over a Unix socket, made by another user; told is its answer.
type asked struct {
	Socket, Method, Path string
	Header               http.Header
	Body                 []byte
}

type told struct {
	Status int
	Header http.Header
	Body   []byte
	Error  string
}

func TestMain(m *testing.M) {
	if os.Getenv("SEKISHO_TEST_ASK") != "" {
		ask(os.Stdin, os.Stdout)
		return
	}
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// built is where programs has put them, if it was asked.
var built string

// programs are built once for all tests of the package.
var programs = sync.OnceValues(func() (dir string, err error) {
	defer func() { built = dir }()
	if dir, err = os.MkdirTemp("", "sekisho-control-programs"); err != nil { // where all users may read
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir+"/")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // they run where there is no C library
	for _, p := range []string{"sekisho", "sekisho-control", "sekisho-release", "sekisho-broker", "sekisho-sanitize"} {
		build.Args = append(build.Args, "github.com/sekisho/sekisho/cmd/"+p)
	}
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build: %w\n%s", err, out)
	}
	return dir, os.Chmod(dir, 0o755)
})

// ask is what the test's child does, as the user that it runs as.
func ask(in io.Reader, out io.Writer) {
	var q asked
	var a told
	err := json.NewDecoder(in).Decode(&q)
	if err == nil {
		var req *http.Request
		if req, err = http.NewRequest(q.Method, "http://gate"+q.Path, bytes.NewReader(q.Body)); err == nil {
			req.Header = q.Header
			var resp *http.Response
			if resp, err = socket.Client(q.Socket).Do(req); err == nil {
				a.Status, a.Header = resp.StatusCode, resp.Header
				a.Body, err = io.ReadAll(resp.Body)
			}
		}
	}
	if err != nil {
		a.Error = err.Error()
	}
	json.NewEncoder(out).Encode(a)
}

func askAs(t *testing.T, who string, q asked) told {
	t.Helper()
	in, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/proc/self/exe")
	c.Env = []string{"SEKISHO_TEST_ASK=1"}
	c.Dir = "/"
	c.Stdin = bytes.NewReader(in)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, who)}
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("ask as %s: %v: %s", who, err, said.Bytes())
	}
	var a told
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func credential(t *testing.T, who string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(who)
	if err != nil {
		t.Fatalf("%v; hack/bootstrap adds the gate's users", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// gate is an installed gate without its dataplane: release, broker and control as they run on the box.
type gate struct {
	t       *testing.T
	i       place.Instance
	bin     string
	people  map[string]person
	running map[string]*exec.Cmd
	logs    string
}

type person struct {
	ID         string `json:"id"`
	Password   string `json:"password"`
	Passphrase string `json:"passphrase"`
}

const roll = `
version: 1
sections: [{id: soumu, name: 総務課}, {id: zeimu, name: 税務課}, {id: it, name: 情報政策課}]
people:
  - {id: suzuki, name: 鈴木, section: soumu, role: staff, zones: [lgwan, internet]}
  - {id: tanaka, name: 田中, section: soumu, role: section-head, zones: [lgwan, internet]}
  - {id: yamada, name: 山田, section: zeimu, role: section-head, zones: [lgwan, internet]}
  - {id: kato, name: 加藤, section: it, role: it-admin, zones: [management]}
  - {id: auditor, name: 監査, section: it, role: auditor, zones: [management]}
`

func newGate(t *testing.T) *gate {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test installs a gate and runs its daemons under their users: run it as root")
	}
	dir, err := os.MkdirTemp("", "sekisho-control-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gate{t: t, i: place.Instance(fmt.Sprintf("ct%d", os.Getpid())), logs: dir,
		people: map[string]person{}, running: map[string]*exec.Cmd{}}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lookAtSources(t)
	if g.bin, err = programs(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.remove)
	write := func(name string, b []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var made struct{ People []person }
	out := g.sekisho("init", "--name", string(g.i), "--config", write("town.yaml", examples.Lab), "--people", write("people.yaml", []byte(roll)))
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	for _, p := range made.People {
		g.people[p.ID] = p
	}
	if err := clamtest.Signatures(g.i.Signatures(), time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"release", "clamd", "broker", "control"} {
		g.start(d)
	}
	return g
}

// lookAtSources tells the go command, which watches what a test looks at, that this one depends on the programs' sources:
// they are built here and not linked in, and a cached success would hide any change of them.
func lookAtSources(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"../../cmd", "../../controlplane", "../../dataplane", "../../go.mod"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (g *gate) sekisho(args ...string) []byte {
	g.t.Helper()
	c := exec.Command(filepath.Join(g.bin, "sekisho"), args...)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		g.t.Fatalf("sekisho %s: %v\n%s%s", strings.Join(args, " "), err, out, said.Bytes())
	}
	return out
}

// start runs a daemon as its user and waits for its socket.
func (g *gate) start(daemon string) {
	g.t.Helper()
	log, err := os.OpenFile(filepath.Join(g.logs, daemon+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		g.t.Fatal(err)
	}
	defer log.Close()
	path := map[string]string{"release": g.i.ReleaseSocket(), "clamd": g.i.ClamdSocket(), "broker": g.i.BrokerSocket(), "control": g.i.AdminSocket()}[daemon]
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		g.t.Fatal(err)
	}
	program, who := []string{"sekisho-" + daemon}, "sekisho-"+daemon
	if daemon == "clamd" {
		program, who = []string{"sekisho-broker", "clamd"}, place.ClamdUser
	}
	c := exec.Command(filepath.Join(g.bin, program[0]), append(program[1:], "--name", string(g.i))...)
	c.Stdout, c.Stderr, c.Dir = log, log, "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: credential(g.t, who)}
	if err := c.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.running[daemon] = c
	g.eventually(10*time.Second, daemon+" to serve", func() bool { _, err := os.Stat(path); return err == nil })
}

// stop ends a daemon with a signal and answers how it ended.
func (g *gate) stop(daemon string, sig syscall.Signal) error {
	c := g.running[daemon]
	delete(g.running, daemon)
	if err := c.Process.Signal(sig); err != nil {
		g.t.Fatal(err)
	}
	return c.Wait()
}

func (g *gate) remove() {
	for name, c := range g.running {
		c.Process.Kill()
		c.Wait()
		delete(g.running, name)
	}
	if g.t.Failed() {
		for _, d := range []string{"release", "clamd", "broker", "control"} {
			b, _ := os.ReadFile(filepath.Join(g.logs, d+".log"))
			g.t.Logf("%s:\n%s", d, b)
		}
	}
	exec.Command(filepath.Join(g.bin, "sekisho-broker"), "forget", "--name", string(g.i)).Run()
	for _, d := range []string{g.i.Etc(), g.i.State(), g.i.Run()} {
		os.RemoveAll(d)
	}
}

func (g *gate) eventually(limit time.Duration, what string, ok func() bool) {
	g.t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			g.t.Fatalf("waited %v for %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (g *gate) audited(what ...string) {
	g.t.Helper()
	g.sekisho("audit", "verify", "--key", g.i.AuditKey(), g.i.AuditLog())
	all := string(g.sekisho("audit", "show", g.i.AuditLog()))
	for _, w := range what {
		if !strings.Contains(all, w) {
			g.t.Errorf("the audit log holds no %q", w)
		}
	}
}
