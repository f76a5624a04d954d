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
	ProtoICMPv6 = 58
)

// ICMP types of an echo request.
const (
	EchoV4 = 8
	EchoV6 = 128
)

// PortSpec is "tcp/443", "udp/5000-5010" or "icmp/echo" (echo requests of both IP versions).
type PortSpec struct {
	Proto  string // tcp, udp, icmp
	Lo, Hi uint16 // destination ports, both included; 0 for icmp
}

// Range is destination ports of one protocol number; for ICMP, types.
type Range struct {
	Proto  uint8
	Lo, Hi uint16
}

// Ranges gives what the specification stands for on the wire.
func (p PortSpec) Ranges() []Range {
	switch p.Proto {
	case "tcp":
		return []Range{{ProtoTCP, p.Lo, p.Hi}}
	case "udp":
		return []Range{{ProtoUDP, p.Lo, p.Hi}}
	case "icmp":
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
	if !ok || proto != "tcp" && proto != "udp" {
		return fmt.Errorf("port: want tcp/443, udp/5000-5010 or icmp/echo")
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
