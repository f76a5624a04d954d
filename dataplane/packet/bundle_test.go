package packet

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// carried is a town with two bundles of tunnels: tokyo (segment 5) over wg0 and wg1, osaka (6) over wg1 alone; nara (7) over wg2
// and wg3, of which the latter is not there. Classes 15, 16, 17; the gate in tokyo is 35.
func carried(t *testing.T, w *town, cells ...Cell) *Core {
	t.Helper()
	c := carriedBy(t, w, []anchors.Tunnel{
		{Device: "wg0", Peers: []anchors.Peer{{ID: "tokyo", Segment: "tokyo"}}},
		{Device: "wg1", Peers: []anchors.Peer{{ID: "tokyo-b", Segment: "tokyo"}, {ID: "osaka", Segment: "osaka"}}},
		{Device: "wg2", Peers: []anchors.Peer{{ID: "nara", Segment: "nara"}}},
		{Device: "wg3", Peers: []anchors.Peer{{ID: "nara-b", Segment: "nara"}}},
	})
	w.up()
	for _, d := range []string{"wg0", "wg1", "wg2"} {
		run(t, "ip", "link", "set", d, "up", "mtu", "1280")
		run(t, "ip", "addr", "add", "198.51.100.62/32", "dev", d)
	}
	run(t, "ip", "route", "add", "198.51.100.0/26", "dev", "wg0")
	run(t, "ip", "route", "add", "198.51.100.64/26", "dev", "wg1")
	run(t, "ip", "route", "add", "198.51.100.128/26", "dev", "wg2")
	tables := townTables(cells...)
	for i, s := range carriedSegments {
		id := uint16(5 + i)
		tables.Segments = append(tables.Segments, Segment{ID: id, Name: s.ID, Zone: s.Zone, Port: s.Port, Tunnel: true})
		tables.Classes = append(tables.Classes, Class{ID: 10 + id, Segment: id, Kind: KindTunnel, Port: s.Port, OnLink: true})
		tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: s.Prefixes[0], Class: 10 + id, Segment: id})
	}
	tables.Classes = append(tables.Classes, Class{ID: 35, Segment: 5, Kind: KindLocal, Port: "wg0"})
	tables.Hosts = append(tables.Hosts, Host{Addr: addrs("198.51.100.62")[0], Class: 35, Segment: 5})
	swap(t, c, tables)
	return c
}

var carriedSegments = []anchors.Segment{
	{ID: "tokyo", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0", Prefixes: prefixes("198.51.100.0/26"), Gate: addrs("198.51.100.62")},
	{ID: "osaka", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg1", Prefixes: prefixes("198.51.100.64/26")},
	{ID: "nara", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg2", Prefixes: prefixes("198.51.100.128/26")},
}

func carriedBy(t *testing.T, w *town, tunnels []anchors.Tunnel) *Core {
	t.Helper()
	a := townAnchors()
	a.Segments, a.Tunnels = append(a.Segments, carriedSegments...), tunnels
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: a, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// answered lets the far end of a tunnel answer mnpc's datagram, and tells whether the answer arrived.
func (w *town) answered(far *os.File) bool {
	w.t.Helper()
	s := w.sniff("mnpc", "udp and dst host 198.18.10.11 and src port 53")
	if _, err := far.Write(datagram("198.51.100.11", "198.18.10.11", 53, 4000)); err != nil {
		w.t.Fatal(err)
	}
	return len(s.stop()) == 1
}

// asksOver lets mnpc ask tokyo and wants the datagram to come out of one tunnel.
func (w *town) asksOver(c *Core, what string, far *os.File) {
	w.t.Helper()
	w.sendUDP("mnpc", "198.51.100.11:53")
	if received(w.t, far, 53) == nil {
		n, _ := c.Counters()
		w.t.Errorf("%s: the packet does not come out of the tunnel; %v", what, n.Reasons)
	}
}

// A flow belongs to the region, not to the line: it goes on when its packets move to another tunnel of the bundle, in both
// directions, while the others stay shut.
func TestFlowsMoveWithinABundle(t *testing.T) {
	w := newTown(t)
	first, second, stranger := openTUN(t, "wg0"), openTUN(t, "wg1"), openTUN(t, "wg2")
	c := carried(t, w, Cell{Src: 21, Dst: 15, Port: 2, Rule: 1}, Cell{Src: 21, Dst: 16, Port: 2, Rule: 1})

	w.asksOver(c, "at first", first)
	if !w.answered(first) {
		t.Error("the answer does not arrive")
	}
	run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", "wg1")
	w.asksOver(c, "over the other line", second)
	if !w.answered(second) {
		t.Error("the answer over the other line does not arrive")
	}
	if !w.answered(first) {
		t.Error("an answer that was under way on the first line does not arrive")
	}
	if n, err := c.Counters(); err != nil || n.Opened != 1 {
		t.Errorf("%d flows were opened (%v), want the one that moved", n.Opened, err)
	}
	w.expectDrop(c, "source-not-in-segment", func() {
		if w.answered(stranger) {
			t.Error("a tunnel outside the bundle speaks for the region")
		}
	})

	// A region that has an end on one line only is in the bundle, too: WireGuard alone knows that it has none on the other.
	w.sendUDP("mnpc", "198.51.100.75:53")
	if received(t, second, 53) == nil {
		t.Error("a region of the second line is not reached")
	}
}

// I7 within bundles: whatever the routing table says, a region's packets leave by its own bundle or not at all. Each engine
// says so by itself.
func TestBundlesAreNotLeft(t *testing.T) {
	w := newTown(t)
	first, second, stranger := openTUN(t, "wg0"), openTUN(t, "wg1"), openTUN(t, "wg2")
	c := carried(t, w, Cell{Src: 21, Dst: 15, Port: 2, Rule: 1}, Cell{Src: 35, Dst: 15, Port: 2, Rule: 2})
	nowhere := func(what string) {
		t.Helper()
		for i, far := range []*os.File{first, second, stranger} {
			if received(t, far, 53) != nil {
				t.Errorf("%s: the packet left by wg%d", what, i)
			}
		}
	}
	for _, device := range []string{"wg2", "lga0"} {
		run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", device)
		w.expectDrop(c, "egress-mismatch", func() { w.sendUDP("mnpc", "198.51.100.11:53") })
		nowhere("routed by " + device)
	}
	run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", "wg0")

	// The routing table that the classifier asks knows nothing of rules by mark: what they lead astray, the second engine stops.
	mark := fmt.Sprintf("%#x/0xffff0000", uint32(c.Magic())<<16)
	run(t, "ip", "rule", "add", "fwmark", mark, "lookup", "100")
	run(t, "ip", "route", "add", "198.51.100.0/26", "dev", "wg1", "table", "100")
	w.asksOver(c, "led to the other line by its mark", second)
	for _, device := range []string{"wg2", "lga0"} {
		run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", device, "table", "100")
		if device == "lga0" {
			run(t, "ip", "neigh", "replace", "198.51.100.11", "lladdr", w.hosts["lgasp"].mac, "dev", device, "nud", "permanent")
		}
		w.expectDrop(c, "egress-wrong-port", func() { w.sendUDP("mnpc", "198.51.100.11:53") })
		nowhere("led to " + device + " by its mark")
	}
	run(t, "ip", "rule", "del", "fwmark", mark)

	// The gate's own packets likewise, by both lines and no other.
	ask := func() { _ = w.gateSends("198.51.100.62", "198.51.100.11:53") }
	for device, far := range map[string]*os.File{"wg0": first, "wg1": second} {
		run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", device)
		ask()
		if received(t, far, 53) == nil {
			n, _ := c.Counters()
			t.Errorf("the gate's own packet does not come out of %s; %v", device, n.Reasons)
		}
	}
	run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", "wg2")
	w.expectDrop(c, "egress-wrong-port", ask)
	nowhere("the gate's own")
}

// Lines come and go: with the first one gone, the other carries all, and the first takes part again when it is back.
func TestBundleOutlivesItsDevices(t *testing.T) {
	w := newTown(t)
	first, second := openTUN(t, "wg0"), openTUN(t, "wg1")
	openTUN(t, "wg2")
	c := carried(t, w, Cell{Src: 21, Dst: 15, Port: 2, Rule: 1})
	w.asksOver(c, "at first", first)

	first.Close() // and the device is gone with it
	rescan := func() {
		t.Helper()
		if _, err := c.Rescan(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for _, scanned := range []bool{false, true} {
		if scanned {
			rescan()
		}
		run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", "wg1")
		w.asksOver(c, fmt.Sprintf("the first line gone, scanned %t", scanned), second)
		if !w.answered(second) {
			t.Errorf("the first line gone, scanned %t: the answer does not arrive", scanned)
		}
	}
	first = openTUN(t, "wg0")
	w.expectDrop(c, "egress-mismatch", func() { // nobody guards it yet
		run(t, "ip", "link", "set", "wg0", "up")
		run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", "wg0")
		w.sendUDP("mnpc", "198.51.100.11:53")
	})
	rescan()
	run(t, "ip", "link", "set", "wg0", "up")
	run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", "wg0")
	w.asksOver(c, "back again", first)
	if !w.answered(first) || !w.answered(second) {
		t.Error("back again: an answer does not arrive")
	}
	if n, err := c.Counters(); err != nil || n.Opened != 1 {
		t.Errorf("%d flows were opened (%v), want one", n.Opened, err)
	}
}

// Anchors that join no longer what older ones joined take effect at the start that reads them.
func TestABundleEndsWithItsAnchors(t *testing.T) {
	w := newTown(t)
	first, second := openTUN(t, "wg0"), openTUN(t, "wg1")
	openTUN(t, "wg2")
	c := carried(t, w, Cell{Src: 21, Dst: 15, Port: 2, Rule: 1})
	w.asksOver(c, "at first", first)
	c.Close()
	c = carriedBy(t, w, []anchors.Tunnel{
		{Device: "wg0", Peers: []anchors.Peer{{ID: "tokyo", Segment: "tokyo"}}},
		{Device: "wg1", Peers: []anchors.Peer{{ID: "osaka", Segment: "osaka"}}},
		{Device: "wg2", Peers: []anchors.Peer{{ID: "nara", Segment: "nara"}}},
	})
	w.asksOver(c, "by its own line", first)
	w.expectDrop(c, "source-not-in-segment", func() {
		if w.answered(second) {
			t.Error("a line that is no longer the region's speaks for it")
		}
	})
	run(t, "ip", "route", "replace", "198.51.100.0/26", "dev", "wg1")
	w.expectDrop(c, "egress-mismatch", func() { w.sendUDP("mnpc", "198.51.100.11:53") })
}
