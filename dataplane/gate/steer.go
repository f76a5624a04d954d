package gate

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// A class whose way differs from the others' has a routing table of its own, found by the class in the packet core's mark.
const (
	classTables   = 100  // + class
	classPriority = 1000 // + class, of the rule; the main table's is 32766
	classMask     = 0x3f // of the mark
	noClasses     = 64

	probeMetric = 2000 // + number of the device
	maxDevices  = 1000
)

// steered makes of the routes that were asked for those by which packets shall go now: a region's prefixes by the device of its
// way. Tables of classes hold only what goes elsewhere; what they lack is found in the main table.
func steered(routes []Route, a *anchors.Anchors, w ways.Ways) (main []Route, byClass map[uint8][]Route) {
	byClass = map[uint8][]Route{}
	for _, r := range routes {
		region := regionOf(r, a)
		usual, ok := w.Devices[ways.Stream{Region: region}]
		if region == "" || !ok {
			main = append(main, r)
			continue
		}
		r.Port = usual
		main = append(main, r)
		for stream, device := range w.Devices {
			if stream.Region == region && device != usual {
				r.Port = device
				byClass[stream.Class] = append(byClass[stream.Class], r)
			}
		}
	}
	return main, byClass
}

// regionOf is the region whose prefix a route leads to; "": it leads to no region.
func regionOf(r Route, a *anchors.Anchors) string {
	if r.Unreachable {
		return ""
	}
	s, ok := a.SegmentOf(r.Prefix.Addr())
	if !ok || s.Attach != anchors.AttachTunnel {
		return ""
	}
	return s.ID
}

// moved puts routes where the ways are now, which may be others than when it was called. It waits for no generation that is on
// its way: a line that is cut must be left while large tables are being proven. Of a generation that is on its way, only what
// both ask for is moved; before the first there is nothing to move.
func (g *Gate) moved(ways.Ways) error {
	g.steering.Lock()
	defer g.steering.Unlock()
	if g.routed == nil {
		return nil
	}
	return g.route(g.routed, g.tunnels.Ways())
}

// tightenRoutes withdraws what the next generation does not ask for. A region's prefix stays by whichever tunnel it goes now: what
// does not belong into a tunnel vanishes there. Until the next generation is in force, nothing else is asked for than what stays.
func (g *Gate) tightenRoutes(next []Route) error {
	g.steering.Lock()
	defer g.steering.Unlock()
	keep, _, err := planRoutes(next, g.anchors)
	if err != nil {
		return err
	}
	have, err := installedRoutes()
	if err != nil {
		return err
	}
	tunnels := map[int]bool{}
	for _, t := range g.anchors.Tunnels {
		if l, err := netlink.LinkByName(t.Device); err == nil {
			tunnels[l.Attrs().Index] = true
		}
	}
	type end struct {
		prefix netip.Prefix
		here   bool // unreachable
	}
	stays := map[end]bool{}
	for k := range have {
		region := func(r Route) bool { return r.Prefix == k.prefix && regionOf(r, g.anchors) != "" }
		if tunnels[k.port] && (k.metric != 0 || slices.ContainsFunc(next, region)) {
			keep[k] = true
		}
		if keep[k] && k.table == 0 && k.metric == 0 {
			stays[end{k.prefix, k.unreachable}] = true
		}
	}
	both := []Route{}
	for _, r := range next {
		if stays[end{r.Prefix, r.Unreachable}] || slices.ContainsFunc(g.routed, func(o Route) bool { return sameRoute(o, r, g.anchors) }) {
			both = append(both, r)
		}
	}
	g.routed = both
	return withdrawRoutes(keep)
}

// sameRoute tells whether two generations ask for one thing: of a region's prefix, the ways say by which tunnel it goes.
func sameRoute(a, b Route, of *anchors.Anchors) bool {
	return a == b || a.Prefix == b.Prefix && regionOf(a, of) != "" && regionOf(b, of) != ""
}

// route makes the kernel's routes and rules those that follow from routes and ways. With steering held.
func (g *Gate) route(routes []Route, w ways.Ways) error {
	g.routed = routes
	main, byClass := steered(routes, g.anchors, w)
	plan, missing, err := planRoutes(main, g.anchors)
	if err != nil {
		return err
	}
	var classes []uint8
	for class, routes := range byClass {
		more, gone, err := planRoutes(routes, g.anchors)
		if err != nil {
			return err
		}
		missing = append(missing, gone...)
		for k := range more {
			if !k.unreachable {
				k.table = classTables + int(class)
				plan[k] = true
			}
		}
		classes = append(classes, class)
	}
	for _, k := range g.probeRoutes() {
		plan[k] = true
	}
	if len(missing) > 0 {
		g.log.Debug("routes wait for their ports", "prefixes", missing)
	}
	// First what takes another's place, then the rules that lead there, then away with what nobody is led to any more. Where the
	// new one does not stand, the old one stays.
	missed, err := addRoutes(plan)
	return errors.Join(err, settleRules(classes), withdrawRoutes(plan, missed...))
}

// probeRoutes lead to probe addresses of IPv6 by every device, each with a metric of its own: a socket that is bound to a device
// finds nothing by routes of others, where one of IPv4 takes the address for on-link.
func (g *Gate) probeRoutes() (out []routeKey) {
	for i, s := range g.tunnels.Specs() {
		l, err := netlink.LinkByName(s.Device)
		if err != nil || l.Attrs().Flags&net.FlagUp == 0 {
			continue
		}
		for _, p := range s.Peers {
			if a := p.Probe.Addr(); a.Is6() {
				prefix := netip.PrefixFrom(a, 128)
				out = append(out, routeKey{prefix: prefix, port: l.Attrs().Index, source: sourceFor(prefix, g.anchors), metric: probeMetric + i})
			}
		}
	}
	return out
}

// settleRules makes the gate's rules those of the classes, in both families. Rules of others stay.
func settleRules(classes []uint8) error {
	var errs []error
	for _, family := range families {
		have, err := netlink.RuleListFiltered(family, &netlink.Rule{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			errs = append(errs, fmt.Errorf("list routing rules: %w", err))
			continue
		}
		var stand []uint8
		for _, r := range have {
			class := uint8(r.Table - classTables)
			if r.Protocol != routeProtocol {
				continue
			}
			if want := classRule(family, class); slices.Contains(classes, class) && !slices.Contains(stand, class) && r.Table > classTables &&
				r.Table < classTables+noClasses && r.Priority == want.Priority && r.Mark == want.Mark && r.Mask != nil && *r.Mask == classMask &&
				r.Src == nil && r.Dst == nil && r.IifName == "" && r.OifName == "" && !r.Invert {
				stand = append(stand, class)
				continue
			}
			r.Family = family
			if err := netlink.RuleDel(&r); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("remove the routing rule of class %d: %w", class, err))
			}
		}
		for _, class := range classes {
			if slices.Contains(stand, class) {
				continue
			}
			if err := netlink.RuleAdd(classRule(family, class)); err != nil && !errors.Is(err, unix.EEXIST) {
				errs = append(errs, fmt.Errorf("add the routing rule of class %d: %w", class, err))
			}
		}
	}
	return errors.Join(errs...)
}

func classRule(family int, class uint8) *netlink.Rule {
	r := netlink.NewRule()
	mask := uint32(classMask)
	r.Family, r.Table, r.Priority, r.Mark, r.Mask = family, classTables+int(class), classPriority+int(class), uint32(class), &mask
	r.Protocol = routeProtocol
	return r
}
