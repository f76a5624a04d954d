package packet_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Every place where the parser, the fragment table or the rewriting refuses: a frame that reaches it, and one beside it that
// just misses it. The places are counted in the sources, so that a new one without a frame is noticed.

// place is one refusal of one function in the C sources.
type place struct {
	at   string // function and reason
	what string
	hit  sent
	miss sent // the frame that just misses it
}

// sent is a frame and what becomes of it: the reason, "" = it passes.
type sent struct {
	frame []byte
	want  string
}

// unreachablePlaces are refusals that no frame can reach, with why they stand there all the same.
var unreachablePlaces = map[string]int{
	"parse_frame frame-short":         1, // the kernel runs no program on fewer than 14 bytes
	"parse_bare ip-truncated":         1, // the same
	"parse_ip4_options ip-truncated":  1, // the header lies in the packet, and the packet in the frame: for the verifier
	"parse_xdp frame-short":           1, // for the verifier
	"parse_skb frame-short":           1, // for the verifier
	"fragment_first fragment-overlap": 1, // two CPUs at the same time
	"count_hop ip-truncated":          2, // the parser has been there: for the verifier
	"rewrite frame-short":             3, // for the verifier
	"up_the_stack metadata-failed":    1, // for the verifier
}

func TestEveryRefusalOfFramesIsReachedAndJustMissed(t *testing.T) {
	tables := worldTables(rand.New(rand.NewPCG(1, 1)), "frames")
	tables.Cells = nil
	for i := range tables.Segments {
		tables.Segments[i].Limits = packet.Limits{}
	}
	for _, to := range []uint16{204, 209, 203} {
		for port := uint16(1); port <= 5; port++ {
			tables.Cells = append(tables.Cells, packet.Cell{Src: 203, Dst: to, Port: port, Rule: 1}, packet.Cell{Src: 309, Dst: to, Port: port, Rule: 1})
		}
	}
	s := newStage(t, tables)
	covered := map[string]int{}
	for _, x := range slices.Concat(l2Places(), ip4Places(), ip6Places(), l4Places()) {
		covered[x.at]++
		for _, f := range []sent{x.hit, x.miss} {
			if got, _ := s.send("b0", f.frame); got != f.want {
				t.Errorf("%s, %s: dropped for %q, want %q\n%s", x.at, x.what, got, f.want, dump(f.frame))
			}
			s.forget()
		}
	}
	s.barePlaces(covered)
	s.fragmentPlaces(covered)
	s.roomPlaces(covered)
	for at, n := range refusals(t) {
		if covered[at]+unreachablePlaces[at] < n {
			t.Errorf("%s stands in %d places of the sources, frames reach %d", at, n, covered[at]+unreachablePlaces[at])
		}
	}
}

// refusals counts by function and reason where the sources refuse.
func refusals(t *testing.T) map[string]int {
	t.Helper()
	function := regexp.MustCompile(`(?ms)^(?:INLINE \w+|int __noinline) (\w+)\([^{;]*\)\n\{\n(.*?)^\}`)
	reason := regexp.MustCompile(`DROP_(\w+)`)
	out := map[string]int{}
	for _, name := range []string{"parse.h", "fragment.h", "forward.h"} {
		b, err := os.ReadFile("../../bpf/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range function.FindAllStringSubmatch(string(b), -1) {
			if name == "forward.h" && !slices.Contains([]string{"count_hop", "rewrite", "up_the_stack"}, f[1]) {
				continue // tables and routes, not frames
			}
			for _, r := range reason.FindAllStringSubmatch(f[2], -1) {
				out[f[1]+" "+strings.ReplaceAll(strings.ToLower(r[1]), "_", "-")]++
			}
		}
	}
	if len(out) < 30 {
		t.Fatalf("only %d refusals found in the sources: %v", len(out), out)
	}
	return out
}

// forget empties the fragment table.
func (s *stage) forget() {
	s.t.Helper()
	var k packet.RawFragmentKey
	var v packet.RawFragments
	var keys []packet.RawFragmentKey
	it := s.trial.Fragments().Iterate()
	for it.Next(&k, &v) {
		keys = append(keys, k)
	}
	for _, k := range keys {
		if err := s.trial.Fragments().Delete(k); err != nil {
			s.t.Fatal(err)
		}
	}
}

const (
	gre  = 47
	opts = 60
	frag = 44
)

func ethernet(kind uint16, body []byte) []byte {
	to, from := portMAC("b0"), hostMAC(3, 11)
	return append(be.AppendUint16(append(append([]byte{}, to[:]...), from[:]...), kind), body...)
}

// tagsIn puts tags (TPID and VLAN) into a frame.
func tagsIn(f []byte, tags ...uint16) []byte {
	out := bytes.Clone(f[:12])
	for _, v := range tags {
		out = be.AppendUint16(out, v)
	}
	return append(out, f[12:]...)
}

func put(f []byte, at int, v ...byte) []byte {
	f = bytes.Clone(f)
	copy(f[at:], v)
	return f
}

// ip4 is an IPv4 packet of station 11 of segment 3 to that of segment 4, as a frame.
func ip4(proto byte, place uint16, options, behind []byte) []byte {
	header := 20 + len(options)
	b := []byte{0x40 | byte(header/4), 0}
	b = be.AppendUint16(b, uint16(header+len(behind)))
	b = be.AppendUint16(append(b, 0, 7), place)
	b = append(b, 64, proto, 0, 0)
	b = append(append(b, addr4(segmentOf(3), 11).AsSlice()...), addr4(segmentOf(4), 11).AsSlice()...)
	return ethernet(0x0800, append(append(b, options...), behind...))
}

// ip6 is the same over IPv6.
func ip6(next byte, behind []byte) []byte { return ip6To(addr6(segmentOf(4), 11), next, behind) }

func ip6To(to netip.Addr, next byte, behind []byte) []byte {
	b := be.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(behind)))
	b = append(append(append(b, next, 255), addr6(segmentOf(3), 11).AsSlice()...), to.AsSlice()...)
	return ethernet(0x86dd, append(b, behind...))
}

// header is an IPv6 extension header of size bytes.
func header(next byte, size int, behind []byte) []byte {
	b := make([]byte, size)
	b[0], b[1] = next, byte(size/8-1)
	return append(b, behind...)
}

// cutHere is a fragment header.
func cutHere(next byte, place uint16, behind []byte) []byte {
	return append(append(be.AppendUint16([]byte{next, 0}, place), 0, 0, 0, 7), behind...)
}

func tcpHeader(offset byte, size int) []byte {
	b := make([]byte, size)
	copy(b, []byte{0x9c, 0x40, 443 >> 8, 443 & 255})
	if size > 13 {
		b[12], b[13] = offset<<4, 2
	}
	return b
}

func udpHeader(length uint16, size int) []byte {
	b := make([]byte, size)
	copy(b, []byte{0x9c, 0x40, 0, 53})
	if size > 5 {
		be.PutUint16(b[4:], length)
	}
	return b
}

func sctpHeader(size int) []byte {
	b := make([]byte, size)
	copy(b, []byte{0x9c, 0x40, 3868 >> 8, 3868 & 255})
	return b
}

func ping(typ byte, size int) []byte { return put(make([]byte, size), 0, typ) }

func l2Places() []place {
	good := ip4(gre, 0, nil, make([]byte, 20))
	pass := sent{good, ""}
	asks := func(op byte, size int) []byte {
		own, from, gate := hostMAC(3, 11), addr4(segmentOf(3), 11), addr4(segmentOf(3), 1)
		b := append([]byte{0, 1, 8, 0, 6, 4, 0, op}, own[:]...)
		b = append(append(b, from.AsSlice()...), 0, 0, 0, 0, 0, 0)
		return ethernet(0x0806, append(b, gate.AsSlice()...)[:size])
	}
	return []place{
		{"parse_frame l2-source", "from no MAC", sent{put(good, 6, 0, 0, 0, 0, 0, 0), "l2-source"}, pass},
		{"parse_frame l2-source", "from a group", sent{put(good, 6, 3), "l2-source"}, pass},
		{"parse_frame ethertype", "LLDP", sent{put(good, 12, 0x88, 0xcc), "ethertype"}, pass},
		{"parse_tags frame-short", "ends in the first tag", sent{tagsIn(good, 0x8100, 0)[:17], "frame-short"}, sent{tagsIn(good, 0x8100, 0)[:18], "ip-truncated"}},
		{"parse_tags frame-short", "ends in the second tag", sent{tagsIn(good, 0x8100, 0, 0x8100, 0)[:21], "frame-short"}, sent{tagsIn(good, 0x8100, 0, 0x8100, 0)[:22], "ip-truncated"}},
		{"parse_tags vlan-stacked", "three tags", sent{tagsIn(good, 0x8100, 0, 0x8100, 0, 0x8100, 0), "vlan-stacked"}, sent{tagsIn(good, 0x8100, 0, 0x8100, 0), ""}},
		{"parse_tags vlan-stacked", "a service tag inside", sent{tagsIn(good, 0x8100, 0, 0x88a8, 0), "vlan-stacked"}, sent{tagsIn(good, 0x88a8, 0, 0x8100, 0), ""}},
		{"note_tags vlan-stacked", "a service tag alone", sent{tagsIn(good, 0x88a8, 30), "vlan-stacked"}, sent{tagsIn(good, 0x88a8, 0), ""}},
		{"note_tags vlan-stacked", "a service tag around a priority", sent{tagsIn(good, 0x88a8, 30, 0x8100, 0), "vlan-stacked"}, sent{tagsIn(good, 0x88a8, 30, 0x8100, 10), "source-not-in-segment"}},
		{"parse_arp arp-malformed", "cut off", sent{asks(1, 27), "arp-malformed"}, sent{asks(1, 28), ""}},
		{"parse_arp arp-malformed", "neither question nor answer", sent{asks(3, 28), "arp-malformed"}, sent{asks(1, 28), ""}},
		{"parse_arp arp-malformed", "operation 0", sent{asks(0, 28), "arp-malformed"}, sent{asks(1, 28), ""}},
		{"parse_arp arp-malformed", "for another medium", sent{put(asks(1, 28), 15, 6), "arp-malformed"}, sent{asks(1, 28), ""}},
		{"parse_arp arp-malformed", "for another protocol", sent{put(asks(1, 28), 17, 1), "arp-malformed"}, sent{asks(1, 28), ""}},
		{"parse_arp arp-malformed", "with longer MACs", sent{put(asks(1, 28), 18, 8), "arp-malformed"}, sent{asks(1, 28), ""}},
		{"parse_arp arp-malformed", "with longer addresses", sent{put(asks(1, 28), 19, 16), "arp-malformed"}, sent{asks(1, 28), ""}},
	}
}

func ip4Places() []place {
	good := ip4(gre, 0, nil, make([]byte, 20))
	pass := sent{good, ""}
	with := func(options ...byte) []byte { return ip4(gre, 0, options, nil) }
	piece := func(place uint16, size int) []byte { return ip4(gre, place, nil, make([]byte, size)) }
	return []place{
		{"parse_ip4 ip-truncated", "ends in the header", sent{good[:33], "ip-truncated"}, sent{ip4(gre, 0, nil, nil), ""}},
		{"parse_ip4 ip-truncated", "a byte is missing", sent{good[:len(good)-1], "ip-truncated"}, pass},
		{"parse_ip4 ip-header", "another version", sent{put(good, 14, 0x55), "ip-header"}, pass},
		{"parse_ip4 ip-header", "too short a header", sent{put(good, 14, 0x44), "ip-header"}, pass},
		{"parse_ip4 ip-header", "shorter than its header", sent{put(good, 16, 0, 19), "ip-header"}, sent{put(good, 16, 0, 20), ""}},
		{"parse_ip4 fragment", "the reserved bit", sent{ip4(gre, 0x8000, nil, nil), "fragment"}, sent{ip4(gre, 0x4000, nil, nil), ""}},
		{"parse_ip4_options ip-header", "loose source route", sent{with(131, 3, 4, 0), "ip-header"}, sent{with(130, 3, 4, 0), ""}},
		{"parse_ip4_options ip-header", "strict source route behind others", sent{with(1, 148, 4, 0, 0, 137, 3, 4), "ip-header"}, sent{with(1, 148, 4, 0, 0, 136, 3, 4), ""}},
		{"parse_ip4_options ip-header", "source route behind the end", sent{with(1, 131, 3, 4), "ip-header"}, sent{with(0, 131, 3, 4), ""}},
		{"parse_ip4_options ip-header", "an option without length", sent{with(1, 1, 1, 7), "ip-header"}, sent{with(1, 1, 1, 1), ""}},
		{"parse_ip4_options ip-header", "an option beyond the header", sent{with(7, 5, 0, 0), "ip-header"}, sent{with(7, 4, 0, 0), ""}},
		{"parse_ip4_options ip-header", "an option of one byte", sent{with(7, 1, 0, 0), "ip-header"}, sent{with(7, 2, 0, 0), ""}},
		{"note_piece fragment", "no multiple of eight", sent{piece(0x2000, 71), "fragment"}, sent{piece(0x2000, 72), ""}},
		{"note_piece fragment-tiny", "a small first one", sent{piece(0x2000, 56), "fragment-tiny"}, sent{piece(0x2000, 64), ""}},
		{"note_piece fragment-tiny", "an empty last one", sent{piece(8, 0), "fragment-tiny"}, sent{piece(8, 1), "fragment-no-first"}},
		{"note_piece fragment-overlap", "beyond the longest packet", sent{piece(8180, 76), "fragment-overlap"}, sent{piece(8180, 75), "fragment-no-first"}},
	}
}

func ip6Places() []place {
	greBehind := make([]byte, 20)
	good := ip6(gre, greBehind)
	pass := sent{good, ""}
	asks := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, addr6(segmentOf(3), 1).AsSlice()...)
	gate := addr6(segmentOf(3), 1)
	chain := func(n int) []byte {
		b := greBehind
		next := byte(gre)
		for range n {
			b = header(next, 8, b)
			next = opts
		}
		return ip6(opts, b)
	}
	first := func(next byte, behind []byte) []byte { return ip6(frag, cutHere(next, 1, behind)) }
	places := []place{
		{"parse_ip6 ip-truncated", "ends in the header", sent{good[:53], "ip-truncated"}, sent{ip6(gre, nil), ""}},
		{"parse_ip6 ip-truncated", "a byte is missing", sent{good[:len(good)-1], "ip-truncated"}, pass},
		{"parse_ip6 ip-header", "another version", sent{put(good, 14, 0x40), "ip-header"}, pass},
		{"parse_ip6 ip6-extension", "neighbour discovery behind options", sent{ip6To(gate, opts, header(58, 8, asks)), "ip6-extension"}, sent{ip6To(gate, 58, asks), ""}},
		{"parse_ip6 ip6-extension", "neighbour discovery in one fragment", sent{ip6To(gate, frag, cutHere(58, 0, asks)), "ip6-extension"}, sent{ip6(frag, cutHere(58, 0, ping(128, 8))), ""}},
		{"parse_extensions ip6-extension", "hop-by-hop options behind others", sent{ip6(opts, header(0, 8, header(gre, 8, nil))), "ip6-extension"}, sent{ip6(0, header(opts, 8, header(gre, 8, nil))), ""}},
		{"parse_extensions ip6-extension", "ends in an extension header", sent{ip6(opts, header(gre, 8, nil)[:7]), "ip6-extension"}, sent{ip6(opts, header(gre, 8, nil)), ""}},
		{"parse_extensions ip6-extension", "a header beyond the packet", sent{ip6(opts, put(header(gre, 8, nil), 1, 1)), "ip6-extension"}, sent{ip6(opts, header(gre, 16, nil)), ""}},
		{"parse_extensions ip6-extension", "too long a header", sent{ip6(opts, header(gre, 272, nil)), "ip6-extension"}, sent{ip6(opts, header(gre, 264, nil)), ""}},
		{"parse_extensions ip6-extension", "five headers", sent{chain(5), "ip6-extension"}, sent{chain(4), ""}},
		{"parse_extensions fragment-tiny", "the next header is in another fragment", sent{first(opts, header(opts, 64, nil)), "fragment-tiny"}, sent{first(opts, header(opts, 56, header(gre, 8, nil))), ""}},
		{"parse_extensions fragment-tiny", "a header goes on in another fragment", sent{first(opts, put(header(gre, 64, nil), 1, 8)), "fragment-tiny"}, sent{first(opts, header(gre, 64, nil)), ""}},
		{"parse_ip6_fragment ip6-extension", "two fragment headers", sent{ip6(frag, cutHere(frag, 0, cutHere(gre, 0, nil))), "ip6-extension"}, sent{ip6(frag, cutHere(gre, 0, nil)), ""}},
		{"parse_ip6_fragment fragment", "a reserved byte", sent{ip6(frag, put(cutHere(gre, 0, nil), 1, 1)), "fragment"}, sent{ip6(frag, cutHere(gre, 0, nil)), ""}},
		{"parse_ip6_fragment fragment", "reserved bits", sent{ip6(frag, cutHere(gre, 2, nil)), "fragment"}, sent{ip6(frag, cutHere(gre, 0, nil)), ""}},
		{"note_piece fragment", "no multiple of eight", sent{first(gre, make([]byte, 71)), "fragment"}, sent{first(gre, make([]byte, 72)), ""}},
		{"note_piece fragment-tiny", "a small first one", sent{first(gre, make([]byte, 56)), "fragment-tiny"}, sent{first(gre, make([]byte, 64)), ""}},
		{"note_piece fragment-overlap", "beyond the longest packet", sent{ip6(frag, cutHere(gre, 65440, make([]byte, 96))), "fragment-overlap"}, sent{ip6(frag, cutHere(gre, 65440, make([]byte, 95))), "fragment-no-first"}},
		{"note_piece fragment-overlap", "beyond it because of what stands in front", sent{ip6(opts, header(frag, 8, cutHere(gre, 65440, make([]byte, 88)))), "fragment-overlap"}, sent{ip6(opts, header(frag, 8, cutHere(gre, 65440, make([]byte, 87)))), "fragment-no-first"}},
	}
	for _, kind := range []byte{43, 135, 139, 140} {
		places = append(places, place{"parse_extensions ip6-extension", "a header that nobody may send", sent{ip6(kind, header(gre, 8, nil)), "ip6-extension"}, sent{ip6(opts, header(gre, 8, nil)), ""}})
	}
	return places
}

func l4Places() []place {
	first := func(size int, proto byte, behind []byte) []byte {
		return ip6(frag, cutHere(opts, 1, header(proto, size, behind)))
	}
	whole := func(proto byte, b []byte) []byte { return ip4(proto, 0, nil, b) }
	return []place{
		{"cut_short l4-truncated", "TCP", sent{whole(6, tcpHeader(5, 19)), "l4-truncated"}, sent{whole(6, tcpHeader(5, 20)), ""}},
		{"cut_short l4-truncated", "UDP", sent{whole(17, udpHeader(8, 7)), "l4-truncated"}, sent{whole(17, udpHeader(8, 8)), ""}},
		{"cut_short l4-truncated", "SCTP", sent{whole(132, sctpHeader(11)), "l4-truncated"}, sent{whole(132, sctpHeader(12)), ""}},
		{"cut_short l4-truncated", "ICMP", sent{whole(1, ping(8, 7)), "l4-truncated"}, sent{whole(1, ping(8, 8)), ""}},
		{"cut_short fragment-tiny", "TCP", sent{first(48, 6, tcpHeader(5, 16)), "fragment-tiny"}, sent{first(40, 6, tcpHeader(5, 24)), ""}},
		{"cut_short fragment-tiny", "SCTP", sent{first(56, 132, sctpHeader(8)), "fragment-tiny"}, sent{first(48, 132, sctpHeader(16)), ""}},
		{"cut_short fragment-tiny", "UDP", sent{first(64, 17, nil), "fragment-tiny"}, sent{first(56, 17, udpHeader(100, 8)), ""}},
		{"parse_l4 l4-header", "TCP header of four words", sent{whole(6, tcpHeader(4, 20)), "l4-header"}, sent{whole(6, tcpHeader(5, 20)), ""}},
		{"parse_l4 l4-header", "TCP header beyond the packet", sent{whole(6, tcpHeader(6, 23)), "l4-header"}, sent{whole(6, tcpHeader(6, 24)), ""}},
		{"parse_l4 l4-header", "UDP shorter than its header", sent{whole(17, udpHeader(7, 8)), "l4-header"}, sent{whole(17, udpHeader(8, 8)), ""}},
		{"parse_l4 l4-header", "UDP beyond the packet", sent{whole(17, udpHeader(13, 12)), "l4-header"}, sent{whole(17, udpHeader(12, 12)), ""}},
		{"parse_l4 l4-header", "ICMPv6 over IPv4", sent{whole(58, ping(128, 8)), "l4-header"}, sent{ip6(58, ping(128, 8)), ""}},
		{"parse_l4 l4-header", "ICMP over IPv6", sent{ip6(1, ping(8, 8)), "l4-header"}, sent{whole(1, ping(8, 8)), ""}},
		{"parse_l4 fragment-tiny", "TCP options in another fragment", sent{first(16, 6, tcpHeader(13, 48)), "fragment-tiny"}, sent{first(16, 6, tcpHeader(12, 48)), ""}},
	}
}

// barePlaces are those of a tunnel's packets.
func (s *stage) barePlaces(covered map[string]int) {
	for version, want := range map[byte]string{0x55: "ip-header", 0x45: "source-not-in-segment"} {
		b := put(ip4(gre, 0, nil, make([]byte, 20))[14:], 0, version)
		if _, _, v, err := s.trial.TunnelIn(s.index["wg0"], b); err != nil || packet.ReasonName(v.Reason) != want {
			s.t.Errorf("parse_bare, version %x: dropped for %q, want %q (%v)", version, packet.ReasonName(v.Reason), want, err)
		}
	}
	covered["parse_bare ip-header"]++
}

// fragmentPlaces are those that depend on what came before.
func (s *stage) fragmentPlaces(covered map[string]int) {
	piece := func(from, to int, more bool) []byte {
		place := uint16(from / 8)
		if more {
			place |= 0x2000
		}
		return ip4(gre, place, nil, make([]byte, to-from))
	}
	first := piece(0, 64, true)
	from := func(f []byte, mac packet.MAC) []byte { return put(f, 6, mac[:]...) }
	// Station 13 of segment 9 has no registered MAC.
	loose := func(f []byte) []byte {
		f = put(f, 26, addr4(segmentOf(9), 13).AsSlice()...)
		return tagsIn(from(f, hostMAC(9, 13)), 0x8100, 10)
	}
	var many [][]byte
	for at := 0; at < 8; at++ {
		many = append(many, piece(at*128, at*128+64, true))
	}
	pass := []sent{}
	for _, f := range many {
		pass = append(pass, sent{f, ""})
	}
	for _, x := range []struct {
		at   string
		what string
		row  []sent
	}{
		{"", "a packet in three pieces, and a rest of it", []sent{{first, ""}, {piece(128, 200, false), ""}, {piece(64, 128, true), ""}, {piece(64, 128, true), "fragment-no-first"}}},
		{"fragment_later fragment-no-first", "nothing came before", []sent{{piece(64, 128, true), "fragment-no-first"}, {first, ""}, {piece(64, 128, true), ""}}},
		{"fragment_later fragment-no-first", "from another MAC", []sent{{loose(first), ""}, {from(loose(piece(64, 128, true)), stranger), "fragment-no-first"}, {loose(piece(64, 128, true)), ""}}},
		{"fragment_later fragment-no-first", "of another protocol", []sent{{first, ""}, {put(piece(64, 128, true), 23, 50), "fragment-no-first"}}},
		{"fragment_later fragment-no-first", "of another packet", []sent{{first, ""}, {put(piece(64, 128, true), 19, 8), "fragment-no-first"}}},
		{"fragment_later fragment-overlap", "from inside what passed", []sent{{first, ""}, {piece(56, 120, true), "fragment-overlap"}, {piece(64, 128, true), ""}}},
		{"fragment_later fragment-overlap", "into what passed", []sent{{first, ""}, {piece(192, 256, true), ""}, {piece(72, 200, true), "fragment-overlap"}, {piece(72, 192, true), ""}}},
		{"fragment_later fragment-overlap", "around what passed", []sent{{first, ""}, {piece(192, 256, true), ""}, {piece(128, 320, true), "fragment-overlap"}}},
		{"fragment_later fragment-overlap", "twice", []sent{{first, ""}, {piece(128, 192, true), ""}, {piece(128, 192, true), "fragment-overlap"}}},
		{"fragment_later fragment-overlap", "behind the end", []sent{{first, ""}, {piece(128, 200, false), ""}, {piece(200, 264, true), "fragment-overlap"}}},
		{"fragment_later fragment-overlap", "a second end", []sent{{first, ""}, {piece(128, 200, false), ""}, {piece(64, 72, false), "fragment-overlap"}}},
		{"fragment_later fragment-overlap", "an end before what passed", []sent{{first, ""}, {piece(192, 256, true), ""}, {piece(64, 128, false), "fragment-overlap"}, {piece(256, 300, false), ""}}},
		{"fragment_later fragment-overlap", "nine pieces apart", append(slices.Clone(pass), sent{piece(1024, 1088, true), "fragment-overlap"}, sent{piece(64, 128, true), ""}, sent{piece(1024, 1088, true), ""})},
		{"fragment_first fragment-overlap", "the first one twice", []sent{{first, ""}, {first, "fragment-overlap"}, {put(first, 19, 8), ""}}},
	} {
		if x.at != "" {
			covered[x.at]++
		}
		for i, f := range x.row {
			port := "b0"
			if got, _ := s.send(port, f.frame); got != f.want {
				s.t.Errorf("%s, %s, frame %d: dropped for %q, want %q\n%s", x.at, x.what, i, got, f.want, dump(f.frame))
			}
		}
		s.forget()
	}
	// Full: as many as there is room for, and one more.
	covered["fragment_first fragment-table-full"]++
	for n := range packet.TrialPieces + 1 {
		want := ""
		if n == packet.TrialPieces {
			want = "fragment-table-full"
		}
		if got, _ := s.send("b0", put(first, 18, 1, byte(n))); got != want {
			s.t.Errorf("packet %d in fragments: dropped for %q, want %q", n, got, want)
		}
	}
	s.forget()
	// Time, and a new policy.
	s.trial.At(began)
	later := func(want string) {
		s.t.Helper()
		if got, _ := s.send("b0", piece(64, 128, true)); got != want {
			s.t.Errorf("later: dropped for %q, want %q", got, want)
		}
	}
	begin := func() {
		s.t.Helper()
		if got, _ := s.send("b0", first); got != "" {
			s.t.Errorf("first: dropped for %q", got)
		}
	}
	begin()
	s.trial.At(began + 30*time.Second)
	later("")
	s.forget()
	begin()
	s.trial.At(began + 60*time.Second + 10*time.Millisecond)
	later("fragment-no-first")
	begin() // in the place of the old one
	later("")
	tables, _ := s.core.Active()
	s.load(tables)
	later("fragment-no-first")
	begin()
	later("")
	s.forget()
}

// roomPlaces need a frame that leaves no room in front: metadata of the driver's takes it.
func (s *stage) roomPlaces(covered map[string]int) {
	toTag := put(ip4(gre, 0, nil, nil), 30, addr4(segmentOf(9), 11).AsSlice()...)
	up := put(ip4(gre, 0, nil, nil), 30, addr4(segmentOf(4), 11).AsSlice()...)
	up[22] = 1 // hops: the kernel is to answer
	for _, x := range []struct {
		at    string
		frame []byte
		room  int
		want  string
	}{
		{"rewrite vlan-rewrite", toTag, 216, "vlan-rewrite"},
		{"", toTag, 212, ""},
		{"", ip4(gre, 0, nil, nil), 216, ""},
		{"up_the_stack metadata-failed", up, 212, "metadata-failed"},
		{"", up, 208, ""},
	} {
		if x.at != "" {
			covered[x.at]++
		}
		v, err := s.trial.ClassifyBehind(s.index["b0"], x.room, x.frame)
		if got := packet.ReasonName(v.Reason); err != nil || got != x.want {
			s.t.Errorf("with %d bytes of metadata: dropped for %q, want %q (%v)", x.room, got, x.want, err)
		}
	}
}
