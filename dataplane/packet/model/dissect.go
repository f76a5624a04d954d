package model

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/packet"
)

const (
	icmp    = 1
	tcp     = 6
	udp     = 17
	ip6Frag = 44
	icmp6   = 58
)

// dissected is what the decision needs to know of a frame.
type dissected struct {
	dmac, smac packet.MAC
	vlan       uint16
	arp        bool
	proto      uint8
	src, dst   netip.Addr // ARP: sender and target
	ttl        uint8
	size       int    // bytes from the network header on
	sport      uint16 // ICMP echo: the identifier, on both sides
	dport      uint16
	flags      uint8 // TCP
	typ, code  uint8 // ICMP
	claimed    packet.MAC
	body       []byte // behind the first eight bytes of an ICMP or UDP header
}

// Extension headers of IPv6 that are refused (IANA "IPv6 Extension Header Types"; Fragment has its own reason, ESP is a
// protocol like others).
var extensions = []uint8{0, 43, 51, 60, 135, 139, 140}

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
	kind, b := be.Uint16(b[12:]), b[14:]
	if kind == 0x8100 {
		if len(b) < 4 {
			return d, "frame-short"
		}
		d.vlan = be.Uint16(b) & 0xfff
		kind, b = be.Uint16(b[2:]), b[4:]
	}
	if kind == 0x8100 || kind == 0x88a8 {
		return d, "vlan-stacked"
	}
	if d.smac.IsZero() || d.smac[0]&1 == 1 {
		return d, "l2-source"
	}
	switch kind {
	case 0x0806:
		return d, d.readARP(b)
	case 0x0800:
		return d, d.ip4(b)
	case 0x86dd:
		return d, d.ip6(b)
	}
	return d, "ethertype"
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
	case be.Uint16(b[6:])&0x3fff != 0: // more fragments, or an offset
		return "fragment"
	}
	d.size, d.ttl, d.proto = total, b[8], b[9]
	d.src, d.dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	return d.transport(b[header:total], icmp, icmp6)
}

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
	case b[6] == ip6Frag:
		return "fragment"
	case slices.Contains(extensions, b[6]):
		return "ip6-extension"
	}
	d.size, d.proto, d.ttl = end, b[6], b[7]
	d.src, d.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	return d.transport(b[40:end], icmp6, icmp)
}

// transport reads the header behind IP; alien is the other family's ICMP.
func (d *dissected) transport(b []byte, own, alien uint8) string {
	switch d.proto {
	case tcp:
		if len(b) < 20 {
			return "l4-truncated"
		}
		if header := int(b[12]>>4) * 4; header < 20 || header > len(b) {
			return "l4-header"
		}
		d.sport, d.dport, d.flags = be.Uint16(b), be.Uint16(b[2:]), b[13]
	case udp:
		if len(b) < 8 {
			return "l4-truncated"
		}
		if size := int(be.Uint16(b[4:])); size < 8 || size > len(b) {
			return "l4-header"
		}
		d.sport, d.dport, d.body = be.Uint16(b), be.Uint16(b[2:]), b[8:]
	case alien:
		return "l4-header"
	case own:
		if len(b) < 8 {
			return "l4-truncated"
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
