package model

import (
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/packet"
)

var linkLocalGroups = netip.MustParsePrefix("ff02::/16")

// shouted tells whether the packet's destination is many: multicast of IPv4, link-local multicast of IPv6, or broadcast.
func (w *walk) shouted() bool {
	if w.p.dst.Is6() {
		return linkLocalGroups.Contains(w.p.dst)
	}
	return w.p.dst.IsMulticast() || w.p.dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || w.p.dst == w.m.broadcast(w.segment.ID)
}

// group decides a frame to many. Where the segment carries such frames, the gate is asked in the name of its own first address.
func (w *walk) group() string {
	if !w.segment.Multicast || !w.shouted() {
		return "l2-multicast"
	}
	if never(w.p.src) {
		return "source-address"
	}
	if reason := w.source(); reason != "" {
		return reason
	}
	asked := w.p.dport
	if w.p.piece != nil {
		return "multicast-refused" // what a group is told fits into one frame
	}
	switch w.p.proto {
	case tcp:
		return "multicast-refused"
	case icmp, icmp6:
		if w.p.typ != 8 && w.p.proto == icmp || w.p.typ != 128 && w.p.proto == icmp6 {
			return "multicast-refused"
		}
		asked = uint16(w.p.typ)
	}
	own, ok := w.m.first(w.segment.ID, w.p.dst.Is4())
	if !ok {
		return "multicast-refused"
	}
	owner, _ := w.m.host(own)
	cell, ok := w.m.permission(w.src.class, owner.Class, w.p.proto, asked)
	if !ok {
		return "multicast-refused"
	}
	w.out.Rule, w.out.BWClass = cell.Rule, cell.BWClass
	if reason := w.m.inForce(cell.Rule, w.st.Clock, w.st.now(w.in)); reason != "" {
		return reason
	}
	w.stack()
	w.done = true
	return ""
}

// first is the gate's own lowest address of a version in a segment.
func (m *Model) first(segment uint16, v4 bool) (low netip.Addr, ok bool) {
	for _, h := range m.tables.Hosts {
		if h.Segment == segment && h.Addr.Is4() == v4 && m.kind(h.Class) == packet.KindLocal && (!ok || h.Addr.Less(low)) {
			low, ok = h.Addr, true
		}
	}
	return low, ok
}

// broadcast is the last address of the segment's largest network that the gate has an IPv4 address in; the zero Addr when
// there is none.
func (m *Model) broadcast(segment uint16) netip.Addr {
	own, ok := m.first(segment, true)
	if !ok {
		return netip.Addr{}
	}
	for bits := range 31 {
		network, err := own.Prefix(bits)
		if err != nil {
			return netip.Addr{}
		}
		if b, known := m.prefixes[0][bits][network.Addr()]; known && b.segment == segment {
			last := be.Uint32(network.Addr().AsSlice()) | (1<<(32-bits) - 1)
			return netip.AddrFrom4([4]byte{byte(last >> 24), byte(last >> 16), byte(last >> 8), byte(last)})
		}
	}
	return netip.Addr{}
}
