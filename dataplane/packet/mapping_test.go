package packet_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// sum is the Internet checksum (RFC 1071) of all parts one behind the other; each but the last has an even length.
func sum(parts ...[]byte) uint16 {
	total := uint32(0)
	for _, b := range parts {
		for i := 0; i+1 < len(b); i += 2 {
			total += uint32(be.Uint16(b[i:]))
		}
		if len(b)%2 == 1 {
			total += uint32(b[len(b)-1]) << 8
		}
	}
	for total>>16 != 0 {
		total = total>>16 + total&0xffff
	}
	return ^uint16(total)
}

// overAddresses is where a protocol keeps the checksum that covers the addresses; 0: nowhere.
func overAddresses(proto byte) int {
	return map[byte]int{6: 16, 17: 6, 33: 6, 136: 6}[proto]
}

// seal writes the right checksums into a whole IPv4 packet, and those of what an ICMP error quotes before its own. unchecked: a
// UDP packet has none.
func seal(b []byte, unchecked bool) {
	header := int(b[0]&15) * 4
	l4 := b[header:]
	be.PutUint16(b[10:], 0)
	be.PutUint16(b[10:], sum(b[:header]))
	if at := overAddresses(b[9]); at != 0 && len(l4) >= at+2 {
		be.PutUint16(l4[at:], 0)
		if b[9] != 17 || !unchecked {
			pseudo := append(append([]byte{}, b[12:20]...), 0, b[9], byte(len(l4)>>8), byte(len(l4)))
			c := sum(pseudo, l4)
			if b[9] == 17 && c == 0 {
				c = 0xffff
			}
			be.PutUint16(l4[at:], c)
		}
	}
	if b[9] == 1 && len(l4) >= 8 {
		be.PutUint16(l4[2:], 0)
		be.PutUint16(l4[2:], sum(l4))
	}
}

// raw is an IPv4 packet with a random number of options.
func raw(r *rand.Rand, src, dst netip.Addr, proto byte, l4 []byte) []byte {
	b := make([]byte, 20+4*(r.IntN(11)*r.IntN(2)))
	b[0] = 0x40 | byte(len(b)/4)
	for i := 20; i < len(b); i++ {
		b[i] = 1 // no operation
	}
	b[8], b[9] = 64, proto
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	b = append(b, l4...)
	be.PutUint16(b[2:], uint16(len(b)))
	return b
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// crossing makes a packet of src to dst of any kind, sealed, and tells what it is.
func crossing(r *rand.Rand, src, dst netip.Addr) (b []byte, what string) {
	proto := []byte{6, 6, 17, 17, 17, 1, 1, 1, 132, 47, 33, 136}[r.IntN(12)]
	l4 := noise(r, 20+r.IntN(60))
	what = fmt.Sprintf("protocol %d", proto)
	unchecked := proto == 17 && r.IntN(4) == 0
	if unchecked {
		what = "UDP without a checksum"
	}
	if proto == 17 && r.IntN(8) == 0 { // one whose checksum comes near to 0
		what = "UDP, short"
		l4 = append(make([]byte, 8), byte(r.IntN(2)))
	}
	if proto == 1 {
		l4[0], what = 8, "echo"
		if r.IntN(3) > 0 { // complains of a packet that went the other way
			quoted, of := raw(r, dst, src, []byte{6, 17, 17, 1}[r.IntN(4)], noise(r, 20+r.IntN(40))), "whole"
			seal(quoted, r.IntN(3) == 0)
			switch r.IntN(6) {
			case 0:
				quoted, of = quoted[:r.IntN(len(quoted))], "cut off"
			case 1:
				quoted, of = quoted[:int(quoted[0]&15)*4+8], "as little as there must be"
			case 2:
				be.PutUint16(quoted[6:], 100)
				of = "of a later fragment"
			case 3:
				quoted[r.IntN(20)] ^= 1 << r.IntN(8)
				of = "damaged"
			}
			l4 = append([]byte{[]byte{3, 11, 12}[r.IntN(3)], 0, 0, 0, 0, 0, 5, 0}, quoted...)
			what = "error, quote " + of
		}
	}
	b = raw(r, src, dst, proto, l4)
	seal(b, unchecked)
	switch r.IntN(12) {
	case 0:
		be.PutUint16(b[6:], 0x2000)
		what = "first fragment, " + what
	case 1:
		be.PutUint16(b[6:], uint16(1+r.IntN(0x1fff)))
		what = "later fragment"
	case 2:
		b[10+r.IntN(2)] ^= 1 << r.IntN(8)
		what = "wrong header, " + what
	case 3:
		at := int(b[0]&15)*4 + r.IntN(8)
		b[at] ^= 1 << r.IntN(8)
		what = "wrong " + what
	case 4:
		b = append(b, noise(r, 1+r.IntN(20))...)
		what = "padded " + what
	}
	return b, what
}

// Into the tunnel goes what the model says, bit by bit; what was right before is right there, by sums made from scratch.
func TestMappedPacketsAreWhatTheModelSays(t *testing.T) {
	core, index := world(t)
	tables := worldTables(rand.New(rand.NewPCG(seed, 1)), "mappings")
	staged, err := core.Load(tables)
	if err == nil {
		err = staged.Swap()
	}
	if err != nil {
		t.Fatal(err)
	}
	trial, err := core.NewTrial(1000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	a := worldAnchors()
	r := rand.New(rand.NewPCG(seed, 11))
	kinds := map[string]int{}
	for n := range 60_000 {
		from, to := segmentOf([]uint16{1, 2, 2, 2, 8, 8}[r.IntN(6)]), segmentOf([]uint16{6, 6, 7}[r.IntN(3)])
		src, dst := addr4(from, 2+r.IntN(250)), addr4(to, 2+r.IntN(250))
		b, what := crossing(r, src, dst)
		if kind := be.Uint16(b[12:]); kind == 0x0800 || kind == 0x86dd {
			continue
		}
		passed, out, err := trial.TunnelOut(index["wg0"], uint32(core.Magic())<<16|uint32(from.id)<<6, b)
		if err != nil {
			t.Fatal(err)
		}
		if !passed {
			t.Fatalf("after %d: %s from %s to %s does not enter the tunnel\n%s", n, what, src, dst, dump(b))
		}
		if want := model.ToRegion(a, b); !bytes.Equal(out, want) {
			t.Fatalf("after %d: %s from %s to %s enters the tunnel otherwise than the model says\nin:\n%sout:\n%swant:\n%s", n, what, src, dst, dump(b), dump(out), dump(want))
		}
		back, reason := model.FromRegion(a, swapped(out))
		if reason != "" || !bytes.Equal(addresses(back), addresses(swapped(b))) {
			t.Fatalf("%s from %s to %s: its answer comes back to others than who asked (%s)\n%s", what, src, dst, reason, dump(back))
		}
		if bytes.Equal(out, b) {
			kinds["as it was"]++
			continue
		}
		kinds[what]++
		if netip.AddrFrom4([4]byte(out[12:])) == src && overAddresses(b[9]) == 0 && b[9] != 1 {
			t.Fatalf("%s from %s: changed, but not its address", what, src)
		}
		if be.Uint16(b[6:])&0x3fff == 0 {
			checkSums(t, what, b, out)
		}
	}
	for _, want := range []string{
		"protocol 6", "protocol 17", "protocol 33", "protocol 47", "protocol 132", "protocol 136", "UDP without a checksum", "UDP, short", "echo", "later fragment", "first fragment, protocol 6", "as it was",
		"error, quote whole", "error, quote cut off", "error, quote as little as there must be", "error, quote of a later fragment", "error, quote damaged", "padded protocol 17", "wrong protocol 6", "wrong header, protocol 6",
	} {
		if kinds[want] < 10 {
			t.Errorf("only %d packets were: %s", kinds[want], want)
		}
	}
}

// swapped is a packet the other way.
func swapped(b []byte) []byte {
	out := bytes.Clone(b)
	copy(out[12:16], b[16:20])
	copy(out[16:20], b[12:16])
	return out
}

func addresses(b []byte) []byte { return b[12:20] }

// checkSums wants every checksum to be as right, or as wrong, as it was.
func checkSums(t *testing.T, what string, before, after []byte) {
	t.Helper()
	right := func(b []byte) [3]bool {
		b = b[:be.Uint16(b[2:])]
		header := int(b[0]&15) * 4
		ok := [3]bool{sum(b[:header]) == 0}
		l4 := b[header:]
		if at := overAddresses(b[9]); at != 0 {
			pseudo := append(append([]byte{}, b[12:20]...), 0, b[9], byte(len(l4)>>8), byte(len(l4)))
			ok[1] = sum(pseudo, l4) == 0 || b[9] == 17 && be.Uint16(l4[6:]) == 0
		} else if b[9] == 1 {
			ok[1] = sum(l4) == 0
			if len(l4) >= 28 && (l4[0] == 3 || l4[0] == 11 || l4[0] == 12) {
				ok[2] = sum(l4[8:28]) == 0
			}
		}
		return ok
	}
	if was, is := right(before), right(after); was != is {
		t.Fatalf("%s: checksums were right %v, and are right %v\nin:\n%sout:\n%s", what, was, is, dump(before), dump(after))
	}
	if before[9] == 17 && (be.Uint16(before[int(before[0]&15)*4+6:]) == 0) != (be.Uint16(after[int(after[0]&15)*4+6:]) == 0) {
		t.Fatalf("%s: a checksum of 0 came or went", what)
	}
}
