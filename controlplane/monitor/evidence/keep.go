package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// series is the rings of a class or line, and the minute that is under way.
type series struct {
	rings  [3]*ring // seconds, minutes, hours
	minute *minute
	caught bool // hours that ended while nobody looked were made
	totals Totals
}

// minute is a minute under way.
type minute struct {
	Record
	trips []time.Duration
}

// Keep judges and writes samples; those that are there already change nothing, so the dataplane's whole memory may be given again.
// Samples of one look come together. It goes on after an error, which it gives.
func (s *Store) Keep(samples []measure.Sample) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := map[lookAt]measure.Sample{}
	for _, x := range samples {
		if x.Class == "" {
			lines[lookAt{x.Line, x.Run, x.Seq}] = x
		}
	}
	var errs []error
	failed := map[Series]bool{} // said once
	for _, x := range samples {
		id := Series{x.Line, x.Class}
		if failed[id] || x.At <= 0 {
			continue
		}
		if err := s.keep(id, x, lines[lookAt{x.Line, x.Run, x.Seq}]); err != nil {
			failed[id] = true
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, s.settle(samples))...)
}

type lookAt struct {
	line string
	run  uint32
	seq  uint64
}

func (s *Store) keep(id Series, x, line measure.Sample) error {
	se, err := s.open(id)
	if err != nil {
		s.refused[id] = true
		return err
	}
	delete(s.refused, id)
	r := second(x, line)
	old, state, err := se.rings[0].at(r.At)
	if err != nil {
		return err
	}
	switch {
	case state == broken:
		s.told["damaged"]++ // torn when the power went: written again, as far as the dataplane still knows it
	case state == whole && (old.run != r.run || old.seq != r.seq) && old.At == r.At:
		s.told["twice"]++ // the clock was set back
		if worse(old, r) {
			r = old
		}
	}
	if se.minute != nil && se.minute.At != floorTo(r.At, 60) {
		if err := s.finish(id, se); err != nil {
			return err
		}
	}
	if se.minute == nil {
		se.minute = &minute{Record: Record{At: floorTo(r.At, 60), Up: Way{Worst: 1000}, Down: Way{Worst: 1000}}}
	}
	se.minute.add(r, x.Probe.Trips)
	se.totals.add(r)
	return se.rings[0].write(r)
}

// worse tells whether a is the worse of two records of the same time.
func worse(a, b Record) bool {
	return cmp.Or(cmp.Compare(a.Up.Broken()+a.Down.Broken(), b.Up.Broken()+b.Down.Broken()), cmp.Compare(a.DownFor, b.DownFor)) > 0
}

// second is the record of one sample.
func second(x, line measure.Sample) Record {
	up, down, upShare, downShare := Judge(x, line)
	r := Record{At: x.At, Covered: 1, Span: x.Span, Up: wayOf(x, x.Up, line.Up, up, upShare), Down: wayOf(x, x.Down, line.Down, down, downShare),
		Sent: x.Probe.Sent, Lost: x.Probe.Lost, P50: x.Probe.P50, P99: x.Probe.P99, Max: x.Probe.Max, Jitter: x.Probe.Jitter,
		run: x.Run, seq: uint32(x.Seq)}
	switch x.State {
	case measure.Up:
		r.UpFor = 1
	case measure.Down:
		r.DownFor = 1
	default:
		r.Degraded = 1
	}
	return r
}

func wayOf(x measure.Sample, f, line measure.Flow, v Verdict, share uint16) Way {
	w := Way{Bytes: uint64(delivered(x, f, line) * x.Span.Seconds() / 8), Packets: f.Packets, Drops: uint32(min(f.Drops, 1<<32-1)), Backlog: uint32(min(f.Backlog, 1<<32-1)),
		Guarantee: f.Guarantee, Rate: f.Rate, Worst: share}
	w.see(0, 1, v)
	return w
}

// add takes a second into the minute. Of one that came before only what is worse counts, as in the ring.
func (m *minute) add(r Record, trips []time.Duration) {
	i := int(r.At - m.At)
	if m.Up.Verdicts != nil && m.Up.Verdicts[i] != NotKnown {
		m.Up.worsen(i, r.Up.Verdicts[0], r.Up.Worst)
		m.Down.worsen(i, r.Down.Verdicts[0], r.Down.Worst)
		return
	}
	m.Record.sum(r)
	m.Up.see(i, 60, r.Up.Verdicts[0])
	m.Down.see(i, 60, r.Down.Verdicts[0])
	m.trips = append(m.trips, trips...)
	for _, t := range trips {
		m.Delays.add(t)
	}
}

// sum adds what is added up, whatever the tier.
func (x *Record) sum(r Record) {
	x.Covered += r.Covered
	x.Span += r.Span
	x.UpFor, x.Degraded, x.DownFor = x.UpFor+r.UpFor, x.Degraded+r.Degraded, x.DownFor+r.DownFor
	x.Sent, x.Lost = x.Sent+r.Sent, x.Lost+r.Lost
	x.Max, x.Jitter = max(x.Max, r.Max), max(x.Jitter, r.Jitter)
	x.Up.sum(r.Up)
	x.Down.sum(r.Down)
}

func (w *Way) sum(o Way) {
	w.Bytes, w.Packets, w.Drops, w.Backlog = w.Bytes+o.Bytes, w.Packets+o.Packets, w.Drops+o.Drops, max(w.Backlog, o.Backlog)
	w.Guarantee, w.Rate, w.Worst = o.Guarantee, o.Rate, min(w.Worst, o.Worst)
}

// finish writes the minute under way, with what was written of it before. The hour it lies in is made anew.
func (s *Store) finish(id Series, se *series) error {
	m := se.minute
	if m == nil {
		return nil
	}
	se.minute = nil
	slices.Sort(m.trips)
	m.P50, m.P99 = measure.Quantile(m.trips, 0.5), measure.Quantile(m.trips, 0.99)
	old, state, err := se.rings[1].at(m.At)
	if err != nil {
		return err
	}
	if state == broken {
		s.told["damaged"]++
	}
	r := m.Record
	if state == whole {
		r = unite(old, m)
	}
	if err := se.rings[1].write(r); err != nil {
		return fmt.Errorf("class %q of line %q: %w", id.Class, id.Line, err)
	}
	hour := floorTo(m.At, 3600)
	if !se.caught { // what the minutes hold of hours that nobody made when they ended
		se.caught = true
		for h := hour - 24*3600; h < hour; h += 3600 {
			if err := se.makeHour(h); err != nil {
				return err
			}
		}
	}
	return se.makeHour(hour)
}

// unite makes one of what was written of a minute before and what is known now: of different seconds their sum, else the one that knows
// of more seconds, and of these what the other knows to be worse.
func unite(old Record, m *minute) Record {
	if apart(old, m.Record) {
		m.join(old)
		return m.Record
	}
	most, other := m.Record, old
	if old.Covered > m.Covered {
		most, other = old, m.Record
	}
	for _, w := range []struct{ into, of *Way }{{&most.Up, &other.Up}, {&most.Down, &other.Down}} {
		for i, v := range w.of.Verdicts {
			w.into.worsen(i, v, w.of.Worst)
		}
	}
	return most
}

// worsen enters the verdict of a second that has one already, if it is worse: the guarantee was not kept.
func (w *Way) worsen(i int, v Verdict, worst uint16) {
	if v.Broken() && !w.Verdicts[i].Broken() {
		w.see(i, len(w.Verdicts), v)
		w.Worst = min(w.Worst, worst)
	}
}

// apart tells whether two records of a minute know of different seconds: one was written before a stop, the other after it.
func apart(a, b Record) bool {
	for i, v := range a.Up.Verdicts {
		if v != NotKnown && b.Up.Verdicts[i] != NotKnown {
			return false
		}
	}
	return true
}

// join takes the other part of the minute in.
func (m *minute) join(o Record) {
	m.sum(o)
	m.Delays.Merge(o.Delays)
	for i, v := range o.Up.Verdicts {
		if v != NotKnown {
			m.Up.see(i, 60, v)
			m.Down.see(i, 60, o.Down.Verdicts[i])
		}
	}
	m.P50, m.P99 = m.Delays.Quantile(0.5, m.Max), m.Delays.Quantile(0.99, m.Max)
}

// makeHour sums the minutes of an hour up, as far as they are there.
func (se *series) makeHour(at int64) error {
	minutes, _, err := se.rings[1].read(at, 60)
	if err != nil || len(minutes) == 0 {
		return err
	}
	h := Record{At: at, Up: Way{Worst: 1000}, Down: Way{Worst: 1000}}
	h.Up.Count[NotKnown], h.Down.Count[NotKnown] = 3600, 3600
	for _, m := range minutes {
		h.add(m)
	}
	h.P50, h.P99 = h.Delays.Quantile(0.5, h.Max), h.Delays.Quantile(0.99, h.Max)
	old, state, err := se.rings[2].at(at)
	if err != nil || state == whole && old.Covered > h.Covered {
		return err
	}
	return se.rings[2].write(h)
}

// add takes a minute into an hour.
func (x *Record) add(m Record) {
	x.sum(m)
	x.Delays.Merge(m.Delays)
	for _, w := range []struct{ into, of *Way }{{&x.Up, &m.Up}, {&x.Down, &m.Down}} {
		for v := NotKnown + 1; v < verdicts; v++ {
			w.into.Count[v] += w.of.Count[v]
			w.into.Count[NotKnown] -= w.of.Count[v]
		}
	}
}

// settle ends the minutes of series that got no sample any more, and once a minute makes all that was written last and tells what
// was met.
func (s *Store) settle(samples []measure.Sample) error {
	if len(samples) == 0 {
		return nil
	}
	now := samples[len(samples)-1].At / 60
	if now == s.synced {
		return nil
	}
	s.synced = now
	var errs []error
	var files []*os.File
	for id, se := range s.series {
		if se.minute != nil && se.minute.At/60 != now {
			errs = append(errs, s.finish(id, se))
		}
		for _, r := range se.rings {
			files = append(files, r.f)
		}
	}
	s.last(files)
	if n := s.told["damaged"]; n > 0 {
		s.log.Error("damaged records of the evidence were dropped: the power went while they were written, or the disk fails", "records", n)
	}
	if n := s.told["twice"]; n > 0 {
		s.log.Warn("the clock was set back: of seconds that came twice the worse is kept", "seconds", n)
	}
	clear(s.told)
	return errors.Join(errs...)
}

// last makes what was written to files last, in its own time: a slow disk holds up neither who keeps nor who reads. While it is at it,
// the next minute's turn is left out. With mu held.
func (s *Store) last(files []*os.File) {
	if !s.syncing.CompareAndSwap(false, true) {
		return
	}
	s.flushing.Go(func() {
		defer s.syncing.Store(false)
		var errs []error
		for _, f := range files {
			errs = append(errs, s.flush(f))
		}
		if err := errors.Join(errs...); err != nil {
			s.log.Error("evidence that was written may not last when the power goes", "error", err)
		}
	})
}

func (se *series) sync() error {
	var errs []error
	for _, r := range se.rings {
		errs = append(errs, r.f.Sync())
	}
	return errors.Join(errs...)
}

func (se *series) close() error {
	var errs []error
	for _, r := range se.rings {
		if r != nil {
			errs = append(errs, r.f.Close())
		}
	}
	return errors.Join(errs...)
}
