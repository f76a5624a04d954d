package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/hack/town"
)

// desk is a person at a PC of one zone, with a browser open on that zone's portal. It sends what a browser sends.
type desk struct {
	person town.Person
	portal town.Portal
	http   *http.Client
}

// sit opens the portal of a zone from one of its PCs and signs in. The one-time password is changed on the first occasion.
func (j *job) sit(ctx context.Context, zone anchors.Zone, id string) (*desk, error) {
	portal, err := town.PortalOf(zone)
	if err != nil {
		return nil, err
	}
	roots, err := j.town.Roots()
	if err != nil {
		return nil, err
	}
	p, err := j.town.Person(id)
	if err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := j.browser(portal.From, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})
	c.Jar = jar
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return j.dial(ctx, portal.From, netip.Addr{}, netip.AddrPortFrom(portal.Addr, 443))
	}
	d := &desk{person: p, portal: portal, http: c}
	var who web.Person
	if err := d.form(ctx, "/sign-in", url.Values{"user": {p.ID}, "password": {p.Password}}, &who); err != nil {
		return nil, fmt.Errorf("%s signs in at %s: %w", id, portal.Name, err)
	}
	if who.MustChange {
		fresh, err := j.town.NewPassword(id)
		if err != nil {
			return nil, err
		}
		if err := d.form(ctx, "/password", url.Values{"current": {p.Password}, "new": {fresh}, "again": {fresh}}, nil); err != nil {
			return nil, fmt.Errorf("%s changes the one-time password: %w", id, err)
		}
	}
	return d, nil
}

func (d *desk) do(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+d.portal.Name+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if method != http.MethodGet {
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Origin", "https://"+d.portal.Name)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return d.http.Do(req)
}

// form posts fields and reads the JSON answer, when into is not nil.
func (d *desk) form(ctx context.Context, path string, fields url.Values, into any) error {
	resp, err := d.do(ctx, http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(fields.Encode()))
	if err != nil {
		return err
	}
	return answer(resp, into)
}

// send hands in one file for another zone and gives the transfer's id.
func (d *desk) send(ctx context.Context, to anchors.Zone, name string, file []byte) (string, error) {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	err := errors.Join(m.WriteField("to", to.String()), m.WriteField("note", "demo"))
	if err == nil {
		var part io.Writer
		if part, err = m.CreateFormFile("file", name); err == nil {
			_, err = part.Write(file)
		}
	}
	if err := errors.Join(err, m.Close()); err != nil {
		return "", fmt.Errorf("send %s: %w", name, err)
	}
	resp, err := d.do(ctx, http.MethodPost, "/transfers", m.FormDataContentType(), &body)
	if err != nil {
		return "", err
	}
	var out struct {
		Transfers []web.Transfer `json:"transfers"`
	}
	if err := answer(resp, &out); err != nil {
		return "", fmt.Errorf("send %s: %w", name, err)
	}
	if len(out.Transfers) != 1 {
		return "", fmt.Errorf("send %s: %d transfers, want 1", name, len(out.Transfers))
	}
	return out.Transfers[0].ID, nil
}

// look reads a transfer as the person sees it.
func (d *desk) look(ctx context.Context, id string) (web.Transfer, error) {
	var t web.Transfer
	resp, err := d.do(ctx, http.MethodGet, "/transfers/"+id, "", nil)
	if err != nil {
		return t, err
	}
	return t, answer(resp, &t)
}

// settle waits until the gate has done its part: the transfer awaits a person, or went as far as it will.
func (d *desk) settle(ctx context.Context, id string) (web.Transfer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		t, err := d.look(ctx, id)
		if err != nil {
			return t, err
		}
		switch t.State {
		case web.Received, web.Scanned, web.Sanitized, web.Verified:
		default:
			return t, nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return t, fmt.Errorf("transfer %s stays %s: %w", id, t.State, err)
		}
	}
}

// fetch gets a transfer's bytes: "inspect" for who decides, "download" for who receives.
func (d *desk) fetch(ctx context.Context, id, how string) ([]byte, error) {
	resp, err := d.do(ctx, http.MethodGet, "/transfers/"+id+"/"+how, "", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 100<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &refusal{resp.StatusCode, string(b[:min(len(b), 200)])}
	}
	return b, err
}

// refusal is an answer that says no.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, strings.TrimSpace(r.text)) }

func answer(resp *http.Response, into any) error {
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return &refusal{resp.StatusCode, string(b[:min(len(b), 200)])}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("answer of %s: %w", resp.Request.URL.Path, err)
	}
	return nil
}
