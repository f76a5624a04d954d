package tunnel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// outerCost is what WireGuard adds to a packet, bytes: IPv6 20+20, UDP 8, header and tag 32.
const outerCost = 80

// makeDevice makes sure that the device exists and is up, and tells whether it is the kernel's own WireGuard.
func makeDevice(name string) (kernel bool, err error) {
	l, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		if l, err = addDevice(name); err != nil {
			return false, err
		}
	} else if err != nil {
		return false, fmt.Errorf("look for device %s: %w", name, err)
	}
	switch l.Type() {
	case "wireguard":
		kernel = true
	case "tuntap", "tun":
	default:
		return false, fmt.Errorf("device %s is of type %s, want a tunnel: rename or remove it", name, l.Type())
	}
	if err := quiet(name); err != nil {
		return false, err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return false, fmt.Errorf("set device %s up: %w", name, err)
	}
	return kernel, nil
}

func addDevice(name string) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	err := netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: attrs})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		t, err := attachTUN(name, true)
		if err != nil {
			return nil, err
		}
		t.Close() // persistent: the device stays
	} else if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make WireGuard device %s: %w", name, err)
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("look for the new device %s: %w", name, err)
	}
	return l, nil
}

// quiet keeps the kernel from talking on the device by itself: no link-local address, no router solicitation. A source is right
// when a route leads to it by any device: a region's packets may come by another tunnel than they go by.
func quiet(name string) error {
	for _, s := range []struct{ family, key, value string }{
		{"ipv6", "addr_gen_mode", "1"}, {"ipv6", "accept_ra", "0"}, {"ipv6", "router_solicitations", "0"}, {"ipv4", "rp_filter", "2"},
	} {
		p := filepath.Join("/proc/sys/net", s.family, "conf", name, s.key)
		if err := os.WriteFile(p, []byte(s.value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set %s of %s: %w", s.key, name, err)
		}
	}
	return nil
}

// setDevice gives a device its MTU and exactly its addresses.
func (s *Set) setDevice(r *running) error {
	s.mu.Lock()
	spec, found := r.spec, r.size.found
	s.mu.Unlock()
	l, err := netlink.LinkByName(spec.Device)
	if err != nil {
		return fmt.Errorf("look for the device: %w", err)
	}
	mtu := spec.MTU
	if mtu == 0 {
		if mtu, err = longest(spec); err != nil {
			return err
		}
		if found != 0 {
			mtu = min(mtu, found)
		}
	}
	if l.Attrs().MTU != mtu {
		if err := netlink.LinkSetMTU(l, mtu); err != nil {
			return fmt.Errorf("set MTU %d: %w", mtu, err)
		}
	}
	return setAddresses(l, spec.Addrs)
}

// longest is the longest inner packet that the line itself lets out, bytes.
func longest(spec Spec) (int, error) {
	line, err := netlink.LinkByName(spec.Line)
	if err != nil {
		return 0, fmt.Errorf("read the MTU of line %s: %w", spec.Line, err)
	}
	return line.Attrs().MTU - outerCost, nil
}

func setAddresses(l netlink.Link, want []netip.Addr) error {
	have, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	missing := map[netip.Addr]bool{}
	for _, a := range want {
		missing[a] = true
	}
	for _, h := range have {
		a, _ := netip.AddrFromSlice(h.IP)
		a = a.Unmap()
		if ones, bits := h.Mask.Size(); missing[a] && ones == bits {
			delete(missing, a)
			continue
		}
		if err := netlink.AddrDel(l, &h); err != nil {
			return fmt.Errorf("remove address %s: %w", h.IPNet, err)
		}
	}
	for a := range missing {
		n := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
		if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: n, Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("add address %s: %w", a, err)
		}
	}
	return nil
}

// deleteDevice removes the device if it is there.
func deleteDevice(name string) error {
	l, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		return fmt.Errorf("remove device %s: %w", name, err)
	}
	return nil
}
