// Package office opens together what control keeps: store, audit log, people and revisions.
//
// Problem: the daemon needs them while it runs, and the operator's command line needs them before the first start; opened in
// another order or without replay, an act could lose its event. Mechanism: one way to open them, in the order log, store,
// replay. Life cycle: one process at a time holds an office, by the locks of store and log. Invariant: whoever holds one has
// every event of the past in the log.
package office

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
)

// Office is what control keeps.
type Office struct {
	Store    *store.Bolt
	Log      *audit.Log
	Journal  *audit.Journal
	People   *identity.Directory
	Book     *revision.Book
	Replayed int // events that a crash had kept from the log
}

// lockWait is how long to wait for another process to let go.
const lockWait = 3 * time.Second

// Open opens the office of an instance. d is nil where the dataplane is not to be asked.
func Open(ctx context.Context, i place.Instance, d revision.Dataplane, now func() time.Time) (*Office, error) {
	signer, err := os.ReadFile(i.AuditSigner())
	if err != nil {
		return nil, fmt.Errorf("read the audit log's key (sekisho init makes it): %w", err)
	}
	verifier, err := os.ReadFile(i.AuditKey())
	if err != nil {
		return nil, fmt.Errorf("read the audit log's key (sekisho init makes it): %w", err)
	}
	o := &Office{}
	if o.Log, err = audit.Open(i.AuditLog(), strings.TrimSpace(string(signer)), strings.TrimSpace(string(verifier)), now); err != nil {
		return nil, err
	}
	if o.Store, err = store.OpenBolt(filepath.Join(i.StateOf("control"), "state.db"), lockWait, now); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	o.Journal = audit.NewJournal(o.Store, o.Log)
	if o.Replayed, err = o.Journal.Replay(ctx, o.Log); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	o.People = identity.New(o.Store, o.Journal, now, identity.DefaultLimits)
	o.Book = revision.New(o.Store, o.Journal, d, func() (*anchors.Anchors, error) { return anchors.Load(i.Anchors()) }, now)
	return o, nil
}

// Close lets go of everything.
func (o *Office) Close() error {
	var errs []error
	if o.Store != nil {
		errs = append(errs, o.Store.Close())
	}
	return errors.Join(append(errs, o.Log.Close())...)
}
