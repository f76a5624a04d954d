package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Protocol numbers (IANA) that a PortSpec can stand for.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoGRE    = 47
	ProtoESP    = 50
	ProtoAH     = 51
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// ICMP types of an echo request.
const (
	EchoV4 = 8
	EchoV6 = 128
)

// PortSpec is "tcp/443", "udp/5000-5010", "sctp/3868", "icmp/echo" (echo requests of both IP versions), or a protocol without
// ports: "esp", "ah", "gre".
type PortSpec struct {
	Proto  string // tcp, udp, sctp, icmp, esp, ah, gre
	Lo, Hi uint16 // destination ports, both included; 0 for protocols without
}

// withPorts and portless are the protocol numbers by name.
var (
	withPorts = map[string]uint8{"tcp": ProtoTCP, "udp": ProtoUDP, "sctp": ProtoSCTP}
	portless  = map[string]uint8{"esp": ProtoESP, "ah": ProtoAH, "gre": ProtoGRE}
)

// Range is destination ports of one protocol number; for ICMP, types.
type Range struct {
	Proto  uint8
	Lo, Hi uint16
}

// Ranges gives what the specification stands for on the wire.
func (p PortSpec) Ranges() []Range {
	if n, ok := withPorts[p.Proto]; ok {
		return []Range{{n, p.Lo, p.Hi}}
	}
	if n, ok := portless[p.Proto]; ok {
		return []Range{{Proto: n}}
	}
	if p.Proto == "icmp" {
		return []Range{{ProtoICMP, EchoV4, EchoV4}, {ProtoICMPv6, EchoV6, EchoV6}}
	}
	return nil
}

// Within tells whether every port of p is one of q's.
func (p PortSpec) Within(q PortSpec) bool { return p.Proto == q.Proto && p.Lo >= q.Lo && p.Hi <= q.Hi }

func (p PortSpec) String() string {
	switch {
	case p.Proto == "icmp":
		return "icmp/echo"
	case portless[p.Proto] != 0:
		return p.Proto
	case p.Lo == p.Hi:
		return fmt.Sprintf("%s/%d", p.Proto, p.Lo)
	}
	return fmt.Sprintf("%s/%d-%d", p.Proto, p.Lo, p.Hi)
}

func (p PortSpec) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p *PortSpec) UnmarshalText(b []byte) error {
	proto, rest, ok := strings.Cut(string(b), "/")
	if proto == "icmp" && rest == "echo" {
		*p = PortSpec{Proto: "icmp"}
		return nil
	}
	if !ok && portless[proto] != 0 {
		*p = PortSpec{Proto: proto}
		return nil
	}
	if !ok || withPorts[proto] == 0 {
		return fmt.Errorf("port: want tcp/443, udp/5000-5010, sctp/3868, icmp/echo, esp, ah or gre")
	}
	from, to, ranged := strings.Cut(rest, "-")
	if !ranged {
		to = from
	}
	lo, err1 := port(from)
	hi, err2 := port(to)
	switch {
	case err1 != nil || err2 != nil:
		return fmt.Errorf("port: want a number from 1 to 65535 after %s/", proto)
	case lo > hi:
		return fmt.Errorf("port: the range runs backwards; want %s/%d-%d", proto, hi, lo)
	}
	*p = PortSpec{Proto: proto, Lo: lo, Hi: hi}
	return nil
}

func port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strings.HasPrefix(s, "+") || strings.HasPrefix(s, "0") {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return uint16(n), nil
}
