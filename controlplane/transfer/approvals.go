package transfer

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// An approval is given to release, and its receipt is brought here: in between, somebody may take the transfer back, reject it, or let
// it expire. What this desk records first counts, for release hands out nothing that is not released here, too. And each approval that
// release has is in the log before release forgets it: the receipt is recorded when it is brought, or fetched while the transfer
// waits, or fetched before the file is erased, which release does only when it has no other approval.

// Receipt takes release's signed word that p approved. The approval itself lies with release; without it there are no bytes. One that
// comes after the transfer has ended, because it was taken back in that moment, changes nothing, and is recorded all the same.
func (d *Desk) Receipt(ctx context.Context, p web.Person, zone anchors.Zone, id string, signed verdict.Signed) error {
	r, rev, err := d.forDecider(ctx, p, zone, id)
	if err != nil {
		return err
	}
	a, err := d.openApproval(r, signed)
	if err != nil {
		return err
	}
	if a.Person != p.ID {
		return web.Refuse(web.CodeForbidden, fmt.Errorf("receipt of %s: approved by %s, brought by %s", id, a.Person, p.ID))
	}
	if d.waits(r) {
		return d.approve(ctx, r, rev, zone, signed, a)
	}
	if r.State == web.Released && r.holds(signed) {
		return nil // fetched from release before it was brought, or brought twice
	}
	if err := d.late(ctx, r, rev, zone, signed, a); err != nil {
		return err
	}
	return web.Refuse(web.CodeState, nil)
}

// openApproval checks that release vouches for an approval of exactly these bytes on this way.
func (d *Desk) openApproval(r record, signed verdict.Signed) (verdict.Approval, error) {
	key, err := publicKey(d.o.ReleaseKey)
	if err != nil {
		return verdict.Approval{}, err
	}
	var a verdict.Approval
	if err := signed.Open(key, verdict.KindApproval, &a); err != nil {
		return a, web.Refuse(web.CodeForbidden, fmt.Errorf("receipt of %s: %w", r.ID, err))
	}
	if a.Transfer != r.ID || a.SanitizedSHA256 != r.Sanitized || a.From != r.From.String() || a.To != r.To.String() || a.Person == r.Requester {
		return a, web.Refuse(web.CodeForbidden, fmt.Errorf("receipt of %s: it is for another transfer, way or content", r.ID))
	}
	return a, nil
}

func (d *Desk) approve(ctx context.Context, r record, rev uint64, zone anchors.Zone, signed verdict.Signed, a verdict.Approval) error {
	if r.approvedBy(a.Person) {
		return nil // brought twice
	}
	at := slices.Index(r.Approvals, a.Role)
	if at < 0 {
		return web.Refuse(web.CodeForbidden, fmt.Errorf("receipt of %s: role %q is not demanded any more", r.ID, a.Role))
	}
	r.Approvals = slices.Delete(slices.Clone(r.Approvals), at, at+1)
	r.Receipts = append(r.Receipts, signed.Signature)
	next := web.Awaiting
	if len(r.Approvals) == 0 {
		next = web.Released
	}
	detail := approved(signed, a, next)
	var words string
	if a.Reason != "" {
		var err error
		if words, err = d.reason(r.ID, a.Reason); err != nil {
			return err
		}
		word, err := d.sheets.word(r.ID, a.Reason)
		if err != nil {
			return err
		}
		detail["reason"] = word
	}
	r.advance(next, d.o.Now(), a.Person)
	r.History[len(r.History)-1].Words = words
	return d.save(ctx, r, rev, store.Txn{}, d.event(r, zone, a.Person, "transfer.approve", detail))
}

// late records an approval of a transfer that has ended.
func (d *Desk) late(ctx context.Context, r record, rev uint64, zone anchors.Zone, signed verdict.Signed, a verdict.Approval) error {
	if r.holds(signed) || len(r.Receipts) == 0 && r.approvedBy(a.Person) { // an older record holds no receipts
		return nil
	}
	r.Receipts = append(r.Receipts, signed.Signature)
	detail := approved(signed, a, r.State)
	if a.Reason != "" && r.State != web.Expired { // then its words have no key any more
		word, err := d.sheets.word(r.ID, a.Reason)
		if err != nil {
			return err
		}
		detail["reason"] = word
	}
	return d.save(ctx, r, rev, store.Txn{}, d.event(r, zone, a.Person, "transfer.approve", detail))
}

func approved(signed verdict.Signed, a verdict.Approval, s web.State) map[string]string {
	return map[string]string{"sanitized_sha256": a.SanitizedSHA256, "role": a.Role, "state": string(s),
		"receipt": base64.StdEncoding.EncodeToString(signed.Signature)}
}

func (r *record) holds(signed verdict.Signed) bool {
	return slices.ContainsFunc(r.Receipts, func(s []byte) bool { return bytes.Equal(s, signed.Signature) })
}

// erase has release erase what has ended.
func (d *Desk) erase(ctx context.Context) error {
	ids, err := d.under(ctx, eraseKey)
	if err != nil {
		return err
	}
	return each(ctx, ids, func(id string) error {
		known, err := d.recordLate(ctx, id)
		if err != nil {
			return err
		}
		err = d.o.Release.Erase(ctx, id, known)
		if refusal := new(release.Refusal); errors.As(err, &refusal) && (refusal.Code == release.CodeUnknown || refusal.Code == release.CodeErased) {
			err = nil
		}
		if err != nil {
			return err
		}
		_, err = d.o.Store.Commit(ctx, store.Txn{Delete: []string{eraseKey + id}})
		return err
	})
}

// recordLate has all approvals recorded that release has of a transfer, and answers how many those are; less than 0 where release
// cannot tell, because what it keeps is damaged.
func (d *Desk) recordLate(ctx context.Context, id string) (int, error) {
	st, err := d.o.Release.State(ctx, id)
	if refusal := new(release.Refusal); errors.As(err, &refusal) {
		switch refusal.Code {
		case release.CodeDamaged:
			return -1, nil
		case release.CodeUnknown, release.CodeErased:
			return 0, nil
		}
	}
	if err != nil {
		return 0, err // of release itself, or of what it reads: asked again
	}
	for _, signed := range st.Approvals {
		r, rev, err := d.load(ctx, id)
		if err != nil {
			return 0, err
		}
		a, err := d.openApproval(r, signed)
		if err != nil {
			d.o.Log.Warn("an approval of a transfer that has ended", "transfer", id, "error", err)
			continue
		}
		if err := d.late(ctx, r, rev, r.From, signed, a); err != nil {
			return 0, err
		}
	}
	return len(st.Approvals), nil
}
