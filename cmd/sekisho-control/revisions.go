package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/controlplane/config/revision"
)

func (a *admin) revisions(mux *http.ServeMux) {
	mux.HandleFunc("POST /revisions", a.commit)
	mux.HandleFunc("GET /revisions", a.history)
	mux.HandleFunc("GET /revisions/{number}", a.revision)
	mux.HandleFunc("GET /pending", a.pending)
	mux.HandleFunc("POST /pending/confirm", a.confirm)
	mux.HandleFunc("POST /rollback", a.rollback)
	mux.HandleFunc("GET /proposals", a.proposals)
	mux.HandleFunc("GET /proposals/{number}", a.proposal)
	mux.HandleFunc("POST /proposals/{number}/approve", a.approve)
	mux.HandleFunc("POST /proposals/{number}/withdraw", a.withdraw)
}

type arrival struct{}

// stamped notes when each request came in, before anything of it is read.
func stamped(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), arrival{}, time.Now())))
	})
}

func arrived(r *http.Request) time.Time {
	t, _ := r.Context().Value(arrival{}).(time.Time)
	return t // without a stamp: long ago
}

// answerRevision answers what became of a change: a revision, or a proposal that waits for a second person.
func answerRevision(w http.ResponseWriter, r revision.Revision, err error) {
	var waiting *revision.Waiting
	switch {
	case errors.As(err, &waiting):
		answer(w, http.StatusAccepted, map[string]any{"waiting": waiting.Proposal, "message": waiting.Error()})
	case err != nil:
		fail(w, err)
	default:
		answer(w, http.StatusOK, r)
	}
}

func (a *admin) commit(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDocument))
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{Error: "read the configuration: " + err.Error()})
		return
	}
	q := r.URL.Query()
	c := revision.Change{Text: text, Comment: q.Get("comment"), Merge: q.Get("merge") == "true", Replace: q.Get("replace") == "true"}
	if err := errors.Join(number(q, "parent", &c.Parent), duration(q, "confirm", &c.Confirm)); err != nil {
		answer(w, http.StatusBadRequest, refusal{Error: err.Error()})
		return
	}
	by, err := a.author(r)
	if err != nil {
		fail(w, err)
		return
	}
	rev, err := a.office.Book.Commit(r.Context(), by, c)
	answerRevision(w, rev, err)
}

func number(q url.Values, name string, into *int) error {
	if !q.Has(name) {
		return nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 {
		return errors.New(name + ": want a number")
	}
	*into = n
	return nil
}

func duration(q url.Values, name string, into *time.Duration) error {
	if !q.Has(name) {
		return nil
	}
	d, err := time.ParseDuration(q.Get(name))
	if err != nil || d <= 0 {
		return errors.New(name + ": want a duration like 10m")
	}
	*into = d
	return nil
}

func (a *admin) history(w http.ResponseWriter, r *http.Request) {
	most, err := strconv.Atoi(r.URL.Query().Get("max"))
	if err != nil || most < 0 {
		most = 0
	}
	revs, err := a.office.Book.History(r.Context(), most)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"revisions": revs})
}

func (a *admin) revision(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if r.PathValue("number") == "head" {
		n, err = a.office.Book.HeadNumber(r.Context())
		if err != nil {
			fail(w, err)
			return
		}
	}
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{Error: "revision: want a number or head"})
		return
	}
	rev, text, err := a.office.Book.Read(r.Context(), n)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"revision": rev, "text": string(text)})
}

func (a *admin) pending(w http.ResponseWriter, r *http.Request) {
	p, err := a.office.Book.Pending(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"pending": p})
}

func (a *admin) confirm(w http.ResponseWriter, r *http.Request) {
	var c struct {
		Trial string `json:"trial"`
	}
	by, ok := a.asked(w, r, &c)
	if !ok {
		return
	}
	rev, err := a.office.Book.Confirm(r.Context(), by, c.Trial)
	answerRevision(w, rev, err)
}

func (a *admin) rollback(w http.ResponseWriter, r *http.Request) {
	var c struct {
		Number  int    `json:"number"`
		Comment string `json:"comment"`
		Confirm string `json:"confirm"`
		Replace bool   `json:"replace"`
		Head    int    `json:"head"`
	}
	by, ok := a.asked(w, r, &c)
	if !ok {
		return
	}
	to := revision.RollbackTo{Number: c.Number, Comment: c.Comment, Replace: c.Replace, Head: c.Head}
	if c.Confirm != "" {
		if err := duration(url.Values{"confirm": {c.Confirm}}, "confirm", &to.Confirm); err != nil {
			answer(w, http.StatusBadRequest, refusal{Error: err.Error()})
			return
		}
	}
	rev, err := a.office.Book.Rollback(r.Context(), by, to)
	answerRevision(w, rev, err)
}

// asked reads the request and tells who made it.
func (a *admin) asked(w http.ResponseWriter, r *http.Request, v any) (revision.Author, bool) {
	if !read(w, r, v) {
		return revision.Author{}, false
	}
	by, err := a.author(r)
	if err != nil {
		fail(w, err)
	}
	return by, err == nil
}

func (a *admin) proposals(w http.ResponseWriter, r *http.Request) {
	ps, err := a.office.Book.Proposals(r.Context(), r.URL.Query().Get("all") == "true")
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"proposals": ps})
}

func (a *admin) proposal(w http.ResponseWriter, r *http.Request) {
	n, ok := proposalNumber(w, r)
	if !ok {
		return
	}
	p, text, err := a.office.Book.Proposed(r.Context(), n)
	if err != nil {
		fail(w, err)
		return
	}
	_, before, err := a.office.Book.Read(r.Context(), p.Parent)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"proposal": p, "text": string(text), "before": string(before)})
}

func proposalNumber(w http.ResponseWriter, r *http.Request) (int, bool) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{Error: "proposal: want a number"})
	}
	return n, err == nil
}

func (a *admin) approve(w http.ResponseWriter, r *http.Request) {
	var c struct {
		Text   string `json:"text_sha256"`
		Digest string `json:"digest"`
	}
	n, ok := proposalNumber(w, r)
	if !ok {
		return
	}
	by, ok := a.asked(w, r, &c)
	if !ok {
		return
	}
	rev, err := a.office.Book.Approve(r.Context(), by, n, c.Text, c.Digest)
	answerRevision(w, rev, err)
}

func (a *admin) withdraw(w http.ResponseWriter, r *http.Request) {
	var c struct {
		Why string `json:"why"`
	}
	n, ok := proposalNumber(w, r)
	if !ok {
		return
	}
	by, ok := a.asked(w, r, &c)
	if !ok {
		return
	}
	if err := a.office.Book.Withdraw(r.Context(), by, n, c.Why); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
