package tunnel

import "net/netip"

// Spec is one WireGuard device as the configuration wants it; the dataplane compares each peer with the anchors.
type Spec struct {
	Device   string       `json:"device"`             // "wg0"
	Line     string       `json:"line"`               // port the outer packets leave by
	Contract string       `json:"contract,omitempty"` // id of the line in the configuration
	Listen   uint16       `json:"listen"`             // UDP port
	MTU      int          `json:"mtu"`                // bytes of the inner packet; 0 = discovered, at most the line's less 80
	Addrs    []netip.Addr `json:"addrs"`              // the gate's own addresses inside the tunnel
	Peers    []Peer       `json:"peers"`
}

// Peer is one end: a WireGuard peer through which a region is reached. A region may have several, on one device or on several.
type Peer struct {
	ID        string         `json:"id"`               // unique among all peers
	Region    string         `json:"region,omitempty"` // segment id; empty = ID
	PublicKey string         `json:"public-key"`       // base64
	Endpoint  netip.AddrPort `json:"endpoint"`
	Allowed   []netip.Prefix `json:"allowed"`              // the region's prefixes
	Probe     netip.AddrPort `json:"probe"`                // UDP echo inside the tunnel; zero = none
	Keepalive int            `json:"keepalive"`            // seconds; 0 = 25, -1 = none
	TakesOver []string       `json:"takes-over,omitempty"` // regions whose prefixes it may carry while all their own ends are down
	Plain     bool           `json:"plain,omitempty"`      // any WireGuard peer with an echo; else it is ours, and talks
	Preshared bool           `json:"preshared,omitempty"`  // it is not brought up without its pre-shared key
}

// Preference is in which order a bandwidth class uses devices. A class without one takes the order of the tunnels.
type Preference struct {
	Class   uint8    `json:"class"`
	Devices []string `json:"devices"`
}

// region is the segment that the peer is an end of.
func (p Peer) region() string {
	if p.Region == "" {
		return p.ID
	}
	return p.Region
}
