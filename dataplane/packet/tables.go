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
	Windows  []Window    `json:"windows"`

	// DSCP is the bandwidth class by code point, 0 = none: of packets into tunnels whose cell names no class, from segments with
	// TrustDSCP.
	DSCP [CodePoints]uint8 `json:"dscp,omitzero"`
}

// CodePoints is how many code points there are (RFC 2474).
const CodePoints = 64

// Segment is one ingress: (port, VLAN) -> number and zone. Number 1..1023; 0 means none.
type Segment struct {
	ID     uint16       `json:"id"`
	Name   string       `json:"name"`
	Zone   anchors.Zone `json:"zone"`
	Port   string       `json:"port"`
	VLAN   uint16       `json:"vlan"`
	Outer  uint16       `json:"outer"`  // service VLAN (802.1ad) around VLAN; 0: none
	Strict bool         `json:"strict"` // MAC and IP must be registered
	Tunnel bool         `json:"tunnel"` // layer 3 device: no Ethernet, no neighbours

	// From the anchors: what else may come in here.
	Multicast   bool `json:"multicast"`    // group addresses stand for the gate's own address in this segment
	Routers     bool `json:"routers"`      // router advertisements of registered stations
	DHCPServers bool `json:"dhcp_servers"` // answers of DHCP servers

	TrustDSCP bool `json:"trust_dscp,omitempty"` // how its stations mark their packets counts; see Tables.DSCP

	Limits Limits `json:"limits"`
}

// DefaultFlows is how many flows a gate has room for when Options say nothing else.
const DefaultFlows = 65536

// Limits bound what the initiators of one segment may take of the flow table. A zero means no bound of its own.
type Limits struct {
	Flows        uint32 `json:"flows"`         // live flows of the whole segment
	Rate         uint32 `json:"rate"`          // new flows a second of the whole segment
	StationFlows uint32 `json:"station_flows"` // live flows of one source address
	StationRate  uint32 `json:"station_rate"`  // new flows a second of one source address
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
	Outer   uint16       `json:"outer"`  // as in Segment
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

// MaxChain bounds how many rules are asked about one cell.
const MaxChain = 8

// Rule says when the cells of a rule number are in force, and names the records behind it, for people. One rule has one time;
// where the times of several records make no single one, the rule that the cells name is the first of a chain, and they are in
// force when any rule of it is. A rule names its own records and those of all rules after it.
type Rule struct {
	ID      uint32   `json:"id"` // 1..
	Records []string `json:"records"`
	From    int64    `json:"from"`   // first minute in force, minutes since 1970 UTC; 0: since ever
	Until   int64    `json:"until"`  // first minute no longer in force; 0: no end
	Window  uint8    `json:"window"` // number of a Window; 0: always
	Next    uint32   `json:"next"`   // greater number of the chain's next rule; 0: none
}

// Window is the part of every week in which a rule is in force. Number 1..255.
type Window struct {
	ID    uint8  `json:"id"`
	Spans []Span `json:"spans"` // 1..8, sorted, apart from each other
}

// Span is minutes of a week that begins on Monday 00:00 UTC: From <= minute < To <= 10080.
type Span struct {
	From uint16 `json:"from"`
	To   uint16 `json:"to"`
}
