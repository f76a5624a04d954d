package model

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// End is one end of a flow.
type End struct {
	Segment uint16
	Addr    netip.Addr
	Port    uint16 // ICMP echo: the identifier
}

func (e End) less(o End) bool {
	if e.Segment != o.Segment {
		return e.Segment < o.Segment
	}
	if c := e.Addr.Compare(o.Addr); c != 0 {
		return c < 0
	}
	return e.Port < o.Port
}

// FlowKey is a flow whichever end speaks.
type FlowKey struct {
	Proto  uint8
	Lo, Hi End
	Asker  End // ICMP echo: who asks. A question back is another flow.
}

// Flow is what is remembered of an allowed opening.
type Flow struct {
	Opener   End
	Epoch    uint32
	Rule     uint32
	BWClass  uint8
	Asked    uint16 // destination port or ICMP type that the policy allowed
	Last     time.Time
	Answered bool
	Reset    bool
	Closed   [2]bool // by the opener, by the other
	Counted  bool    // against the opener's limit as a station
}

// patience is how long a flow may be idle.
func (f *Flow) patience(proto uint8) time.Duration {
	switch proto {
	case tcp:
		if f.Reset || f.Closed[0] && f.Closed[1] {
			return 10 * time.Second
		}
		if !f.Answered {
			return 30 * time.Second
		}
		return 2 * time.Hour
	case udp:
		if !f.Answered {
			return 30 * time.Second
		}
		return 3 * time.Minute
	case icmp, icmp6:
		return 30 * time.Second
	}
	return 10 * time.Minute
}

const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

// admit finds the packet's flow, or asks the policy and opens one.
func (w *walk) admit() string {
	isICMP := w.p.proto == icmp || w.p.proto == icmp6
	question := w.p.proto == icmp && w.p.typ == 8 || w.p.proto == icmp6 && w.p.typ == 128
	answer := w.p.proto == icmp && w.p.typ == 0 || w.p.proto == icmp6 && w.p.typ == 129
	asked := w.p.dport
	if isICMP {
		if !question && !answer {
			w.tell("flow", "icmp-type", func() string { return fmt.Sprintf("ICMP type %d neither asks nor answers an echo", w.p.typ) })
			return "icmp-type"
		}
		asked = uint16(w.p.typ)
	}
	from := End{w.segment.ID, w.p.src, w.p.sport}
	to := End{w.dst.segment, w.p.dst, w.p.dport}
	key := FlowKey{Proto: w.p.proto, Lo: from, Hi: to}
	if to.less(from) {
		key.Lo, key.Hi = to, from
	}
	if question {
		key.Asker = from
	} else if answer {
		key.Asker = to
	}
	if f := w.st.Flows[key]; f != nil && w.in.Now.Sub(f.Last) <= f.patience(w.p.proto) {
		reason := w.reuse(f, from)
		w.tell("flow", reason, func() string {
			return fmt.Sprintf("belongs to a flow opened by %s port %d", f.Opener.Addr, f.Opener.Port)
		})
		return reason
	}
	reason := w.open(key, from, asked, isICMP && !question)
	w.tell("policy", reason, func() string {
		text := fmt.Sprintf("class %d to class %d, protocol %d, port %d: rule %d", w.src.class, w.dst.class, w.p.proto, asked, w.out.Rule)
		if t := w.m.times(w.out.Rule); t != "" {
			text += ", in force " + t + " (Japan's time)"
		}
		return text
	})
	return reason
}

// opening is a TCP segment that begins a connection and does nothing else.
func (w *walk) opening() bool { return w.p.flags&(syn|ack|rst|fin) == syn }

// reuse lets a packet use a live flow. After a change of policy the flow's opener must still be permitted to open it.
func (w *walk) reuse(f *Flow, from End) string {
	back := from != f.Opener
	if f.Epoch != w.m.tables.Epoch {
		opener, other := w.src.class, w.dst.class
		if back {
			opener, other = other, opener
		}
		cell, ok := w.m.permission(opener, other, w.p.proto, f.Asked)
		if !ok {
			return w.unpermitted()
		}
		f.Epoch, f.Rule, f.BWClass = w.m.tables.Epoch, cell.Rule, cell.BWClass
	}
	if reason := w.m.inForce(f.Rule, w.st.Clock, w.st.now(w.in)); reason != "" {
		return reason
	}
	if back && w.p.proto == tcp && w.opening() {
		return "flow-direction"
	}
	f.Last = w.in.Now
	if back {
		f.Answered = true
	}
	if w.p.proto == tcp {
		if w.opening() {
			f.Answered, f.Reset, f.Closed = false, false, [2]bool{}
		}
		if w.p.flags&rst != 0 {
			f.Reset = true
		}
		if w.p.flags&fin != 0 {
			side := 0
			if back {
				side = 1
			}
			f.Closed[side] = true
		}
	}
	w.out.Rule, w.out.BWClass = f.Rule, f.BWClass
	return ""
}

// unpermitted names the lack of a cell: between zones that may never meet it is another fault than a record not written.
func (w *walk) unpermitted() string {
	from, to := w.m.segments[w.src.segment].Zone, w.m.segments[w.dst.segment].Zone
	if from != to && !slices.Contains(meet[from], to) {
		return "zone-pair"
	}
	return "no-cell"
}

// open asks the policy and remembers its yes.
func (w *walk) open(key FlowKey, from End, asked uint16, reply bool) string {
	if reply {
		return "icmp-no-flow"
	}
	cell, ok := w.m.permission(w.src.class, w.dst.class, w.p.proto, asked)
	if !ok {
		return w.unpermitted()
	}
	w.out.Rule, w.out.BWClass = cell.Rule, cell.BWClass
	if reason := w.m.inForce(cell.Rule, w.st.Clock, w.st.now(w.in)); reason != "" {
		return reason
	}
	picked := w.p.proto == tcp && !w.opening()
	if picked && !(w.st.PickUp && w.p.flags&(syn|ack|rst|fin) == ack) {
		return "tcp-not-syn"
	}
	delete(w.st.Flows, key) // one that is over makes room first
	if reason := w.admitted(from); reason != "" {
		return reason
	}
	if w.st.Flows == nil {
		w.st.Flows = map[FlowKey]*Flow{}
	}
	w.st.Flows[key] = &Flow{Opener: from, Epoch: w.m.tables.Epoch, Rule: cell.Rule, BWClass: cell.BWClass, Asked: asked, Last: w.in.Now, Counted: w.stationLimited(), Answered: picked}
	w.out.Opened = true
	return ""
}
