package packet

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// A path with routers behind the gate, as real stacks make it:
//
//	mnpc -- gate -- lgasp (a registered router) -- narrow link -- far -- deep
//
// Everything behind lgasp lies in 198.18.64.0/24 and 2001:db8:64::/64.

const narrow = 1300 // MTU of the link between the two routers

// beyond builds what lies behind lgasp.
func (w *town) beyond() {
	t := w.t
	t.Helper()
	near := w.hosts["lgasp"].ns
	far, deep := w.prefix+"-far", w.prefix+"-deep"
	for _, ns := range []string{far, deep} {
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { run(t, "ip", "netns", "del", ns) })
	}
	w.hosts["deep"] = host{name: "deep", ns: deep, port: "lga0"}
	in := func(ns string, args ...string) { run(t, append([]string{"ip", "netns", "exec", ns}, args...)...) }
	for _, ns := range []string{near, far, deep} {
		in(ns, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
		in(ns, "ip", "link", "set", "lo", "up")
	}
	in(near, "ip", "link", "add", "down0", "mtu", fmt.Sprint(narrow), "type", "veth", "peer", "name", "up0", "mtu", fmt.Sprint(narrow), "netns", far)
	in(far, "ip", "link", "add", "down0", "type", "veth", "peer", "name", "eth0", "netns", deep)
	for _, x := range []struct{ ns, dev, v4, v6 string }{
		{near, "down0", "198.18.64.253/30", "2001:db8:64:0:ffff::253/112"},
		{far, "up0", "198.18.64.254/30", "2001:db8:64:0:ffff::254/112"},
		{far, "down0", "198.18.64.1/25", "2001:db8:64::1/112"},
		{deep, "eth0", "198.18.64.11/25", "2001:db8:64::11/112"},
	} {
		in(x.ns, "ip", "link", "set", x.dev, "up")
		in(x.ns, "ip", "addr", "add", x.v4, "dev", x.dev)
		in(x.ns, "ip", "addr", "add", x.v6, "dev", x.dev, "nodad")
	}
	in(near, "ip", "route", "add", "198.18.64.0/25", "via", "198.18.64.254")
	in(near, "ip", "-6", "route", "add", "2001:db8:64::/112", "via", "2001:db8:64:0:ffff::254")
	in(far, "ip", "route", "add", "default", "via", "198.18.64.253")
	in(far, "ip", "-6", "route", "add", "default", "via", "2001:db8:64:0:ffff::253")
	in(deep, "ip", "route", "add", "default", "via", "198.18.64.1")
	in(deep, "ip", "-6", "route", "add", "default", "via", "2001:db8:64::1")
	run(t, "ip", "route", "add", "198.18.64.0/24", "via", "198.18.21.11")
	run(t, "ip", "-6", "route", "add", "2001:db8:64::/64", "via", "2001:db8:21::11")
}

// beyondAnchors and beyondTables know of the networks behind lgasp: class 52.
func beyondAnchors() *anchors.Anchors {
	a := townAnchors()
	a.Segments[1].Prefixes = append(a.Segments[1].Prefixes, prefixes("198.18.64.0/24", "2001:db8:64::/64")...)
	return a
}

func beyondTables(cells ...Cell) Tables {
	t := townTables(cells...)
	t.Classes = append(t.Classes, Class{ID: 52, Segment: 2, Kind: KindForward, Port: "lga0", Via: addrs("198.18.21.11", "2001:db8:21::11")})
	mac, _ := ParseMAC("02:00:00:00:21:11")
	for _, p := range prefixes("198.18.64.0/24", "2001:db8:64::/64") {
		t.Prefixes = append(t.Prefixes, Prefix{Prefix: p, Class: 52, Segment: 2, MAC: mac})
	}
	t.Ports = append(t.Ports, PortRange{Proto: 17, Lo: 33434, Hi: 33534, Class: 4})
	return t
}

func newBeyond(t *testing.T) (*town, *Core) {
	t.Helper()
	w := newTown(t)
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: beyondAnchors(), Log: slog.New(slog.DiscardHandler), Flows: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w.up()
	w.beyond()
	return w, c
}

// says runs a command until its output has what is wanted: neighbours and IPv6 addresses need a moment.
func (w *town) says(c *Core, what, want string, cmd func() *exec.Cmd) {
	w.t.Helper()
	re := regexp.MustCompile(want)
	var out []byte
	for range 5 {
		out, _ = cmd().CombinedOutput()
		if re.Match(out) {
			return
		}
	}
	n, _ := c.Counters()
	w.t.Errorf("%s: want %q, got\n%s\n%v", what, want, out, n.Reasons)
}

func TestTracerouteAcrossTheGate(t *testing.T) {
	w, c := newBeyond(t)
	swap(t, c, beyondTables(Cell{Src: 21, Dst: 52, Port: 1, Rule: 1}, Cell{Src: 21, Dst: 52, Port: 3, Rule: 1}, Cell{Src: 21, Dst: 52, Port: 4, Rule: 1}))
	w.serve("deep", "443")
	v4 := `(?s) 1  198\.18\.10\.1 .* 2  198\.18\.21\.11 .* 3  198\.18\.64\.254 .* 4  198\.18\.64\.11 `
	v6 := `(?s) 1  2001:db8:10::1 .* 2  2001:db8:21::11 .* 3  2001:db8:64:0:ffff::254 .* 4  2001:db8:64::11 `
	for _, x := range []struct{ what, how, to, want string }{
		{"by UDP", "-U", "198.18.64.11", v4}, {"by echo", "-I", "198.18.64.11", v4}, {"by TCP", "-T", "198.18.64.11", v4},
		{"by UDP over IPv6", "-U", "2001:db8:64::11", v6}, {"by echo over IPv6", "-I", "2001:db8:64::11", v6}, {"by TCP over IPv6", "-T", "2001:db8:64::11", v6},
	} {
		args := []string{"traceroute", "-n", "-q", "1", "-w", "1", "-m", "5", "-N", "1", x.how}
		switch x.how {
		case "-U":
			args = append(args, "-p", "33440")
		case "-T":
			args = append(args, "-p", "443")
		}
		w.says(c, x.what, x.want, func() *exec.Cmd { return w.in("mnpc", append(args, x.to)...) })
	}
	// What no record allows is not told of either: the gate answers nothing for it.
	swap(t, c, beyondTables())
	out, _ := w.in("mnpc", "traceroute", "-n", "-q", "1", "-w", "0.5", "-m", "3", "-N", "1", "-I", "198.18.64.11").CombinedOutput()
	if strings.Contains(string(out), "198.18.21.11") || strings.Contains(string(out), "1  198.18.10.1") {
		t.Errorf("without a record, traceroute still says\n%s", out)
	}
}

func TestPathMTUIsFoundAcrossTheGate(t *testing.T) {
	w, c := newBeyond(t)
	swap(t, c, beyondTables(Cell{Src: 21, Dst: 52, Port: 1, Rule: 1}, Cell{Src: 21, Dst: 52, Port: 3, Rule: 1},
		Cell{Src: 52, Dst: 21, Port: 1, Rule: 2}, Cell{Src: 32, Dst: 52, Port: 3, Rule: 2}))
	ping := func(to string, args ...string) func() *exec.Cmd {
		return func() *exec.Cmd {
			return w.in("mnpc", append([]string{"ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400"}, append(args, to)...)...)
		}
	}
	// A ping that gave up too soon has the next one told by the kernel, which learnt it from the same error.
	learnt4 := `From 198\.18\.21\.11 icmp_seq=1 Frag needed and DF set \(mtu = 1300\)|local error: message too long, mtu.*1300`
	learnt6 := `From 2001:db8:21::11 icmp_seq=1 Packet too big: mtu=1300|local error: message too long, mtu.*1300`
	w.says(c, "the router says that a packet is too big", learnt4, ping("198.18.64.11"))
	w.says(c, "the same over IPv6", learnt6, ping("2001:db8:64::11"))
	w.says(c, "the gate itself hears of it", learnt4, func() *exec.Cmd {
		return exec.Command("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "-I", "198.18.21.1", "198.18.64.11")
	})
	w.says(c, "the same over IPv6", learnt6, func() *exec.Cmd {
		return exec.Command("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "-I", "2001:db8:21::1", "2001:db8:64::11")
	})

	// A bulk transfer finds it by itself, whoever opened the connection: the sender's first full segments are too big.
	zeros := strings.Repeat("\x00", 300_000)
	for _, x := range []struct {
		what, from, to string // who listens is "to"
		at             string
		upload         bool
	}{
		{"from the initiator", "mnpc", "deep", "198.18.64.11", true},
		{"from the initiator over IPv6", "mnpc", "deep", "2001:db8:64::11", true},
		{"from the one who answers", "deep", "mnpc", "198.18.10.11", false},
		{"from the one who answers over IPv6", "deep", "mnpc", "2001:db8:10::11", false},
	} {
		peer, target := "198.18.64.11", "TCP:"+x.at+":443,connect-timeout=2"
		if strings.Contains(x.at, ":") {
			peer, target = "2001:db8:64::11", "TCP6:["+x.at+"]:443,connect-timeout=2"
		}
		learnt := func() bool {
			return strings.Contains(run(t, "ip", "netns", "exec", w.hosts["mnpc"].ns, "ip", "route", "get", peer), "mtu 1300")
		}
		for _, family := range []string{"-4", "-6"} {
			run(t, "ip", "netns", "exec", w.hosts["mnpc"].ns, "ip", family, "route", "flush", "cache")
		}
		if learnt() {
			t.Fatalf("%s: mnpc still knows the path's MTU of before", x.what)
		}
		listen := w.in(x.to, "socat", "-T5", "-u", "TCP6-LISTEN:443,reuseaddr,ipv6only=0", "-")
		dial := w.in(x.from, "socat", "-T5", "-u", "-", target)
		sender, receiver := dial, listen
		if !x.upload {
			listen.Args[len(listen.Args)-2], listen.Args[len(listen.Args)-1] = "-", listen.Args[len(listen.Args)-2]
			dial.Args[len(dial.Args)-2], dial.Args[len(dial.Args)-1] = target, "-"
			sender, receiver = listen, dial
		}
		var got, said strings.Builder
		sender.Stdin, receiver.Stdout, dial.Stderr = strings.NewReader(zeros), &got, &said
		if err := listen.Start(); err != nil {
			t.Fatal(err)
		}
		w.listens(x.to, "443")
		err := dial.Run()
		if err != nil {
			listen.Process.Kill()
		}
		listen.Wait()
		if got.String() != zeros || !learnt() {
			n, _ := c.Counters()
			t.Errorf("%s: %d of %d bytes arrived, MTU learnt %t; %v %s; %v", x.what, got.Len(), len(zeros), learnt(), err, said.String(), n.Reasons)
		}
	}
}

// listens waits until somebody listens.
func (w *town) listens(name, port string) {
	w.t.Helper()
	for range 200 {
		if out, err := w.in(name, "ss", "-Hltn", "sport", "=", ":"+port).Output(); err == nil && len(out) > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("%s does not listen on %s", name, port)
}

// icmpError wraps a quoted packet for the tunnel's far side.
func icmpError(src, dst string, typ, code byte, quoted []byte) []byte {
	b := datagram(src, dst, 0, 0)[:20]
	b[9], b[10], b[11] = 1, 0, 0
	b = append(append(b, typ, code, 0, 0, 0, 0, 5, 20), quoted...)
	be16 := func(at int, v uint16) { b[at], b[at+1] = byte(v>>8), byte(v) }
	be16(2, uint16(len(b)))
	sum := func(in []byte) uint16 {
		var s uint32
		for i, v := range in {
			s += uint32(v) << (8 * (1 - i%2))
		}
		for s>>16 != 0 {
			s = s>>16 + s&0xffff
		}
		return ^uint16(s)
	}
	be16(10, sum(b[:20]))
	be16(22, sum(b[20:]))
	return b
}

func TestARoutersRefusalReachesWhoAsked(t *testing.T) {
	w, c := newBeyond(t)
	swap(t, c, beyondTables(Cell{Src: 21, Dst: 52, Port: 3, Rule: 1}))
	near := w.hosts["lgasp"].ns
	run(t, "ip", "netns", "exec", near, "ip", "route", "add", "prohibit", "198.18.64.77")
	run(t, "ip", "netns", "exec", near, "ip", "-6", "route", "add", "prohibit", "2001:db8:64::77")
	w.says(c, "prohibited", `From 198\.18\.21\.11 icmp_seq=1 Packet filtered`, func() *exec.Cmd {
		return w.in("mnpc", "ping", "-n", "-c", "1", "-W", "1", "198.18.64.77")
	})
	w.says(c, "prohibited over IPv6", `From 2001:db8:21::11 icmp_seq=1 Destination unreachable: Administratively prohibited`, func() *exec.Cmd {
		return w.in("mnpc", "ping", "-n", "-c", "1", "-W", "1", "2001:db8:64::77")
	})
}
