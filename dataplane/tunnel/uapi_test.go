package tunnel

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// The engine is told no more than what changes: a prefix that is taken away and given back is nobody's in between.
func TestPrefixesMoveWithoutAMoment(t *testing.T) {
	key := func(n byte) string { return wgtypes.Key{31: n}.String() }
	p := func(s ...string) (out []netip.Prefix) {
		for _, x := range s {
			out = append(out, netip.MustParsePrefix(x))
		}
		return out
	}
	now := engineState{listen: 1, peers: []PeerState{{PublicKey: key(1), allowed: p("198.51.100.0/26", "192.0.2.1/32")}, {PublicKey: key(2), allowed: p("198.51.100.64/26")},
		{PublicKey: key(3), allowed: p("203.0.113.0/24")}}}
	c := setup{spec: Spec{Listen: 1, Peers: []Peer{
		{ID: "a", PublicKey: key(1), Allowed: p("192.0.2.1/32")},
		{ID: "b", PublicKey: key(2), Allowed: p("198.51.100.64/26", "198.51.100.0/26")}}}}
	text, err := c.uapi(now)
	if err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]int{"replace_allowed_ips": 0, "listen_port": 0, "allowed_ip=198.51.100.0/26": 1, "allowed_ip=198.51.100.64/26": 0,
		"allowed_ip=192.0.2.1/32": 0, "allowed_ip=-198.51.100.0/26": 1, "remove=true": 1} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, n, text)
		}
	}
	if strings.Index(text, "allowed_ip=198.51.100.0/26") > strings.Index(text, "allowed_ip=-198.51.100.0/26") {
		t.Errorf("the prefix is taken from one peer before the other has it:\n%s", text)
	}
}

func TestSearchFindsTheLongest(t *testing.T) {
	for _, most := range []int{0, 1280, 1281, 1337, 1419, 1420, 1500} {
		asked := 0
		got := search(1280, 1420, func(n int) bool { asked++; return n <= most })
		want := min(most, 1420)
		if most < 1280 {
			want = 0
		}
		if got != want || asked > 12 {
			t.Errorf("longest %d: found %d with %d questions, want %d", most, got, asked, want)
		}
	}
}

// A line that is gone is an error of every packet.
func TestEngineDoesNotFloodTheLog(t *testing.T) {
	var b bytes.Buffer
	l := logTo(&b, "wg0")
	for range 10_000 {
		l.Errorf("send: %v", errors.New("no route to host"))
	}
	if n := strings.Count(b.String(), "\n"); n != linesAtOnce {
		t.Errorf("%d lines for 10000 errors, want %d", n, linesAtOnce)
	}
	now := time.Unix(0, 0)
	s := sparing{now: func() time.Time { return now }}
	admitted, last := 0, 0
	for range 1000 {
		now = now.Add(time.Second)
		if n, ok := s.admit(); ok {
			admitted++
			last = n
		}
	}
	if admitted < 100 || admitted > 110 || last != 9 {
		t.Errorf("%d lines in 1000 s, the last after %d others; want one in 10 s", admitted, last)
	}
}

func TestPresharedKeysThatAreNone(t *testing.T) {
	v := folder(t.TempDir())
	for _, text := range []string{"", "x", strings.Repeat("A", 44), "QUJD"} {
		if err := ImportPreshared(v, "a", text); err == nil || strings.Contains(err.Error(), text) && len(text) > 1 {
			t.Errorf("import of %q: %v; want an error that does not show it", text, err)
		}
	}
	text, err := ExportPreshared(v, "a", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := ImportPreshared(v, "b", text+"\n"); err != nil {
		t.Fatal(err)
	}
	if again, err := ExportPreshared(v, "b", true); err != nil || again != text {
		t.Errorf("exported another key than was imported (%v)", err)
	}
	if err := v.Keep(presharedName("c"), []byte(`{"key": "damaged"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := loadPreshared(v, "c"); err == nil {
		t.Error("a damaged key was taken for none")
	}
}
