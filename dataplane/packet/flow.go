package packet

import (
	"errors"
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
	Idle       float64    `json:"idle"` // seconds since the last packet
	Forward    Count      `json:"forward"`
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

const (
	flowFinA     = 1
	flowFinB     = 2
	flowReset    = 4
	flowAnswered = 8
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

func goFlow(k programsFlowKey, v programsFlow, now int64) Flow {
	f := Flow{
		Proto: k.Proto,
		Src:   addrBytes(k.A.B).goAddr(), SPort: k.PortA, SrcSegment: k.SegmentA,
		Dst: addrBytes(k.B.B).goAddr(), DPort: k.PortB, DstSegment: k.SegmentB,
		Rule: v.Rule, BWClass: v.Bwclass, Epoch: v.Epoch,
		Idle:    max(0, time.Duration(now-int64(v.Last)).Seconds()),
		Forward: Count{v.Packets[0], v.Bytes[0]}, Reverse: Count{v.Packets[1], v.Bytes[1]},
	}
	if v.FromB != 0 {
		f.Src, f.Dst, f.SPort, f.DPort = f.Dst, f.Src, f.DPort, f.SPort
		f.SrcSegment, f.DstSegment = f.DstSegment, f.SrcSegment
		f.Forward, f.Reverse = f.Reverse, f.Forward
	}
	return f
}

// walk calls f with every flow until it returns false. Flows that come and go meanwhile may be missed.
func (c *Core) walk(f func(programsFlowKey, programsFlow) bool) error {
	const batch = 4096
	keys, vals := make([]programsFlowKey, batch), make([]programsFlow, batch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := c.objects.Flows.BatchLookup(&cursor, keys, vals, nil)
		for i := range n {
			if !f(keys[i], vals[i]) {
				return nil
			}
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("walk through the flows: %w", err)
		}
	}
}

// Flows lists up to max flows that are not over, in no order.
func (c *Core) Flows(max int) ([]Flow, error) {
	out := []Flow{}
	now := monotonic()
	err := c.walk(func(k programsFlowKey, v programsFlow) bool {
		if len(out) < max && !over(k, v, now) {
			out = append(out, goFlow(k, v, now))
		}
		return len(out) < max
	})
	return out, err
}

func over(k programsFlowKey, v programsFlow, now int64) bool {
	return time.Duration(now-int64(v.Last)) > flowTimeout(k.Proto, v.State)
}
