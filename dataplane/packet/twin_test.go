package packet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The guards of a segment with real stacks on both sides.

// Whoever takes one of the gate's addresses is told of, with the address and the card.
func TestATwinOfTheGateIsToldOf(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	events, err := c.Events(ctx)
	if err != nil {
		t.Fatal(err)
	}
	in := func(args ...string) { run(t, append([]string{"ip", "netns", "exec", w.hosts["mnpc"].ns}, args...)...) }
	card := w.hosts["mnpc"].mac
	for _, x := range []struct {
		what string
		do   func()
		seen func(Event) bool
	}{
		{"a gratuitous ARP", func() {
			w.send("mnpc", unhex(t, "ffffffffffff 020000001011 0806 0001 0800 06 04 0001 020000001011 c6120a01 000000000000 c6120a01"))
		}, func(e Event) bool { return e.Src == addrs("198.18.10.1")[0] }},
		{"an ARP probe", func() {
			w.send("mnpc", unhex(t, "ffffffffffff 020000001011 0806 0001 0800 06 04 0001 020000001011 00000000 000000000000 c6120a01"))
		}, func(e Event) bool { return e.Dst == addrs("198.18.10.1")[0] }},
		{"a stack that asks whether the address is free", func() {
			in("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=1", "net.ipv6.conf.eth0.accept_dad=1", "net.ipv6.conf.eth0.dad_transmits=1")
			in("ip", "addr", "add", "2001:db8:10::1/64", "dev", "eth0")
		}, func(e Event) bool { return e.Dst == addrs("2001:db8:10::1")[0] && e.Src == netip.IPv6Unspecified() }},
	} {
		x.do()
		late := time.After(5 * time.Second)
		for seen := false; !seen; {
			select {
			case e := <-events:
				seen = e.Reason == "duplicate-address" && x.seen(e)
				if seen && (e.Port != "mn0" || e.Segment != 1 || e.SMAC.String() != card) {
					t.Errorf("%s: event %+v, want port mn0, segment 1 and card %s", x.what, e, card)
				}
			case <-late:
				t.Fatalf("%s: no event", x.what)
			}
		}
	}
}

// discovery is a message of neighbour discovery from the gate, as a raw frame.
func discovery(typ byte, src, dst, target string) []byte {
	b := []byte{2, 0, 0, 0, 0x21, 0x11, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255}
	b = append(append(b, addrs(src)[0].AsSlice()...), addrs(dst)[0].AsSlice()...)
	return append(append(b, typ, 0, 0, 0, 0x60, 0, 0, 0), addrs(target)[0].AsSlice()...)
}

// Whatever runs on the gate: neighbours hear of it only in its own name, and only of the segment they are in.
func TestGateDiscoversInItsOwnNameAndSegment(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables())
	request := func(target string) []byte {
		return unhex(t, "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c6121501 000000000000"+target)
	}
	for _, x := range []struct {
		what   string
		frame  []byte
		reason string
	}{
		{"it asks for a station", request("c612150b"), ""},
		{"it asks for an address of another segment", request("c6120a0b"), "egress-wrong-port"},
		{"it asks for nobody's address", request("c0000201"), "egress-wrong-port"},
		{"it announces itself", request("c6121501"), ""},
		{"it asks for a station over IPv6", discovery(135, "2001:db8:21::1", "ff02::1:ff00:11", "2001:db8:21::11"), ""},
		{"it asks by its link-local address", discovery(135, "fe80::1", "ff02::1:ff00:11", "2001:db8:21::11"), ""},
		{"it asks for a link-local address", discovery(135, "fe80::1", "ff02::1:ff00:11", "fe80::11"), ""},
		{"it asks for an address of another segment over IPv6", discovery(135, "2001:db8:21::1", "ff02::1:ff00:11", "2001:db8:10::11"), "egress-wrong-port"},
		{"it asks in a station's name", discovery(135, "2001:db8:21::12", "ff02::1:ff00:11", "2001:db8:21::11"), "mark-missing"},
		{"it asks in its name of another segment", discovery(135, "2001:db8:10::1", "ff02::1:ff00:11", "2001:db8:21::11"), "gate-refused"},
		{"it asks a station of another segment", discovery(135, "2001:db8:21::1", "2001:db8:10::11", "2001:db8:21::11"), "egress-wrong-port"},
		{"it asks whether its address is free", discovery(135, "::", "ff02::1:ff00:1", "2001:db8:21::1"), ""},
		{"it asks whether another's is free", discovery(135, "::", "ff02::1:ff00:11", "2001:db8:21::11"), "gate-refused"},
		{"it answers for itself", discovery(136, "2001:db8:21::1", "2001:db8:21::11", "2001:db8:21::1"), ""},
		{"it answers for a station", discovery(136, "2001:db8:21::1", "2001:db8:21::11", "2001:db8:21::12"), "gate-refused"},
		{"it answers for its address of another segment", discovery(136, "2001:db8:21::1", "2001:db8:21::11", "2001:db8:10::1"), "gate-refused"},
		{"it answers without an address", discovery(136, "::", "2001:db8:21::11", "2001:db8:21::1"), "gate-refused"},
		{"it advertises itself as a router", discovery(134, "fe80::1", "ff02::1", "::"), "gate-refused"},
		{"it looks for a router", discovery(133, "fe80::1", "ff02::2", "::"), "gate-refused"},
		{"it redirects", discovery(137, "fe80::1", "2001:db8:21::11", "2001:db8:21::11"), "gate-refused"},
		{"a message that is cut off", append(discovery(135, "2001:db8:21::1", "ff02::1:ff00:11", "2001:db8:21::11")[:19], append([]byte{8}, discovery(135, "2001:db8:21::1", "ff02::1:ff00:11", "2001:db8:21::11")[20:62]...)...), "gate-refused"},
	} {
		// By a raw socket, which asks no routing table. A frame that the program refuses is an error of the sender's system call.
		cmd := exec.Command("socat", "-u", "-", "INTERFACE:lga0")
		cmd.Stdin = strings.NewReader(string(x.frame))
		before := uint64(0)
		if x.reason != "" {
			before = w.drops(c, x.reason)
		}
		out, err := cmd.CombinedOutput()
		if (err == nil) != (x.reason == "") || x.reason != "" && w.drops(c, x.reason) == before {
			n, _ := c.Counters()
			t.Errorf("%s: %v %s; want reason %q; %v", x.what, err, out, x.reason, n.Reasons)
		}
	}
}

// Multicast and broadcast reach a service of the gate where the anchors let groups in and a record opens it, and nobody else.
func TestGroupsReachTheGatesServiceOnly(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	card, err := net.InterfaceByName("mn0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []*net.UDPConn
	for _, group := range []string{"224.0.0.251", "ff02::fb"} {
		conn, err := net.ListenMulticastUDP("udp", card, &net.UDPAddr{IP: net.ParseIP(group), Port: 53})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	beside := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		err = errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }), err)
		return err
	}}
	broadcast, err := beside.ListenPacket(context.Background(), "udp4", "255.255.255.255:53")
	if err != nil {
		t.Fatal(err)
	}
	defer broadcast.Close()
	conns = append(conns, broadcast.(*net.UDPConn))
	targets := []string{"UDP4-DATAGRAM:224.0.0.251:53,ip-multicast-if=198.18.10.11", "UDP6-DATAGRAM:[ff02::fb%eth0]:53,bind=[2001:db8:10::11]", "UDP4-DATAGRAM:255.255.255.255:53,broadcast"}
	heard := func(i int) bool {
		cmd := w.in("mnpc", "socat", "-u", "-", targets[i])
		cmd.Stdin = strings.NewReader("hello")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("send to %s: %v\n%s", targets[i], err, out)
		}
		if err := conns[i].SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := conns[i].Read(make([]byte, 64))
		return err == nil && n == 5
	}
	// A sender, or who listens, may be slow on a busy machine.
	heardInTime := func(i int) bool {
		for range 10 {
			if heard(i) {
				return true
			}
		}
		return false
	}
	with := func(on bool, cells ...Cell) Tables {
		tables := townTables(cells...)
		for i := range tables.Segments {
			tables.Segments[i].Multicast = on
		}
		return tables
	}
	open := Cell{Src: 21, Dst: 31, Port: 2, Rule: 1}
	for i, what := range targets {
		swap(t, c, with(true, open))
		if !heardInTime(i) {
			n, _ := c.Counters()
			t.Errorf("%s is not heard where it may be: %v", what, n.Reasons)
		}
		swap(t, c, with(true, Cell{Src: 21, Dst: 22, Port: 2, Rule: 1}))
		w.expectDrop(c, "multicast-refused", func() {
			if heard(i) {
				t.Errorf("%s is heard without a record", what)
			}
		})
		swap(t, c, with(false, open))
		w.expectDrop(c, "l2-multicast", func() {
			if heard(i) {
				t.Errorf("%s is heard where the anchors let none in", what)
			}
		})
	}
	// It is never forwarded: not even when a record opens every segment.
	swap(t, c, with(true, open, Cell{Src: 21, Dst: 22, Port: 2, Rule: 1}, Cell{Src: 21, Dst: 12, Port: 2, Rule: 1}))
	s := w.sniff("lgasp", "udp port 53")
	for i := range targets {
		heard(i)
	}
	if seen := s.stop(); len(seen) != 0 {
		t.Errorf("a group was forwarded: %q", seen)
	}
}
