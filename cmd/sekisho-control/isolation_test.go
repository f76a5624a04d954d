package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/dataplane/anchors"
	plane "github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// On root's socket a request does not choose whose name stands in the log: what it claims is shown as a claim.
func TestRootCutsOffInNobodyElsesName(t *testing.T) {
	dir := t.TempDir()
	clock := isolation.Clock{Wall: time.Now, Boot: func() (string, time.Duration) { return "", 0 }, Behind: func() bool { return false }}
	keeper := isolation.Open(filepath.Join(dir, "state.json"), clock, func([]anchors.Zone) error { return nil })
	sock := filepath.Join(dir, "d", "api.sock")
	l, err := socket.Listen(sock)
	if err != nil {
		t.Fatal(err)
	}
	srv := socket.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o plane.Order
		if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&o) == nil && o.Act == isolation.Begin {
			if _, err := keeper.Begin(o.Request); err != nil {
				answer(w, http.StatusConflict, refusal{Error: err.Error()})
				return
			}
		}
		answer(w, http.StatusOK, plane.Isolation{State: keeper.State()})
	}))
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	db, log := records(t, dir)
	a := &admin{alarm: emergency.New(emergency.Options{Dataplane: sock, Store: db, Journal: audit.NewJournal(db, log)})}
	for _, x := range []struct {
		what, query, body string
		code              int
		by                string
	}{
		{"in a person's name", "", `{"act":"begin","zone":"lgwan","by":"sato","reason":"x"}`, http.StatusNoContent, "root"},
		{"with a claim", "?author=tanaka", `{"act":"begin","zone":"internet","by":"sato","reason":"x"}`, http.StatusNoContent, "root (tanaka)"},
		{"with a long claim", "?author=" + strings.Repeat("t", 64), `{"act":"begin","zone":"my-number","by":"sato","reason":"x"}`, http.StatusNoContent, "root (" + strings.Repeat("t", isolation.MaxBy-7) + ")"},
		{"without a reason", "", `{"act":"begin","zone":"uplink","by":"sato"}`, http.StatusConflict, ""},
		{"another act", "", `{"act":"due","zone":"lgwan","reason":"x"}`, http.StatusConflict, ""},
		{"an unknown key", "", `{"act":"begin","zone":"lgwan","reason":"x","why":"y"}`, http.StatusBadRequest, ""},
	} {
		before := log.Size()
		w := httptest.NewRecorder()
		a.isolation(w, httptest.NewRequest(http.MethodPost, "/isolation"+x.query, strings.NewReader(x.body)))
		if w.Code != x.code {
			t.Errorf("%s: answered %d %s, want %d", x.what, w.Code, w.Body, x.code)
		}
		all, err := log.Read(before, log.Size())
		if err != nil {
			t.Fatal(err)
		}
		if x.by == "" && len(all) > 0 || x.by != "" && (len(all) != 1 || all[0].Actor != x.by || all[0].Action != emergency.ActionBegin) {
			t.Errorf("%s: the log has %+v, want actor %q", x.what, all, x.by)
		}
	}
}

// records opens a store and a log in dir, until the test ends.
func records(t *testing.T, dir string) (store.Store, *audit.Log) {
	t.Helper()
	signer, verifier, err := audit.GenerateKey("sekisho.test/audit")
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(filepath.Join(dir, "audit"), signer, verifier, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.OpenBolt(filepath.Join(dir, "state.db"), time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close(); log.Close() })
	return db, log
}
