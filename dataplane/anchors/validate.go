package anchors

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// MaxSegments is what the packet core and the mark have room for (10 bits, 0 = none).
const MaxSegments = 1023

// Validate tells everything that is inconsistent in the anchors, joined into one error; nil when they are whole.
func (a *Anchors) Validate() error {
	v := &validator{a: a}
	v.head()
	v.segments()
	v.overlaps()
	v.tunnels()
	v.nat()
	v.services()
	return errors.Join(v.errs...)
}

type validator struct {
	a    *Anchors
	errs []error
}

func (v *validator) fail(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

func (v *validator) head() {
	if v.a.Version != 1 {
		v.fail("version %d: this program reads version 1", v.a.Version)
	}
	if v.a.PickUp > MostPickUp {
		v.fail("pick-up-seconds %d: connections may be picked up for at most %d seconds after a start: want 1 to %d, or no pick-up-seconds for not at all", v.a.PickUp, MostPickUp, MostPickUp)
	}
	if n := len(v.a.Segments); n == 0 || n > MaxSegments {
		v.fail("%d segments: want 1 to %d", n, MaxSegments)
	}
}

func (v *validator) segments() {
	type ingress struct {
		port        string
		vlan, outer uint16
	}
	ids := map[string]bool{}
	owners := map[ingress]string{}
	ports := map[string]*Segment{}
	addrs := map[netip.Addr]string{}
	for i := range v.a.Segments {
		s := &v.a.Segments[i]
		if s.ID == "" || ids[s.ID] {
			v.fail("segment number %d: id %q is empty or used twice", i+1, s.ID)
		}
		ids[s.ID] = true
		if s.Zone <= None || s.Zone >= Zones {
			v.fail("segment %q: %s is no zone", s.ID, s.Zone)
		}
		v.device(s)
		if s.Attach != AttachTunnel {
			in := ingress{s.Port, s.VLAN, s.Outer}
			if other, used := owners[in]; used {
				v.fail("segment %q: port %s VLAN %d in %d is already that of segment %q", s.ID, s.Port, s.VLAN, s.Outer, other)
			}
			owners[in] = s.ID
		}
		if first, ok := ports[s.Port]; !ok {
			ports[s.Port] = s
		} else if first.Attach != s.Attach || s.Attach != AttachTunnel && first.Zone != s.Zone {
			v.fail("segment %q: port %s is %s in zone %s for segment %q, and %s in zone %s here: a port belongs to one zone", s.ID, s.Port, first.Attach, first.Zone, first.ID, s.Attach, s.Zone)
		}
		v.addresses(s, addrs)
	}
}

// device checks what the segment hangs on.
func (v *validator) device(s *Segment) {
	if s.Port == "" || len(s.Port) > 15 || strings.ContainsAny(s.Port, "/ \t\n:") || s.Port == "lo" || s.Port == "." || s.Port == ".." {
		v.fail("segment %q: port %q cannot be a device of the gate", s.ID, s.Port)
	}
	if s.VLAN > 4094 {
		v.fail("segment %q: VLAN %d: want 1 to 4094, or none", s.ID, s.VLAN)
	}
	if s.VLAN != 0 && s.Attach != AttachPort {
		v.fail("segment %q: VLAN %d on a %s: only ports carry VLANs", s.ID, s.VLAN, s.Attach)
	}
	if s.Outer > 4094 || s.Outer != 0 && (s.VLAN == 0 || s.Attach != AttachPort) {
		v.fail("segment %q: outer VLAN %d: want 1 to 4094 around a VLAN on a port, or none", s.ID, s.Outer)
	}
	if name := s.Device(); s.VLAN != 0 && len(name) > 15 {
		v.fail("segment %q: its VLAN would need a device %q, and names have at most 15 characters: give the port a shorter one", s.ID, name)
	}
	v.guests(s)
	portalPort := "pt-" + s.Zone.Short()
	switch s.Attach {
	case AttachPort:
		if strings.HasPrefix(s.Port, "pt-") {
			v.fail("segment %q: devices pt-* are those of portals", s.ID)
		}
	case AttachTunnel:
		if s.Zone == Uplink || s.Zone == Management {
			v.fail("segment %q: no region may lie in zone %s", s.ID, s.Zone)
		}
		if !slices.ContainsFunc(v.a.Tunnels, func(t Tunnel) bool { return t.Device == s.Port }) {
			v.fail("segment %q: %s is no tunnel device of these anchors", s.ID, s.Port)
		}
	case AttachPortal:
		if s.Port != portalPort || s.Zone == Uplink {
			v.fail("segment %q: the portal of zone %s hangs on %q, not %q", s.ID, s.Zone, portalPort, s.Port)
		}
		if !s.Strict {
			v.fail("segment %q: a portal's segment must be strict", s.ID)
		}
	default:
		v.fail("segment %q: attach %q: want port, tunnel or portal", s.ID, s.Attach)
	}
}

// guests: what a segment lets in besides single stations. Nothing of it in the My Number zone, whose stations are limited by
// registered MAC and IP address: nobody hands out addresses or routes there, and what has no single destination is no
// designated communication. A line carries only the gate's tunnel.
func (v *validator) guests(s *Segment) {
	if (s.Multicast || s.Advertising || s.DHCPServers) && (s.Attach != AttachPort || s.Zone == MyNumber || s.Zone == Uplink) {
		v.fail("segment %q: multicast, router-advertisements and dhcp-servers are only for ports, and not in zones %s and %s", s.ID, MyNumber, Uplink)
	}
}

func (v *validator) addresses(s *Segment, addrs map[netip.Addr]string) {
	if len(s.Prefixes) == 0 {
		v.fail("segment %q has no prefix", s.ID)
	}
	for i, p := range s.Prefixes {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || reserved(p) {
			v.fail("segment %q: prefix %s is not a whole unicast prefix", s.ID, p)
		}
		if slices.Contains(s.Prefixes[:i], p) {
			v.fail("segment %q: prefix %s is given twice", s.ID, p)
		}
	}
	own := func(addr netip.Addr, what string) {
		if !addr.IsValid() || addr.Zone() != "" || !s.Contains(addr) {
			v.fail("segment %q: %s %s lies outside its prefixes", s.ID, what, addr)
		}
		if other, used := addrs[addr]; used {
			v.fail("segment %q: %s %s is already %s", s.ID, what, addr, other)
		}
		addrs[addr] = fmt.Sprintf("%s of segment %q", what, s.ID)
	}
	for _, g := range s.Gate {
		own(g, "gate address")
		if s.Router(netip.PrefixFrom(g, g.BitLen())) != nil {
			v.fail("segment %q: gate address %s lies behind a router", s.ID, g)
		}
	}
	if len(s.Routers) > 0 && s.Attach != AttachPort {
		v.fail("segment %q: routers on a %s: only ports have next hops", s.ID, s.Attach)
	}
	behind := map[netip.Prefix]bool{}
	for _, r := range s.Routers {
		mac, err := net.ParseMAC(r.MAC)
		if err != nil || len(mac) != 6 || mac[0]&1 != 0 || mac.String() == "00:00:00:00:00:00" {
			v.fail("segment %q: router MAC %q: want a unicast address like 02:00:00:00:00:01", s.ID, r.MAC)
		}
		v4, v6 := 0, 0
		for _, x := range r.Addrs {
			own(x, "router address")
			if x.Is4() {
				v4++
			} else {
				v6++
			}
			if s.Router(netip.PrefixFrom(x, x.BitLen())) != nil {
				v.fail("segment %q: router address %s lies behind a router itself", s.ID, x)
			}
		}
		if v4 > 1 || v6 > 1 || v4+v6 == 0 {
			v.fail("segment %q: router %s has %d IPv4 and %d IPv6 addresses: want at most one of each, and one at all", s.ID, r.MAC, v4, v6)
		}
		for _, p := range r.Behind {
			if p != p.Masked() || !s.Covers(p) || behind[p] {
				v.fail("segment %q: prefix %s behind router %s is not inside the segment, not whole, or given twice", s.ID, p, r.MAC)
			}
			behind[p] = true
			if p.Addr().Is4() && v4 == 0 || p.Addr().Is6() && v6 == 0 {
				v.fail("segment %q: router %s has no address of the IP version of %s behind it", s.ID, r.MAC, p)
			}
		}
	}
}

// reserved tells prefixes that reach into what is never forwarded.
func reserved(p netip.Prefix) bool {
	for _, r := range []string{"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8"} {
		if p.Overlaps(netip.MustParsePrefix(r)) {
			return true
		}
	}
	return false
}

// overlaps refuses prefixes of two segments that share an address.
func (v *validator) overlaps() {
	type owned struct {
		p netip.Prefix
		s *Segment
	}
	var all []owned
	for i := range v.a.Segments {
		for _, p := range v.a.Segments[i].Prefixes {
			if p.IsValid() {
				all = append(all, owned{p, &v.a.Segments[i]})
			}
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if c := all[i].p.Addr().Compare(all[j].p.Addr()); c != 0 {
			return c < 0
		}
		return all[i].p.Bits() < all[j].p.Bits()
	})
	// Sorted outer first, every prefix that overlaps another lies inside an earlier one that is still open.
	var open []owned
	for _, o := range all {
		for len(open) > 0 && !open[len(open)-1].p.Contains(o.p.Addr()) {
			open = open[:len(open)-1]
		}
		for _, q := range open {
			if q.s != o.s {
				v.fail("segment %q: prefix %s overlaps %s of segment %q", o.s.ID, o.p, q.p, q.s.ID)
				break
			}
		}
		open = append(open, o)
	}
}

func (v *validator) services() {
	ids := map[string]bool{}
	for _, x := range v.a.Services {
		if x.ID == "" || ids[x.ID] {
			v.fail("service %q: id is empty or used twice", x.ID)
		}
		ids[x.ID] = true
		s, ok := v.a.Segment(x.Segment)
		if !ok {
			v.fail("service %q: segment %q does not exist", x.ID, x.Segment)
			continue
		}
		if len(s.Gate) == 0 {
			v.fail("service %q: the gate has no address in segment %q", x.ID, x.Segment)
		}
		switch x.Proto {
		case "tcp", "udp":
			if x.Port == 0 {
				v.fail("service %q: port is missing", x.ID)
			}
			if x.Last != 0 && x.Last <= x.Port {
				v.fail("service %q: last-port %d is not behind port %d: raise it, or take it out for one port", x.ID, x.Last, x.Port)
			}
		case "icmp", "icmp6":
			if x.Port > 255 {
				v.fail("service %q: ICMP type %d: want 0 to 255", x.ID, x.Port)
			}
			if x.Last != 0 {
				v.fail("service %q: last-port %d: only TCP and UDP have several ports", x.ID, x.Last)
			}
		default:
			v.fail("service %q: protocol %q: want tcp, udp, icmp or icmp6", x.ID, x.Proto)
		}
		for _, p := range x.From {
			if p != p.Masked() || !s.Covers(p) {
				v.fail("service %q: peer %s does not lie in segment %q", x.ID, p, x.Segment)
			}
		}
		if x.Out && len(x.From) == 0 {
			v.fail("service %q: the gate may open only towards named peers: list them under from", x.ID)
		}
		if s.Zone == Uplink && !v.wireguard(x) {
			v.fail("service %q: on an uplink the gate speaks only WireGuard with its peers' endpoints", x.ID)
		}
	}
}

// wireguard tells whether a service on an uplink is exactly the tunnel's: in from endpoints to the listening port, or out to
// an endpoint and its port.
func (v *validator) wireguard(x Service) bool {
	for _, t := range v.a.Tunnels {
		if t.Line != x.Segment || x.Last != 0 || x.Proto != "udp" || len(x.From) == 0 || !x.Out && x.Port != t.Listen {
			continue
		}
		return !slices.ContainsFunc(x.From, func(f netip.Prefix) bool {
			return !slices.ContainsFunc(t.Peers, func(p Peer) bool {
				return f.IsSingleIP() && f.Addr() == p.Endpoint.Addr() && (!x.Out || x.Port == p.Endpoint.Port())
			})
		})
	}
	return false
}
