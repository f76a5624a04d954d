package packet_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Each guard by hand: a frame that reaches every refusing branch, and one that just misses it. Segments of the world: 1 is
// strict and carries groups, 2 may have routers, 3 is strict and may have routers and DHCP servers, 4 carries groups and may
// have DHCP servers.

var (
	everybody = packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	someGroup = packet.MAC{0x33, 0x33, 0, 0, 0, 1}
	stranger  = packet.MAC{2, 0xde, 0xad, 0, 0, 1}
)

func guardTables() packet.Tables {
	t := worldTables(rand.New(rand.NewPCG(1, 1)), "guards")
	t.Ports = append(t.Ports, packet.PortRange{Proto: 17, Lo: 67, Hi: 68, Class: 6}, packet.PortRange{Proto: 17, Lo: 546, Hi: 547, Class: 6}, packet.PortRange{Proto: 2, Class: 7})
	t.Cells = []packet.Cell{
		{Src: 203, Dst: 201, Port: 6, Rule: 1}, // a DHCP server in 3 answers a relay in 1
		{Src: 201, Dst: 203, Port: 6, Rule: 2}, // and is asked
		{Src: 201, Dst: 401, Port: 3, Rule: 4, BWClass: 5}, {Src: 201, Dst: 401, Port: 4, Rule: 4}, {Src: 201, Dst: 401, Port: 1, Rule: 4}, {Src: 201, Dst: 401, Port: 7, Rule: 4},
		{Src: 204, Dst: 404, Port: 3, Rule: 5},
	}
	return t
}

func TestGuards(t *testing.T) {
	s := newStage(t, guardTables())
	// Not as subtests: those would run on threads outside of the world's namespace.
	s.routers()
	s.leases()
	s.duplicates()
	s.groups()
}

// option is one of neighbour discovery; size in units of eight bytes.
func option(kind byte, size int, mac packet.MAC) []byte {
	b := make([]byte, 8*size)
	b[0], b[1] = kind, byte(size)
	copy(b[2:], mac[:])
	return b
}

func (s *stage) routers() {
	own := hostMAC(3, 254)
	good := talk{
		port: "b0", vlan: -1, src: netip.MustParseAddr("fe80::254"), dst: netip.MustParseAddr("ff02::1"), smac: own, dmac: someGroup,
		proto: 58, typ: 134, ttl: 255,
		payload: bytes.Join([][]byte{make([]byte, 8), option(1, 1, own), option(5, 1, packet.MAC{}), option(3, 4, packet.MAC{})}, nil),
	}
	with := func(f func(*talk)) talk { x := good; f(&x); return x }
	for _, x := range []struct {
		what string
		x    talk
		want string
	}{
		{"from a registered router", good, ""},
		{"without options", with(func(x *talk) { x.payload = x.payload[:8] }), ""},
		{"to the gate alone", with(func(x *talk) { x.dst = addr6(segmentOf(3), 1) }), ""},
		{"to a link-local address", with(func(x *talk) { x.dst = netip.MustParseAddr("fe80::1") }), ""},
		{"where none is expected", with(func(x *talk) { x.port, x.smac = "a0", hostMAC(1, 254); x.payload = x.payload[:8] }), "router-advertisement"},
		{"where one is expected, though nobody must be registered", with(func(x *talk) { x.port, x.vlan, x.smac = "a0", 10, hostMAC(2, 254); x.payload = x.payload[:8] }), ""},
		{"from a card that nobody registered there", with(func(x *talk) { x.port, x.vlan, x.smac = "a0", 10, stranger; x.payload = x.payload[:8] }), "router-advertisement"},
		{"from a card of another segment", with(func(x *talk) { x.smac = hostMAC(4, 11); x.payload = x.payload[:8] }), "router-advertisement"},
		{"that a router passed on", with(func(x *talk) { x.ttl = 254 }), "router-advertisement"},
		{"from a registered address", with(func(x *talk) { x.src = addr6(segmentOf(3), 254) }), "router-advertisement"},
		{"from beside the link-local addresses", with(func(x *talk) { x.src = netip.MustParseAddr("fec0::254") }), "router-advertisement"},
		{"in the gate's name", with(func(x *talk) { x.src = linkLocal(portMAC("b0")) }), "duplicate-address"},
		{"in the gate's name, by another address", with(func(x *talk) { x.src = addr6(segmentOf(3), 1) }), "duplicate-address"},
		{"with a code", with(func(x *talk) { x.code = 1 }), "neighbour-malformed"},
		{"cut off", with(func(x *talk) { x.payload = x.payload[:7] }), "neighbour-malformed"},
		{"naming another card", with(func(x *talk) { x.payload = append(make([]byte, 8), option(1, 1, stranger)...) }), "neighbour-binding"},
		{"with eight options", with(func(x *talk) { x.payload = append(make([]byte, 8), bytes.Repeat(option(5, 1, packet.MAC{}), 8)...) }), ""},
		{"with nine options", with(func(x *talk) { x.payload = append(make([]byte, 8), bytes.Repeat(option(5, 1, packet.MAC{}), 9)...) }), "neighbour-malformed"},
		{"with an option of no length", with(func(x *talk) { x.payload = append(make([]byte, 8), option(5, 1, packet.MAC{})...); x.payload[9] = 0 }), "neighbour-malformed"},
		{"with an option beyond its end", with(func(x *talk) { x.payload = append(make([]byte, 8), option(5, 1, packet.MAC{})...); x.payload[9] = 2 }), "neighbour-malformed"},
		{"to somebody else", with(func(x *talk) { x.dst = addr6(segmentOf(3), 11) }), "neighbour-foreign"},
		{"to another group", with(func(x *talk) { x.dst = netip.MustParseAddr("ff02::2") }), "neighbour-foreign"},
		{"a redirect", with(func(x *talk) { x.typ = 137 }), "neighbour-refused"},
		{"a solicitation", with(func(x *talk) { x.typ = 133 }), "neighbour-refused"},
	} {
		s.expect(x.what, x.x, x.want)
	}
}

func (s *stage) leases() {
	server, relay := from(segmentOf(3), 11, addr4(segmentOf(1), 11)), from(segmentOf(1), 11, addr4(segmentOf(3), 11))
	server.proto, server.sport, server.dport, server.payload = 17, 67, 67, []byte{2, 1, 6, 0}
	relay.proto, relay.sport, relay.dport, relay.payload = 17, 67, 67, []byte{1, 1, 6, 0}
	server6, relay6 := from(segmentOf(3), 11, addr6(segmentOf(1), 11)), from(segmentOf(1), 11, addr6(segmentOf(3), 11))
	server6.proto, server6.sport, server6.dport, server6.payload = 17, 547, 547, []byte{13, 0, 0, 0}
	relay6.proto, relay6.sport, relay6.dport, relay6.payload = 17, 547, 547, []byte{12, 0, 0, 0}
	with := func(x talk, f func(*talk)) talk { f(&x); return x }
	says := func(x talk, kind byte) talk { x.payload = []byte{kind, 0, 0, 0}; return x }
	for _, x := range []struct {
		what string
		x    talk
		want string
	}{
		{"a relay asks", relay, ""},
		{"a relay asks over IPv6", relay6, ""},
		{"a server answers it", server, ""},
		{"a server answers it over IPv6", server6, ""},
		{"a server answers a client", with(server, func(x *talk) { x.dport = 68 }), ""},
		{"a server where none is expected", says(relay, 2), "dhcp-server"},
		{"a server where none is expected, to a client", with(says(relay, 2), func(x *talk) { x.dport = 68 }), "dhcp-server"},
		{"beside the ports", with(says(relay, 2), func(x *talk) { x.dport = 66 }), "no-cell"},
		{"above the ports", with(says(relay, 2), func(x *talk) { x.dport = 69 }), "no-cell"},
		{"beside the ports of IPv6", with(says(relay6, 2), func(x *talk) { x.dport = 545 }), "no-cell"},
		{"above the ports of IPv6", with(says(relay6, 2), func(x *talk) { x.dport = 548 }), "no-cell"},
		{"the ports of IPv6 under IPv4", with(says(relay, 2), func(x *talk) { x.dport = 547 }), ""},
		{"the same ports of TCP", with(says(relay, 2), func(x *talk) { x.proto, x.flags = 6, 2 }), "no-cell"},
		{"a server that no cell permits", with(server, func(x *talk) { x.dst = addr4(segmentOf(8), 11) }), "no-cell"},
		{"a server's broadcast", with(server, func(x *talk) { x.dst, x.dmac = netip.MustParseAddr("255.255.255.255"), everybody }), "l2-multicast"},
		{"a client shouts", with(relay, func(x *talk) {
			x.src, x.dst, x.dmac = netip.IPv4Unspecified(), netip.MustParseAddr("255.255.255.255"), everybody
		}), "dhcp-refused"},
		{"a client without an address", with(relay, func(x *talk) { x.src = netip.IPv4Unspecified() }), "dhcp-refused"},
		{"a client to a group", with(relay, func(x *talk) { x.dst = netip.MustParseAddr("224.0.0.12") }), "dhcp-refused"},
		{"a client's frame to all", with(relay, func(x *talk) { x.dmac = everybody }), "dhcp-refused"},
		{"a client of IPv6", with(relay6, func(x *talk) {
			x.src, x.dst, x.dmac = netip.MustParseAddr("fe80::11"), netip.MustParseAddr("ff02::1:2"), someGroup
		}), "dhcp-refused"},
		{"a client by its link-local address", with(relay6, func(x *talk) { x.src = netip.MustParseAddr("fe80::11") }), "dhcp-refused"},
		{"nothing in it", with(relay, func(x *talk) { x.payload = nil }), "dhcp-refused"},
		{"one byte in it", with(relay, func(x *talk) { x.payload = []byte{1} }), ""},
		{"neither question nor answer", says(relay, 0), "dhcp-server"},
		{"an unknown kind", says(relay, 3), "dhcp-server"},
	} {
		s.expect(x.what, x.x, x.want)
	}
	for kind := range 256 {
		want := "dhcp-server"
		switch kind {
		case 1, 3, 4, 5, 6, 8, 9, 11, 12:
			want = ""
		}
		s.expect("kind of DHCPv6 where no server is expected", says(relay6, byte(kind)), want)
		s.expect("kind of DHCPv6 where one is", says(server6, byte(kind)), "")
	}
}

// arp is a frame of segment 1; sender and target as they stand in it.
func arp(op byte, smac packet.MAC, sender, target netip.Addr) []byte {
	b := append(bytes.Repeat([]byte{0xff}, 6), smac[:]...)
	b = append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, op)
	b = append(append(b, smac[:]...), sender.AsSlice()...)
	return append(append(b, 0, 0, 0, 0, 0, 0), target.AsSlice()...)
}

func (s *stage) duplicates() {
	mn := segmentOf(1)
	pc, gate, elsewhere, free := addr4(mn, 11), addr4(mn, 1), addr4(segmentOf(3), 1), netip.IPv4Unspecified()
	card := hostMAC(1, 11)
	for _, x := range []struct {
		what           string
		op             byte
		smac           packet.MAC
		sender, target netip.Addr
		want           string
	}{
		{"a station asks for the gate", 1, card, pc, gate, ""},
		{"somebody asks in the gate's name", 1, card, gate, pc, "duplicate-address"},
		{"a stranger asks in the gate's name", 1, stranger, gate, pc, "duplicate-address"},
		{"somebody answers in the gate's name", 2, card, gate, pc, "duplicate-address"},
		{"somebody announces the gate's address", 1, card, gate, gate, "duplicate-address"},
		{"somebody announces it by an answer", 2, card, gate, gate, "duplicate-address"},
		{"somebody asks whether the gate's address is free", 1, card, free, gate, "duplicate-address"},
		{"somebody claims the gate's address of another segment", 1, card, elsewhere, pc, "duplicate-address"},
		{"somebody asks whether that one is free", 1, card, free, elsewhere, "duplicate-address"},
		{"a station asks whether its own address is free", 1, card, free, pc, "neighbour-binding"},
		{"a station announces its own address", 1, card, pc, pc, "neighbour-gratuitous"},
		{"a station asks for the address beside the gate's", 1, card, pc, addr4(mn, 2), "neighbour-foreign"},
	} {
		if got, _ := s.send("a0", arp(x.op, x.smac, x.sender, x.target)); got != x.want {
			s.t.Errorf("%s: dropped for %q, want %q", x.what, got, x.want)
		}
	}

	nd := func(typ uint8, src, dst, target netip.Addr) talk {
		kind := byte(1)
		if typ == 136 {
			kind = 2
		}
		x := talk{port: "a0", vlan: -1, smac: card, dmac: portMAC("a0"), src: src, dst: dst, proto: 58, typ: typ, ttl: 255}
		x.payload = append(target.AsSlice(), option(kind, 1, card)...)
		if src.IsUnspecified() {
			x.payload = x.payload[:16]
		}
		return x
	}
	pc6, gate6, elsewhere6, all := addr6(mn, 11), addr6(mn, 1), addr6(segmentOf(3), 1), netip.MustParseAddr("ff02::1")
	own, beside := linkLocal(portMAC("a0")), netip.MustParseAddr("fe80::53:4bff:fe00:62")
	with := func(x talk, f func(*talk)) talk { f(&x); return x }
	for _, x := range []struct {
		what string
		x    talk
		want string
	}{
		{"a station asks for the gate", nd(135, pc6, gate6, gate6), ""},
		{"a station asks for the gate's link-local address", nd(135, pc6, own, own), ""},
		{"a station asks for a link-local address beside it", nd(135, pc6, own, beside), "neighbour-foreign"},
		{"a station answers the gate", nd(136, pc6, gate6, pc6), ""},
		{"somebody asks in the gate's name", nd(135, gate6, pc6, pc6), "duplicate-address"},
		{"somebody asks in the name of its link-local address", nd(135, own, pc6, pc6), "duplicate-address"},
		{"somebody announces the gate's address", nd(136, pc6, all, gate6), "duplicate-address"},
		{"somebody answers for the gate", nd(136, pc6, gate6, gate6), "duplicate-address"},
		{"somebody announces its link-local address", nd(136, pc6, all, own), "duplicate-address"},
		{"somebody asks whether the gate's address is free", nd(135, netip.IPv6Unspecified(), all, gate6), "duplicate-address"},
		{"somebody asks whether its link-local address is free", nd(135, netip.IPv6Unspecified(), all, own), "duplicate-address"},
		{"somebody claims the gate's address of another segment", nd(136, pc6, all, elsewhere6), "duplicate-address"},
		{"a station asks whether its own address is free", nd(135, netip.IPv6Unspecified(), all, pc6), "neighbour-binding"},
		{"a station announces its own address", nd(136, pc6, all, pc6), "neighbour-gratuitous"},
		{"a claim that a router passed on", with(nd(136, pc6, all, gate6), func(x *talk) { x.ttl = 254 }), "neighbour-malformed"},
	} {
		s.expect(x.what, x.x, x.want)
	}
}

func (s *stage) groups() {
	mn := segmentOf(1)
	good := from(mn, 11, netip.MustParseAddr("224.0.0.251"))
	good.proto, good.sport, good.dport, good.dmac = 17, 5353, 53, everybody
	six := from(mn, 11, netip.MustParseAddr("ff02::fb"))
	six.proto, six.sport, six.dport, six.dmac = 17, 5353, 53, someGroup
	with := func(x talk, f func(*talk)) talk { f(&x); return x }
	to := func(a string) talk { return with(good, func(x *talk) { x.dst = netip.MustParseAddr(a) }) }
	to6 := func(a string) talk { return with(six, func(x *talk) { x.dst = netip.MustParseAddr(a) }) }
	for _, x := range []struct {
		what string
		x    talk
		want string
	}{
		{"multicast", good, ""},
		{"the last multicast address", to("239.255.255.255"), ""},
		{"the address above", to("240.0.0.0"), "l2-multicast"},
		{"the address below the first", to("223.255.255.255"), "l2-multicast"},
		{"broadcast", to("255.255.255.255"), ""},
		{"almost broadcast", to("255.255.255.254"), "l2-multicast"},
		{"the segment's broadcast", to("198.18.1.255"), ""},
		{"almost the segment's broadcast", to("198.18.1.254"), "l2-multicast"},
		{"another segment's broadcast", to("198.18.3.255"), "l2-multicast"},
		{"the gate's own address in a frame to all", to("198.18.1.1"), "l2-multicast"},
		{"multicast of IPv6", six, ""},
		{"of a larger scope", to6("ff05::fb"), "l2-multicast"},
		{"with a flag", to6("ff12::fb"), "l2-multicast"},
		{"no multicast", to6("2001:db8:1::1"), "l2-multicast"},
		{"a segment without groups", with(good, func(x *talk) { *x = from(segmentOf(3), 11, x.dst); x.proto, x.dport, x.dmac = 17, 53, everybody }), "l2-multicast"},
		{"to the gate's MAC", with(good, func(x *talk) { x.dmac = portMAC("a0") }), "destination-address"},
		{"to the segment's broadcast by the gate's MAC", with(to("198.18.1.255"), func(x *talk) { x.dmac = portMAC("a0") }), "no-cell"},
		{"another port", with(good, func(x *talk) { x.dport = 54 }), "multicast-refused"},
		{"an echo request", with(good, func(x *talk) { x.proto, x.typ = 1, 8 }), ""},
		{"an echo reply", with(good, func(x *talk) { x.proto, x.typ = 1, 0 }), "multicast-refused"},
		{"an error", with(good, func(x *talk) { x.proto, x.typ = 1, 3 }), "multicast-refused"},
		{"TCP, that a cell opens to the gate", with(good, func(x *talk) { x.proto, x.dport, x.flags = 6, 443, 2 }), "multicast-refused"},
		{"another protocol that a cell opens", with(good, func(x *talk) { x.proto = 2 }), ""},
		{"another protocol", with(good, func(x *talk) { x.proto = 47 }), "multicast-refused"},
		{"a station that may not", with(good, func(x *talk) { x.src, x.smac = addr4(mn, 12), hostMAC(1, 12) }), "multicast-refused"},
		{"a station with another card", with(good, func(x *talk) { x.smac = stranger }), "station-mac-mismatch"},
		{"nobody", with(good, func(x *talk) { x.src = addr4(mn, 77) }), "station-unregistered"},
		{"a source of another segment", with(good, func(x *talk) { x.src = addr4(segmentOf(3), 11) }), "source-not-in-segment"},
		{"a source that is none", with(good, func(x *talk) { x.src = netip.MustParseAddr("169.254.1.1") }), "source-address"},
		{"a link-local source", with(six, func(x *talk) { x.src = netip.MustParseAddr("fe80::11") }), "source-address"},
		{"the gate's own address as source", with(good, func(x *talk) { x.src = addr4(mn, 1) }), "station-unregistered"},
		{"the same where nobody must be registered", with(from(segmentOf(4), 1, good.dst), func(x *talk) { x.proto, x.dport, x.dmac = 17, 53, everybody }), "source-is-gate"},
		{"a station there", with(from(segmentOf(4), 11, good.dst), func(x *talk) { x.proto, x.dport, x.dmac = 17, 53, everybody }), ""},
	} {
		s.expect(x.what, x.x, x.want)
	}
	flows := len(s.flows())
	if reason, v := s.send(good.port, s.gen.write(good, false)); reason != "" || v.Rule != 4 || v.Opened != 0 || len(s.flows()) != flows {
		s.t.Errorf("a group: dropped for %q, rule %d, opened %d, %d flows; want rule 4 and no flow", reason, v.Rule, v.Opened, len(s.flows())-flows)
	}
}
