//go:build vlandevices

package packet

import (
	"context"
	"log/slog"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Tests that need a kernel with VLAN devices (8021q). hack/test-qemu builds and runs them on Debian 13's.

// tagged is a host that speaks only with VLAN tag 20, on a port of its own.
var tagged = host{
	name: "lgvl", port: "lgv0", mac: "02:00:00:00:22:11",
	gate: []string{"198.18.22.1/24", "2001:db8:22::1/64"}, addr: []string{"198.18.22.11/24", "2001:db8:22::11/64"},
}

const (
	taggedVLAN = 20
	serviceTag = 100
)

// taggings are how that host's segment is tagged: alone, or inside a service VLAN (802.1ad).
var taggings = map[string]uint16{"one tag": 0, "inside a service VLAN": serviceTag}

// newTaggedTown is a town with a tagged segment in LGWAN: segment 5, classes 15, 25 and 35 as in townTables. The gate's devices
// are named as dataplane/gate names them.
func newTaggedTown(t *testing.T, outer uint16, cells ...Cell) (*town, *Core) {
	t.Helper()
	w := newTown(t)
	h := tagged
	below, device := h.port, anchors.DeviceName(h.port, outer, taggedVLAN)
	h.ns = w.prefix + "-" + h.name
	run(t, "ip", "netns", "add", h.ns)
	t.Cleanup(func() { run(t, "ip", "netns", "del", h.ns) })
	run(t, "ip", "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.ns)
	in := func(args ...string) { run(t, append([]string{"ip", "netns", "exec", h.ns}, args...)...) }
	in("ethtool", "-K", "eth0", "gro", "on", "tx", "off", "txvlan", "off", "tx-vlan-stag-hw-insert", "off", "tso", "off", "gso", "off")
	in("ip", "link", "set", "lo", "up")
	in("ip", "link", "set", "eth0", "address", h.mac, "up")
	hostBelow := "eth0"
	if outer != 0 {
		hostBelow, below = "eth0-100", h.port+"-100"
		in("ip", "link", "add", "link", "eth0", "name", hostBelow, "type", "vlan", "proto", "802.1ad", "id", "100")
		in("ip", "link", "set", hostBelow, "up")
		run(t, "ip", "link", "add", "link", h.port, "name", below, "type", "vlan", "proto", "802.1ad", "id", "100")
	}
	in("ip", "link", "add", "link", hostBelow, "name", "eth0.20", "type", "vlan", "id", "20")
	in("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.eth0/20.accept_dad=0")
	in("ip", "link", "set", "eth0.20", "up")
	run(t, "ip", "link", "add", "link", below, "name", device, "type", "vlan", "id", "20")
	for i, a := range h.addr {
		in("ip", "addr", "add", a, "dev", "eth0.20", "nodad")
		run(t, "ip", "addr", "add", h.gate[i], "dev", device, "nodad")
	}

	a := townAnchors()
	a.Segments = append(a.Segments, anchors.Segment{
		ID: "lg-tagged", Zone: anchors.LGWAN, Attach: anchors.AttachPort, Port: h.port, VLAN: taggedVLAN, Outer: outer,
		Prefixes: prefixes(h.gate...), Gate: addrs(h.gate...), Strict: true,
	})
	tables := townTables(cells...)
	tables.Segments = append(tables.Segments, Segment{ID: 5, Name: "lg-tagged", Zone: anchors.LGWAN, Port: h.port, VLAN: taggedVLAN, Outer: outer, Strict: true})
	mac, err := ParseMAC(h.mac)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []uint16{15, 25} {
		tables.Classes = append(tables.Classes, Class{ID: id, Segment: 5, Kind: KindForward, Port: h.port, VLAN: taggedVLAN, Outer: outer, OnLink: true})
	}
	tables.Classes = append(tables.Classes, Class{ID: 35, Segment: 5, Kind: KindLocal, Port: h.port, VLAN: taggedVLAN, Outer: outer})
	for j := range h.gate {
		tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: prefixes(h.gate[j])[0], Class: 15, Segment: 5})
		tables.Hosts = append(tables.Hosts,
			Host{Addr: addrs(h.addr[j])[0], Class: 25, Segment: 5, MAC: mac},
			Host{Addr: addrs(h.gate[j])[0], Class: 35, Segment: 5})
	}
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: a, Log: slog.New(slog.DiscardHandler), Flows: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w.up()
	w.hosts[h.name] = h
	for _, d := range []string{h.port, below, device} {
		run(t, "ip", "link", "set", d, "up")
	}
	in("ip", "route", "replace", "default", "via", "198.18.22.1")
	in("ip", "-6", "route", "replace", "default", "via", "2001:db8:22::1")
	if _, err := c.Rescan(context.Background()); err != nil {
		t.Fatal(err)
	}
	swap(t, c, tables)
	return w, c
}

func TestVLANTagsAreWrittenOnTheWay(t *testing.T) {
	for what, outer := range taggings {
		t.Run(what, func(t *testing.T) { tagsAreWritten(t, outer) })
	}
}

func tagsAreWritten(t *testing.T, outer uint16) {
	w, c := newTaggedTown(t, outer, Cell{Src: 21, Dst: 25, Port: 1, Rule: 1}, Cell{Src: 25, Dst: 22, Port: 1, Rule: 2})
	w.serve("lgvl", "443")
	w.serve("lgasp", "443")
	w.serve("inweb", "443")
	for _, way := range []struct{ from, to string }{
		{"mnpc", "198.18.22.11"}, {"mnpc", "2001:db8:22::11"}, {"lgvl", "198.18.21.11"}, {"lgvl", "2001:db8:21::11"},
	} {
		if !w.passes(way.from, way.to, "443") {
			n, _ := c.Counters()
			t.Errorf("%s does not reach %s, which a cell allows: %v", way.from, way.to, n.Reasons)
		}
	}
	w.expectDrop(c, "no-cell", func() {
		if w.reaches("lgvl", "203.0.113.11", "443") {
			t.Error("the tagged host reached the internet without a cell")
		}
	})
}

func TestVLANTaggedTrafficOfTheGateItself(t *testing.T) {
	for what, outer := range taggings {
		t.Run(what, func(t *testing.T) { gateSpeaksTagged(t, outer) })
	}
}

func gateSpeaksTagged(t *testing.T, outer uint16) {
	w, c := newTaggedTown(t, outer, Cell{Src: 25, Dst: 35, Port: 3, Rule: 1}, Cell{Src: 35, Dst: 25, Port: 1, Rule: 2})
	w.serve("lgvl", "443")
	for _, gate := range []string{"198.18.22.1", "2001:db8:22::1"} {
		if out, err := w.in("lgvl", "ping", "-c", "3", "-i", "0.2", "-W", "4", gate).CombinedOutput(); err != nil {
			n, _ := c.Counters()
			t.Errorf("the gate does not answer %s over the tagged segment: %v; %s; %v", gate, err, out, n.Reasons)
		}
	}
	for _, to := range []string{"198.18.22.11:443", "[2001:db8:22::11]:443"} {
		if err := w.dial("", to); err != nil {
			n, _ := c.Counters()
			t.Errorf("the gate does not reach %s with its tag: %v; %v", to, err, n.Reasons)
		}
	}
}

func TestVLANThatIsNoSegmentIsRefused(t *testing.T) {
	w, c := newTaggedTown(t, 0, Cell{Src: 25, Dst: 35, Port: 3, Rule: 1})
	in := func(args ...string) { run(t, append([]string{"ip", "netns", "exec", w.hosts["lgvl"].ns}, args...)...) }
	asks := func() bool { return w.in("lgvl", "ping", "-c", "1", "-W", "1", "198.18.22.1").Run() == nil }
	in("ip", "link", "add", "link", "eth0", "name", "eth0.21", "type", "vlan", "id", "21")
	in("ip", "link", "set", "eth0.21", "up")
	for _, device := range []string{"eth0", "eth0.21"} {
		in("ip", "addr", "flush", "dev", "eth0.20")
		in("ip", "addr", "add", "198.18.22.11/24", "dev", device)
		w.expectDrop(c, "segment-unknown", func() {
			if asks() {
				t.Errorf("the gate answered by %s", device)
			}
		})
		in("ip", "addr", "flush", "dev", device)
		in("ip", "addr", "add", "198.18.22.11/24", "dev", "eth0.20")
	}
	if !asks() && !asks() {
		t.Error("with its own tag again, the gate does not answer")
	}
}

// With the right tags in the wrong order, or one of them alone, a frame is of no segment.
func TestVLANInsideAServiceVLANNeedsBothTags(t *testing.T) {
	w, c := newTaggedTown(t, serviceTag, Cell{Src: 25, Dst: 35, Port: 3, Rule: 1})
	in := func(args ...string) { run(t, append([]string{"ip", "netns", "exec", w.hosts["lgvl"].ns}, args...)...) }
	asks := func() bool { return w.in("lgvl", "ping", "-c", "1", "-W", "1", "198.18.22.1").Run() == nil }
	vlan := func(below, name, proto, id string) {
		in("ip", "link", "add", "link", below, "name", name, "type", "vlan", "proto", proto, "id", id)
		in("ip", "link", "set", name, "up")
	}
	vlan("eth0", "alone", "802.1Q", "20")
	vlan("eth0", "around", "802.1ad", "20")
	vlan("around", "swapped", "802.1Q", "100")
	vlan("eth0-100", "other", "802.1Q", "21")
	for device, reason := range map[string]string{
		"eth0": "segment-unknown", "eth0-100": "vlan-stacked", "alone": "segment-unknown", "swapped": "segment-unknown", "other": "segment-unknown",
	} {
		in("ip", "addr", "flush", "dev", "eth0.20")
		in("ip", "addr", "add", "198.18.22.11/24", "dev", device)
		w.expectDrop(c, reason, func() {
			if asks() {
				t.Errorf("the gate answered by %s", device)
			}
		})
		in("ip", "addr", "flush", "dev", device)
		in("ip", "addr", "add", "198.18.22.11/24", "dev", "eth0.20")
	}
	if !asks() && !asks() {
		t.Error("with both tags again, the gate does not answer")
	}
}
