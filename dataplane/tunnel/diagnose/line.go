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

// port: the device exists and is up.
func (l *look) port(context.Context) finding {
	var gone netlink.LinkNotFoundError
	d, err := netlink.LinkByName(l.Line)
	switch {
	case errors.As(err, &gone):
		return found("port.missing", l.Line)
	case err != nil:
		return found(codeError, err.Error())
	case d.Attrs().Flags&net.FlagUp == 0:
		return found("port.down", l.Line)
	}
	l.device = d
	return found("port.up", l.Line, strconv.Itoa(d.Attrs().MTU))
}

// link: there is a carrier (IFF_LOWER_UP).
func (l *look) link(context.Context) finding {
	if l.device.Attrs().RawFlags&unix.IFF_LOWER_UP == 0 {
		return found("link.none", l.Line)
	}
	return found("link.carrier", l.Line)
}

// address: the port has the gate's addresses, and nobody else answers for them.
func (l *look) address(ctx context.Context) finding {
	if len(l.Addrs) == 0 {
		return found("address.unset", l.Line)
	}
	have, err := netlink.AddrList(l.device, netlink.FAMILY_ALL)
	if err != nil {
		return found(codeError, err.Error())
	}
	var missing []string
	for _, a := range l.Addrs {
		if !slices.ContainsFunc(have, func(h netlink.Addr) bool {
			x, _ := netip.AddrFromSlice(h.IP)
			return x.Unmap() == a && h.Flags&(unix.IFA_F_DADFAILED|unix.IFA_F_TENTATIVE) == 0
		}) {
			missing = append(missing, a.String())
		}
	}
	if missing != nil {
		return found("address.gone", strings.Join(missing, " "), l.Line)
	}
	for _, a := range l.Addrs {
		if l.Claimed != nil {
			if by, ok := l.Claimed(a); ok {
				return found("address.twice", a.String(), by)
			}
		}
		other, err := claimed(ctx, l.device, a)
		if err != nil {
			return found(codeError, err.Error())
		}
		if other != nil {
			return found("address.twice", a.String(), other.String())
		}
	}
	var all []string
	for _, a := range l.Addrs {
		all = append(all, a.String())
	}
	return found("address.own", strings.Join(all, " "))
}

// gateway: whom the tunnel's packets are handed to answers. The kernel asks; it is told to ask now.
func (l *look) gateway(ctx context.Context) finding {
	to := l.Endpoint.Addr()
	routes, err := netlink.RouteGet(to.AsSlice())
	if err != nil || len(routes) == 0 {
		return found("gateway.no-route", to.String(), reason(err))
	}
	l.out = routes[0]
	if r := l.out; r.LinkIndex != l.device.Attrs().Index {
		name := strconv.Itoa(r.LinkIndex)
		if other, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			name = other.Attrs().Name
		}
		return found("gateway.elsewhere", to.String(), name, l.Line)
	}
	if l.device.Attrs().RawFlags&(unix.IFF_NOARP|unix.IFF_POINTOPOINT) != 0 {
		return found("gateway.none", l.Line)
	}
	next := to
	if a, ok := netip.AddrFromSlice(l.out.Gw); ok {
		next = a.Unmap()
	}
	n, err := askNeighbour(ctx, l.device, next)
	switch {
	case err != nil:
		return found(codeError, err.Error())
	case n != nil:
		return found("gateway.answers", next.String(), n.String())
	case next == to:
		return found("gateway.direct", next.String())
	}
	return found("gateway.silent", next.String())
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

const (
	neighbourTime = 1600 * time.Millisecond // the kernel asks once a second
	neighbourLook = 20 * time.Millisecond
)

// askNeighbour has the kernel ask for a neighbour and tells its MAC; nil: it did not answer.
func askNeighbour(ctx context.Context, d netlink.Link, a netip.Addr) (net.HardwareAddr, error) {
	family := netlink.FAMILY_V4
	if a.Is6() {
		family = netlink.FAMILY_V6
	}
	ask := netlink.Neigh{LinkIndex: d.Attrs().Index, Family: family, IP: a.AsSlice()}
	before, err := neighbour(ask)
	if err != nil {
		return nil, err
	}
	switch {
	case before != nil && before.State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP) != 0:
		return before.HardwareAddr, nil
	case before != nil && before.State&netlink.NUD_FAILED == 0 && len(before.HardwareAddr) > 0:
		ask.State = netlink.NUD_PROBE // known: ask it again, now
	default:
		ask.Flags = netlink.NTF_USE
	}
	if err := netlink.NeighSet(&ask); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, neighbourTime)
	defer cancel()
	for {
		n, err := neighbour(ask)
		if err != nil {
			return nil, err
		}
		if n != nil && n.State&netlink.NUD_REACHABLE != 0 {
			return n.HardwareAddr, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(neighbourLook):
		}
	}
}

func neighbour(of netlink.Neigh) (*netlink.Neigh, error) {
	all, err := netlink.NeighList(of.LinkIndex, of.Family)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].IP.Equal(of.IP) {
			return &all[i], nil
		}
	}
	return nil, nil
}
