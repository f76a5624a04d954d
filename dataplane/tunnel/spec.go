package tunnel

import "net/netip"

// Spec is one WireGuard device as the configuration wants it; the dataplane compares each peer with the anchors.
type Spec struct {
	Device string       `json:"device"` // "wg0"
	Line   string       `json:"line"`   // port the outer packets leave by
	Listen uint16       `json:"listen"` // UDP port
	MTU    int          `json:"mtu"`    // bytes of the inner packet; 0 = line MTU - 80
	Addrs  []netip.Addr `json:"addrs"`  // the gate's own addresses inside the tunnel
	Peers  []Peer       `json:"peers"`
}

// Peer is one region.
type Peer struct {
	ID        string         `json:"id"`
	PublicKey string         `json:"public-key"` // base64
	Endpoint  netip.AddrPort `json:"endpoint"`
	Allowed   []netip.Prefix `json:"allowed"`
	Probe     netip.AddrPort `json:"probe"`     // UDP echo inside the tunnel; zero = none
	Keepalive int            `json:"keepalive"` // seconds; 0 = 25, -1 = none
}
