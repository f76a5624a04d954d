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

// Event is one sampled drop, or a notice of something that is none. Counters are the evidence; events are rate-limited per
// reason and per kind of notice.
type Event struct {
	Time    time.Time  `json:"time"`
	Reason  string     `json:"reason,omitempty"` // "": a notice
	Notice  string     `json:"notice,omitempty"` // mac-moved
	Hook    string     `json:"hook"`             // xdp, devmap, port-in, port-out, tunnel-in, tunnel-out
	Port    string     `json:"port"`
	Segment uint16     `json:"segment"` // ingress segment, 0 = not known
	VLAN    uint16     `json:"vlan"`
	Outer   uint16     `json:"outer,omitempty"`   // service tag
	Rule    uint32     `json:"rule,omitempty"`    // that permitted it before a later step refused it
	Epoch   uint32     `json:"epoch,omitempty"`   // of the tables that decided; 0: none did yet
	Records []string   `json:"records,omitempty"` // of the rule, while its tables are current
	Known   MAC        `json:"known,omitzero"`    // mac-moved: the MAC that was known before
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

const eventSize = 96 // struct event, padded to 8

// notices are the names of enum notice by number.
var notices = [...]string{"", "mac-moved"}

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
		Rule: le.Uint32(b[20:]), Epoch: le.Uint32(b[24:]), Segment: le.Uint16(b[28:]), VLAN: le.Uint16(b[30:]), Outer: le.Uint16(b[32:]),
		SPort: le.Uint16(b[34:]), DPort: le.Uint16(b[36:]), Hook: hookName(b[38]), Proto: b[40],
		SMAC: MAC(b[42:48]), DMAC: MAC(b[48:54]), Known: MAC(b[54:60]),
	}
	if family := b[39]; family != 0 {
		e.Src, e.Dst = addrBytes(b[60:76]).goAddr(), addrBytes(b[76:92]).goAddr()
	}
	if n := b[41]; n != 0 {
		e.Notice = "unknown"
		if int(n) < len(notices) {
			e.Notice = notices[n]
		}
	}
	e.Records = c.recordsOf(e.Epoch, e.Rule)
	return e, true
}

func hookName(n uint8) string {
	if int(n) < len(hooks) {
		return hooks[n]
	}
	return "unknown"
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
