package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// Client gives orders; for the control daemon. An order takes as long as the file needs: bound it with ctx.
type Client struct{ http *http.Client }

// NewClient speaks to place.BrokerSocket.
func NewClient(socketPath string) *Client { return &Client{http: socket.Client(socketPath)} }

// Over speaks through an HTTP client that connects by itself.
func Over(h *http.Client) *Client { return &Client{http: h} }

// Run gives one order and waits. A refusal by release comes back as *release.Refusal.
func (c *Client) Run(ctx context.Context, o Order) (Outcome, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return Outcome{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://broker/jobs", bytes.NewReader(b))
	if err != nil {
		return Outcome{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Outcome{}, fmt.Errorf("ask the broker: %w", err)
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, 16<<20)
	if resp.StatusCode != http.StatusOK {
		var no struct{ Error, Code string }
		if err := json.NewDecoder(body).Decode(&no); err != nil || no.Code == "" {
			return Outcome{}, fmt.Errorf("ask the broker: %s", resp.Status)
		}
		return Outcome{}, &release.Refusal{Code: no.Code, Status: resp.StatusCode, Text: no.Error}
	}
	var out Outcome
	if err := json.NewDecoder(body).Decode(&out); err != nil {
		return Outcome{}, fmt.Errorf("ask the broker: %w", err)
	}
	return out, nil
}
