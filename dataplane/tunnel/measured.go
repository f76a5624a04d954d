package tunnel

import "time"

// Probe is one question to an end, and its answer.
type Probe struct {
	Seq   uint64 // rising; ends and classes are asked by turns, so some are missing
	Class uint8  // bandwidth class that it waited in; 0 = none
	Sent  time.Time
	RTT   time.Duration // 0: no answer so far
	Up    time.Duration // one way, above the shortest that is remembered; 0 for an echo
	Down  time.Duration
}

// remembered is how many probes of a class are kept: half a minute at the least.
const remembered = 160

// lately is over how many probes loss is counted for people.
const lately = 20

// ring keeps a class's last probes.
type ring struct {
	p [remembered]Probe
	n int // so many were added
}

func (r *ring) add(p Probe) (place int) {
	place = r.n % remembered
	r.p[place] = p
	r.n++
	return place
}

func (r *ring) answer(seq uint64, place int, rtt, up, down time.Duration) {
	if p := &r.p[place]; p.Seq == seq {
		p.RTT, p.Up, p.Down = max(rtt, 1), up, down
	}
}

// list is what is kept, the oldest first. The two clocks have nothing to do with each other, so one-way times mean something
// only beside each other.
func (r *ring) list() []Probe {
	var out []Probe
	for i := max(0, r.n-remembered); i < r.n; i++ {
		out = append(out, r.p[i%remembered])
	}
	var up, down time.Duration
	first := true
	for _, p := range out {
		if p.RTT == 0 {
			continue
		}
		if first {
			up, down, first = p.Up, p.Down, false
		}
		up, down = min(up, p.Up), min(down, p.Down)
	}
	for i := range out {
		if out[i].RTT > 0 {
			out[i].Up -= up
			out[i].Down -= down
		}
	}
	return out
}

// summary is the round trip of the last answer, and the loss over the last probes without those that are under way.
func (r *ring) summary(now time.Time) (rtt time.Duration, loss float64) {
	n, lost := 0, 0
	for i := r.n - 1; i >= max(0, r.n-remembered) && n < lately; i-- {
		p := r.p[i%remembered]
		if p.RTT == 0 && now.Sub(p.Sent) < 500*time.Millisecond {
			continue
		}
		n++
		if p.RTT == 0 {
			lost++
		} else if rtt == 0 {
			rtt = p.RTT
		}
	}
	if n > 0 {
		loss = float64(lost) / float64(n)
	}
	return rtt, loss
}
