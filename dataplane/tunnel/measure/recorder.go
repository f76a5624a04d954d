package measure

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Reading is what one look at a line saw. Counters only grow; one that went back was made anew and counts from zero.
type Reading struct {
	Line, Device string
	Classes      []Class
	Ends         []End
	Whole        Tally  // the line's own probes, and the sum of what all classes count
	RateUp       uint64 // bit/s
	RateDown     uint64
}

// Class is one bandwidth class of a line.
type Class struct {
	Name string
	Tally
	GuaranteeUp, CeilingUp     uint64 // bit/s
	GuaranteeDown, CeilingDown uint64
	// WithheldUp and WithheldDown are how much of the guarantees is not in force, bit/s.
	WithheldUp, WithheldDown uint64
	Regions                  []string // whose packets of the class go by this line now
}

// Tally is the counters of a class, or of a line.
type Tally struct {
	Up, Down   []Counters // of each who counts; nobody counts a direction without any
	Sent, Lost uint64     // probes
	Trips      []time.Duration
}

// Counters are those of one shaper in one direction, bytes as on the line.
type Counters struct {
	Of                    string // whose they are: an end's id, or empty
	At                    int64  // when they were read, in ns of the clock of who did; 0: at the look itself
	Bytes, Packets, Drops uint64
	Backlog               uint64
}

// End is one far end behind the line: did it answer in this second?
type End struct {
	ID, Region string
	Answered   bool
	Loss       bool   // some probes of the second were lost
	Both       *Books // nil: it does not say what it counts
}

// Memory is how far back samples are kept.
const Memory = 15 * time.Minute

// mostSamples bounds the memory whatever a configuration asks for: 4 lines of 16 classes and themselves for a quarter of an hour.
const mostSamples = 4 * 17 * 900

// Recorder turns readings into samples; the zero value is an empty one. Its methods may be called from several goroutines.
type Recorder struct {
	mu     sync.Mutex
	run    uint32
	seq    uint64
	last   time.Time
	series map[key]*series
	books  map[key]*compared // by device and end
	ring   []Sample          // oldest first
}

type key struct{ device, class string }

type series struct {
	was    Tally
	jitter jitter
	base   []floor // shortest trips of each minute
	tick   int64   // of the last reading
}

type floor struct {
	minute int64
	trip   time.Duration
}

// early is how much before a full second a look may come and still count as that second's end.
const early = 250 * time.Millisecond

// Take adds a look at all lines, at the end of a full second. now: with its monotonic part; the counters grew since the look
// before. The first look, and one that comes after a pause, only begins: growth over a pause belongs to no second.
func (r *Recorder) Take(now time.Time, lines []Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.series == nil {
		r.run, r.series, r.books = rand.Uint32(), map[key]*series{}, map[key]*compared{}
	}
	span := now.Sub(r.last)
	begin := r.last.IsZero() || span > 1500*time.Millisecond
	if !r.last.IsZero() && span < 500*time.Millisecond {
		return // counters go on to the next look
	}
	tick := now.Add(early).Unix()
	r.seq++
	for _, l := range lines {
		var whole Class
		whole.Tally = l.Whole
		arrivedUp, arrivedDown := r.compare(l, tick)
		for _, c := range append([]Class{whole}, l.Classes...) {
			k := key{l.Device, c.Name}
			s := r.series[k]
			fresh := s == nil
			if fresh {
				s = &series{}
				r.series[k] = s
			}
			x := s.sample(c, l, span, tick)
			if c.Name == "" {
				x.Up.Arrived, x.Down.Arrived = arrivedUp, arrivedDown
			}
			if fresh || begin {
				continue
			}
			x.At, x.Run, x.Seq, x.Line, x.Device, x.Class = tick-1, r.run, r.seq, l.Line, l.Device, c.Name
			x.Span, x.Here = span, len(c.Regions) > 0
			x.State, x.Silent = judge(l, c.Regions, lines)
			r.ring = append(r.ring, x)
		}
	}
	r.last = now
	r.forget(tick)
}

// forget drops what is too old, by the count of looks since the clock may be set, and series that went.
func (r *Recorder) forget(tick int64) {
	from := 0
	for from < len(r.ring) && (r.ring[from].Seq+uint64(Memory/time.Second) <= r.seq || len(r.ring)-from > mostSamples) {
		from++
	}
	if from > 0 {
		r.ring = append([]Sample(nil), r.ring[from:]...)
	}
	for k, s := range r.series {
		if s.tick != tick {
			delete(r.series, k)
		}
	}
	for k, b := range r.books {
		if b.tick != tick {
			delete(r.books, k)
		}
	}
}

// sample is what a class did since the last look.
func (s *series) sample(c Class, l Reading, span time.Duration, tick int64) Sample {
	var x Sample
	x.Up, x.Down = flow(s.was.Up, c.Up, span), flow(s.was.Down, l.heard(c.Down), span)
	x.Up.Guarantee, x.Up.Ceiling, x.Up.Rate = c.GuaranteeUp, c.CeilingUp, l.RateUp
	x.Up.Withheld, x.Down.Withheld = c.WithheldUp, c.WithheldDown
	x.Down.Guarantee, x.Down.Ceiling, x.Down.Rate = c.GuaranteeDown, c.CeilingDown, l.RateDown
	for _, t := range c.Trips {
		s.lower(tick/60, t)
	}
	x.Probe = probeOf(uint32(since(s.was.Sent, c.Sent)), uint32(since(s.was.Lost, c.Lost)), c.Trips, &s.jitter, s.floor(tick/60))
	s.was, s.tick = c.Tally, tick
	return x
}

// heard leaves out the counters of ends that did not answer in this second: they would blind the line to those that did.
func (l Reading) heard(all []Counters) (out []Counters) {
	for _, c := range all {
		i := slices.IndexFunc(l.Ends, func(e End) bool { return e.ID == c.Of })
		if i < 0 || l.Ends[i].Answered {
			out = append(out, c)
		}
	}
	return out
}

func since(was, is uint64) uint64 {
	if is < was {
		return is
	}
	return is - was
}

// flow adds up what grew. A far end's counters come with a probe's answer, some tenths of a second old, so what they grew by is brought
// from its span to ours; when one of them brings nothing new, the direction is not counted in this second.
func flow(was, is []Counters, span time.Duration) Flow {
	f := Flow{Arrived: -1}
	for _, c := range is {
		i := slices.IndexFunc(was, func(w Counters) bool { return w.Of == c.Of })
		if i < 0 {
			return Flow{Arrived: -1}
		}
		w, scale := was[i], 1.0
		if c.At != 0 {
			if c.At <= w.At {
				return Flow{Arrived: -1}
			}
			scale = float64(span) / float64(c.At-w.At)
		}
		grew := func(was, is uint64) uint64 { return uint64(scale*float64(since(was, is)) + 0.5) }
		f.Bytes, f.Packets, f.Drops = f.Bytes+grew(w.Bytes, c.Bytes), f.Packets+grew(w.Packets, c.Packets), f.Drops+grew(w.Drops, c.Drops)
		f.Before, f.Backlog = f.Before+w.Backlog, f.Backlog+c.Backlog
	}
	f.Counted = len(is) > 0
	return f
}

// lower and floor keep the shortest trip of each of the last 15 minutes: the line when nothing waits.
func (s *series) lower(minute int64, t time.Duration) {
	if n := len(s.base); n > 0 && s.base[n-1].minute == minute {
		s.base[n-1].trip = min(s.base[n-1].trip, t)
		return
	}
	s.base = append(s.base, floor{minute, t})
}

func (s *series) floor(minute int64) (least time.Duration) {
	for len(s.base) > 0 && (s.base[0].minute <= minute-15 || s.base[0].minute > minute) {
		s.base = s.base[1:]
	}
	for _, b := range s.base {
		if least == 0 || b.trip < least {
			least = b.trip
		}
	}
	return least
}

// judge is the state of a line for some regions, of none for all, and, when an end is silent, whose fault it is. An end that is silent
// here and answers on another line shows the line at fault; one that is silent beside others that answer on the same line shows the
// far end at fault.
func judge(l Reading, regions []string, all []Reading) (State, Silence) {
	answered, silent, loss := 0, 0, false
	elsewhere, beside := false, false
	for _, e := range l.Ends {
		if len(regions) > 0 && !slices.Contains(regions, e.Region) {
			beside = beside || e.Answered
			continue
		}
		if e.Answered {
			answered++
			loss = loss || e.Loss
			continue
		}
		silent++
		for _, o := range all {
			for _, f := range o.Ends {
				elsewhere = elsewhere || o.Device != l.Device && f.Region == e.Region && f.Answered
			}
		}
	}
	switch {
	case answered+silent == 0: // nothing is probed: nobody can tell
		return Degraded, Heard
	case silent == 0 && !loss:
		return Up, Heard
	case silent == 0:
		return Degraded, Heard
	case answered > 0:
		return Degraded, OfFar
	case elsewhere && !beside:
		return Down, OfLine
	case beside && !elsewhere:
		return Down, OfFar
	}
	return Down, OfEither
}

// Since gives the samples of the seconds from the Unix time from on, oldest first, of at most seconds different ones. A clock that
// was set back makes seconds come twice; After does not depend on it.
func (r *Recorder) Since(from int64, seconds int) []Sample {
	return r.pick(seconds, func(s Sample) bool { return s.At >= from })
}

// After gives what came after the look seq of the run: a cursor into the memory. Of another run, everything is new.
func (r *Recorder) After(run uint32, seq uint64, seconds int) []Sample {
	return r.pick(seconds, func(s Sample) bool { return s.Run != run || s.Seq > seq })
}

func (r *Recorder) pick(seconds int, wanted func(Sample) bool) []Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []Sample{}
	last, n := uint64(0), 0
	for _, s := range r.ring {
		if !wanted(s) {
			continue
		}
		if s.Seq != last {
			if n++; n > seconds {
				break
			}
			last = s.Seq
		}
		out = append(out, s)
	}
	return out
}
