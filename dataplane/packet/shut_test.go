package packet

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// engines are the two that refuse a cut zone, each alone, and both.
func engines(t *testing.T, c *Core) map[string]func(...anchors.Zone) {
	set := func(words ...interface{ Set(any) error }) func(...anchors.Zone) {
		return func(zones ...anchors.Zone) {
			bits, err := zoneBits(zones)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range words {
				if err := w.Set(bits); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return map[string]func(...anchors.Zone){
		"the classifier alone": set(c.objects.Isolated),
		"the egress alone":     set(c.objects.ZonesShut),
		"both": func(zones ...anchors.Zone) {
			if err := c.Isolate(zones); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// Each of the two engines cuts a zone off by itself, whatever the other one lets go: what is forwarded, what the stack forwards
// into a tunnel, and what the gate itself sends.
func TestEachEngineCutsAZoneOffByItself(t *testing.T) {
	w := newTown(t)
	far := openTUN(t, "wg0")
	a := townAnchors()
	a.Segments = append(a.Segments, anchors.Segment{
		ID: "tokyo", Zone: anchors.LGWAN, Attach: anchors.AttachTunnel, Port: "wg0", Prefixes: prefixes("198.51.100.0/26"), Gate: addrs("198.51.100.62"),
	})
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: a})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.up()
	w.serve("lgasp", "443")
	run(t, "ip", "link", "set", "wg0", "up")
	run(t, "ip", "addr", "add", "198.51.100.62/26", "dev", "wg0")
	tables := townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}, Cell{Src: 32, Dst: 22, Port: 1, Rule: 1}, Cell{Src: 32, Dst: 22, Port: 2, Rule: 1}, Cell{Src: 31, Dst: 21, Port: 1, Rule: 1}, Cell{Src: 21, Dst: 25, Port: 2, Rule: 1})
	tables.Segments = append(tables.Segments, Segment{ID: 5, Name: "tokyo", Zone: anchors.LGWAN, Port: "wg0", Tunnel: true, Strict: true})
	tables.Classes = append(tables.Classes, Class{ID: 15, Segment: 5, Kind: KindTunnel, Port: "wg0", OnLink: true},
		Class{ID: 25, Segment: 5, Kind: KindTunnel, Port: "wg0", OnLink: true}, Class{ID: 35, Segment: 5, Kind: KindLocal, Port: "wg0"})
	tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: prefixes("198.51.100.0/26")[0], Class: 15, Segment: 5})
	tables.Hosts = append(tables.Hosts, Host{Addr: addrs("198.51.100.11")[0], Class: 25, Segment: 5}, Host{Addr: addrs("198.51.100.62")[0], Class: 35, Segment: 5})
	swap(t, c, tables)
	works := func(open bool) map[string]bool {
		tunnelled := func() bool {
			w.sendUDP("mnpc", "198.51.100.11:53")
			return received(t, far, 53) != nil
		}
		datagrams := func() bool { // which nothing has to answer
			s := w.sniff("lgasp", "udp and src host 198.18.21.1")
			conn, err := net.Dial("udp", "198.18.21.11:53")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write([]byte("x")) // refused by a program, it is an error to the sender
			return len(s.stop()) > 0
		}
		forwarded, gate := w.reaches, w.dial
		if open {
			forwarded = w.passes
		}
		return map[string]bool{
			"forwarded":       forwarded("mnpc", "198.18.21.11", "443"),
			"over IPv6":       forwarded("mnpc", "2001:db8:21::11", "443"),
			"the gate's own":  gate("", "198.18.21.11:443") == nil,
			"the gate's word": datagrams(),
			"into a tunnel":   tunnelled(),
		}
	}
	check := func(what string, open bool) {
		t.Helper()
		for way, got := range works(open) {
			if got != open {
				t.Errorf("%s: %s passes %v, want %v; %v", what, way, got, open, w.drops(c, "zone-isolated"))
			}
		}
	}
	check("nothing is cut off", true)
	for name, isolate := range engines(t, c) {
		for _, zone := range []anchors.Zone{anchors.MyNumber, anchors.LGWAN} {
			isolate(zone)
			before := w.drops(c, "zone-isolated")
			if zone == anchors.LGWAN {
				check(name+", zone of the destination", false)
			} else {
				// The gate's own connection there is one within LGWAN.
				for way, got := range works(false) {
					if got != strings.HasPrefix(way, "the gate's") {
						t.Errorf("%s, zone of the source: %s passes %v", name, way, got)
					}
				}
			}
			if w.drops(c, "zone-isolated") == before {
				t.Errorf("%s: nothing was counted as zone-isolated", name)
			}
			isolate()
		}
	}
	check("after all", true)

	// The line of a tunnel is cut off: the classifier lets nothing in and out of it, though the zones inside may speak.
	if err := c.Isolate([]anchors.Zone{anchors.Uplink}); err != nil {
		t.Fatal(err)
	}
	w.expectDrop(c, "zone-isolated", func() {
		w.sendUDP("mnpc", "198.51.100.11:53")
		if b := received(t, far, 53); b != nil {
			t.Errorf("a packet entered a tunnel whose line is cut off: %x", b)
		}
	})
	w.expectDrop(c, "zone-isolated", func() {
		if _, err := far.Write(datagram("198.51.100.11", "198.18.10.11", 53, 4000)); err != nil {
			t.Fatal(err)
		}
	})
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Error("what needs no line is cut off with it")
	}
}

// Zones that are cut off when the programs are loaded are so from the first packet on, and the programs go on without any daemon.
func TestIsolationHoldsFromTheStart(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	w.serve("lgasp", "443")
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Fatal("an allowed connection does not pass")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	o := Options{PinDir: w.pins, Anchors: townAnchors(), Flows: 4096, Isolated: []anchors.Zone{anchors.LGWAN}}
	o.Prepare = func(c *Core) error { // nothing is guarded by these programs yet
		var classifier, egress uint32
		if err := c.objects.Isolated.Get(&classifier); err != nil {
			t.Error(err)
		}
		if err := c.objects.ZonesShut.Get(&egress); err != nil {
			t.Error(err)
		}
		if classifier != 1<<anchors.LGWAN || egress != classifier {
			t.Errorf("before a port is guarded the classifier has %#x and the egress program %#x", classifier, egress)
		}
		return nil
	}
	c, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if w.reaches("mnpc", "198.18.21.11", "443") {
		t.Error("a zone that is cut off from the start is not")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if w.reaches("mnpc", "198.18.21.11", "443") {
		t.Error("a zone is cut off only as long as somebody holds the programs")
	}
	c = w.open() // without
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Error("a zone stays cut off though nobody says so")
	}
	if err := c.Isolate([]anchors.Zone{anchors.Zones}); err == nil {
		t.Error("what is no zone was cut off")
	}
	if slices.Contains(Reasons(), "") || w.drops(c, "zone-isolated") == 0 {
		t.Error("zone-isolated was never counted")
	}
}
