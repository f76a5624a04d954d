package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// What an approver is shown of a file lies here, beside its bytes and under the same keys, and not with control: control would see
// pages that it has no business with, and could show others than it was given.

// showable are the roles of what the broker may leave, with the largest size, in bytes.
var showable = map[string]int64{
	roleReport: 2 * verdict.MaxReportLine, // it was made printable since it came in a line
	rolePages:  verdict.MaxPageBytes + verdict.MaxJobLine,
}

// storeShown takes what is shown of the sanitized bytes that the query names.
func (s *Server) storeShown(w http.ResponseWriter, r *http.Request, _ role) error {
	id, what := r.PathValue("t"), r.PathValue("what")
	max, ok := showable[what]
	if !ok {
		return refuse(http.StatusBadRequest, CodeRequest, "nothing of the kind %.40q is shown", what)
	}
	if _, _, _, err := s.find(id); err != nil {
		return err
	}
	b, err := s.vault.stage(r.Context(), id, what, r.Body, max)
	if err != nil {
		return err
	}
	staged := b
	_, _, err = s.vault.update(id, func(rec *record, _ *details) error {
		if rec.Sanitized == nil || rec.Sanitized.SHA256 != r.URL.Query().Get("sha256") {
			return refuse(http.StatusConflict, CodeHashMismatch, "%s: what is shown is not of the stored bytes", id)
		}
		if err := s.vault.adopt(id, what, &b); err != nil {
			return err
		}
		if rec.Shown == nil {
			rec.Shown = map[string]*blob{}
		}
		rec.Shown[what] = &b
		return nil
	})
	if err != nil {
		return errors.Join(err, s.vault.drop(staged))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// shown hands it to the approver's portal.
func (s *Server) shown(w http.ResponseWriter, r *http.Request, who role) error {
	what := r.PathValue("what")
	rec, _, _, err := s.forApprover(r.PathValue("t"), who)
	if err != nil {
		return err
	}
	if rec.Shown[what] == nil {
		return refuse(http.StatusNotFound, CodeNotShown, "%s: there are no %.40q yet", rec.Transfer, what)
	}
	body, b, err := s.vault.open(rec, what)
	if err != nil {
		return err
	}
	defer body.Close()
	return s.send(w, r, body, b)
}

// StorePages (broker) leaves drawn pages of the sanitized bytes with that hash.
func (c *Client) StorePages(ctx context.Context, transfer, sanitized string, p verdict.Pages) error {
	var b bytes.Buffer
	if err := verdict.WritePages(&b, p); err != nil {
		return err
	}
	return c.store(ctx, transfer, rolePages, sanitized, &b)
}

// StoreReport (broker) leaves the sanitizer's report on them.
func (c *Client) StoreReport(ctx context.Context, transfer, sanitized string, r verdict.Report) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return c.store(ctx, transfer, roleReport, sanitized, bytes.NewReader(b))
}

func (c *Client) store(ctx context.Context, transfer, what, sanitized string, body io.Reader) error {
	return c.call(ctx, http.MethodPut, "/shown/"+url.PathEscape(transfer)+"/"+what+"?sha256="+url.QueryEscape(sanitized), nil, body, nil)
}

// Pages (portal of the sending zone, broker) fetches drawn pages. Until they are drawn the refusal is CodeNotShown.
func (c *Client) Pages(ctx context.Context, transfer string) (verdict.Pages, error) {
	f, err := c.file(ctx, "/shown/"+url.PathEscape(transfer)+"/"+rolePages)
	if err != nil {
		return verdict.Pages{}, err
	}
	defer f.Body.Close()
	return verdict.ReadPages(f.Body)
}

// Report (portal of the sending zone) fetches the sanitizer's report, as the broker left it.
func (c *Client) Report(ctx context.Context, transfer string) (verdict.Report, error) {
	f, err := c.file(ctx, "/shown/"+url.PathEscape(transfer)+"/"+roleReport)
	if err != nil {
		return verdict.Report{}, err
	}
	defer f.Body.Close()
	var r verdict.Report
	if err := json.NewDecoder(io.LimitReader(f.Body, showable[roleReport])).Decode(&r); err != nil {
		return verdict.Report{}, fmt.Errorf("release, report of %s: %w", transfer, err)
	}
	return r, nil
}
