package tunnel

import (
	"context"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

const (
	leastMTU  = 1280 // IPv6 demands it
	confirm   = 10 * time.Minute
	lookAbove = 6 // every so many confirmations it is tried whether longer packets pass by now
)

// sized is what is known of the longest packet that a device's ends get.
type sized struct {
	found     int  // bytes; 0: not known yet
	short     bool // not even what is set, or the least, passes
	next      time.Time
	rounds    int
	searching bool
}

// lookAtSizes starts a search where one is due: when an end comes up, and then again and again.
func (s *Set) lookAtSizes(ctx context.Context, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.tunnels {
		var up []*asker
		for _, a := range s.askers {
			if st, since := s.machine.State(a.peer.ID); a.device == r.spec.Device && st == ways.Up {
				if since.After(r.size.next.Add(-confirm)) {
					r.size.next = now // it came up since the last search: the way may be another
				}
				up = append(up, a)
			}
		}
		if len(up) > 0 && !r.size.searching && !now.Before(r.size.next) {
			r.size.searching, r.size.next = true, now.Add(confirm)
			go s.measure(ctx, r, up)
		}
	}
}

// measure finds the longest packet that all ends of a device get, and makes it the device's MTU where none is given.
func (s *Set) measure(ctx context.Context, r *running, ends []*asker) {
	s.mu.Lock()
	spec, known := r.spec, r.size.found
	again := known != 0 && r.size.rounds%lookAbove != 0
	r.size.rounds++
	s.mu.Unlock()
	passes := func(n int) bool {
		for _, a := range ends {
			if !a.passes(ctx, n) {
				return false
			}
		}
		return true
	}
	top := spec.MTU
	var err error
	if top == 0 {
		top, err = longest(spec)
	}
	found := 0
	switch {
	case err != nil:
	case again && passes(known):
		found = known
	default:
		err = s.setMTU(spec.Device, top) // a longer packet would not even enter the device
		if err == nil {
			found = search(leastMTU, top, passes)
		}
	}
	s.mu.Lock()
	r.size.searching = false
	if err == nil && ctx.Err() == nil && s.allUp(ends) {
		r.size.found, r.size.short = found, found < min(top, max(spec.MTU, leastMTU))
	}
	mtu := r.size.found
	s.mu.Unlock()
	if spec.MTU == 0 && err == nil {
		err = s.setMTU(spec.Device, max(min(mtu, top), leastMTU))
	}
	if err != nil {
		s.o.Log.Warn("find the longest packet that passes", "device", spec.Device, "error", err)
	}
}

// allUp tells whether what was just measured were ends, and not their going down.
func (s *Set) allUp(ends []*asker) bool {
	for _, a := range ends {
		if st, _ := s.machine.State(a.peer.ID); st != ways.Up {
			return false
		}
	}
	return true
}

// search finds the largest number between least and most that passes; 0: not even the least does. A loss by chance must not
// make it small: what it found is asked once more from above.
func search(least, most int, passes func(int) bool) int {
	if passes(most) {
		return most
	}
	if !passes(least) {
		return 0
	}
	low, high := least, most // low passes, high does not
	for high-low > 1 {
		if mid := (low + high) / 2; passes(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

func (s *Set) setMTU(device string, mtu int) error {
	l, err := netlink.LinkByName(device)
	if err != nil || l.Attrs().MTU == mtu {
		return err
	}
	return netlink.LinkSetMTU(l, mtu)
}
