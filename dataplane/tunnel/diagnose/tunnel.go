package diagnose

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	freshKeys = 180 * time.Second // WireGuard's REJECT_AFTER_TIME: older keys carry nothing
	echoTime  = 400 * time.Millisecond
	echoTries = 2
	hearTime  = 800 * time.Millisecond
	lossy     = 0.05 // of the probes
)

// fresh tells whether there are keys that carry packets.
func (t Tunnel) fresh() bool { return !t.Handshake.IsZero() && time.Since(t.Handshake) < freshKeys }

// reach: UDP gets to the far end. What came through the tunnel just now is proof; else the way is asked what it has against it.
func (l *look) reach(ctx context.Context) finding {
	to := l.Endpoint.String()
	if l.Tunnel.fresh() && l.speaks(ctx) {
		return found("reach.tunnel", to)
	}
	e, err := listen(&l.Subject, l.device.Attrs().Index)
	if err != nil {
		return found(codeError, err.Error())
	}
	defer e.close()
	for range 2 { // errors are sent rarely: one may have gone to the engine just before
		if err := l.provoke(e, 0); err != nil {
			return found(codeError, err.Error())
		}
		t, ok := e.hear(ctx, hearTime, func(t told) bool { return t.far || t.complain && t.tooBig == 0 })
		switch {
		case !ok:
			continue
		case t.far:
			return found("reach.heard", to)
		case t.refused && t.by == l.Endpoint.Addr():
			return found("reach.refused", to)
		case t.forbids || t.refused:
			return found("reach.prohibited", to, t.by.String())
		default:
			return found("reach.unreachable", to, t.by.String())
		}
	}
	if l.Tunnel.Handshake.IsZero() {
		return found("reach.unanswered", to) // wrong keys are met with silence too
	}
	return found("reach.silent", to, l.Tunnel.Handshake.UTC().Format(time.RFC3339))
}

// speaks tells whether anything comes back through the tunnel now.
func (l *look) speaks(ctx context.Context) bool {
	if !l.Probe.IsValid() || !l.Source.IsValid() {
		return l.Tunnel.Answered
	}
	e, err := l.echoes(ctx)
	if err != nil {
		return false
	}
	defer e.close()
	for range echoTries {
		rtt, answered, there := e.ask(ctx, shortest, echoTime)
		if answered {
			l.echoed = max(rtt, 1)
		}
		if there {
			return true
		}
	}
	return false
}

// handshake: the keys fit.
func (l *look) handshake(context.Context) finding {
	t := l.Tunnel
	switch {
	case t.Error != "":
		return found("handshake.engine", t.Error)
	case t.Handshake.IsZero():
		return found("handshake.never", l.Endpoint.String())
	}
	age := strconv.Itoa(int(time.Since(t.Handshake).Seconds()))
	if !t.fresh() {
		return found("handshake.old", age)
	}
	return found("handshake.fresh", age)
}

// probe: the far end answers inside the tunnel.
func (l *look) probe(context.Context) finding {
	if !l.Probe.IsValid() || !l.Source.IsValid() {
		return found("probe.none")
	}
	rtt := l.echoed
	if rtt == 0 && l.Tunnel.Answered {
		rtt = l.Tunnel.RTT
	}
	if rtt == 0 {
		return found("probe.silent", l.Probe.String())
	}
	return found("probe.answers", strconv.FormatFloat(float64(rtt.Microseconds())/1000, 'f', 1, 64))
}

// loss: hardly any of the last probes is lost. Nothing depends on it: what is lost now and then hides no other fault.
func (l *look) loss(context.Context) finding {
	per := strconv.FormatFloat(100*l.Tunnel.Loss, 'f', 0, 64)
	switch {
	case !l.Probe.IsValid():
		return found("probe.none")
	case l.Tunnel.Loss > lossy:
		return found("loss.much", per)
	}
	return found("loss.little", per)
}

// route: the region's packets leave by the devices that were chosen, and where that is gone they end.
func (l *look) route(context.Context) finding {
	if len(l.Ways) == 0 {
		return found(codeError, "which way was chosen is not known")
	}
	var devices []string
	for _, p := range l.Allowed {
		for _, w := range l.Ways {
			if f, ok := l.leaves(p, w); !ok {
				return f
			}
			devices = append(devices, w.Device)
		}
		if f, ok := closedBeneath(p); !ok {
			return f
		}
	}
	var prefixes []string
	for _, p := range l.Allowed {
		prefixes = append(prefixes, p.String())
	}
	slices.Sort(devices)
	return found("route.chosen", strings.Join(prefixes, " "), strings.Join(slices.Compact(devices), " "))
}

// leaves asks the kernel where a packet of the class goes that is meant for the prefix.
func (l *look) leaves(p netip.Prefix, w Way) (finding, bool) {
	to := p.Masked().Addr()
	if p.Bits() < to.BitLen()-1 {
		to = to.Next()
	}
	got, err := netlink.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{Mark: uint32(w.Class)})
	if errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) || err == nil && len(got) == 0 {
		return found("route.missing", p.String()), false
	}
	if err != nil {
		return found(codeError, err.Error()), false
	}
	d, err := netlink.LinkByIndex(got[0].LinkIndex)
	if err != nil {
		return found(codeError, err.Error()), false
	}
	if name := d.Attrs().Name; name != w.Device {
		return found("route.wrong", p.String(), name, w.Device), false
	}
	return finding{}, true
}

// closedBeneath tells whether an unreachable route lies under the prefix, so that nothing follows a default route.
func closedBeneath(p netip.Prefix) (finding, bool) {
	family := netlink.FAMILY_V4
	if p.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	all, err := netlink.RouteListFiltered(family, &netlink.Route{Type: unix.RTN_UNREACHABLE}, netlink.RT_FILTER_TYPE)
	if err != nil {
		return found(codeError, err.Error()), false
	}
	for _, r := range all {
		if r.Dst == nil {
			continue
		}
		a, _ := netip.AddrFromSlice(r.Dst.IP)
		ones, _ := r.Dst.Mask.Size()
		if netip.PrefixFrom(a.Unmap(), ones) == p.Masked() {
			return finding{}, true
		}
	}
	return found("route.open", p.String()), false
}

// nat: the pairs in force are those of the anchors.
func (l *look) nat(context.Context) finding {
	if len(l.Pairs) == 0 && l.InUse == nil {
		return found("nat.none")
	}
	want := spell(l.Pairs)
	if l.InUse == nil {
		return found("nat.unknown", want)
	}
	have, err := l.InUse()
	switch {
	case err != nil:
		return found(codeError, err.Error())
	case spell(have) != want:
		return found("nat.other", want, spell(have))
	case want == "":
		return found("nat.none")
	}
	return found("nat.held", want)
}

func spell(pairs []Pair) string {
	var out []string
	for _, p := range pairs {
		out = append(out, p.Inside.String()+" = "+p.Outside.String())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// dns: the name of the region's service has an address there.
func (l *look) dns(ctx context.Context) finding {
	if !l.Resolver.IsValid() || l.Name == "" {
		return found("dns.none")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, proto, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, proto, l.Resolver.String())
	}}
	got, err := r.LookupNetIP(ctx, "ip", strings.TrimSuffix(l.Name, ".")+".")
	if err != nil {
		return found("dns.failed", l.Name, l.Resolver.String(), err.Error())
	}
	var all []string
	inside := false
	for _, a := range got {
		a = a.Unmap()
		all = append(all, a.String())
		inside = inside || slices.ContainsFunc(l.Allowed, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if !inside {
		return found("dns.outside", l.Name, strings.Join(all, " "), l.Resolver.String())
	}
	return found("dns.resolves", l.Name, strings.Join(all, " "), l.Resolver.String())
}

// application: the gate opens connections of its own only to services that the anchors name. Of all others, what stations have
// sent and got is the evidence: packets that are answered with nothing are the application's silence, or its network's.
func (l *look) application(ctx context.Context) finding {
	for _, s := range l.Services {
		d := net.Dialer{Timeout: 800 * time.Millisecond}
		c, err := d.DialContext(ctx, "tcp", s.String())
		if err != nil {
			return found("application.refuses", s.String(), err.Error())
		}
		c.Close()
	}
	if len(l.Services) > 0 {
		return found("application.connects", l.Services[0].String())
	}
	if l.Flows == nil {
		return found("application.unused")
	}
	flows, err := l.Flows()
	if err != nil {
		return found(codeError, err.Error())
	}
	var good, mute *Flow
	for i := range flows {
		f := &flows[i]
		switch {
		case f.In > 0 && (good == nil || f.Idle < good.Idle):
			good = f
		case f.In == 0 && f.Proto == "tcp" && f.Out >= unansweredPackets && (mute == nil || f.Idle < mute.Idle):
			mute = f
		}
	}
	switch {
	case mute != nil && (good == nil || mute.Idle < good.Idle):
		return found("application.silent", mute.Service.String()+"/"+mute.Proto, mute.Record, strconv.FormatUint(mute.Out, 10))
	case good != nil:
		return found("application.flows", good.Service.String()+"/"+good.Proto, good.Record, strconv.Itoa(int(good.Idle.Seconds())))
	}
	return found("application.unused")
}

// unansweredPackets is how many packets of TCP must have met with silence: the first one is sent again after a second. Of UDP
// nobody knows whether it wants an answer.
const unansweredPackets = 2
