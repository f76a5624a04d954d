package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
)

// desk is a browser of one person behind one zone's portal.
type desk struct {
	g      *gate
	zone   anchors.Zone
	cookie string
}

// sit signs in and changes the one-time password on the first occasion.
func (g *gate) sit(zone anchors.Zone, id string) *desk {
	g.t.Helper()
	d := &desk{g: g, zone: zone}
	p := g.people[id]
	var who web.Person
	d.form("/sign-in", url.Values{"user": {id}, "password": {p.Password}}, http.StatusOK, &who)
	if who.MustChange {
		fresh := "a-new-password-of-" + id
		d.form("/password", url.Values{"current": {p.Password}, "new": {fresh}, "again": {fresh}}, http.StatusNoContent, nil)
		p.Password = fresh
		g.people[id] = p
	}
	return d
}

func (d *desk) ask(method, path, kind string, body []byte) told {
	d.g.t.Helper()
	h := http.Header{"Accept": {"application/json"}, "Cookie": {d.cookie}}
	if method != http.MethodGet {
		h.Set("Content-Type", kind)
		h.Set("Sec-Fetch-Site", "same-origin")
	}
	a := askAs(d.g.t, place.PortalUser(d.zone), asked{d.g.i.ControlSocket(d.zone), method, path, h, body})
	if a.Error != "" {
		d.g.t.Fatalf("%s %s: %s", method, path, a.Error)
	}
	for _, line := range a.Header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil {
			d.cookie = c.Name + "=" + c.Value
		}
	}
	return a
}

func (d *desk) form(path string, v url.Values, want int, into any) {
	d.g.t.Helper()
	d.expect(d.ask(http.MethodPost, path, "application/x-www-form-urlencoded", []byte(v.Encode())), path, want, into)
}

func (d *desk) get(path string, want int, into any) {
	d.g.t.Helper()
	d.expect(d.ask(http.MethodGet, path, "", nil), path, want, into)
}

func (d *desk) expect(a told, path string, want int, into any) {
	d.g.t.Helper()
	if a.Status != want {
		d.g.t.Fatalf("%s: %d, want %d: %s", path, a.Status, want, a.Body)
	}
	if into != nil {
		if err := json.Unmarshal(a.Body, into); err != nil {
			d.g.t.Fatalf("%s: %v: %s", path, err, a.Body)
		}
	}
}

// send sends a file, with the passwords that open it.
func (d *desk) send(to anchors.Zone, name string, file []byte, keys ...string) web.Transfer {
	d.g.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	err := errors.Join(m.WriteField("to", to.String()), m.WriteField("note", "確認をお願いします"), m.WriteField("passwords", strings.Join(keys, "\n")))
	part, perr := m.CreateFormFile("file", name)
	if err = errors.Join(err, perr); err == nil {
		_, err = part.Write(file)
	}
	if err := errors.Join(err, m.Close()); err != nil {
		d.g.t.Fatal(err)
	}
	var out struct {
		Transfers []web.Transfer `json:"transfers"`
		Refused   []struct{ Code string }
	}
	a := d.ask(http.MethodPost, "/transfers", m.FormDataContentType(), body.Bytes())
	if err := json.Unmarshal(a.Body, &out); err != nil || len(out.Transfers) != 1 {
		d.g.t.Fatalf("send %s: %d %s", name, a.Status, a.Body)
	}
	return out.Transfers[0]
}

// until waits for one of the states.
func (d *desk) until(id string, states ...web.State) web.Transfer {
	d.g.t.Helper()
	var t web.Transfer
	d.g.eventually(40*time.Second, fmt.Sprintf("%s to be %v", id, states), func() bool {
		d.get("/transfers/"+id, http.StatusOK, &t)
		return slices.Contains(states, t.State)
	})
	return t
}

func (d *desk) box(box web.Box) (ids []string) {
	d.g.t.Helper()
	var l struct {
		Transfers []web.Transfer `json:"transfers"`
	}
	d.get("/transfers?box="+string(box), http.StatusOK, &l)
	for _, t := range l.Transfers {
		ids = append(ids, t.ID)
	}
	return ids
}

// release asks the release daemon as the desk's portal does.
func (d *desk) release(method, path string, v any) told {
	d.g.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		d.g.t.Fatal(err)
	}
	return askAs(d.g.t, place.PortalUser(d.zone), asked{d.g.i.ReleaseSocket(), method, path, http.Header{}, b})
}
