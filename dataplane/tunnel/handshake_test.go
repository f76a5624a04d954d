package tunnel

import (
	"testing"
	"time"
)

// Whoever sets the clock must neither end a tunnel that works nor keep a dead one up.
func TestHandshakeAgesByTheClockThatNeverJumps(t *testing.T) {
	now := time.Now()
	wall := now.Round(0)
	for _, c := range []struct {
		name  string
		jump  time.Duration // of the wall clock, between the two stamps
		first time.Duration // age of the first stamp, by the wall clock
		want  time.Duration // age at first sight
	}{
		{"no jump", 0, 10 * time.Second, 10 * time.Second},
		{"set forward", time.Hour, 10 * time.Second, 10 * time.Second},
		{"set back", -time.Hour, 10 * time.Second, 10 * time.Second},
		{"made before the daemon began, long ago", 0, time.Hour, time.Hour},
		{"made in the future, the clock was set back before the daemon began", 0, -time.Hour, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &running{shaken: map[string]shake{}}
			age := func(stamp time.Time, after time.Duration) time.Duration {
				_, a := r.handshake(PeerState{PublicKey: "p", Handshake: stamp}, now.Add(after))
				return a
			}
			first := wall.Add(-c.first)
			if got := age(first, 0); got != c.want {
				t.Errorf("at first sight %s, want %s", got, c.want)
			}
			if got := age(first, 5*time.Second); got != c.want+5*time.Second {
				t.Errorf("5 s later %s, want %s", got, c.want+5*time.Second)
			}
			second := wall.Add(c.jump + 20*time.Second)
			if got := age(second, 21*time.Second); got != 0 {
				t.Errorf("the next handshake: %s, want 0", got)
			}
			if got := age(second, 201*time.Second); got != handshakeLimit {
				t.Errorf("180 s later %s, want %s", got, handshakeLimit)
			}
		})
	}
	if at, _ := (&running{}).handshake(PeerState{PublicKey: "p"}, now); !at.IsZero() {
		t.Errorf("none was made, and it is said to be of %s", at)
	}
}
