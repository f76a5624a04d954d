package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/controlplane/identity"
	"github.com/sekisho/sekisho/controlplane/monitor"
	"github.com/sekisho/sekisho/controlplane/office"
	"github.com/sekisho/sekisho/controlplane/store"
	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// admin answers root's command line.
type admin struct {
	office *office.Office
	eye    *monitor.Monitor
	alarm  *emergency.Desk
}

// root is who acts on this socket.
const root = "root"

const maxDocument = 8 << 20 // bytes

func (a *admin) handler(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /status", a.status)
	mux.HandleFunc("GET /usage", func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, a.eye.Usage()) })
	a.revisions(mux)
	mux.HandleFunc("GET /report", a.report)
	mux.HandleFunc("POST /isolation", a.isolation)
	mux.HandleFunc("GET /people", a.people)
	mux.HandleFunc("POST /people", a.addPerson)
	mux.HandleFunc("POST /people/{id}/reset", a.resetPerson)
	mux.HandleFunc("POST /people/{id}/disable", a.person(a.office.People.Disable))
	mux.HandleFunc("POST /people/{id}/enable", a.person(a.office.People.Enable))
	mux.HandleFunc("POST /people/{id}/change", a.changePerson)
	mux.HandleFunc("POST /sections", a.addSection)
	return stamped(mux)
}

// refusal is the form of every error answer. Faults and violations are there for programs, Error says all of it.
type refusal struct {
	Error      string            `json:"error"`
	Faults     config.Errors     `json:"faults,omitempty"`
	Violations []proof.Violation `json:"violations,omitempty"`
	Merged     string            `json:"merged,omitempty"` // a text that holds one's own changes and those made meanwhile
}

func fail(w http.ResponseWriter, err error) {
	r, code := refusal{Error: err.Error()}, http.StatusInternalServerError
	var unproven *revision.Unproven
	var stale *revision.Stale
	var unconfirmed *revision.Unconfirmed
	var denied *revision.Denied
	var signIn *web.Refusal
	switch {
	case errors.As(err, &r.Faults):
		code = http.StatusUnprocessableEntity
	case errors.As(err, &unproven):
		r.Violations, code = unproven.Violations, http.StatusConflict
	case errors.As(err, &stale):
		r.Merged, code = string(stale.Merged), http.StatusConflict
	case errors.As(err, &unconfirmed):
		code = http.StatusConflict
	case errors.As(err, &denied):
		code = http.StatusForbidden
	case errors.As(err, &signIn):
		r.Error, code = "sign-in refused: want the name and password of an administrator of the management zone, not a one-time one; after several wrong ones, wait", http.StatusForbidden
	case errors.Is(err, store.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, identity.ErrExists), errors.Is(err, store.ErrConflict):
		code = http.StatusConflict
	}
	answer(w, code, r)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v) // the caller may have gone
}

func (a *admin) status(w http.ResponseWriter, r *http.Request) {
	s, err := a.eye.Status(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	c := a.office.Log.Last()
	out := map[string]any{"gate": s, "audit": map[string]any{"events": c.Tree.N, "root": c.Tree.Hash.String(), "checkpoint": c.Time}}
	if h := a.office.Book.Head(); h != nil {
		out["head"] = h.Revision
	}
	if p, err := a.office.Book.Pending(r.Context()); err == nil && p != nil {
		out["pending"] = p
	}
	answer(w, http.StatusOK, out)
}

func (a *admin) people(w http.ResponseWriter, r *http.Request) {
	ps, err := a.office.People.Everybody(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"people": ps})
}

func (a *admin) addPerson(w http.ResponseWriter, r *http.Request) {
	var p identity.Person
	if !read(w, r, &p) {
		return
	}
	password, err := a.office.People.Add(r.Context(), root, p)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"password": password})
}

func (a *admin) resetPerson(w http.ResponseWriter, r *http.Request) {
	password, err := a.office.People.Reset(r.Context(), root, r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"password": password})
}

// person answers an act on a person that needs nothing but the id.
func (a *admin) person(act func(ctx context.Context, actor, id string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := act(r.Context(), root, r.PathValue("id")); err != nil {
			fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (a *admin) changePerson(w http.ResponseWriter, r *http.Request) {
	var p identity.Person
	if !read(w, r, &p) {
		return
	}
	p.ID = r.PathValue("id")
	a.person(func(ctx context.Context, actor, _ string) error { return a.office.People.Change(ctx, actor, p) })(w, r)
}

func (a *admin) addSection(w http.ResponseWriter, r *http.Request) {
	var s identity.Section
	if !read(w, r, &s) {
		return
	}
	if err := a.office.People.AddSection(r.Context(), root, s); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func read(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		answer(w, http.StatusBadRequest, refusal{Error: "read the request: " + err.Error()})
		return false
	}
	return true
}
