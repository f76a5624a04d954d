package gate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// plans checks what far ends shall be told: each by the rules that the far end will hold it to, of a region of the anchors.
func (c *objectCheck) plans(all map[string]plan.Plan) {
	for _, region := range slices.Sorted(maps.Keys(all)) {
		p := all[region]
		if s, ok := c.a.Segment(region); !ok || s.Attach != anchors.AttachTunnel {
			c.fail("plan of region %.64q: no region of the anchors", region)
		} else if p.Region != region {
			c.fail("plan of region %s: it is that of region %.64q", region, p.Region)
		} else if _, err := p.Encode(); err != nil {
			c.fail("%w", err)
		}
	}
}

// teller takes plans to far ends; hash 0 takes them back.
type teller interface {
	SetPlan(region string, hash uint64, text []byte)
}

// tellPlans hands every region its plan; one without a plan needs none any more.
func tellPlans(t teller, a *anchors.Anchors, all map[string]plan.Plan) error {
	for _, s := range a.Segments {
		if s.Attach != anchors.AttachTunnel {
			continue
		}
		p, ok := all[s.ID]
		if !ok {
			t.SetPlan(s.ID, 0, nil)
			continue
		}
		b, err := p.Encode()
		if err != nil {
			return fmt.Errorf("tell the far ends of region %s: %w", s.ID, err)
		}
		t.SetPlan(s.ID, p.Hash, b)
	}
	return nil
}
