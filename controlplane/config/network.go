package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Class is one bandwidth class. Its number is its place in the list, from 1, the same on every line. Where it is: on one line
// (Line), on several in the order in which it prefers them (Lines), or, with neither, on every line in the document's order.
type Class struct {
	ID        string   `yaml:"id" need:"yes"`
	Line      string   `yaml:"line,omitempty"`
	Lines     []OnLine `yaml:"lines,omitempty"`
	Guarantee Rate     `yaml:"guarantee,omitempty"` // on each line that says nothing else
	Ceiling   Rate     `yaml:"ceiling,omitempty"`   // likewise; a line that carries less in a direction bounds it there
	Priority  uint8    `yaml:"priority"`            // 0 first .. 7 last
	Latency   Latency  `yaml:"latency,omitempty"`   // empty = bulk
	Default   bool     `yaml:"default,omitempty"`
	DSCP      []DSCP   `yaml:"dscp,omitempty"` // of packets from segments with trust-dscp
	Name      Text     `yaml:"name,omitempty"`
}

// OnLine is what a class has on one line; 0 = as the class says.
type OnLine struct {
	Line      string `yaml:"line" need:"yes"`
	Guarantee Rate   `yaml:"guarantee,omitempty"`
	Ceiling   Rate   `yaml:"ceiling,omitempty"`
}

// Line is a carrier's contract on an uplink segment.
type Line struct {
	ID      string   `yaml:"id" need:"yes"`
	Segment string   `yaml:"segment" need:"yes"`
	Rate    Rate     `yaml:"rate" need:"yes"`
	Down    Rate     `yaml:"down,omitempty"` // towards the town hall; 0 = Rate
	Kind    LineKind `yaml:"kind,omitempty"`
	Contact Text     `yaml:"contact,omitempty"` // whom to call when it is down
	Name    Text     `yaml:"name,omitempty"`
}

// Tunnel is one WireGuard device on a line.
type Tunnel struct {
	ID     string `yaml:"id" need:"yes"` // device name
	Line   string `yaml:"line" need:"yes"`
	Listen uint16 `yaml:"listen" need:"yes"`
	MTU    int    `yaml:"mtu,omitempty"` // bytes of the inner packet; 0 = discovered
}

// Region is what lies behind a tunnel; its id is that of its segment. It is reached by its ends: those listed, or one of the
// region's own id that Tunnel, PublicKey and Endpoint describe.
type Region struct {
	ID        string         `yaml:"id" need:"yes"`
	Tunnel    string         `yaml:"tunnel,omitempty"`
	PublicKey PublicKey      `yaml:"public-key,omitempty"`
	Endpoint  netip.AddrPort `yaml:"endpoint,omitempty"`
	Probe     netip.Addr     `yaml:"probe,omitempty"` // of every end that names none
	Preshared bool           `yaml:"preshared,omitempty"`
	Plain     bool           `yaml:"plain,omitempty"`
	Ends      []End          `yaml:"ends,omitempty"`
	TakesOver []string       `yaml:"takes-over,omitempty"` // regions whose prefixes its ends carry while those have no end that is up
	NAT       []NAT          `yaml:"nat,omitempty"`
	Share     uint16         `yaml:"share,omitempty"` // weight among the regions of a line, for what comes down; 0 = 1
	Name      Text           `yaml:"name,omitempty"`
}

// End is one far end of a region: a peer of one tunnel.
type End struct {
	ID        string         `yaml:"id" need:"yes"`
	Tunnel    string         `yaml:"tunnel" need:"yes"`
	PublicKey PublicKey      `yaml:"public-key" need:"yes"`
	Endpoint  netip.AddrPort `yaml:"endpoint" need:"yes"`
	Probe     netip.Addr     `yaml:"probe,omitempty"`     // answers inside the tunnel
	Preshared bool           `yaml:"preshared,omitempty"` // not brought up without its pre-shared key
	Plain     bool           `yaml:"plain,omitempty"`     // any WireGuard peer with a UDP echo at Probe; else this software's region role
}

// NAT makes addresses of Inside, a prefix of one of the town's segments, appear as those of Outside towards the region, one by
// one (NETMAP), and back.
type NAT struct {
	Inside  netip.Prefix `yaml:"inside" need:"yes"`
	Outside netip.Prefix `yaml:"outside" need:"yes"`
}

// Reached lists the ends of a region, each with its probe.
func (r *Region) Reached() []End {
	if len(r.Ends) == 0 {
		return []End{{ID: r.ID, Tunnel: r.Tunnel, PublicKey: r.PublicKey, Endpoint: r.Endpoint, Probe: r.Probe, Preshared: r.Preshared, Plain: r.Plain}}
	}
	out := slices.Clone(r.Ends)
	for i := range out {
		if !out[i].Probe.IsValid() {
			out[i].Probe = r.Probe
		}
	}
	return out
}

// Weight is the region's share of a line, against those of the others.
func (r *Region) Weight() int { return max(1, int(r.Share)) }

// Downstream is what the line carries towards the town hall.
func (l *Line) Downstream() Rate {
	if l.Down != 0 {
		return l.Down
	}
	return l.Rate
}

// Most is what the line carries in the direction in which it carries more: no ceiling is above it.
func (l *Line) Most() Rate { return max(l.Rate, l.Downstream()) }

// On tells what a class has on a line; false: it has no place there. The ceiling is that of the direction that carries more.
func (c *Config) On(k *Class, l *Line) (OnLine, bool) {
	for _, at := range c.Places(k) {
		if at.Line != l.ID {
			continue
		}
		if at.Guarantee == 0 {
			at.Guarantee = k.Guarantee
		}
		if at.Ceiling == 0 {
			at.Ceiling = min(k.Ceiling, l.Most())
		}
		return at, true
	}
	return OnLine{}, false
}

// Places lists the lines of a class, the one that it prefers first.
func (c *Config) Places(k *Class) []OnLine {
	switch {
	case len(k.Lines) > 0:
		return k.Lines
	case k.Line != "":
		return []OnLine{{Line: k.Line}}
	}
	out := make([]OnLine, len(c.Lines))
	for i := range c.Lines {
		out[i].Line = c.Lines[i].ID
	}
	return out
}

// Latency says what a class wants of its queue.
type Latency string

const (
	Interactive Latency = "interactive" // short queues: screens, calls
	Bulk        Latency = "bulk"        // long ones: copies, backups
)

var latencies = []string{string(Interactive), string(Bulk)}

func (l *Latency) UnmarshalText(b []byte) error { return among((*string)(l), b, latencies, "latency") }

// LineKind is what a carrier sells; it says what a packet may measure.
type LineKind string

const (
	IPVPN    LineKind = "ip-vpn"
	Ethernet LineKind = "ethernet" // wide-area Ethernet
	PPPoE    LineKind = "pppoe"
)

var lineKinds = []string{string(IPVPN), string(Ethernet), string(PPPoE)}

func (k *LineKind) UnmarshalText(b []byte) error { return among((*string)(k), b, lineKinds, "kind") }

// MTU of the line's packets, in bytes, outer headers included: what the kind usually carries.
func (k LineKind) MTU() int {
	if k == PPPoE {
		return 1454
	}
	return 1500
}

func among(to *string, b []byte, known []string, what string) error {
	if !slices.Contains(known, string(b)) {
		return fmt.Errorf("%s: want one of %s", what, strings.Join(known, ", "))
	}
	*to = string(b)
	return nil
}
