package web

import (
	"encoding/json"
	"net/http"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// The paths under /api/ are for the zone's portal process, which keeps browsers away from them. It acts with the browser's own
// cookie, so it can do no more than the person who is signed in.

func (s *site) apiSession(w http.ResponseWriter, _ *http.Request, p Person) {
	writeJSON(w, http.StatusOK, p)
}

// Clearance is the answer to may-inspect and may-download.
type Clearance struct {
	Transfer  string `json:"transfer"`
	Name      string `json:"name"` // to release under
	From      string `json:"from"`
	To        string `json:"to"`
	Sanitized string `json:"sanitized_sha256"`
}

func clearance(t Transfer) Clearance {
	c := Clearance{Transfer: t.ID, Name: t.OutName(), From: t.From.String(), To: t.To.String()}
	if t.Report != nil && t.Report.After != nil {
		c.Sanitized = t.Report.After.SHA256
	}
	return c
}

func (s *site) apiMayInspect(w http.ResponseWriter, r *http.Request, p Person) {
	t, err := s.Transfers.MayInspect(r.Context(), p, s.zone, r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, clearance(t))
}

func (s *site) apiMayDownload(w http.ResponseWriter, r *http.Request, p Person) {
	t, err := s.Transfers.MayDownload(r.Context(), p, s.zone, r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, clearance(t))
}

// apiDraw answers when the pages of a file are drawn, or cannot be: release has them then, or says why.
func (s *site) apiDraw(w http.ResponseWriter, r *http.Request, p Person) {
	done, err := s.Transfers.Draw(r.Context(), p, s.zone, r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	select {
	case <-done:
	case <-r.Context().Done():
	}
	w.WriteHeader(http.StatusNoContent)
}

// apiReceipt takes release's signed word that the person approved.
func (s *site) apiReceipt(w http.ResponseWriter, r *http.Request, p Person) {
	var receipt verdict.Signed
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&receipt); err != nil {
		s.fail(w, r, Refuse(codeForm, err))
		return
	}
	if err := s.Transfers.Receipt(r.Context(), p, s.zone, r.PathValue("id"), receipt); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
