package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// TestDisabledPersonIsOutAtOnce: on a gate that runs, whoever leaves the office has no session from the next request on.
func TestDisabledPersonIsOutAtOnce(t *testing.T) {
	g := newGate(t)
	clerk := g.sit(anchors.LGWAN, "suzuki")
	clerk.get("/transfers", http.StatusOK, nil)
	g.sekisho("person", "disable", "--name", string(g.i), "--id", "suzuki")
	clerk.get("/transfers", http.StatusUnauthorized, nil)
	clerk.form("/sign-in", url.Values{"user": {"suzuki"}, "password": {g.people["suzuki"].Password}}, http.StatusUnauthorized, nil)
	g.sekisho("person", "enable", "--name", string(g.i), "--id", "suzuki")
	clerk = g.sit(anchors.LGWAN, "suzuki")
	clerk.get("/transfers", http.StatusOK, nil)
	var p struct {
		Section string `json:"section"`
	}
	if err := json.Unmarshal(g.sekisho("person", "change", "--name", string(g.i), "--id", "suzuki", "--section", "zeimu"), &p); err != nil || p.Section != "zeimu" {
		t.Errorf("%+v, %v", p, err)
	}
	clerk.get("/transfers", http.StatusUnauthorized, nil)
	g.audited("person.disable", "person.enable", "person.change")
}
