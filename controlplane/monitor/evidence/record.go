package evidence

import (
	"encoding/binary"
	"time"
)

// Record is what is known of a second, a minute or an hour of a series.
type Record struct {
	At       int64         `json:"at"`      // Unix seconds: its beginning
	Covered  uint16        `json:"covered"` // seconds of it that were measured
	Span     time.Duration `json:"span"`    // that the counters grew over
	UpFor    uint16        `json:"up_for"`  // seconds in which the line was up; degraded and down likewise
	Degraded uint16        `json:"degraded_for"`
	DownFor  uint16        `json:"down_for"`

	Up   Way `json:"up"`
	Down Way `json:"down"`

	Sent   uint32        `json:"probes"`
	Lost   uint32        `json:"probes_lost"`
	P50    time.Duration `json:"p50"` // of seconds and minutes those of all their probes; of hours those of the histogram
	P99    time.Duration `json:"p99"`
	Max    time.Duration `json:"max"`
	Jitter time.Duration `json:"jitter"` // the greatest

	Delays Histogram `json:"-"` // not of seconds

	run, seq uint32 // of seconds: which look it was
}

// Way is one direction.
type Way struct {
	Bytes     uint64 `json:"bytes"` // delivered, as the line counts them: inner packets and what each grows by
	Packets   uint64 `json:"packets"`
	Drops     uint32 `json:"drops"`
	Backlog   uint32 `json:"backlog"`   // bytes, the most at the end of a second
	Guarantee uint64 `json:"guarantee"` // bit/s, at its end; kept to 1000 bit/s
	Rate      uint64 `json:"rate"`      // bit/s of the line
	Worst     uint16 `json:"worst"`     // thousandths of the guarantee that were delivered in the worst second in which it was not kept; 1000: none

	Verdicts []Verdict        `json:"-"` // of a second one, of a minute 60, of an hour none
	Count    [verdicts]uint16 `json:"-"` // seconds by verdict
}

// Delivered is the mean rate in bit/s over what was measured.
func (w Way) Delivered(span time.Duration) float64 {
	if span <= 0 {
		return 0
	}
	return 8 * float64(w.Bytes) / span.Seconds()
}

// Broken is how many seconds the guarantee was not kept in.
func (w Way) Broken() (n int) {
	for v := ByOwn; v < verdicts; v++ {
		n += int(w.Count[v])
	}
	return n
}

// encode appends the record's slot; decodeRecord reads it. Both follow the same order.
func (x Record) encode(b []byte, t Tier) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(x.Span.Milliseconds()))
	for _, n := range []uint16{x.Covered, x.UpFor, x.Degraded, x.DownFor} {
		b = le.AppendUint16(b, n)
	}
	for _, n := range []uint32{x.Sent, x.Lost, micros(x.P50), micros(x.P99), micros(x.Max), micros(x.Jitter)} {
		b = le.AppendUint32(b, n)
	}
	for _, w := range []Way{x.Up, x.Down} {
		b = le.AppendUint64(b, w.Bytes)
		b = le.AppendUint64(b, w.Packets)
		for _, n := range []uint32{w.Drops, w.Backlog, kilo(w.Guarantee), kilo(w.Rate)} {
			b = le.AppendUint32(b, n)
		}
		b = le.AppendUint16(b, w.Worst)
	}
	for _, w := range []Way{x.Up, x.Down} {
		switch t.Step {
		case Seconds.Step:
			b = append(b, byte(w.Verdicts[0]))
		case Minutes.Step:
			for i := 0; i < 60; i += 2 {
				b = append(b, byte(w.Verdicts[i])|byte(w.Verdicts[i+1])<<4)
			}
		default:
			for _, n := range w.Count[:former] {
				b = le.AppendUint16(b, n)
			}
		}
	}
	if t.Step == Seconds.Step {
		return le.AppendUint32(le.AppendUint32(b, x.run), x.seq)
	}
	for _, n := range x.Delays.packed() {
		b = le.AppendUint16(b, n)
	}
	if t.Step == Hours.Step {
		for _, w := range []Way{x.Up, x.Down} {
			for _, n := range w.Count[former:] {
				b = le.AppendUint16(b, n)
			}
		}
	}
	return b
}

// former is how many verdicts there were at first; what came later lies behind everything else, where older files have zeros.
const former = ByUnknown + 1

func decodeRecord(b []byte, t Tier) (x Record) {
	c := cursor{b}
	x.Span = time.Duration(c.u32()) * time.Millisecond
	for _, p := range []*uint16{&x.Covered, &x.UpFor, &x.Degraded, &x.DownFor} {
		*p = c.u16()
	}
	x.Sent, x.Lost = c.u32(), c.u32()
	for _, p := range []*time.Duration{&x.P50, &x.P99, &x.Max, &x.Jitter} {
		*p = time.Duration(c.u32()) * time.Microsecond
	}
	for _, w := range []*Way{&x.Up, &x.Down} {
		w.Bytes, w.Packets = c.u64(), c.u64()
		w.Drops, w.Backlog = c.u32(), c.u32()
		w.Guarantee, w.Rate = uint64(c.u32())*1000, uint64(c.u32())*1000
		w.Worst = c.u16()
	}
	for _, w := range []*Way{&x.Up, &x.Down} {
		switch t.Step {
		case Seconds.Step:
			w.see(0, 1, Verdict(c.u8()))
		case Minutes.Step:
			for i := 0; i < 60; i += 2 {
				two := c.u8()
				w.see(i, 60, Verdict(two&15))
				w.see(i+1, 60, Verdict(two>>4))
			}
		default:
			for i := range w.Count[:former] {
				w.Count[i] = c.u16()
			}
		}
	}
	if t.Step == Seconds.Step {
		x.run, x.seq = c.u32(), c.u32()
		return x
	}
	for i := range x.Delays {
		x.Delays[i] = uint64(c.u16())
	}
	if t.Step == Hours.Step {
		for _, w := range []*Way{&x.Up, &x.Down} {
			for i := former; i < verdicts; i++ {
				w.Count[i] = c.u16()
			}
		}
	}
	return x
}

// see enters the verdict of the i-th of n seconds.
func (w *Way) see(i, n int, v Verdict) {
	if v >= verdicts {
		v = NotKnown // of a version to come
	}
	if w.Verdicts == nil {
		w.Verdicts = make([]Verdict, n)
		w.Count[NotKnown] = uint16(n)
	}
	w.Count[w.Verdicts[i]]--
	w.Count[v]++
	w.Verdicts[i] = v
}

// micros and kilo bring numbers into 32 bits: over an hour's delay and 4 Tbit/s.
func micros(d time.Duration) uint32 { return uint32(min(max(d.Microseconds(), 0), 1<<32-1)) }
func kilo(bits uint64) uint32       { return uint32(min((bits+500)/1000, 1<<32-1)) }

// cursor reads on; the slot's size is fixed and large enough for what is read.
type cursor struct{ b []byte }

func (c *cursor) take(n int) []byte { x := c.b[:n]; c.b = c.b[n:]; return x }
func (c *cursor) u8() byte          { return c.take(1)[0] }
func (c *cursor) u16() uint16       { return binary.LittleEndian.Uint16(c.take(2)) }
func (c *cursor) u32() uint32       { return binary.LittleEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64       { return binary.LittleEndian.Uint64(c.take(8)) }
