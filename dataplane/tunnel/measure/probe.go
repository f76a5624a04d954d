package measure

import (
	"slices"
	"time"
)

// Probe is what the probes of one second met.
type Probe struct {
	Sent   uint32          `json:"sent"`
	Lost   uint32          `json:"lost"`
	P50    time.Duration   `json:"p50"`    // round trip, as the others below
	P99    time.Duration   `json:"p99"`    // of so few probes the longest but for a hundredth
	Max    time.Duration   `json:"max"`    //
	Jitter time.Duration   `json:"jitter"` // RFC 3550, 6.4.1, of round trips: clocks of both ends need not agree
	Base   time.Duration   `json:"base"`   // shortest round trip of the last quarter of an hour; 0: none
	Trips  []time.Duration `json:"trips,omitempty"`
}

// mostTrips bounds a second: ten probes a second over a handful of ends.
const mostTrips = 64

// Quantile is the smallest of sorted values that at least the share q of them does not exceed (nearest rank); 0 of none.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// jitter is RFC 3550's smoothed difference of successive trips, carried from second to second.
type jitter struct {
	last  time.Duration
	value float64
	known bool
}

func (j *jitter) take(trip time.Duration) {
	if j.known {
		d := float64(trip - j.last)
		if d < 0 {
			d = -d
		}
		j.value += (d - j.value) / 16
	}
	j.last, j.known = trip, true
}

// probeOf sums a second up. trips: in the order of sending.
func probeOf(sent, lost uint32, trips []time.Duration, j *jitter, base time.Duration) Probe {
	p := Probe{Sent: sent, Lost: lost, Base: base}
	trips = trips[max(0, len(trips)-mostTrips):]
	for _, t := range trips {
		j.take(t)
	}
	p.Jitter = time.Duration(j.value)
	p.Trips = slices.Sorted(slices.Values(trips))
	p.P50, p.P99 = Quantile(p.Trips, 0.5), Quantile(p.Trips, 0.99)
	if n := len(p.Trips); n > 0 {
		p.Max = p.Trips[n-1]
	}
	return p
}
