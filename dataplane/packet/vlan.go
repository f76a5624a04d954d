package packet

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// The stack's own devices for VLANs (lg0.20): no packet is judged on them, but routes name them, and the programs must know
// which port and tags they stand for.

// vlanDevices translates VLAN devices into the number of the port below and its tags. ports: numbers of guarded ports by
// ifindex. A service VLAN (802.1ad) alone stands for nothing: only around another.
func vlanDevices(links []netlink.Link, ports map[int]uint16) map[uint32]programsDeviceTags {
	stacked := map[int]*netlink.Vlan{}
	for _, l := range links {
		if v, ok := l.(*netlink.Vlan); ok {
			stacked[v.Attrs().Index] = v
		}
	}
	out := map[uint32]programsDeviceTags{}
	for index, v := range stacked {
		customer := v.VlanProtocol == netlink.VLAN_PROTOCOL_8021Q
		if n, ok := ports[v.Attrs().ParentIndex]; ok && customer {
			out[uint32(index)] = programsDeviceTags{Device: n, Vlan: uint16(v.VlanId)}
			continue
		}
		around, ok := stacked[v.Attrs().ParentIndex]
		if !ok || !customer {
			continue
		}
		if n, ok := ports[around.Attrs().ParentIndex]; ok {
			out[uint32(index)] = programsDeviceTags{Device: n, Vlan: uint16(v.VlanId), Outer: uint16(around.VlanId)}
		}
	}
	return out
}

// showVLANs tells the programs of the VLAN devices on guarded ports, and forgets those that are gone.
func (c *Core) showVLANs(ports map[int]uint16) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list devices to find VLANs: %w", err)
	}
	want := vlanDevices(links, ports)
	have := map[uint32]programsDeviceTags{}
	if err := each(c.objects.DeviceIndex, func(k uint32, v programsDeviceTags) {
		if v.Vlan != 0 {
			have[k] = v
		}
	}); err != nil {
		return err
	}
	for k := range have {
		if _, ok := want[k]; ok {
			continue
		}
		if err := c.dropIndex(k); err != nil {
			return fmt.Errorf("forget VLAN device %d: %w", k, err)
		}
	}
	for k, v := range want {
		if err := c.putIndex(k, v); err != nil {
			return fmt.Errorf("write VLAN device %d: %w", k, err)
		}
	}
	return nil
}
