// Package emergency cuts zones off and gives them back, for people, and brings every such act into the audit log.
//
// Problem: in an emergency a zone has to be cut off in a second, also past a control daemon that is dead, and afterwards the log
// must tell who did what and why, once. Mechanism: the dataplane does it and keeps a numbered list of the acts; control hands
// requests on, and collects that list: it records each act, remembers it in the same transaction, and only then lets the dataplane
// forget it. Life cycle: Run collects until its context ends; Isolate and Rejoin collect before they answer. Invariant:
// no act is missing from the log and none stands there twice, whoever died in between.
package emergency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// Actions in the audit log.
const (
	ActionBegin = "isolation.begin"
	ActionEnd   = "isolation.end"
)

// Order is a request to cut a zone off, or to give it back.
type Order = gate.Order

// Options of a desk.
type Options struct {
	Dataplane string // socket
	Store     store.Store
	Journal   *audit.Journal
	Log       *slog.Logger // nil: slog.Default()
}

// Desk is where people ask. Who may ask is the caller's business.
type Desk struct {
	o    Options
	http *http.Client
	mu   sync.Mutex // one collection at a time
}

// New makes a desk; Run makes it collect.
func New(o Options) *Desk {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	c := socket.Client(o.Dataplane)
	c.Timeout = 5 * time.Second
	return &Desk{o: o, http: c}
}

// Refused is the dataplane's no, with its words for a person. Nothing has changed.
type Refused struct{ Text string }

func (r *Refused) Error() string { return r.Text }

// Isolate cuts a zone off. by: who asks; until: the planned way back, zero for none. Cut off already, it stays so for the longer of
// the two times. A *Refused has changed nothing; after another error the zone may be cut off.
func (d *Desk) Isolate(ctx context.Context, by string, zone anchors.Zone, reason string, until time.Time) (isolation.Cut, error) {
	s, err := d.order(ctx, Order{Act: isolation.Begin, Request: isolation.Request{Zone: zone, By: by, Reason: reason, Until: until}})
	c, _ := s.Of(zone)
	return c, err
}

// Rejoin gives a zone back: what the proven tables permit passes again, and nothing else. Ask Returning before.
func (d *Desk) Rejoin(ctx context.Context, by string, zone anchors.Zone, reason string) error {
	_, err := d.order(ctx, Order{Act: isolation.End, Request: isolation.Request{Zone: zone, By: by, Reason: reason}})
	return err
}

// Isolations are the zones that are cut off now.
func (d *Desk) Isolations(ctx context.Context) ([]isolation.Cut, error) {
	var s gate.Isolation
	err := d.call(ctx, http.MethodGet, "/isolation", nil, &s)
	return s.Cuts, err
}

// Returning are the records that begin to permit again when a zone is given back.
func (d *Desk) Returning(ctx context.Context, zone anchors.Zone) (records []string, err error) {
	err = d.call(ctx, http.MethodGet, "/isolation/records?"+url.Values{"zone": {zone.String()}}.Encode(), nil, &records)
	return records, err
}

func (d *Desk) order(ctx context.Context, o Order) (gate.Isolation, error) {
	var s gate.Isolation
	// Who hangs up must not leave an act without its event.
	ctx = context.WithoutCancel(ctx)
	if err := d.call(ctx, http.MethodPost, "/isolation", o, &s); err != nil {
		return s, err
	}
	if err := d.Collect(ctx); err != nil {
		return s, fmt.Errorf("it is done, but not recorded yet: %w", err)
	}
	return s, nil
}

// every is how often acts are looked for that nobody asked for here.
const every = 2 * time.Second

// Run collects until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer d.http.CloseIdleConnections()
	said := ""
	for {
		err := d.Collect(ctx)
		var down *url.Error // the dataplane does not answer: it keeps what it has
		if err != nil && ctx.Err() == nil && !errors.As(err, &down) && err.Error() != said {
			d.o.Log.Error("record what was cut off and given back", "error", err)
			said = err.Error()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// collectedKey holds what is in the log of the acts that the dataplane gave last.
const collectedKey = "isolation/collected"

// collection is what the dataplane may still give again. By the acts themselves, not by their numbers: when its file is lost and
// its clock was set back, new acts have low numbers.
type collection struct {
	IDs []string `json:"ids"` // of the events
}

// Collect records the acts that the dataplane keeps and lets it forget them.
func (d *Desk) Collect(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var s gate.Isolation
	if err := d.call(ctx, http.MethodGet, "/isolation", nil, &s); err != nil || len(s.Events) == 0 {
		return err
	}
	recorded, err := d.recorded(ctx)
	if err != nil {
		return err
	}
	var now collection
	var fresh []audit.Event
	for _, e := range s.Events {
		x := event(e)
		if now.IDs = append(now.IDs, x.ID); !recorded(e.Seq, x.ID) {
			fresh = append(fresh, x)
		}
	}
	if len(fresh) > 0 {
		p, err := store.JSON(collectedKey, now)
		if err != nil {
			return err
		}
		if err := d.o.Journal.Commit(ctx, store.Txn{Put: []store.Put{p}}, fresh...); err != nil {
			return err
		}
	}
	last := s.Events[len(s.Events)-1].Seq
	return d.call(ctx, http.MethodPost, "/isolation/collected", map[string]uint64{"seq": last}, nil)
}

// recorded tells which acts are in the log.
func (d *Desk) recorded(ctx context.Context) (func(seq uint64, id string) bool, error) {
	e, err := d.o.Store.Get(ctx, collectedKey)
	if errors.Is(err, store.ErrNotFound) {
		return func(uint64, string) bool { return false }, nil
	}
	if err != nil {
		return nil, err
	}
	var last uint64 // as former versions kept it
	if e.Decode(&last) == nil {
		return func(seq uint64, _ string) bool { return seq <= last }, nil
	}
	var c collection
	if err := e.Decode(&c); err != nil {
		return nil, err
	}
	return func(_ uint64, id string) bool { return slices.Contains(c.IDs, id) }, nil
}

// event is an act as the log has it. Its id follows from all of the act, so that one that is recorded again is known for the same,
// and another one of the same number is not.
func event(e isolation.Event) audit.Event {
	sum := sha256.Sum256(fmt.Appendf(nil, "isolation %d %s %q %q %q %q %q %s", e.Seq, e.Time.UTC().Format(time.RFC3339Nano), e.Act, e.Zone.String(), e.By, e.Via, e.Reason, e.Until.UTC().Format(time.RFC3339)))
	out := audit.Event{ID: hex.EncodeToString(sum[:16]), Time: e.Time.UTC().Truncate(time.Millisecond), Actor: e.By, Object: e.Zone.String(), Action: ActionBegin,
		Detail: map[string]string{"cause": string(e.Act), "via": e.Via}}
	if e.Via == isolation.ViaRoot {
		out.Actor, out.Detail["by"] = "root", e.By // who sits at the terminal, as far as sudo tells
	}
	if e.Act == isolation.End || e.Act == isolation.Due {
		out.Action = ActionEnd
	}
	if e.Reason != "" {
		out.Detail["reason"] = e.Reason
	}
	if !e.Until.IsZero() {
		out.Detail["until"] = e.Until.UTC().Format(time.RFC3339)
	}
	return out
}

func (d *Desk) call(ctx context.Context, method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://gate"+path, in)
	if err != nil {
		return err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the dataplane: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var no struct{ Error string }
		b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		if err != nil || json.Unmarshal(b, &no) != nil || no.Error == "" {
			no.Error = resp.Status
		}
		if resp.StatusCode == http.StatusConflict || resp.StatusCode == http.StatusBadRequest {
			return &Refused{no.Error}
		}
		return fmt.Errorf("the dataplane says: %s", no.Error)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(into); err != nil {
		return fmt.Errorf("ask the dataplane for %s: %w", path, err)
	}
	return nil
}
