// Package model is the packet core's decision in plain Go: what bpf/ must do, for differential tests, for `sekisho trace`
// and for readers.
//
// Problem: a decision that only exists as C for a verifier can be neither read nor checked. Mechanism: the same decision,
// written from the contract and not from the C, over the same tables; the outside world (routes, neighbours, flows) is
// passed in. Life cycle: none, it is a function. Invariant: for the same tables, state and frame, Decide and the loaded
// program give the same verdict and the same reason.
package model

import (
	"net/netip"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Verdict is what becomes of a frame.
type Verdict string

const (
	Drop     Verdict = "drop"
	Redirect Verdict = "redirect" // leaves by Egress, MACs and TTL rewritten
	Stack    Verdict = "stack"    // up the gate's stack with the mark
)

// Packet is one frame at one device.
type Packet struct {
	Port  string
	Frame []byte // Ethernet on ports, IP on tunnel devices
	Now   time.Time
}

// Decision is what becomes of it and why.
type Decision struct {
	Verdict Verdict
	Reason  string // why it was dropped
	Rule    uint32 // rule that permits it, 0 = none (the gate's neighbour discovery)
	BWClass uint8
	Segment uint16 // ingress segment, 0 = unknown
	Egress  string // device, with Redirect
	NextMAC packet.MAC
	Mark    uint32 // without magic, with Stack
	Opened  bool   // a flow was created
}

// State is the world around the decision.
type State struct {
	Flows map[FlowKey]*Flow
	Route func(dst netip.Addr) Hop // nil: no route
}

// FlowKey is a flow, normalized: the lower (segment, address, port) end first.
type FlowKey struct {
	Proto        uint8
	SegA, SegB   uint16
	AddrA, AddrB netip.Addr
	PortA, PortB uint16
}

// Flow is what is remembered of an allowed opening.
type Flow struct {
	FromA   bool // the A end opened it
	Epoch   uint32
	Rule    uint32
	BWClass uint8
}

// Hop is what the routing table and neighbour table say.
type Hop struct {
	Unreachable bool
	Device      string
	Via         netip.Addr // the next hop itself; equal to the destination when on link
	MAC         packet.MAC // zero: neighbour not resolved
	SrcMAC      packet.MAC // of Device
	MTU         int
}

// Query is what `sekisho trace` asks.
type Query struct {
	From  anchors.Zone // only segments of this zone are tried; None: wherever Src lies
	Src   netip.Addr
	Dst   netip.Addr
	Proto uint8
	SPort uint16
	DPort uint16     // ICMP: the type
	MAC   packet.MAC // zero: the registered one
}

// Step is one decision on the way.
type Step struct {
	Name    string   `json:"name"` // parse, segment, station, flow, policy, forward, egress
	OK      bool     `json:"ok"`
	Reason  string   `json:"reason,omitempty"` // drop reason, when not OK
	Text    string   `json:"text"`             // facts, in English, for a person of the trade
	Rule    uint32   `json:"rule,omitempty"`
	Records []string `json:"records,omitempty"`
}

// Decide says what becomes of a packet. It changes st.Flows as the program changes its flow table.
func Decide(t *packet.Tables, a *anchors.Anchors, st *State, in Packet) Decision {
	return Decision{Verdict: Drop, Reason: "segment-unknown"}
}

// Explain walks the decision for a first packet of a flow, as far as tables and anchors alone can tell.
func Explain(t *packet.Tables, a *anchors.Anchors, q Query) []Step { return nil }
