package bandwidth_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	. "github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

// The test binary is also the engine process and the region's gateway.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tunnel.ChildCommand {
		os.Exit(tunnel.Child(context.Background(), os.Stderr))
	}
	if len(os.Args) > 2 && os.Args[1] == "region" {
		fmt.Fprintln(os.Stderr, region.Run(context.Background(), os.Args[2], region.Options{}))
		os.Exit(1)
	}
	os.Exit(netlab.Main(m))
}

const (
	mbit     = 1_000_000
	overhead = 60
)

func plan() Tree {
	return Tree{Device: "wg0", Rate: 20 * mbit, Overhead: overhead, Classes: []Class{
		{ID: 1, Name: "core", Guarantee: 10 * mbit, Ceiling: 20 * mbit},
		{ID: 2, Name: "general", Guarantee: 6 * mbit, Ceiling: 20 * mbit, Priority: 1, Default: true},
		{ID: 3, Name: "backup", Guarantee: 2 * mbit, Ceiling: 20 * mbit, Priority: 2},
	}}
}

func TestCheckRefuses(t *testing.T) {
	cases := []struct {
		name string
		edit func(*Tree)
		want string
	}{
		{"guarantees over the line", func(t *Tree) { t.Classes[2].Guarantee = 5 * mbit }, "exceed"},
		{"sum that wraps around", func(t *Tree) {
			t.Rate = 1 << 63
			t.Classes[0].Guarantee, t.Classes[0].Ceiling = 1<<63, 1<<63
			t.Classes[1].Guarantee, t.Classes[1].Ceiling = 1<<63, 1<<63
		}, "exceed"},
		{"guarantee over its ceiling", func(t *Tree) { t.Classes[0].Ceiling = 9 * mbit }, "ceiling"},
		{"ceiling over the line", func(t *Tree) { t.Classes[0].Ceiling = 21 * mbit }, "line"},
		{"no guarantee", func(t *Tree) { t.Classes[0].Guarantee = 0 }, "guarantee"},
		{"same number twice", func(t *Tree) { t.Classes[1].ID = 1 }, "taken"},
		{"number 0", func(t *Tree) { t.Classes[1].ID = 0 }, "1..63"},
		{"number 64", func(t *Tree) { t.Classes[1].ID = 64 }, "1..63"},
		{"no default", func(t *Tree) { t.Classes[1].Default = false }, "default"},
		{"two defaults", func(t *Tree) { t.Classes[0].Default = true }, "default"},
		{"no classes", func(t *Tree) { t.Classes = nil }, "classes"},
		{"more classes than an answer holds", func(t *Tree) {
			for i := range MaxClasses - 2 {
				t.Classes = append(t.Classes, Class{ID: uint8(10 + i), Guarantee: 1000, Ceiling: 1000})
			}
		}, "at most 16"},
		{"negative overhead", func(t *Tree) { t.Overhead = -1 }, "overhead"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tree := plan()
			c.edit(&tree)
			if err := tree.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	if err := plan().Check(); err != nil {
		t.Errorf("the plan itself: %v", err)
	}
}

// The promise itself, through the real engine: whatever the others offer, a class gets its guarantee.
func TestGuaranteeUnderFlood(t *testing.T) {
	region := newTunnel(t)
	if err := Apply(plan()); err != nil {
		t.Fatal(err)
	}
	core := receive(t, region, 5001)
	general := receive(t, region, 5002)
	backup := receive(t, region, 5003)
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	send(t, ctx, &senders, 1, 5001, 1000, 10*mbit)
	send(t, ctx, &senders, 0, 5002, 1000, 12*mbit) // no class: the default one
	send(t, ctx, &senders, 3, 5003, 1300, 25*mbit)
	time.Sleep(500 * time.Millisecond) // queues fill
	c0, g0, b0 := core.Load(), general.Load(), backup.Load()
	start := time.Now()
	time.Sleep(3 * time.Second)
	d := time.Since(start).Seconds()
	rate := func(n int64) float64 { return float64(n) * 8 / d / mbit } // Mbit/s on the line
	c, g, b := rate(core.Load()-c0), rate(general.Load()-g0), rate(backup.Load()-b0)
	stop()
	senders.Wait()
	t.Logf("on the line: core %.2f of 10, general %.2f of 6, backup %.2f of 2, all %.2f of 20 Mbit/s", c, g, b, c+g+b)
	if c < 0.95*10 {
		t.Errorf("core got %.2f Mbit/s, want at least 95 %% of 10", c)
	}
	if g < 0.95*6 {
		t.Errorf("general got %.2f Mbit/s, want at least 95 %% of 6", g)
	}
	if b < 0.95*2 {
		t.Errorf("backup got %.2f Mbit/s, want at least 95 %% of 2", b)
	}
	if c+g+b > 20 {
		t.Errorf("all got %.2f Mbit/s, want no more than the line's 20", c+g+b)
	}
}

// Small packets cost most of their bytes in headers that the tunnel adds later; a shaper that does not count them overruns
// the line, and the carrier decides who waits.
func TestSmallPacketsStayBelowTheLine(t *testing.T) {
	newTunnel(t)
	slow := plan() // so slow that a busy machine can fill it with small packets
	slow.Rate = 6 * mbit
	for i := range slow.Classes {
		slow.Classes[i].Guarantee, slow.Classes[i].Ceiling = 1*mbit, slow.Rate
	}
	if err := Apply(slow); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	send(t, ctx, &senders, 3, 5003, 100, 12*mbit)
	time.Sleep(500 * time.Millisecond)
	b0, p0, start := lineCount(t, "bytes"), lineCount(t, "packets"), time.Now()
	time.Sleep(2 * time.Second)
	bytes, packets, d := lineCount(t, "bytes")-b0, lineCount(t, "packets")-p0, time.Since(start).Seconds()
	stop()
	senders.Wait()
	got := float64(bytes-14*packets) * 8 / d / mbit // without Ethernet headers
	t.Logf("on the line: %.2f of 6 Mbit/s in %d packets", got, packets)
	if got > 6 || got < 5 {
		t.Errorf("%.2f Mbit/s on the line: want just below 6", got)
	}
}

// parameters reads what the kernel's tree does with every class, by handle.
func parameters(t *testing.T) map[uint32]nl.TcHtbCopt {
	t.Helper()
	link, err := netlink.LinkByName("wg0")
	if err != nil {
		t.Fatal(err)
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETTCLASS, unix.NLM_F_DUMP)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(link.Attrs().Index)})
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWTCLASS)
	if err != nil {
		t.Fatal(err)
	}
	value := func(in []byte, of uint16) []byte {
		attrs, err := nl.ParseRouteAttr(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attrs {
			if a.Attr.Type == of {
				return a.Value
			}
		}
		return nil
	}
	out := map[uint32]nl.TcHtbCopt{}
	for _, b := range answers {
		m := nl.DeserializeTcMsg(b)
		if p := value(value(b[m.Len():], nl.TCA_OPTIONS), nl.TCA_HTB_PARMS); p != nil {
			out[m.Handle] = *nl.DeserializeTcHtbCopt(p)
		}
	}
	return out
}

// Whatever the machine's load: each packet counts as many bytes as are seen on the line, neither more nor fewer.
func TestEveryPacketCountsAsOnTheLine(t *testing.T) {
	region := newTunnel(t)
	receive(t, region, 5001)
	// The first half after a change in place: the table follows the plan.
	first := plan()
	first.Overhead = 200
	if err := errors.Join(Apply(first), Apply(plan())); err != nil {
		t.Fatal(err)
	}
	line := netlab.Listen(t, "", "wan0")
	c := dial(t, t.Context(), 1, 5001)
	defer c.Close()
	const most = 1420 - 28
	sizes := []int{0, 1, 3, 4, 5, 100, 1000, most - 13, most - 12, most - 11, most - 1, most}
	for _, size := range sizes {
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	seen := map[int]bool{}
	for _, f := range line.Frames() {
		if len(f) > 42 && f[12] == 8 && f[13] == 0 && f[29] == 1 && f[42] == 4 { // IPv4 from the gate, data
			seen[len(f)-14] = true
		}
	}
	// Probes are on the line, too: what the class should count follows from the packets' lengths, and the line must have seen each.
	var want uint64
	for _, size := range sizes {
		n := min((size+28+15)/16*16, 1420) + overhead
		want += uint64(n)
		if !seen[n] {
			t.Errorf("a packet of %d bytes of payload was not seen as %d bytes on the line", size, n)
		}
	}
	all, err := Read(plan())
	if err != nil {
		t.Fatal(err)
	}
	if counted := all[0].Bytes; counted != want || all[0].Packets != uint64(len(sizes)) || want == 0 {
		t.Errorf("class counts %d bytes in %d packets, %d bytes of %d packets were on the line", counted, all[0].Packets, want, len(sizes))
	}
	for h, c := range parameters(t) {
		if c.Rate.Overhead != 0 || c.Ceil.Overhead != 0 || c.Rate.Linklayer != nl.LINKLAYER_ETHERNET || c.Ceil.Linklayer != nl.LINKLAYER_ETHERNET {
			t.Errorf("class %x counts by itself: %+v", h, c)
		}
	}
}

func TestRootStaysBelowTheLine(t *testing.T) {
	newTunnel(t)
	if err := Apply(plan()); err != nil {
		t.Fatal(err)
	}
	have := parameters(t)
	if len(have) != 1+len(plan().Classes) {
		t.Fatalf("%d classes in the kernel, want the root and %d", len(have), len(plan().Classes))
	}
	if got, most := uint64(have[Root].Ceil.Rate)*8, plan().Rate; got >= most || got < most*98/100 {
		t.Errorf("the root runs at %d bit/s, want a little below %d", got, most)
	}
}

// A grant changes rates while packets wait: none of them may be lost, and counters go on.
func TestRatesChangeUnderLoad(t *testing.T) {
	region := newTunnel(t)
	p := plan()
	if err := Apply(p); err != nil {
		t.Fatal(err)
	}
	got := receive(t, region, 5001)
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	send(t, ctx, &senders, 1, 5001, 1000, 9*mbit)
	netlab.Until(t, 5*time.Second, "packets of the core class", func() bool { return got.Load() > 50_000 })
	for i := range 40 {
		q := plan()
		if i%2 == 0 {
			q.Rate, q.Classes[0].Ceiling, q.Classes[1].Ceiling, q.Classes[2].Ceiling = 18*mbit, 18*mbit, 12*mbit, 3*mbit
		}
		if err := Rates(q); err != nil {
			t.Fatal(err)
		}
		if ceil := uint64(parameters(t)[Root].Ceil.Rate) * 8; ceil != q.Promise() {
			t.Fatalf("root sends %d bit/s, want %d", ceil, q.Promise())
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	senders.Wait()
	time.Sleep(100 * time.Millisecond)
	all, err := Read(p)
	if err != nil {
		t.Fatal(err)
	}
	if all[0].Drops != 0 || all[0].Packets != uint64(got.Load()/(1000+28+overhead)) {
		t.Errorf("%d packets left the class with %d drops, %d arrived", all[0].Packets, all[0].Drops, got.Load()/(1000+28+overhead))
	}
}

func TestPlanChangesInPlace(t *testing.T) {
	region := newTunnel(t)
	if err := Apply(plan()); err != nil {
		t.Fatal(err)
	}
	got := receive(t, region, 5001)
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	send(t, ctx, &senders, 1, 5001, 1000, 5*mbit)
	netlab.Until(t, 5*time.Second, "packets of the core class", func() bool { return got.Load() > 100_000 })
	before, err := Read(plan())
	if err != nil {
		t.Fatal(err)
	}
	next := plan()
	next.Classes[0].Guarantee, next.Classes[1].Guarantee = 5*mbit, 11*mbit
	next.Classes = append(next.Classes[:2], Class{ID: 4, Name: "cameras", Guarantee: 1 * mbit, Ceiling: 3 * mbit, Priority: 3})
	for range 20 {
		if err := errors.Join(Apply(next), Apply(next), Apply(plan())); err != nil {
			t.Fatal(err)
		}
	}
	if err := Apply(next); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	stop()
	senders.Wait()
	after, err := Read(next)
	if err != nil {
		t.Fatal(err)
	}
	if after[0].Bytes <= before[0].Bytes || after[0].Drops != 0 {
		t.Errorf("core class after the change: %+v, before: %+v: want its counters to go on and no drop", after[0], before[0])
	}
	// With nothing under way, the counters tell whether the class is still the same one.
	if err := errors.Join(Apply(plan()), Apply(next)); err != nil {
		t.Fatal(err)
	}
	again, err := Read(next)
	if err != nil {
		t.Fatal(err)
	}
	if again[0].Bytes != after[0].Bytes {
		t.Errorf("core class counts %d bytes, %d before the last change: the class was made anew", again[0].Bytes, after[0].Bytes)
	}
	tc := netlab.Run(t, "", "tc", "class", "show", "dev", "wg0")
	for want, is := range map[string]bool{"htb 1:11 ": true, "htb 1:10 ": true, "htb 1:14 ": true, "htb 1:13 ": false, "rate 5Mbit ceil 19800Kbit": true} {
		if strings.Contains(tc, want) != is {
			t.Errorf("classes of the device contain %q = %v, want %v:\n%s", want, !is, is, tc)
		}
	}
	if err := Remove("wg0"); err != nil {
		t.Error(err)
	}
}

// A class that others leave little keeps packets for seconds; emptied, it sends none of them, and what comes later as before.
func TestEmptyDropsWhatWaits(t *testing.T) {
	region := newTunnel(t)
	p := plan()
	p.Classes[0].Guarantee, p.Classes[1].Guarantee, p.Classes[2].Guarantee = 19*mbit, mbit/4, mbit/4
	if err := Apply(p); err != nil {
		t.Fatal(err)
	}
	backup := receive(t, region, 5003)
	receive(t, region, 5001)
	ctx, stop := context.WithCancel(t.Context())
	var senders, flood sync.WaitGroup
	send(t, ctx, &senders, 1, 5001, 1300, 30*mbit)
	const packet = 1300 + 28 + overhead
	for _, emptied := range []bool{false, true} {
		flooding, enough := context.WithCancel(ctx)
		send(t, flooding, &flood, 3, 5003, 1300, 25*mbit)
		time.Sleep(300 * time.Millisecond)
		enough()
		flood.Wait()
		if emptied {
			if err := Empty(p); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // what the engine has already
		}
		before := backup.Load()
		time.Sleep(time.Second)
		if late := (backup.Load() - before) / packet; (late < 10) != emptied {
			t.Errorf("emptied %v: %d packets came later", emptied, late)
		}
	}
	if before := parameters(t); len(before) != 1+len(p.Classes) {
		t.Errorf("emptied, the tree has %d classes", len(before))
	}
	stop()
	senders.Wait()
}

func TestMeterGivesRates(t *testing.T) {
	newTunnel(t)
	if err := Apply(plan()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	var m Meter
	send(t, ctx, &senders, 1, 5001, 1000, 4*mbit)
	time.Sleep(200 * time.Millisecond)
	err1 := m.Sample([]Tree{plan()}, time.Now())
	time.Sleep(time.Second)
	err2 := m.Sample([]Tree{plan()}, time.Now())
	stop()
	senders.Wait()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	c := m.Classes()
	if len(c) != 3 || c[0].Name != "core" || c[0].Rate < 3*mbit || c[0].Rate > 5*mbit || c[2].Rate != 0 {
		t.Errorf("classes %+v: want core at about 4 Mbit/s and nothing in backup", c)
	}
}

// newTunnel brings up a real tunnel to a region and returns the region's namespace.
func newTunnel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	region := netlab.New(t, "region")
	netlab.Veth(t, "", "wan0", region, "eth0")
	netlab.Run(t, "", "ip", "addr", "add", "192.0.2.1/24", "dev", "wan0")
	netlab.Run(t, region, "ip", "addr", "add", "192.0.2.11/24", "dev", "eth0")
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	o := tunnel.Options{Control: filepath.Join(dir, "control"), Keys: filepath.Join(dir, "keys"), User: place.TunnelUser, Probe: 50 * time.Millisecond}
	s := tunnel.New(o)
	pub, err := s.PublicKeys([]string{"wg0"})
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "region.yaml")
	text := fmt.Sprintf(`{device: wg0, private-key: %q, listen: 51820, addresses: [198.51.100.1/26], routes: [198.51.100.62/32],
gate: {public-key: %q, endpoint: "192.0.2.1:51820", allowed: [198.51.100.62/32]}}`, key, pub["wg0"])
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	netlab.Start(t, region, os.Args[0], "region", conf) // under another root os.Executable names what is not there
	spec := tunnel.Spec{Device: "wg0", Line: "wan0", Listen: 51820, MTU: 1420, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.62")},
		Peers: []tunnel.Peer{{ID: "tokyo", PublicKey: key.PublicKey().String(), Endpoint: netip.MustParseAddrPort("192.0.2.11:51820"),
			Allowed: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/26")}, Probe: netip.MustParseAddrPort("198.51.100.1:7")}}}
	if err := s.Apply(t.Context(), []tunnel.Spec{spec}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if err := tunnel.Remove(o, []string{"wg0"}); err != nil {
			t.Error(err)
		}
	})
	netlab.Run(t, "", "ip", "route", "add", "198.51.100.0/26", "dev", "wg0", "src", "198.51.100.62")
	netlab.Until(t, 15*time.Second, "tunnel up", func() bool { st := s.Status(); return len(st) == 1 && st[0].Up })
	return region
}

// receive counts what arrives at a UDP port of the region, in bytes on the line.
func receive(t *testing.T, region string, port int) *atomic.Int64 {
	t.Helper()
	var n atomic.Int64
	netlab.Do(t, region, func() error {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
		if err != nil {
			return err
		}
		if err := c.SetReadBuffer(8 << 20); err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 2048)
			for {
				k, _, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				n.Add(int64(k + 28 + overhead))
			}
		}()
		return nil
	})
	return &n
}

// dial opens a UDP socket to a port of the region whose packets name a class.
func dial(t *testing.T, ctx context.Context, class uint8, port int) net.Conn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, int(Priority(class))),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20))
		}), err)
	}}
	c, err := d.DialContext(ctx, "udp4", fmt.Sprintf("198.51.100.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// send offers a class rate bit/s (line bytes counted) in packets of size bytes of payload until ctx ends.
func send(t *testing.T, ctx context.Context, wg *sync.WaitGroup, class uint8, port, size int, rate float64) {
	t.Helper()
	c := dial(t, ctx, class, port)
	wg.Go(func() {
		defer c.Close()
		b := make([]byte, size)
		start, sent := time.Now(), 0.0
		for ctx.Err() == nil {
			for ctx.Err() == nil && sent < time.Since(start).Seconds()*rate { // a slow machine never catches up
				_, _ = c.Write(b) // a full queue drops: that is the flood
				sent += float64(size+28+overhead) * 8
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func lineCount(t *testing.T, what string) int64 {
	t.Helper()
	b, err := os.ReadFile("/sys/class/net/wan0/statistics/tx_" + what)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := fmt.Sscan(string(b), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
