package town

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// lay makes a wire: hosts and the gate's port directly opposite each other when there are two ends, joined by a switch in
// a namespace of its own when there are more. Namespaces of hosts and gate exist already.
func (n Name) lay(w wire) error {
	type end struct {
		host *Host // nil: the gate, or a region's gateway
		ns   string
		dev  string
	}
	var ends []end
	if w.port != "" {
		ends = append(ends, end{ns: n.Netns(Gate), dev: w.port})
	}
	for _, r := range regions() {
		if len(w.hosts) == 1 && w.hosts[0].Name == r.app {
			ends = append(ends, end{ns: n.Netns(r.host), dev: "lan0"})
		}
	}
	for i := range w.hosts {
		ends = append(ends, end{host: &w.hosts[i], ns: n.Netns(w.hosts[i].Name), dev: w.device()})
	}
	fail := func(err error) error { return fmt.Errorf("lay wire %s: %w", w.name, err) }

	if len(ends) == 2 {
		if err := pair(ends[0].ns, ends[0].dev, ends[1].ns, ends[1].dev, ends[1].host.MAC.String()); err != nil {
			return fail(err)
		}
	} else {
		sw := n.Netns("sw-" + w.name)
		if err := addNetns(sw); err != nil {
			return fail(err)
		}
		if err := n.bridge(sw); err != nil {
			return fail(err)
		}
		for i, e := range ends {
			mac := ""
			if e.host != nil {
				mac = e.host.MAC.String()
			}
			port := fmt.Sprintf("p%d", i)
			if err := pair(sw, port, e.ns, e.dev, mac); err != nil {
				return fail(err)
			}
			if err := plug(sw, port); err != nil {
				return fail(err)
			}
			if e.ns == n.Netns(Gate) {
				if err := faceGate(sw, port); err != nil {
					return fail(err)
				}
			}
		}
	}
	for _, e := range ends {
		if e.host == nil {
			continue
		}
		if err := faceGate(e.ns, e.dev); err != nil {
			return fail(err)
		}
		if err := configure(e.ns, e.dev, e.host.Addrs, e.host.Routers); err != nil {
			return fail(err)
		}
	}
	return nil
}

// handle speaks netlink inside a namespace.
func handle(ns string) (*netlink.Handle, netns.NsHandle, error) {
	h, err := netns.GetFromPath(filepath.Join(netnsDir, ns))
	if err != nil {
		return nil, h, fmt.Errorf("open namespace %s: %w", ns, err)
	}
	nl, err := netlink.NewHandleAt(h)
	if err != nil {
		h.Close()
		return nil, h, fmt.Errorf("netlink in namespace %s: %w", ns, err)
	}
	return nl, h, nil
}

// pair makes a veth pair with one end in each namespace, so that no half of it ever stands elsewhere. mac is that of b.
func pair(nsA, a, nsB, b, mac string) error {
	nl, hA, err := handle(nsA)
	if err != nil {
		return err
	}
	defer nl.Close()
	defer hA.Close()
	hB, err := netns.GetFromPath(filepath.Join(netnsDir, nsB))
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", nsB, err)
	}
	defer hB.Close()
	v := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: b, PeerNamespace: netlink.NsFd(hB)}
	v.Name = a
	if mac != "" {
		v.PeerHardwareAddr, err = net.ParseMAC(mac)
		if err != nil {
			return fmt.Errorf("pair %s and %s: %w", a, b, err)
		}
	}
	if err := nl.LinkAdd(v); err != nil {
		return fmt.Errorf("pair %s in %s with %s in %s: %w", a, nsA, b, nsB, err)
	}
	return nil
}

func (n Name) bridge(ns string) error {
	// A switch has no addresses and speaks no IPv6 of its own.
	if err := sysctl(ns, "net/ipv6/conf/default/disable_ipv6", "1"); err != nil {
		return err
	}
	nl, h, err := handle(ns)
	if err != nil {
		return err
	}
	defer nl.Close()
	defer h.Close()
	snooping := false
	br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs(), MulticastSnooping: &snooping}
	br.Name = "br0"
	if err := nl.LinkAdd(br); err != nil {
		return fmt.Errorf("make bridge in %s: %w", ns, err)
	}
	return nl.LinkSetUp(br)
}

func plug(ns, dev string) error {
	nl, h, err := handle(ns)
	if err != nil {
		return err
	}
	defer nl.Close()
	defer h.Close()
	br, err := nl.LinkByName("br0")
	if err != nil {
		return fmt.Errorf("plug %s: %w", dev, err)
	}
	link, err := nl.LinkByName(dev)
	if err != nil {
		return fmt.Errorf("plug %s: %w", dev, err)
	}
	if err := nl.LinkSetMaster(link, br); err != nil {
		return fmt.Errorf("plug %s: %w", dev, err)
	}
	return nl.LinkSetUp(link)
}

// faceGate prepares the far end of a veth whose near end the gate guards with XDP: GRO turns on the NAPI context without
// which redirected frames are dropped; checksums are computed and VLAN tags written into the frame, as on a real card.
func faceGate(ns, dev string) error {
	return In(ns, func() error {
		out, err := exec.Command("ethtool", "-K", dev, "gro", "on", "tx", "off", "tso", "off", "gso", "off", "txvlan", "off").CombinedOutput()
		if err != nil {
			return fmt.Errorf("offloads of %s in %s: %w: %s", dev, ns, err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

func configure(ns, dev string, addrs []netip.Prefix, routers []netip.Addr) error {
	for key, value := range map[string]string{
		"net/ipv6/conf/" + dev + "/accept_ra": "0", "net/ipv6/conf/" + dev + "/accept_dad": "0",
		"net/ipv6/conf/" + dev + "/router_solicitations": "0",
	} {
		if err := sysctl(ns, key, value); err != nil {
			return err
		}
	}
	nl, h, err := handle(ns)
	if err != nil {
		return err
	}
	defer nl.Close()
	defer h.Close()
	link, err := nl.LinkByName(dev)
	if err != nil {
		return fmt.Errorf("configure %s in %s: %w", dev, ns, err)
	}
	if err := nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("configure %s in %s: %w", dev, ns, err)
	}
	for _, a := range addrs {
		ip := &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}
		if err := nl.AddrReplace(link, &netlink.Addr{IPNet: ip, Flags: ifaNoDAD(a.Addr())}); err != nil {
			return fmt.Errorf("configure %s in %s: address %s: %w", dev, ns, a, err)
		}
	}
	for _, r := range routers {
		all := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
		if r.Is6() {
			all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
		}
		if err := nl.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: all, Gw: r.AsSlice()}); err != nil {
			return fmt.Errorf("configure %s in %s: default route via %s: %w", dev, ns, r, err)
		}
	}
	return nil
}

// ifaNoDAD: duplicate address detection would keep an IPv6 address unusable for a second.
func ifaNoDAD(a netip.Addr) int {
	if a.Is6() {
		return 0x02 // IFA_F_NODAD, linux/if_addr.h
	}
	return 0
}

func sysctl(ns, key, value string) error {
	return In(ns, func() error {
		if err := os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0); err != nil {
			return fmt.Errorf("in namespace %s: %w", ns, err)
		}
		return nil
	})
}
