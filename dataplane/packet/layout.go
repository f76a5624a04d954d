package packet

import (
	"encoding/binary"
	"net/netip"
)

// Byte layouts of keys and values that bpf/types.h defines; sizes are checked by the kernel against the maps, the fields by
// every test that loads tables and sends a packet. Numbers are in host order (the objects are little-endian), addresses in
// network order.

type (
	addrBytes    [16]byte // IPv4 as ::ffff:a.b.c.d
	prefixKey    [24]byte
	segmentKey   [4]byte
	segmentValue [36]byte
	bindingValue [16]byte
	stationKey   [8]byte
	classValue   [40]byte
	cellKey      [8]byte
	cellValue    [8]byte
)

var le = binary.LittleEndian

func addrOf(a netip.Addr) addrBytes { return a.As16() }

// goAddr is the inverse; every address of the tables that is IPv4 comes back as IPv4.
func (a addrBytes) goAddr() netip.Addr { return netip.AddrFrom16(a).Unmap() }

func prefixKeyOf(p netip.Prefix) (k prefixKey) {
	bits, family := p.Bits(), byte(6)
	if p.Addr().Is4() {
		bits, family = bits+96, 4
	}
	le.PutUint32(k[0:], uint32(32+bits))
	k[7] = family
	a := addrOf(p.Addr())
	copy(k[8:], a[:])
	return k
}

func (k prefixKey) goPrefix() netip.Prefix {
	bits := int(le.Uint32(k[0:])) - 32
	a := netip.AddrFrom16([16]byte(k[8:24]))
	if k[7] == 4 {
		return netip.PrefixFrom(a.Unmap(), bits-96)
	}
	return netip.PrefixFrom(a, bits)
}

func segmentKeyOf(device, vlan uint16) (k segmentKey) {
	le.PutUint16(k[0:], device)
	le.PutUint16(k[2:], vlan)
	return k
}

func segmentValueOf(s Segment, device uint16, g groups) (v segmentValue) {
	le.PutUint16(v[0:], device)
	le.PutUint16(v[2:], s.VLAN)
	v[4] = byte(s.Zone)
	v[5] = flag(s.Strict)
	v[6] = flag(s.Tunnel)
	v[7], v[8], v[9] = flag(s.Multicast), flag(s.Routers), flag(s.DHCPServers)
	le.PutUint16(v[10:], g.class4)
	le.PutUint16(v[12:], g.class6)
	if g.broadcast.IsValid() {
		copy(v[16:], g.broadcast.AsSlice())
	}
	for i, n := range []uint32{s.Limits.Flows, s.Limits.Rate, s.Limits.StationFlows, s.Limits.StationRate} {
		le.PutUint32(v[20+4*i:], n)
	}
	return v
}

func bindingOf(class, segment uint16, mac MAC) (v bindingValue) {
	le.PutUint16(v[0:], class)
	le.PutUint16(v[2:], segment)
	copy(v[4:10], mac[:])
	return v
}

func (v bindingValue) fields() (class, segment uint16, mac MAC) {
	return le.Uint16(v[0:]), le.Uint16(v[2:]), MAC(v[4:10])
}

func stationKeyOf(segment uint16, mac MAC) (k stationKey) {
	le.PutUint16(k[0:], segment)
	copy(k[2:], mac[:])
	return k
}

func classValueOf(c Class, device uint16) (v classValue) {
	le.PutUint16(v[0:], c.Segment)
	v[2] = byte(c.Kind)
	v[3] = flag(c.OnLink)
	le.PutUint16(v[4:], device)
	le.PutUint16(v[6:], c.VLAN)
	for _, via := range c.Via {
		a := addrOf(via)
		if via.Is4() {
			copy(v[8:24], a[:])
		} else {
			copy(v[24:40], a[:])
		}
	}
	return v
}

func (v classValue) goClass(id uint16) (c Class, device uint16) {
	c = Class{ID: id, Segment: le.Uint16(v[0:]), Kind: Kind(v[2]), OnLink: v[3] != 0, VLAN: le.Uint16(v[6:]), Via: []netip.Addr{}}
	for _, b := range [][]byte{v[8:24], v[24:40]} {
		if a := addrBytes(b); a != (addrBytes{}) {
			c.Via = append(c.Via, a.goAddr())
		}
	}
	return c, le.Uint16(v[4:])
}

func cellKeyOf(c Cell) (k cellKey) {
	le.PutUint16(k[0:], c.Src)
	le.PutUint16(k[2:], c.Dst)
	le.PutUint16(k[4:], c.Port)
	return k
}

func cellValueOf(c Cell) (v cellValue) {
	le.PutUint32(v[0:], c.Rule)
	v[4] = c.BWClass
	return v
}

// Dense port table, see bpf/tables.h.
const (
	portsUDP   = 65536
	portsICMP  = 131072
	portsICMP6 = portsICMP + 256
	portsOther = portsICMP + 512
	portsSize  = portsICMP + 768
)

const (
	protoICMP  = 1
	protoTCP   = 6
	protoUDP   = 17
	protoICMP6 = 58
)

// portIndex is where a protocol's port (or type) lies in the dense table.
func portIndex(proto uint8, port uint16) int {
	switch proto {
	case protoTCP:
		return int(port)
	case protoUDP:
		return portsUDP + int(port)
	case protoICMP:
		return portsICMP + int(port)
	case protoICMP6:
		return portsICMP6 + int(port)
	}
	return portsOther + int(proto)
}

// portAt is the inverse.
func portAt(i int) (proto uint8, port uint16) {
	switch {
	case i < portsUDP:
		return protoTCP, uint16(i)
	case i < portsICMP:
		return protoUDP, uint16(i - portsUDP)
	case i < portsICMP6:
		return protoICMP, uint16(i - portsICMP)
	case i < portsOther:
		return protoICMP6, uint16(i - portsICMP6)
	}
	return uint8(i - portsOther), 0
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
