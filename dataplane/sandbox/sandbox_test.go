package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var probe string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if name := os.Getenv(asBroker); name != "" {
		return runAsBroker(name)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests make control groups and need root")
		return 1
	}
	dir, err := os.MkdirTemp("/var/tmp", "sekisho-probe-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	probe = filepath.Join(dir, "probe")
	if os.Getenv("SEKISHO_GUEST") != "" { // tests of groups alone run there, and no compiler does
		if err := os.Chmod(dir, 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}
	build := exec.Command("go", "build", "-o", probe, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the probe: %v\n%s", err, out)
		return 1
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func brokerUser(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("sekisho-broker")
	if err != nil {
		t.Fatalf("%v; hack/bootstrap makes the users", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func testBox(t *testing.T) *Box {
	t.Helper()
	name := fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano())
	g, err := OpenGroup(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Undelegate(name); err != nil {
			t.Error(err)
		}
	})
	return &Box{Group: g, Credential: brokerUser(t)}
}

func small() Budget {
	return Budget{Time: 20 * time.Second, CPU: 10 * time.Second, Memory: 256 << 20, Output: 1 << 20, Tasks: 64}
}

func TestProgramSeesNothingButItself(t *testing.T) {
	null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(null)
	const leak = 25 // not closed on exec, at a number that nothing else takes
	if err := syscall.Dup3(null, leak, 0); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leak)
	out, err := testBox(t).Run(t.Context(), Job{Binary: probe, Args: []string{"who"}, Budget: small()})
	if err != nil {
		t.Fatal(err)
	}
	got := string(out)
	want := "uid=65534 gid=65534 pid=1 env=PWD=/ files=0 host=sandbox\n"
	if !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if strings.Contains(got, "fd ") { // the runtime's own epoll and eventfd have no file type and are not listed
		t.Errorf("descriptors were handed in: %q", got)
	}
}

func TestBytesGoInAndOut(t *testing.T) {
	in := bytes.Repeat([]byte("関所\x00"), 100_000)
	b := small()
	b.Output = int64(len(in))
	out, err := testBox(t).Run(t.Context(), Job{Binary: probe, Args: []string{"echo"}, Stdin: bytes.NewReader(in), Budget: b})
	if err != nil || !bytes.Equal(out, in) {
		t.Fatalf("got %d bytes, %v; want %d", len(out), err, len(in))
	}
	b.Output--
	_, err = testBox(t).Run(t.Context(), Job{Binary: probe, Args: []string{"echo"}, Stdin: bytes.NewReader(in), Budget: b})
	wantKind(t, err, Output)
}

func TestForbiddenThings(t *testing.T) {
	box := testBox(t)
	for _, what := range []string{"socket", "unix-socket", "dial", "fork", "clone", "userns", "clone-userns", "ptrace", "exec", "exec-self-sealed",
		"memfd", "write-file", "read-file", "mount", "exec-memory", "kill-parent", "bpf", "io-uring", "keyctl"} {
		t.Run(what, func(t *testing.T) {
			out, err := box.Run(t.Context(), Job{Binary: probe, Args: []string{what}, Budget: small()})
			if bytes.Contains(out, []byte("done")) || err == nil && !bytes.HasPrefix(out, []byte("refused")) {
				t.Errorf("it got away with it: %q, %v", out, err)
			}
			t.Logf("%q %v", out, err)
		})
	}
}

func TestBudgets(t *testing.T) {
	box := testBox(t)
	for _, c := range []struct {
		what   string
		change func(*Budget)
		want   Kind
	}{
		{"sleep", func(b *Budget) { b.Time = time.Second }, Time},
		{"spin", func(b *Budget) { b.CPU = time.Second }, Time},
		{"spin-threads", func(b *Budget) { b.CPU = time.Second }, Time},
		{"hog", func(b *Budget) { b.Memory = 64 << 20 }, Memory},
		{"flood", func(*Budget) {}, Output},
		{"crash", func(*Budget) {}, Crash},
		{"fail", func(*Budget) {}, Crash},
		{"many-threads", func(*Budget) {}, Crash},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := small()
			c.change(&b)
			began := time.Now()
			out, err := box.Run(t.Context(), Job{Binary: probe, Args: []string{c.what}, Budget: b})
			if err == nil {
				t.Fatalf("it was let: %q", out)
			}
			wantKind(t, err, c.want)
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestErrorTextIsBoundedAndPrintable(t *testing.T) {
	for _, what := range []string{"fail", "crash"} {
		_, err := testBox(t).Run(t.Context(), Job{Binary: probe, Args: []string{what}, Budget: small()})
		wantKind(t, err, Crash)
		text := err.Error()
		if len([]rune(text)) > 450 || strings.ContainsAny(text, "\x1b\x07\n\u202e") {
			t.Errorf("%d characters: %q", len([]rune(text)), text)
		}
	}
}

func TestNoGroupNoRun(t *testing.T) {
	_, err := (&Box{Credential: brokerUser(t)}).Run(t.Context(), Job{Binary: probe, Args: []string{"who"}, Budget: small()})
	wantKind(t, err, Start)
	_, err = testBox(t).Run(t.Context(), Job{Binary: "/nonexistent", Budget: small()})
	wantKind(t, err, Start)
}

func TestDataLimitHoldsWithoutGroup(t *testing.T) {
	b := small()
	b.Memory = 200 << 20
	box := &Box{DataLimit: true, Credential: brokerUser(t)}
	if _, err := box.Run(t.Context(), Job{Binary: probe, Args: []string{"who"}, Budget: b}); err != nil {
		t.Fatal(err)
	}
	if _, err := box.Run(t.Context(), Job{Binary: probe, Args: []string{"hog"}, Budget: b}); err == nil {
		t.Fatal("the hog went on")
	}
}

func TestNothingIsLeft(t *testing.T) {
	box := testBox(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	_, err := box.Run(ctx, Job{Binary: probe, Args: []string{"spin-threads"}, Budget: small()})
	wantKind(t, err, Time)
	for _, dir := range box.Group.dirs() {
		if left, _ := filepath.Glob(filepath.Join(dir, "cell-*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if out, err := exec.Command("pgrep", "-f", probe).Output(); err == nil {
		t.Errorf("still running: %s", out)
	}
}

func TestUnprivilegedBrokerUsesItsDelegatedGroup(t *testing.T) {
	cred := brokerUser(t)
	name := fmt.Sprintf("test-%d-delegated", os.Getpid())
	for _, total := range []int64{1 << 30, 256 << 20, 512 << 20} { // again with less and with more
		if _, err := Delegate(name, int(cred.Uid), int(cred.Gid), total); err != nil {
			t.Fatal(err)
		}
		if got := totalOf(t, name); got != total {
			t.Errorf("all sandboxes together may take %d bytes, want %d", got, total)
		}
	}
	t.Cleanup(func() {
		if err := Undelegate(name); err != nil {
			t.Error(err)
		}
	})
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(filepath.Dir(probe), "as-broker") // this test program, where that user may start it
	if err := os.WriteFile(test, self, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, want string }{
		{"who", "uid=65534 gid=65534 pid=1 env=PWD=/ files=0 host=sandbox\n"},
		{"hog", string(Memory)},
		{"many-threads", string(Crash)},
	} {
		cmd := exec.Command(test)
		cmd.Env = []string{asBroker + "=" + name, "PROBE=" + probe, "WHAT=" + c.what, "PATH=/usr/bin:/bin"}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), c.want) {
			t.Errorf("%s: got %q, %v; want %q", c.what, out, err, c.want)
		}
	}
}

// totalOf reads back how much memory all cells of an instance may take.
func totalOf(t *testing.T, name string) int64 {
	t.Helper()
	g, err := locate(name)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(g.memory, "memory.limit_in_bytes")
	if g.version == 2 {
		file = filepath.Join(g.memory, "memory.max")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm()&0o022 != 0 {
		t.Errorf("the broker could lift its bound: %v %v", info.Mode(), err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAllSandboxesTogetherAreBounded: a job that stays within its own budget ends where the group's is used up.
func TestAllSandboxesTogetherAreBounded(t *testing.T) {
	cred := brokerUser(t)
	name := fmt.Sprintf("test-%d-total", os.Getpid())
	if _, err := Delegate(name, int(cred.Uid), int(cred.Gid), 64<<20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Undelegate(name); err != nil {
			t.Error(err)
		}
	})
	g, err := OpenGroup(name)
	if err != nil {
		t.Fatal(err)
	}
	b := small()
	b.Memory = 512 << 20
	_, err = (&Box{Group: g, Credential: cred}).Run(t.Context(), Job{Binary: probe, Args: []string{"hog"}, Budget: b})
	wantKind(t, err, Memory)
	const forced = 1 << 20 // the kernel charges a few pages that it cannot refuse beyond the limit; the hog asks for 512 MiB
	peak := filepath.Join(g.memory, "memory.max_usage_in_bytes")
	if g.version == 2 {
		peak = filepath.Join(g.memory, "memory.peak")
	}
	used, err := os.ReadFile(peak)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(string(used)), 10, 64); err != nil || n < 1<<20 || n > 64<<20+forced {
		t.Errorf("all sandboxes together took %d bytes (%v), bound %d", n, err, 64<<20)
	}
}

func TestTotalGrowsWithParallelAndKeepsHalfOfTheMachine(t *testing.T) {
	one, err1 := Total(1)
	many, err2 := Total(1000)
	var info syscall.Sysinfo_t
	if err := errors.Join(err1, err2, syscall.Sysinfo(&info)); err != nil {
		t.Fatal(err)
	}
	half := int64(info.Totalram) * int64(info.Unit) / 2
	if one != min(wanted(1), half) || many != min(wanted(1000), half) || wanted(1000) <= wanted(1) {
		t.Errorf("%d for one, %d for many, half of the machine is %d", one, many, half)
	}
	if pooled := wanted(1) - (1+side)*maxMemory; pooled != Helping("convert", largePooled).Memory {
		t.Errorf("%d bytes for one sandbox that waits beside one file", pooled)
	}
}

const asBroker = "SEKISHO_TEST_AS_BROKER"

// runAsBroker is what the test program does when it is started again as the broker's user.
func runAsBroker(name string) int {
	switch os.Getenv("WHAT") {
	case "group":
		d, err := openAsBroker(name)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		json.NewEncoder(os.Stdout).Encode(d)
		return 0
	case "clamd":
		if err := JoinScanner(name); err != nil {
			fmt.Println(err)
			return 1
		}
		b, _ := os.ReadFile("/proc/self/cgroup")
		os.Stdout.Write(b)
		return 0
	}
	g, err := OpenGroup(name)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	b := small()
	b.Memory, b.Tasks = 96<<20, 32
	out, err := (&Box{Group: g}).Run(context.Background(), Job{Binary: os.Getenv("PROBE"), Args: []string{os.Getenv("WHAT")}, Budget: b})
	if err != nil {
		fmt.Println(err)
		return 0
	}
	fmt.Print(string(out))
	return 0
}

func wantKind(t *testing.T, err error, want Kind) {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) || f.Kind != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
