package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/controlplane/monitor"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/isolation"
)

// siren is the console's way to the emergency desk.
type siren struct {
	desk *emergency.Desk
	eye  *monitor.Monitor
	book *revision.Book
}

// Cuts are the dataplane's word; while it is silent, its last one, which holds until it says otherwise.
func (s siren) Cuts(ctx context.Context) ([]web.Cut, error) {
	cuts, err := s.desk.Isolations(ctx)
	if err != nil {
		if st, last := s.eye.Status(ctx); last == nil && len(st.Isolated) > 0 {
			return st.Isolated, nil
		}
		return nil, inCode(err)
	}
	out := make([]web.Cut, len(cuts))
	for i, c := range cuts {
		out[i] = shown(c)
	}
	return out, nil
}

func shown(c isolation.Cut) web.Cut {
	return web.Cut{Zone: c.Zone, Since: c.Since, Until: c.Until, By: c.By, Reason: c.Reason}
}

func (s siren) Held(ctx context.Context, zone anchors.Zone) ([]web.Held, error) {
	ids, err := s.desk.Returning(ctx, zone)
	if err != nil {
		return nil, inCode(err)
	}
	names := map[string]config.Text{}
	if h := s.book.Head(); h != nil {
		for _, c := range h.Config.Communications {
			names[c.ID] = c.Name
		}
	}
	out := make([]web.Held, len(ids))
	for i, id := range ids {
		n, known := names[id]
		out[i] = web.Held{ID: id, Name: web.Name(n), Own: !known}
	}
	return out, nil
}

func (s siren) CutOff(ctx context.Context, p web.Person, zone anchors.Zone, reason string, until time.Time) error {
	_, err := s.desk.Isolate(ctx, p.ID, zone, reason, until)
	return inCode(err)
}

func (s siren) GiveBack(ctx context.Context, p web.Person, zone anchors.Zone, reason string) error {
	return inCode(s.desk.Rejoin(ctx, p.ID, zone, reason))
}

// inCode puts the desk's answer into a code of the pages.
func inCode(err error) error {
	var no *emergency.Refused
	var down *url.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
		return web.Refuse(web.CodeState, err)
	case errors.As(err, &down) && !down.Timeout(): // nothing was heard of it
		return web.Refuse(web.CodeUnavailable, err)
	}
	return web.Refuse(web.CodePartly, err)
}
