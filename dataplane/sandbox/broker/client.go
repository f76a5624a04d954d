package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/sekisho/sekisho/dataplane/antivirus"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// Client gives orders; for the control daemon. An order takes as long as the file needs: bound it with ctx.
type Client struct{ http *http.Client }

// NewClient speaks to place.BrokerSocket.
func NewClient(socketPath string) *Client { return &Client{http: socket.Client(socketPath)} }

// Over speaks through an HTTP client that connects by itself.
func Over(h *http.Client) *Client { return &Client{http: h} }

// Run gives one order and waits. A refusal by release comes back as *release.Refusal.
func (c *Client) Run(ctx context.Context, o Order) (Outcome, error) {
	resp, err := c.order(ctx, "/jobs", o)
	if err != nil {
		return Outcome{}, err
	}
	defer resp.Body.Close()
	var out Outcome
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&out); err != nil {
		return Outcome{}, fmt.Errorf("ask the broker: %w", err)
	}
	return out, nil
}

// Draw has the first pages of a sanitized file drawn and left with release, unless they are there.
func (c *Client) Draw(ctx context.Context, o Order) error {
	resp, err := c.order(ctx, "/drawings", o)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (c *Client) order(ctx context.Context, path string, o Order) (*http.Response, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://broker"+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the broker: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var no struct{ Error, Code string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&no); err != nil || no.Code == "" {
		return nil, fmt.Errorf("ask the broker: %s", resp.Status)
	}
	return nil, &release.Refusal{Code: no.Code, Status: resp.StatusCode, Text: no.Error}
}

// At asks what the broker is at. It is answered at once.
func (c *Client) At(ctx context.Context) (at verdict.Work, err error) {
	err = c.get(ctx, "/jobs", &at)
	return at, err
}

// Antivirus asks how the antivirus program stands, as the broker sees it.
func (c *Client) Antivirus(ctx context.Context) (s antivirus.Standing, err error) {
	err = c.get(ctx, "/antivirus", &s)
	return s, err
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://broker"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the broker: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the broker: %s", resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(into); err != nil {
		return fmt.Errorf("ask the broker: %w", err)
	}
	return nil
}
