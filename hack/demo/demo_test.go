package main

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// A check that cannot fail proves nothing: each is shown what it must object to.

func TestExaminersObjectToTheOriginals(t *testing.T) {
	l, err := letter(letterText)
	if err != nil {
		t.Fatal(err)
	}
	seen, held, err := examineLetter(l, l)
	if err != nil || held || !strings.Contains(seen, "vbaProject") || !strings.Contains(seen, "remote.dotm") {
		t.Errorf("letter as it came: %q held=%v err=%v, want macro and template named", seen, held, err)
	}
	p, err := photo()
	if err != nil {
		t.Fatal(err)
	}
	seen, held, err = examinePhoto(p, p)
	if err != nil || held || !strings.Contains(seen, "GPSLatitude") {
		t.Errorf("photo as it came: %q held=%v err=%v, want GPS named", seen, held, err)
	}
}

func TestTableHoldsWhatStandardTablesLose(t *testing.T) {
	b, err := table()
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"\xf0\x40", "\xf9\xfc", "\x87\x40"} {
		if !bytes.Contains(b, []byte(code)) {
			t.Errorf("no code %x in the table", code)
		}
	}
}

func TestInClear(t *testing.T) {
	clear, err := syn(packet.MAC{2, 0, 0, 0, 0, 1}, packet.MAC{2, 0, 0, 0, 0, 2},
		netip.MustParseAddrPort("198.18.10.11:40000"), netip.MustParseAddrPort("198.51.100.11:443"))
	if err != nil {
		t.Fatal(err)
	}
	wg := []byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00" + // Ethernet
		"\x45\x00\x00\x20\x00\x00\x40\x00\x40\x11\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x0b" + // IPv4
		"\xca\x6c\xca\x6c\x00\x0c\x00\x00\x04\x00\x00\x00") // UDP 51820
	for _, c := range []struct {
		name   string
		frames []frame
		held   bool
	}{
		{"WireGuard only", []frame{{wg}}, true},
		{"a frame in clear among WireGuard", []frame{{wg}, {clear}}, false},
		{"nothing seen at all", nil, false},
	} {
		if seen, held, _ := inClear(c.frames, nil); held != c.held {
			t.Errorf("%s: %q held=%v, want %v", c.name, seen, held, c.held)
		}
	}
}

func TestLossless(t *testing.T) {
	good := stretch{asked: 10, answered: 10, tried: 3, opened: 3, slowest: time.Second}
	for _, c := range []struct {
		name   string
		change func(*stretch)
		want   bool
	}{
		{"all answered", func(*stretch) {}, true},
		{"a request unanswered", func(s *stretch) { s.answered-- }, false},
		{"a connection not opened", func(s *stretch) { s.opened-- }, false},
		{"a segment sent again", func(s *stretch) { s.tcp.resent++ }, false},
		{"one sent again that had only been late", func(s *stretch) { s.tcp = tcpCounts{1, 1} }, true},
		{"two sent again, one of them only late", func(s *stretch) { s.tcp = tcpCounts{2, 1} }, false},
		{"no traffic", func(s *stretch) { *s = stretch{} }, false},
	} {
		s := good
		c.change(&s)
		if got := s.lossless(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFigure(t *testing.T) {
	const text = "Ip: Forwarding\nIp: 1\nTcp: RtoMin RetransSegs OutRsts\nTcp: 200 17 3\n"
	if got, err := figure(text, "Tcp:", "RetransSegs"); err != nil || got != 17 {
		t.Errorf("RetransSegs = %d, %v, want 17", got, err)
	}
	if _, err := figure(text, "Tcp:", "NoSuch"); err == nil {
		t.Error("a figure that is not there was read")
	}
}

func TestColumns(t *testing.T) {
	for text, want := range map[string]int{"abc": 3, "名簿.csv": 8, "": 0} {
		if got := columns(text); got != want {
			t.Errorf("columns(%q) = %d, want %d", text, got, want)
		}
	}
}
