package model

import (
	"fmt"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/packet"
)

const (
	ndFirst        = 133
	ndRouter       = 134 // advertises itself
	ndSolicitation = 135
	ndAnnounce     = 136
	ndLast         = 137
	maxOptions     = 4
	routerOptions  = 8
)

var linkLocals = netip.MustParsePrefix("fe80::/10")

// neighbour decides ARP and neighbour discovery (RFC 826, RFC 4861); nothing else is touched.
func (w *walk) neighbour() (reason string) {
	nd := !w.p.arp && w.p.src.Is6() && w.p.proto == icmp6 && w.p.typ >= ndFirst && w.p.typ <= ndLast
	if w.segment.Tunnel || !w.p.arp && !nd {
		return ""
	}
	if w.p.arp {
		reason = w.arp()
	} else {
		reason = w.discovery()
	}
	w.tell("neighbour", reason, func() string { return fmt.Sprintf("%s (%s) speaks to %s", w.p.src, w.p.smac, w.p.dst) })
	if reason == "" {
		w.stack()
		w.done = true
	}
	return reason
}

// gates tells whether a is one of the gate's own addresses in the ingress segment.
func (w *walk) gates(a netip.Addr) bool {
	b, ok := w.m.find(a)
	return ok && b.segment == w.segment.ID && w.local(b)
}

// speaksFor tells whether a MAC may claim an address here. Link-local addresses are not registered: there the MAC must be,
// in a strict segment.
func (w *walk) speaksFor(a netip.Addr, mac packet.MAC) bool {
	if linkLocals.Contains(a) {
		return !w.segment.Strict || w.m.registered(w.segment.ID, mac)
	}
	if never(a) || w.gates(a) {
		return false
	}
	b, known := w.m.find(a)
	return w.belongs(b, known, mac) == ""
}

func (m *Model) registered(segment uint16, mac packet.MAC) bool {
	if mac.IsZero() {
		return false
	}
	for _, h := range m.tables.Hosts {
		if h.Segment == segment && h.MAC == mac {
			return true
		}
	}
	for _, p := range m.tables.Prefixes {
		if p.Segment == segment && p.MAC == mac {
			return true
		}
	}
	return false
}

// ours tells whether only the gate may claim an address here: any of its own in whichever segment, and the link-local one that
// its port's MAC makes (RFC 4291, appendix A).
func (w *walk) ours(a netip.Addr) bool {
	if linkLocals.Contains(a) {
		return a == w.linkLocal()
	}
	b, known := w.m.find(a)
	return known && w.local(b)
}

func (w *walk) linkLocal() netip.Addr {
	m := w.st.MACs[w.in.Port]
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
}

func (w *walk) arp() string {
	switch {
	case w.ours(w.p.src), w.p.src.IsUnspecified() && w.ours(w.p.dst):
		return "duplicate-address"
	case w.p.claimed != w.p.smac || !w.speaksFor(w.p.src, w.p.smac):
		return "neighbour-binding"
	case w.p.src == w.p.dst:
		return "neighbour-gratuitous"
	case !w.gates(w.p.dst):
		return "neighbour-foreign"
	}
	return ""
}

// options reads the options of neighbour discovery to their end; at most so many are looked at.
func (w *walk) options(b []byte, most int) string {
	for n := 0; len(b) > 0; n++ {
		if n == most || len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
			return "neighbour-malformed"
		}
		size := int(b[1]) * 8
		linkAddress := b[0] == 1 || b[0] == 2
		if linkAddress && (size != 8 || packet.MAC(b[2:8]) != w.p.smac) {
			return "neighbour-binding"
		}
		b = b[size:]
	}
	return ""
}

// addressedToGate: to one of its addresses here, or to a link-local one.
func (w *walk) addressedToGate() bool { return linkLocals.Contains(w.p.dst) || w.gates(w.p.dst) }

// router decides a router advertisement (RFC 4861, 4.2): sixteen bytes and options, from a router that is expected.
func (w *walk) router() string {
	switch {
	case w.ours(w.p.src):
		return "duplicate-address"
	case !w.segment.Routers, w.p.ttl != 255, !linkLocals.Contains(w.p.src), !w.m.registered(w.segment.ID, w.p.smac):
		return "router-advertisement"
	case w.p.code != 0, len(w.p.body) < 8:
		return "neighbour-malformed"
	}
	if reason := w.options(w.p.body[8:], routerOptions); reason != "" {
		return reason
	}
	if w.p.dst != netip.IPv6LinkLocalAllNodes() && !w.addressedToGate() {
		return "neighbour-foreign"
	}
	return ""
}

func (w *walk) discovery() string {
	switch w.p.typ {
	case ndRouter:
		return w.router()
	case ndSolicitation, ndAnnounce:
	default:
		return "neighbour-refused"
	}
	if len(w.p.body) < 16 || w.p.code != 0 || w.p.ttl != 255 {
		return "neighbour-malformed"
	}
	target := netip.AddrFrom16([16]byte(w.p.body))
	asksWhetherFree := w.p.typ == ndSolicitation && w.p.src.IsUnspecified()
	if w.ours(w.p.src) || (w.p.typ == ndAnnounce || asksWhetherFree) && w.ours(target) {
		return "duplicate-address"
	}
	if reason := w.options(w.p.body[16:], maxOptions); reason != "" {
		return reason
	}
	if !w.speaksFor(w.p.src, w.p.smac) {
		return "neighbour-binding"
	}
	if w.p.typ == ndSolicitation {
		if !w.gates(target) && target != w.linkLocal() {
			return "neighbour-foreign"
		}
		return ""
	}
	switch {
	case w.p.dst.As16()[0] == 0xff:
		return "neighbour-gratuitous"
	case !w.addressedToGate():
		return "neighbour-foreign"
	case !w.speaksFor(target, w.p.smac):
		return "neighbour-binding"
	}
	return ""
}
