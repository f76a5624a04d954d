package space

import (
	"fmt"
	"strings"
)

// Port is a protocol and a destination port of it; for ICMP and ICMPv6 the type, for protocols without ports 0.
type Port uint32

// Ports is a set of them. No interval reaches from one protocol into another.
type Ports = List[Port]

// IANA numbers of the protocols that one IP version has alone.
const (
	icmp   = 1
	icmpv6 = 58
)

// PortOf a protocol.
func PortOf(proto uint8, number uint16) Port { return Port(proto)<<16 | Port(number) }

// Span is the ports lo to hi of a protocol.
func Span(proto uint8, lo, hi uint16) Interval[Port] {
	return Interval[Port]{Lo: PortOf(proto, lo), Hi: PortOf(proto, hi)}
}

func (p Port) Proto() uint8   { return uint8(p >> 16) }
func (p Port) Number() uint16 { return uint16(p) }

const noPort Port = 1 << 31

func (p Port) IsValid() bool { return p != noPort }

func (p Port) Compare(q Port) int {
	switch {
	case p < q:
		return -1
	case p > q:
		return 1
	}
	return 0
}

func (p Port) Next() Port {
	if p.Number() == 0xffff {
		return noPort
	}
	return p + 1
}

func (p Port) Prev() Port {
	if p.Number() == 0 {
		return noPort
	}
	return p - 1
}

// Carried is the part of a set that packets of an IP version can have: ICMP is IPv4's, ICMPv6 IPv6's, and the packet core
// refuses the one in the other.
func Carried(p Ports, f Family) Ports {
	other := uint8(icmpv6)
	if f == V6 {
		other = icmp
	}
	for i, v := range p {
		if v.Lo.Proto() == other {
			out := append(Ports{}, p[:i]...)
			for _, v := range p[i:] {
				if v.Lo.Proto() != other {
					out = append(out, v)
				}
			}
			return out
		}
	}
	return p
}

var protocols = map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "icmp6", 132: "sctp"}

// PortsText names ports as configurations do: "tcp/443, udp/5000-5010, esp".
func PortsText(p Ports) string {
	out := make([]string, len(p))
	for i, v := range p {
		name, known := protocols[v.Lo.Proto()]
		if !known {
			name = fmt.Sprintf("protocol %d", v.Lo.Proto())
		}
		switch lo, hi := v.Lo.Number(), v.Hi.Number(); {
		case lo == 0 && hi == 0 && v.Lo.Proto() != icmp:
			out[i] = name
		case lo == hi:
			out[i] = fmt.Sprintf("%s/%d", name, lo)
		default:
			out[i] = fmt.Sprintf("%s/%d-%d", name, lo, hi)
		}
	}
	return strings.Join(out, ", ")
}
