package web_test

import (
	"context"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// alarm is the hall's emergency desk.
type alarm struct{ *hall }

func (a alarm) Cuts(context.Context) ([]web.Cut, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.cuts), a.fail
}

func (a alarm) Held(_ context.Context, z anchors.Zone) ([]web.Held, error) {
	return []web.Held{{ID: "gate:portal-" + z.String(), Own: true}, {ID: "elt-01", Name: web.Name{JA: "eLTAX 申告データ", EN: "eLTAX declarations"}}}, nil
}

func (a alarm) CutOff(_ context.Context, p web.Person, z anchors.Zone, reason string, until time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cuts = append(a.cuts, web.Cut{Zone: z, Since: time.Now(), Until: until, By: p.Name, Reason: reason})
	a.acts = append(a.acts, "cut off "+z.String()+" by "+p.ID+": "+reason)
	return nil
}

func (a alarm) GiveBack(_ context.Context, p web.Person, z anchors.Zone, reason string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cuts = slices.DeleteFunc(a.cuts, func(c web.Cut) bool { return c.Zone == z })
	a.acts = append(a.acts, "gave back "+z.String()+" by "+p.ID+": "+reason)
	return nil
}
