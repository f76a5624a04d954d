package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/audit"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/controlplane/monitor"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	plane "github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// TestConsoleCutsOffForThePerson: the dataplane's keeper hears who it was, and each kind of "no" gets its own words.
func TestConsoleCutsOffForThePerson(t *testing.T) {
	dir := t.TempDir()
	clock := isolation.Clock{Wall: time.Now, Boot: func() (string, time.Duration) { return "", 0 }, Behind: func() bool { return false }}
	stuck := false
	keeper := isolation.Open(filepath.Join(dir, "state.json"), clock, func([]anchors.Zone) error {
		if stuck {
			return errors.New("one engine did not take it")
		}
		return nil
	})
	mux := http.NewServeMux()
	answers := func(w http.ResponseWriter, err error) {
		var no *isolation.Refusal
		switch {
		case errors.As(err, &no):
			answer(w, http.StatusConflict, refusal{Error: err.Error()})
		case err != nil:
			answer(w, http.StatusInternalServerError, refusal{Error: err.Error()})
		default:
			answer(w, http.StatusOK, plane.Isolation{State: keeper.State()})
		}
	}
	mux.HandleFunc("GET /isolation", func(w http.ResponseWriter, _ *http.Request) { answers(w, nil) })
	mux.HandleFunc("POST /isolation/collected", func(w http.ResponseWriter, _ *http.Request) { answers(w, nil) })
	mux.HandleFunc("GET /isolation/records", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, []string{"gate:portal-lgwan"})
	})
	mux.HandleFunc("POST /isolation", func(w http.ResponseWriter, r *http.Request) {
		var o plane.Order
		err := json.NewDecoder(r.Body).Decode(&o)
		if err == nil && o.Act == isolation.Begin {
			_, err = keeper.Begin(o.Request)
		} else if err == nil {
			err = keeper.End(o.Request)
		}
		answers(w, err)
	})
	sock := filepath.Join(dir, "d", "api.sock")
	l, err := socket.Listen(sock)
	if err != nil {
		t.Fatal(err)
	}
	srv := socket.Server(mux)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })

	db, log := records(t, dir)
	s := siren{
		desk: emergency.New(emergency.Options{Dataplane: sock, Store: db, Journal: audit.NewJournal(db, log)}),
		eye:  monitor.New(monitor.Options{Dataplane: sock, Head: func() *revision.Head { return nil }, AuditSize: func() (int64, time.Time) { return 0, time.Time{} }, Now: time.Now}),
		book: revision.New(db, nil, nil, nil, time.Now),
	}
	ctx, joho := t.Context(), web.Person{ID: "joho", Name: "情報 次郎", Role: web.ITAdmin}
	code := func(err error) string {
		var r *web.Refusal
		if errors.As(err, &r) {
			return r.Why
		}
		return ""
	}
	if err := s.CutOff(ctx, joho, anchors.LGWAN, "不審な通信", time.Time{}); err != nil {
		t.Fatal(err)
	}
	cuts, err := s.Cuts(ctx)
	if err != nil || len(cuts) != 1 || cuts[0].By != "joho" || cuts[0].Reason != "不審な通信" || cuts[0].Zone != anchors.LGWAN {
		t.Fatalf("cut off are %+v, %v", cuts, err)
	}
	if held, err := s.Held(ctx, anchors.LGWAN); err != nil || len(held) != 1 || !held[0].Own {
		t.Errorf("held back are %+v, %v", held, err)
	}
	if err := s.GiveBack(ctx, joho, anchors.Internet, "済み"); code(err) != web.CodeState {
		t.Errorf("what is not cut off: %v, want %s", err, web.CodeState)
	}
	stuck = true
	if err := s.CutOff(ctx, joho, anchors.Internet, "不審な通信", time.Time{}); code(err) != web.CodePartly {
		t.Errorf("not all engines: %v, want %s", err, web.CodePartly)
	}
	srv.Close()
	if err := s.GiveBack(ctx, joho, anchors.LGWAN, "済み"); code(err) != web.CodeUnavailable {
		t.Errorf("no dataplane: %v, want %s", err, web.CodeUnavailable)
	}
	if _, err := s.Cuts(ctx); code(err) != web.CodeUnavailable {
		t.Errorf("no dataplane and nothing known: %v, want %s", err, web.CodeUnavailable)
	}
}
