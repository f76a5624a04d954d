package gate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// hub hands the packet core's events, which only one may read, to everybody who asks.
type hub struct {
	mu      sync.Mutex
	readers map[chan packet.Event]bool
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
		for e := range events {
			h.spread(e)
		}
	}
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
