package model

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// The 1:1 mappings towards regions (I11), from the anchors alone. Inside the gate every packet bears inside addresses; what is
// translated is what crosses a tunnel device: the source on the way out and the destination on the way in, and in an ICMP error
// the same address where the quoted packet has it. Checksums are carried on (RFC 1624): right ones stay right, wrong ones wrong.

// outsideOf is as what a region knows an inside address.
func outsideOf(a *anchors.Anchors, region string, inside netip.Addr) (netip.Addr, bool) {
	for _, n := range a.NAT {
		if n.Segment == region && n.Inside.Contains(inside) {
			return exchanged(n.Outside, inside), true
		}
	}
	return netip.Addr{}, false
}

// insideOf is whom a region means by an outside address.
func insideOf(a *anchors.Anchors, region string, outside netip.Addr) (netip.Addr, bool) {
	for _, n := range a.NAT {
		if n.Segment == region && n.Outside.Contains(outside) {
			return exchanged(n.Inside, outside), true
		}
	}
	return netip.Addr{}, false
}

// exchanged is an address with the network of p and its own host bits.
func exchanged(p netip.Prefix, a netip.Addr) netip.Addr {
	net, own := p.Addr().As4(), a.As4()
	for i := range 32 {
		bit := byte(0x80 >> (i % 8))
		if i < p.Bits() {
			own[i/8] = own[i/8]&^bit | net[i/8]&bit
		}
	}
	return netip.AddrFrom4(own)
}

// Where the addresses stand in an IPv4 header (RFC 791).
const (
	sourceAt      = 12
	destinationAt = 16
)

// ToRegion is a packet as it enters the tunnel to the region of its destination; b itself when nothing is mapped.
func ToRegion(a *anchors.Anchors, b []byte) []byte {
	region, ok := regionOf(a, b, destinationAt)
	if !ok {
		return b
	}
	out := slices.Clone(b)
	if to, ok := outsideOf(a, region, addressAt(b, sourceAt)); ok {
		readdress(out, sourceAt, to)
	}
	if q := quoteIn(out); q != nil {
		if to, ok := outsideOf(a, region, addressAt(q, destinationAt)); ok {
			requote(out, q, destinationAt, to)
		}
	}
	return out
}

// FromRegion is a packet that came out of a tunnel as the gate decides on it, or why it does not: the region names an inside
// address.
func FromRegion(a *anchors.Anchors, b []byte) (out []byte, reason string) {
	region, ok := regionOf(a, b, sourceAt)
	if !ok {
		return b, ""
	}
	out = slices.Clone(b)
	for _, x := range []struct {
		packet []byte
		field  int
		write  func(packet []byte, field int, to netip.Addr)
	}{
		{out, destinationAt, readdress},
		{quoteIn(out), sourceAt, func(q []byte, field int, to netip.Addr) { requote(out, q, field, to) }},
	} {
		if x.packet == nil {
			continue
		}
		named := addressAt(x.packet, x.field)
		if to, ok := insideOf(a, region, named); ok {
			x.write(x.packet, x.field, to)
		} else if _, known := outsideOf(a, region, named); known {
			return nil, "nat-inside"
		}
	}
	return out, ""
}

// regionOf is the segment of the address in one field of an IPv4 packet.
func regionOf(a *anchors.Anchors, b []byte, field int) (string, bool) {
	if a == nil || len(a.NAT) == 0 || len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 {
		return "", false
	}
	s := anchored(a, addressAt(b, field))
	if s == nil {
		return "", false
	}
	return s.ID, true
}

func addressAt(b []byte, field int) netip.Addr { return netip.AddrFrom4([4]byte(b[field:])) }

// quoteIn is the packet that an ICMP error quotes, from its header on and no further than the error's own length; nil when there
// is none that can be read.
func quoteIn(b []byte) []byte {
	header := int(b[0]&15) * 4
	if b[9] != icmp || be.Uint16(b[6:])&0x1fff != 0 || len(b) <= header || !slices.Contains([]byte{3, 11, 12}, b[header]) {
		return nil
	}
	whole := min(len(b), int(be.Uint16(b[2:])))
	if whole < header+8+20 || b[header+8]>>4 != 4 || b[header+8]&15 < 5 {
		return nil
	}
	return b[header+8 : whole]
}

// covering is where the checksum stands that covers the addresses of an IPv4 packet, too; nil when there is none, or when it is
// in another fragment.
func covering(b []byte) []byte {
	at := int(b[0]&15) * 4
	switch b[9] {
	case tcp:
		at += 16
	case udp, 33, 136: // DCCP and UDP-Lite, where UDP has it
		at += 6
	default:
		return nil
	}
	if be.Uint16(b[6:])&0x1fff != 0 || len(b) < at+2 {
		return nil
	}
	return b[at : at+2]
}

// readdress writes an address of a packet and the checksums that cover it.
func readdress(b []byte, field int, to netip.Addr) {
	from := [4]byte(b[field:])
	if c := covering(b[:min(len(b), int(be.Uint16(b[2:])))]); c != nil {
		carry(b[9], c, from, to.As4())
	}
	carry(0, b[10:12], from, to.As4())
	copy(b[field:], to.AsSlice())
}

// requote does so in a quoted packet, and with the checksum of the error around it: that of the quoted header hides the change of
// its address from it, so it feels that of the protocol inside only.
func requote(b, q []byte, field int, to netip.Addr) {
	from := [4]byte(q[field:])
	if c := covering(q); c != nil {
		old := [2]byte(c)
		carry(q[9], c, from, to.As4())
		around := b[int(b[0]&15)*4+2:]
		carry(0, around[:2], [4]byte{old[0], old[1]}, [4]byte{c[0], c[1]})
	}
	carry(0, q[10:12], from, to.As4())
	copy(q[field:], to.AsSlice())
}

// carry brings a checksum over a change of four bytes. UDP has none where it is 0, and never writes 0 (RFC 768).
func carry(proto byte, check []byte, from, to [4]byte) {
	old := be.Uint16(check)
	if proto == udp && old == 0 {
		return
	}
	sum := uint32(^old)
	for i := 0; i < 4; i += 2 {
		sum += uint32(^be.Uint16(from[i:])) + uint32(be.Uint16(to[i:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	now := ^uint16(sum)
	if proto == udp && now == 0 {
		now = 0xffff
	}
	be.PutUint16(check, now)
}

// translate gives a packet from a region the addresses that the gate knows.
func (w *walk) translate() (reason string) {
	if !w.in.Bare || w.m.anchors == nil {
		return ""
	}
	was := w.p.dst
	b, reason := FromRegion(w.m.anchors, w.in.Frame)
	if reason == "" {
		w.p, _ = dissect(b, true) // it was read before
		w.out.Frame = b
	}
	if reason != "" || w.p.dst != was {
		w.tell("nat", reason, func() string {
			if reason != "" {
				return fmt.Sprintf("segment %s names an inside address: %s, or one in what it quotes; it knows it by another only", w.segment.Name, was)
			}
			return fmt.Sprintf("segment %s knows %s as %s", w.segment.Name, w.p.dst, was)
		})
	}
	return reason
}
