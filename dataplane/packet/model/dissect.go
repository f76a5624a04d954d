package model

import (
	"encoding/binary"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/packet"
)

const (
	icmp  = 1
	tcp   = 6
	udp   = 17
	icmp6 = 58
	sctp  = 132
)

// Extension headers of IPv6 (IANA "IPv6 Extension Header Types"). ESP and authentication are protocols like others: nobody
// here can look behind them.
const (
	hopByHop    = 0
	routing     = 43
	fragment    = 44
	destination = 60
	mobility    = 135
	identity    = 139
	shim        = 140
)

const (
	mostExtensions = 4
	mostExtension  = 264 // bytes of one
	leastFragment  = 64  // bytes of every fragment but the last
	mostPacket     = 65535
)

// dissected is what the decision needs to know of a frame.
type dissected struct {
	dmac, smac packet.MAC
	first      uint16 // VLAN of the first tag in the frame, 0 = none or a priority only
	outer      uint16 // VLAN around vlan
	vlan       uint16
	inside     int // offset of the network header
	arp        bool
	proto      uint8
	src, dst   netip.Addr // ARP: sender and target
	ttl        uint8
	dscp       uint8
	size       int    // bytes from the network header on
	sport      uint16 // ICMP echo: the identifier, on both sides
	dport      uint16
	flags      uint8 // TCP
	typ, code  uint8 // ICMP
	claimed    packet.MAC
	body       []byte // behind the first eight bytes of an ICMP or UDP header
	piece      *piece // nil: a whole packet
}

// piece is what a fragment says of its place in the packet.
type piece struct {
	id       uint32
	proto    uint8 // that the fragment header names
	from, to int   // bytes of the part that was cut up
	more     bool
}

var be = binary.BigEndian

// dissect reads a frame; a reason when it is not understood to its last header.
func dissect(b []byte, bare bool) (d dissected, reason string) {
	if bare {
		if len(b) == 0 {
			return d, "ip-truncated"
		}
		switch b[0] >> 4 {
		case 4:
			reason = d.ip4(b)
		case 6:
			reason = d.ip6(b)
		default:
			reason = "ip-header"
		}
		return d, reason
	}
	if len(b) < 14 {
		return d, "frame-short"
	}
	d.dmac, d.smac = packet.MAC(b[0:6]), packet.MAC(b[6:12])
	kind, rest, reason := d.readTags(be.Uint16(b[12:]), b[14:])
	if reason != "" {
		return d, reason
	}
	d.inside = len(b) - len(rest)
	if d.smac.IsZero() || d.smac[0]&1 == 1 {
		return d, "l2-source"
	}
	switch kind {
	case 0x0806:
		return d, d.readARP(rest)
	case 0x0800:
		return d, d.ip4(rest)
	case 0x86dd:
		return d, d.ip6(rest)
	}
	return d, "ethertype"
}

const customerTag, serviceTag = 0x8100, 0x88a8 // IEEE 802.1Q

// readTags reads the tags behind EtherType kind. At most two, a service tag only in front and only around another; a tag
// with VLAN 0 says no more than a priority.
func (d *dissected) readTags(kind uint16, b []byte) (uint16, []byte, string) {
	var real []uint16 // VLANs
	service := false
	for n := 0; kind == customerTag || kind == serviceTag; n++ {
		if n == 2 || n == 1 && kind == serviceTag {
			return 0, nil, "vlan-stacked"
		}
		if len(b) < 4 {
			return 0, nil, "frame-short"
		}
		id := be.Uint16(b) & 0xfff
		if n == 0 {
			d.first = id
		}
		if id != 0 {
			real = append(real, id)
			service = service || kind == serviceTag
		}
		kind, b = be.Uint16(b[2:]), b[4:]
	}
	switch len(real) {
	case 1:
		d.vlan = real[0]
		if service {
			return 0, nil, "vlan-stacked"
		}
	case 2:
		d.outer, d.vlan = real[0], real[1]
	}
	return kind, b, ""
}

// readARP reads RFC 826 for IPv4 over Ethernet.
func (d *dissected) readARP(b []byte) string {
	if len(b) < 28 || be.Uint16(b) != 1 || be.Uint16(b[2:]) != 0x0800 || b[4] != 6 || b[5] != 4 {
		return "arp-malformed"
	}
	if op := be.Uint16(b[6:]); op != 1 && op != 2 {
		return "arp-malformed"
	}
	d.arp = true
	d.claimed = packet.MAC(b[8:14])
	d.src, d.dst = netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	return ""
}

func (d *dissected) ip4(b []byte) string {
	if len(b) < 20 {
		return "ip-truncated"
	}
	header, total := int(b[0]&15)*4, int(be.Uint16(b[2:]))
	switch {
	case b[0]>>4 != 4, header < 20, total < header:
		return "ip-header"
	case total > len(b):
		return "ip-truncated"
	}
	d.size, d.ttl, d.proto, d.dscp = total, b[8], b[9], b[1]>>2
	d.src, d.dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	place := be.Uint16(b[6:])
	if place>>15 == 1 {
		return "fragment" // the bit that nobody may set
	}
	if more, at := place>>13&1 == 1, int(place&0x1fff)*8; more || at > 0 {
		d.piece = &piece{id: uint32(be.Uint16(b[4:])), proto: d.proto, from: at, to: at + total - header, more: more}
		if reason := d.piece.fault(header); reason != "" {
			return reason
		}
	}
	if !plainOptions(b[20:header]) {
		return "ip-header"
	}
	return d.transport(b[header:total], icmp, icmp6)
}

// plainOptions tells whether IPv4 options can be read and none of them is a source route (loose or strict).
func plainOptions(b []byte) bool {
	for len(b) > 0 {
		switch kind := b[0]; {
		case kind == 0: // end of the list
			return true
		case kind == 131, kind == 137:
			return false
		case kind == 1: // nothing
			b = b[1:]
		case len(b) < 2, b[1] < 2, int(b[1]) > len(b):
			return false
		default:
			b = b[b[1]:]
		}
	}
	return true
}

// fault is what is wrong with a fragment taken alone. front: bytes of the whole packet that stand before the part that was
// cut up, among those that its length field counts.
func (p *piece) fault(front int) string {
	size := p.to - p.from
	switch {
	case p.more && size%8 != 0:
		return "fragment"
	case p.more && size < leastFragment, size == 0:
		return "fragment-tiny"
	case front+p.to > mostPacket:
		return "fragment-overlap"
	}
	return ""
}

// later tells whether the packet's headers are in another fragment.
func (d *dissected) later() bool { return d.piece != nil && d.piece.from > 0 }

func (d *dissected) ip6(b []byte) string {
	if len(b) < 40 {
		return "ip-truncated"
	}
	end := 40 + int(be.Uint16(b[4:]))
	switch {
	case b[0]>>4 != 6:
		return "ip-header"
	case end > len(b):
		return "ip-truncated"
	}
	d.size, d.ttl, d.dscp = end, b[7], (b[0]&15)<<2|b[1]>>6
	d.src, d.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	rest, reason := d.extensions(b[6], b[40:end])
	if reason == "" {
		reason = d.transport(rest, icmp6, icmp)
	}
	if reason == "" && len(rest) < end-40 && d.proto == icmp6 && d.typ >= ndFirst && d.typ <= ndLast {
		return "ip6-extension" // neighbour discovery comes plain or not at all
	}
	return reason
}

// extensions walks to the first header that is none and makes it the packet's protocol.
func (d *dissected) extensions(next uint8, b []byte) ([]byte, string) {
	broken := func() string {
		if d.piece != nil {
			return "fragment-tiny" // the rest of the header lies in another fragment
		}
		return "ip6-extension"
	}
	total, fragmented := len(b), false
	for n := 0; ; n++ {
		switch next {
		case routing, mobility, identity, shim:
			return nil, "ip6-extension"
		case hopByHop, fragment, destination:
		default:
			d.proto = next
			return b, ""
		}
		if n == mostExtensions || next == hopByHop && n > 0 {
			return nil, "ip6-extension"
		}
		if len(b) < 8 {
			return nil, broken()
		}
		size := 8
		if next != fragment {
			if size = (int(b[1]) + 1) * 8; size > mostExtension {
				return nil, "ip6-extension"
			}
			if size > len(b) {
				return nil, broken()
			}
			next, b = b[0], b[size:]
			continue
		}
		if fragmented {
			return nil, "ip6-extension"
		}
		fragmented = true
		place := be.Uint16(b[2:])
		if b[1] != 0 || place>>1&3 != 0 {
			return nil, "fragment"
		}
		front := total - len(b)
		p := &piece{id: be.Uint32(b[4:]), proto: b[0], from: int(place &^ 7), more: place&1 == 1}
		p.to = p.from + len(b) - 8
		next, b = b[0], b[8:]
		if p.from == 0 && !p.more {
			continue // the whole packet in one fragment (RFC 6946)
		}
		d.piece = p
		if reason := p.fault(front); reason != "" {
			return nil, reason
		}
		if p.from > 0 {
			d.proto = next
			return b, ""
		}
	}
}

// transport reads the header behind IP; alien is the other family's ICMP. A first fragment must hold the header in full,
// but what the header says of the packet's length is for the whole.
func (d *dissected) transport(b []byte, own, alien uint8) string {
	if d.later() {
		return ""
	}
	short := "l4-truncated"
	if d.piece != nil {
		short = "fragment-tiny"
	}
	switch d.proto {
	case tcp:
		if len(b) < 20 {
			return short
		}
		switch header := int(b[12]>>4) * 4; {
		case header < 20, header > len(b) && d.piece == nil:
			return "l4-header"
		case header > len(b):
			return short
		}
		d.sport, d.dport, d.flags = be.Uint16(b), be.Uint16(b[2:]), b[13]
	case udp:
		if len(b) < 8 {
			return short
		}
		if size := int(be.Uint16(b[4:])); size < 8 || size > len(b) && d.piece == nil {
			return "l4-header"
		}
		d.sport, d.dport, d.body = be.Uint16(b), be.Uint16(b[2:]), b[8:]
	case sctp:
		if len(b) < 12 {
			return short
		}
		d.sport, d.dport = be.Uint16(b), be.Uint16(b[2:])
	case alien:
		return "l4-header"
	case own:
		if len(b) < 8 {
			return short
		}
		d.typ, d.code = b[0], b[1]
		d.sport = be.Uint16(b[4:])
		d.dport = d.sport
		d.body = b[8:]
	}
	return ""
}

// never tells addresses that no packet between segments may carry.
func never(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		return b[0] == 0 || b[0] >= 224 || a.IsLoopback() || a.IsLinkLocalUnicast()
	}
	return a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.Is4In6()
}
