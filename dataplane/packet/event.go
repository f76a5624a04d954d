package packet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

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

var hooks = [...]string{"", "xdp", "devmap", "port-in", "port-out", "tunnel-in", "tunnel-out"}

const eventSize = 80 // struct event, padded to 8

// Events streams sampled drops until ctx ends; then the channel is closed. One reader at a time: two would share the events.
func (c *Core) Events(ctx context.Context) (<-chan Event, error) {
	r, err := ringbuf.NewReader(c.objects.Events)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	out := make(chan Event, 64)
	stop := context.AfterFunc(ctx, func() { r.Close() })
	go func() {
		defer close(out)
		defer stop()
		defer r.Close()
		for {
			record, err := r.Read()
			if errors.Is(err, ringbuf.ErrClosed) {
				return
			}
			if err != nil {
				c.log.Error("reading events ended", "error", err)
				return
			}
			e, ok := c.event(record.RawSample)
			if !ok {
				continue
			}
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func (c *Core) event(b []byte) (e Event, ok bool) {
	if len(b) < eventSize {
		return e, false
	}
	e = Event{
		Time:   time.Now().Add(-time.Duration(monotonic() - int64(le.Uint64(b[0:])))),
		Reason: reasonName(le.Uint32(b[8:])), Port: c.deviceAt(int(le.Uint32(b[12:]))), Length: le.Uint32(b[16:]),
		Segment: le.Uint16(b[20:]), VLAN: le.Uint16(b[22:]), SPort: le.Uint16(b[24:]), DPort: le.Uint16(b[26:]),
		Proto: b[30], SMAC: MAC(b[32:38]), DMAC: MAC(b[38:44]),
	}
	if int(b[28]) < len(hooks) {
		e.Hook = hooks[b[28]]
	}
	if b[29] != 0 {
		e.Src, e.Dst = addrBytes(b[44:60]).goAddr(), addrBytes(b[60:76]).goAddr()
	}
	return e, true
}

func (c *Core) deviceAt(ifindex int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.status {
		if s.Index == ifindex {
			return s.Name
		}
	}
	return fmt.Sprintf("#%d", ifindex)
}

// monotonic is the clock that the programs stamp flows and events with, in ns.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}
