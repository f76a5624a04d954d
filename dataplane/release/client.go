package release

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Client asks the release daemon. What it may ask depends on the user that the process runs as. Refusals come back as *Refusal.
type Client struct{ http *http.Client }

// NewClient speaks to place.ReleaseSocket.
func NewClient(socketPath string) *Client { return &Client{http: socket.Client(socketPath)} }

// Over speaks through an HTTP client that connects by itself.
func Over(h *http.Client) *Client { return &Client{http: h} }

// NewOriginal says what a new file is.
type NewOriginal struct {
	Transfer, Name, Requester string
	Section                   string // of the requester: only its head can approve. Needed where the route demands a section head
	From, To                  anchors.Zone
}

// File is bytes on their way; the caller closes Body.
type File struct {
	Body        io.ReadCloser
	Size        int64
	SHA256      string
	Disposition string // the Content-Disposition to hand on
	Original    Original
}

// StoreOriginal (control) hands a file over; it is on disk when this returns.
func (c *Client) StoreOriginal(ctx context.Context, o NewOriginal, body io.Reader) (verdict.Digest, error) {
	q := url.Values{"name": {o.Name}, "from": {o.From.String()}, "to": {o.To.String()}, "requester": {o.Requester}}
	if o.Section != "" {
		q.Set("section", o.Section)
	}
	var d verdict.Digest
	err := c.call(ctx, http.MethodPost, "/originals/"+url.PathEscape(o.Transfer)+"?"+q.Encode(), nil, body, &d)
	return d, err
}

// State (control) tells what became of a transfer.
func (c *Client) State(ctx context.Context, transfer string) (State, error) {
	var s State
	err := c.call(ctx, http.MethodGet, "/transfers/"+url.PathEscape(transfer), nil, nil, &s)
	return s, err
}

// Erase (control) destroys keys and bytes. known is how many approvals control has recorded: when there are more, release refuses
// (CodeApproved), so that none is forgotten that nobody wrote down. Less than 0: however many there are.
func (c *Client) Erase(ctx context.Context, transfer string, known int) error {
	return c.call(ctx, http.MethodDelete, "/transfers/"+url.PathEscape(transfer)+"?approvals="+strconv.Itoa(known), nil, nil, nil)
}

// Original (broker) fetches a received file.
func (c *Client) Original(ctx context.Context, transfer string) (File, error) {
	return c.file(ctx, "/originals/"+url.PathEscape(transfer))
}

// About (broker) tells what a received file is, without its bytes.
func (c *Client) About(ctx context.Context, transfer string) (Original, error) {
	var o Original
	err := c.call(ctx, http.MethodGet, "/originals/"+url.PathEscape(transfer)+"/about", nil, nil, &o)
	return o, err
}

// StoreSanitized (broker) hands over the rebuilt bytes with the verifier's attestation.
func (c *Client) StoreSanitized(ctx context.Context, transfer string, attestation verdict.Signed, body []byte) error {
	line, err := json.Marshal(attestation)
	if err != nil {
		return err
	}
	h := http.Header{HeaderAttestation: {base64.StdEncoding.EncodeToString(line)}}
	return c.call(ctx, http.MethodPut, "/sanitized/"+url.PathEscape(transfer), h, bytes.NewReader(body), nil)
}

// Sanitized (portal of the sending zone) fetches the rebuilt bytes for the approver's eyes.
func (c *Client) Sanitized(ctx context.Context, transfer string) (File, error) {
	return c.file(ctx, "/sanitized/"+url.PathEscape(transfer))
}

// Statement (portal of the sending zone) tells what release knows of the file, for the approver's page. A file that is not
// sanitized yet has none.
func (c *Client) Statement(ctx context.Context, transfer string) (Statement, error) {
	var s Statement
	err := c.call(ctx, http.MethodGet, "/transfers/"+url.PathEscape(transfer)+"/statement", nil, nil, &s)
	return s, err
}

// Approve (portal of the sending zone) gives the signed approval, kind verdict.KindApproval.
func (c *Client) Approve(ctx context.Context, a ApprovalRequest) (verdict.Signed, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return verdict.Signed{}, err
	}
	var s verdict.Signed
	err = c.call(ctx, http.MethodPost, "/approvals", nil, bytes.NewReader(b), &s)
	return s, err
}

// Released (portal of the destination zone) fetches the bytes, when every condition holds.
func (c *Client) Released(ctx context.Context, transfer string) (File, error) {
	return c.file(ctx, "/released/"+url.PathEscape(transfer))
}

func (c *Client) file(ctx context.Context, path string) (File, error) {
	resp, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return File{}, err
	}
	f := File{Body: resp.Body, Size: resp.ContentLength, SHA256: resp.Header.Get(HeaderSHA256), Disposition: resp.Header.Get("Content-Disposition")}
	if h := resp.Header.Get(HeaderOriginal); h != "" {
		b, err := base64.StdEncoding.DecodeString(h)
		if err == nil {
			err = json.Unmarshal(b, &f.Original)
		}
		if err != nil {
			return File{}, errors.Join(fmt.Errorf("release, %s: header %s: %w", path, HeaderOriginal, err), resp.Body.Close())
		}
	}
	return f, nil
}

func (c *Client) call(ctx context.Context, method, path string, h http.Header, body io.Reader, into any) error {
	resp, err := c.do(ctx, method, path, h, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(into); err != nil {
		return fmt.Errorf("release, %s: %w", path, err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, h http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://release"+path, body)
	if err != nil {
		return nil, err
	}
	for k, v := range h {
		req.Header[k] = v
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask release: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var no struct{ Error, Code string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&no); err != nil || no.Code == "" {
		return nil, fmt.Errorf("release answered %s to %s %s", resp.Status, method, path)
	}
	r := &Refusal{Code: no.Code, Status: resp.StatusCode, Text: no.Error}
	if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		r.Wait = wait
	}
	return nil, r
}
