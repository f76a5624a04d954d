package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet"
)

func TestOnlyWhatIsTheLinesOwn(t *testing.T) {
	outer := func(proto, port string) frame {
		return frame{[]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00" +
			"\x45\x00\x00\x20\x00\x00\x40\x00\x40" + proto + "\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x0b" + port + port + "\x00\x0c\x00\x00\x04\x00\x00\x00")}
	}
	wg, other := outer("\x11", "\xca\x6c"), outer("\x11", "\x82\x9b")
	inClear := func(from, to string) frame {
		b, err := syn(packet.MAC{2, 0, 0, 0, 0, 1}, packet.MAC{2, 0, 0, 0, 0, 2}, netip.MustParseAddrPort(from), netip.MustParseAddrPort(to))
		if err != nil {
			t.Fatal(err)
		}
		return frame{b}
	}
	for _, c := range []struct {
		name   string
		frames []frame
		held   bool
	}{
		{"WireGuard only", []frame{wg}, true},
		{"a question to a machine of the line", []frame{wg, other}, true},
		{"a station's packet in clear", []frame{wg, inClear("198.18.10.11:40000", "198.51.100.11:443")}, false},
		{"a packet in clear that took the gate's address", []frame{wg, inClear("192.0.2.1:40000", "198.51.100.11:443")}, false},
		{"a region's packet in clear", []frame{wg, inClear("198.51.100.11:443", "192.0.2.11:40000")}, false},
		{"IPv6", []frame{wg, inClear("[2001:db8:10::11]:40000", "[2001:db8:20::11]:443")}, false},
		{"another tunnel without a cipher", []frame{wg, outer("\x04", "\x45\x00")}, false},
		{"nothing of WireGuard", []frame{other}, false},
	} {
		if seen, held, _ := onlyOf(uplinks[0], c.frames, nil); held != c.held {
			t.Errorf("%s: %q held=%v, want %v", c.name, seen, held, c.held)
		}
	}
}

func TestBlamed(t *testing.T) {
	const good = "tokyo  line-b / tokyo-b / wg1 / wan1  198.18.60.11:51821\n  o port: up\n"
	const bad = "tokyo  line-a / tokyo-a / wg0 / wan0  192.0.2.11:51820\n  o port: up\n    X gateway: silent\n      whose part: carrier\n"
	for _, c := range []struct {
		said string
		held bool
	}{
		{bad + good, true}, {good, false}, {"", false},
		{bad + strings.ReplaceAll(good, "o port", "X port"), false}, {strings.ReplaceAll(bad, "line-a", "line-b"), false},
	} {
		if seen, held, _ := (&job{}).blamed(c.said, nil); held != c.held {
			t.Errorf("%q: %q held=%v, want %v", c.said, seen, held, c.held)
		}
	}
}
