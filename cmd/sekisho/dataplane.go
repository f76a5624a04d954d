package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// dataplane is the daemon behind its own socket, asked by root without control in between.
type dataplane struct{ socket string }

func dataplaneOf(name string) dataplane {
	return dataplane{place.Instance(name).DataplaneSocket()}
}

// ask begins a request; the caller closes the body. An answer other than 200 or 202 is the error that the daemon gave.
func (d dataplane) ask(ctx context.Context, path string, q url.Values) (*http.Response, error) {
	return d.call(ctx, http.MethodGet, path, q)
}

// post asks for something to be done.
func (d dataplane) post(ctx context.Context, path string, q url.Values) error {
	resp, err := d.call(ctx, http.MethodPost, path, q)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (d dataplane) call(ctx context.Context, method, path string, q url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://gate"+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := socket.Client(d.socket).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the dataplane: %w; does sekisho-dataplane run, and are you root?", err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted {
		return resp, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	var no struct{ Error string }
	if err != nil || json.Unmarshal(b, &no) != nil || no.Error == "" {
		no.Error = strings.TrimSpace(resp.Status + " " + string(b))
	}
	return nil, fmt.Errorf("the dataplane says: %s", no.Error)
}

func (d dataplane) get(ctx context.Context, path string, q url.Values, into any) error {
	resp, err := d.ask(ctx, path, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 256<<20)).Decode(into); err != nil {
		return fmt.Errorf("ask the dataplane for %s: %w", path, err)
	}
	return nil
}

// mostFlows is how many flows the dataplane lists at once.
const mostFlows = 100_000

// flows lists the live flows and what their numbers mean.
func (d dataplane) flows(ctx context.Context) (flows []namedFlow, names packet.Names, err error) {
	var raw []packet.Flow
	if err = d.get(ctx, "/flows", url.Values{"max": {strconv.Itoa(mostFlows)}}, &raw); err != nil {
		return nil, names, err
	}
	if err = d.get(ctx, "/names", nil, &names); err != nil {
		return nil, names, err
	}
	for _, f := range raw {
		flows = append(flows, named(f, names))
	}
	return flows, names, nil
}

var protocols = map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "icmp6", 132: "sctp"}

func protocol(n uint8) string {
	if name, ok := protocols[n]; ok {
		return name
	}
	return strconv.Itoa(int(n))
}

// siPrefix writes a number for a narrow column: 1234567 is 1.2M.
func siPrefix(v float64) string {
	if v < 1000 {
		if v == float64(int64(v)) {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	for _, unit := range "kMGTP" {
		v /= 1000
		if v < 999.95 {
			return strconv.FormatFloat(v, 'f', 1, 64) + string(unit)
		}
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + "P"
}
