package config

import (
	"fmt"
	"slices"
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

// PortSpec is "tcp/443", "udp/5000-5010", "sctp/3868", "icmp/echo" (echo requests of both IP versions), "icmp/8" or "icmp6/128"
// (of one), or a protocol without ports: "esp", "ah", "gre". Of ICMP's messages the packet core opens a flow for an echo request
// only: answers and errors pass by the live flow that they belong to, and the rest does not pass.
type PortSpec struct {
	Proto  string // tcp, udp, sctp, icmp, icmp6, esp, ah, gre
	Lo, Hi uint16 // destination ports, both included; of ICMP the type, 0 for both echo requests; 0 for protocols without
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
	switch {
	case p.Proto == "icmp" && p.Lo == 0:
		return []Range{{ProtoICMP, EchoV4, EchoV4}, {ProtoICMPv6, EchoV6, EchoV6}}
	case p.Proto == "icmp":
		return []Range{{ProtoICMP, p.Lo, p.Hi}}
	case p.Proto == "icmp6":
		return []Range{{ProtoICMPv6, p.Lo, p.Hi}}
	}
	return nil
}

// Among tells whether every port of p is one of a single entry of the list.
func (p PortSpec) Among(list []PortSpec) bool { return slices.ContainsFunc(list, p.within) }

func (p PortSpec) within(q PortSpec) bool {
	if p.Proto == q.Proto && p.Lo >= q.Lo && p.Hi <= q.Hi {
		return true
	}
	return p.isICMP() && q == PortSpec{Proto: "icmp"} && p.Overlaps(q) // one of the two echo requests
}

// Overlaps tells whether the two have a port in common.
func (p PortSpec) Overlaps(q PortSpec) bool {
	if !p.isICMP() || !q.isICMP() {
		return p.Proto == q.Proto && p.Lo <= q.Hi && q.Lo <= p.Hi
	}
	return slices.ContainsFunc(p.Ranges(), func(r Range) bool { return slices.Contains(q.Ranges(), r) })
}

func (p PortSpec) isICMP() bool { return icmps[p.Proto] != 0 }

func (p PortSpec) String() string {
	switch {
	case p.Proto == "icmp" && p.Lo == 0:
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
	if n, known := icmps[proto]; known && ok {
		return p.icmp(proto, n, rest)
	}
	if !ok && portless[proto] != 0 {
		*p = PortSpec{Proto: proto}
		return nil
	}
	if !ok || withPorts[proto] == 0 {
		return fmt.Errorf("port: want tcp/443, udp/5000-5010, sctp/3868, icmp/echo, icmp/8, icmp6/128, esp, ah or gre")
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

// icmps are the protocol numbers of the two kinds of ICMP, by name.
var icmps = map[string]uint8{"icmp": ProtoICMP, "icmp6": ProtoICMPv6}

func (p *PortSpec) icmp(name string, proto uint8, rest string) error {
	n, err := strconv.ParseUint(rest, 10, 8)
	if err != nil || strconv.FormatUint(n, 10) != rest {
		return fmt.Errorf("port: want icmp/echo, or a type as in icmp/8 and icmp6/128")
	}
	if why := notOpened(proto, uint8(n)); why != "" {
		return fmt.Errorf("port: %s/%d %s", name, n, why)
	}
	*p = PortSpec{Proto: name, Lo: uint16(n), Hi: uint16(n)}
	return nil
}

// notOpened says why no record can let a type of ICMP open a flow; empty when it can. Types: IANA's registries for ICMP and ICMPv6.
func notOpened(proto, typ uint8) string {
	const (
		complaint = "complains of another packet: it passes by that packet's live flow, and by no record"
		answer    = "answers: it passes by the flow of the question, and by no record"
		local     = "stays within its own network: no router passes it on"
		other     = "opens no flow: the packet core knows echo requests only"
	)
	if proto == ProtoICMP {
		switch typ {
		case EchoV4:
			return ""
		case 3, 4, 5, 11, 12:
			return complaint
		case 0, 14, 16, 18:
			return answer
		case 9, 10:
			return local
		}
		return other
	}
	switch {
	case typ == EchoV6:
		return ""
	case typ < 128 || typ == 137:
		return complaint
	case typ == 129 || typ == 140:
		return answer
	case typ >= 130 && typ <= 136 || typ >= 141 && typ <= 143 || typ >= 148 && typ <= 153:
		return local
	}
	return other
}

func port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strings.HasPrefix(s, "+") || strings.HasPrefix(s, "0") {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return uint16(n), nil
}
