package main

import (
	"errors"
	"net/http"

	"github.com/sekisho/sekisho/controlplane/config/revision"
	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/dataplane/isolation"
)

// isolation cuts a zone off, or gives it back. Who does it is for the kernel to say, not for the request.
func (a *admin) isolation(w http.ResponseWriter, r *http.Request) {
	var o emergency.Order
	if !read(w, r, &o) {
		return
	}
	by, err := a.author(r)
	if err != nil {
		fail(w, err)
		return
	}
	o.By = by.ID
	if by.ID == revision.Root && by.Claim != "" {
		o.By = string([]rune(revision.Root + " (" + by.Claim)[:min(isolation.MaxBy-1, len([]rune(by.Claim))+len(revision.Root)+2)]) + ")"
	}
	switch o.Act {
	case isolation.Begin:
		_, err = a.alarm.Isolate(r.Context(), o.By, o.Zone, o.Reason, o.Until)
	case isolation.End:
		err = a.alarm.Rejoin(r.Context(), o.By, o.Zone, o.Reason)
	default:
		err = &emergency.Refused{Text: "act: want begin or end"}
	}
	var no *emergency.Refused
	switch {
	case errors.As(err, &no):
		answer(w, http.StatusConflict, refusal{Error: no.Text})
	case err != nil:
		fail(w, err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
