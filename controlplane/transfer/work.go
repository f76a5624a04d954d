package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/sandbox"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Broker has a file rebuilt and verified; *broker.Client is one.
type Broker interface {
	Run(ctx context.Context, o broker.Order) (broker.Outcome, error)
	At(ctx context.Context) (verdict.Work, error)
	Draw(ctx context.Context, o broker.Order) error
}

const (
	spare     = 2 * time.Minute // for the broker, beyond what a file may take in sandboxes
	maxTries  = 3               // failures until a file is blocked (F4)
	firstWait = 500 * time.Millisecond
	maxWait   = 30 * time.Second
	tendEvery = 30 * time.Second
)

// Run takes up what a stop interrupted, then sanitizes, erases and expires until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	if err := d.resume(ctx); err != nil {
		return fmt.Errorf("take up transfers: %w", err)
	}
	d.errands.begin(ctx)
	defer d.errands.end()
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		d.at(ctx)
		if err := d.Tend(ctx); err != nil && ctx.Err() == nil {
			d.o.Log.Warn("tend transfers", "error", err)
		}
		select {
		case <-tick.C:
		case <-d.due:
		case <-ctx.Done():
			return nil
		}
	}
}

// resume forgets unfinished uploads, which nobody was answered. Files that wait to be sanitized are found by the first Tend.
func (d *Desk) resume(ctx context.Context) error {
	drafts, err := d.under(ctx, draftKey)
	if err != nil {
		return err
	}
	for _, id := range drafts {
		d.drop(ctx, id)
	}
	return nil
}

// tendSoon has release erase a file at once, not at the next tick.
func (d *Desk) tendSoon() {
	select {
	case d.due <- struct{}{}:
	default: // it is due already
	}
}

// sanitize has one file rebuilt and verified, in one try. While the broker or release cannot be reached it waits for another; any
// other error is tried again a few times and then blocks the file.
func (d *Desk) sanitize(ctx context.Context, id string) error {
	r, rev, err := d.load(ctx, id)
	if err != nil || r.State != web.Received { // done by an earlier try, or given up
		return err
	}
	return d.round(ctx, r, rev)
}

func (d *Desk) round(ctx context.Context, r record, rev uint64) error {
	s, err := d.sheets.read(r.ID)
	if err != nil {
		return err
	}
	routes, err := release.LoadRoutes(d.o.Routes)
	if err != nil {
		return err
	}
	j := broker.Order{Transfer: r.ID, Name: s.Name, From: r.From, To: r.To, Keys: d.errands.keysOf(r.ID)}
	for _, way := range routes.Routes {
		if way.From == r.From && way.To == r.To {
			j.Formats, j.MaxSize = way.Formats, way.MaxSize
		}
	}
	if j.MaxSize == 0 {
		return d.block(ctx, r, rev, s, failed(s.Name, "gate.route-gone"))
	}
	work, cancel := context.WithTimeout(ctx, sandbox.Longest(r.Size, j.MaxSize)+spare)
	defer cancel()
	out, err := d.o.Broker.Run(work, j)
	switch {
	case err != nil && ctx.Err() == nil && (work.Err() != nil || d.counts(ctx, r.ID, err)):
		d.o.Log.Warn("sanitize", "transfer", r.ID, "error", err)
		if r.Tries++; r.Tries >= maxTries {
			return d.block(ctx, r, rev, s, failed(s.Name, "gate.broker"))
		}
		if serr := d.save(ctx, r, rev, store.Txn{}); serr != nil {
			return serr
		}
		return err
	case err != nil:
		return err
	}
	if r.Locked && len(j.Keys) == 0 && verdict.WantsKey(out.Report.Findings) {
		out.Report.Findings = append(out.Report.Findings, verdict.Finding{Code: "gate.password-forgotten", Action: verdict.Refused})
	}
	return d.settle(ctx, r, rev, s, out)
}

// counts tells whether an error is the file's, as against a broker or release that is down: then the file waits.
func (d *Desk) counts(ctx context.Context, id string, err error) bool {
	if !errors.As(err, new(*release.Refusal)) {
		return !unreached(err) // it broke off with this file in its hands: that may be this file's doing, again and again
	}
	_, err = d.o.Release.State(ctx, id)
	return err == nil || errors.As(err, new(*release.Refusal))
}

// unreached tells that the broker never had the order.
func unreached(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// settle records what the broker found. Anything short of a clean report with the verifier's signature is a block.
func (d *Desk) settle(ctx context.Context, r record, rev uint64, s sheet, out broker.Outcome) error {
	if out.Report.Outcome != verdict.Clean {
		return d.block(ctx, r, rev, s, out.Report)
	}
	if out.Verified == nil || out.Verified.Outcome != verdict.Clean {
		rep := out.Report
		if out.Verified != nil {
			rep.Findings = append(rep.Findings, out.Verified.Findings...)
		}
		rep.Findings = append(rep.Findings, verdict.Finding{Code: "gate.not-verified", Action: verdict.Refused})
		return d.block(ctx, r, rev, s, rep)
	}
	key, err := publicKey(d.o.VerifierKey)
	if err != nil {
		return err
	}
	var a verdict.Attestation
	ok := out.Attestation != nil && out.Attestation.Open(key, verdict.KindAttestation, &a) == nil
	if !ok || a.Transfer != r.ID || a.OriginalSHA256 != r.SHA256 || a.From != r.From.String() || a.To != r.To.String() ||
		out.Report.After == nil || out.Report.After.SHA256 != a.SanitizedSHA256 {
		rep := out.Report
		rep.Findings = append(rep.Findings, verdict.Finding{Code: "gate.not-verified", Action: verdict.Refused})
		return d.block(ctx, r, rev, s, rep)
	}
	s.Report = &out.Report
	if err := d.sheets.write(r.ID, s); err != nil {
		return err
	}
	now := d.o.Now()
	r.Sanitized = a.SanitizedSHA256
	for _, st := range []web.State{web.Scanned, web.Sanitized, web.Verified, web.Awaiting} {
		r.advance(st, now, "")
	}
	if len(r.Approvals) == 0 {
		r.advance(web.Released, now, "")
	}
	return d.save(ctx, r, rev, store.Txn{Delete: []string{pendingKey + r.ID}},
		d.event(r, anchors.None, "sekisho-broker", "transfer.verify", map[string]string{"original_sha256": r.SHA256, "sanitized_sha256": r.Sanitized,
			"findings": codes(out.Report), "engine": out.Report.Engine, "verifier": a.Verifier, "revision": a.PolicyRevision, "state": string(r.State)}))
}

func (d *Desk) block(ctx context.Context, r record, rev uint64, s sheet, rep verdict.Report) error {
	rep.Outcome, rep.After, rep.Result = verdict.Blocked, nil, nil
	s.Report = &rep
	if err := d.sheets.write(r.ID, s); err != nil {
		return err
	}
	r.advance(web.Blocked, d.o.Now(), "")
	defer d.tendSoon()
	return d.save(ctx, r, rev, store.Txn{Delete: []string{pendingKey + r.ID}, Put: []store.Put{{Key: eraseKey + r.ID}}},
		d.event(r, anchors.None, "sekisho-broker", "transfer.block", map[string]string{"original_sha256": r.SHA256, "findings": codes(rep), "engine": rep.Engine}))
}

// failed is the report of a file that no worker reported on.
func failed(name, code string) verdict.Report {
	return verdict.Report{Version: 1, Name: name, Outcome: verdict.Blocked, Engine: "sekisho-control",
		Findings: []verdict.Finding{{Code: code, Action: verdict.Refused}}}
}

// codes lists what was found without any of the file's own words.
func codes(rep verdict.Report) string {
	var out []string
	for _, f := range rep.Findings {
		c := f.Code
		if f.Count > 1 {
			c += " x" + strconv.Itoa(f.Count)
		}
		if out = append(out, c); len(out) == 40 {
			break
		}
	}
	return strings.Join(out, ", ")
}

// Tend erases what is due, ends what has expired, fetches receipts that a crash kept back, and finds work left over.
func (d *Desk) Tend(ctx context.Context) error {
	var errs []error
	errs = append(errs, d.expire(ctx), d.erase(ctx), d.collect(ctx))
	pending, err := d.under(ctx, pendingKey)
	errs = append(errs, err, each(ctx, pending, func(id string) error {
		r, _, err := d.load(ctx, id)
		if err == nil {
			d.enqueue(r)
		}
		return err
	}))
	return errors.Join(errs...)
}

// each does something with every transfer: one that fails keeps no other from its turn. The error names the first few that
// failed, and says how many there were.
func each(ctx context.Context, ids []string, do func(id string) error) error {
	const named = 3
	var errs []error
	failed := 0
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		if err := do(id); err != nil {
			if failed++; failed <= named {
				errs = append(errs, fmt.Errorf("transfer %s: %w", id, err))
			}
		}
	}
	if failed > named {
		errs = append(errs, fmt.Errorf("and %d transfers more", failed-named))
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// expire ends transfers whose keeping time is over: release erases the bytes, the sheet's key is overwritten.
func (d *Desk) expire(ctx context.Context) error {
	from, _ := store.Under(byExpiry)
	due, err := d.o.Store.Range(ctx, from, byExpiry+d.o.Now().UTC().Format(time.RFC3339), 0, false)
	if err != nil {
		return err
	}
	keys := make(map[string]string, len(due))
	for _, e := range due {
		keys[ofKey(e.Key)] = e.Key
	}
	return each(ctx, ofKeys(due), func(id string) error {
		r, rev, err := d.load(ctx, id)
		if err != nil {
			return err
		}
		// The key goes first: should a crash come in between, this is done again.
		d.abandon(id)
		if err := d.sheets.destroy(id); err != nil {
			return err
		}
		looked, err := d.under(ctx, lookedKey+id+"/")
		if err != nil {
			return err
		}
		gone := []string{keys[id], pendingKey + id}
		for _, person := range looked {
			gone = append(gone, lookedKey+id+"/"+person)
		}
		r.advance(web.Expired, d.o.Now(), "")
		return d.save(ctx, r, rev, store.Txn{Delete: gone, Put: []store.Put{{Key: eraseKey + id}}},
			d.event(r, anchors.None, "sekisho-control", "transfer.expire", nil))
	})
}

// collect asks release for approvals of waiting transfers whose receipt never came. The index by expiry names all that live.
func (d *Desk) collect(ctx context.Context) error {
	from, to := store.Under(byExpiry)
	live, err := d.o.Store.Range(ctx, from, to, 0, false)
	if err != nil {
		return err
	}
	return each(ctx, ofKeys(live), func(id string) error {
		r, rev, err := d.load(ctx, id)
		if err != nil || r.State != web.Awaiting {
			return err
		}
		st, err := d.o.Release.State(ctx, id)
		if err != nil {
			return err
		}
		for _, signed := range st.Approvals {
			a, err := d.openApproval(r, signed)
			if err != nil || r.approvedBy(a.Person) {
				continue
			}
			return d.approve(ctx, r, rev, r.From, signed, a) // the record has changed; the next round takes the next one
		}
		return nil
	})
}

// ofKey is the transfer that a key of an index ends in.
func ofKey(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

func ofKeys(es []store.Entry) []string {
	ids := make([]string, len(es))
	for i, e := range es {
		ids[i] = ofKey(e.Key)
	}
	return ids
}

func (d *Desk) under(ctx context.Context, prefix string) ([]string, error) {
	from, to := store.Under(prefix)
	es, err := d.o.Store.Range(ctx, from, to, 0, false)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(es))
	for i, e := range es {
		out[i] = strings.TrimPrefix(e.Key, prefix)
	}
	return out, nil
}
