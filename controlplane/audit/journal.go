package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sekisho/sekisho/controlplane/store"
)

// Journal makes a change of state and its event one act although they live in two places: the event is written with the
// state, in the same transaction, then recorded in the log, and taken out of the store with the next act. A crash in between
// leaves it in the store, and Replay records it.
type Journal struct {
	store store.Store
	log   Recorder

	mu       sync.Mutex
	recorded []string // keys in the store of events that are in the log
}

// Recorder is the part of Log that the journal needs.
type Recorder interface {
	Append(ctx context.Context, events ...Event) (int64, error)
}

const outbox = "outbox/"

// replayWindow is how far back Replay looks for events that were recorded: more than can be under way at a crash.
const replayWindow = 8192

// NewJournal joins state and log. Call Replay before the first Commit.
func NewJournal(s store.Store, l Recorder) *Journal { return &Journal{store: s, log: l} }

// Commit makes the change and records the events, if any. After an error of the transaction nothing has happened; after an error of
// the log the change stands and its events are recorded at the next start, but nobody may be told that it was done.
func (j *Journal) Commit(ctx context.Context, t store.Txn, events ...Event) error {
	keys := make([]string, len(events))
	for i, e := range events {
		keys[i] = outbox + e.ID
		p, err := store.JSON(keys[i], e)
		if err != nil {
			return err
		}
		t.Put = append(t.Put, p)
	}
	j.mu.Lock()
	done := j.recorded
	j.recorded = nil
	j.mu.Unlock()
	t.Delete = append(t.Delete, done...)
	if _, err := j.store.Commit(ctx, t); err != nil {
		j.remember(done)
		return err
	}
	if len(events) == 0 {
		return nil
	}
	// From here on the act stands: it must be recorded even when its caller has gone.
	if _, err := j.log.Append(context.WithoutCancel(ctx), events...); err != nil {
		return err
	}
	j.remember(keys)
	return nil
}

// Note records events that change no state.
func (j *Journal) Note(ctx context.Context, events ...Event) error {
	_, err := j.log.Append(ctx, events...)
	return err
}

func (j *Journal) remember(keys []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.recorded = append(j.recorded, keys...)
}

// Replay records what a crash left between store and log, and answers how many events that were.
func (j *Journal) Replay(ctx context.Context, l *Log) (int, error) {
	from, to := store.Under(outbox)
	left, err := j.store.Range(ctx, from, to, 0, false)
	if err != nil || len(left) == 0 {
		return 0, err
	}
	last, err := l.Read(l.Size()-replayWindow, l.Size())
	if err != nil {
		return 0, fmt.Errorf("replay events: %w", err)
	}
	known := map[string]bool{}
	for _, r := range last {
		known[r.ID] = true
	}
	var t store.Txn
	replayed := 0
	for _, e := range left {
		var ev Event
		if err := e.Decode(&ev); err != nil {
			return replayed, fmt.Errorf("replay events: %w", err)
		}
		if !known[ev.ID] {
			if _, err := j.log.Append(ctx, ev); err != nil {
				return replayed, fmt.Errorf("replay events: %w", err)
			}
			replayed++
		}
		t.Delete = append(t.Delete, e.Key)
	}
	if _, err := j.store.Commit(ctx, t); err != nil && !errors.Is(err, store.ErrNotFound) {
		return replayed, fmt.Errorf("replay events: %w", err)
	}
	return replayed, nil
}
