package gate

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/lending"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// promises keeps what is promised on every line, upstream by our own trees and downstream by the plans of the regions: what the
// generation says, less what lines cannot keep that the ways keep off now.
type promises struct {
	anchors *anchors.Anchors
	tunnels *tunnel.Set
	lender  *lending.Lender
	log     *slog.Logger
	inForce func([]bandwidth.Tree, map[string]plan.Plan) // is told before anything is applied

	mu      sync.Mutex
	trees   []bandwidth.Tree
	plans   map[string]plan.Plan
	left    left
	changes []bandwidth.Change // as said last
	again   bool               // the last attempt failed
	mtus    map[string]int     // of the shaped devices, as trees were applied: what packets take on the line follows from it
}

// left is what the ways keep off: lines by which nobody's packets come through, and the devices that each region's leave out.
// While a line lives for others, the region's guarantees move downstream; upstream the tree is everybody's, and stays.
type left struct {
	lines   []string
	regions map[string][]string
}

func (l left) equal(o left) bool {
	return slices.Equal(l.lines, o.lines) && maps.EqualFunc(l.regions, o.regions, slices.Equal)
}

// set makes a generation's promises those to keep.
func (p *promises) set(trees []bandwidth.Tree, plans map[string]plan.Plan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trees, p.plans = trees, plans
	return p.keep()
}

// keep puts in force what can be promised now. With mu held.
func (p *promises) keep() error {
	trees, changes := bandwidth.Degraded(p.trees, p.left.lines)
	if len(trees) < len(p.trees) { // shaped as ever, for what comes back
		for _, t := range p.trees {
			if slices.Contains(p.left.lines, t.Device) {
				trees = append(trees, t)
			}
		}
	}
	if slices.Equal(changes, p.changes) {
		changes = nil // said already
	} else {
		p.changes = changes
	}
	for _, c := range changes {
		p.log.Warn("a guarantee has changed while lines are down", "down", p.left.lines, "change", c.String())
	}
	var errs []error
	told := map[string]plan.Plan{}
	for region, x := range p.plans {
		x, err := x.Degraded(p.left.regions[region])
		if err != nil {
			errs = append(errs, err)
			x = p.plans[region]
		}
		told[region] = x
	}
	p.mtus = mtusOf(p.trees)
	p.inForce(trees, told)
	errs = append(errs, shape(p.anchors, trees), tellPlans(p.tunnels, p.anchors, told))
	p.lender.Plan(told)
	err := errors.Join(errs...)
	p.again = err != nil
	return err
}

// watch sees lines go down and come back until ctx ends.
func (p *promises) watch(ctx context.Context) {
	go p.lender.Run(ctx)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			regions, lines := p.tunnels.Left()
			p.look(left{lines, regions})
		}
	}
}

// look keeps what can be promised when that has changed, or could not be kept before.
func (p *promises) look(now left) {
	p.mu.Lock()
	defer p.mu.Unlock()
	same := now.equal(p.left) && maps.Equal(mtusOf(p.trees), p.mtus)
	if same && !p.again {
		return
	}
	failed := p.again
	p.left = now
	if err := p.keep(); err != nil && !(same && failed) { // it is tried again with each look
		p.log.Error("keep what can be promised", "down", now.lines, "error", err)
	}
}

// mtusOf are the MTUs of the devices of trees; those that are not there are left out.
func mtusOf(trees []bandwidth.Tree) map[string]int {
	out := map[string]int{}
	for _, t := range trees {
		if l, err := netlink.LinkByName(t.Device); err == nil {
			out[t.Device] = l.Attrs().MTU
		}
	}
	return out
}
