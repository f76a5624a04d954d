package packet

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"testing"
)

// cityTables are as large as those of a city with so many records: a rule for each, some 20 cells for each, half as many
// classes, at most 60,000.
func cityTables(records, cells int) Tables {
	t := townTables()
	t.Rules = nil
	classes := min(records/2, 60000)
	for i := range classes {
		a := [4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}
		id := uint16(1000 + i)
		t.Hosts = append(t.Hosts, Host{Addr: netip.AddrFrom4(a), Class: id, Segment: 1, MAC: MAC{2, 1, a[0], a[1], a[2], a[3]}})
		if i%2 == 0 {
			b := [16]byte{0x20, 1, 0xd, 0xb8, 12: a[0], 13: a[1], 14: a[2], 15: a[3]}
			t.Hosts = append(t.Hosts, Host{Addr: netip.AddrFrom16(b), Class: id, Segment: 1, MAC: MAC{2, 1, a[0], a[1], a[2], a[3]}})
		}
		t.Classes = append(t.Classes, Class{ID: id, Segment: 1, Kind: KindForward, Port: "mn0", OnLink: true})
	}
	for i := range records {
		t.Rules = append(t.Rules, Rule{ID: uint32(i + 1), Records: []string{fmt.Sprintf("communication-%d", i)}})
	}
	for i := range 20 {
		t.Ports = append(t.Ports, PortRange{Proto: 6, Lo: uint16(1000 + i), Hi: uint16(1000 + i), Class: uint16(10 + i)})
	}
	for i := range cells {
		t.Cells = append(t.Cells, Cell{
			Src: uint16(1000 + i%classes), Dst: uint16(1000 + (i*7919+i/classes*31)%classes), Port: uint16(10 + i/classes%20), Rule: uint32(i%records + 1),
		})
	}
	return Canonical(t)
}

var sizes = []struct{ records, cells int }{{100, 900}, {1000, 18_000}, {10_000, 205_000}, {100_000, 500_000}}

func bench(b *testing.B, f func(b *testing.B, t Tables)) {
	for _, s := range sizes {
		t := cityTables(s.records, s.cells)
		t.Epoch = 1
		b.Run(fmt.Sprintf("%dRecords", s.records), func(b *testing.B) { f(b, t) })
	}
}

func townNumber(name string) (uint16, bool) {
	for i, h := range townHosts {
		if h.port == name {
			return uint16(i + 1), true
		}
	}
	return 0, false
}

func townName(n uint16) string {
	if n < 1 || int(n) > len(townHosts) {
		return ""
	}
	return townHosts[n-1].port
}

func BenchmarkEncodeImage(b *testing.B) {
	bench(b, func(b *testing.B, t Tables) {
		for b.Loop() {
			image, err := encodeImage(t, townNumber)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(image))/(1<<20), "MiB")
		}
	})
}

func BenchmarkDecodeImage(b *testing.B) {
	bench(b, func(b *testing.B, t Tables) {
		image, err := encodeImage(t, townNumber)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := decodeImage(image, townName); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	bench(b, func(b *testing.B, t Tables) {
		for b.Loop() {
			if err := check(t); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	bench(b, func(b *testing.B, t Tables) {
		for b.Loop() {
			Canonical(t)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	bench(b, func(b *testing.B, t Tables) {
		for b.Loop() {
			Hash(t)
		}
	})
}

// From tables to tables in force, without the proof: check, encode, put, freeze, read back, swap.
func BenchmarkLoadAndSwap(b *testing.B) {
	needRoot(b)
	pins := newBPFFS(b)
	enter(b, fmt.Sprintf("skb%d", os.Getpid())) // where no device of the anchors is
	w, err := Open(context.Background(), Options{PinDir: pins, Anchors: townAnchors(), Log: slog.New(slog.DiscardHandler), Flows: 4096})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	bench(b, func(b *testing.B, t Tables) {
		for b.Loop() {
			s, err := w.Load(t)
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Swap(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
