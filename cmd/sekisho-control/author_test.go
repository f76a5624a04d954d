package main

import (
	"net/http/httptest"
	"net/url"
	"testing"
)

// TestClaimIsPlain: whom a terminal names is shown on other terminals, so nothing is left of it that would be an order there.
func TestClaimIsPlain(t *testing.T) {
	for in, want := range map[string]string{"sato": "sato", "佐藤": "佐藤", "root": "", "sa\x1b[2Jto\n": "sa[2Jto", "sato\u009b2J": "sato2J", "\u202eotas\u2028": "otas"} {
		r := httptest.NewRequest("POST", "/revisions?"+url.Values{"author": {in}}.Encode(), nil)
		if got := claimed(r); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
