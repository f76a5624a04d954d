package gate

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

const (
	// routeProtocol marks the gate's own routes in the kernel's table; nobody else's are touched.
	routeProtocol = 83
	// beneath is the worst metric in use: what lies there is taken only when nothing else is left.
	beneath = 4278198272
)

// routeKey is what makes two routes the same to the kernel; value type, so that plans can be compared.
type routeKey struct {
	table       int // 0: the main one
	prefix      netip.Prefix
	port        int // device index
	via         netip.Addr
	source      netip.Addr
	unreachable bool
	metric      int // 0: the kernel's choice
}

// layBeneath puts an unreachable route under every prefix of the anchors and under everything: when a device vanishes with
// its route, packets for it end here and do not follow a default route. Never removed while the gate lives.
func layBeneath(a *anchors.Anchors) error {
	for _, p := range allPrefixes(a) {
		if err := netlink.RouteReplace(routeKey{prefix: p, unreachable: true}.route()); err != nil {
			return fmt.Errorf("lay an unreachable route under %s: %w", p, err)
		}
	}
	return nil
}

func allPrefixes(a *anchors.Anchors) []netip.Prefix {
	out := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for _, s := range a.Segments {
		out = append(out, s.Prefixes...)
	}
	return out
}

// planRoutes is the kernel's view of routes. Those whose device is not there or down are left out (what lies beneath takes
// their packets) and named in missing.
func planRoutes(routes []Route, a *anchors.Anchors) (plan map[routeKey]bool, missing []string, err error) {
	plan = map[routeKey]bool{}
	for _, p := range allPrefixes(a) {
		plan[routeKey{prefix: p, unreachable: true}] = true
	}
	for _, r := range routes {
		if r.Unreachable {
			plan[routeKey{prefix: r.Prefix, unreachable: true}] = true
			continue
		}
		l, err := netlink.LinkByName(r.Port)
		var gone netlink.LinkNotFoundError
		if errors.As(err, &gone) || err == nil && l.Attrs().Flags&net.FlagUp == 0 {
			missing = append(missing, r.Prefix.String())
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("route %s: look for port %s: %w", r.Prefix, r.Port, err)
		}
		plan[routeKey{prefix: r.Prefix, port: l.Attrs().Index, via: r.Via, source: sourceFor(r.Prefix, a)}] = true
	}
	return plan, missing, nil
}

// sourceFor is the gate's own address in the segment of the prefix, for what the gate itself sends there.
func sourceFor(p netip.Prefix, a *anchors.Anchors) netip.Addr {
	s, ok := a.SegmentOf(p.Addr())
	if !ok {
		return netip.Addr{}
	}
	for _, g := range s.Gate {
		if g.Is4() == p.Addr().Is4() {
			return g
		}
	}
	return netip.Addr{}
}

// withdrawRoutes removes the gate's routes that the plan does not have, but for those whose place one of missed should have
// taken. One that cannot be removed keeps no other.
func withdrawRoutes(plan map[routeKey]bool, missed ...routeKey) error {
	have, err := installedRoutes()
	if err != nil {
		return err
	}
	var errs []error
	for k := range have {
		instead := func(m routeKey) bool {
			return m.table == k.table && m.prefix == k.prefix && m.metric == k.metric && !k.unreachable
		}
		if plan[k] || slices.ContainsFunc(missed, instead) {
			continue
		}
		if err := netlink.RouteDel(k.route()); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("withdraw the route to %s: %w", k.prefix, err))
		}
	}
	return errors.Join(errs...)
}

// addRoutes installs what the plan has and the kernel lacks. A route takes the place of another one to the same prefix in one
// step: no packet in between finds none. One that cannot be added is in missed, and keeps no other.
func addRoutes(plan map[routeKey]bool) (missed []routeKey, err error) {
	have, err := installedRoutes()
	if err != nil {
		return slices.Collect(maps.Keys(plan)), err
	}
	var errs []error
	// Routers are reached over on-link routes, which must stand first.
	for _, viaRouter := range []bool{false, true} {
		for k := range plan {
			if have[k] || k.via.IsValid() != viaRouter {
				continue
			}
			if err := netlink.RouteReplace(k.route()); err != nil {
				missed, errs = append(missed, k), append(errs, fmt.Errorf("add the route to %s: %w", k.prefix, err))
			}
		}
	}
	return missed, errors.Join(errs...)
}

// installedRoutes are the gate's own in the main table and in those of the classes.
func installedRoutes() (map[routeKey]bool, error) {
	out := map[routeKey]bool{}
	for _, family := range families {
		have, err := netlink.RouteListFiltered(family, &netlink.Route{Protocol: routeProtocol, Table: unix.RT_TABLE_UNSPEC},
			netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, r := range have {
			k := routeKey{unreachable: r.Type == unix.RTN_UNREACHABLE, via: addrOf(r.Gw), source: addrOf(r.Src)}
			if r.Priority >= probeMetric && r.Priority < probeMetric+maxDevices {
				k.metric = r.Priority
			}
			if r.Table != unix.RT_TABLE_MAIN {
				k.table = r.Table
			}
			if !k.unreachable {
				k.port = r.LinkIndex
			}
			k.prefix = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			if family == netlink.FAMILY_V6 {
				k.prefix = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
			if r.Dst != nil {
				ones, _ := r.Dst.Mask.Size()
				k.prefix = netip.PrefixFrom(addrOf(r.Dst.IP), ones)
			}
			out[k] = true
		}
	}
	return out, nil
}

var families = []int{netlink.FAMILY_V4, netlink.FAMILY_V6}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (k routeKey) route() *netlink.Route {
	r := &netlink.Route{Dst: ipNet(k.prefix), Protocol: routeProtocol, Table: k.table, Priority: k.metric}
	if k.unreachable {
		r.Type, r.Priority = unix.RTN_UNREACHABLE, beneath
		return r
	}
	r.LinkIndex = k.port
	if k.via.IsValid() {
		r.Gw = k.via.AsSlice()
	} else {
		r.Scope = netlink.SCOPE_LINK
	}
	if k.source.IsValid() {
		r.Src = k.source.AsSlice()
	}
	return r
}

// removeRoutes takes away all of the gate's routes and rules, those beneath too. For Remove.
func removeRoutes() error { return errors.Join(settleRules(nil), withdrawRoutes(nil)) }
