package packet

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/ethtool"
)

// scenery is a network namespace in which a rehearsal plays: devices without anything behind them, and the routes of one packet.
type scenery struct {
	devices map[string]prop
	byMAC   map[MAC]string
	route   *netlink.Route
}

// prop is a device of the scenery.
type prop struct {
	index int
	mac   MAC
}

// hereafter is the MAC of every next hop.
var hereafter = MAC{0x02, 0x53, 0x4b, 0xff, 0xff, 0xfe}

// newScenery moves the calling thread into a new network namespace that forwards.
func newScenery() (*scenery, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	for _, f := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if err := os.WriteFile("/proc/sys/net/"+f, []byte("1"), 0); err != nil {
			return nil, fmt.Errorf("let the namespace forward: %w", err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo) // makes the table in which the kernel looks whether a next hop is one
	}
	if err != nil {
		return nil, fmt.Errorf("set up the namespace: %w", err)
	}
	return &scenery{devices: map[string]prop{}, byMAC: map[MAC]string{}}, nil
}

// build makes a device that frames can be redirected to, and its dead end. n: its number.
func (s *scenery) build(name string, n uint16) (int, MAC, error) {
	mac := MAC{0x02, 0x53, 0x4b, 0xff, byte(n >> 8), byte(n)}
	end := fmt.Sprintf("~%d", n)
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = name, mac[:]
	fail := func(err error) (int, MAC, error) {
		return 0, mac, fmt.Errorf("make device %s of the rehearsal: %w", name, err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: end}); err != nil {
		return fail(err)
	}
	if err := ethtool.Set(end, true, ethtool.RxGRO); err != nil { // without it a veth takes no redirected frames
		return fail(err)
	}
	var index int
	for _, d := range []string{end, name} {
		l, err := netlink.LinkByName(d)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			return fail(err)
		}
		index = l.Attrs().Index
	}
	s.devices[name], s.byMAC[mac] = prop{index, mac}, name
	return index, mac, nil
}

// lead lays the one route, to p's destination, with its next hop.
func (s *scenery) lead(p Part) error {
	if s.route != nil {
		if err := netlink.RouteDel(s.route); err != nil {
			return fmt.Errorf("take away the last route: %w", err)
		}
		s.route = nil
	}
	if p.Device == "" {
		return nil
	}
	index := s.devices[p.Device].index
	route := &netlink.Route{Dst: netlink.NewIPNet(p.Dst.AsSlice()), LinkIndex: index, Scope: netlink.SCOPE_LINK}
	if !p.Dst.Is4() {
		route.Scope = netlink.SCOPE_UNIVERSE
	}
	if p.Next != p.Dst {
		route.Gw, route.Scope, route.Flags = p.Next.AsSlice(), netlink.SCOPE_UNIVERSE, int(netlink.FLAG_ONLINK)
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("lay a route to %s by %s: %w", p.Dst, p.Device, err)
	}
	s.route = route
	hop := &netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, IP: p.Next.AsSlice(), HardwareAddr: hereafter[:]}
	if err := netlink.NeighSet(hop); err != nil {
		return fmt.Errorf("place the next hop %s at %s: %w", p.Next, p.Device, err)
	}
	return nil
}

// exit tells by which device a frame leaves, and with which tags, from the frame itself.
func (s *scenery) exit(frame []byte) (name string, vlan, outer uint16) {
	if len(frame) < 22 {
		return "", 0, 0
	}
	name = s.byMAC[MAC(frame[6:12])]
	tag := func(at int) uint16 { return binary.BigEndian.Uint16(frame[at:]) & 0xfff }
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x8100:
		return name, tag(14), 0
	case 0x88a8:
		return name, tag(18), tag(14)
	}
	return name, 0, 0
}
