package transfer

import (
	"context"
	"errors"

	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// looked has the log say that somebody looked at another person's file, before anything of it is shown: its text or small pictures here,
// its pages by the portal, which asks for the transfer first. Once for each person and transfer, and not for each page: who saw
// residents' data is worth a record, how often a page was turned is not.
func (d *Desk) looked(ctx context.Context, r record, zone anchors.Zone, person string) error {
	key := lookedKey + r.ID + "/" + person
	_, err := d.o.Store.Get(ctx, key)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	t := store.Txn{If: []store.If{{Key: key}}, Put: []store.Put{{Key: key}}}
	err = d.o.Journal.Commit(ctx, t, d.event(r, zone, person, "transfer.look", map[string]string{"original_sha256": r.SHA256, "sanitized_sha256": r.Sanitized}))
	if errors.Is(err, store.ErrConflict) {
		return nil // in another window, at the same moment
	}
	return err
}
