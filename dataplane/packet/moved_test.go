package packet

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// datagram6 is datagram over IPv6; its checksum is not right.
func datagram6(src, dst string, sport, dport uint16) []byte {
	b := make([]byte, 48)
	b[0], b[5], b[6], b[7] = 0x60, 8, 17, 64
	copy(b[8:], netip.MustParseAddr(src).AsSlice())
	copy(b[24:], netip.MustParseAddr(dst).AsSlice())
	binary.BigEndian.PutUint16(b[40:], sport)
	binary.BigEndian.PutUint16(b[42:], dport)
	b[45] = 8
	return b
}

// framed puts a packet into a frame from one card to another.
func framed(t *testing.T, dmac, smac string, packet []byte) []byte {
	t.Helper()
	kind := "0800"
	if packet[0]>>4 == 6 {
		kind = "86dd"
	}
	return append(unhex(t, strings.ReplaceAll(dmac+smac, ":", "")+kind), packet...)
}

// A station that nobody registered may have any MAC, but not another one without being told of: whether its packets come from
// another card, or the kernel is told so by its neighbour.
func TestAnUnregisteredStationThatMovesIsTold(t *testing.T) {
	const old, stranger, moved = "02:00:00:00:30:11", "02:de:ad:00:00:01", "02:00:00:00:30:77"
	w := newTown(t)
	a := townAnchors()
	a.Segments[2].Strict = false
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: a, Log: slog.New(slog.DiscardHandler), Flows: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w.up()
	tables := townTables(Cell{Src: 22, Dst: 23, Port: 2, Rule: 1})
	tables.Segments[2].Strict = false
	for i := range tables.Hosts {
		if tables.Hosts[i].Class == 23 {
			tables.Hosts[i].MAC = MAC{}
		}
	}
	swap(t, c, tables)
	events, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	told := func() uint64 {
		t.Helper()
		n, err := c.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return n.Notices["mac-moved"].Packets
	}
	card := func(port string) string { return strings.Fields(run(t, "ip", "-br", "link", "show", port))[2] }
	for _, x := range []struct {
		asker, station string
		datagram       func(src, dst string, sport, dport uint16) []byte
	}{
		{"198.18.21.11", "203.0.113.11", datagram},
		{"2001:db8:21::11", "2001:db8:31::11", datagram6},
	} {
		lives := func(mac string) {
			run(t, "ip", "neigh", "replace", x.station, "lladdr", mac, "dev", "inw0", "nud", "permanent")
		}
		ask := func() {
			w.send("lgasp", framed(t, card("lga0"), w.hosts["lgasp"].mac, x.datagram(x.asker, x.station, 4000, 53)))
		}
		answer := func(mac string) {
			w.send("inweb", framed(t, card("inw0"), mac, x.datagram(x.station, x.asker, 53, 4000)))
		}
		before := told()
		expect := func(what, mac string) {
			t.Helper()
			e := nextEvent(t, events, func(e Event) bool { return e.Notice != "" })
			if e.Notice != "mac-moved" || e.Reason != "" || e.Port != "inw0" || e.Segment != 3 || e.Hook != "xdp" ||
				e.Src != addrs(x.station)[0] || e.Dst != addrs(x.asker)[0] || e.SPort != 53 || e.DPort != 4000 || e.SMAC.String() != mac || e.Known.String() != old {
				t.Errorf("%s: %s: %+v; want %s known as %s, now %s, at inw0", x.station, what, e, x.station, old, mac)
			}
			before++
			if got := told(); got != before {
				t.Errorf("%s: %s: told %d times, want %d", x.station, what, got, before)
			}
		}
		lives(old)
		run(t, "ip", "neigh", "replace", x.asker, "lladdr", w.hosts["lgasp"].mac, "dev", "lga0", "nud", "permanent")
		ask()
		answer(old)
		answer(old)
		refused := w.drops(c, "no-cell")
		w.send("inweb", framed(t, card("inw0"), stranger, x.datagram(x.station, x.asker, 54, 4000)))
		if got := w.drops(c, "no-cell"); got == refused || told() != before {
			t.Errorf("%s: %d packets refused, told %d times: what is refused tells nothing", x.station, got-refused, told()-before)
		}

		answer(stranger)
		expect("its packet comes from another card", stranger)
		answer(old) // it is itself again
		answer(old)
		if told() != before {
			t.Errorf("%s: told of a station that is where it was", x.station)
		}

		lives(moved)
		time.Sleep(1100 * time.Millisecond) // the adjacency is believed for a second
		ask()
		expect("the kernel's neighbour has another MAC", moved)
		answer(moved)
		answer(moved)
		time.Sleep(1100 * time.Millisecond)
		ask()
		answer(moved)
		if told() != before {
			t.Errorf("%s: told %d times more of a move that is known", x.station, told()-before)
		}
	}

	// A registered station's MAC is not the neighbour table's to change.
	before := told()
	run(t, "ip", "neigh", "replace", "198.18.21.11", "lladdr", "02:00:00:00:21:77", "dev", "lga0", "nud", "permanent")
	time.Sleep(1100 * time.Millisecond)
	w.send("inweb", framed(t, card("inw0"), moved, datagram("203.0.113.11", "198.18.21.11", 53, 4000)))
	if got := told(); got != before {
		t.Errorf("told %d times of a registered station, whose packets go to its registered MAC", got-before)
	}
}
