// Package model is the packet core's decision in plain Go: what bpf/ must do, for differential tests, for `sekisho trace`
// and for readers.
//
// Problem: a decision that only exists as C for a verifier can be neither read nor checked. Mechanism: the same decision,
// written from the contract and not from the C, over the same tables; the outside world (routes, neighbours, flows, time)
// is passed in. Life cycle: none, it is a function; New only builds lookup maps. Invariant: for the same tables, state and
// frame, Decide and the loaded programs give the same verdict and the same reason.
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
	Bare  bool   // Port is a tunnel device
	Now   time.Time
}

// Decision is what becomes of it and why.
type Decision struct {
	Verdict Verdict
	Reason  string // why it was dropped
	Rule    uint32 // rule that permits it, 0 = none (the gate's neighbour discovery)
	BWClass uint8
	Segment uint16     // ingress segment, 0 = not known
	Egress  string     // device, with Redirect
	VLAN    uint16     // that it leaves with, with Redirect
	Outer   uint16     // service VLAN around it
	NextMAC packet.MAC // with Redirect
	Mark    uint32     // without the magic, with Stack
	Opened  bool       // a flow was created
}

func (d Decision) exit() Exit { return Exit{d.Egress, d.VLAN, d.Outer} }

// State is the world around the decision.
type State struct {
	Flows    map[FlowKey]*Flow
	Capacity int                   // of Flows; 0 = unbounded
	Quota    int                   // of the flows that the stations of a segment without a limit of its own opened; 0 = unbounded
	PickUp   bool                  // connections may go on whose beginning nobody has seen
	Segments map[uint16]*Pace      // how fast the stations of each segment opened flows lately
	Stations map[Station]*Pace     // and each station, where it is limited
	MACs     map[string]packet.MAC // of the gate's ports

	Fragments map[FragmentKey]*Fragments
	Pieces    int // capacity of Fragments; 0 = unbounded

	Isolated map[anchors.Zone]bool // zones that people have cut off

	Clock Clock
	Wall  time.Time // what the world's clock shows; zero: Packet.Now
	Route func(in string, src, dst netip.Addr) Hop
}

// Hop is what the kernel's routing and neighbour tables say about a destination.
type Hop struct {
	Found     bool   // false: no route, or an unreachable one
	Forbidden bool   // forwarding is switched off on the ingress port
	Device    string // it would leave by
	VLAN      uint16 // when the device is one of the stack's for a VLAN of that port
	Outer     uint16
	Next      netip.Addr // next hop; the destination itself when on link
	MAC       packet.MAC // of the next hop; zero: not resolved
	MTU       int        // bytes of the packet from its network header on
}

// Model is a set of tables, ready to be asked.
type Model struct {
	tables   *packet.Tables
	segments map[uint16]packet.Segment
	ports    map[attachment]uint16
	hosts    map[netip.Addr]binding
	prefixes [2][]map[netip.Addr]binding // by family; index: prefix length
	classes  map[uint16]packet.Class
	services map[service]uint16 // port class
	cells    map[crossing]packet.Cell
	rules    map[uint32]packet.Rule
	windows  map[uint8]packet.Window
}

type attachment struct {
	port        string
	vlan, outer uint16
}

type binding struct {
	class, segment uint16
	mac            packet.MAC
	exact          bool
}

type service struct {
	proto uint8
	port  uint16
}

type crossing struct{ src, dst, port uint16 }

// New prepares tables; they must not change while the model is in use.
func New(t *packet.Tables) *Model {
	m := &Model{
		tables: t, segments: map[uint16]packet.Segment{}, ports: map[attachment]uint16{}, hosts: map[netip.Addr]binding{},
		classes: map[uint16]packet.Class{}, services: map[service]uint16{}, cells: map[crossing]packet.Cell{},
		rules: map[uint32]packet.Rule{}, windows: map[uint8]packet.Window{},
	}
	m.prefixes[0], m.prefixes[1] = make([]map[netip.Addr]binding, 33), make([]map[netip.Addr]binding, 129)
	for _, s := range t.Segments {
		m.segments[s.ID] = s
		if !s.Tunnel {
			m.ports[attachment{s.Port, s.VLAN, s.Outer}] = s.ID
		}
	}
	for _, h := range t.Hosts {
		m.hosts[h.Addr] = binding{h.Class, h.Segment, h.MAC, true}
	}
	for _, p := range t.Prefixes {
		byLength := &m.prefixes[family(p.Prefix.Addr())][p.Prefix.Bits()]
		if *byLength == nil {
			*byLength = map[netip.Addr]binding{}
		}
		(*byLength)[p.Prefix.Addr()] = binding{p.Class, p.Segment, p.MAC, false}
	}
	for _, c := range t.Classes {
		m.classes[c.ID] = c
	}
	for _, r := range t.Ports {
		for n := int(r.Lo); n <= int(r.Hi); n++ {
			m.services[service{r.Proto, uint16(n)}] = r.Class
		}
	}
	for _, c := range t.Cells {
		m.cells[crossing{c.Src, c.Dst, c.Port}] = c
	}
	for _, r := range t.Rules {
		m.rules[r.ID] = r
	}
	for _, w := range t.Windows {
		m.windows[w.ID] = w
	}
	return m
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// find gives what is known of an address: its own entry, else that of the longest prefix that holds it.
func (m *Model) find(a netip.Addr) (binding, bool) {
	if b, ok := m.hosts[a]; ok {
		return b, true
	}
	byLength := m.prefixes[family(a)]
	for bits := len(byLength) - 1; bits >= 0; bits-- {
		if byLength[bits] == nil {
			continue
		}
		if p, err := a.Prefix(bits); err == nil {
			if b, ok := byLength[bits][p.Addr()]; ok {
				return b, true
			}
		}
	}
	return binding{}, false
}

// permission is the cell that lets src open towards dst.
func (m *Model) permission(src, dst uint16, proto uint8, port uint16) (packet.Cell, bool) {
	switch proto {
	case tcp, udp, sctp, icmp, icmp6:
	default:
		port = 0
	}
	class := m.services[service{proto, port}]
	if class == 0 {
		return packet.Cell{}, false
	}
	c, ok := m.cells[crossing{src, dst, class}]
	return c, ok
}

// Decide says what becomes of a packet and changes st.Flows and st.Fragments accordingly. With anchors, a redirect has to pass the egress
// program as well.
func Decide(t *packet.Tables, a *anchors.Anchors, st *State, in Packet) Decision {
	return New(t).Decide(a, st, in)
}

// Decide is the function of the same name over prepared tables.
func (m *Model) Decide(a *anchors.Anchors, st *State, in Packet) Decision {
	w := walk{m: m, st: st, in: in}
	reason := w.all()
	if reason == "" && w.out.Verdict == Redirect && a != nil {
		reason = Leave(a, st.Isolated, w.in.Port, w.out.exit(), w.p.src, w.p.dst)
	}
	w.out.Segment = w.segment.ID
	if reason != "" {
		return Decision{Verdict: Drop, Reason: reason, Segment: w.segment.ID}
	}
	return w.out
}
