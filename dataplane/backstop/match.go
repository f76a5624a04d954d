package backstop

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// end is source or destination of a packet.
type end int

const (
	source end = iota
	destination
)

func (e end) device() expr.MetaKey {
	if e == source {
		return expr.MetaKeyIIFNAME
	}
	return expr.MetaKeyOIFNAME
}

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }

func counted(name string, k expr.VerdictKind) []expr.Any {
	return []expr.Any{&expr.Objref{Type: int(nftables.ObjTypeCounter), Name: name}, &expr.Verdict{Kind: k}}
}

func accept(counter string) []expr.Any { return counted(counter, expr.VerdictAccept) }
func drop(counter string) []expr.Any   { return counted(counter, expr.VerdictDrop) }

func join(parts ...[]expr.Any) []expr.Any {
	var out []expr.Any
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// ifname is a device name as the kernel compares it.
func ifname(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func device(key expr.MetaKey, name string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ifname(name)}}
}

func set(key expr.MetaKey, s *nftables.Set, invert bool) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID, Invert: invert}}
}

// owner matches packets of a socket that the user opened.
func owner(uid uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeySKUID, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(uid)}}
}

// anyOwner matches packets of any process; the kernel's own have no owner, for which loading it does not match.
func anyOwner() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeySKUID, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(^uint32(0))}}
}

func l4(proto byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}}}
}

// port matches a TCP or UDP port; after l4.
func port(e end, n uint16) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: uint32(2 * e), Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(n)}}
}

// ports matches the ports from lo to hi; 0: lo alone.
func ports(e end, lo, hi uint16) []expr.Any {
	if hi == 0 {
		return port(e, lo)
	}
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: uint32(2 * e), Len: 2},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: binaryutil.BigEndian.PutUint16(lo)},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: binaryutil.BigEndian.PutUint16(hi)}}
}

// icmpType matches the type of ICMP or ICMPv6; after l4.
func icmpType(t byte) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{t}}}
}

func nfproto(f nftables.TableFamily) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{byte(f)}}}
}

// load puts the packet's source or destination address into register 1; the IP version is checked first.
func load(e end, f nftables.TableFamily) []expr.Any {
	off, n := uint32(12), uint32(4) // RFC 791
	if f == nftables.TableFamilyIPv6 {
		off, n = 8, 16 // RFC 8200
	}
	return join(nfproto(f), []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: off + n*uint32(e), Len: n}})
}

func familyOf(a netip.Addr) nftables.TableFamily {
	if a.Is4() {
		return nftables.TableFamilyIPv4
	}
	return nftables.TableFamilyIPv6
}

func address(e end, a netip.Addr) []expr.Any { return prefix(e, netip.PrefixFrom(a, a.BitLen())) }

func prefix(e end, p netip.Prefix) []expr.Any {
	n := p.Addr().BitLen() / 8
	mask := make([]byte, n)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return join(load(e, familyOf(p.Addr())), []expr.Any{
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(n), Mask: mask, Xor: make([]byte, n)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()},
	})
}

func inSet(e end, f nftables.TableFamily, s *nftables.Set) []expr.Any {
	return join(load(e, f), []expr.Any{&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}})
}

// clampMSS lowers the segment size that a SYN announces to what the path's MTU carries (RFC 879, RFC 6691): packets into a
// tunnel may not be fragmented.
func clampMSS() []expr.Any {
	const (
		flags, syn, rst = 13, 0x02, 0x04 // TCP header, RFC 9293
		kindMSS         = 2
	)
	return join(l4(unix.IPPROTO_TCP), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flags, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | rst}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}},
		&expr.Rt{Register: 1, Key: expr.RtTCPMSS},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 2, Size: 2},
		&expr.Exthdr{SourceRegister: 1, Type: kindMSS, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	})
}
