package gate

import (
	"cmp"
	"slices"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// look is all that is known of the lines at one moment.
type look struct {
	at    time.Time
	trees []bandwidth.Tree
	plans map[string]plan.Plan
	// what classes were promised, whatever lines are down; trees and plans are what is in force of it
	promised      []bandwidth.Tree
	promisedPlans map[string]plan.Plan
	ways          ways.Ways
	ends          []tunnel.Status
	reports       []tunnel.Report
	probed        *probed
}

const (
	// decided is how long a probe may take: later its answer is a loss.
	decided = time.Second
	// quiet is how long an end may say nothing and still count as answering. It is asked every 200 ms.
	quiet = 1100 * time.Millisecond
	// inner is what of a tunnel's overhead WireGuard itself counts, in bytes: its header and tag. The rest is outer headers.
	inner = 32
)

// lines makes a reading of each tunnel device that has ends.
func (l look) lines(specs []tunnel.Spec) ([]measure.Reading, error) {
	var out []measure.Reading
	for _, spec := range specs {
		if len(spec.Peers) == 0 {
			continue
		}
		r := measure.Reading{Line: cmp.Or(spec.Contract, spec.Line), Device: spec.Device}
		var mine []tunnel.Report
		for _, p := range l.reports {
			if p.Device == spec.Device {
				mine = append(mine, p)
			}
		}
		asked := l.probed.take(spec.Device, mine, l.at)
		if i := slices.IndexFunc(l.trees, func(t bandwidth.Tree) bool { return t.Device == spec.Device }); i >= 0 {
			if err := l.classes(&r, l.trees[i], mine, asked); err != nil {
				return nil, err
			}
		}
		r.Whole.Sent, r.Whole.Lost, r.Whole.Trips = asked.whole()
		for _, p := range mine {
			r.Ends = append(r.Ends, l.end(p, r, asked))
		}
		out = append(out, r)
	}
	l.probed.forget(out)
	return out, nil
}

// classes adds what both shapers count of the tree's classes, and the sum of it.
func (l look) classes(r *measure.Reading, t bandwidth.Tree, reports []tunnel.Report, asked *asked) error {
	have, err := bandwidth.Read(t)
	if err != nil {
		return err
	}
	r.RateUp = t.Rate
	total := measure.Counters{}
	down := map[string]*measure.Counters{} // by end
	heard := map[string]bool{}             // regions; beside them those that are silent are neither counted nor promised anything
	for _, p := range reports {
		if l.answered(p) {
			heard[p.Region] = true
		}
	}
	for _, c := range have {
		up := measure.Counters{Bytes: c.Bytes, Packets: c.Packets, Drops: c.Drops, Backlog: uint64(c.Backlog)}
		add(&total, up)
		owed := l.owedUp(t.Device, c.ID, c.Guarantee)
		x := measure.Class{Name: c.Name, Regions: l.going(t.Device, c.ID, reports), GuaranteeUp: owed, WithheldUp: owed - min(owed, c.Guarantee), CeilingUp: c.Ceiling, Tally: measure.Tally{Up: []measure.Counters{up}}}
		x.Sent, x.Lost, x.Trips = asked.of(c.ID)
		regions := map[string]bool{} // a region's guarantee counts once, however many ends carry it
		for _, p := range reports {
			if !regions[p.Region] && (len(heard) == 0 || heard[p.Region]) {
				regions[p.Region] = true
				inForce := uint64(0)
				if d := l.planned(p); d != nil {
					for _, q := range d.Classes {
						if q.ID == c.ID {
							inForce, x.CeilingDown = q.Guarantee, x.CeilingDown+q.Ceiling
						}
					}
				}
				owed := l.owedDown(p.Region, t.Device, c.ID, inForce)
				x.GuaranteeDown, x.WithheldDown = x.GuaranteeDown+owed, x.WithheldDown+owed-min(owed, inForce)
			}
			for _, f := range p.Far.Classes {
				if f.ID != c.ID || p.Far.Received == 0 {
					continue
				}
				n := measure.Counters{Of: p.Peer, At: p.Far.Received, Bytes: f.Bytes, Packets: f.Packets, Drops: f.Drops, Backlog: uint64(f.Backlog)}
				x.Down = append(x.Down, n)
				if down[p.Peer] == nil {
					down[p.Peer] = &measure.Counters{Of: p.Peer, At: n.At}
				}
				add(down[p.Peer], n)
			}
		}
		r.Classes = append(r.Classes, x)
	}
	r.Whole.Up = []measure.Counters{total}
	seen := map[string]bool{}
	for _, p := range reports {
		if n := down[p.Peer]; n != nil {
			r.Whole.Down = append(r.Whole.Down, *n)
		}
		if d := l.planned(p); d != nil && !seen[p.Region] {
			seen[p.Region] = true
			r.RateDown += d.Rate
		}
	}
	return nil
}

func add(sum *measure.Counters, n measure.Counters) {
	sum.Bytes, sum.Packets, sum.Drops, sum.Backlog = sum.Bytes+n.Bytes, sum.Packets+n.Packets, sum.Drops+n.Drops, sum.Backlog+n.Backlog
}

// planned is what an end was told for its device; nil: nothing.
func (l look) planned(p tunnel.Report) *plan.Device {
	of := l.plans[p.Region]
	for i := range of.Devices {
		if of.Devices[i].Device == p.Device {
			return &of.Devices[i]
		}
	}
	return nil
}

// end tells how an end answered, and what both sides count of it.
func (l look) end(p tunnel.Report, r measure.Reading, asked *asked) measure.End {
	e := measure.End{ID: p.Peer, Region: p.Region, Loss: asked.lossy[p.Peer], Answered: l.answered(p)}
	i := slices.IndexFunc(l.ends, func(s tunnel.Status) bool { return s.Device == p.Device && s.Peer == p.Peer })
	d := l.planned(p)
	if i < 0 || d == nil || p.Far.Received == 0 {
		return e
	}
	e.Both = &measure.Books{At: l.ends[i].Counted, Sent: l.ends[i].Tx, Came: l.ends[i].Rx, FarCame: p.Far.RxBytes, FarAt: p.Far.Received}
	for _, n := range r.Whole.Down {
		if outer := n.Packets * uint64(max(d.Overhead-inner, 0)); n.Of == p.Peer && n.Bytes > outer {
			e.Both.FarSent = n.Bytes - outer
		}
	}
	return e
}

// answered tells whether an end answered in this second.
func (l look) answered(p tunnel.Report) bool {
	for _, list := range p.Probes {
		for _, q := range list {
			if q.RTT > 0 && l.at.Sub(q.Sent) < quiet {
				return true
			}
		}
	}
	return false
}
