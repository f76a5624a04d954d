package packet

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// expectDrop runs f and wants the counter of a reason to rise.
func (w *town) expectDrop(c *Core, reason string, f func()) {
	w.t.Helper()
	before := w.drops(c, reason)
	f()
	for deadline := time.Now().Add(2 * time.Second); w.drops(c, reason) == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().Before(deadline) {
			continue // the packet may still be on its way
		}
		n, _ := c.Counters()
		w.t.Errorf("%s did not rise; reasons %v", reason, n.Reasons)
		return
	}
}

// dial opens a TCP connection from the gate itself.
func (w *town) dial(from, to string) error {
	d := net.Dialer{Timeout: 700 * time.Millisecond}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := d.Dial("tcp", to)
	if err != nil {
		return err
	}
	return conn.Close()
}

// gateSends sends a datagram from the gate itself.
func (w *town) gateSends(from, to string) error {
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from), Port: 4000}}
	conn, err := d.Dial("udp", to)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("x"))
	return err
}

func TestGateItselfNeedsACell(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	w.serve("lgasp", "443")
	swap(t, c, townTables())
	w.expectDrop(c, "no-cell", func() {
		if err := w.dial("", "198.18.21.11:443"); err == nil {
			t.Error("the gate opened a connection that no cell allows")
		}
	})
	swap(t, c, townTables(Cell{Src: 32, Dst: 22, Port: 1, Rule: 1}))
	for _, to := range []string{"198.18.21.11:443", "[2001:db8:21::11]:443"} {
		if err := w.dial("", to); err != nil {
			n, _ := c.Counters()
			t.Errorf("the gate does not reach %s, which a cell allows: %v; %v", to, err, n.Reasons)
		}
	}
	w.expectDrop(c, "egress-wrong-port", func() {
		if err := w.dial("198.18.10.1", "198.18.21.11:443"); err == nil {
			t.Error("the gate spoke with an address of another segment")
		}
	})
	// A policy that lies: the gate's address in LGWAN may speak to the internet. The anchors say no.
	swap(t, c, townTables(Cell{Src: 33, Dst: 22, Port: 1, Rule: 1}, Cell{Src: 32, Dst: 23, Port: 1, Rule: 1}))
	w.serve("inweb", "443")
	// It must not fail for want of a neighbour: an ARP request in the name of another segment is refused as well.
	run(t, "ip", "neigh", "replace", "203.0.113.11", "lladdr", w.hosts["inweb"].mac, "dev", "inw0", "nud", "permanent")
	w.expectDrop(c, "egress-wrong-port", func() {
		if err := w.dial("198.18.21.1", "203.0.113.11:443"); err == nil {
			t.Error("the gate joined two zones")
		}
	})
}

func TestGateSpeaksOnlyForItselfToNeighbours(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables())
	run(t, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1") // what the stack tells of its groups would be refused as well
	// By a raw socket, which asks no routing table.
	arp := func(sender string) []byte {
		return unhex(t, "020000002111 020000000001 0806 0001 0800 06 04 0002 020000000001"+sender+"020000002111 c612150b")
	}
	for _, x := range []struct{ what, sender, reason string }{
		{"its own address", "c6121501", ""},
		{"a station's address", "c612154d", "gate-refused"},
		{"its address of another segment", "c6120a01", "gate-refused"},
	} {
		s := w.sniff("lgasp", "arp and ether src 02:00:00:00:00:01")
		before := w.drops(c, "gate-refused")
		cmd := exec.Command("socat", "-u", "-", "INTERFACE:lga0")
		cmd.Stdin = strings.NewReader(string(arp(x.sender)))
		// A frame that the program refuses is an error of the sender's system call.
		if out, err := cmd.CombinedOutput(); err != nil && x.reason == "" {
			t.Fatalf("send: %v\n%s", err, out)
		}
		seen := s.stop()
		if refused := w.drops(c, "gate-refused") - before; len(seen) != 1-int(refused) || (refused == 1) != (x.reason != "") {
			t.Errorf("%s: arrived %q, refused %d", x.what, seen, refused)
		}
	}
}

func TestGateAnswersWhatItLetUp(t *testing.T) {
	w := newTown(t)
	c := w.open()
	run(t, "ip", "link", "set", "lga0", "mtu", "1400")
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 1}, Cell{Src: 21, Dst: 31, Port: 3, Rule: 2}))
	ping := func(args ...string) string {
		out, _ := w.in("mnpc", append([]string{"ping", "-n", "-c", "1", "-W", "1"}, args...)...).CombinedOutput()
		return string(out)
	}
	for _, x := range []struct {
		what, want string
		args       []string
	}{
		{"a neighbour is resolved", "1 received", []string{"198.18.21.11"}},
		{"a neighbour is resolved over IPv6", "1 received", []string{"2001:db8:21::11"}},
		{"the gate's own address", "1 received", []string{"198.18.10.1"}},
		{"the gate's own address over IPv6", "1 received", []string{"2001:db8:10::1"}},
		{"time exceeded", "From 198.18.10.1 icmp_seq=1 Time to live exceeded", []string{"-t", "1", "198.18.21.11"}},
		{"time exceeded over IPv6", "From 2001:db8:10::1 icmp_seq=1 Time exceeded", []string{"-t", "1", "2001:db8:21::11"}},
		{"too big", "mtu = 1400", []string{"-M", "do", "-s", "1450", "198.18.21.11"}},
		{"too big over IPv6", "mtu=1400", []string{"-M", "do", "-s", "1450", "2001:db8:21::11"}},
	} {
		out := ping(x.args...)
		for range 4 { // IPv6 addresses become usable a while after the carrier
			if strings.Contains(out, x.want) {
				break
			}
			out = ping(x.args...)
		}
		if !strings.Contains(out, x.want) {
			n, _ := c.Counters()
			t.Errorf("%s: ping said\n%swant %q; %v", x.what, out, x.want, n.Reasons)
		}
	}
	w.expectDrop(c, "no-cell", func() {
		if out, err := w.in("lgasp", "ping", "-n", "-c", "1", "-W", "1", "198.18.10.11").CombinedOutput(); err == nil {
			t.Errorf("the answering side may ask: %s", out)
		}
	})
}

func TestStationBinding(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	w.serve("lgasp", "443")
	in := func(args ...string) { run(t, append([]string{"ip", "netns", "exec", w.hosts["mnpc"].ns}, args...)...) }
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Fatal("the registered station does not pass")
	}
	gate := strings.Fields(run(t, "ip", "-br", "link", "show", "mn0"))[2]
	deny := func(reason string) {
		t.Helper()
		w.expectDrop(c, reason, func() {
			if w.reaches("mnpc", "198.18.21.11", "443") {
				t.Errorf("%s: the connection passed", reason)
			}
		})
	}

	// The registered address from another network card: it cannot even resolve the gate, nor speak when it knows the way.
	in("ip", "link", "set", "eth0", "address", "02:00:00:00:10:66")
	in("ip", "neigh", "flush", "dev", "eth0")
	deny("neighbour-binding")
	in("ip", "neigh", "replace", "198.18.10.1", "lladdr", gate, "dev", "eth0", "nud", "permanent")
	deny("station-mac-mismatch")

	// The registered card with an address that nobody registered, and with one of another segment.
	in("ip", "link", "set", "eth0", "address", w.hosts["mnpc"].mac)
	for addr, reason := range map[string]string{"198.18.10.66": "station-unregistered", "203.0.113.11": "source-not-in-segment", "198.18.10.1": "station-unregistered"} {
		in("ip", "addr", "flush", "dev", "eth0")
		in("ip", "addr", "add", addr+"/32", "dev", "eth0")
		in("ip", "neigh", "replace", "198.18.10.2", "lladdr", gate, "dev", "eth0", "nud", "permanent") // some name for the gate
		in("ip", "route", "replace", "198.18.10.2", "dev", "eth0")
		in("ip", "route", "replace", "default", "via", "198.18.10.2")
		deny(reason)
	}
}

func TestNeighbourTableCannotBePoisoned(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	w.serve("lgasp", "443")
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Fatal("an allowed connection does not pass")
	}
	// A reply in lgasp's name, another one that claims it behind a registered frame address, and a gratuitous one.
	gate := unhex(t, strings.ReplaceAll(strings.Fields(run(t, "ip", "-br", "link", "show", "lga0"))[2], ":", ""))
	arp := func(smac, claimed, sender, target string) []byte {
		return append(append(append([]byte{}, gate...), unhex(t, smac)...), unhex(t, "0806 0001 0800 06 04 0002"+claimed+sender+"020000000001"+target)...)
	}
	for _, x := range []struct {
		frame  []byte
		reason string
	}{
		{arp("020000002166", "020000002166", "c612150b", "c6121501"), "neighbour-binding"},
		{arp("020000002111", "020000002166", "c612150b", "c6121501"), "neighbour-binding"},
		{arp("020000002111", "020000002111", "c612150b", "c612150b"), "neighbour-gratuitous"},
		{arp("020000002111", "020000002111", "c612150b", "c612154d"), "neighbour-foreign"},
	} {
		w.expectDrop(c, x.reason, func() { w.send("lgasp", x.frame) })
	}
	if out := run(t, "ip", "neigh", "show", "198.18.21.11"); !strings.Contains(out, "02:00:00:00:21:11") {
		t.Errorf("the neighbour table says %q", out)
	}
}

func TestSwapUnderTrafficLosesNothingAndTighteningCuts(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	tables := townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 1})
	swap(t, c, tables)
	run(t, "ip", "netns", "exec", w.hosts["mnpc"].ns, "ping", "-n", "-c", "1", "-W", "1", "198.18.21.11")
	ping := w.in("mnpc", "ping", "-n", "-q", "-i", "0.01", "-c", "150", "-W", "1", "198.18.21.11")
	var out strings.Builder
	ping.Stdout = &out
	if err := ping.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- ping.Wait() }()
	swaps := 0
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("ping: %v", err)
			}
			running = false
		default:
			swap(t, c, tables)
			swaps++
		}
	}
	if swaps < 3 || !strings.Contains(out.String(), " 0% packet loss") {
		t.Errorf("%d swaps under traffic; ping said %s", swaps, out.String())
	}

	// A live flow ends with the policy that permitted it.
	ping = w.in("mnpc", "ping", "-n", "-q", "-i", "0.05", "-c", "20", "-W", "1", "198.18.21.11")
	out.Reset()
	ping.Stdout = &out
	if err := ping.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if n, err := c.Flows(10); err == nil && len(n) > 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	w.expectDrop(c, "no-cell", func() {
		swap(t, c, townTables())
		ping.Wait()
	})
	if strings.Contains(out.String(), " 0% packet loss") {
		t.Errorf("the flow outlived its permission: %s", out.String())
	}
}

// openTUN makes a tunnel device whose far side is the test.
func openTUN(t testing.TB, name string) *os.File { return openTUNWith(t, name, unix.IFF_NO_PI) }

func openTUNWith(t testing.TB, name string, flags uint16) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_TUN | flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Fatalf("make tunnel device %s: %v", name, err)
	}
	f := os.NewFile(uintptr(fd), "tun")
	t.Cleanup(func() { f.Close() })
	return f
}

// received reads from the far side until it sees a datagram to port, or nothing comes for a while.
func received(t testing.TB, f *os.File, port uint16) []byte {
	t.Helper()
	return receivedWhere(t, f, func(b []byte) bool {
		return len(b) >= 28 && b[0] == 0x45 && b[9] == 17 && binary.BigEndian.Uint16(b[22:]) == port
	})
}

// receivedWhere reads from the far side until it sees a packet that is wanted, or nothing comes for a while.
func receivedWhere(t testing.TB, f *os.File, wanted func([]byte) bool) []byte {
	t.Helper()
	if err := f.SetReadDeadline(time.Now().Add(700 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	for {
		n, err := f.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if wanted(b[:n]) {
			return b[:n]
		}
	}
}

// datagram is a UDP packet without Ethernet.
func datagram(src, dst string, sport, dport uint16) []byte {
	b := make([]byte, 28)
	b[0], b[3], b[8], b[9] = 0x45, 28, 64, 17
	copy(b[12:], netip.MustParseAddr(src).AsSlice())
	copy(b[16:], netip.MustParseAddr(dst).AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	binary.BigEndian.PutUint16(b[20:], sport)
	binary.BigEndian.PutUint16(b[22:], dport)
	b[25] = 8
	return b
}

func (w *town) sendUDP(name, to string) {
	w.t.Helper()
	cmd := w.in(name, "socat", "-u", "-", "UDP4-SENDTO:"+to+",sourceport=4000")
	cmd.Stdin = strings.NewReader("x")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("send from %s to %s: %v\n%s", name, to, err, out)
	}
}

// sentBy reads how many packets an HTB class let out.
func sentBy(t testing.TB, class string) string {
	t.Helper()
	lines := strings.Split(run(t, "tc", "-s", "class", "show", "dev", "wg0"), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "class htb "+class+" ") && i+1 < len(lines) {
			return strings.Join(strings.Fields(lines[i+1])[:5], " ")
		}
	}
	t.Fatalf("no class %s", class)
	return ""
}

func TestTunnelIsJudgedBothWays(t *testing.T) {
	w := newTown(t)
	far := openTUN(t, "wg0")
	a := townAnchors()
	a.Segments = append(a.Segments, anchors.Segment{
		ID: "tokyo", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0", Prefixes: prefixes("198.51.100.0/26"), Gate: addrs("198.51.100.62"),
	})
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: a})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.up()
	run(t, "ip", "link", "set", "wg0", "up")
	run(t, "ip", "addr", "add", "198.51.100.62/26", "dev", "wg0")
	run(t, "tc", "qdisc", "add", "dev", "wg0", "root", "handle", "1:", "htb", "default", "1f")
	for _, class := range []string{"1:12", "1:1f"} {
		run(t, "tc", "class", "add", "dev", "wg0", "parent", "1:", "classid", class, "htb", "rate", "1gbit", "quantum", "1514")
	}
	tables := func(cells ...Cell) Tables {
		t := townTables(cells...)
		t.Segments = append(t.Segments, Segment{ID: 5, Name: "tokyo", Zone: anchors.MyNumber, Port: "wg0", Tunnel: true, Strict: true})
		t.Classes = append(t.Classes, Class{ID: 15, Segment: 5, Kind: KindTunnel, Port: "wg0", OnLink: true},
			Class{ID: 25, Segment: 5, Kind: KindTunnel, Port: "wg0", OnLink: true}, Class{ID: 35, Segment: 5, Kind: KindLocal, Port: "wg0"})
		t.Prefixes = append(t.Prefixes, Prefix{Prefix: prefixes("198.51.100.0/26")[0], Class: 15, Segment: 5})
		t.Hosts = append(t.Hosts, Host{Addr: addrs("198.51.100.11")[0], Class: 25, Segment: 5}, Host{Addr: addrs("198.51.100.62")[0], Class: 35, Segment: 5})
		return t
	}

	swap(t, c, tables(Cell{Src: 21, Dst: 25, Port: 2, Rule: 1, BWClass: 2}, Cell{Src: 35, Dst: 25, Port: 2, Rule: 2}))
	w.sendUDP("mnpc", "198.51.100.11:53")
	if b := received(t, far, 53); b == nil || netip.AddrFrom4([4]byte(b[12:16])) != netip.MustParseAddr("198.18.10.11") {
		n, _ := c.Counters()
		t.Fatalf("an allowed packet did not enter the tunnel: %x; %v", b, n.Reasons)
	}
	if got := sentBy(t, "1:12"); !strings.HasSuffix(got, " 1 pkt") {
		t.Errorf("class 2 of the shaper sent %q, want one packet", got)
	}

	// Its answer comes back; what nobody asked for does not.
	f := film(t, c, CaptureOptions{})
	for _, x := range []struct {
		what, reason string
		packet       []byte
	}{
		{"the answer", "", datagram("198.51.100.11", "198.18.10.11", 53, 4000)},
		{"unasked", "no-cell", datagram("198.51.100.11", "198.18.10.11", 99, 4000)},
		{"from a source that is not the tunnel's", "source-not-in-segment", datagram("198.18.21.11", "198.18.10.11", 53, 4000)},
		{"in the gate's name", "source-is-gate", datagram("198.51.100.62", "198.18.10.11", 53, 4000)},
	} {
		s := w.sniff("mnpc", "udp and dst host 198.18.10.11")
		before := uint64(0)
		if x.reason != "" {
			before = w.drops(c, x.reason)
		}
		if _, err := far.Write(x.packet); err != nil {
			t.Fatal(err)
		}
		seen := s.stop()
		if x.reason == "" && len(seen) != 1 || x.reason != "" && (len(seen) != 0 || w.drops(c, x.reason) == before) {
			n, _ := c.Counters()
			t.Errorf("%s: arrived %q; %v", x.what, seen, n.Reasons)
		}
	}

	// The gate's own probe goes by the default class; without its cell it does not go.
	probe := func() {
		conn, err := net.Dial("udp", "198.51.100.11:53")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("probe")); err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EPERM) {
			t.Logf("probe: %v", err)
		}
	}
	probe()
	if b := received(t, far, 53); b == nil {
		t.Error("the gate's probe did not enter the tunnel")
	}
	if got := sentBy(t, "1:1f"); !strings.HasSuffix(got, " 1 pkt") {
		t.Errorf("the default class of the shaper sent %q, want one packet", got)
	}
	// A policy that lies: internet to the My Number region. The anchors say no at the tunnel's mouth.
	swap(t, c, tables(Cell{Src: 23, Dst: 25, Port: 2, Rule: 1}))
	w.expectDrop(c, "no-cell", probe)
	w.expectDrop(c, "egress-zone-pair", func() {
		w.sendUDP("inweb", "198.51.100.11:53")
		if b := received(t, far, 53); b != nil {
			t.Errorf("a packet of the internet zone entered the My Number tunnel: %x", b)
		}
	})
	shots, _ := f.end(EndStopped)
	for _, want := range []shot{
		{device: "wg0", src: "198.51.100.11", comment: "allowed, at tunnel-in, tokyo -> mn0"},
		{device: "wg0", src: "198.51.100.11", comment: "dropped: no-cell, at tunnel-in, tokyo -> mn0"},
		{device: "wg0", src: "198.18.21.11", comment: "dropped: source-not-in-segment, at tunnel-in"},
		{device: "wg0", src: "203.0.113.11", comment: "dropped: egress-zone-pair, at tunnel-out"},
	} {
		if !slices.ContainsFunc(shots, func(s shot) bool {
			return s.device == want.device && s.src == want.src && strings.HasPrefix(s.comment, want.comment)
		}) {
			t.Errorf("the capture lacks %v: %v", want, shots)
		}
	}
}

func TestEventsFlowsAndCounters(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2, BWClass: 7}))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	events, err := c.Events(ctx)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	w.in("mnpc", "ping", "-n", "-c", "1", "-W", "1", "203.0.113.11").Run()
	late := time.After(5 * time.Second)
	for seen := false; !seen; {
		var e Event
		select {
		case e = <-events:
		case <-late:
			t.Fatal("no event of the refused ping")
		}
		if seen = e.Reason == "zone-pair"; !seen {
			continue
		}
		want := Event{Reason: "zone-pair", Hook: "xdp", Port: "mn0", Segment: 1, Proto: 1, Src: addrs("198.18.10.11")[0], Dst: addrs("203.0.113.11")[0], DPort: 8, Length: 98, Epoch: 1}
		want.Time, want.SMAC, want.DMAC, want.SPort = e.Time, e.SMAC, e.DMAC, e.SPort
		if !reflect.DeepEqual(e, want) || e.SMAC.String() != w.hosts["mnpc"].mac || e.Time.Before(start.Add(-time.Second)) || e.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("event %+v, want %+v", e, want)
		}
	}
	stop()
	for range events { // it closes
	}

	if err := w.in("mnpc", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", "198.18.21.11").Run(); err != nil {
		t.Fatal("an allowed ping does not pass")
	}
	flows, err := c.Flows(10)
	if err != nil || len(flows) != 1 {
		t.Fatalf("flows %+v, %v, want the one", flows, err)
	}
	f := flows[0]
	if f.Src != addrs("198.18.10.11")[0] || f.Dst != addrs("198.18.21.11")[0] || f.SrcSegment != 1 || f.DstSegment != 2 || f.Rule != 2 || f.BWClass != 7 ||
		f.Forward != (Count{3, 3 * 98}) || f.Reverse != (Count{3, 3 * 98}) {
		t.Errorf("flow %+v", f)
	}
	n, err := c.Counters()
	if err != nil {
		t.Fatal(err)
	}
	forth, back := [2]anchors.Zone{anchors.MyNumber, anchors.LGWAN}, [2]anchors.Zone{anchors.LGWAN, anchors.MyNumber}
	if n.Pairs[forth].Packets != 3 || n.Pairs[back].Packets != 3 || n.Rules[2].Packets != 6 {
		t.Errorf("allowed %v, rules %v, want three packets each way", n.Pairs, n.Rules)
	}
}
