package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// setting is one sysctl below /proc/sys/net.
type setting struct{ key, value string }

// stackSettings hold for the whole namespace: the gate learns nothing from the network and answers only for itself.
var stackSettings = []setting{
	{"ipv4/conf/all/accept_redirects", "0"}, {"ipv4/conf/all/send_redirects", "0"}, {"ipv4/conf/all/secure_redirects", "0"},
	{"ipv4/conf/all/accept_source_route", "0"}, {"ipv4/conf/all/accept_local", "0"}, {"ipv4/conf/all/route_localnet", "0"},
	{"ipv4/conf/all/rp_filter", "1"}, {"ipv4/conf/all/arp_ignore", "1"}, {"ipv4/conf/all/arp_announce", "2"},
	{"ipv4/conf/default/send_redirects", "0"}, {"ipv4/conf/default/rp_filter", "1"},
	{"ipv6/conf/all/accept_ra", "0"}, {"ipv6/conf/all/accept_redirects", "0"}, {"ipv6/conf/all/accept_source_route", "0"},
	{"ipv6/conf/all/autoconf", "0"}, {"ipv6/conf/default/accept_ra", "0"}, {"ipv6/conf/default/autoconf", "0"},
	{"ipv6/conf/default/accept_dad", "0"}, // a station that claims the gate's address is refused by the packet core
	// Room for the stations of a large town: beyond 1024 neighbours the kernel's default drops packets. Only the first network
	// namespace has these.
	{"ipv4/neigh/default/gc_thresh1", "8192"}, {"ipv4/neigh/default/gc_thresh2", "32768"}, {"ipv4/neigh/default/gc_thresh3", "65536"},
	{"ipv6/neigh/default/gc_thresh1", "8192"}, {"ipv6/neigh/default/gc_thresh2", "32768"}, {"ipv6/neigh/default/gc_thresh3", "65536"},
}

// forwarding is switched on once the backstop stands.
var (
	forwarding   = []setting{{"ipv4/conf/all/forwarding", "1"}, {"ipv6/conf/all/forwarding", "1"}}
	noForwarding = []setting{{"ipv4/conf/all/forwarding", "0"}, {"ipv6/conf/all/forwarding", "0"}}
)

// neighbourTimers make the kernel notice within 6 s that a station changed its MAC without a word. The packet core redirects
// past the stack, and sends one packet a second of each adjacency up, which is what a neighbour is confirmed by. Then: reachable
// for 1.5 s at most, stale until the next of these packets (1 s), asked for by unicast after 1 s, by broadcast 0.25 s later;
// the core looks again after 1 s. Measured on Linux 6.18: at most 3.2 s over IPv4 and IPv6 in the neighbour table; with
// the kernel's own settings, never below 24 s. Without locktime 0, ARP's answer is ignored for a second (4.7 s).
// gc_stale_time stays 60 s: an entry that nobody used is asked for anew anyway.
var neighbourTimers = []setting{
	{"base_reachable_time_ms", "1000"}, {"delay_first_probe_time", "1"}, {"ucast_solicit", "1"}, {"retrans_time_ms", "250"},
	{"mcast_solicit", "3"}, {"mcast_resolicit", "3"}, {"locktime", "0"}, {"gc_stale_time", "60"},
}

// portSettings hold for one device. Some of them an existing device does not inherit from "all".
func portSettings(device string) []setting {
	v4, v6 := "ipv4/conf/"+device+"/", "ipv6/conf/"+device+"/"
	all := []setting{
		{v4 + "accept_redirects", "0"}, {v4 + "send_redirects", "0"}, {v4 + "accept_source_route", "0"}, {v4 + "rp_filter", "1"},
		{v4 + "forwarding", "1"}, {v6 + "forwarding", "1"},
		{v6 + "accept_ra", "0"}, {v6 + "accept_redirects", "0"}, {v6 + "autoconf", "0"}, {v6 + "accept_dad", "0"},
	}
	for _, t := range neighbourTimers {
		all = append(all, setting{"ipv4/neigh/" + device + "/" + t.key, t.value}, setting{"ipv6/neigh/" + device + "/" + t.key, t.value})
	}
	return all
}

// apply writes the settings that differ. A kernel without IPv6, or a device that has just gone, lacks some: they are passed over.
func apply(settings []setting) error {
	for _, s := range settings {
		path := filepath.Join("/proc/sys/net", s.key)
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && strings.TrimSpace(string(b)) != s.value {
			err = os.WriteFile(path, []byte(s.value), 0)
		}
		if err != nil {
			return fmt.Errorf("set net/%s to %s: %w", s.key, s.value, err)
		}
	}
	return nil
}

// settlePorts gives every guarded port its settings and the gate's addresses and sets it up. Unguarded ones stay as they are:
// the packet core has taken them down.
func settlePorts(a *anchors.Anchors, status []packet.PortStatus) error {
	var errs []error
	for _, p := range status {
		if p.Guarded() && !p.Tunnel {
			errs = append(errs, settlePort(a, p))
		}
	}
	return errors.Join(errs...)
}

func settlePort(a *anchors.Anchors, p packet.PortStatus) error {
	if err := apply(portSettings(p.Name)); err != nil {
		return err
	}
	l, err := netlink.LinkByName(p.Name)
	if err != nil {
		return fmt.Errorf("port %s: %w", p.Name, err)
	}
	if l.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(l); err != nil {
			return fmt.Errorf("set port %s up: %w", p.Name, err)
		}
	}
	var errs []error // one segment's trouble is not another's
	for i := range a.Segments {
		s := &a.Segments[i]
		if s.Port != p.Name {
			continue
		}
		on := l
		if s.VLAN != 0 {
			on, err = vlanDevice(l, s)
			if errors.Is(err, unix.EOPNOTSUPP) && len(s.Gate) == 0 {
				continue // nothing of the gate's own is there; routes by it wait, as for a port that is not there
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("segment %s: %w", s.ID, err))
				continue
			}
		}
		if err := setAddresses(on, gateAddresses(a, deviceOf(s))); err != nil {
			errs = append(errs, fmt.Errorf("port %s: %w", deviceOf(s), err))
		}
	}
	return errors.Join(errs...)
}

// gateAddresses are the gate's own on a device, each with the length of the prefix that holds it.
func gateAddresses(a *anchors.Anchors, device string) []netip.Prefix {
	var out []netip.Prefix
	for i := range a.Segments {
		s := &a.Segments[i]
		if deviceOf(s) != device {
			continue
		}
		for _, g := range s.Gate {
			for _, p := range s.Prefixes {
				if p.Contains(g) {
					out = append(out, netip.PrefixFrom(g, p.Bits()))
					break
				}
			}
		}
	}
	return out
}

// setAddresses makes the device carry exactly these addresses (its IPv6 link-local one aside), without the routes that the
// kernel would add by itself: routes come from a proven generation only.
func setAddresses(l netlink.Link, want []netip.Prefix) error {
	have, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	missing := map[netip.Prefix]bool{}
	for _, p := range want {
		missing[p] = true
	}
	for _, h := range have {
		ones, _ := h.Mask.Size()
		p := netip.PrefixFrom(addrOf(h.IP), ones)
		if missing[p] && h.Flags&unix.IFA_F_NOPREFIXROUTE != 0 {
			delete(missing, p)
			continue
		}
		if p.Addr().IsLinkLocalUnicast() && p.Addr().Is6() {
			continue
		}
		if err := netlink.AddrDel(l, &h); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("remove address %s: %w", p, err)
		}
	}
	for p := range missing {
		addr := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_NODAD}
		if p.Addr().Is4() {
			addr.Broadcast = net.IPv4zero // none
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("add address %s: %w", p, err)
		}
	}
	return nil
}

// vlanDevice is the kernel's device for a tagged segment; the stack needs it for what the gate itself says there. Inside a
// service VLAN it hangs on a device for that, which no segment has.
func vlanDevice(port netlink.Link, s *anchors.Segment) (netlink.Link, error) {
	if s.Outer != 0 {
		outer, err := tagged(port, fmt.Sprintf("%s-%d", s.Port, s.Outer), s.Outer, netlink.VLAN_PROTOCOL_8021AD)
		if err != nil {
			return nil, err
		}
		port = outer
	}
	return tagged(port, s.Device(), s.VLAN, netlink.VLAN_PROTOCOL_8021Q)
}

// tagged makes sure of a VLAN device. It is made and set up only on guarded ports: the port's programs judge its frames. What
// goes by its name and is another device is no way for anybody's packets, and goes down.
func tagged(parent netlink.Link, name string, vlan uint16, protocol netlink.VlanProtocol) (netlink.Link, error) {
	l, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = name, parent.Attrs().Index
		if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: int(vlan), VlanProtocol: protocol}); err != nil {
			return nil, fmt.Errorf("make VLAN device %s: %w; the kernel must have 8021q (modprobe 8021q, or plug the segment into a port of its own)", name, err)
		}
		l, err = netlink.LinkByName(name)
	}
	if err != nil {
		return nil, fmt.Errorf("VLAN device %s: %w", name, err)
	}
	v, ok := l.(*netlink.Vlan)
	if !ok || v.VlanId != int(vlan) || v.VlanProtocol != protocol || v.Attrs().ParentIndex != parent.Attrs().Index {
		err := netlink.LinkSetDown(l)
		return nil, errors.Join(fmt.Errorf("%s is not the device of VLAN %d on %s: it goes down; remove or rename it", name, vlan, parent.Attrs().Name), err)
	}
	if l.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(l); err != nil {
			return nil, fmt.Errorf("set VLAN device %s up: %w", name, err)
		}
	}
	return l, apply(portSettings(name))
}
