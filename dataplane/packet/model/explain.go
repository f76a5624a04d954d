package model

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Query is what `sekisho trace` asks: may the first packet of such a communication pass?
type Query struct {
	From  anchors.Zone // it enters by a segment of this zone; None: by the segment that Src lies in
	Src   netip.Addr
	Dst   netip.Addr
	Proto uint8
	SPort uint16
	DPort uint16     // ICMP: the type
	DSCP  uint8      // code point
	MAC   packet.MAC // zero: the registered one
	At    time.Time  // zero: now

	Isolated map[anchors.Zone]bool // zones that people have cut off
}

// Step is one decision on the way.
type Step struct {
	Name    string   `json:"name"` // parse, segment, neighbour, isolation, nat, station, destination, flow, policy, class, forward, egress
	OK      bool     `json:"ok"`
	Reason  string   `json:"reason,omitempty"` // drop reason, when not OK
	Text    string   `json:"text"`             // facts, in English, for a person of the trade
	Rule    uint32   `json:"rule,omitempty"`
	Records []string `json:"records,omitempty"` // that permit it
}

var (
	explained   = packet.MAC{2, 0, 0, 0, 0, 1}    // of the gate's port, which a query does not know
	someStation = packet.MAC{2, 0, 0, 0, 0, 0xee} // where no MAC is asked for or registered
)

// Explain walks the decision for the first packet of a flow, as far as tables and anchors alone can tell: routes are taken
// to be those that the destination's class permits.
func Explain(t *packet.Tables, a *anchors.Anchors, q Query) []Step {
	tables := *t
	if tables.Epoch == 0 {
		tables.Epoch = 1 // not loaded yet; explain as if it were
	}
	m := New(&tables).Anchored(a)
	steps := []Step{}
	if !q.Src.IsValid() || !q.Dst.IsValid() || q.Src.Is4() != q.Dst.Is4() {
		return append(steps, Step{Name: "parse", Reason: "ip-header", Text: fmt.Sprintf("%s to %s: want two addresses of one family", q.Src, q.Dst)})
	}
	enters, ok := m.Entrance(q)
	if !ok {
		return append(steps, Step{Name: "segment", Reason: "segment-unknown", Text: fmt.Sprintf("no segment of zone %s that %s could enter by", q.From, q.Src)})
	}
	q.MAC = m.sender(q)
	if q.At.IsZero() {
		q.At = time.Now()
	}
	st := &State{MACs: map[string]packet.MAC{enters.Port: explained}, Route: m.permitted, Isolated: q.Isolated, Clock: Clock{Floor: q.At}}
	w := walk{m: m, st: st, in: Packet{Port: enters.Port, Frame: m.firstPacket(q, enters), Bare: enters.Tunnel, Now: q.At}, told: &steps}
	if w.all() != "" || a == nil {
		return steps
	}
	if s := m.segments[w.dst.segment]; s.Tunnel && q.Src.Is4() {
		if known, ok := outsideOf(a, s.Name, q.Src); ok {
			return append(steps, Step{Name: "nat", OK: true, Text: fmt.Sprintf("segment %s knows %s as %s", s.Name, q.Src, known)})
		}
	}
	if w.out.Verdict != Redirect {
		return steps
	}
	reason := Leave(a, q.Isolated, enters.Port, w.out.exit(), q.Src, q.Dst)
	return append(steps, Step{Name: "egress", OK: reason == "", Reason: reason, Text: fmt.Sprintf("the egress program of %s judges by the anchors", w.out.Egress)})
}

// sender is the MAC that a query's packet comes from: the registered one when the query names none.
func (m *Model) sender(q Query) packet.MAC {
	known, _ := m.find(q.Src)
	switch {
	case !q.MAC.IsZero():
		return q.MAC
	case !known.mac.IsZero():
		return known.mac
	}
	return someStation
}

// Entrance is the segment by which a query's packet enters.
func (m *Model) Entrance(q Query) (packet.Segment, bool) {
	known, _ := m.find(q.Src)
	if s, ok := m.segments[known.segment]; ok && (q.From == anchors.None || s.Zone == q.From) {
		return s, true
	}
	for _, s := range m.tables.Segments {
		if s.Zone == q.From && !s.Tunnel {
			return s, true
		}
	}
	return packet.Segment{}, false
}

// permitted is a routing table that says what the destination's class permits.
func (m *Model) permitted(_ string, _, dst netip.Addr) Hop {
	b, _ := m.find(dst)
	c, ok := m.class(b.class)
	hop := Hop{Found: ok, Device: c.Port, VLAN: c.VLAN, Outer: c.Outer, Next: dst, MAC: explained, MTU: 1500}
	if !c.OnLink {
		for _, via := range c.Via {
			if via.Is4() == dst.Is4() {
				hop.Next = via
			}
		}
	}
	return hop
}

// firstPacket is the frame that a query describes. Queries name inside addresses, as records do: a region that knows the
// destination by another writes that one.
func (m *Model) firstPacket(q Query, s packet.Segment) []byte {
	if s.Tunnel && m.anchors != nil && q.Dst.Is4() {
		if known, ok := outsideOf(m.anchors, s.Name, q.Dst); ok {
			q.Dst = known
		}
	}
	return frameOf(q, s)
}

// frameOf builds it.
func frameOf(q Query, s packet.Segment) []byte {
	var l4 []byte
	switch q.Proto {
	case tcp:
		l4 = make([]byte, 20)
		l4[12], l4[13] = 5<<4, syn
	case udp:
		l4 = make([]byte, 8)
		be.PutUint16(l4[4:], 8)
	case sctp:
		l4 = make([]byte, 12)
	case icmp, icmp6:
		l4 = make([]byte, 8)
		l4[0] = byte(q.DPort)
	}
	if q.Proto == tcp || q.Proto == udp || q.Proto == sctp {
		be.PutUint16(l4[0:], q.SPort)
		be.PutUint16(l4[2:], q.DPort)
	}
	var b []byte
	if !s.Tunnel {
		b = append(b, explained[:]...)
		b = append(b, q.MAC[:]...)
		if s.Outer != 0 {
			b = be.AppendUint16(b, serviceTag)
			b = be.AppendUint16(b, s.Outer)
		}
		if s.VLAN != 0 {
			b = be.AppendUint16(b, customerTag)
			b = be.AppendUint16(b, s.VLAN)
		}
	}
	if q.Src.Is4() {
		if !s.Tunnel {
			b = be.AppendUint16(b, 0x0800)
		}
		b = append(b, 0x45, q.DSCP<<2)
		b = be.AppendUint16(b, uint16(20+len(l4)))
		b = append(b, 0, 0, 0, 0, 64, q.Proto, 0, 0)
	} else {
		if !s.Tunnel {
			b = be.AppendUint16(b, 0x86dd)
		}
		b = append(b, 0x60|q.DSCP>>2&15, q.DSCP<<6, 0, 0)
		b = be.AppendUint16(b, uint16(len(l4)))
		b = append(b, q.Proto, 64)
	}
	b = append(b, q.Src.AsSlice()...)
	b = append(b, q.Dst.AsSlice()...)
	return append(b, l4...)
}
