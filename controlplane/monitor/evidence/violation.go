package evidence

import "time"

// Violation is a stretch of time in which a guarantee was not kept.
type Violation struct {
	Series
	Downward bool          `json:"downward"` // from the regions; else towards them
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`        // end of its last second
	Seconds  int           `json:"seconds"`   // in which it was not kept; between them may lie seconds of other kinds
	Worst    float64       `json:"worst"`     // share of the guarantee that was delivered in the worst second of its minutes
	Cause    Verdict       `json:"cause"`     // of most of its seconds
	By       [verdicts]int `json:"by"`        // seconds by cause
	Rate     uint64        `json:"guarantee"` // bit/s
}

// Length is how long it lasted.
func (v Violation) Length() time.Duration { return v.To.Sub(v.From) }

// joined is how long the guarantee may be kept, or nothing be offered, within one violation: a fault that comes and goes by the second
// is one fault.
const joined = 10 // s

// Violations joins the seconds of a series' minutes, which come in order, to intervals.
func Violations(id Series, minutes []Record, downward bool) []Violation {
	j := Joiner{Series: id, Downward: downward}
	for _, m := range minutes {
		j.Add(m)
	}
	return j.End()
}

// Joiner joins seconds to intervals, minute by minute, so that no month need be held. A gap of which nothing is known ends an interval.
type Joiner struct {
	Series   Series
	Downward bool

	done []Violation
	open *Violation
	last int64 // second that was not kept last
}

// Add takes the next minute.
func (j *Joiner) Add(m Record) {
	w := m.Up
	if j.Downward {
		w = m.Down
	}
	for i, v := range w.Verdicts {
		at := m.At + int64(i)
		if j.open != nil && (v == NotKnown || at-j.last > joined) {
			j.close()
		}
		if !v.Broken() {
			continue
		}
		if j.open == nil {
			j.open = &Violation{Series: j.Series, Downward: j.Downward, From: time.Unix(at, 0), Worst: 1, Cause: v, Rate: w.Guarantee}
		}
		j.open.Seconds++
		j.open.By[v]++
		j.open.Worst = min(j.open.Worst, float64(w.Worst)/1000)
		j.last = at
	}
}

// End gives the intervals, oldest first.
func (j *Joiner) End() []Violation {
	j.close()
	return j.done
}

func (j *Joiner) close() {
	v := j.open
	if v == nil {
		return
	}
	v.To = time.Unix(j.last+1, 0)
	for c, n := range v.By {
		if n > v.By[v.Cause] {
			v.Cause = Verdict(c)
		}
	}
	j.done, j.open = append(j.done, *v), nil
}
