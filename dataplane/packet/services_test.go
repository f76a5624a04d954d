package packet

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// What the gate itself offers and sends, with real sockets in its own namespace.

// listener is a service of the gate that counts who reached it.
type listener struct{ reached atomic.Int32 }

// offer listens on all of the gate's addresses, TCP and UDP. The sockets belong to the namespace of the calling thread.
func (w *town) offer(port string) *listener {
	w.t.Helper()
	l := &listener{}
	tcp, err := net.Listen("tcp", "[::]:"+port)
	if err != nil {
		w.t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", "[::]:"+port)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { errors.Join(tcp.Close(), udp.Close()) })
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			l.reached.Add(1)
			conn.Write([]byte("served\n"))
			conn.Close()
		}
	}()
	go func() {
		b := make([]byte, 1500)
		for {
			_, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			l.reached.Add(1)
			udp.WriteTo([]byte("served\n"), from)
		}
	}()
	return l
}

// asks tells whether a host gets an answer of a UDP service within half a second.
func (w *town) asks(from, to string) bool {
	target := "UDP:" + to
	if strings.HasPrefix(to, "[") {
		target = "UDP6:" + to
	}
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", w.hosts[from].ns, "socat", "-t0.5", "-T0.5", "-", target)
	cmd.Stdin = strings.NewReader("ask\n")
	out, err := cmd.Output()
	return err == nil && strings.Contains(string(out), "served")
}

// Class 3x is the gate in segment x. Services listen on every address; only the cells open them.
func TestAServiceOfTheGateIsOpenWhereACellSaysSo(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	web, other, names := w.offer("443"), w.offer("80"), w.offer("53")
	swap(t, c, townTables(Cell{Src: 21, Dst: 31, Port: 1, Rule: 1}, Cell{Src: 21, Dst: 31, Port: 2, Rule: 1}, Cell{Src: 21, Dst: 31, Port: 3, Rule: 1}))
	for _, to := range []string{"198.18.10.1", "2001:db8:10::1"} {
		if !w.passes("mnpc", to, "443") {
			n, _ := c.Counters()
			t.Fatalf("the open service at %s does not answer: %v", to, n.Reasons)
		}
	}
	for _, to := range []string{"198.18.10.1:53", "[2001:db8:10::1]:53"} {
		answered := false
		for range 10 {
			if answered = w.asks("mnpc", to); answered {
				break
			}
		}
		if !answered {
			n, _ := c.Counters()
			t.Fatalf("the open service at %s does not answer: %v", to, n.Reasons)
		}
	}
	reached := web.reached.Load() + names.reached.Load()
	for _, x := range []struct{ what, from, to, port, reason string }{
		{"a closed port", "mnpc", "198.18.10.1", "80", "no-cell"},
		{"a closed port over IPv6", "mnpc", "2001:db8:10::1", "80", "no-cell"},
		{"the gate's address in another segment", "mnpc", "198.18.21.1", "443", "no-cell"},
		{"the gate's address in another segment over IPv6", "mnpc", "2001:db8:21::1", "443", "no-cell"},
		{"the gate's address in a zone that may never be met", "mnpc", "203.0.113.1", "443", "zone-pair"},
		{"the same service, from another zone", "inweb", "198.18.10.1", "443", "zone-pair"},
		{"the same service, from another zone over IPv6", "inweb", "2001:db8:10::1", "443", "zone-pair"},
		{"the same service, in another segment", "lgasp", "198.18.21.1", "443", "no-cell"},
		{"the loopback address", "mnpc", "127.0.0.1", "443", ""},
		{"the broadcast address", "mnpc", "198.18.10.255", "443", ""},
	} {
		before := uint64(0)
		if x.reason != "" {
			before = w.drops(c, x.reason)
		}
		if w.reaches(x.from, x.to, x.port) {
			t.Errorf("%s: %s reached %s:%s", x.what, x.from, x.to, x.port)
		}
		if x.reason != "" && w.drops(c, x.reason) == before {
			t.Errorf("%s: counter %s did not rise", x.what, x.reason)
		}
	}
	for _, x := range []struct{ what, from, to string }{
		{"UDP to a closed port", "mnpc", "198.18.10.1:80"},
		{"UDP in another segment", "mnpc", "198.18.21.1:53"},
		{"UDP from another zone", "inweb", "198.18.10.1:53"},
	} {
		if w.asks(x.from, x.to) {
			t.Errorf("%s: %s got an answer of %s", x.what, x.from, x.to)
		}
	}
	if web.reached.Load()+names.reached.Load() != reached || other.reached.Load() != 0 {
		t.Errorf("the stack saw what was refused: %d and %d more", web.reached.Load()+names.reached.Load()-reached, other.reached.Load())
	}
}

// A record towards a whole segment includes addresses that the kernel takes for its own: the broadcast address, and the
// anycast address of routers (RFC 4291, 2.6.1). They must not lead to services of the gate.
func TestARecordToASegmentOpensNoServiceOfTheGate(t *testing.T) {
	w := newTown(t)
	far := openTUN(t, "wg0")
	a := townAnchors()
	a.Segments = append(a.Segments, anchors.Segment{
		ID: "tokyo", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0", Prefixes: prefixes("198.51.100.0/26", "2001:db8:51::/64"), Gate: addrs("198.51.100.62", "2001:db8:51::62"),
	})
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: a, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.up()
	run(t, "ip", "link", "set", "wg0", "up")
	run(t, "ip", "addr", "add", "198.51.100.62/26", "dev", "wg0")
	run(t, "ip", "addr", "add", "2001:db8:51::62/64", "dev", "wg0", "nodad")
	names := w.offer("53")
	tables := townTables(Cell{Src: 21, Dst: 12, Port: 2, Rule: 1}, Cell{Src: 21, Dst: 15, Port: 2, Rule: 1}, Cell{Src: 15, Dst: 12, Port: 2, Rule: 2}, Cell{Src: 21, Dst: 31, Port: 2, Rule: 1})
	tables.Segments = append(tables.Segments, Segment{ID: 5, Name: "tokyo", Zone: anchors.MyNumber, Port: "wg0", Tunnel: true})
	tables.Classes = append(tables.Classes, Class{ID: 15, Segment: 5, Kind: KindTunnel, Port: "wg0", OnLink: true}, Class{ID: 35, Segment: 5, Kind: KindLocal, Port: "wg0"})
	for i, p := range prefixes("198.51.100.0/26", "2001:db8:51::/64") {
		tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: p, Class: 15, Segment: 5})
		tables.Hosts = append(tables.Hosts, Host{Addr: a.Segments[len(a.Segments)-1].Gate[i], Class: 35, Segment: 5})
	}
	swap(t, c, tables)
	for _, to := range []string{"198.18.10.1:53", "[2001:db8:10::1]:53"} {
		answered := false
		for range 10 { // IPv6 addresses become usable a while after the carrier
			if answered = w.asks("mnpc", to); answered {
				break
			}
		}
		if !answered {
			t.Fatalf("the open service at %s does not answer", to)
		}
	}
	reached := names.reached.Load()
	send := func(to, ttl string) func() {
		return func() {
			target := "UDP4-SENDTO:" + to + ",broadcast,ip-ttl=" + ttl
			if strings.HasPrefix(to, "[") {
				target = "UDP6-SENDTO:" + to + ",ipv6-unicast-hops=" + ttl
			}
			cmd := w.in("mnpc", "socat", "-u", "-", target)
			cmd.Stdin = strings.NewReader("ask\n")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("send to %s: %v\n%s", to, err, out)
			}
		}
	}
	for _, x := range []struct {
		what string
		send func()
	}{
		{"a segment's broadcast address", send("198.18.21.255:53", "64")},
		{"the same in its last hop", send("198.18.21.255:53", "1")},
		{"a segment's anycast address of routers", send("[2001:db8:21::]:53", "64")},
		{"the same in its last hop", send("[2001:db8:21::]:53", "1")},
		{"a tunnel's broadcast address", send("198.51.100.63:53", "64")},
		{"a tunnel's anycast address of routers", send("[2001:db8:51::]:53", "64")},
		{"a segment's broadcast address, from the tunnel", func() { far.Write(datagram("198.51.100.11", "198.18.21.255", 4000, 53)) }},
	} {
		w.expectDrop(c, "no-route", x.send)
		if n := names.reached.Load(); n != reached {
			t.Errorf("%s led to the gate's service", x.what)
			reached = n
		}
	}
}

// With its route gone and a default route in its place, what the gate itself sends leaves by no other port.
func TestGateLeavesByNoDetour(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	w.serve("lgasp", "443")
	swap(t, c, townTables(Cell{Src: 32, Dst: 22, Port: 1, Rule: 1}, Cell{Src: 33, Dst: 22, Port: 1, Rule: 2}))
	to := []string{"198.18.21.11:443", "[2001:db8:21::11]:443"}
	for _, target := range to {
		reached := false
		for range 5 {
			if reached = w.dial("", target) == nil; reached {
				break
			}
		}
		if !reached {
			n, _ := c.Counters()
			t.Fatalf("the gate does not reach %s, which a cell allows: %v", target, n.Reasons)
		}
	}
	run(t, "ip", "route", "del", "198.18.21.0/24", "dev", "lga0")
	run(t, "ip", "-6", "route", "del", "2001:db8:21::/64", "dev", "lga0")
	run(t, "ip", "route", "add", "default", "via", "203.0.113.11")
	run(t, "ip", "-6", "route", "add", "default", "via", "2001:db8:31::11")
	for _, a := range []string{"203.0.113.11", "2001:db8:31::11"} {
		run(t, "ip", "neigh", "replace", a, "lladdr", w.hosts["inweb"].mac, "dev", "inw0", "nud", "permanent")
	}
	s := w.sniff("inweb", "tcp port 443")
	for i, target := range to {
		w.expectDrop(c, "egress-mismatch", func() {
			if err := w.dial("", target); err == nil {
				t.Errorf("%s was reached by the internet's port", target)
			}
		})
		w.expectDrop(c, "egress-wrong-port", func() {
			if err := w.dial([]string{"198.18.21.1", "2001:db8:21::1"}[i], target); err == nil {
				t.Errorf("%s was reached by the internet's port, in LGWAN's name", target)
			}
		})
	}
	if seen := s.stop(); len(seen) != 0 {
		t.Errorf("left by the internet's port: %q", seen)
	}
}
