package evidence

import "time"

// Violation is a stretch of time in which a guarantee was not kept.
type Violation struct {
	Series
	Downward bool          `json:"downward"` // from the regions; else towards them
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`      // end of its last second
	Seconds  int           `json:"seconds"` // in which it was not kept; between them may lie seconds of other kinds
	Worst    float64       `json:"worst"`   // share of the guarantee that was delivered in the worst second of its minutes
	Cause    Verdict       `json:"-"`       // of most of its seconds
	By       [verdicts]int `json:"-"`
	Rate     uint64        `json:"guarantee"` // bit/s
}

// Length is how long it lasted.
func (v Violation) Length() time.Duration { return v.To.Sub(v.From) }

// joined is how long the guarantee may be kept, or nothing be offered, within one violation: a fault that comes and goes by the second
// is one fault.
const joined = 10 // s

// Violations joins the seconds of a series' minutes, which come in order, to intervals. A gap of which nothing is known ends one.
func Violations(id Series, minutes []Record, downward bool) (out []Violation) {
	var open *Violation
	var last int64 // second that was not kept last
	end := func() {
		if open != nil {
			open.To = time.Unix(last+1, 0)
			for c := range open.By {
				if open.By[c] > open.By[open.Cause] {
					open.Cause = Verdict(c)
				}
			}
			out = append(out, *open)
			open = nil
		}
	}
	previous := int64(0)
	for _, m := range minutes {
		if m.At != previous+60 {
			end()
		}
		previous = m.At
		w := m.Up
		if downward {
			w = m.Down
		}
		for i, v := range w.Verdicts {
			at := m.At + int64(i)
			if open != nil && (v == NotKnown || at-last > joined) {
				end()
			}
			if !v.Broken() {
				continue
			}
			if open == nil {
				open = &Violation{Series: id, Downward: downward, From: time.Unix(at, 0), Worst: 1, Cause: v, Rate: w.Guarantee}
			}
			open.Seconds++
			open.By[v]++
			open.Worst = min(open.Worst, float64(w.Worst)/1000)
			last = at
		}
	}
	end()
	return out
}
