package web

import (
	"net/http"

	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// cancel takes back a request of the person's own.
func (s *site) cancel(w http.ResponseWriter, r *http.Request, p Person) {
	id := r.PathValue("id")
	err := s.Transfers.Cancel(r.Context(), p, s.zone, id)
	if err == nil {
		if wantsJSON(r) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		http.Redirect(w, r, "/transfers/"+id+"?done=cancelled", http.StatusSeeOther)
		return
	}
	code, ok := s.code(r, err)
	t, getErr := s.Transfers.Get(r.Context(), p, s.zone, id)
	if !ok || getErr != nil || wantsJSON(r) {
		s.fail(w, r, err)
		return
	}
	s.showTransfer(w, r, status(code), p, s.sheet(r, p, t), code)
}

// stage says what is being done with a file now; nothing when that is not known.
func stage(l text.Lang, s *verdict.Stage) string {
	switch {
	case s == nil:
		return ""
	case s.Name == verdict.Waiting && s.Place > 0:
		return l.T("stage.waiting", s.Place)
	case s.Name == verdict.Waiting:
		return l.T("stage.soon")
	}
	if key := "stage." + s.Name; l.Has(key) {
		return l.T(key)
	}
	return ""
}
