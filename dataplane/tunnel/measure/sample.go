// Package measure remembers, second by second, what each line and class was given.
//
// Problem: whether a guarantee was kept in the second in which a screen hung is asked days later, and counters that are read every
// now and then have averaged that second away. Mechanism: once a second the counters of both ends are read, their growth, the
// probes of the second and the plan that was in force become one sample for each class and one for each line as a whole; the last
// quarter of an hour is kept in memory, for a control daemon that may have been down. Life cycle: a Recorder lives as long as the
// daemon and is told a Reading a second; nothing is on disk. Invariant: a sample holds what was counted in its own second and
// nothing else; a second that nobody looked at has no sample.
package measure

import "time"

// State of a line, or of the way that a class takes on it.
type State string

const (
	Up       State = "up"       // every end answers
	Degraded State = "degraded" // some ends answer, or with loss
	Down     State = "down"     // no end answers
)

// Sample is one second of one class on one line; without a class, of the line as a whole.
type Sample struct {
	At     int64  `json:"at"`              // Unix seconds: the second's beginning
	Run    uint32 `json:"run"`             // of the daemon that counted, drawn at its start: the same second seen twice is told from one that was lived twice
	Seq    uint64 `json:"seq"`             // of the look, rising by one
	Line   string `json:"line"`            // contract
	Device string `json:"device"`          // tunnel device
	Class  string `json:"class,omitempty"` // empty: the line

	Span  time.Duration `json:"span"` // that the counters grew over, about a second; those of the far end are brought to it
	Up    Flow          `json:"up"`   // towards the regions
	Down  Flow          `json:"down"` // from them
	Probe Probe         `json:"probe"`
	State State         `json:"state"`
	Here  bool          `json:"here,omitempty"` // the class has its way here: what it is owed, it is owed here
	// Silent says of an end that did not answer whose fault that is, as far as other ends and lines tell.
	Silent Silence `json:"silent,omitempty"`
}

// Flow is one direction of a second. Bytes are as on the line, with what the tunnel adds to each packet; rates are in bit/s.
type Flow struct {
	Counted   bool    `json:"counted"` // somebody counts here; without it, the numbers say nothing
	Bytes     uint64  `json:"bytes"`   // sent
	Packets   uint64  `json:"packets"`
	Drops     uint64  `json:"drops"`              // at the shaper of this direction
	Backlog   uint64  `json:"backlog"`            // bytes that waited there at the end of the second
	Before    uint64  `json:"before"`             // and at its beginning
	Guarantee uint64  `json:"guarantee"`          // as the contract with the class has it, with what it brings along from a line that is down
	Withheld  uint64  `json:"withheld,omitempty"` // of it, since lines that are down leave less to promise: the guarantee in force is what remains
	Ceiling   uint64  `json:"ceiling"`
	Rate      uint64  `json:"rate"`    // of the line in this direction
	Arrived   float64 `json:"arrived"` // share of what was sent over the last seconds that the other side counted; < 0: not known
}

// Delivered is the rate over a span, in bit/s.
func (f Flow) Delivered(span time.Duration) float64 {
	if span <= 0 {
		return 0
	}
	return 8 * float64(f.Bytes) / span.Seconds()
}

// Silence is why nobody answered.
type Silence string

const (
	Heard    Silence = ""        // somebody answered
	OfLine   Silence = "line"    // the regions answer on another line
	OfFar    Silence = "far-end" // other regions answer on this line
	OfEither Silence = "unknown" // nothing tells line and far end apart
)
