package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/ethtool"
	"github.com/sekisho/sekisho/dataplane/place"
)

// A portal lives in a network namespace of its own, joined to the gate by a veth whose gate end is guarded like any port.
// The portal is a station with a fixed MAC and one address a prefix: the one after the gate's.

const portalDevice = "eth0" // the portal's end, in its namespace

// portalMAC is the address of one end: 1 the gate's, 2 the portal's.
func portalMAC(z anchors.Zone, end byte) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0x53, 0x4b, 0x00, byte(z), end}
}

// makePortals makes what the anchors' portal segments need, where it is not there yet.
func makePortals(instance place.Instance, a *anchors.Anchors) error {
	for i := range a.Segments {
		if s := &a.Segments[i]; s.Attach == anchors.AttachPortal {
			if err := makePortal(instance.PortalNetns(s.Zone), s); err != nil {
				return fmt.Errorf("portal of zone %s: %w", s.Zone, err)
			}
		}
	}
	return nil
}

// portalsStand tells whether every portal has its namespace and its link.
func portalsStand(instance place.Instance, a *anchors.Anchors) bool {
	for i := range a.Segments {
		s := &a.Segments[i]
		if s.Attach != anchors.AttachPortal {
			continue
		}
		_, err1 := netlink.LinkByName(s.Port)
		_, err2 := os.Stat(filepath.Join(netnsDir, instance.PortalNetns(s.Zone)))
		if err1 != nil || err2 != nil {
			return false
		}
	}
	return true
}

func makePortal(name string, s *anchors.Segment) error {
	ns, err := namedNetns(name)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	defer ns.Close()
	inside, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	defer inside.Close()
	if err := portalVeth(ns, inside, s); err != nil {
		return err
	}
	return portalStack(ns, inside, s)
}

// portalVeth makes the two ends. One end without the other cannot be: the kernel removes both.
func portalVeth(ns netns.NsHandle, inside *netlink.Handle, s *anchors.Segment) error {
	_, err := netlink.LinkByName(s.Port)
	var missing netlink.LinkNotFoundError
	if err == nil {
		if _, err := inside.LinkByName(portalDevice); err == nil {
			return nil
		}
		// The gate's end leads into a namespace that is gone.
		l, err := netlink.LinkByName(s.Port)
		if err == nil {
			err = netlink.LinkDel(l)
		}
		if err != nil {
			return fmt.Errorf("remove the severed %s: %w", s.Port, err)
		}
	} else if !errors.As(err, &missing) {
		return fmt.Errorf("look for %s: %w", s.Port, err)
	}
	if l, err := inside.LinkByName(portalDevice); err == nil {
		if err := inside.LinkDel(l); err != nil {
			return fmt.Errorf("remove a stranger's %s: %w", portalDevice, err)
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = s.Port, portalMAC(s.Zone, 1)
	v := &netlink.Veth{LinkAttrs: attrs, PeerName: portalDevice, PeerHardwareAddr: portalMAC(s.Zone, 2), PeerNamespace: netlink.NsFd(ns)}
	if err := netlink.LinkAdd(v); err != nil {
		return fmt.Errorf("make %s: %w", s.Port, err)
	}
	return nil
}

// portalStack sets up the portal's end.
func portalStack(ns netns.NsHandle, inside *netlink.Handle, s *anchors.Segment) error {
	l, err := inside.LinkByName(portalDevice)
	if err != nil {
		return fmt.Errorf("look for %s: %w", portalDevice, err)
	}
	err = in(ns, func() error {
		return errors.Join(
			apply([]setting{{"ipv6/conf/" + portalDevice + "/accept_ra", "0"}, {"ipv6/conf/" + portalDevice + "/accept_dad", "0"},
				{"ipv4/conf/all/accept_redirects", "0"}, {"ipv6/conf/all/accept_redirects", "0"}}),
			// Frames redirected into a veth are dropped unless its peer polls: GRO makes it. What the portal sends goes on a
			// wire as it is: whole checksums, no super-packets, tags in the frame.
			ethtool.Set(portalDevice, true, ethtool.RxGRO),
			ethtool.Set(portalDevice, false, ethtool.TxChecksum, ethtool.TxSCTP, ethtool.TxTCP, ethtool.TxTCPECN, ethtool.TxTCPMangle, ethtool.TxTCP6,
				ethtool.TxGSO, ethtool.TxVLAN, ethtool.TxVLANStag),
		)
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"lo", portalDevice} {
		l, err := inside.LinkByName(name)
		if err == nil {
			err = inside.LinkSetUp(l)
		}
		if err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	for _, g := range s.Gate {
		for _, p := range s.Prefixes {
			if p.Contains(g) {
				if err := portalAddress(inside, l, g, p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func portalAddress(inside *netlink.Handle, l netlink.Link, gate netip.Addr, p netip.Prefix) error {
	own := gate.Next()
	if !p.Contains(own) {
		return fmt.Errorf("no address left for the portal after %s in %s", gate, p)
	}
	err := inside.AddrReplace(l, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(own, p.Bits())), Flags: unix.IFA_F_NODAD})
	if err != nil {
		return fmt.Errorf("add address %s: %w", own, err)
	}
	all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if own.Is6() {
		all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	err = inside.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(all), Gw: gate.AsSlice()})
	if err != nil {
		return fmt.Errorf("route by %s: %w", gate, err)
	}
	return nil
}

const netnsDir = "/run/netns" // where iproute2 keeps names

// namedNetns opens the namespace, made and named if it is not there.
func namedNetns(name string) (netns.NsHandle, error) {
	if h, err := netns.GetFromName(name); err == nil {
		return h, nil
	}
	path := filepath.Join(netnsDir, name)
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return netns.None(), err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return netns.None(), err
	}
	f.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return netns.None(), errors.Join(err, os.Remove(path))
	}
	return netns.GetFromName(name)
}

// in runs f on a thread in the namespace.
func in(ns netns.NsHandle, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := netns.Set(ns)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// removePortals deletes namespaces and veths.
func removePortals(instance place.Instance) error {
	var errs []error
	for _, z := range place.PortalZones {
		if l, err := netlink.LinkByName(place.PortalPort(z)); err == nil {
			errs = append(errs, netlink.LinkDel(l))
		}
		path := filepath.Join(netnsDir, instance.PortalNetns(z))
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", path, err))
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
