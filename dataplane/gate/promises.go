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
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// promises keeps what is promised on every line, upstream by our own trees and downstream by the plans of the regions: what the
// generation says, less what lines cannot keep that are down now.
type promises struct {
	anchors *anchors.Anchors
	tunnels *tunnel.Set
	lender  *lending.Lender
	log     *slog.Logger
	inForce func([]bandwidth.Tree, map[string]plan.Plan) // is told before anything is applied

	mu    sync.Mutex
	trees []bandwidth.Tree
	plans map[string]plan.Plan
	down  []string
	mtus  map[string]int // of the shaped devices, as trees were applied: what packets take on the line follows from it
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
	trees, changes := bandwidth.Degraded(p.trees, p.down)
	if len(trees) < len(p.trees) { // shaped as ever, for what comes back
		for _, t := range p.trees {
			if slices.Contains(p.down, t.Device) {
				trees = append(trees, t)
			}
		}
	}
	for _, c := range changes {
		p.log.Warn("a guarantee has changed while lines are down", "down", p.down, "change", c.String())
	}
	var errs []error
	told := map[string]plan.Plan{}
	for region, x := range p.plans {
		x, err := x.Degraded(p.down)
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
	return errors.Join(errs...)
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
			p.look(deadLines(p.tunnels.Reports()))
		}
	}
}

func (p *promises) look(down []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Equal(down, p.down) && maps.Equal(mtusOf(p.trees), p.mtus) {
		return
	}
	p.down = down
	if err := p.keep(); err != nil {
		p.log.Error("keep what can be promised", "down", down, "error", err)
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

// deadLines are the devices none of whose ends answers, in order. When that is so of all of them, there is nothing to plan for.
func deadLines(reports []tunnel.Report) []string {
	alive := map[string]bool{}
	for _, r := range reports {
		alive[r.Device] = alive[r.Device] || r.State != ways.Down
	}
	var down []string
	for device, lives := range alive {
		if !lives {
			down = append(down, device)
		}
	}
	if len(down) == len(alive) {
		return nil
	}
	slices.Sort(down)
	return down
}
