package transfer

import (
	"context"
	"errors"

	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// maxCancel is how often a cancel is tried against steps that the gate takes at the same moment; each is one of few.
const maxCancel = 8

// Cancel takes back a request of one's own until it is released, even when one of several has agreed to it: what is done for it ends
// with its sandbox, and release erases the file. Once released, the file may have been fetched, and a cancel would only pretend. Of a
// cancel and the last approval at the same moment, the one that is recorded first counts; the other is refused.
func (d *Desk) Cancel(ctx context.Context, p web.Person, zone anchors.Zone, id string) error {
	who, err := d.o.People.Lookup(ctx, p.ID)
	if err != nil {
		return err
	}
	for range maxCancel {
		r, rev, err := d.load(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case r.Requester != who.ID || r.From != zone:
			return web.Refuse(web.CodeNotFound, nil)
		case r.State == web.Cancelled: // pressed twice
			return nil
		case r.State == web.Released || r.State == web.Expired && r.reached(web.Released):
			return web.Refuse(web.CodeApproved, nil)
		case r.State != web.Received && r.State != web.Awaiting:
			return web.Refuse(web.CodeState, nil)
		}
		r.advance(web.Cancelled, d.o.Now(), who.ID)
		err = d.save(ctx, r, rev, store.Txn{Delete: []string{pendingKey + id}, Put: []store.Put{{Key: eraseKey + id}}},
			d.event(r, zone, who.ID, "transfer.cancel", map[string]string{"original_sha256": r.SHA256}))
		if errors.Is(err, store.ErrConflict) {
			continue // the gate took a step: look again
		}
		if err == nil {
			d.abandon(id)
			d.tendSoon()
		}
		return err
	}
	return web.Refuse(web.CodeState, nil)
}

func (r *record) reached(s web.State) bool {
	for _, h := range r.History {
		if h.State == s {
			return true
		}
	}
	return false
}
