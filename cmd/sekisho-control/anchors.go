package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors/history"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// The anchors change where control has no hand in it: in a file of root's, at a start of the dataplane. Control asks what the
// dataplane keeps of them and writes every change into the audit log, also those that were made while it was not there.

// anchorsWatch records what the dataplane's history of anchors holds.
type anchorsWatch struct {
	dataplane string // socket
	store     store.Store
	journal   *audit.Journal
	log       *slog.Logger
	now       func() time.Time
}

// anchorsRecorded is the number of the last entry that stands in the audit log.
const anchorsRecorded = "anchors-recorded"

// anchorsEvery is how often the history is asked for; it changes only when the dataplane starts.
const anchorsEvery = 10 * time.Second

func (w *anchorsWatch) run(ctx context.Context) {
	said := ""
	for {
		err := w.look(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != said {
			w.log.Warn("the history of the anchors cannot be recorded yet", "error", err)
		}
		if said = ""; err != nil {
			said = err.Error()
		}
		select {
		case <-time.After(anchorsEvery):
		case <-ctx.Done():
			return
		}
	}
}

// look records the entries that are new, oldest first.
func (w *anchorsWatch) look(ctx context.Context) error {
	last, revision := 0, uint64(0)
	switch e, err := w.store.Get(ctx, anchorsRecorded); {
	case err == nil:
		revision = e.Revision
		if last, err = strconv.Atoi(string(e.Value)); err != nil {
			return fmt.Errorf("read how far the history of the anchors is recorded: %w", err)
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	told, err := w.ask(ctx, last)
	if err != nil {
		return err
	}
	var events []audit.Event
	for i := len(told) - 1; i >= 0; i-- {
		if t := told[i]; t.Number > last {
			events = append(events, audit.New(w.now(), "", "root", "anchors.changed", strconv.Itoa(t.Number), detail(t)))
			last = t.Number
		}
	}
	if len(events) == 0 {
		return nil
	}
	return w.journal.Commit(ctx, store.Txn{
		If:  []store.If{{Key: anchorsRecorded, Revision: revision}},
		Put: []store.Put{{Key: anchorsRecorded, Value: []byte(strconv.Itoa(last))}},
	}, events...)
}

// mostTold bounds what one event says of the changes, in bytes.
const mostTold = 8 << 10

func detail(t history.Told) map[string]string {
	d := map[string]string{"hash": t.Hash, "since": t.Time.UTC().Format(time.RFC3339)}
	var lines []string
	size := 0
	for i, c := range t.Changes {
		line := c.String()
		if size += len(line) + 1; size > mostTold {
			lines = append(lines, fmt.Sprintf("and %d more", len(t.Changes)-i))
			break
		}
		lines = append(lines, line)
	}
	if len(lines) > 0 {
		d["changes"] = strings.Join(lines, "\n")
	}
	if t.Error != "" {
		d["error"] = t.Error
	}
	return d
}

// ask gets what is newer than a number, newest first.
func (w *anchorsWatch) ask(ctx context.Context, after int) (told []history.Told, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprint("http://gate/anchors/history?after=", after), nil)
	if err != nil {
		return nil, err
	}
	c := socket.Client(w.dataplane)
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the dataplane for the history of the anchors: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the dataplane for the history of the anchors: it answers %s", resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(&told); err != nil {
		return nil, fmt.Errorf("ask the dataplane for the history of the anchors: %w", err)
	}
	return told, nil
}
