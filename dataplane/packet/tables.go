package packet

import (
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Tables is the decoded form of what the packet core decides by. The compiler makes it, the loader encodes it into maps
// and decodes it back, the proof and the model read it. Numbers, not names, decide; names are for people.
//
// Order is canonical (Canonical sorts it), so two equal policies have equal encodings and equal hashes.
type Tables struct {
	Epoch    uint32      `json:"epoch"`    // set by the loader: one more than that of the tables it replaces
	Revision string      `json:"revision"` // configuration revision it was compiled from
	Segments []Segment   `json:"segments"`
	Hosts    []Host      `json:"hosts"`
	Prefixes []Prefix    `json:"prefixes"`
	Classes  []Class     `json:"classes"`
	Ports    []PortRange `json:"ports"`
	Cells    []Cell      `json:"cells"`
	Rules    []Rule      `json:"rules"`
}

// Segment is one ingress: (port, VLAN) -> number and zone. Number 1..1023; 0 means none.
type Segment struct {
	ID     uint16       `json:"id"`
	Name   string       `json:"name"`
	Zone   anchors.Zone `json:"zone"`
	Port   string       `json:"port"`
	VLAN   uint16       `json:"vlan"`
	Strict bool         `json:"strict"` // MAC and IP must be registered
	Tunnel bool         `json:"tunnel"` // layer 3 device: no Ethernet, no neighbours
}

// Host is one exact address. Addr is never an IPv4-mapped IPv6 address.
type Host struct {
	Addr    netip.Addr `json:"addr"`
	Class   uint16     `json:"class"`
	Segment uint16     `json:"segment"`
	MAC     MAC        `json:"mac"` // zero: any (only accepted in segments that are not strict)
}

// Prefix catches addresses without a Host entry, longest first. In a strict segment its MAC is that of the router they lie
// behind; with a zero MAC its addresses are refused as sources there.
type Prefix struct {
	Prefix  netip.Prefix `json:"prefix"`
	Class   uint16       `json:"class"`
	Segment uint16       `json:"segment"`
	MAC     MAC          `json:"mac"`
}

// Kind says how packets for a class leave.
type Kind uint8

const (
	KindForward Kind = 1 // redirect to a port through the DEVMAP
	KindTunnel  Kind = 2 // up the stack with the mark, into a tunnel device
	KindLocal   Kind = 3 // the gate itself
)

// Class is an atomic set of addresses: every record treats its members alike, and all lie in one segment. Number 1..65535.
type Class struct {
	ID      uint16       `json:"id"`
	Segment uint16       `json:"segment"`
	Kind    Kind         `json:"kind"`
	Port    string       `json:"port"` // permitted egress device
	VLAN    uint16       `json:"vlan"`
	OnLink  bool         `json:"onlink"` // the next hop may be the destination itself
	Via     []netip.Addr `json:"via"`    // permitted next hops: at most one IPv4 and one IPv6
}

// PortRange puts destination ports (ICMP and ICMPv6: types; other protocols: 0..0) into a port class. Number 1..65535.
type PortRange struct {
	Proto uint8  `json:"proto"` // IANA protocol number
	Lo    uint16 `json:"lo"`
	Hi    uint16 `json:"hi"`
	Class uint16 `json:"class"`
}

// Cell permits: an initiator in class Src may open towards class Dst with port class Port. What has no cell is refused.
type Cell struct {
	Src     uint16 `json:"src"`
	Dst     uint16 `json:"dst"`
	Port    uint16 `json:"port"`
	Rule    uint32 `json:"rule"`    // the record named first among those that permit it
	BWClass uint8  `json:"bwclass"` // 0..63; 0 = default
}

// Rule names the records behind a rule number, for people.
type Rule struct {
	ID      uint32   `json:"id"` // 1..
	Records []string `json:"records"`
}
