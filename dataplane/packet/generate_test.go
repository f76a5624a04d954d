package packet_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// A generator that knows what packets are made of: mostly coherent ones, so that the late steps are reached, then bent in
// one place.

var be = binary.BigEndian

// talk is one packet before it is bytes.
type talk struct {
	port         string
	vlan         int // -1: no tag
	outer        int // 0: none
	smac, dmac   packet.MAC
	src, dst     netip.Addr
	proto        uint8
	sport, dport uint16
	flags        uint8 // TCP
	typ, code    uint8 // ICMP
	id           uint16
	ttl          uint8
	options      int    // IPv4, words
	route        bool   // one of the options is a source route
	extensions   []byte // IPv6, kinds of the headers in front
	payload      []byte
}

type generator struct {
	r      *rand.Rand
	recent []talk // to answer to
	bytes  [2048]byte
	last   talk

	wild    bool       // also what no sender in its right mind would send
	pending []fragment // cut from former packets, still to be sent
}

// fragment is a frame on its way.
type fragment struct {
	of    talk
	frame []byte
}

func (g *generator) chance(percent int) bool { return g.r.IntN(100) < percent }

func pick[T any](g *generator, in ...T) T { return in[g.r.IntN(len(in))] }

var odd4 = []string{"0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.1.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.3.1", "198.18.99.255"}
var odd6 = []string{"::", "::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff05::2", "::ffff:198.18.1.11", "::198.18.1.11", "2001:db8:ffff::1", "fd00::1"}

// address is one of segment s, mostly.
func (g *generator) address(s segment, v6 bool) netip.Addr {
	if g.chance(4) {
		if v6 {
			return netip.MustParseAddr(pick(g, odd6...))
		}
		return netip.MustParseAddr(pick(g, odd4...))
	}
	if g.chance(12) {
		n := networks[g.r.IntN(len(networks))]
		if v6 {
			a := netip.MustParsePrefix(n.v6).Addr().As16()
			a[15] = byte(1 + g.r.IntN(250))
			return netip.AddrFrom16(a)
		}
		a := netip.MustParsePrefix(n.v4).Addr().As4()
		a[3] = byte(1 + g.r.IntN(250))
		return netip.AddrFrom4(a)
	}
	n := pick(g, 11, 11, 11, 12, 12, 13, 14, 1, 254, 77)
	if v6 {
		return addr6(s, n)
	}
	return addr4(s, n)
}

// owner is the MAC that belongs to an address.
func owner(a netip.Addr) packet.MAC {
	for _, s := range segments {
		for _, n := range []int{11, 12, 13, 14, 254, 77} {
			if a == addr4(s, n) || a == addr6(s, n) {
				return hostMAC(s.id, n)
			}
		}
	}
	return hostMAC(3, 254) // the router
}

func (g *generator) mac(right packet.MAC) packet.MAC {
	if g.chance(94) {
		return right
	}
	return pick(g, packet.MAC{}, packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, packet.MAC{0x33, 0x33, 0, 0, 0, 1}, packet.MAC{1, 0, 0x5e, 0, 0, 1},
		hostMAC(uint16(1+g.r.IntN(9)), 11), packet.MAC{2, 0xde, 0xad, 0, 0, 1}, portMAC("a0"))
}

func (g *generator) tag(s segment) int {
	if g.chance(95) {
		if s.vlan == 0 {
			return pick(g, -1, -1, -1, -1, -1, -1, 0)
		}
		return int(s.vlan)
	}
	return pick(g, -1, 0, 10, 10, 20, 4095)
}

// next makes the next packet: a fresh one, or an answer to one that passed.
func (g *generator) next(bare bool) (port string, frame []byte) {
	g.wild = true
	if len(g.pending) > 0 && g.chance(60) {
		f := g.pending[0]
		g.pending = g.pending[1:]
		g.last, frame = f.of, f.frame
		if g.chance(3) {
			frame = g.bend(frame)
		}
		return f.of.port, frame
	}
	var t talk
	switch n := g.r.IntN(100); {
	case n < 25 && len(g.recent) > 0:
		t = g.answer(g.recent[g.r.IntN(len(g.recent))])
	case n < 35 && len(g.recent) > 0: // the same again
		t = g.recent[g.r.IntN(len(g.recent))]
		g.fill(&t)
	case n < 43 && !bare:
		return g.arp()
	case n < 51:
		t = g.discovery()
	case n < 57 && len(g.recent) > 0:
		t = g.complaint()
	default:
		t = g.fresh(bare)
	}
	g.last = t
	if bare && t.dst.Is4() {
		t.dst = g.called(t.src, t.dst)
	}
	if len(g.pending) < 20 && (t.proto != 58 || g.chance(10)) && g.chance(2) {
		g.cut(t, bare)
	}
	frame = g.write(t, bare)
	if g.chance(15) {
		frame = g.bend(frame)
	}
	return t.port, frame
}

func (g *generator) somewhere(bare bool) segment {
	for {
		s := segments[g.r.IntN(len(segments))]
		if s.tunnel == bare {
			return s
		}
	}
}

func (g *generator) fresh(bare bool) talk {
	s := g.somewhere(bare)
	v6 := g.chance(45)
	to := segments[g.r.IntN(len(segments))]
	if bare && !v6 && g.chance(25) {
		to = segmentOf(2) // which the regions know by other addresses
	}
	t := talk{port: s.port, vlan: g.tag(s), outer: int(s.outer), src: g.address(s, v6), dst: g.address(to, v6)}
	if g.chance(2) {
		t.src = g.address(to, v6)
	}
	if g.chance(1) {
		t.dst = t.src
	}
	t.smac, t.dmac = g.mac(owner(t.src)), g.mac(portMAC(t.port))
	if g.chance(1) {
		t.dmac = hostMAC(1, 77)
	}
	switch n := g.r.IntN(100); {
	case n < 45:
		t.proto = 6
		t.dport = pick[uint16](g, 443, 80, 89, 90, 22, 65535)
		t.flags = pick[uint8](g, 2, 2, 2, 2, 2, 2, 0x10, 0x12, 0x11, 0x04, 0x14, 0xc2, 0x0a, 0x22, 0, 3, 6)
	case n < 70:
		t.proto = 17
		t.dport = pick[uint16](g, 53, 53, 5000, 5010, 5011, 0, 67, 68, 546, 547)
	case n < 88:
		t.proto, t.typ = 1, pick[uint8](g, 8, 8, 8, 8, 0, 3, 5, 11, 13)
		if v6 {
			t.proto, t.typ = 58, pick[uint8](g, 128, 128, 128, 128, 129, 1, 2, 3, 4, 130, 143)
		}
		if g.chance(2) {
			t.proto = 59 - t.proto // the other family's ICMP
		}
	default:
		t.proto = pick[uint8](g, 47, 47, 50, 59, 2, 132, 132, 0, 43, 44, 51, 60, 135, 139, 140, 253)
		if t.proto == 132 {
			t.dport = pick[uint16](g, 3868, 3868, 3869)
		}
	}
	t.sport = 40000 + uint16(g.r.IntN(6))
	t.id = uint16(g.r.IntN(3))
	g.fill(&t)
	if !bare && g.chance(7) {
		g.shout(s, &t)
	}
	if t.proto == 17 && (t.dport|1 == 67 || t.dport == 68 || t.dport|1 == 547) && len(t.payload) > 0 {
		t.payload = append([]byte{byte(g.r.IntN(16))}, t.payload[1:]...)
		if g.chance(60) {
			t.payload[0] = pick[byte](g, 1, 2, 7, 13, 32, 33)
		}
	}
	return t
}

// shout sends a packet to many, mostly of those that there are.
func (g *generator) shout(s segment, t *talk) {
	t.dmac = pick(g, packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, packet.MAC{1, 0, 0x5e, 0, 0, 0xfb}, packet.MAC{0x33, 0x33, 0, 0, 0, 0xfb})
	if t.src.Is6() {
		t.dst = netip.MustParseAddr(pick(g, "ff02::fb", "ff02::1:2", "ff02::1", "ff12::1", "ff05::2", "ff01::1"))
		return
	}
	t.dst = pick(g, netip.MustParseAddr(pick(g, "224.0.0.251", "239.255.255.255", "240.0.0.1", "255.255.255.255", "223.255.255.255")), addr4(s, 255), addr4(s, 255), addr4(segmentOf(4), 255), addr4(s, 254))
}

// fill sets what has no part in a flow.
func (g *generator) fill(t *talk) {
	t.ttl = pick[uint8](g, 64, 64, 64, 64, 64, 255, 2, 1, 0)
	t.options, t.route, t.extensions = 0, false, nil
	if g.chance(8) {
		t.options, t.route = 1+g.r.IntN(10), g.chance(15)
	}
	if g.chance(10) {
		t.extensions = pick(g, []byte{0}, []byte{60}, []byte{44}, []byte{0, 60}, []byte{0, 44, 60}, []byte{60, 60}, []byte{0, 60, 44, 60}, []byte{0, 60, 60, 60, 60},
			[]byte{60, 0}, []byte{44, 44}, []byte{43}, []byte{0, 43}, []byte{135}, []byte{139}, []byte{60, 140})
	}
	size := g.r.IntN(40)
	if g.chance(6) {
		size = 1340 + g.r.IntN(240)
	}
	t.payload = g.bytes[:size]
}

// answer is a packet of the other side.
func (g *generator) answer(t talk) talk {
	t.src, t.dst, t.sport, t.dport = t.dst, t.src, t.dport, t.sport
	for _, s := range segments {
		for _, p := range []netip.Prefix{netip.PrefixFrom(addr4(s, 0), 24), netip.PrefixFrom(addr6(s, 0), 64)} {
			if p.Contains(t.src) {
				t.port, t.vlan, t.outer = s.port, int(s.vlan), int(s.outer)
			}
		}
	}
	if t.vlan == 0 {
		t.vlan = -1
	}
	t.smac, t.dmac = g.mac(owner(t.src)), g.mac(portMAC(t.port))
	switch t.proto {
	case 6:
		t.flags = pick[uint8](g, 0x12, 0x10, 0x10, 0x11, 0x14, 2)
	case 1:
		t.typ = pick[uint8](g, 0, 0, 0, 8)
	case 58:
		t.typ = pick[uint8](g, 129, 129, 129, 128)
	}
	g.fill(&t)
	return t
}

// complaint is an ICMP error about a packet that passed, or about an answer to one.
func (g *generator) complaint() talk {
	q := g.recent[g.r.IntN(len(g.recent))]
	if g.chance(50) {
		q = g.answer(q)
	}
	back := g.answer(q) // from whom the quoted packet went to
	t := talk{port: back.port, vlan: back.vlan, src: back.src, dst: q.src, proto: 1, typ: pick[uint8](g, 3, 3, 11, 12)}
	if t.src.Is6() {
		t.proto, t.typ = 58, pick[uint8](g, 1, 2, 3, 4)
	}
	for _, s := range segments { // or from somebody else there
		if netip.PrefixFrom(addr4(s, 0), 24).Contains(t.src) && g.chance(30) {
			t.src = addr4(s, pick(g, 11, 14, 254))
		} else if netip.PrefixFrom(addr6(s, 0), 64).Contains(t.src) && g.chance(30) {
			t.src = addr6(s, pick(g, 11, 14, 254))
		}
	}
	t.smac, t.dmac = g.mac(owner(t.src)), g.mac(portMAC(t.port))
	t.code, t.id = uint8(g.r.IntN(8)), uint16(g.r.IntN(1500))
	switch {
	case g.chance(3):
		q.src = g.address(segments[g.r.IntN(len(segments))], q.src.Is6())
	case g.chance(3):
		q.dst = g.address(segments[g.r.IntN(len(segments))], q.src.Is6())
	case g.chance(3):
		q.sport++
	case g.chance(3) && (q.proto == 1 || q.proto == 58):
		q.typ = pick[uint8](g, 3, 11, 1, 2, 4, 13, 128, 129, 0, 8)
	}
	if q.src.Is4() {
		q.src = g.called(t.src, q.src)
	}
	b := g.write(q, true)
	l3 := 40
	if q.src.Is4() {
		l3 = int(b[0]&15) * 4
	} else {
		b = g.extend(b)
	}
	switch g.r.IntN(12) {
	case 0:
		b = b[:g.r.IntN(len(b)+1)]
	case 1:
		be.PutUint16(b[6:], pick[uint16](g, 0x2000, 0x4000, 1, 0x1fff)) // IPv6: next header
	case 2:
		b[0] = byte(g.r.IntN(256))
	case 3:
		b[g.r.IntN(min(len(b), 60))] ^= 1 << g.r.IntN(8)
	case 4, 5, 6:
		b = b[:min(len(b), l3+8)] // as little as there must be
	case 7:
		b = b[:min(len(b), l3+7)]
	}
	g.fill(&t)
	t.payload = b
	return t
}

// extend puts extension headers into an IPv6 packet, sometimes.
func (g *generator) extend(b []byte) []byte {
	if g.chance(70) {
		return b
	}
	next, chain := b[6], []byte{}
	kinds := []byte{}
	for range 1 + g.r.IntN(5) {
		kinds = append(kinds, pick[byte](g, 0, 60, 60, 44, 44, 43))
	}
	for i, kind := range kinds {
		follows := next
		if i+1 < len(kinds) {
			follows = kinds[i+1]
		}
		size := 0
		if kind != 44 && g.chance(30) {
			size = pick(g, 1, 2, 32, 33)
		}
		header := make([]byte, 8+8*size)
		header[0], header[1] = follows, byte(size)
		if kind == 44 {
			header[1] = byte(g.r.IntN(256)) // reserved: says nothing
			be.PutUint16(header[2:], pick[uint16](g, 0, 1, 1, 6, 8, 0xfff8))
		}
		chain = append(chain, header...)
	}
	out := append(append(append([]byte{}, b[:40]...), chain...), b[40:]...)
	out[6] = kinds[0]
	return out
}

// write makes bytes of a talk.
func (g *generator) write(t talk, bare bool) []byte {
	return g.packet(t, bare, g.transport(t), -1, 0)
}

// transport makes the header behind IP and the payload.
func (g *generator) transport(t talk) []byte {
	var l4 []byte
	switch t.proto {
	case 6:
		l4 = make([]byte, 20, 64)
		be.PutUint16(l4[0:], t.sport)
		be.PutUint16(l4[2:], t.dport)
		l4[12], l4[13] = 5<<4, t.flags
		if g.chance(10) {
			l4 = l4[:20+4*g.r.IntN(11)]
			l4[12] = byte(len(l4)/4) << 4
		}
	case 17:
		l4 = make([]byte, 8)
		be.PutUint16(l4[0:], t.sport)
		be.PutUint16(l4[2:], t.dport)
		be.PutUint16(l4[4:], uint16(8+len(t.payload)))
	case 132:
		l4 = make([]byte, 12)
		be.PutUint16(l4[0:], t.sport)
		be.PutUint16(l4[2:], t.dport)
	case 1, 58:
		l4 = make([]byte, 8)
		l4[0], l4[1] = t.typ, t.code
		be.PutUint16(l4[4:], t.id)
	}
	return append(l4, t.payload...)
}

// tags writes the tags of a talk and then its EtherType, sometimes with a tag too many.
func (g *generator) tags(b []byte, t talk, kind uint16) []byte {
	tag := func(tpid uint16, id int) {
		b = be.AppendUint16(b, tpid)
		b = be.AppendUint16(b, uint16(id)|uint16(g.r.IntN(8))<<13)
	}
	if g.wild && g.chance(2) {
		tag(pick[uint16](g, 0x8100, 0x8100, 0x88a8), pick(g, 0, 0, 0, 0, 9, t.vlan&0xfff))
	}
	if t.outer > 0 && !(g.wild && g.chance(4)) {
		tag(pick[uint16](g, 0x88a8, 0x88a8, 0x88a8, 0x8100), t.outer)
	}
	if t.vlan >= 0 {
		tpid := uint16(0x8100)
		if g.wild && g.chance(1) {
			tpid = 0x88a8
		}
		tag(tpid, t.vlan)
	}
	if g.wild && g.chance(1) {
		tag(0x8100, pick(g, 0, 0, 10))
	}
	return be.AppendUint16(b, kind)
}

// packet puts Ethernet and IP in front of what follows IP. place: -1, or the fragment field of IPv4 and, moved to its place,
// of IPv6; id: of the fragment.
func (g *generator) packet(t talk, bare bool, behind []byte, place int, id uint32) []byte {
	b := make([]byte, 0, 256+len(behind))
	kind := uint16(0x0800)
	if t.src.Is6() {
		kind = 0x86dd
	}
	if !bare {
		b = append(b, t.dmac[:]...)
		b = append(b, t.smac[:]...)
		b = g.tags(b, t, kind)
	}
	if t.src.Is6() {
		before, first := t.extensions, t.proto
		if place >= 0 {
			before = append(slices.DeleteFunc(slices.Clone(before), func(kind byte) bool { return kind == 44 }), 44)
		}
		headers := g.headers(before, t.proto, place, id)
		if len(before) > 0 {
			first = before[0]
		}
		b = append(b, 0x60|byte(g.r.IntN(16)), byte(g.r.IntN(256)), 0, 0)
		b = be.AppendUint16(b, uint16(len(headers)+len(behind)))
		b = append(b, first, t.ttl)
		b = append(b, t.src.AsSlice()...)
		b = append(b, t.dst.AsSlice()...)
		return append(append(b, headers...), behind...)
	}
	at := len(b)
	header := 20 + 4*t.options
	b = append(b, 0x40|byte(header/4), byte(g.r.IntN(256)))
	b = be.AppendUint16(b, uint16(header+len(behind)))
	b = be.AppendUint16(b, uint16(id))
	if place < 0 {
		place = g.r.IntN(2) << 14 // perhaps "do not fragment"
	}
	b = be.AppendUint16(b, uint16(place))
	b = append(b, t.ttl, t.proto, 0, 0)
	b = append(b, t.src.AsSlice()...)
	b = append(b, t.dst.AsSlice()...)
	b = append(b, g.ipOptions(header-20, t.route)...)
	be.PutUint16(b[at+10:], ^sum16(b[at:at+header]))
	return append(b, behind...)
}

// ipOptions fills size bytes with options, mostly good ones.
func (g *generator) ipOptions(size int, route bool) []byte {
	b := make([]byte, 0, size)
	for len(b) < size {
		left := size - len(b)
		switch {
		case route && left > 3:
			b = append(b, pick[byte](g, 131, 137), 3, 4)
			route = false
		case g.chance(30) || left == 1:
			b = append(b, 1)
		case g.chance(5):
			b = append(b, 0)
		default:
			n := 2 + g.r.IntN(left-1)
			if g.chance(1) {
				n = g.r.IntN(256)
			}
			b = append(b, pick[byte](g, 7, 68, 148, 130), byte(n))
			b = append(b, g.bytes[:max(0, min(n, left)-2)]...)
		}
	}
	return b[:size]
}

// headers makes IPv6 extension headers of these kinds in front of protocol last; the place is that of the last fragment header.
func (g *generator) headers(kinds []byte, last uint8, place int, id uint32) (b []byte) {
	for i, kind := range kinds {
		next := last
		if i+1 < len(kinds) {
			next = kinds[i+1]
		}
		if kind == 44 {
			field := g.junk(0)
			if place >= 0 && i == len(kinds)-1 {
				field = uint16(place&0x1fff)<<3 | uint16(place>>13&1)
				field |= g.junk(field) & 6
			}
			b = append(b, next, byte(g.junk(0)))
			b = be.AppendUint16(b, field)
			b = be.AppendUint32(b, id)
			continue
		}
		words := pick(g, 0, 0, 0, 1, 2, 5)
		if g.chance(2) {
			words = pick(g, 31, 32, 33)
		}
		b = append(b, next, byte(words))
		b = append(b, g.bytes[:words*8+6]...)
	}
	return b
}

// junk is v, seldom something else.
func (g *generator) junk(v uint16) uint16 {
	if g.wild && g.chance(2) {
		return uint16(g.r.IntN(65536))
	}
	return v
}

// cut makes fragments of a longer packet of the same kind: mostly an honest row of them, then with one thing wrong.
func (g *generator) cut(t talk, bare bool) {
	if g.chance(70) {
		t.ttl, t.options, t.extensions = 64, 0, nil
	}
	t.payload = g.bytes[:100+g.r.IntN(1400)]
	whole := g.transport(t)
	id := uint32(g.r.IntN(50))
	var row []fragment
	add := func(from, to int, more bool) {
		to = min(to, len(whole))
		place := from / 8
		if more {
			place |= 1 << 13
		}
		if from < to {
			row = append(row, fragment{t, g.packet(t, bare, whole[from:to], place, id)})
		}
	}
	step := 64 + 8*g.r.IntN(60)
	if g.chance(5) {
		step = pick(g, 8, 16, 24, 56, 64)
	}
	for at := 0; at < len(whole) && len(row) < 12; at += step {
		add(at, at+step, at+step < len(whole))
	}
	switch g.r.IntN(16) {
	case 0:
		add(step-8, 2*step-8, true) // overlaps two
	case 1:
		row = append(row, row[g.r.IntN(len(row))]) // twice
	case 2:
		row = slices.DeleteFunc(row, func(fragment) bool { return g.chance(30) })
	case 3:
		add(step, step+61, true) // no multiple of 8
	case 4:
		row = row[1:]
	case 5:
		place := 8191 - g.r.IntN(20)
		row = append(row, fragment{t, g.packet(t, bare, whole[:min(len(whole), 8*(1+g.r.IntN(22)))], place, id)})
	case 6:
		for i := range row { // every second one: many pieces apart from each other
			if i < len(row)/2 {
				row[i], row[len(row)/2+i] = row[min(2*i, len(row)-1)], row[min(2*i+1, len(row)-1)]
			}
		}
	case 7:
		g.r.Shuffle(len(row), func(i, j int) { row[i], row[j] = row[j], row[i] })
	case 8:
		g.r.Shuffle(len(row)-1, func(i, j int) { row[i+1], row[j+1] = row[j+1], row[i+1] })
	case 9:
		other := t
		other.smac = g.mac(hostMAC(uint16(1+g.r.IntN(9)), 11))
		at := step
		add(at, at+step, true)
		row = append(row, fragment{other, g.packet(other, bare, whole[:min(64, len(whole)/8*8)], len(whole)/8|1<<13, id)})
	case 10:
		add(0, len(whole), false)
		add(len(whole)/8*8-64, len(whole)/8*8-16, false) // a second end
	}
	g.pending = append(g.pending, row...)
}

// sum16 is the ones' complement sum of RFC 1071.
func sum16(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(be.Uint16(b[i:]))
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// networkAt is where the network header begins, behind two tags at most.
func networkAt(b []byte) int {
	at := 14
	for at < 22 && len(b) > at+4 && (be.Uint16(b[at-2:]) == 0x8100 || be.Uint16(b[at-2:]) == 0x88a8) {
		at += 4
	}
	return at
}

// bend spoils one thing.
func (g *generator) bend(b []byte) []byte {
	l3 := networkAt(b)
	if g.last.port == "wg0" {
		l3 = 0
	}
	if len(b) < l3+20 {
		return b
	}
	switch g.r.IntN(12) {
	case 0, 1:
		return b[:max(14, g.r.IntN(len(b)))]
	case 2:
		return append(b, g.bytes[:g.r.IntN(60)]...) // padding
	case 3:
		b[l3] = byte(g.r.IntN(256)) // version, header length
	case 4:
		be.PutUint16(b[l3+2:], uint16(g.r.IntN(len(b)+20)))
	case 5:
		be.PutUint16(b[l3+4:], uint16(g.r.IntN(len(b)+20))) // IPv6: payload length
	case 6:
		be.PutUint16(b[l3+6:], uint16(g.r.IntN(65536))) // fragment; IPv6: next header
	case 7:
		b[g.r.IntN(min(len(b), 90))] ^= 1 << g.r.IntN(8)
	case 8:
		if l3 >= 14 {
			be.PutUint16(b[l3-2:], pick[uint16](g, 0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x8847, 0x0842))
		}
	case 9:
		if len(b) > l3+40 {
			b[l3+32] = byte(g.r.IntN(256)) // TCP data offset behind 20 bytes of IPv4
		}
	case 10:
		if len(b) > l3+26 {
			be.PutUint16(b[l3+24:], uint16(g.r.IntN(80))) // UDP length behind 20 bytes of IPv4
		}
	case 11:
		if len(b) > l3+54 {
			b[l3+52] = byte(g.r.IntN(256)) // TCP data offset behind IPv6
		}
	}
	return b
}

func (g *generator) arp() (string, []byte) {
	s := g.somewhere(false)
	t := talk{port: s.port, vlan: g.tag(s), outer: int(s.outer), src: g.address(s, false), dst: addr4(s, pick(g, 1, 1, 1, 1, 1, 11, 12))}
	if g.chance(10) {
		t.dst = t.src
	}
	if g.chance(5) {
		t.src = netip.IPv4Unspecified() // asks whether an address is free
	}
	g.last = t
	claimed := owner(t.src)
	smac := g.mac(claimed)
	dmac := pick(g, packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, portMAC(s.port))
	b := append([]byte{}, dmac[:]...)
	b = append(b, smac[:]...)
	b = g.tags(b, t, 0x0806)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, pick[byte](g, 1, 1, 1, 2, 2, 3, 0))
	b = append(b, claimed[:]...)
	b = append(b, t.src.AsSlice()...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = append(b, t.dst.AsSlice()...)
	b = append(b, g.bytes[:g.r.IntN(19)]...)
	if g.chance(10) {
		b[14+g.r.IntN(len(b)-14)] ^= byte(g.r.IntN(256))
	}
	if g.chance(5) {
		b = b[:14+g.r.IntN(len(b)-14)]
	}
	return t.port, b
}

// linkLocal is the address that a kernel makes from a MAC.
func linkLocal(m packet.MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
}

// discovery is neighbour discovery, with options.
func (g *generator) discovery() talk {
	s := g.somewhere(g.last.port == "wg0")
	t := talk{port: s.port, vlan: g.tag(s), outer: int(s.outer), proto: 58, ttl: pick[uint8](g, 255, 255, 255, 255, 255, 255, 64)}
	t.typ = pick[uint8](g, 135, 135, 135, 136, 136, 136, 133, 134, 137)
	t.src = pick(g, addr6(s, 11), addr6(s, 11), addr6(s, 12), addr6(s, 13), addr6(s, 77), addr6(s, 1), netip.MustParseAddr("fe80::11"), netip.MustParseAddr("fe80::11"), netip.IPv6Unspecified(), linkLocal(portMAC(s.port)))
	t.dst = pick(g, addr6(s, 1), addr6(s, 1), netip.MustParseAddr("ff02::1:ff00:1"), netip.MustParseAddr("ff02::1"), netip.MustParseAddr("fe80::1"), addr6(s, 11))
	if g.chance(3) {
		t.code = 1
	}
	t.smac = owner(t.src)
	if t.src.IsLinkLocalUnicast() {
		t.smac = hostMAC(s.id, pick(g, 11, 12, 77))
	}
	t.smac = g.mac(t.smac)
	t.dmac = pick(g, portMAC(s.port), packet.MAC{0x33, 0x33, 0xff, 0, 0, 1})
	target := pick(g, addr6(s, 1), addr6(s, 1), t.src, t.src, addr6(s, 11), netip.MustParseAddr("fe80::1"), linkLocal(portMAC(s.port)), addr6(segmentOf(3), 1))
	t.payload = append([]byte{}, target.AsSlice()...)
	most := pick(g, 0, 1, 1, 1, 2, 3, 4, 5)
	if t.typ == 134 && g.chance(90) {
		t.payload = t.payload[:8]
		most = pick(g, 0, 1, 1, 2, 3, 8, 9)
		if g.chance(70) {
			t.src, t.dst = netip.MustParseAddr("fe80::11"), netip.MustParseAddr("ff02::1")
			t.smac = hostMAC(s.id, pick(g, 11, 254))
		}
	}
	for range most {
		o := append([]byte{pick[byte](g, 1, 2, 2, 14, 3), 1}, t.smac[:]...)
		if g.chance(4) {
			o[7] ^= 1
		}
		if g.chance(4) {
			o[1] = byte(g.r.IntN(4))
		}
		if g.chance(4) {
			o[1] = 2
			o = append(o, 0, 0, 0, 0, 0, 0, 0, 0)
		}
		t.payload = append(t.payload, o...)
	}
	if g.chance(4) {
		t.payload = t.payload[:g.r.IntN(len(t.payload))]
	}
	if g.chance(2) {
		t.extensions = pick(g, []byte{0}, []byte{44}, []byte{60})
	}
	return t
}
