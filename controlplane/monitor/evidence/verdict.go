package evidence

import (
	"fmt"
	"slices"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// Verdict on one direction of one second of a class.
type Verdict uint8

// The order and numbers are those of the files.
const (
	NotKnown   Verdict = iota // no sample: nobody looked
	NotCounted                // looked, but nobody counts this direction, or the counts did not come
	Idle                      // less than the guarantee was offered: nothing was owed
	Kept                      // at least the guarantee was offered, and 98 % of it or more was delivered
	ByOwn                     // not kept: the class was at its ceiling, or own traffic filled the line
	ByLine                    // not kept: lost or held up between the two ends
	ByFar                     // not kept: the far end was silent, or its shaper held the class back
	ByUnknown                 // not kept: nothing that was counted says why
	ByOther                   // not kept: less could be promised here, since another line was down
	verdicts
)

// Broken tells whether the verdict is that a guarantee was not kept.
func (v Verdict) Broken() bool { return v >= ByOwn && v < verdicts }

var names = [verdicts]string{"not-known", "not-counted", "idle", "kept", "own-traffic", "line", "far-end", "unknown", "other-line"}

// String names the verdict as reports and metrics do.
func (v Verdict) String() string {
	if v >= verdicts {
		return fmt.Sprintf("verdict %d", uint8(v))
	}
	return names[v]
}

// MarshalText and UnmarshalText use the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

func (v *Verdict) UnmarshalText(b []byte) error {
	i := slices.Index(names[:], string(b))
	if i < 0 {
		return fmt.Errorf("verdict %q: want one of %v", b, names)
	}
	*v = Verdict(i)
	return nil
}

const (
	enough = 0.98 // of the guarantee, or of what was sent
	full   = 0.95 // of the line's rate: the shaper's root runs a little below it

	// standing is the queue that shows that a class wanted more the whole second: there at both its ends, and at least so long at
	// the guaranteed rate, and more than the two packets that may just be passing.
	standing      = 5 * time.Millisecond
	standingBytes = 3000

	// late is how much longer than the shortest trips may take, beyond the wait in the class's own queue, before the line between
	// the ends is said to hold packets up.
	late = 50 * time.Millisecond

	// lossy is the share of the second's probes that must be lost, of a class whose own queue dropped nothing.
	lossy = 0.1
)

// Judge says of both directions of a class's second whether its guarantee was kept, and how many thousandths of it were delivered. line
// is the same second of the line as a whole.
func Judge(class, line measure.Sample) (up, down Verdict, upShare, downShare uint16) {
	up, upShare = judge(class, class.Up, line.Up, false)
	down, downShare = judge(class, class.Down, line.Down, true)
	return up, down, upShare, downShare
}

func judge(s measure.Sample, f, line measure.Flow, far bool) (Verdict, uint16) {
	switch {
	case f.Guarantee == 0:
		return Idle, 1000
	case s.State == measure.Down && s.Here: // whoever got no answer offered nothing more: that nothing waits is no proof that nothing was wanted
		return cause(s, f, line, far), 0
	case !f.Counted:
		return NotCounted, 1000
	case !offered(s, f):
		return Idle, 1000
	}
	delivered := delivered(s, f, line)
	share := delivered / float64(f.Guarantee)
	if share >= enough {
		return Kept, 1000
	}
	return cause(s, f, line, far), uint16(1000 * share)
}

// delivered is the rate in bit/s at which a direction came out at the other end.
func delivered(s measure.Sample, f, line measure.Flow) float64 {
	switch {
	case s.State == measure.Down:
		return 0
	case line.Arrived >= 0 && line.Arrived < enough:
		return f.Delivered(s.Span) * line.Arrived
	}
	return f.Delivered(s.Span) // what is between is how far apart the two ends were read
}

// offered tells whether the class had at least its guarantee to send: it sent and dropped so much, or its queue stood.
func offered(s measure.Sample, f measure.Flow) bool {
	bits := 8 * float64(f.Bytes)
	if f.Packets > 0 {
		bits += bits / float64(f.Packets) * float64(f.Drops)
	} else {
		bits += float64(f.Drops) * 8 * 1500
	}
	if bits >= enough*float64(f.Guarantee)*s.Span.Seconds() {
		return true
	}
	least := max(standingBytes, uint64(float64(f.Guarantee)/8*standing.Seconds()))
	return f.Before >= least && f.Backlog >= least
}

// cause is the first that fits. far: the shaper of this direction is the far end's.
func cause(s measure.Sample, f, line measure.Flow, far bool) Verdict {
	sent, total := f.Delivered(s.Span), s.Probe.Sent
	queue := time.Duration(float64(f.Backlog) * 8 / float64(f.Guarantee) * float64(time.Second))
	switch {
	case s.State == measure.Down && s.Silent == measure.OfFar: // of some that are silent beside others nothing was counted
		return ByFar
	case s.State == measure.Down && s.Silent == measure.OfLine:
		return ByLine
	case s.State == measure.Down:
		return ByUnknown
	case line.Arrived >= 0 && line.Arrived < enough:
		return ByLine
	case float64(f.Guarantee-min(f.Guarantee, f.Withheld)) < enough*float64(f.Guarantee):
		return ByOther
	case f.Ceiling > 0 && sent >= enough*float64(f.Ceiling):
		return ByOwn
	case !far && line.Rate > 0 && line.Delivered(s.Span) >= full*float64(line.Rate):
		return ByOwn
	case total > 0 && float64(s.Probe.Lost) >= lossy*float64(total) && s.Up.Drops+s.Down.Drops == 0:
		return ByLine
	case s.Probe.Base > 0 && s.Probe.P50 > s.Probe.Base+late+queue:
		return ByLine
	case far:
		return ByFar
	}
	return ByUnknown
}
