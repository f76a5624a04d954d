package measure

import (
	"math"
	"time"
)

// Books are what both sides of an end count of the same packets: WireGuard's bytes, which lack the outer headers.
type Books struct {
	At               time.Time // when they were read here
	Sent, Came       uint64    // here
	FarSent, FarCame uint64    // there
	FarAt            int64     // ns of its clock at which it read them
}

// compared is the books of an end over the last seconds.
type compared struct {
	entries []Books
	tick    int64
}

const (
	// windowSeconds is over how long, at the least, both sides are compared: they are read some tenths of a second apart, so that one second alone
	// would show losses and gains that were none.
	windowSeconds = 8
	// longest is how long one side may bring nothing new, when its answers are lost, before the comparison begins again.
	longest = 10 * time.Second
	// telling is the fewest bytes over the window that say anything.
	telling = 100_000
	// apart is how long one side may be read before the other at most: engines are asked once a second, far ends with each probe.
	apart = 1300 * time.Millisecond
)

// compare gives the shares of what was sent that arrived, over all ends of a line that say what they count; < 0: not known.
func (r *Recorder) compare(l Reading, tick int64) (up, down float64) {
	var sent, came [2]float64
	known := false
	for _, e := range l.Ends {
		if e.Both == nil {
			continue
		}
		k := key{l.Device, e.ID}
		b := r.books[k]
		if b == nil {
			b = &compared{}
			r.books[k] = b
		}
		b.tick = tick
		s, c, ok := b.add(*e.Both)
		if !ok {
			continue // it says nothing new; the others do
		}
		known = true
		for i := range s {
			sent[i], came[i] = sent[i]+s[i], came[i]+c[i]
		}
	}
	share := func(i int) float64 {
		if !known || sent[i] < telling {
			return -1
		}
		return min(1, came[i]/sent[i])
	}
	return share(0), share(1)
}

// add gives what was sent and what came over the window, upwards and downwards. The two sides read their books at other times, which
// are known but for what their clocks differ by: what was counted between them is taken from the rate at the window's edges. What that
// may get wrong, where the rate changes, counts as having come.
func (c *compared) add(b Books) (sent, came [2]float64, ok bool) {
	if n := len(c.entries); n > 0 {
		last := c.entries[n-1]
		if b.Sent < last.Sent || b.Came < last.Came || b.FarSent < last.FarSent || b.FarCame < last.FarCame || b.FarAt < last.FarAt || b.At.Sub(last.At) > longest {
			c.entries = nil // one of them was made anew, or too long ago
		} else if !b.At.After(last.At) || b.FarAt == last.FarAt {
			return sent, came, false // nothing new from one side
		}
	}
	c.entries = append(c.entries, b)
	if len(c.entries) < windowSeconds+2 {
		return sent, came, false
	}
	c.entries = c.entries[len(c.entries)-windowSeconds-2:]
	up, slack := c.theirs(func(e Books) uint64 { return e.Sent }, func(e Books) uint64 { return e.FarCame })
	sent[0], came[0] = float64(c.grew(func(e Books) uint64 { return e.Sent })), up+slack
	down, slack := c.theirs(func(e Books) uint64 { return e.Came }, func(e Books) uint64 { return e.FarSent })
	sent[1], came[1] = down, float64(c.grew(func(e Books) uint64 { return e.Came }))+slack
	return sent, came, true
}

// grew is what a counter grew by over the window, which begins with the second entry.
func (c *compared) grew(of func(Books) uint64) uint64 {
	return of(c.entries[windowSeconds+1]) - of(c.entries[1])
}

// theirs is what the far end counted within the window, and by how much that may be too little. ours: the counter of the same packets
// here, which knows the rates.
func (c *compared) theirs(ours, far func(Books) uint64) (bytes, slack float64) {
	least := c.age(0)
	for i := range c.entries {
		least = min(least, c.age(i))
	}
	rate := func(i int) float64 { // over the second that ended with the i-th entry, bytes/s
		return float64(ours(c.entries[i])-ours(c.entries[i-1])) / c.entries[i].At.Sub(c.entries[i-1].At).Seconds()
	}
	first, last := 1, windowSeconds+1
	bytes = float64(c.grew(far)) + (c.age(last)-least).Seconds()*rate(last) - (c.age(first)-least).Seconds()*rate(first)
	change := math.Abs(rate(last)-rate(last-1)) + math.Abs(rate(first+1)-rate(first)) + math.Abs(rate(last)-rate(first))
	return bytes, apart.Seconds() * change
}

// age is how long before ours the far end read its books, but for what the clocks differ by.
func (c *compared) age(i int) time.Duration {
	return time.Duration(c.entries[i].At.UnixNano() - c.entries[i].FarAt)
}
