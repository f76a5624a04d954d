package evidence

import (
	"math"
	"time"
)

// Histogram counts delays in buckets that grow by a quarter: up to 0.25 ms, then up to 1.2 s, and beyond. Merged, it gives quantiles of
// any stretch of time that are never too good and at most a quarter too bad; a mean of quantiles, or the worst of them, would be
// neither.
type Histogram [40]uint64

const (
	smallest = 250 * time.Microsecond
	growth   = 1.25
)

func edge(bucket int) time.Duration {
	return time.Duration(float64(smallest) * math.Pow(growth, float64(bucket)))
}

func (h *Histogram) add(d time.Duration) {
	i := 0
	for i < len(h)-1 && d > edge(i) {
		i++
	}
	h[i]++
}

// Merge adds another one.
func (h *Histogram) Merge(o Histogram) {
	for i, n := range o {
		h[i] += n
	}
}

// Quantile is a delay that at least the share q does not exceed: the upper edge of its bucket, but never more than the longest delay
// that was seen; 0 of none.
func (h *Histogram) Quantile(q float64, longest time.Duration) time.Duration {
	var total, sum uint64
	for _, n := range h {
		total += n
	}
	for i, n := range h {
		if sum += n; n > 0 && float64(sum) >= q*float64(total)-1e-9 {
			if i == len(h)-1 {
				return longest
			}
			return min(edge(i), longest)
		}
	}
	return 0
}

// packed brings the counts into 16 bits each. They are weights: where the greatest would not fit, all are halved until it does, and no
// rare long delay is halved away.
func (h Histogram) packed() (out [40]uint16) {
	shift := 0
	for _, n := range h {
		for n>>shift >= math.MaxUint16 {
			shift++
		}
	}
	for i, n := range h {
		out[i] = uint16(n >> shift)
		if n > 0 && out[i] == 0 {
			out[i] = 1
		}
	}
	return out
}
