package revision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// At is the dataplane behind a socket.
type At string

// Mismatch is an alarm: the dataplane says that it has other tables in force than those that were proven and sent.
type Mismatch struct{ Revision, Proven, InForce string }

func (m *Mismatch) Error() string {
	return fmt.Sprintf("ALARM: apply %s: the dataplane has tables %q in force, proven were %s: one of the two is damaged or taken over; compare the programs with their packages, then restart sekisho-dataplane and commit again", m.Revision, m.InForce, m.Proven)
}

func (a At) Apply(ctx context.Context, g gate.Generation, on *gate.Trial) error {
	b, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("apply %s: %w", g.Revision, err)
	}
	path := "/generation"
	if on != nil {
		path += "?" + url.Values{"trial": {on.ID}, "confirm": {on.Time.String()}}.Encode()
	}
	var no struct {
		gate.Result
		Error      string            `json:"error"`
		Violations []proof.Violation `json:"violations"`
	}
	code, err := a.call(ctx, http.MethodPost, path, b, &no)
	if err != nil {
		return fmt.Errorf("apply %s: %w", g.Revision, err)
	}
	switch {
	case code == http.StatusOK && no.Hash != packet.Hash(g.Tables):
		return &Mismatch{Revision: g.Revision, Proven: packet.Hash(g.Tables), InForce: no.Hash}
	case code == http.StatusOK:
		return nil
	case len(no.Violations) > 0:
		return &Unproven{"dataplane", no.Violations}
	}
	return fmt.Errorf("apply %s: the dataplane answered %d: %s", g.Revision, code, no.Error)
}

func (a At) Confirm(ctx context.Context, trial, by string) error {
	return a.settle(ctx, "confirm", trial, by, "")
}

func (a At) Revert(ctx context.Context, trial, by, why string) error {
	return a.settle(ctx, "revert", trial, by, why)
}

func (a At) settle(ctx context.Context, act, trial, by, why string) error {
	b, err := json.Marshal(map[string]string{"trial": trial, "by": by, "why": why})
	if err != nil {
		return err
	}
	var no struct {
		Error string `json:"error"`
	}
	code, err := a.call(ctx, http.MethodPost, "/generation/"+act, b, &no)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("the dataplane answered %d: %s", code, no.Error)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	return nil
}

func (a At) InForce(ctx context.Context) (InForce, error) {
	var s struct {
		InForce
		Error string `json:"error"`
	}
	code, err := a.call(ctx, http.MethodGet, "/status", nil, &s)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("the dataplane answered %d: %s", code, s.Error)
	}
	if err != nil {
		return InForce{}, fmt.Errorf("ask what is in force: %w", err)
	}
	return s.InForce, nil
}

func (a At) call(ctx context.Context, method, path string, body []byte, into any) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://gate"+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	c := socket.Client(string(a))
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("status %d, answer: %w", resp.StatusCode, err)
	}
	return resp.StatusCode, nil
}
