//go:build vlandevices

package gate

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Tests that need a kernel with VLAN devices (8021q). hack/test-qemu builds and runs them on Debian 13's.

func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// newNetwork makes a namespace with a port lg0 and puts the test's thread into it until the test ends.
func newNetwork(t *testing.T) {
	t.Helper()
	name := fmt.Sprintf("skg%d", os.Getpid())
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() { run(t, "ip", "netns", "del", name) })
	runtime.LockOSThread() // and never unlocked: the thread ends with the test's goroutine
	ns, err := netns.GetFromName(name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		t.Fatal(err)
	}
	run(t, "ip", "link", "add", "lg0", "type", "veth", "peer", "name", "far0")
}

func device(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("device %s: %v", name, err)
	}
	return l
}

// taggedAnchors: a tagged segment, and two inside one service VLAN; in the last one the gate has no address.
func taggedAnchors() *anchors.Anchors {
	segment := func(id string, outer, vlan uint16, prefix string, gate ...netip.Addr) anchors.Segment {
		return anchors.Segment{ID: id, Zone: anchors.LGWAN, Attach: anchors.AttachPort, Port: "lg0", VLAN: vlan, Outer: outer,
			Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}, Gate: gate}
	}
	return &anchors.Anchors{Version: 1, Name: "tagged", Segments: []anchors.Segment{
		segment("tagged", 0, 20, "198.18.22.0/24", netip.MustParseAddr("198.18.22.1")),
		segment("inside", 100, 20, "198.18.23.0/24", netip.MustParseAddr("198.18.23.1")),
		segment("bare", 100, 30, "198.18.24.0/24"),
	}}
}

func guarded(t *testing.T) []packet.PortStatus {
	return []packet.PortStatus{{Name: "lg0", Index: device(t, "lg0").Attrs().Index, Native: true, Ingress: true, Egress: true}}
}

// wants checks that a device carries a VLAN, is up, and has exactly these addresses without routes of their own.
func wants(t *testing.T, name, parent string, vlan int, protocol netlink.VlanProtocol, addresses ...string) {
	t.Helper()
	l := device(t, name)
	v, ok := l.(*netlink.Vlan)
	if !ok || v.VlanId != vlan || v.VlanProtocol != protocol || v.ParentIndex != device(t, parent).Attrs().Index || v.Flags&net.FlagUp == 0 {
		t.Errorf("%s is %+v, want VLAN %d (%s) on %s, up", name, l, vlan, protocol, parent)
	}
	have, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range have {
		got = append(got, a.IPNet.String())
	}
	if !slices.Equal(got, addresses) {
		t.Errorf("%s has addresses %q, want %q", name, got, addresses)
	}
	if routes, err := netlink.RouteList(l, netlink.FAMILY_V4); err != nil || len(routes) > 0 {
		t.Errorf("routes by %s that nobody proved: %v, %v", name, routes, err)
	}
}

func TestVLANDevicesAreMadeOnGuardedPorts(t *testing.T) {
	newNetwork(t)
	a := taggedAnchors()
	bare := guarded(t)
	bare[0].Native = false
	if err := settlePorts(a, bare); err != nil {
		t.Fatal(err)
	}
	if _, err := netlink.LinkByName("lg0.20"); err == nil {
		t.Error("a VLAN device was made on a port that nothing guards")
	}
	settled := func() {
		t.Helper()
		if err := settlePorts(a, guarded(t)); err != nil {
			t.Fatal(err)
		}
		const q, ad = netlink.VLAN_PROTOCOL_8021Q, netlink.VLAN_PROTOCOL_8021AD
		wants(t, "lg0.20", "lg0", 20, q, "198.18.22.1/24")
		wants(t, "lg0-100", "lg0", 100, ad)
		wants(t, "lg0.100.20", "lg0-100", 20, q, "198.18.23.1/24")
		wants(t, "lg0.100.30", "lg0-100", 30, q)
	}
	settled()
	before := map[string]int{}
	for _, name := range []string{"lg0.20", "lg0-100", "lg0.100.20", "lg0.100.30"} {
		before[name] = device(t, name).Attrs().Index
	}
	run(t, "ip", "addr", "add", "192.0.2.7/24", "dev", "lg0.100.20")
	run(t, "ip", "link", "set", "lg0.20", "down")
	settled()
	for name, index := range before {
		if now := device(t, name).Attrs().Index; now != index {
			t.Errorf("%s is device %d, was %d: it was made anew", name, now, index)
		}
	}
}

// What goes by a VLAN device's name and is another goes down; the other segments are settled all the same.
func TestVLANDevicesOfStrangersGoDown(t *testing.T) {
	for _, x := range []struct {
		what, name string
		make       []string
	}{
		{"no VLAN device", "lg0.20", []string{"type", "dummy"}},
		{"another VLAN", "lg0.20", []string{"link", "lg0", "type", "vlan", "id", "21"}},
		{"a service VLAN", "lg0.20", []string{"link", "lg0", "type", "vlan", "proto", "802.1ad", "id", "20"}},
		{"on another port", "lg0.20", []string{"link", "far0", "type", "vlan", "id", "20"}},
		{"no service VLAN", "lg0-100", []string{"link", "lg0", "type", "vlan", "id", "100"}},
		{"inside nothing", "lg0.100.20", []string{"link", "far0", "type", "vlan", "id", "20"}},
	} {
		t.Run(x.what, func(t *testing.T) {
			newNetwork(t)
			run(t, "ip", "link", "set", "lg0", "up")
			run(t, "ip", "link", "set", "far0", "up")
			kind := slices.Index(x.make, "type")
			run(t, slices.Concat([]string{"ip", "link", "add"}, x.make[:kind], []string{"name", x.name}, x.make[kind:])...)
			run(t, "ip", "link", "set", x.name, "up")
			err := settlePorts(taggedAnchors(), guarded(t))
			if err == nil || !strings.Contains(err.Error(), x.name+" is not the device of VLAN") {
				t.Errorf("got %v, want it refused", err)
			}
			if device(t, x.name).Attrs().Flags&net.FlagUp != 0 {
				t.Errorf("%s is up", x.name)
			}
			if x.name == "lg0.20" {
				wants(t, "lg0.100.20", "lg0-100", 20, netlink.VLAN_PROTOCOL_8021Q, "198.18.23.1/24")
			} else {
				wants(t, "lg0.20", "lg0", 20, netlink.VLAN_PROTOCOL_8021Q, "198.18.22.1/24")
			}
		})
	}
}
