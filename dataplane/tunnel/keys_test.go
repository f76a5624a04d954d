package tunnel_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

func TestPresharedKeysRotateWithoutLoss(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	netlab.Until(t, 10*time.Second, "the far end talks", func() bool { return w.status(t, "tokyo-0").Talks })
	if st := w.status(t, "tokyo-0"); st.Preshared {
		t.Fatal("there is a pre-shared key that nobody asked for")
	}
	file := filepath.Join(w.o.Keys, "preshared-tokyo-0.json")
	stream := w.Tokyo.Stream(t, 5*time.Millisecond)
	seen := map[string]bool{}
	var since time.Time
	for range 4 {
		if err := w.set.Rotate("tokyo-0"); err != nil {
			t.Fatal(err)
		}
		netlab.Until(t, 10*time.Second, "the far end has the new key", func() bool {
			st := w.status(t, "tokyo-0")
			return st.Preshared && !st.Rotating && st.KeySince.After(since)
		})
		since = w.status(t, "tokyo-0").KeySince
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(b)] = true
	}
	if s := stream(); s.Lost > 0 || s.Sent < 100 {
		t.Errorf("%d of %d datagrams lost through 4 rotations, want none", s.Lost, s.Sent)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 || len(seen) != 4 {
		t.Errorf("mode %v, %v, %d different keys; want 0600 and 4", fi, err, len(seen))
	}
	// Both sides make handshakes with it: fresh engines have no session to go on with.
	before := time.Now()
	w.Tokyo.Kill(t)
	w.Tokyo.Start(t)
	killEngine(t, "wg0")
	netlab.Until(t, 30*time.Second, "a handshake with the last key", func() bool { return w.status(t, "tokyo-0").Handshake.After(before) })
	text, err := tunnel.ExportPreshared(tunnel.KeyFolder(w.o.Keys), "tokyo-0", false)
	if err != nil || len(text) != 44 {
		t.Errorf("exported %d characters, %v; want a key", len(text), err)
	}
	if b, err := json.Marshal(w.set.Status()); err != nil || strings.Contains(string(b), text) {
		t.Errorf("status shows the key (%v)", err)
	}
	if _, err := tunnel.ExportPreshared(tunnel.KeyFolder(w.o.Keys), "osaka-0", false); err == nil {
		t.Error("made a key for an end that is up without one")
	}
	if err := tunnel.ImportPreshared(tunnel.KeyFolder(w.o.Keys), "tokyo-1", strings.Repeat("A", 42)+"E="); err != nil {
		t.Fatal(err)
	}
	if err := w.set.Rotate("tokyo-1"); err == nil || !strings.Contains(err.Error(), "imported") {
		t.Errorf("rotation over an import that no commit has taken: %v, want it refused", err)
	}
	// A gate that died between telling and hearing finds out which one the far end has.
	if err := w.set.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err == nil {
		old := strings.Replace(string(b), `"key":"`+text, `"key":"`+strings.Repeat("A", 43)+`=","next":"`+text, 1)
		err = os.WriteFile(file, []byte(old), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Beside a daemon, what it is about to write over is not changed.
	v := tunnel.KeyFolder(w.o.Keys)
	if err := tunnel.ImportPreshared(v, "tokyo-0", text); err == nil || !strings.Contains(err.Error(), "being rotated") {
		t.Errorf("import while a rotation is under way: %v, want it refused", err)
	}
	if _, err := tunnel.ExportPreshared(v, "tokyo-0", true); err == nil || !strings.Contains(err.Error(), "being rotated") {
		t.Errorf("export while a rotation is under way: %v, want it refused", err)
	}
	killEngine(t, "wg0")
	w.open(t)
	netlab.Until(t, 60*time.Second, "the key that the far end has", func() bool { st := w.status(t, "tokyo-0"); return st.State != "down" && !st.Rotating })
}

func TestPeersThatCannotBe(t *testing.T) {
	o := tunnel.Options{Keys: t.TempDir(), Control: t.TempDir(), User: place.TunnelUser}
	s := tunnel.New(o)
	keys, err := s.PublicKeys([]string{"wg7"})
	if err != nil {
		t.Fatal(err)
	}
	key := "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	for want, peers := range map[string][]tunnel.Peer{
		"this device's own": {{ID: "self", PublicKey: keys["wg7"]}},
		"that of peer one":  {{ID: "one", PublicKey: key}, {ID: "two", PublicKey: key}},
		"32 bytes":          {{ID: "short", PublicKey: "QUJD"}},
	} {
		err := s.Apply(t.Context(), []tunnel.Spec{{Device: "wg7", Line: "lo", MTU: 1420, Listen: 51827, Peers: peers}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error that says %q", peers, err, want)
		}
	}
	if _, err := netlink.LinkByName("wg7"); err == nil {
		t.Error("a device was made for peers that were refused")
	}
}

// A peer that must have a pre-shared key is not brought up without it, and the others are.
func TestPeerWaitsForItsPresharedKey(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	w.set.Close()
	w.specs[0].Peers[0].Preshared = true
	killEngine(t, "wg0")
	w.open(t)
	netlab.Until(t, 20*time.Second, "the other peer of the device", func() bool { return w.status(t, "osaka-0").State == "up" })
	if st := w.status(t, "tokyo-0"); st.Up || !strings.Contains(st.Reason, "pre-shared") {
		t.Errorf("%+v: want it down for want of a pre-shared key", st)
	}
	if err := tunnel.ImportPreshared(tunnel.KeyFolder(w.o.Keys), "tokyo-0", "not a key"); err == nil {
		t.Error("imported what is no key")
	}
}

// One file that a loss of power damaged must not keep the gate from starting.
func TestDamagedPresharedKeyLeavesOutOneEnd(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	w.set.Close()
	file := filepath.Join(w.o.Keys, "preshared-tokyo-0.json")
	if err := os.WriteFile(file, []byte(`{"key":"AAA`), 0o600); err != nil {
		t.Fatal(err)
	}
	killEngine(t, "wg0")
	w.open(t)
	netlab.Until(t, 20*time.Second, "the other peer of the device", func() bool { return w.status(t, "osaka-0").State == "up" })
	if st := w.status(t, "tokyo-0"); st.Up || !strings.Contains(st.Reason, file) || !strings.Contains(st.Reason, "import it again") {
		t.Errorf("%+v: want it down, with what to do about %s", st, file)
	}
	if out := netlab.Run(t, "", "ip", "route", "get", "198.51.100.11"); !strings.Contains(out, "wg1") {
		t.Errorf("tokyo by %s, want wg1", out)
	}
	if err := w.set.Rotate("tokyo-0"); err == nil {
		t.Error("a key was rotated that nobody can read")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	netlab.Until(t, 20*time.Second, "the end, once its file is mended", func() bool { return w.status(t, "tokyo-0").State != "down" })
	// Later the memory has what the file has lost.
	if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.set.Apply(t.Context(), w.specs); err != nil {
		t.Fatal(err)
	}
	if st := w.status(t, "tokyo-0"); strings.Contains(st.Reason, file) {
		t.Errorf("%s: want it to go on with the key in memory", st.Reason)
	}
}

// killEngine ends the process that holds the device.
func killEngine(t *testing.T, device string) {
	t.Helper()
	infos, _ := filepath.Glob("/proc/[0-9]*/fdinfo/4") // where the engine has its TUN
	for _, f := range infos {
		var pid int
		fmt.Sscanf(f, "/proc/%d", &pid)
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), "iff:\t"+device+"\n") && sameNet(pid) {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no engine of %s", device)
}

func sameNet(pid int) bool {
	a, err1 := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
	b, err2 := os.Stat("/proc/self/ns/net")
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
