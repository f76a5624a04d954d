package main

import (
	"errors"
	"net/http"

	"github.com/sekisho/sekisho/controlplane/emergency"
	"github.com/sekisho/sekisho/dataplane/isolation"
)

// isolation cuts a zone off, or gives it back.
func (a *admin) isolation(w http.ResponseWriter, r *http.Request) {
	var o emergency.Order
	if !read(w, r, &o) {
		return
	}
	var err error
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
