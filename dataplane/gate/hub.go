package gate

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// hub hands the packet core's events, which only one may read, to everybody who asks.
type hub struct {
	mu      sync.Mutex
	readers map[chan packet.Event]bool
	claims  map[netip.Addr]claim
}

func newHub() *hub { return &hub{readers: map[chan packet.Event]bool{}} }

func (h *hub) join() (<-chan packet.Event, func()) {
	ch := make(chan packet.Event, 256)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers[ch] = true
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.readers, ch)
	}
}

func (h *hub) run(ctx context.Context, core *packet.Core, log *slog.Logger) {
	for ctx.Err() == nil {
		events, err := core.Events(ctx)
		if err != nil {
			log.Error("read events", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
			continue
		}
		said := map[string]time.Time{}
		for e := range events {
			tell(log, said, e)
			h.note(e)
			h.spread(e)
		}
	}
}

// alarms are what somebody should look at whoever listens; each is told once a minute for each device.
var alarms = []string{"mac-moved", "duplicate-address", "flow-table-full"}

const alarmEvery = time.Minute

func tell(log *slog.Logger, said map[string]time.Time, e packet.Event) {
	what := e.Notice
	if what == "" {
		what = e.Reason
	}
	if !slices.Contains(alarms, what) || e.Time.Sub(said[what+" "+e.Port]) < alarmEvery {
		return
	}
	said[what+" "+e.Port] = e.Time
	log.Warn("the packet core raises an alarm", "alarm", what, "device", e.Port, "segment", e.Segment, "src", e.Src, "dst", e.Dst, "mac", e.SMAC, "known", e.Known)
}

func (h *hub) spread(e packet.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.readers {
		select {
		case ch <- e:
		default: // too slow
		}
	}
}
