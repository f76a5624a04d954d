// Package lending lends regions what others leave of a line downstream, with the talk of the gate's tunnels.
//
// Problem: bandwidth/lend knows what is fair and safe, but neither what regions want nor how to tell them. Mechanism: a few times
// a second the Lender looks at what every far end last answered, turns its counters into wants by the classes of its plan, asks
// the line's ledger, and hands the grants to the tunnels, which carry them in their next questions. Life cycle: Plan whenever a
// generation comes into force, Run until the gate ends. Invariant: an end that was never granted anything sends its plan's share
// by itself, and goes back to it when the gate falls silent; ends of a region that do not carry it are lent nothing.
package lending

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/bandwidth/lend"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

const (
	// every is how often grants are made; questions that carry them go out on their own beat.
	every = 100 * time.Millisecond
	// apart is how far two answers must lie apart, by the far end's clock, to tell a rate.
	apart = 150 * time.Millisecond
	// steady is for how long what a region wanted still counts: what comes in gusts is not lent away between them.
	steady = time.Second
	// givenUp is after how long without an answer an end's share is lent to others: its line is dead.
	givenUp = 10 * time.Second
	// standby is the part of its region's share that an end keeps which does not carry its region now, but not less than what its
	// answers to probes of all classes need, bit/s.
	standby      = 64
	standbyLeast = 64_000
)

// Tunnels is what the Lender needs of tunnel.Set.
type Tunnels interface {
	Reports() []tunnel.Report
	Ways() ways.Ways
	SetGrant(peer string, rate uint64)
}

// Lender lends on all lines of a gate.
type Lender struct {
	tunnels Tunnels
	mu      sync.Mutex
	plans   map[string]plan.Plan // by region
	lines   map[string]*line     // by the gate's device
}

// line is one line downstream.
type line struct {
	ledger *lend.Ledger
	memory map[string]*memory // by peer
}

// memory is what an end has said lately.
type memory struct {
	since time.Time // it is looked at
	last  talk.Reply
	wants []wanted
}

type wanted struct {
	at    time.Time
	wants []lend.Want
}

// New lends nothing before it has plans.
func New(t Tunnels) *Lender { return &Lender{tunnels: t, lines: map[string]*line{}} }

// Plan sets what the regions are promised, by region. A line's contract downstream is what their shares of it sum to.
func (l *Lender) Plan(plans map[string]plan.Plan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plans = maps.Clone(plans)
	contracts := map[string]uint64{}
	for _, p := range plans {
		for _, d := range p.Devices {
			contracts[d.Device] += d.Rate
		}
	}
	for device, bits := range contracts {
		if l.lines[device] == nil {
			l.lines[device] = &line{lend.NewLedger(bits), map[string]*memory{}}
		}
		l.lines[device].ledger.SetContract(bits)
	}
	maps.DeleteFunc(l.lines, func(device string, _ *line) bool { return contracts[device] == 0 })
}

// Run lends until ctx ends.
func (l *Lender) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			l.round(now)
		}
	}
}

// round looks at all ends once, and grants.
func (l *Lender) round(now time.Time) {
	reports, holders := l.tunnels.Reports(), l.tunnels.Ways().Holders
	l.mu.Lock()
	defer l.mu.Unlock()
	byLine := map[string][]lend.Report{}
	for _, r := range reports {
		on, device := l.lines[r.Device], l.planned(r)
		if on == nil || device == nil {
			if on != nil {
				delete(on.memory, r.Peer)
			}
			continue
		}
		m := on.memory[r.Peer]
		if m == nil {
			m = &memory{since: now}
			on.memory[r.Peer] = m
		}
		// Who was not heard yet sends its share by itself, or what a former daemon lent it.
		if now.Sub(r.Talked) > givenUp && now.Sub(m.since) > givenUp {
			m.last, m.wants = talk.Reply{}, nil
			continue
		}
		x := lend.Report{InForce: r.Far.Root, Heard: r.Talked}
		x.ID, x.Share = r.Peer, device.Rate
		if holders[ways.Place{Device: r.Device, Region: r.Region}] != r.Peer {
			x.Share = min(device.Rate, max(device.Rate/standby, standbyLeast))
		}
		x.Wants = m.hear(now, r.Far, device.Classes)
		byLine[r.Device] = append(byLine[r.Device], x)
	}
	for device, all := range byLine {
		for peer, rate := range l.lines[device].ledger.Round(now, all) {
			l.tunnels.SetGrant(peer, rate)
		}
	}
}

// planned is what the plan of an end's region says of its device.
func (l *Lender) planned(r tunnel.Report) *plan.Device {
	p, ok := l.plans[r.Region]
	i := slices.IndexFunc(p.Devices, func(d plan.Device) bool { return d.Device == r.Device })
	if !ok || i < 0 {
		return nil
	}
	return &p.Devices[i]
}

// hear takes the last reply and tells the most that each class wanted lately.
func (m *memory) hear(now time.Time, r talk.Reply, classes []bandwidth.Class) []lend.Want {
	if passed := time.Duration(r.Answered - m.last.Answered); m.last.Answered == 0 || passed < 0 {
		m.last = r // the first, or of another clock
	} else if passed >= apart {
		m.wants = append(m.wants, wanted{now, lend.Wants(m.last.Classes, r.Classes, passed, classes)})
		m.last = r
	}
	m.wants = slices.DeleteFunc(m.wants, func(w wanted) bool { return now.Sub(w.at) > steady })
	var most []lend.Want
	for i, c := range classes {
		x := lend.Want{Priority: c.Priority}
		for _, w := range m.wants {
			if i < len(w.wants) {
				x.Rate = max(x.Rate, w.wants[i].Rate)
			}
		}
		most = append(most, x)
	}
	return most
}
