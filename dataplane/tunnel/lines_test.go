package tunnel_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/linelab"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// town is a gate with two lines to two regions, as far as a Set makes one.
type town struct {
	*linelab.Lab
	o     tunnel.Options
	specs []tunnel.Spec
	set   *tunnel.Set
}

func newTown(t *testing.T) *town {
	t.Helper()
	dir := t.TempDir()
	w := &town{o: tunnel.Options{Control: filepath.Join(dir, "control"), Keys: filepath.Join(dir, "keys"), User: place.TunnelUser,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Moved: steer}}
	keys, err := tunnel.New(w.o).PublicKeys([]string{linelab.Device(0), linelab.Device(1)})
	if err != nil {
		t.Fatal(err)
	}
	w.Lab = linelab.New(t, [2]string{keys[linelab.Device(0)], keys[linelab.Device(1)]})
	for i := range 2 {
		spec := tunnel.Spec{Device: linelab.Device(i), Line: linelab.Line(i), Listen: 51820 + uint16(i), Contract: fmt.Sprintf("line-%d", i)}
		for _, r := range []*linelab.Region{w.Tokyo, w.Osaka} {
			spec.Addrs = append(spec.Addrs, r.Gate)
			p := tunnel.Peer{ID: fmt.Sprintf("%s-%d", r.Name, i), Region: r.Name, PublicKey: r.Ends[i].Key.PublicKey().String(), Endpoint: r.Ends[i].Endpoint,
				Allowed: []netip.Prefix{r.Prefix}, Probe: netip.AddrPortFrom(r.Probe, 7)}
			if r == w.Osaka {
				p.TakesOver = []string{"tokyo"}
			}
			spec.Peers = append(spec.Peers, p)
		}
		w.specs = append(w.specs, spec)
	}
	for _, r := range []*linelab.Region{w.Tokyo, w.Osaka} {
		netlab.Run(t, "", "ip", "route", "replace", "unreachable", r.Prefix.String(), "metric", "4278198272")
	}
	t.Cleanup(func() {
		if err := tunnel.Remove(w.o, []string{"wg0", "wg1"}); err != nil {
			t.Error(err)
		}
		netlab.Run(t, "", "ip", "route", "flush", "table", "main", "type", "unreachable")
	})
	w.open(t)
	return w
}

// steer does what the gate does with the usual class.
func steer(w ways.Ways) error {
	for i, region := range []string{"tokyo", "osaka"} {
		l, err := netlink.LinkByName(w.Devices[ways.Stream{Region: region}])
		if err != nil {
			return err
		}
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(64 * i)}), 26)
		err = netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Scope: netlink.SCOPE_LINK,
			Dst: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(26, 32)}, Src: net.IPv4(198, 51, 100, byte(64*i+62))})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *town) open(t *testing.T) {
	t.Helper()
	w.set = tunnel.New(w.o)
	if err := w.set.Apply(t.Context(), w.specs); err != nil {
		t.Fatal(err)
	}
	if err := steer(w.set.Ways()); err != nil {
		t.Fatal(err)
	}
	s := w.set
	t.Cleanup(func() { s.Close() })
}

func (w *town) waitAll(t *testing.T, state string) {
	t.Helper()
	netlab.Until(t, 40*time.Second, "all ends are "+state, func() bool {
		for _, st := range w.set.Status() {
			if st.State != state {
				return false
			}
		}
		return true
	})
}

// way is the end that carries a region.
func (w *town) way(region string) string {
	x := w.set.Ways()
	return x.Holders[ways.Place{Device: x.Devices[ways.Stream{Region: region}], Region: region}]
}

func (w *town) status(t *testing.T, peer string) tunnel.Status {
	t.Helper()
	for _, st := range w.set.Status() {
		if st.Peer == peer {
			return st
		}
	}
	t.Fatalf("no end %s", peer)
	return tunnel.Status{}
}

// talkTCP says something over an open connection every few milliseconds and returns what the longest wait for an answer was.
func talkTCP(t *testing.T, r *linelab.Region) (stop func() (longest time.Duration, err error)) {
	t.Helper()
	c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(r.App, 6000).String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	end, done := make(chan struct{}), make(chan error)
	var longest time.Duration
	go func() {
		b := make([]byte, len(linelab.Secret))
		for {
			select {
			case <-end:
				done <- nil
				return
			case <-time.After(5 * time.Millisecond):
			}
			at := time.Now()
			_ = c.SetDeadline(at.Add(20 * time.Second))
			if _, err := c.Write([]byte(linelab.Secret)); err != nil {
				done <- err
				return
			}
			if _, err := io.ReadFull(c, b); err != nil {
				done <- err
				return
			}
			longest = max(longest, time.Since(at))
		}
	}()
	return func() (time.Duration, error) {
		close(end)
		err := <-done
		c.Close()
		return longest, err
	}
}

func TestLineIsLeftWithinASecond(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	if got := w.way("tokyo"); got != "tokyo-0" {
		t.Fatalf("tokyo goes by %s, want the first line", got)
	}
	tcp, stream := talkTCP(t, w.Tokyo), w.Tokyo.Stream(t, 5*time.Millisecond)
	time.Sleep(500 * time.Millisecond)
	w.Cut(0)
	netlab.Until(t, 5*time.Second, "tokyo goes by the other line", func() bool { return w.way("tokyo") == "tokyo-1" })
	time.Sleep(time.Second)
	seen := stream()
	t.Logf("cut: %d of %d datagrams lost, longest gap %s", seen.Lost, seen.Sent, seen.LongestGap)
	if seen.LongestGap > time.Second || seen.LongestGap < 100*time.Millisecond {
		t.Errorf("the first answer by the other line came %s after the last by the first, want at most 1 s (and a gap at all)", seen.LongestGap)
	}
	w.Mend(0)
	mended := time.Now()
	netlab.Until(t, 5*time.Second, "the first line answers again", func() bool { return w.status(t, "tokyo-0").State == "held" })
	stream = w.Tokyo.Stream(t, 5*time.Millisecond)
	netlab.Until(t, 30*time.Second, "tokyo goes by the first line again", func() bool { return w.way("tokyo") == "tokyo-0" })
	if held := time.Since(mended); held < 10*time.Second {
		t.Errorf("it came back after %s, want at least 10 s", held)
	}
	time.Sleep(300 * time.Millisecond)
	if seen := stream(); seen.Lost > 0 {
		t.Errorf("%d of %d datagrams lost on the way back, want none: both lines work", seen.Lost, seen.Sent)
	}
	if longest, err := tcp(); err != nil || longest > 2*time.Second {
		t.Errorf("TCP connection: longest wait %s, %v; want it to go on", longest, err)
	}
}

func TestAnotherRegionCarriesThePrefixes(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	line := [2]*netlab.Capture{netlab.Listen(t, "", "wan0"), netlab.Listen(t, "", "wan1")}
	tcp, stream := talkTCP(t, w.Osaka), w.Tokyo.Stream(t, 5*time.Millisecond)
	time.Sleep(300 * time.Millisecond)
	w.Cut(0, w.Tokyo)
	w.Cut(1, w.Tokyo)
	netlab.Until(t, 5*time.Second, "osaka carries tokyo's prefixes", func() bool { return w.way("tokyo") == "osaka-0" })
	time.Sleep(500 * time.Millisecond)
	seen := stream()
	t.Logf("region failover: longest gap %s", seen.LongestGap)
	if seen.LongestGap > time.Second || seen.Lost == seen.Sent {
		t.Errorf("longest gap %s (%d of %d lost), want at most 1 s", seen.LongestGap, seen.Lost, seen.Sent)
	}
	if st := w.status(t, "osaka-0"); fmt.Sprint(st.Carries) != "[osaka tokyo]" {
		t.Errorf("osaka carries %v, want osaka and tokyo", st.Carries)
	}
	w.Mend(0)
	netlab.Until(t, 30*time.Second, "tokyo carries its own", func() bool { return w.way("tokyo") == "tokyo-0" })
	stream = w.Tokyo.Stream(t, 5*time.Millisecond)
	time.Sleep(300 * time.Millisecond)
	if seen := stream(); seen.Lost > 0 {
		t.Errorf("%d of %d datagrams lost after the prefixes came back, want none", seen.Lost, seen.Sent)
	}
	if _, err := tcp(); err != nil {
		t.Errorf("the other region's connection: %v; want it undisturbed", err)
	}
	for i := range line {
		if n := linelab.Clear(line[i].Frames()); n > 0 {
			t.Errorf("%d frames in clear on line %d, want none", n, i)
		}
	}
}

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
	text, err := tunnel.ExportPreshared(tunnel.KeyFolder(w.o.Keys), "tokyo-0")
	if err != nil || len(text) != 44 {
		t.Errorf("exported %d characters, %v; want a key", len(text), err)
	}
	if b, err := json.Marshal(w.set.Status()); err != nil || strings.Contains(string(b), text) {
		t.Errorf("status shows the key (%v)", err)
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
	killEngine(t, "wg0")
	w.open(t)
	netlab.Until(t, 60*time.Second, "the key that the far end has", func() bool { st := w.status(t, "tokyo-0"); return st.State != "down" && !st.Rotating })
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

func TestMTUIsFoundInsideTheTunnel(t *testing.T) {
	cases := []struct {
		name   string
		narrow func(t *testing.T)
	}{
		{"the carrier says that packets are too big", func(t *testing.T) {
			netlab.Run(t, "carrier0", "ip", "link", "set", "tokyo", "mtu", "1400")
		}},
		{"the carrier loses them in silence", func(t *testing.T) {
			netlab.Run(t, "carrier0", "nft", "add rule ip cut forward ip length > 1400 drop")
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newTown(t)
			c.narrow(t)
			w.waitAll(t, "up")
			netlab.Until(t, 40*time.Second, "the MTU of both lines", func() bool {
				return w.status(t, "tokyo-0").Passes > 0 && w.status(t, "tokyo-1").Passes > 0 && w.status(t, "tokyo-0").MTU == w.status(t, "tokyo-0").Passes
			})
			// 60 bytes of cost, and what is encrypted is a multiple of 16.
			if st := w.status(t, "tokyo-0"); st.Passes < 1324 || st.Passes > 1340 || st.MTU != st.Passes || st.LineMTU != 1500 {
				t.Errorf("narrow line: %d pass, device %d, line %d; want 1324..1340 in the device too, and 1500", st.Passes, st.MTU, st.LineMTU)
			}
			if st := w.status(t, "tokyo-1"); st.Passes != 1420 || st.MTU != 1420 || st.Trouble != "" {
				t.Errorf("other line: %d pass, device %d, %q; want 1420 and no trouble", st.Passes, st.MTU, st.Trouble)
			}
			// One that is set too large is named.
			w.specs[0].MTU = 1400
			if err := w.set.Apply(t.Context(), w.specs); err != nil {
				t.Fatal(err)
			}
			w.set.Close()
			w.open(t)
			netlab.Until(t, 40*time.Second, "trouble with MTU 1400", func() bool { return strings.Contains(w.status(t, "tokyo-0").Trouble, "1400") })
		})
	}
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

// Garbage at the ports, as fast as one can send it, must neither end a tunnel nor stop the others.
func TestGarbageAtThePort(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	stream := w.Tokyo.Stream(t, 10*time.Millisecond)
	sent := 0
	netlab.Do(t, "carrier0", func() error { // the line itself is hostile
		c, err := net.Dial("udp4", "192.0.2.1:51820")
		if err != nil {
			return err
		}
		defer c.Close()
		b := make([]byte, 148)
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); sent++ {
			b[0] = byte(1 + sent%4) // a handshake's, an answer's, a cookie's, data's type
			binary.BigEndian.PutUint64(b[8:], uint64(sent)*0x9e3779b97f4a7c15)
			_, _ = c.Write(b[:32+sent%117])
		}
		return nil
	})
	seen := stream()
	t.Logf("%d datagrams of garbage; %d of %d of ours lost", sent, seen.Lost, seen.Sent)
	if sent < 1000 || seen.Lost == seen.Sent {
		t.Errorf("nothing came through beside %d datagrams of garbage", sent)
	}
	netlab.Until(t, 5*time.Second, "the tunnels stand", func() bool {
		return w.status(t, "tokyo-1").State == "up" && w.status(t, "osaka-1").State == "up" && w.way("tokyo") != ""
	})
	stream = w.Tokyo.Stream(t, 5*time.Millisecond)
	time.Sleep(300 * time.Millisecond)
	if seen := stream(); seen.Lost > 0 {
		t.Errorf("%d of %d datagrams lost after the garbage, want none", seen.Lost, seen.Sent)
	}
}

// The daemon's part of what tunnels cost when nothing is sent; engines come on top.
func TestIdleCost(t *testing.T) {
	w := newTown(t)
	w.waitAll(t, "up")
	time.Sleep(3 * time.Second) // the search for the MTU is over
	for i := range 2 {
		w.set.Classes(linelab.Device(i), []uint8{1, 2, 3, 4})
	}
	self, all := cpu(t), engines(t)
	const span = 10 * time.Second
	time.Sleep(span)
	self, all = cpu(t)-self, engines(t)-all
	t.Logf("of a core: %.2f %% by the daemon, %.2f %% by two engines", 100*self.Seconds()/span.Seconds(), 100*all.Seconds()/span.Seconds())
	if self > span/50 { // half of it on a machine that does nothing else
		t.Errorf("asking four ends in four queues took %s of %s, want at most 2 %%", self, span)
	}
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// engines is what the engines of this namespace have used.
func engines(t *testing.T) (sum time.Duration) {
	t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range stats {
		var pid int
		fmt.Sscanf(f, "/proc/%d", &pid)
		b, err := os.ReadFile(f)
		if err != nil || pid == os.Getpid() || !sameNet(pid) {
			continue
		}
		var user, system int64
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
		sum += time.Duration(user+system) * 10 * time.Millisecond
	}
	return sum
}
