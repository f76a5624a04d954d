// Package ways decides by which end a region's packets go.
//
// Problem: a line that is cut must be left within a second, one that comes and goes must not drag the traffic along, and each
// bandwidth class has its own order of lines. Mechanism: each end is up, down or held back, by the answers to its probes; each
// region and class takes the best end by state first, by order second, and one that was lost serves again only after it was
// good for a while, longer each time. When all ends of a region are down, one that may take over carries its prefixes. Life
// cycle: Configure with each generation, Sent, Heard, Link and Keys as things happen, Step whenever time has passed. The clock is
// the caller's; nothing here acts. Invariant: a way never stays on an end that is down while another one of the region is up,
// and when none is, it stays where it was.
package ways

import (
	"maps"
	"slices"
	"time"
)

const (
	lostProbes = 3                      // in a row without an answer,
	lostAfter  = 350 * time.Millisecond // the first of them so long ago, and a round trip: the end is lost
	missAfter  = 50 * time.Millisecond  // a probe that is not answered so long after a round trip is missed
	longest    = time.Second            // round trip that is waited for
	holdFirst  = 10 * time.Second       // good for so long before it serves again
	holdMost   = 5 * time.Minute
	forgiven   = 10 * time.Minute // up for so long: the next loss is a first one again
	patience   = 3 * time.Second  // for a region's own ends to come up before another region's take over
)

// End is one way to a region.
type End struct {
	ID        string
	Region    string
	Device    string
	TakesOver []string // regions
	Probed    bool     // it answers probes; else the keys alone tell whether it is up
}

// State of an end.
type State int

// An end that is held back was lost and answers again, but not for long enough.
const (
	Down State = iota
	Held
	Up
)

func (s State) String() string { return [...]string{"down", "held", "up"}[s] }

// Place is a region's on a device.
type Place struct{ Device, Region string }

// Stream is what a region is sent in one bandwidth class; class 0: all classes without an order of their own.
type Stream struct {
	Region string
	Class  uint8
}

// Ways is where everything goes.
type Ways struct {
	Holders map[Place]string  // the end that carries the region's prefixes on the device
	Devices map[Stream]string // the device that the class goes by
}

// Uses tells whether anything goes by the end.
func (w Ways) Uses(end string) bool {
	for stream, device := range w.Devices {
		if w.Holders[Place{device, stream.Region}] == end {
			return true
		}
	}
	return false
}

// end is an End with what is known of it.
type end struct {
	End
	state      State
	ever       bool // it was up once
	since      time.Time
	alive      bool      // it answers
	unanswered int       // probes since it was heard last,
	asked      time.Time // and when the first of them was sent
	trip       time.Duration
	linkDown   bool
	stale      bool // no fresh keys
	good       time.Time
	hold       time.Duration
	flapped    bool // lost once
	born       time.Time
}

// Machine holds the states and the ways. Not for several goroutines at once.
type Machine struct {
	ends   []*end             // in order of preference
	order  []string           // devices
	prefer map[uint8][]string // by class
	links  map[string]bool    // devices whose line is down
	ways   Ways
	fresh  bool      // configured since the last choice
	at     time.Time // of the last choice: patience ends without a change of any state
}

// New makes a machine without ends.
func New() *Machine {
	return &Machine{links: map[string]bool{}, ways: Ways{map[Place]string{}, map[Stream]string{}}}
}

// Configure makes it care for exactly these ends, in this order; what is known of those that stay is kept. Prefer: the order of
// devices by class; devices that one does not name come after, in the order of all.
func (m *Machine) Configure(ends []End, order []string, prefer map[uint8][]string, now time.Time) {
	old := m.ends
	m.ends, m.order, m.prefer, m.fresh = nil, order, map[uint8][]string{}, true
	for class, devices := range prefer {
		m.prefer[class] = devices
	}
	for _, e := range ends {
		i := slices.IndexFunc(old, func(o *end) bool {
			return o.ID == e.ID && o.Region == e.Region && o.Device == e.Device && o.Probed == e.Probed
		})
		x := &end{born: now, hold: holdFirst, linkDown: m.links[e.Device], stale: !e.Probed}
		if i >= 0 {
			x = old[i]
		}
		x.End = e
		m.ends = append(m.ends, x)
	}
}

func (m *Machine) find(id string) *end {
	for _, e := range m.ends {
		if e.ID == id {
			return e
		}
	}
	return &end{} // one that has gone
}

// Sent tells that a probe was sent.
func (m *Machine) Sent(id string, now time.Time) {
	e := m.find(id)
	if e.unanswered == 0 {
		e.asked = now
	}
	e.unanswered++
}

// Heard tells that a probe was answered after a round trip.
func (m *Machine) Heard(id string, trip time.Duration) {
	e := m.find(id)
	if e.alive && trip > e.trip {
		trip = e.trip + (trip-e.trip)/8 // the line's own, rather than what waits in its queues now
	}
	e.alive, e.unanswered, e.trip = !e.linkDown, 0, min(trip, longest)
}

// Missed tells whether a probe should have been answered by now.
func (m *Machine) Missed(id string, now time.Time) bool {
	e := m.find(id)
	return e.unanswered > 0 && now.Sub(e.asked) >= e.trip+missAfter
}

// Link tells that the line below a device, or the device, went down or came up. Who was lost with it must answer again.
func (m *Machine) Link(device string, up bool) {
	m.links[device] = !up
	for _, e := range m.ends {
		if e.Device != device {
			continue
		}
		if e.linkDown = !up; !up {
			e.alive = false
		}
	}
}

// Keys tells whether the end's last handshake is recent enough for its keys to serve.
func (m *Machine) Keys(id string, fresh bool) { m.find(id).stale = !fresh }

// State of an end, and since when.
func (m *Machine) State(id string) (State, time.Time) {
	e := m.find(id)
	return e.state, e.since
}

// Step makes all follow from what was told, and tells whether a way has changed.
func (m *Machine) Step(now time.Time) bool {
	changed := m.fresh || now.Sub(m.at) > patience
	for _, e := range m.ends {
		before := e.state
		e.step(now)
		changed = changed || e.state != before
	}
	if !changed {
		return false
	}
	m.fresh, m.at = false, now
	next := m.choose(now)
	if maps.Equal(next.Holders, m.ways.Holders) && maps.Equal(next.Devices, m.ways.Devices) {
		return false
	}
	m.ways = next
	return true
}

// Ways as of the last Step. Never changed afterwards.
func (m *Machine) Ways() Ways { return m.ways }

func (e *end) step(now time.Time) {
	if e.unanswered >= lostProbes && now.Sub(e.asked) >= lostAfter+e.trip {
		e.alive = false
	}
	good := !e.linkDown && !e.stale && (e.alive || !e.Probed)
	switch {
	case !good && e.state == Up:
		// Lost soon after it came back: it flaps.
		if e.hold = min(2*e.hold, holdMost); !e.flapped || now.Sub(e.since) > forgiven {
			e.hold = holdFirst
		}
		e.flapped = true
		e.set(Down, now)
	case !good:
		e.set(Down, now)
	case e.state == Down && !e.ever:
		e.set(Up, now)
	case e.state == Down:
		e.good = now
		e.set(Held, now)
	case e.state == Held && now.Sub(e.good) >= e.hold:
		e.set(Up, now)
	}
}

func (e *end) set(s State, now time.Time) {
	if e.state != s {
		e.state, e.since = s, now
	}
	e.ever = e.ever || s == Up
}
