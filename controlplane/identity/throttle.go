package identity

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Guessing is slowed down twice. For a person in a zone: after freeTries wrong passwords the door stays closed, each time
// twice as long, up to maxWait; by zone, so that one zone cannot lock a person out of another. For a zone: wrong passwords
// for whatever names draw from one bucket; when it is empty, everybody in that zone waits. A try counts as wrong until it
// was right, so that tries in parallel gain nothing. Held in memory: a restart starts anew.
const (
	freeTries = 5
	firstWait = 30 * time.Second
	maxWait   = 15 * time.Minute

	zoneBurst = 60
	zoneRate  = rate.Limit(0.5) // a second
	maxDoors  = 10_000          // names remembered; beyond that the stale ones go
)

type door struct {
	zone   anchors.Zone
	person string
}

type tries struct {
	wrong int
	until time.Time // closed until then
}

type throttle struct {
	mu    sync.Mutex
	doors map[door]*tries
	zones map[anchors.Zone]*rate.Limiter
}

func newThrottle() *throttle {
	return &throttle{doors: map[door]*tries{}, zones: map[anchors.Zone]*rate.Limiter{}}
}

// begin tells whether a try may be made, and counts it as wrong.
func (t *throttle) begin(d door, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.doors[d]
	if s == nil {
		if len(t.doors) >= maxDoors {
			t.forget(now)
		}
		s = &tries{}
		t.doors[d] = s
	}
	if now.Before(s.until) || !t.zone(d.zone).AllowN(now, 1) {
		return false
	}
	if s.wrong++; s.wrong >= freeTries {
		wait := maxWait
		if over := s.wrong - freeTries; over < 5 {
			wait = min(maxWait, firstWait<<over)
		}
		s.until = now.Add(wait)
	}
	return true
}

// right takes back what begin counted.
func (t *throttle) right(d door, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.doors, d)
	t.zone(d.zone).AllowN(now, -1)
}

func (t *throttle) zone(z anchors.Zone) *rate.Limiter {
	l := t.zones[z]
	if l == nil {
		l = rate.NewLimiter(zoneRate, zoneBurst)
		t.zones[z] = l
	}
	return l
}

// forget drops the doors that are open; when every one is closed, all stay.
func (t *throttle) forget(now time.Time) {
	for d, s := range t.doors {
		if !now.Before(s.until) {
			delete(t.doors, d)
		}
	}
}
