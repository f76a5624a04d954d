package packet

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// tokyo is a town with a region behind tunnel wg0, which the caller has opened: segment 5, class 15, the gate there 35.
func tokyo(t *testing.T, w *town, cells ...Cell) *Core {
	t.Helper()
	a := townAnchors()
	a.Segments = append(a.Segments, anchors.Segment{
		ID: "tokyo", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0",
		Prefixes: prefixes("198.51.100.0/26", "2001:db8:51::/64"), Gate: addrs("198.51.100.62", "2001:db8:51::62"),
	})
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: a, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w.up()
	run(t, "ip", "link", "set", "wg0", "up", "mtu", "1280")
	run(t, "ip", "addr", "add", "198.51.100.62/26", "dev", "wg0")
	run(t, "ip", "addr", "add", "2001:db8:51::62/64", "dev", "wg0", "nodad")
	tables := townTables(cells...)
	tables.Segments = append(tables.Segments, Segment{ID: 5, Name: "tokyo", Zone: anchors.MyNumber, Port: "wg0", Tunnel: true})
	tables.Classes = append(tables.Classes, Class{ID: 15, Segment: 5, Kind: KindTunnel, Port: "wg0", OnLink: true}, Class{ID: 35, Segment: 5, Kind: KindLocal, Port: "wg0"})
	for i, p := range prefixes("198.51.100.0/26", "2001:db8:51::/64") {
		tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: p, Class: 15, Segment: 5})
		tables.Hosts = append(tables.Hosts, Host{Addr: addrs("198.51.100.62", "2001:db8:51::62")[i], Class: 35, Segment: 5})
	}
	swap(t, c, tables)
	return c
}

func TestICMPErrorsCrossATunnel(t *testing.T) {
	w := newTown(t)
	far := openTUN(t, "wg0")
	c := tokyo(t, w, Cell{Src: 21, Dst: 15, Port: 2, Rule: 1}, Cell{Src: 21, Dst: 15, Port: 3, Rule: 1})

	w.sendUDP("mnpc", "198.51.100.11:53")
	asked := received(t, far, 53)
	if asked == nil {
		t.Fatal("an allowed packet did not enter the tunnel")
	}
	for _, x := range []struct {
		what, reason string
		packet       []byte
	}{
		{"about the packet, from a router of the region", "", icmpError("198.51.100.1", "198.18.10.11", 3, 4, asked)},
		{"about the packet, from its receiver", "", icmpError("198.51.100.11", "198.18.10.11", 3, 3, asked[:28])},
		{"about less than that", "icmp-quote", icmpError("198.51.100.11", "198.18.10.11", 3, 3, asked[:27])},
		{"about a packet that nobody sent", "icmp-error-no-flow", icmpError("198.51.100.1", "198.18.10.11", 3, 4, datagram("198.18.10.11", "198.51.100.11", 4001, 53))},
		{"to somebody else", "icmp-quote", icmpError("198.51.100.1", "198.18.21.11", 3, 4, asked)},
		{"from nowhere in the tunnel", "source-not-in-segment", icmpError("198.18.21.11", "198.18.10.11", 3, 4, asked)},
	} {
		w.errorArrives(c, far, x.what, x.reason, "icmp and dst host 198.18.10.11", x.packet)
	}
	// The tunnel's own MTU is the gate's to tell.
	w.says(c, "too big for the tunnel", `From 198\.18\.10\.1 icmp_seq=1 Frag needed and DF set \(mtu = 1280\)|local error: message too long, mtu.*1280`, func() *exec.Cmd {
		return w.in("mnpc", "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "198.51.100.12")
	})
}

// errorArrives writes an ICMP error into the far end and wants it to reach mnpc, or to be dropped for a reason.
func (w *town) errorArrives(c *Core, far *os.File, what, reason, filter string, packet []byte) {
	w.t.Helper()
	s := w.sniff("mnpc", filter)
	before := uint64(0)
	if reason != "" {
		before = w.drops(c, reason)
	}
	if _, err := far.Write(packet); err != nil {
		w.t.Fatal(err)
	}
	seen := s.stop()
	if reason == "" && len(seen) != 1 || reason != "" && (len(seen) != 0 || w.drops(c, reason) == before) {
		n, _ := c.Counters()
		w.t.Errorf("an error %s: arrived %q; %v", what, seen, n.Reasons)
	}
}

// received6 is received for IPv6.
func received6(t testing.TB, f *os.File, port uint16) []byte {
	t.Helper()
	return receivedWhere(t, f, func(b []byte) bool {
		return len(b) >= 48 && b[0]>>4 == 6 && b[6] == 17 && binary.BigEndian.Uint16(b[42:]) == port
	})
}

// packet6 is an IPv6 packet of "next" and what follows.
func packet6(src, dst string, next byte, behind []byte) []byte {
	b := make([]byte, 8, 40+len(behind))
	b[0], b[6], b[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(behind)))
	b = append(append(b, addrs(src)[0].AsSlice()...), addrs(dst)[0].AsSlice()...)
	return append(b, behind...)
}

// icmpError6 wraps a quoted packet. Nobody but its receiver looks at its checksum, which is not right.
func icmpError6(src, dst string, typ, code byte, quoted []byte) []byte {
	return packet6(src, dst, 58, append([]byte{typ, code, 0, 0, 0, 0, 5, 0}, quoted...))
}

func TestICMPErrorsOfIPv6CrossATunnel(t *testing.T) {
	w := newTown(t)
	far := openTUN(t, "wg0")
	c := tokyo(t, w, Cell{Src: 21, Dst: 15, Port: 2, Rule: 1}, Cell{Src: 21, Dst: 15, Port: 3, Rule: 1})
	const pc, near, other = "2001:db8:10::11", "2001:db8:51::1", "2001:db8:51::11"
	var asked []byte
	for range 5 { // the address becomes usable a while after the carrier
		cmd := w.in("mnpc", "socat", "-u", "-", "UDP6-SENDTO:["+other+"]:53,sourceport=4000")
		cmd.Stdin = strings.NewReader("x")
		cmd.Run()
		if asked = received6(t, far, 53); asked != nil {
			break
		}
	}
	if asked == nil {
		n, _ := c.Counters()
		t.Fatalf("an allowed packet did not enter the tunnel: %v", n.Reasons)
	}
	for _, x := range []struct {
		what, reason string
		packet       []byte
	}{
		{"about the packet, from a router of the region", "", icmpError6(near, pc, 2, 0, asked)},
		{"that it lived too long", "", icmpError6(near, pc, 3, 0, asked)},
		{"about the packet, from its receiver", "", icmpError6(other, pc, 1, 4, asked[:48])},
		{"about less than that", "icmp-quote", icmpError6(other, pc, 1, 4, asked[:47])},
		{"about a packet that nobody sent", "icmp-error-no-flow", icmpError6(near, pc, 2, 0, datagram6(pc, other, 4001, 53))},
		{"about an error", "icmp-quote", icmpError6(near, pc, 2, 0, icmpError6(pc, other, 1, 4, asked))},
		{"to somebody else", "icmp-quote", icmpError6(near, "2001:db8:21::11", 2, 0, asked)},
		{"from nowhere in the tunnel", "source-not-in-segment", icmpError6("2001:db8:21::11", pc, 2, 0, asked)},
	} {
		w.errorArrives(c, far, x.what, x.reason, "icmp6 and ip6[40] < 128 and dst host "+pc, x.packet)
	}
	w.says(c, "too big for the tunnel", `From 2001:db8:10::1 icmp_seq=1 Packet too big: mtu=1280|local error: message too long, mtu.*1280`, func() *exec.Cmd {
		return w.in("mnpc", "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "2001:db8:51::12")
	})
}

// extensions is a row of destination options headers of so many bytes each in front of a protocol.
func extensions(n, size int, last byte, behind []byte) (first byte, b []byte) {
	for i := range n {
		h := make([]byte, size)
		h[0], h[1] = 60, byte(size/8-1)
		h[2], h[3] = 1, byte(size-4) // padding (RFC 8200, 4.2), if it fits into one option
		if i == n-1 {
			h[0] = last
		}
		b = append(b, h...)
	}
	if n == 0 {
		return last, behind
	}
	return 60, append(b, behind...)
}

// options4 is an IPv4 packet with forty bytes of options that say nothing.
func options4(src, dst string, proto byte, behind []byte) []byte {
	b := append(datagram(src, dst, 0, 0)[:20], bytes.Repeat([]byte{1}, 40)...)
	b[0], b[9] = 0x4f, proto
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(behind)))
	return append(b, behind...)
}

// Packets of a tunnel may come in pages: only as much of them as the kernel likes lies in a row. Headers as long as the parser
// lets in are judged the same as when they do.
func TestHeadersOfATunnelsPacketsAreReadToTheirEnd(t *testing.T) {
	w := newTown(t)
	far := openTUNWith(t, "wg0", unix.IFF_NO_PI|unix.IFF_VNET_HDR)
	c := tokyo(t, w, Cell{Src: 15, Dst: 21, Port: 2, Rule: 1})
	const pc, other = "2001:db8:10::11", "2001:db8:51::11"
	in := func(packet []byte, inRow int) map[string]uint64 {
		t.Helper()
		before, err := c.Counters()
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 10) // struct virtio_net_hdr
		binary.LittleEndian.PutUint16(head[2:], uint16(inRow))
		if _, err := far.Write(append(head, packet...)); err != nil {
			t.Fatal(err)
		}
		after, err := c.Counters()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]uint64{}
		for _, reason := range []string{"ip-truncated", "ip-header", "ip6-extension", "l4-truncated", "l4-header", "icmp-quote", "icmp-error-no-flow", "icmp-type"} {
			if n := after.Reasons[reason].Packets - before.Reasons[reason].Packets; n != 0 {
				out[reason] = n
			}
		}
		if n := after.Pairs[[2]anchors.Zone{anchors.MyNumber, anchors.MyNumber}].Packets - before.Pairs[[2]anchors.Zone{anchors.MyNumber, anchors.MyNumber}].Packets; n != 0 {
			out["passed"] = n
		}
		return out
	}
	const paged = 5000 // bytes behind the headers: the kernel keeps what is shorter than a page in a row
	udp := func(size int) []byte {
		b := make([]byte, 8+size)
		binary.BigEndian.PutUint16(b[0:], 4000)
		binary.BigEndian.PutUint16(b[2:], 53)
		binary.BigEndian.PutUint16(b[4:], uint16(8+size))
		return b
	}
	// The kernel forwards what may pass; what it then says of packets that are too big is not of interest here.
	for _, x := range []struct {
		what, want string
		packet     func(payload int) []byte
	}{
		{"no extension headers", "passed", func(n int) []byte { return packet6(other, pc, 17, udp(n)) }},
		{"one that ends behind what is always in a row", "passed", func(n int) []byte {
			first, b := extensions(1, 120, 17, udp(n))
			return packet6(other, pc, first, b)
		}},
		{"an error with all options that quotes as many", "icmp-error-no-flow", func(n int) []byte {
			quoted := options4("198.18.10.11", "198.51.100.11", 17, udp(n))
			return options4("198.51.100.11", "198.18.10.11", 1, append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, quoted...))
		}},
		{"four of the longest", "passed", func(n int) []byte {
			first, b := extensions(4, 264, 17, udp(n))
			return packet6(other, pc, first, b)
		}},
		{"five", "ip6-extension", func(n int) []byte {
			first, b := extensions(5, 264, 17, udp(n))
			return packet6(other, pc, first, b)
		}},
		{"one that is too long", "ip6-extension", func(n int) []byte {
			first, b := extensions(1, 272, 17, udp(n))
			return packet6(other, pc, first, b)
		}},
		{"an error that quotes four of the longest behind as many", "icmp-error-no-flow", func(n int) []byte {
			first, quoted := extensions(4, 264, 17, udp(n))
			first, b := extensions(4, 264, 58, append([]byte{2, 0, 0, 0, 0, 0, 5, 0}, packet6(pc, other, first, quoted)...))
			return packet6(other, pc, first, b)
		}},
		{"an error that quotes four of the longest", "icmp-error-no-flow", func(n int) []byte {
			first, quoted := extensions(4, 264, 17, udp(n))
			return icmpError6(other, pc, 2, 0, packet6(pc, other, first, quoted))
		}},
		{"an error that quotes five", "icmp-quote", func(n int) []byte {
			first, quoted := extensions(5, 264, 17, udp(n))
			return icmpError6(other, pc, 2, 0, packet6(pc, other, first, quoted))
		}},
	} {
		want := fmt.Sprint(map[string]uint64{x.want: 1})
		for _, way := range []struct {
			what         string
			inRow, bytes int
		}{{"in a row", 0, 8}, {"in pages, with its first header in a row", 40, paged}, {"in pages, with one byte in a row", 1, paged}} {
			if got := fmt.Sprint(in(x.packet(way.bytes), way.inRow)); got != want {
				t.Errorf("%s, %s: %s, want %s", x.what, way.what, got, want)
			}
		}
	}
}
