package talk

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
	"pgregory.net/rapid"
)

func pair(t testing.TB) (gate, far wgtypes.Key) {
	t.Helper()
	gate, err1 := wgtypes.GeneratePrivateKey()
	far, err2 := wgtypes.GeneratePrivateKey()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return gate, far
}

func key(t testing.TB, private, peer wgtypes.Key) Secret {
	t.Helper()
	s, err := Key(private, peer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var head = Header{Class: 3, Gate: 0x1122334455667788, Far: 7, Seq: 1 << 40}

// every is one message of each kind, with nothing left at zero.
func every() []Message {
	return []Message{
		&Request{Header: head, Sent: -5, Plan: 6, Grant: 7, Use: 1 << 63},
		&Reply{Header: head, Sent: 1, Received: 2, Answered: 3, Plan: 4, Psk: 5, RxBytes: 6, RxPackets: 7, Root: 8, Demand: 9,
			Classes: []Counter{{ID: 1, Bytes: 2, Packets: 3, Drops: 4, Backlog: 5}, {ID: 63, Bytes: 1 << 60}}},
		&Part{Header: head, Hash: 9, Index: 1, Count: 2, Bytes: bytes.Repeat([]byte{7}, MaxPart)},
		&PartAck{Header: head, Hash: 9, Index: 1},
		&Psk{Header: head, ID: 4, Key: [32]byte{1, 2, 31: 9}},
		&PskAck{Header: head, ID: 4},
		&Size{Header: head, Pad: 1300},
		&SizeReply{Header: head, Pad: 1300},
	}
}

func TestEveryMessageComesBack(t *testing.T) {
	gate, far := pair(t)
	for _, m := range every() {
		b, err := Marshal(m, key(t, gate, far))
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		got, err := Parse(b, key(t, far, gate))
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Errorf("%T comes back different (-want +got):\n%s", m, d)
		}
		if HeaderOf(got) != head {
			t.Errorf("%T: header %+v, want %+v", m, HeaderOf(got), head)
		}
	}
}

func TestWhatIsNoMessage(t *testing.T) {
	gate, far := pair(t)
	_, stranger := pair(t)
	s := key(t, gate, far)
	good, err := Marshal(&Request{Header: head}, s)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(text []byte) []byte { return append(bytes.Clone(text), s.code(text)...) }
	text := good[:len(good)-macSize]
	with := func(i int, v byte) []byte { b := bytes.Clone(text); b[i] = v; return b }
	cases := []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrShort},
		{"code only", good[:headSize+macSize-1], ErrShort},
		{"truncated", good[:len(good)-1], ErrCode},
		{"one bit changed", func() []byte { b := bytes.Clone(good); b[40] ^= 1; return b }(), ErrCode},
		{"code changed", func() []byte { b := bytes.Clone(good); b[len(b)-1] ^= 0x80; return b }(), ErrCode},
		{"another protocol", append([]byte("sekisho probe"), make([]byte, 64)...), ErrForeign},
		{"another version", signed(with(2, 2)), ErrForeign},
		{"unknown kind", signed(with(3, 99)), ErrForeign},
		{"kind 0", signed(with(3, 0)), ErrForeign},
		{"reserved bytes", signed(with(6, 1)), ErrForm},
		{"body missing", signed(text[:headSize]), ErrForm},
		{"body too short", signed(text[:len(text)-1]), ErrForm},
		{"body too long", signed(append(bytes.Clone(text), 0)), ErrForm},
		{"longer than any", make([]byte, MaxMessage+1), ErrForeign},
		{"a reply's classes without end", func() []byte {
			b, _ := Marshal(&Reply{Header: head}, s)
			b = b[:len(b)-macSize]
			b[len(b)-1] = MaxClasses + 1
			return signed(append(b, make([]byte, (MaxClasses+1)*29)...))
		}(), ErrForm},
		{"a part past the last", func() []byte {
			b, _ := Marshal(&Part{Header: head, Index: 3, Count: 3}, s)
			return b
		}(), ErrForm},
		{"of another peer", func() []byte { b, _ := Marshal(&Request{Header: head}, key(t, stranger, far)); return b }(), ErrCode},
	}
	for _, c := range cases {
		if m, err := Parse(c.b, s); !errors.Is(err, c.want) || m != nil {
			t.Errorf("%s: %v, %v; want %v", c.name, m, err, c.want)
		}
	}
	if _, err := Key(gate, wgtypes.Key{}); err == nil {
		t.Error("a key was derived from a public key that is no usable point")
	}
}

func TestNothingTooLargeIsWritten(t *testing.T) {
	for _, m := range []Message{&Part{Bytes: make([]byte, MaxPart+1)}, &Reply{Classes: make([]Counter, MaxClasses+1)}, &Size{Pad: MaxMessage}, &Size{Pad: -1}} {
		if _, err := Marshal(m, Secret{}); !errors.Is(err, ErrForm) {
			t.Errorf("%T: %v, want %v", m, err, ErrForm)
		}
	}
}

func TestPaddingFillsThePacket(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		b, err := Marshal(&Size{Pad: Padding(1380, v6)}, Secret{})
		ip := map[bool]int{false: 28, true: 48}[v6]
		if err != nil || len(b)+ip != 1380 {
			t.Errorf("v6 = %v: packet of %d bytes, %v; want 1380", v6, len(b)+ip, err)
		}
	}
}

// The model is the set of all numbers that were taken.
func TestWindowTakesEachNumberOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Window
		taken, high := map[uint64]bool{}, uint64(0)
		base := rapid.SampledFrom([]uint64{0, 1, 1 << 32, 1<<64 - 1000}).Draw(t, "base")
		for range 200 {
			n := base + rapid.Uint64Range(0, 300).Draw(t, "number")
			want := !taken[n] && (len(taken) == 0 || n > high || high-n < windowSize)
			if got := w.Take(n); got != want {
				t.Fatalf("number %d after a highest of %d: taken = %v, want %v", n, high, got, want)
			}
			if want {
				taken[n], high = true, max(high, n)
			}
		}
	})
}

func TestGuardActsOnNothingSaidBefore(t *testing.T) {
	g := &Guard{Run: 5}
	cases := []struct {
		name       string
		h          Header
		fresh, act bool
	}{
		{"first, before it was heard", Header{Gate: 1, Seq: 1}, true, false},
		{"to this run", Header{Gate: 1, Far: 5, Seq: 2}, true, true},
		{"again", Header{Gate: 1, Far: 5, Seq: 2}, false, false},
		{"overtaken", Header{Gate: 1, Far: 5, Seq: 4}, true, true},
		{"late", Header{Gate: 1, Far: 5, Seq: 3}, true, true},
		{"to a former run", Header{Gate: 1, Far: 4, Seq: 5}, true, false},
		{"the gate's next run", Header{Gate: 2, Far: 5, Seq: 1}, true, true},
		{"its former run again", Header{Gate: 1, Far: 5, Seq: 4}, false, false},
	}
	for _, c := range cases {
		if fresh, act := g.Take(c.h); fresh != c.fresh || act != c.act {
			t.Errorf("%s: fresh %v, act %v; want %v, %v", c.name, fresh, act, c.fresh, c.act)
		}
	}
	for i := range uint64(10_000) {
		g.Take(Header{Gate: 100 + i, Seq: 1})
	}
	if len(g.runs) > maxRuns || len(g.order) > maxRuns {
		t.Errorf("%d runs are remembered, want at most %d", len(g.runs), maxRuns)
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range every() {
		b, err := Marshal(m, Secret{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-macSize])
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Secret
		b := append(bytes.Clone(text), s.code(text)...)
		m, err := Parse(b, s)
		if err != nil {
			return
		}
		again, err := Marshal(m, s)
		if _, pad := m.(*Size); pad { // its bytes do not count, their number does
			if err != nil || len(again) != len(b) {
				t.Fatalf("%d bytes, %v; want %d", len(again), err, len(b))
			}
			return
		}
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%T is written as %x, %v; was %x", m, again, err, b)
		}
	})
}
