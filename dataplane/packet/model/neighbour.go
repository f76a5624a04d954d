package model

import (
	"fmt"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/packet"
)

const (
	ndFirst        = 133
	ndSolicitation = 135
	ndAnnounce     = 136
	ndLast         = 137
	maxOptions     = 4
)

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
	if a.Is6() && !a.Is4In6() && a.IsLinkLocalUnicast() {
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

func (w *walk) arp() string {
	switch {
	case w.p.claimed != w.p.smac || !w.speaksFor(w.p.src, w.p.smac):
		return "neighbour-binding"
	case w.p.src == w.p.dst:
		return "neighbour-gratuitous"
	case !w.gates(w.p.dst):
		return "neighbour-foreign"
	}
	return ""
}

func (w *walk) discovery() string {
	if w.p.typ != ndSolicitation && w.p.typ != ndAnnounce {
		return "neighbour-refused"
	}
	if len(w.p.body) < 16 || w.p.code != 0 || w.p.ttl != 255 {
		return "neighbour-malformed"
	}
	target, options := netip.AddrFrom16([16]byte(w.p.body)), w.p.body[16:]
	for n := 0; len(options) > 0; n++ {
		if n == maxOptions || len(options) < 8 || options[1] == 0 || int(options[1])*8 > len(options) {
			return "neighbour-malformed"
		}
		size := int(options[1]) * 8
		linkAddress := options[0] == 1 || options[0] == 2
		if linkAddress && (size != 8 || packet.MAC(options[2:8]) != w.p.smac) {
			return "neighbour-binding"
		}
		options = options[size:]
	}
	if !w.speaksFor(w.p.src, w.p.smac) {
		return "neighbour-binding"
	}
	if w.p.typ == ndSolicitation {
		if !w.gates(target) {
			return "neighbour-foreign"
		}
		return ""
	}
	switch {
	case w.p.dst.As16()[0] == 0xff:
		return "neighbour-gratuitous"
	case !w.p.dst.IsLinkLocalUnicast() && !w.gates(w.p.dst):
		return "neighbour-foreign"
	case !w.speaksFor(target, w.p.smac):
		return "neighbour-binding"
	}
	return ""
}
