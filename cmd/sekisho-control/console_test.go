package main

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// TestConsoleOfARealControl: every page of the console is there and about this gate, and while the dataplane is silent an
// administrator is told so instead of being told that it is done.
func TestConsoleOfARealControl(t *testing.T) {
	g := newGate(t)
	it := g.sit(anchors.Management, "kato")
	page := func(path string) []byte {
		t.Helper()
		a := it.ask(http.MethodGet, path, "", nil)
		if a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
		return a.Body
	}
	for path, want := range map[string]string{
		"/console": "確かめられません", "/revisions": "反映中", "/revisions/1": "最初の版です", "/designated": "eltax-submit", "/designated/eltax-submit": "mn-pc1",
		"/change": "id: eltax-submit", "/proposals": "承認を待っている変更案はありません", "/review": "踏み台になり得る所",
	} {
		if body := page(path); !bytes.Contains(body, []byte(want)) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
	it.form("/emergency/lgwan/cut-off", url.Values{"reason": {"不審な通信"}, "minutes": {"0"}}, http.StatusServiceUnavailable, nil)
	auditor := g.sit(anchors.Management, "auditor")
	auditor.form("/emergency/lgwan/cut-off", url.Values{"reason": {"不審な通信"}, "minutes": {"0"}}, http.StatusForbidden, nil)
	auditor.get("/change", http.StatusForbidden, nil)
	if a := auditor.ask(http.MethodGet, "/designated", "", nil); a.Status != http.StatusOK {
		t.Errorf("the auditor reads the records: %d", a.Status)
	}
}
