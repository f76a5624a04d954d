package plan

import (
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
)

// Degraded is what the region is told while some of the gate's devices carry nothing: their classes' guarantees go where
// bandwidth.Degraded takes them. What is down stays in the plan as it was, so that it is ready when it is back.
func (p Plan) Degraded(down []string) (Plan, error) {
	after, changes := p.Shifts(down)
	if len(after) == 0 || len(changes) == 0 {
		return p, nil
	}
	p.Devices = slices.Clone(p.Devices)
	for _, t := range after {
		i := slices.IndexFunc(p.Devices, func(d Device) bool { return d.Device == t.Device })
		p.Devices[i].Classes = t.Classes
	}
	if err := p.Seal(); err != nil {
		return p, err
	}
	if err := p.Check(); err != nil {
		return p, fmt.Errorf("while %v is down: %w", down, err)
	}
	return p, nil
}

// Shifts are the devices that are left, as they then promise, and what becomes of each class that is promised something else.
func (p Plan) Shifts(down []string) ([]bandwidth.Tree, []bandwidth.Change) {
	var trees []bandwidth.Tree
	for _, d := range p.Devices {
		// A region's share of a line is what bounds its guarantees there; ceilings may exceed it.
		trees = append(trees, bandwidth.Tree{Device: d.Device, Rate: d.Rate, Overhead: d.Overhead, Classes: d.Classes})
	}
	return bandwidth.Degraded(trees, down)
}
