package policy

import (
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
	farplan "github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// plans makes what the far ends of each region are told: how much they may send by each line, and what of it belongs to which
// class. A region whose ends are all of another make is told nothing, and so is one whose lines have no classes.
func plans(cfg *config.Config, t *packet.Tables) (map[string]farplan.Plan, error) {
	var out map[string]farplan.Plan
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		p := farplan.Plan{Region: r.ID, Devices: planDevices(cfg, r)}
		if len(p.Devices) == 0 {
			continue
		}
		if err := match(&p, cfg, t, r); err != nil {
			return nil, fmt.Errorf("what the far ends of region %q would have to be told does not fit; give the records and services there fewer different classes: %w", r.ID, err)
		}
		if out == nil {
			out = map[string]farplan.Plan{}
		}
		out[r.ID] = p
	}
	return out, nil
}

// match fills in what belongs to which class, seals the plan, and sees that it can be told.
func match(p *farplan.Plan, cfg *config.Config, t *packet.Tables, r *config.Region) error {
	w := newSorter(cfg, t, p.Devices)
	carried := []*config.Region{r}
	for i := range cfg.Regions { // what it carries for others keeps its class
		if slices.Contains(r.TakesOver, cfg.Regions[i].ID) {
			carried = append(carried, &cfg.Regions[i])
		}
	}
	for _, o := range carried {
		matches, err := w.region(o)
		if err != nil {
			return err
		}
		p.Matches = append(p.Matches, matches...)
	}
	if err := p.Seal(); err != nil {
		return err
	}
	_, err := p.Encode()
	return err
}

// planDevices are the gate's tunnels that have an end of the region which is ours, each with the region's part of what its line
// carries down.
func planDevices(cfg *config.Config, r *config.Region) []farplan.Device {
	var out []farplan.Device
	for _, t := range cfg.Tunnels {
		l := lineOf(cfg, t.ID)
		ours := slices.ContainsFunc(r.Reached(), func(e config.End) bool { return e.Tunnel == t.ID && !e.Plain })
		if l == nil || !ours {
			continue
		}
		for _, a := range cfg.Admission(l) {
			if a.Region != r {
				continue
			}
			d := farplan.Device{Device: t.ID, Rate: uint64(a.Rate), Overhead: overhead(cfg, t.ID)}
			for i := range cfg.Classes {
				c, on := classOn(cfg, i, l)
				if !on {
					continue
				}
				c.Guarantee = guaranteeOf(a, &cfg.Classes[i])
				c.Ceiling = max(c.Guarantee, min(c.Ceiling, uint64(l.Downstream())))
				d.Classes = append(d.Classes, c)
			}
			out = append(out, d)
		}
	}
	return out
}

func guaranteeOf(a config.Admission, c *config.Class) uint64 {
	for _, t := range a.Terms {
		if t.Class == c {
			return max(1, uint64(t.Guarantee))
		}
	}
	return 1
}
