package region

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Routes towards the gate. The main table takes what has no class; each class has a table of its own, asked by the mark; each
// device has one, asked for what is bound to that device, so that an answer leaves by the line on which it was asked.
const (
	routeProtocol = 83
	classTable    = 100   // + class
	deviceTable   = 200   // + place of the device in the file
	deviceRule    = 10000 // order of the rules: devices first
	classRule     = 10100
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// point makes the table's routes to all prefixes lead into the device; each changes at once, none is missing in between.
func point(table int, prefixes []netip.Prefix, device string) error {
	l, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("routes into %s: %w", device, err)
	}
	for _, p := range prefixes {
		r := &netlink.Route{Table: table, LinkIndex: l.Attrs().Index, Dst: ipNet(p.Masked()), Protocol: routeProtocol}
		if err := netlink.RouteReplace(r); err != nil {
			return fmt.Errorf("route %s into %s, table %d: %w", p, device, table, err)
		}
	}
	return nil
}

// withdraw removes our routes to prefixes that are not wanted any more, from every table.
func withdraw(keep []netip.Prefix) error {
	wanted := map[string]bool{}
	for _, p := range keep {
		wanted[p.Masked().String()] = true
	}
	var errs []error
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		have, err := netlink.RouteListFiltered(family, &netlink.Route{Protocol: routeProtocol, Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
		if err != nil {
			return fmt.Errorf("list routes: %w", err)
		}
		for _, r := range have {
			if r.Dst != nil && !wanted[r.Dst.String()] {
				if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
					errs = append(errs, fmt.Errorf("withdraw the route to %s: %w", r.Dst, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// rule adds a rule for both families if it is missing.
func rule(priority, table int, device string, class uint8) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		r := netlink.NewRule()
		r.Family, r.Priority, r.Table, r.OifName = family, priority, table, device
		r.Protocol = routeProtocol
		if class != 0 {
			mask := uint32(markMask)
			r.Mark, r.Mask = uint32(class), &mask
		}
		if err := netlink.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EAFNOSUPPORT) {
			return fmt.Errorf("rule for table %d: %w", table, err)
		}
	}
	return nil
}

// clearRules removes the rules of a former run: devices may have changed places since.
func clearRules() error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		have, err := netlink.RuleList(family)
		if err != nil {
			return fmt.Errorf("list rules: %w", err)
		}
		for _, r := range have {
			if r.Protocol == routeProtocol && r.Priority >= deviceRule && r.Priority < classRule+markMask+1 {
				r.Family = family
				if err := netlink.RuleDel(&r); err != nil && !errors.Is(err, unix.ENOENT) {
					return fmt.Errorf("remove rule %d: %w", r.Priority, err)
				}
			}
		}
	}
	return nil
}
