package packet

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Count is a number of packets and of their bytes (Ethernet header included, FCS not).
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Counters are running totals since the pins were made.
type Counters struct {
	Reasons    map[string]Count          `json:"reasons"` // drops by reason name
	Pairs      map[[2]anchors.Zone]Count `json:"-"`       // allowed, by {from zone, to zone} of the packet
	Rules      map[uint32]Count          `json:"rules"`   // allowed, by rule number of the current tables
	EventsLost uint64                    `json:"events_lost"`
}

// Counters reads all counters.
func (c *Core) Counters() (Counters, error) { return Counters{}, errors.ErrUnsupported }

// Event is one sampled drop. Counters are the evidence; events are rate-limited per reason.
type Event struct {
	Time    time.Time  `json:"time"`
	Reason  string     `json:"reason"`
	Hook    string     `json:"hook"` // xdp, devmap, port-in, port-out, tunnel-in, tunnel-out
	Port    string     `json:"port"`
	Segment uint16     `json:"segment"` // ingress segment, 0 = not known
	VLAN    uint16     `json:"vlan"`
	SMAC    MAC        `json:"smac"`
	DMAC    MAC        `json:"dmac"`
	Src     netip.Addr `json:"src,omitzero"`
	Dst     netip.Addr `json:"dst,omitzero"`
	Proto   uint8      `json:"proto"`
	SPort   uint16     `json:"sport"`
	DPort   uint16     `json:"dport"` // ICMP: the type
	Length  uint32     `json:"length"`
}

// Events streams sampled drops until ctx ends. One reader at a time.
func (c *Core) Events(ctx context.Context) (<-chan Event, error) { return nil, errors.ErrUnsupported }

// Flow is one live flow as its initiator opened it.
type Flow struct {
	Proto      uint8      `json:"proto"`
	Src        netip.Addr `json:"src"` // initiator
	SPort      uint16     `json:"sport"`
	Dst        netip.Addr `json:"dst"`
	DPort      uint16     `json:"dport"` // ICMP: the echo identifier
	SrcSegment uint16     `json:"src_segment"`
	DstSegment uint16     `json:"dst_segment"`
	Rule       uint32     `json:"rule"`
	BWClass    uint8      `json:"bwclass"`
	Epoch      uint32     `json:"epoch"`
	Idle       float64    `json:"idle"` // seconds since the last packet
	Forward    Count      `json:"forward"`
	Reverse    Count      `json:"reverse"`
}

// Flows lists up to max flows, in no order.
func (c *Core) Flows(max int) ([]Flow, error) { return nil, errors.ErrUnsupported }
