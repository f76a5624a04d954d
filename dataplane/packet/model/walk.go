package model

import (
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// walk is one packet on its way through the steps. Each step returns the reason to drop, or "".
type walk struct {
	m  *Model
	st *State
	in Packet

	p        dissected
	segment  packet.Segment
	src, dst binding
	to       packet.Class
	out      Decision
	done     bool // decided before the last step

	told *[]Step // when somebody wants to know
}

// tell records a step for people; text is only made when it is wanted.
func (w *walk) tell(step, reason string, text func() string) {
	if w.told == nil {
		return
	}
	s := Step{Name: step, OK: reason == "", Reason: reason, Text: text()}
	if step == "policy" || step == "flow" {
		rule, _ := w.m.rule(w.out.Rule)
		s.Rule, s.Records = w.out.Rule, rule.Records
	}
	*w.told = append(*w.told, s)
}

func (w *walk) all() string {
	for _, step := range []func() string{w.parse, w.place, w.neighbour, w.isolation, w.translate, w.station, w.destination, w.belong, w.forward, w.remember} {
		if reason := step(); reason != "" {
			return reason
		}
		if w.done {
			return ""
		}
	}
	return ""
}

// belong finds out by which flow a packet may pass: by its own, or, when it complains of another packet, by that one's. A
// later fragment follows its first.
func (w *walk) belong() string {
	if w.p.later() {
		return w.follow()
	}
	if complains(w.p.proto, w.p.typ) {
		return w.complain()
	}
	return w.admit()
}

func (w *walk) parse() (reason string) {
	w.p, reason = dissect(w.in.Frame, w.in.Bare)
	w.tell("parse", reason, func() string {
		return fmt.Sprintf("%d bytes at %s, VLAN %d: protocol %d, %s port %d to %s port %d", len(w.in.Frame), w.in.Port, w.p.vlan,
			w.p.proto, w.p.src, w.p.sport, w.p.dst, w.p.dport)
	})
	return reason
}

// place finds the ingress segment: by port and VLAN, in a tunnel by the source, which WireGuard has bound to its peer.
func (w *walk) place() (reason string) {
	defer func() {
		w.tell("segment", reason, func() string {
			if reason != "" {
				return fmt.Sprintf("%s with VLAN %d and source %s belongs to no segment", w.in.Port, w.p.vlan, w.p.src)
			}
			return fmt.Sprintf("segment %s (number %d), zone %s, strict %v", w.segment.Name, w.segment.ID, w.segment.Zone, w.segment.Strict)
		})
	}()
	if w.m.tables.Epoch == 0 {
		return "no-policy"
	}
	if !w.in.Bare {
		id := w.m.ports[attachment{w.in.Port, w.p.vlan, w.p.outer}]
		if id == 0 {
			return "segment-unknown"
		}
		w.segment = w.m.segments[id]
		return ""
	}
	if never(w.p.src) {
		return "source-address"
	}
	b, ok := w.m.find(w.p.src)
	if s := w.m.segments[b.segment]; ok && s.Tunnel && samePlace(w.m.anchors, s.Port, w.in.Port) {
		w.segment = s
		return ""
	}
	return "source-not-in-segment"
}

// isolation lets nothing in from a zone that people have cut off; the destination's is looked at where that is known.
func (w *walk) isolation() (reason string) {
	if w.isolated(w.segment) {
		reason = "zone-isolated"
		w.tell("isolation", reason, func() string { return fmt.Sprintf("zone %s, or its line, is cut off", w.segment.Zone) })
	}
	return reason
}

// isolated tells whether a segment is cut off: with its zone, or as a tunnel with the lines.
func (w *walk) isolated(s packet.Segment) bool {
	return w.st.Isolated[s.Zone] || s.Tunnel && w.st.Isolated[anchors.Uplink]
}

// Ports of DHCP and DHCPv6.
func (w *walk) isDHCP() bool {
	if w.p.arp || w.p.proto != udp {
		return false
	}
	if w.p.src.Is4() {
		return w.p.dport == 67 || w.p.dport == 68
	}
	return w.p.dport == 546 || w.p.dport == 547
}

// lease decides DHCP (RFC 2131, RFC 8415): servers only where they are expected, and no client that looks for one; a relay's
// requests and the servers' answers are then UDP like any other.
func (w *walk) lease() string {
	if !w.isDHCP() {
		return ""
	}
	if len(w.p.body) == 0 {
		return "dhcp-refused"
	}
	asks := []byte{1} // BOOTREQUEST
	if !w.p.src.Is4() {
		asks = []byte{1, 3, 4, 5, 6, 8, 9, 11, 12}
	}
	switch {
	case !slices.Contains(asks, w.p.body[0]):
		if !w.segment.DHCPServers {
			return "dhcp-server"
		}
	case !w.segment.Tunnel && w.p.dmac[0]&1 == 1, never(w.p.src), never(w.p.dst):
		return "dhcp-refused"
	}
	return ""
}

// belongs tells whether an address may speak with a MAC in the ingress segment.
func (w *walk) belongs(b binding, known bool, mac packet.MAC) string {
	switch {
	case !known || b.segment != w.segment.ID:
		return "source-not-in-segment"
	case w.segment.Tunnel:
		return ""
	case b.mac == mac && !mac.IsZero():
		return ""
	case !b.mac.IsZero():
		return "station-mac-mismatch"
	case w.segment.Strict:
		return "station-unregistered"
	}
	return ""
}

func (w *walk) local(b binding) bool { return w.m.kind(b.class) == packet.KindLocal }

func (w *walk) station() (reason string) {
	defer func() {
		w.tell("station", reason, func() string {
			return fmt.Sprintf("source %s with MAC %s: registered with MAC %q in segment %d, class %d", w.p.src, w.p.smac, w.src.mac, w.src.segment, w.src.class)
		})
	}()
	if reason := w.lease(); reason != "" {
		return reason
	}
	if !w.segment.Tunnel {
		if w.p.dmac[0]&1 == 1 {
			return w.group()
		}
		if w.p.dmac != w.st.MACs[w.in.Port] {
			return "l2-not-gate"
		}
	}
	if never(w.p.src) {
		return "source-address"
	}
	if never(w.p.dst) || w.p.src == w.p.dst {
		return "destination-address"
	}
	return w.source()
}

// source checks that the sender is who it says.
func (w *walk) source() string {
	b, known := w.m.find(w.p.src)
	w.src = b
	if reason := w.belongs(b, known, w.p.smac); reason != "" {
		return reason
	}
	if w.local(b) {
		return "source-is-gate"
	}
	return ""
}

func (w *walk) destination() (reason string) {
	b, known := w.m.find(w.p.dst)
	class, ok := w.m.class(b.class)
	if !known || !ok {
		reason = "destination-unknown"
	} else if w.isolated(w.m.segments[b.segment]) {
		reason = "zone-isolated"
	}
	w.dst, w.to = b, class
	w.tell("destination", reason, func() string {
		return fmt.Sprintf("%s lies in segment %s, class %d, leaves by %q", w.p.dst, w.m.segments[b.segment].Name, b.class, class.Port)
	})
	return reason
}

// stack lets the packet up with a mark.
func (w *walk) stack() {
	w.out.Verdict = Stack
	w.out.Mark = uint32(w.segment.ID)<<6 | uint32(w.out.BWClass)
}

// leaving says in words how packets for a class leave.
var leaving = map[packet.Kind]string{packet.KindForward: "by port", packet.KindTunnel: "into tunnel", packet.KindLocal: "no further than the gate itself, at"}

// forward binds what the routing table says to what the destination's class permits.
func (w *walk) forward() (reason string) {
	var hop Hop
	defer func() {
		w.tell("forward", reason, func() string {
			if w.out.Verdict == Stack || hop.Device == "" {
				return fmt.Sprintf("VLAN %d; goes %s %s, VLAN %d", w.p.vlan, leaving[w.to.Kind], w.to.Port, w.to.VLAN)
			}
			return fmt.Sprintf("route: %s via %s", hop.Device, hop.Next)
		})
	}()
	if w.to.Kind == packet.KindLocal {
		w.stack()
		return ""
	}
	hop = w.st.Route(w.in.Port, w.p.src, w.p.dst)
	switch {
	case hop.Forbidden:
		return "forwarding-disabled"
	case !hop.Found:
		return "no-route"
	case !samePlace(w.m.anchors, w.to.Port, hop.Device) || !w.tagged(hop) || !w.permits(hop):
		return "egress-mismatch"
	case w.segment.Tunnel || w.to.Kind == packet.KindTunnel:
		w.classByMark()
		w.stack() // the kernel feeds the tunnel, and forwards what comes out of one
		return ""
	case w.p.ttl <= 1 || hop.MAC.IsZero() || w.p.size > hop.MTU:
		w.stack() // the kernel answers that its time is over, resolves the neighbour, or answers that the packet is too big
		return ""
	}
	w.out.Verdict, w.out.Egress, w.out.NextMAC = Redirect, hop.Device, hop.MAC
	w.out.VLAN, w.out.Outer = w.to.VLAN, w.to.Outer
	return ""
}

// classByMark lets a packet into a tunnel choose its bandwidth class by its code point, where the cell names none and the packet's
// segment is trusted to set it.
func (w *walk) classByMark() {
	if w.to.Kind != packet.KindTunnel || !w.segment.TrustDSCP || w.out.BWClass != 0 {
		return
	}
	w.out.BWClass = w.m.tables.DSCP[w.p.dscp]
	w.out.ByMark = w.out.BWClass != 0
	w.tell("class", "", func() string {
		return fmt.Sprintf("no record names a bandwidth class; code point %d of segment %s stands for class %d", w.p.dscp, w.segment.Name, w.out.BWClass)
	})
}

// tagged tells whether a route's device agrees with the tags of the destination's class. A route by the port itself leaves
// the tags to the class.
func (w *walk) tagged(hop Hop) bool {
	if hop.VLAN == 0 && hop.Outer == 0 {
		return true
	}
	return hop.VLAN == w.to.VLAN && hop.Outer == w.to.Outer
}

func (w *walk) permits(hop Hop) bool {
	if hop.Next == w.p.dst {
		return w.to.OnLink
	}
	for _, via := range w.to.Via {
		if via == hop.Next {
			return true
		}
	}
	return false
}
