package packet

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
)

// Flow is one flow as its initiator opened it.
type Flow struct {
	Proto      uint8      `json:"proto"`
	Src        netip.Addr `json:"src"` // initiator
	SPort      uint16     `json:"sport"`
	Dst        netip.Addr `json:"dst"`
	DPort      uint16     `json:"dport"` // ICMP: both ports are the echo identifier
	SrcSegment uint16     `json:"src_segment"`
	DstSegment uint16     `json:"dst_segment"`
	Rule       uint32     `json:"rule"`
	BWClass    uint8      `json:"bwclass"`
	Epoch      uint32     `json:"epoch"`
	Idle       float64    `json:"idle"`    // seconds since the last packet
	Forward    Count      `json:"forward"` // packets modulo 2^32, bytes modulo 2^48
	Reverse    Count      `json:"reverse"`
}

// How long a flow may be idle; the same numbers decide in bpf/flow.h, these only hide what the programs ignore already.
const (
	timeoutTCP        = 7200 * time.Second
	timeoutTCPOpening = 30 * time.Second
	timeoutTCPClosed  = 10 * time.Second
	timeoutUDP        = 180 * time.Second
	timeoutUDPOpening = 30 * time.Second
	timeoutICMP       = 30 * time.Second
	timeoutOther      = 600 * time.Second
)

func flowTimeout(proto, state uint8) time.Duration {
	switch proto {
	case protoTCP:
		if state&flowReset != 0 || state&(flowFinA|flowFinB) == flowFinA|flowFinB {
			return timeoutTCPClosed
		}
		if state&flowAnswered != 0 {
			return timeoutTCP
		}
		return timeoutTCPOpening
	case protoUDP:
		if state&flowAnswered != 0 {
			return timeoutUDP
		}
		return timeoutUDPOpening
	case protoICMP, protoICMP6:
		return timeoutICMP
	}
	return timeoutOther
}

func (r rawFlow) flow(now, hz uint32) Flow {
	portA, portB := r.ports()
	segmentA, segmentB := r.segments()
	f := Flow{
		Proto: r.proto(),
		Src:   r.a, SPort: portA, SrcSegment: segmentA,
		Dst: r.b, DPort: portB, DstSegment: segmentB,
		Rule: r.Rule, BWClass: r.BWClass, Epoch: r.Epoch,
		Idle:    r.idle(now, hz).Seconds(),
		Forward: r.sent(0), Reverse: r.sent(1),
	}
	if r.State&flowFromB != 0 {
		f.Src, f.Dst, f.SPort, f.DPort = f.Dst, f.Src, f.DPort, f.SPort
		f.SrcSegment, f.DstSegment = f.DstSegment, f.SrcSegment
		f.Forward, f.Reverse = f.Reverse, f.Forward
	}
	return f
}

// ticks is the clock of the lines.
func (c *Core) ticks() (now, hz uint32, err error) {
	if hz, err = tickRate(); err != nil {
		return 0, 0, err
	}
	if now, err = c.objects.TicksNow.Run(&ebpf.RunOptions{}); err != nil {
		return 0, 0, fmt.Errorf("read the clock of the flow table: %w", err)
	}
	return now, hz, nil
}

// Flows lists up to max flows that are not over, in no order.
func (c *Core) Flows(max int) ([]Flow, error) {
	out := []Flow{}
	c.mu.Lock()
	defer c.mu.Unlock()
	now, hz, err := c.ticks()
	if err != nil {
		return nil, err
	}
	err = c.lines.walk(func(r rawFlow) bool {
		if len(out) < max && !r.over(now, hz) {
			out = append(out, r.flow(now, hz))
		}
		return len(out) < max
	})
	return out, err
}

// FlowUse is how full the flow table is.
type FlowUse struct {
	Live     uint32 `json:"live"`     // flows, with those that are over and not yet removed
	Capacity uint32 `json:"capacity"` // that may live at once
	Overflow uint32 `json:"overflow"` // of the live ones, those that found no room in their two sets
}

// FlowUse reads it.
func (c *Core) FlowUse() (FlowUse, error) {
	var n programsFlowUse
	if err := c.objects.FlowUses.Lookup(uint32(0), &n); err != nil {
		return FlowUse{}, fmt.Errorf("read how full the flow table is: %w", err)
	}
	return FlowUse{Live: n.Live, Capacity: c.capacity, Overflow: n.Overflow}, nil
}

// settlePickUp begins the time for picking connections up when the flow table is new; no daemon can prolong it by starting
// again.
func (c *Core) settlePickUp(d time.Duration) error {
	if c.fresh || d <= 0 {
		return c.PickUp(d)
	}
	return nil
}

// PickUp lets TCP connections go on for a time whose beginning the programs have not seen; from the initiator's side only.
func (c *Core) PickUp(d time.Duration) error {
	until := uint64(0)
	if d > 0 {
		until = uint64(monotonic() + int64(d))
	}
	if err := c.objects.PickupUntil.Put(uint32(0), until); err != nil {
		return fmt.Errorf("let connections be picked up: %w", err)
	}
	return nil
}
