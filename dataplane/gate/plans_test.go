package gate

import (
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// told is what far ends would have been told.
type told map[string]string

func (t told) SetPlan(region string, hash uint64, text []byte) {
	p, err := plan.Decode(text)
	switch {
	case hash == 0 && text == nil:
		t[region] = "nothing"
	case err != nil:
		t[region] = err.Error()
	case p.Hash != hash:
		t[region] = "a plan under another's hash"
	default:
		t[region] = "the plan of " + p.Region
	}
}

func sealedPlan(t *testing.T, region string) plan.Plan {
	t.Helper()
	p := plan.Plan{Region: region, Devices: []plan.Device{{Device: "wg0", Rate: 1e6, Overhead: 60,
		Classes: []bandwidth.Class{{ID: 1, Name: "core", Guarantee: 1e5, Ceiling: 1e6, Default: true}}}}}
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	return p
}

func twoRegions() *anchors.Anchors {
	return &anchors.Anchors{Segments: []anchors.Segment{
		{ID: "office", Attach: anchors.AttachPort}, {ID: "tokyo", Attach: anchors.AttachTunnel}, {ID: "osaka", Attach: anchors.AttachTunnel},
	}}
}

func TestFarEndsAreToldTheirPlans(t *testing.T) {
	got := told{}
	if err := tellPlans(got, twoRegions(), map[string]plan.Plan{"tokyo": sealedPlan(t, "tokyo")}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["tokyo"] != "the plan of tokyo" || got["osaka"] != "nothing" {
		t.Errorf("told %v, want tokyo its plan and osaka that it needs none", got)
	}
}

func TestPlansAreThoseOfRegions(t *testing.T) {
	unsealed := sealedPlan(t, "tokyo")
	unsealed.Devices[0].Rate++
	for name, x := range map[string]struct {
		plans map[string]plan.Plan
		want  string
	}{
		"right":             {map[string]plan.Plan{"tokyo": sealedPlan(t, "tokyo")}, ""},
		"none":              {nil, ""},
		"of a port":         {map[string]plan.Plan{"office": sealedPlan(t, "office")}, "no region of the anchors"},
		"of nobody":         {map[string]plan.Plan{"kyoto": sealedPlan(t, "kyoto")}, "no region of the anchors"},
		"of another region": {map[string]plan.Plan{"tokyo": sealedPlan(t, "osaka")}, `it is that of region "osaka"`},
		"changed":           {map[string]plan.Plan{"tokyo": unsealed}, "hash"},
	} {
		c := &objectCheck{a: twoRegions()}
		c.plans(x.plans)
		if (x.want == "") != (len(c.errs) == 0) || x.want != "" && !strings.Contains(c.errs[0].Error(), x.want) {
			t.Errorf("plan %s: %v, want %q", name, c.errs, x.want)
		}
	}
}
