// Package anchors holds what nothing but a root-owned file on the box can change.
//
// Problem: the control daemon is large and speaks to browsers, so it must be assumed to lie one day. If zones came from
// it, one relabelled port would join two networks. Mechanism: the privileged daemon derives every zone, prefix, peer and
// local service from this file alone and compares whatever it is asked to install with it. Life cycle: written by root,
// read once at start; a change takes effect when root restarts the daemon. Invariant: no value in here ever comes over a
// socket.
package anchors

import (
	"fmt"
	"net/netip"
)

// Zone is one of the networks that the gate keeps apart. The numbers are part of the pinned map layout.
type Zone uint8

const (
	None       Zone = 0
	MyNumber   Zone = 1 // マイナンバー利用事務系
	LGWAN      Zone = 2 // LGWAN接続系
	Internet   Zone = 3 // インターネット接続系
	Management Zone = 4 // 運用管理: reaches local services only (I13)
	Uplink     Zone = 5 // a carrier's line: reaches the gate's WireGuard port only, joins nothing
	Zones           = 6 // bound for arrays indexed by Zone
)

var zoneNames = [Zones]string{"none", "my-number", "lgwan", "internet", "management", "uplink"}
var zoneShort = [Zones]string{"", "mn", "lg", "in", "mg", "up"}

// String gives the name used in configuration, sockets and logs.
func (z Zone) String() string {
	if int(z) < len(zoneNames) {
		return zoneNames[z]
	}
	return fmt.Sprintf("zone-%d", uint8(z))
}

// Short gives the two letters used in interface, user and namespace names.
func (z Zone) Short() string {
	if int(z) < len(zoneShort) {
		return zoneShort[z]
	}
	return ""
}

// ParseZone is the inverse of String for the five real zones.
func ParseZone(s string) (Zone, error) {
	for z := MyNumber; z < Zones; z++ {
		if zoneNames[z] == s {
			return z, nil
		}
	}
	return None, fmt.Errorf("zone %q: want one of my-number, lgwan, internet, management, uplink", s)
}

// MarshalText and UnmarshalText serve JSON and YAML.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

func (z *Zone) UnmarshalText(b []byte) error {
	v, err := ParseZone(string(b))
	if err == nil {
		*z = v
	}
	return err
}

// Attach says what kind of device a segment hangs on.
type Attach string

const (
	AttachPort   Attach = "port"   // a guarded network port, possibly with a VLAN
	AttachTunnel Attach = "tunnel" // a WireGuard peer (a cloud region) behind a tunnel device
	AttachPortal Attach = "portal" // the veth towards a portal's own network namespace; guarded like any port
)

// Anchors is the whole file.
type Anchors struct {
	Version  int       `yaml:"version" json:"version"`
	Name     string    `yaml:"name" json:"name"`
	PickUp   uint16    `yaml:"pick-up-seconds,omitempty" json:"pick-up-seconds,omitempty"` // for how long after a start of the machine TCP connections may go on that were open before; 0 = not at all
	Segments []Segment `yaml:"segments" json:"segments"`
	Tunnels  []Tunnel  `yaml:"tunnels,omitempty" json:"tunnels,omitempty"`
	NAT      []NAT     `yaml:"nat,omitempty" json:"nat,omitempty"`
	Services []Service `yaml:"services,omitempty" json:"services,omitempty"`
}

// MostPickUp is the longest time for picking up connections, in seconds: ten minutes, after which TCP has tried again several
// times (RFC 6298 lets it wait two minutes at most between two tries).
const MostPickUp = 600

// Segment binds a device and VLAN and its prefixes to a zone.
type Segment struct {
	ID       string         `yaml:"id" json:"id"`
	Zone     Zone           `yaml:"zone" json:"zone"`
	Attach   Attach         `yaml:"attach" json:"attach"`
	Port     string         `yaml:"port" json:"port"`                                 // device in the gate's namespace
	VLAN     uint16         `yaml:"vlan,omitempty" json:"vlan,omitempty"`             // 0 = untagged
	Outer    uint16         `yaml:"outer-vlan,omitempty" json:"outer-vlan,omitempty"` // service tag around VLAN; 0 = none
	Prefixes []netip.Prefix `yaml:"prefixes" json:"prefixes"`
	Gate     []netip.Addr   `yaml:"gate,omitempty" json:"gate,omitempty"` // the gate's own addresses in the segment
	Strict   bool           `yaml:"strict,omitempty" json:"strict,omitempty"`
	Routers  []Router       `yaml:"routers,omitempty" json:"routers,omitempty"` // registered next hops

	// What else may come in here; without these it is refused.
	Multicast   bool `yaml:"multicast,omitempty" json:"multicast,omitempty"`                         // groups stand for the gate's own address
	Advertising bool `yaml:"router-advertisements,omitempty" json:"router-advertisements,omitempty"` // of registered stations and routers
	DHCPServers bool `yaml:"dhcp-servers,omitempty" json:"dhcp-servers,omitempty"`
}

// Router is a registered next hop; prefixes of the segment that none of its on-link prefixes holds lie behind it.
type Router struct {
	MAC    string         `yaml:"mac" json:"mac"` // "02:00:00:00:00:01"
	Addrs  []netip.Addr   `yaml:"addresses" json:"addresses"`
	Behind []netip.Prefix `yaml:"behind" json:"behind"` // subset of the segment's prefixes
}

// Tunnel is one WireGuard device on one uplink; the ends of regions are its peers.
type Tunnel struct {
	Device string `yaml:"device" json:"device"` // "wg0"
	Line   string `yaml:"line" json:"line"`     // segment id (zone uplink) that carries the outer packets
	Listen uint16 `yaml:"listen" json:"listen"` // UDP port
	Peers  []Peer `yaml:"peers" json:"peers"`
}

// Peer is one end of a cloud region: whose packets it may send, and to which zone it belongs (through its segment). A region
// may have several, on one device or on several.
type Peer struct {
	ID        string         `yaml:"id" json:"id"`                 // unique within the file
	Segment   string         `yaml:"segment" json:"segment"`       // id of a segment with attach: tunnel; its port is the first device with a peer for it
	PublicKey string         `yaml:"public-key" json:"public-key"` // base64; ends of one region on different devices may share it
	Endpoint  netip.AddrPort `yaml:"endpoint" json:"endpoint"`
	Allowed   []netip.Prefix `yaml:"allowed" json:"allowed"` // equals the segment's prefixes
	Probe     netip.Addr     `yaml:"probe" json:"probe,omitzero"`
	TakesOver []string       `yaml:"takes-over,omitempty" json:"takes-over,omitempty"` // segments of the same zone whose prefixes it may carry while their own ends are down
}

// NAT is a 1:1 mapping (NETMAP): towards the region of Segment, an address of Inside appears as that of Outside with the same
// host bits, and the region reaches it there only. IPv4; both of one length.
type NAT struct {
	Segment string       `yaml:"segment" json:"segment"`
	Inside  netip.Prefix `yaml:"inside" json:"inside"`
	Outside netip.Prefix `yaml:"outside" json:"outside"`
}

// Service is something the gate itself offers or originates in one segment.
type Service struct {
	ID      string         `yaml:"id" json:"id"`
	Segment string         `yaml:"segment" json:"segment"`
	Proto   string         `yaml:"proto" json:"proto"`                             // tcp, udp, icmp, icmp6
	Port    uint16         `yaml:"port,omitempty" json:"port,omitempty"`           // ICMP: the type
	Last    uint16         `yaml:"last-port,omitempty" json:"last-port,omitempty"` // of several ports that begin with Port, TCP and UDP only; 0 = Port alone
	From    []netip.Prefix `yaml:"from,omitempty" json:"from,omitempty"`           // peers that may reach it; empty = whole segment
	Out     bool           `yaml:"out,omitempty" json:"out,omitempty"`             // true: the gate opens, From are the destinations
}
