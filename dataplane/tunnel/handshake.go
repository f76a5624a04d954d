package tunnel

import "time"

// shake is a peer's last handshake: WireGuard's stamp, by the wall clock, and when it was seen to change, by the clock that never jumps.
type shake struct {
	stamp time.Time
	at    time.Time
}

// handshake tells when a peer's last handshake was, and how long ago that is. The wall clock, which time servers and people set,
// is believed once only, when the first stamp is seen: the handshake may have been made before this process was. After that, one is
// as old as the change of its stamp. A zero time: there was none, or the engine did not say. With Set.mu held.
func (r *running) handshake(p PeerState, now time.Time) (at time.Time, age time.Duration) {
	if p.Handshake.IsZero() {
		return time.Time{}, 0
	}
	s, seen := r.shaken[p.PublicKey]
	if !s.stamp.Equal(p.Handshake) {
		s = shake{stamp: p.Handshake, at: now}
		if !seen {
			s.at = now.Add(-max(0, now.Round(0).Sub(p.Handshake)))
		}
		r.shaken[p.PublicKey] = s
	}
	return s.at, now.Sub(s.at)
}
