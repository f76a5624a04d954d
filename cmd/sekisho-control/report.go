package main

import (
	"errors"
	"net/http"

	"github.com/sekisho/sekisho/controlplane/monitor/report"
)

// report answers GET /report?line=L&month=2026-10 with the figures of the month.
func (a *admin) report(w http.ResponseWriter, r *http.Request) {
	month, err := report.ParseMonth(r.URL.Query().Get("month"))
	if err != nil {
		answer(w, http.StatusBadRequest, refusal{Error: err.Error()})
		return
	}
	kept := a.eye.Evidence()
	if kept == nil {
		answer(w, http.StatusServiceUnavailable, refusal{Error: "no evidence is kept: it could not be opened when control started; control's log says why"})
		return
	}
	m, err := kept.Month(r.URL.Query().Get("line"), month)
	if errors.Is(err, report.ErrNone) {
		answer(w, http.StatusNotFound, refusal{Error: err.Error()})
		return
	}
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, m)
}
