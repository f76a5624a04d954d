package region

import (
	"slices"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// patience is how long after its start a far end lets the gate begin. Two that begin at once annul each other's handshakes.
const patience = 1500 * time.Millisecond

// keepaliveOnce is any interval: what counts is the packet with which WireGuard begins to keep alive.
const keepaliveOnce = 25 // seconds

// begin shakes hands with a gate that says nothing. One whose far end was started anew goes on with the session that it has,
// which nobody knows here any more, and would notice after 15 s only (WireGuard's KEEPALIVE_TIMEOUT + REKEY_TIMEOUT).
func (f *far) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.ends {
		if !e.heard.IsZero() || !e.Gate.Endpoint.IsValid() {
			continue
		}
		peers, err := e.held.Peers()
		if err == nil && slices.ContainsFunc(peers, func(p tunnel.PeerState) bool { return p.PublicKey == e.Gate.PublicKey && !p.Handshake.IsZero() }) {
			continue // it has begun, and has nothing to say
		}
		err = f.configureFor(e, keepaliveOnce)
		if err == nil {
			err = f.configure(e)
		}
		if err != nil {
			f.log.Warn("shake hands with the gate", "device", e.Name, "error", err)
		}
	}
}
