package gate

import (
	"slices"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// probed counts the probes of each line by what became of them.
type probed struct {
	lines map[string]*asked // by device
}

// asked is the probes of one line.
type asked struct {
	by    map[uint8]*fate
	until map[probeOf]uint64 // the last that was decided
	lossy map[string]bool    // ends that lost some in this second
}

type probeOf struct {
	peer  string
	class uint8
}

// fate of the probes of one class: sent and lost since the beginning, trips of this second.
type fate struct {
	sent, lost uint64
	trips      []time.Duration
}

// take counts what was decided since the last look: a probe that was answered, or had its time.
func (p *probed) take(device string, reports []tunnel.Report, now time.Time) *asked {
	if p.lines == nil {
		p.lines = map[string]*asked{}
	}
	a := p.lines[device]
	if a == nil {
		a = &asked{by: map[uint8]*fate{}, until: map[probeOf]uint64{}}
		p.lines[device] = a
	}
	a.lossy = map[string]bool{}
	for _, f := range a.by {
		f.trips = nil
	}
	for _, r := range reports {
		for class, list := range r.Probes {
			a.decide(probeOf{r.Peer, class}, list, now)
		}
	}
	return a
}

func (a *asked) decide(of probeOf, list []tunnel.Probe, now time.Time) {
	f := a.by[of.class]
	if f == nil {
		f = &fate{}
		a.by[of.class] = f
	}
	if n := len(list); n > 0 && list[n-1].Seq < a.until[of] {
		delete(a.until, of) // asked by another process or socket now
	}
	for _, q := range list {
		if q.Seq <= a.until[of] {
			continue
		}
		if q.RTT == 0 && now.Sub(q.Sent) < decided {
			return // those after it wait with it
		}
		a.until[of] = q.Seq
		f.sent++
		if q.RTT == 0 {
			f.lost++
			a.lossy[of.peer] = true
			continue
		}
		f.trips = append(f.trips, q.RTT)
	}
}

// of gives a class's probes; of a class that is not asked by itself those without a class.
func (a *asked) of(class uint8) (sent, lost uint64, trips []time.Duration) {
	f := a.by[class]
	if f == nil {
		f = a.by[0]
	}
	if f == nil {
		return 0, 0, nil
	}
	return f.sent, f.lost, f.trips
}

// whole gives the probes of the class that is asked every time, which is the line's own: that of the most probes.
func (a *asked) whole() (sent, lost uint64, trips []time.Duration) {
	best := -1
	for class, f := range a.by {
		if best < 0 || f.sent > a.by[uint8(best)].sent || f.sent == a.by[uint8(best)].sent && int(class) < best {
			best = int(class)
		}
	}
	if best < 0 {
		return 0, 0, nil
	}
	return a.of(uint8(best))
}

// forget drops devices that are no more.
func (p *probed) forget(lines []measure.Reading) {
	for device := range p.lines {
		if !slices.ContainsFunc(lines, func(r measure.Reading) bool { return r.Device == device }) {
			delete(p.lines, device)
		}
	}
}
