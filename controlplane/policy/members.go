package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// members are what classes and port classes stand for.
type members struct {
	hosts    map[uint16][]netip.Addr   // by class
	prefixes map[uint16][]netip.Prefix // by class; each without what closer entries catch
	ports    map[uint16][]packet.PortRange
}

func newMembers(t *packet.Tables) members {
	m := members{map[uint16][]netip.Addr{}, map[uint16][]netip.Prefix{}, map[uint16][]packet.PortRange{}}
	for _, h := range t.Hosts {
		m.hosts[h.Class] = append(m.hosts[h.Class], h.Addr)
	}
	for _, p := range t.Prefixes {
		m.prefixes[p.Class] = append(m.prefixes[p.Class], p.Prefix)
	}
	for _, r := range t.Ports {
		m.ports[r.Class] = append(m.ports[r.Class], r)
	}
	for _, list := range m.hosts {
		slices.SortFunc(list, netip.Addr.Compare)
	}
	for _, list := range m.prefixes {
		slices.SortFunc(list, comparePrefix)
	}
	for _, list := range m.ports {
		slices.SortFunc(list, func(a, b packet.PortRange) int { return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Lo, b.Lo)) })
	}
	return m
}

// example names one kind of packet of a cell.
func (m members) example(c *packet.Cell) string {
	src, dst := m.first(c.Src, true), m.first(c.Dst, true)
	if src == "" || dst == "" {
		src, dst = m.first(c.Src, false), m.first(c.Dst, false)
	}
	return fmt.Sprintf("%s to %s, %s", src, dst, m.services(c.Port))
}

func (m members) first(class uint16, v4 bool) string {
	if i := slices.IndexFunc(m.hosts[class], func(a netip.Addr) bool { return a.Is4() == v4 }); i >= 0 {
		return m.hosts[class][i].String()
	}
	if i := slices.IndexFunc(m.prefixes[class], func(p netip.Prefix) bool { return p.Addr().Is4() == v4 }); i >= 0 {
		return m.prefixes[class][i].String()
	}
	return ""
}

// services writes a port class as records do.
func (m members) services(class uint16) string {
	list := m.ports[class]
	both := slices.ContainsFunc(list, isEcho(config.ProtoICMP)) && slices.ContainsFunc(list, isEcho(config.ProtoICMPv6))
	var out []string
	for _, r := range list {
		switch {
		case both && isEcho(config.ProtoICMPv6)(r):
		case !both && isEcho(config.ProtoICMP)(r):
			out = append(out, "icmp/8")
		case !both && isEcho(config.ProtoICMPv6)(r):
			out = append(out, "icmp6/128")
		case r.Lo != r.Hi:
			out = append(out, fmt.Sprintf("%s-%d", protoName(r.Proto, r.Lo), r.Hi))
		default:
			out = append(out, protoName(r.Proto, r.Lo))
		}
	}
	return strings.Join(out, " ")
}

func isEcho(proto uint8) func(packet.PortRange) bool {
	typ := map[uint8]uint16{config.ProtoICMP: config.EchoV4, config.ProtoICMPv6: config.EchoV6}[proto]
	return func(r packet.PortRange) bool { return r.Proto == proto && r.Lo == typ && r.Hi == typ }
}
