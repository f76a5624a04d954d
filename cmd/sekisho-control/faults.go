package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/web"
	dataplane "github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// scout is the console's way to the dataplane's diagnosis, with what the configuration says of lines and regions.
type scout struct {
	dataplane string // socket
	head      func() *config.Config
}

// Ends are those of the head, and their states as the dataplane sees them; without its word they are not known.
func (s scout) Ends(ctx context.Context) ([]web.End, error) {
	c := s.head()
	if c == nil {
		return nil, nil
	}
	states := map[string]string{}
	var now dataplane.Status
	if err := s.get(ctx, "/status", nil, &now); err == nil {
		for _, t := range now.Tunnels {
			states[t.Peer] = t.State
		}
	}
	var out []web.End
	for i := range c.Regions {
		r := &c.Regions[i]
		for _, e := range r.Reached() {
			x := web.End{ID: e.ID, Region: r.ID, Name: named(r.Name, r.ID), Device: e.Tunnel, Endpoint: e.Endpoint, State: states[e.ID]}
			if l := lineOf(c, e.Tunnel); l != nil {
				x.Line, x.LineName, x.Kind, x.Contact = l.ID, named(l.Name, l.ID), l.Kind, web.Name(l.Contact)
				x.Up, x.Down = uint64(l.Rate), uint64(l.Downstream())
			}
			out = append(out, x)
		}
	}
	return out, nil
}

func (s scout) Diagnose(ctx context.Context, e web.End) ([]dataplane.Diagnosis, error) {
	look := dataplane.Look{Region: e.Region, Line: e.ID}
	if e.Kind != "" { // else nobody said what it should carry
		look.MTU = e.Kind.MTU()
	}
	var out []dataplane.Diagnosis
	if err := s.get(ctx, "/diagnose", look.Query(), &out); err != nil {
		return nil, web.Refuse(web.CodeUnavailable, err)
	}
	return out, nil
}

func (s scout) get(ctx context.Context, path string, q url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gate"+path+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	c := socket.Client(s.dataplane)
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the dataplane for %s: %s", path, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(into)
}

func lineOf(c *config.Config, tunnel string) *config.Line {
	for _, t := range c.Tunnels {
		if t.ID != tunnel {
			continue
		}
		for i := range c.Lines {
			if c.Lines[i].ID == t.Line {
				return &c.Lines[i]
			}
		}
	}
	return nil
}

// named is a name, or the id of what has none.
func named(t config.Text, id string) web.Name {
	if t.JA == "" {
		return web.Name{JA: id, EN: id}
	}
	return web.Name(t)
}
