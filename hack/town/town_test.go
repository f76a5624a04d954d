package town_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/hack/town"
)

var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv("TOWN_OWNER") != "" {
			return m.Run() // the child of a test: the programs are there
		}
		if os.Getuid() != 0 {
			fmt.Fprintln(os.Stderr, "these tests make network namespaces: run them as root (make test does)")
			return 1
		}
		dir, err := os.MkdirTemp("", "sekisho-lab")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		if out, err := exec.Command("go", "build", "-o", dir+"/", "github.com/sekisho/sekisho/hack/lab", "github.com/sekisho/sekisho/cmd/...").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// fresh is a name that no other test on this machine uses, with a promise that nothing of it stays.
func fresh(t *testing.T, suffix string) town.Name {
	t.Helper()
	n, err := town.ParseName(fmt.Sprintf("t%d%s", os.Getpid(), suffix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := town.Down(n); err != nil {
			t.Error(err)
		}
		wantNothing(t, n)
	})
	return n
}

func wantNothing(t *testing.T, n town.Name) {
	t.Helper()
	left, err := town.Leftovers(n)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left over of %s: %s", n, strings.Join(left, ", "))
	}
}

func lab(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, "lab"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("lab %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestTwoTownsSideBySideAndNothingStays(t *testing.T) {
	a, b := fresh(t, "a"), fresh(t, "ab") // the one name begins the other
	lab(t, "up", "--name", string(a))
	lab(t, "up", "--name", string(b))
	works := func(n town.Name) {
		t.Helper()
		lab(t, "exec", "--name", string(n), "mn-pc1", "--", "ping", "-q", "-c1", "-W2", "198.18.10.12")
		for host, url := range map[string]string{
			"mn-pc1": "https://198.18.21.11/", "mn-pc2": "https://198.51.100.11/", "in-pc1": "http://203.0.113.11/", "lg-pc1": "https://198.18.120.2/sign-in",
		} {
			lab(t, "exec", "--name", string(n), host, "--", "curl", "-sSk", "--max-time", "5", "--retry", "5", "--retry-all-errors", url)
		}
	}
	works(a)
	works(b)
	lab(t, "down", "--name", string(a))
	wantNothing(t, a)
	works(b)
	lab(t, "down", "--name", string(b))
	wantNothing(t, b)
}

func TestStatus(t *testing.T) {
	n := fresh(t, "g")
	lab(t, "up", "--name", string(n))
	var s struct {
		Outcome string `json:"outcome"`
		Hosts   []struct {
			Name       string   `json:"name"`
			Addresses  []string `json:"addresses"`
			MAC        string   `json:"mac"`
			Registered bool     `json:"registered"`
		} `json:"hosts"`
		Portals []struct {
			Zone string `json:"zone"`
			URL  string `json:"url"`
		} `json:"portals"`
		People []town.Person `json:"people"`
	}
	if err := json.Unmarshal([]byte(lab(t, "status", "--name", string(n))), &s); err != nil {
		t.Fatal(err)
	}
	if s.Outcome != "up" || len(s.Hosts) != 14 || len(s.Portals) != 4 || len(s.People) != 6 {
		t.Errorf("outcome %q, %d hosts, %d portals, %d people; want up, 14, 4, 6", s.Outcome, len(s.Hosts), len(s.Portals), len(s.People))
	}
	for _, h := range s.Hosts {
		if h.Name == "mn-rogue" && h.Registered {
			t.Error("the rogue PC is registered")
		}
		if h.Name == "mn-pc1" && (h.MAC != "02:53:4b:10:00:11" || len(h.Addresses) != 2) {
			t.Errorf("mn-pc1: %+v, want the example configuration's MAC and two addresses", h)
		}
	}
	for _, p := range s.People {
		if p.Password == "" {
			t.Errorf("%s has no one-time password", p.ID)
		}
	}
}

func TestANameIsTakenOnce(t *testing.T) {
	n := fresh(t, "c")
	lab(t, "up", "--net-only", "--name", string(n))
	out, err := exec.Command(filepath.Join(bin, "lab"), "up", "--net-only", "--name", string(n)).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("is there already")) {
		t.Errorf("second up: %v %s, want a refusal", err, out)
	}
	lab(t, "exec", "--name", string(n), "mn-pc1", "--", "true") // the first still stands
}

func TestFoldersOfAnApplianceAreNotTouched(t *testing.T) {
	n := fresh(t, "d")
	etc := n.Instance().Etc()
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(etc) })
	if out, err := exec.Command(filepath.Join(bin, "lab"), "up", "--net-only", "--name", string(n)).CombinedOutput(); err == nil {
		t.Errorf("up beside a folder that is not the lab's: %s, want a refusal", out)
	}
	lab(t, "down", "--name", string(n))
	if _, err := os.Stat(etc); err != nil {
		t.Errorf("down removed a folder that was not the lab's: %v", err)
	}
	os.RemoveAll(etc)
}

func TestCtrlCWhileItIsBeingMade(t *testing.T) {
	n := fresh(t, "f")
	cmd := exec.Command(filepath.Join(bin, "lab"), "up", "--net-only", "--name", string(n))
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(progress)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "making") {
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err == nil {
		t.Error("an interrupted up says that all is well")
	}
	wantNothing(t, n)
}

// The owner is killed at a moment when it holds a complete town and has not dismissed its janitor.
func TestAKilledOwnerLeavesNothing(t *testing.T) {
	n := fresh(t, "e")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestOwner$")
	cmd.Env = append(os.Environ(), "TOWN_OWNER="+string(n), "TOWN_BIN="+bin)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "up" {
	}
	left, err := town.Leftovers(n)
	if err != nil || len(left) < 17 {
		t.Errorf("the owner says up, but there is only %v (%v)", left, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // ended by our signal
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if left, err = town.Leftovers(n); err == nil && len(left) == 0 {
			return
		}
	}
	t.Errorf("ten seconds after its owner was killed there is left: %v (%v)", left, err)
}

// TestOwner is the process that TestAKilledOwnerLeavesNothing kills; by itself it does nothing.
func TestOwner(t *testing.T) {
	name := os.Getenv("TOWN_OWNER")
	if name == "" {
		return
	}
	if _, err := town.Up(context.Background(), town.Name(name), town.Options{Bin: os.Getenv("TOWN_BIN"), Progress: os.Stderr, NetOnly: true}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("up")
	time.Sleep(time.Minute)
}
