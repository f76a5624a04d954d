// Package model is the packet core's decision in plain Go: what bpf/ must do, for differential tests, for `sekisho trace`
// and for readers.
//
// Problem: a decision that only exists as C for a verifier can be neither read nor checked. Mechanism: the same decision,
// written from the contract and not from the C, over the same tables; the outside world (routes, neighbours, flows, time)
// is passed in. Life cycle: none, it is a function; New only builds lookup maps. Invariant: for the same tables, state and
// frame, Decide and the loaded programs give the same verdict and the same reason.
package model

import (
	"cmp"
	"net/netip"
	"slices"
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
	ByMark  bool       // its code point chose BWClass
	Segment uint16     // ingress segment, 0 = not known
	Egress  string     // device, with Redirect
	VLAN    uint16     // that it leaves with, with Redirect
	Outer   uint16     // service VLAN around it
	NextMAC packet.MAC // with Redirect
	Mark    uint32     // without the magic, with Stack
	Opened  bool       // a flow was created
	Frame   []byte     // with Stack from a tunnel: as it goes up
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

// Model is a set of tables, ready to be asked. Large tables are searched where they lie, so that one question about a policy
// costs no more than finding its answer.
type Model struct {
	tables   *packet.Tables // in canonical order
	segments map[uint16]packet.Segment
	ports    map[attachment]uint16
	prefixes [2][]map[netip.Addr]binding // by family; index: prefix length
	windows  map[uint8]packet.Window
	anchors  *anchors.Anchors // nil: every tunnel is a place of its own, and nothing is mapped
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

// New prepares tables; they must not change while the model is in use.
func New(t *packet.Tables) *Model {
	inOrder := packet.Ordered(*t)
	m := &Model{tables: &inOrder, segments: map[uint16]packet.Segment{}, ports: map[attachment]uint16{}, windows: map[uint8]packet.Window{}}
	m.prefixes[0], m.prefixes[1] = make([]map[netip.Addr]binding, 33), make([]map[netip.Addr]binding, 129)
	for _, s := range t.Segments {
		m.segments[s.ID] = s
		if !s.Tunnel {
			m.ports[attachment{s.Port, s.VLAN, s.Outer}] = s.ID
		}
	}
	for _, p := range t.Prefixes {
		byLength := &m.prefixes[family(p.Prefix.Addr())][p.Prefix.Bits()]
		if *byLength == nil {
			*byLength = map[netip.Addr]binding{}
		}
		(*byLength)[p.Prefix.Addr()] = binding{p.Class, p.Segment, p.MAC, false}
	}
	for _, w := range t.Windows {
		m.windows[w.ID] = w
	}
	return m
}

// Anchored tells m what the tables do not say and the programs know from the anchors: which tunnels are one place, and as what
// regions know our addresses. It gives m.
func (m *Model) Anchored(a *anchors.Anchors) *Model {
	m.anchors = a
	return m
}

// entry finds a row of a table in order; the zero row when there is none.
func entry[T, K any](rows []T, key K, order func(T, K) int) (T, bool) {
	i, ok := slices.BinarySearchFunc(rows, key, order)
	if !ok {
		var none T
		return none, false
	}
	return rows[i], true
}

func (m *Model) host(a netip.Addr) (packet.Host, bool) {
	return entry(m.tables.Hosts, a, func(h packet.Host, a netip.Addr) int { return h.Addr.Compare(a) })
}

func (m *Model) class(id uint16) (packet.Class, bool) {
	return entry(m.tables.Classes, id, func(c packet.Class, id uint16) int { return cmp.Compare(c.ID, id) })
}

// kind of a class; 0 when there is no such class.
func (m *Model) kind(id uint16) packet.Kind {
	c, _ := m.class(id)
	return c.Kind
}

func (m *Model) rule(id uint32) (packet.Rule, bool) {
	return entry(m.tables.Rules, id, func(r packet.Rule, id uint32) int { return cmp.Compare(r.ID, id) })
}

// service is the port class of a protocol's port, 0 for none.
func (m *Model) service(proto uint8, port uint16) uint16 {
	r, _ := entry(m.tables.Ports, port, func(r packet.PortRange, port uint16) int {
		if c := cmp.Compare(r.Proto, proto); c != 0 || r.Lo <= port && port <= r.Hi {
			return c
		}
		return cmp.Compare(r.Lo, port)
	})
	return r.Class
}

func (m *Model) cell(src, dst, port uint16) (packet.Cell, bool) {
	return entry(m.tables.Cells, packet.Cell{Src: src, Dst: dst, Port: port}, func(c, k packet.Cell) int {
		return cmp.Or(cmp.Compare(c.Src, k.Src), cmp.Compare(c.Dst, k.Dst), cmp.Compare(c.Port, k.Port))
	})
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// find gives what is known of an address: its own entry, else that of the longest prefix that holds it.
func (m *Model) find(a netip.Addr) (binding, bool) {
	if h, ok := m.host(a); ok {
		return binding{h.Class, h.Segment, h.MAC, true}, true
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
	class := m.service(proto, port)
	if class == 0 {
		return packet.Cell{}, false
	}
	return m.cell(src, dst, class)
}

// Decide says what becomes of a packet and changes st.Flows and st.Fragments accordingly. With anchors, a redirect has to pass the egress
// program as well.
func Decide(t *packet.Tables, a *anchors.Anchors, st *State, in Packet) Decision {
	return New(t).Anchored(a).Decide(a, st, in)
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
