package packet_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// stage is a world with a policy of its own and one loaded copy of the programs, for frames that are written by hand.
type stage struct {
	t     *testing.T
	core  *packet.Core
	trial *packet.Trial
	index map[string]int
	gen   *generator
}

func newStage(t *testing.T, tables packet.Tables) *stage {
	t.Helper()
	core, index := world(t)
	s := &stage{t: t, core: core, index: index, gen: &generator{r: rand.New(rand.NewPCG(seed, 3))}}
	s.load(tables)
	trial, err := core.NewTrial(flowCapacity, flowCapacity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trial.Close() })
	s.trial = trial
	return s
}

func (s *stage) load(tables packet.Tables) {
	s.t.Helper()
	staged, err := s.core.Load(tables)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := staged.Swap(); err != nil {
		s.t.Fatal(err)
	}
}

// send gives the reason for which a frame is dropped at a port; "" when it passes.
func (s *stage) send(port string, frame []byte) (string, packet.RawVerdict) {
	s.t.Helper()
	_, _, v, err := s.trial.Classify(s.index[port], frame)
	if err != nil {
		s.t.Fatal(err)
	}
	return packet.ReasonName(v.Reason), v
}

// expect sends a talk and wants this reason.
func (s *stage) expect(what string, x talk, want string) {
	s.t.Helper()
	if got, _ := s.send(x.port, s.gen.write(x, false)); got != want {
		s.t.Errorf("%s: dropped for %q, want %q", what, got, want)
	}
}

func (s *stage) flows() map[packet.RawFlow]bool {
	s.t.Helper()
	all := map[packet.RawFlow]bool{}
	if err := s.trial.Flows(func(f packet.RawFlow) { all[f] = true }); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// from makes a packet of a host: n of a segment.
func from(s segment, n int, to netip.Addr) talk {
	x := talk{port: s.port, vlan: -1, src: addr4(s, n), dst: to, ttl: 64, smac: hostMAC(s.id, n), dmac: portMAC(s.port)}
	if to.Is6() {
		x.src = addr6(s, n)
	}
	if s.vlan != 0 {
		x.vlan = int(s.vlan)
	}
	return x
}

// An ICMP error passes by the flow of the packet that it quotes, and by nothing else.
func TestICMPErrorsPassOnlyByALiveFlow(t *testing.T) {
	tables := func(rule uint32) packet.Tables {
		tables := worldTables(rand.New(rand.NewPCG(1, 1)), "errors")
		tables.Cells = []packet.Cell{{Src: 201, Dst: 203, Port: 1, Rule: rule, BWClass: 9}, {Src: 201, Dst: 203, Port: 4, Rule: rule}, {Src: 201, Dst: 401, Port: 1, Rule: 3}}
		return tables
	}
	s := newStage(t, tables(1))
	mn, lg := segmentOf(1), segmentOf(3)
	for _, v6 := range []bool{false, true} {
		pc, asp, gate, other := addr4(mn, 11), addr4(lg, 11), addr4(mn, 1), addr4(lg, 12)
		proto, ping, unreachable, nowhere := uint8(1), uint8(8), uint8(3), "198.18.99.1"
		name := "IPv4: "
		if v6 {
			pc, asp, gate, other = addr6(mn, 11), addr6(lg, 11), addr6(mn, 1), addr6(lg, 12)
			proto, ping, unreachable, nowhere = 58, 128, 1, "2001:db8:99::1"
			name = "IPv6: "
		}
		tcp := from(mn, 11, asp)
		tcp.proto, tcp.sport, tcp.dport, tcp.flags, tcp.payload = 6, 40000, 443, 2, []byte("payload")
		echo := from(mn, 11, asp)
		echo.proto, echo.typ, echo.id = proto, ping, 77
		local := from(mn, 11, gate)
		local.proto, local.sport, local.dport, local.flags = 6, 40000, 443, 2
		for _, x := range []talk{tcp, echo, local} {
			s.expect(name+"open", x, "")
		}
		before := s.flows()
		quoted := func(x talk, change ...func([]byte) []byte) []byte {
			b := s.gen.write(x, true)
			for _, f := range change {
				b = f(b)
			}
			return b
		}
		set := func(at int, v ...byte) func([]byte) []byte {
			return func(b []byte) []byte { copy(b[at:], v); return b }
		}
		cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
		chain := func(headers ...[]byte) func([]byte) []byte { // each begins with the kind of the header before it
			return func(b []byte) []byte {
				next, rest := b[6], bytes.Clone(b[40:])
				b[6] = headers[0][0]
				var joined []byte
				for i, h := range headers {
					follows := next
					if i+1 < len(headers) {
						follows = headers[i+1][0]
					}
					joined = append(append(joined, follows), h[1:]...)
				}
				return append(append(b[:40:40], joined...), rest...)
			}
		}
		options := func(kind byte, units int) []byte {
			h := make([]byte, 8+8*units)
			h[0], h[1] = kind, byte(units)
			return h
		}
		answer := tcp
		answer.src, answer.dst, answer.sport, answer.dport = tcp.dst, tcp.src, tcp.dport, tcp.sport
		with := func(x talk, f func(*talk)) talk { f(&x); return x }
		l3 := 20
		if v6 {
			l3 = 40
		}
		type errorCase struct {
			what string
			of   talk // who sends the error, and where to
			b    []byte
			want string
		}
		peer, router, stranger := from(lg, 11, pc), from(lg, 254, pc), from(lg, 77, pc)
		cases := []errorCase{
			{"from the peer", peer, quoted(tcp), ""},
			{"from a router there", router, quoted(tcp), ""},
			{"to the gate about its answer", from(mn, 11, gate), quoted(with(local, func(x *talk) { x.src, x.dst, x.sport, x.dport = gate, pc, 443, 40000 })), ""},
			{"to the gate about what it never sent", from(mn, 11, gate), quoted(with(local, func(x *talk) { x.src, x.dst, x.sport, x.dport = gate, pc, 443, 40001 })), "icmp-error-no-flow"},
			{"from nobody there", stranger, quoted(tcp), "station-unregistered"},
			{"to the answering side", from(mn, 11, asp), quoted(answer), ""},
			{"about the other direction's packet", peer, quoted(answer), "icmp-quote"},
			{"to somebody who did not send it", from(lg, 11, addrOf(mn, 12, v6)), quoted(tcp), "icmp-quote"},
			{"from the sender's own side", from(mn, 254, pc), quoted(tcp), "icmp-error-no-flow"},
			{"about a packet to another host", peer, quoted(with(tcp, func(x *talk) { x.dst = other })), "icmp-error-no-flow"},
			{"about a packet to nowhere", peer, quoted(with(tcp, func(x *talk) { x.dst = netip.MustParseAddr(nowhere) })), "icmp-error-no-flow"},
			{"about another port of the sender", peer, quoted(with(tcp, func(x *talk) { x.sport++ })), "icmp-error-no-flow"},
			{"about another port of the peer", peer, quoted(with(tcp, func(x *talk) { x.dport++ })), "icmp-error-no-flow"},
			{"about another protocol", peer, quoted(with(tcp, func(x *talk) { x.proto = 17 })), "icmp-error-no-flow"},
			{"about an echo", peer, quoted(echo), ""},
			{"about another echo", peer, quoted(with(echo, func(x *talk) { x.id++ })), "icmp-error-no-flow"},
			{"about an answer to an echo that nobody sent", peer, quoted(with(echo, func(x *talk) { x.typ = [2]uint8{0, 129}[min(1, int(x.proto)/58)] })), "icmp-error-no-flow"},
			{"about an error", peer, quoted(with(echo, func(x *talk) { x.typ = unreachable })), "icmp-quote"},
			{"with eight bytes", peer, quoted(tcp, cut(l3+8)), ""},
			{"with seven bytes", peer, quoted(tcp, cut(l3+7)), "icmp-quote"},
			{"with a whole header and no more", peer, quoted(tcp, cut(l3)), "icmp-quote"},
			{"with a header that is cut off", peer, quoted(tcp, cut(l3-1)), "icmp-quote"},
			{"with nothing", peer, nil, "icmp-quote"},
			{"with another version", peer, quoted(tcp, set(0, 0x55)), "icmp-quote"},
		}
		if v6 {
			four := [][]byte{options(0, 0), options(60, 0), options(44, 0), options(60, 0)}
			cases = append(cases, []errorCase{
				{"behind four extension headers", peer, quoted(tcp, chain(four...)), ""},
				{"behind five extension headers", peer, quoted(tcp, chain(append(four, options(60, 0))...)), "icmp-quote"},
				{"behind the longest extension header", peer, quoted(tcp, chain(options(60, 32))), ""},
				{"behind a longer extension header", peer, quoted(tcp, chain(options(60, 33))), "icmp-quote"},
				{"behind an extension header that is cut off", peer, quoted(tcp, chain(options(60, 1)), cut(48)), "icmp-quote"},
				{"behind an extension header that is cut off in its first bytes", peer, quoted(tcp, chain(options(60, 0)), cut(47)), "icmp-quote"},
				{"behind a routing header", peer, quoted(tcp, chain(options(43, 0))), "icmp-error-no-flow"},
				{"of a first fragment", peer, quoted(tcp, chain([]byte{44, 99, 0, 1, 0, 0, 0, 7})), ""},
				{"of a later fragment", peer, quoted(tcp, chain([]byte{44, 0, 0, 8, 0, 0, 0, 7})), "icmp-quote"},
				{"of a much later fragment", peer, quoted(tcp, chain([]byte{44, 0, 1, 0, 0, 0, 0, 7})), "icmp-quote"},
			}...)
		} else {
			cases = append(cases, []errorCase{
				{"with options", peer, quoted(with(tcp, func(x *talk) { x.options = 10 })), ""},
				{"with options that are cut off", peer, quoted(with(tcp, func(x *talk) { x.options = 10 }), cut(59)), "icmp-quote"},
				{"with too short a header length", peer, quoted(tcp, set(0, 0x44)), "icmp-quote"},
				{"of a first fragment", peer, quoted(tcp, set(6, 0x20, 0)), ""},
				{"of a later fragment", peer, quoted(tcp, set(6, 0, 1)), "icmp-quote"},
				{"of a much later fragment", peer, quoted(tcp, set(6, 0x10, 0)), "icmp-quote"},
			}...)
		}
		for _, x := range cases {
			x.of.proto, x.of.typ, x.of.payload = proto, unreachable, x.b
			s.expect(name+x.what, x.of, x.want)
		}
		if !v6 {
			piece := peer
			piece.proto, piece.typ, piece.payload = proto, unreachable, quoted(with(tcp, func(x *talk) { x.payload = make([]byte, 64) }), cut(64-8))
			b := s.gen.write(piece, false)
			if got, _ := s.send(piece.port, b); got != "" {
				t.Errorf("an error of 64 bytes is dropped for %q", got)
			}
			b[14+6] |= 0x20 // more fragments follow
			if got, _ := s.send(piece.port, b); got != "icmp-quote" {
				t.Errorf("the first fragment of an error is dropped for %q, want icmp-quote", got)
			}
		}
		types := map[uint8]string{3: "", 11: "", 12: "", 4: "icmp-type", 5: "icmp-type", 13: "icmp-type"}
		if v6 {
			types = map[uint8]string{1: "", 2: "", 3: "", 4: "", 5: "icmp-type", 0: "icmp-type", 100: "icmp-type"}
		}
		for typ, want := range types {
			peer.proto, peer.typ, peer.payload = proto, typ, quoted(tcp)
			s.expect(name+"type", peer, want)
		}
		if after := s.flows(); !maps.Equal(before, after) {
			t.Errorf("%serrors changed the flows:\n%+v\n%+v", name, before, after)
		}

		// The record's tables were replaced: the flow is asked for anew, and still left as it is.
		peer.typ, peer.payload = unreachable, quoted(tcp)
		s.load(tables(2))
		if reason, v := s.send(peer.port, s.gen.write(peer, false)); reason != "" || v.Rule != 2 || v.Opened != 0 {
			t.Errorf("%safter a swap: dropped for %q, rule %d, opened %d; want it to pass by rule 2", name, reason, v.Rule, v.Opened)
		}
		without := tables(1)
		without.Cells = nil
		s.load(without)
		s.expect(name+"after its permission was withdrawn", peer, "icmp-error-no-flow")
		s.load(tables(1))
		s.expect(name+"after it was given again", peer, "")

		// A flow that is over counts as none, also when nobody has removed it.
		if err := s.trial.Age(func(packet.RawFlow) time.Duration { return agesAgo }); err != nil {
			t.Fatal(err)
		}
		s.expect(name+"about a flow that is over", peer, "icmp-error-no-flow")
	}
}

func addrOf(s segment, n int, v6 bool) netip.Addr {
	if v6 {
		return addr6(s, n)
	}
	return addr4(s, n)
}
