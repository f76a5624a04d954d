package packet

import (
	"maps"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestVLANDevicesStandForPortAndTags(t *testing.T) {
	vlan := func(index, parent, id int, protocol netlink.VlanProtocol) netlink.Link {
		return &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Index: index, ParentIndex: parent}, VlanId: id, VlanProtocol: protocol}
	}
	const q, ad = netlink.VLAN_PROTOCOL_8021Q, netlink.VLAN_PROTOCOL_8021AD
	links := []netlink.Link{
		&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: 2}},
		vlan(10, 2, 20, q),                        // lg0.20
		vlan(11, 2, 100, ad), vlan(12, 11, 30, q), // in a service VLAN
		vlan(13, 2, 101, q), vlan(14, 13, 31, q), // both of 802.1Q
		vlan(15, 11, 40, ad), // a service VLAN inside
		vlan(16, 3, 20, q),   // on a device that is not ours
		vlan(17, 14, 50, q),  // a third
		vlan(18, 16, 50, q),
	}
	want := map[uint32]programsDeviceTags{
		10: {Device: 7, Vlan: 20}, 12: {Device: 7, Vlan: 30, Outer: 100}, 13: {Device: 7, Vlan: 101}, 14: {Device: 7, Vlan: 31, Outer: 101},
	}
	if got := vlanDevices(links, map[int]uint16{2: 7}); !maps.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
