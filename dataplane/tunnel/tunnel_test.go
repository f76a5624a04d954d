package tunnel

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// bench is a gate (the test's own namespace) with a line to one region, and a default route over the line: what leaves in
// clear would leave there.
type bench struct {
	options Options
	spec    Spec
	region  string // namespace
	far     *exec.Cmd
	conf    string // the far end's
	secret  []byte // payload that must not be seen on the line
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b, key, pub := newLine(t)
	b.conf = filepath.Join(t.TempDir(), "region.yaml")
	text := fmt.Sprintf(`{device: wg0, private-key: %q, listen: 51820, addresses: [198.51.100.1/26], routes: [198.51.100.62/32],
gate: {public-key: %q, endpoint: "192.0.2.1:51820", allowed: [198.51.100.62/32]}}`, key, pub)
	if err := os.WriteFile(b.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.startFar(t)
	return b
}

func (b *bench) startFar(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b.far = netlab.Start(t, b.region, exe, "region", b.conf)
	b.waitListening(t)
}

// newLine is a bench whose far end is not there yet. key: the far end's, pub: the gate's public one.
func newLine(t *testing.T) (b *bench, key wgtypes.Key, pub string) {
	t.Helper()
	dir := t.TempDir()
	region := netlab.New(t, "region")
	netlab.Veth(t, "", "wan0", region, "eth0")
	netlab.Run(t, "", "ip", "addr", "add", "192.0.2.1/24", "dev", "wan0")
	netlab.Run(t, region, "ip", "addr", "add", "192.0.2.11/24", "dev", "eth0")
	netlab.Run(t, "", "ip", "route", "add", "default", "via", "192.0.2.11", "dev", "wan0")
	netlab.Run(t, "", "ip", "route", "add", "unreachable", "198.51.100.0/26", "metric", "4278198272")
	t.Cleanup(func() { netlab.Run(t, "", "ip", "route", "flush", "table", "main", "type", "unreachable") })

	b = &bench{
		options: Options{Control: filepath.Join(dir, "control"), Keys: filepath.Join(dir, "keys"), User: place.TunnelUser,
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Probe: 50 * time.Millisecond},
		region: region, secret: []byte("resident register, in clear"),
	}
	var err error
	if key, err = wgtypes.GeneratePrivateKey(); err != nil {
		t.Fatal(err)
	}
	b.spec = Spec{
		Device: "wg0", Line: "wan0", Listen: 51820, MTU: 1420, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.62")},
		Peers: []Peer{{ID: "tokyo", PublicKey: key.PublicKey().String(), Endpoint: netip.MustParseAddrPort("192.0.2.11:51820"),
			Allowed: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/26")}, Probe: netip.MustParseAddrPort("198.51.100.1:7")}},
	}
	keys, err := New(b.options).PublicKeys([]string{"wg0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(b.options, []string{"wg0"}); err != nil {
			t.Error(err)
		}
	})
	return b, key, keys["wg0"]
}

// waitListening waits for the far end's port.
func (b *bench) waitListening(t *testing.T) {
	t.Helper()
	netlab.Until(t, 30*time.Second, "the region listens: a handshake that it misses is tried again after 5 s", func() bool {
		out, err := netlab.Try(b.region, "ss", "-Hlun", "sport", "=", ":51820")
		return err == nil && out != ""
	})
}

// open is one daemon's view: a Set with the specification applied and the route into the tunnel.
func (b *bench) open(t *testing.T) *Set {
	t.Helper()
	s := New(b.options)
	if err := s.Apply(t.Context(), []Spec{b.spec}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	netlab.Run(t, "", "ip", "route", "replace", "198.51.100.0/26", "dev", "wg0", "src", "198.51.100.62")
	return s
}

func (b *bench) waitUp(t *testing.T, s *Set, up bool) {
	t.Helper()
	// A handshake that is lost is tried again after 5 s.
	netlab.Until(t, 30*time.Second, fmt.Sprintf("tunnel up = %v", up), func() bool {
		st := s.Status()
		return len(st) == 1 && st[0].Up == up
	})
}

// sendSecrets sends the payload to the region every few milliseconds until the returned function is called.
func (b *bench) sendSecrets(t *testing.T) (stop func()) {
	t.Helper()
	c, err := net.ListenUDP("udp4", nil) // unconnected: an unreachable route is an error of one send only
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		to := &net.UDPAddr{IP: net.IPv4(198, 51, 100, 11), Port: 5000}
		for ctx.Err() == nil {
			_, _ = c.WriteTo(b.secret, to)
			time.Sleep(2 * time.Millisecond)
		}
	}()
	return func() { cancel(); <-done; c.Close() }
}

// clear counts frames on the line that carry the payload or an inner address.
func (b *bench) clear(frames [][]byte) (n int) {
	for _, f := range frames {
		if bytes.Contains(f, b.secret) || netlab.Carries(f, netip.MustParsePrefix("198.51.100.0/24")) {
			n++
		}
	}
	return n
}

// enginePID finds the engine by what the kernel says of its descriptors.
func enginePID(t *testing.T) int {
	t.Helper()
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		var pid int
		fmt.Sscanf(p, "/proc/%d", &pid)
		if pid != os.Getpid() && holdsTUN(pid, "wg0") && uidOf(pid) != 0 {
			return pid
		}
	}
	return 0
}

func TestTunnelComesUpAndTellsItsState(t *testing.T) {
	b := newBench(t)
	s := b.open(t)
	b.waitUp(t, s, true)
	st := s.Status()[0]
	if st.Region != "tokyo" || st.Device != "wg0" || st.Engine != "embedded" || st.RTT <= 0 || time.Since(st.Handshake) > time.Minute || st.Rx == 0 || st.Tx == 0 {
		t.Errorf("status %+v: want region tokyo on wg0 with a round trip, a fresh handshake and bytes", st)
	}
	// The handshake stays fresh for minutes; only the probe can notice a cut line in time.
	netlab.Run(t, b.region, "ip", "link", "set", "eth0", "down")
	b.waitUp(t, s, false)
	if st := s.Status()[0]; !strings.Contains(st.Reason, "probe") {
		t.Errorf("reason %q: want the probe named", st.Reason)
	}
	netlab.Run(t, b.region, "ip", "link", "set", "eth0", "up")
	b.waitUp(t, s, true)
}

func TestEngineHasNoRights(t *testing.T) {
	b := newBench(t)
	s := b.open(t)
	b.waitUp(t, s, true)
	pid := enginePID(t)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "Cap") && strings.Trim(f[1], "0") != "":
			t.Errorf("engine: %s: want none", strings.TrimSpace(line))
		case strings.HasPrefix(line, "Uid:") && slices.Contains(f[1:], "0"):
			t.Errorf("engine: %s: want no root", strings.TrimSpace(line))
		case strings.HasPrefix(line, "NoNewPrivs:") && f[1] != "1":
			t.Errorf("engine: %s: want 1", strings.TrimSpace(line))
		}
	}
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || len(env) > 0 {
		t.Errorf("engine's environment %q, %v: want none", env, err)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
		if !strings.HasPrefix(to, "socket:") && !strings.HasPrefix(to, "anon_inode:") && to != "/dev/net/tun" && to != "/dev/null" && int(fd.Name()[0]-'0') > 2 {
			t.Errorf("engine holds %s: want sockets and the TUN only", to)
		}
	}
	if err := withoutRights(); err == nil {
		t.Error("the engine would run as root: want it to refuse")
	}
}

// Whatever else keeps the processors busy, packets that have passed the shaper shall not wait for it.
func TestWhoeverEncryptsComesFirst(t *testing.T) {
	b := newBench(t)
	b.waitUp(t, b.open(t), true)
	for _, pid := range []string{strconv.Itoa(enginePID(t)), strconv.Itoa(b.far.Process.Pid)} {
		if session, err := os.ReadFile("/proc/" + pid + "/autogroup"); pid == strconv.Itoa(enginePID(t)) && err == nil && !strings.HasSuffix(strings.TrimSpace(string(session)), "nice "+strconv.Itoa(urgency)) {
			t.Errorf("session of the engine: %q, want nice %d", session, urgency)
		}
		threads, err := filepath.Glob("/proc/" + pid + "/task/*/stat")
		if err != nil || len(threads) == 0 {
			t.Fatalf("threads of process %s: %v, %v", pid, threads, err)
		}
		for _, f := range threads {
			stat, err := os.ReadFile(f)
			if err != nil {
				continue // a thread that has just ended
			}
			after := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
			if nice := after[16]; nice != strconv.Itoa(urgency) {
				t.Errorf("%s: nice %s, want %d", f, nice, urgency)
			}
		}
	}
}

// A far end that was started anew knows nothing of the session with which the gate goes on.
func TestARestartedFarEndIsBackSoon(t *testing.T) {
	b := newBench(t)
	s := b.open(t)
	b.waitUp(t, s, true)
	if err := b.far.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = b.far.Wait() // it was killed
	b.startFar(t)
	since := time.Now()
	b.waitUp(t, s, false)
	b.waitUp(t, s, true)
	if took := time.Since(since); took > 8*time.Second { // one attempt may be lost, which is made again after 5 s
		t.Errorf("up again %s after the far end", took)
	}
}

// The daemon's death must not cut the regions off, and its successor must take over what runs.
func TestNextDaemonAdoptsTheEngine(t *testing.T) {
	b := newBench(t)
	first := b.open(t)
	b.waitUp(t, first, true)
	pid := enginePID(t)
	keys := first.Status()[0].Handshake
	first.Close()
	if now := enginePID(t); now != pid || pid == 0 {
		t.Fatalf("engine process %d after the daemon closed, want %d", now, pid)
	}
	second := b.open(t)
	b.waitUp(t, second, true)
	if now := enginePID(t); now != pid {
		t.Errorf("engine process %d after adoption, want %d", now, pid)
	}
	if st := second.Status()[0]; !st.Handshake.Equal(keys) {
		t.Errorf("handshake at %s after adoption, want the one at %s still to serve", st.Handshake, keys)
	}
	// An engine that cannot be reached holds the device; it must give way.
	second.Close()
	if err := os.Remove(filepath.Join(b.options.Control, "wg0.sock")); err != nil {
		t.Fatal(err)
	}
	third := b.open(t)
	b.waitUp(t, third, true)
	if now := enginePID(t); now == pid || now == 0 {
		t.Errorf("engine process %d after the control socket was lost, want another than %d", now, pid)
	}
}

func TestNothingLeavesInClear(t *testing.T) {
	cases := []struct {
		name    string
		breakIt func(t *testing.T, s *Set)
	}{
		{"engine killed", func(t *testing.T, s *Set) { kill(t, enginePID(t)) }},
		{"engine stopped", func(t *testing.T, s *Set) { hit(t, enginePID(t), unix.SIGSTOP) }},
		{"daemon gone, then engine killed", func(t *testing.T, s *Set) { s.Close(); kill(t, enginePID(t)) }},
		{"device deleted", func(t *testing.T, s *Set) { s.Close(); netlab.Run(t, "", "ip", "link", "del", "wg0") }},
		{"device down", func(t *testing.T, s *Set) { netlab.Run(t, "", "ip", "link", "set", "wg0", "down") }},
		{"peer removed", func(t *testing.T, s *Set) {
			if err := s.Apply(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			s := b.open(t)
			b.waitUp(t, s, true)
			line := netlab.Listen(t, "", "wan0")
			stop := b.sendSecrets(t)
			defer stop()
			netlab.Until(t, 5*time.Second, "encrypted packets on the line", func() bool { return len(line.Frames()) > 20 })
			c.breakIt(t, s)
			time.Sleep(600 * time.Millisecond) // traffic goes on into the broken tunnel
			stop()
			if _, err := os.Stat("/sys/class/net/wg0"); err != nil && strings.HasSuffix(c.name, "killed") {
				t.Errorf("the device went with its engine (%v): want it to stay and swallow packets", err)
			}
			if n := b.clear(line.Frames()); n > 0 {
				t.Errorf("%d frames in clear on the line, want none", n)
			}
		})
	}
}

func TestEngineIsReplacedWhenItDies(t *testing.T) {
	b := newBench(t)
	s := b.open(t)
	b.waitUp(t, s, true)
	pid := enginePID(t)
	kill(t, pid)
	netlab.Until(t, 10*time.Second, "a new engine", func() bool { n := enginePID(t); return n != 0 && n != pid })
	b.waitUp(t, s, true)
}

// A capture that cannot see clear text would make the tests above worthless.
func TestCaptureSeesClearText(t *testing.T) {
	b := newBench(t)
	line := netlab.Listen(t, "", "wan0")
	netlab.Run(t, "", "ip", "route", "flush", "table", "main", "type", "unreachable")
	stop := b.sendSecrets(t)
	netlab.Until(t, 5*time.Second, "clear text by the default route", func() bool { return b.clear(line.Frames()) > 0 })
	stop()
}

func TestKeysAreKeptPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	k1, err := loadKey(folder(dir), "wg0")
	if err != nil {
		t.Fatal(err)
	}
	k2, err := loadKey(folder(dir), "wg0")
	if err != nil || k1 != k2 {
		t.Errorf("second read differs (%v): want the key kept", err)
	}
	fi, err := os.Stat(filepath.Join(dir, "wireguard-wg0.key"))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: want 0600", fi.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wireguard-wg1.key"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKey(folder(dir), "wg1"); err == nil {
		t.Error("a damaged key was replaced silently: regions would refuse us without a word")
	}
}

func kill(t *testing.T, pid int) { t.Helper(); hit(t, pid, unix.SIGKILL) }

func hit(t *testing.T, pid int, s unix.Signal) {
	t.Helper()
	if pid <= 1 {
		t.Fatal("no engine process to signal")
	}
	if err := unix.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}
