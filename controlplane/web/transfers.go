package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/controlplane/web/account"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// lists is what the list pages show.
type lists struct {
	Sent, Approve, Decided, Receive []Transfer
	Busy                            bool // something is on its way: the page fetches itself again
}

// fetch reads the boxes that the person may have.
func (s *site) fetch(r *http.Request, p Person) (lists, error) {
	var l lists
	boxes := []struct {
		box  Box
		into *[]Transfer
	}{{Sent, &l.Sent}, {Receive, &l.Receive}}
	if p.Role == SectionHead {
		boxes = append(boxes, struct {
			box  Box
			into *[]Transfer
		}{Approve, &l.Approve}, struct {
			box  Box
			into *[]Transfer
		}{Decided, &l.Decided})
	}
	for _, b := range boxes {
		ts, err := s.Transfers.List(r.Context(), p, s.zone, b.box)
		if err != nil {
			return l, err
		}
		*b.into = ts
	}
	for _, t := range l.Sent {
		l.Busy = l.Busy || steps(t).Busy
	}
	return l, nil
}

// list renders one of the pages made of lists; programs get the box they ask for with ?box=.
func (s *site) list(w http.ResponseWriter, r *http.Request, p Person, name string, box Box) {
	if wantsJSON(r) {
		if b := r.URL.Query().Get("box"); b != "" {
			box = Box(b)
		}
		ts, err := s.Transfers.List(r.Context(), p, s.zone, box)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		for i := range ts {
			ts[i] = ts[i].bare()
		}
		writeJSON(w, http.StatusOK, map[string]any{"transfers": ts})
		return
	}
	l, err := s.fetch(r, p)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := view{Title: "title." + name, Nav: name, Person: &p, Data: l}
	if l.Busy && name == "home" {
		v.Seconds = 3
	}
	if name == "home" && r.Header.Get("HX-Request") != "" {
		name = "home-live"
	}
	s.render(w, r, http.StatusOK, name, v)
}

func (s *site) home(w http.ResponseWriter, r *http.Request, p Person) {
	s.list(w, r, p, "home", Sent)
}

func (s *site) received(w http.ResponseWriter, r *http.Request, p Person) {
	s.list(w, r, p, "received", Receive)
}

func (s *site) approvals(w http.ResponseWriter, r *http.Request, p Person) {
	s.list(w, r, p, "approvals", Approve)
}

// sheet is what the page of one transfer shows.
type sheet struct {
	T         Transfer
	Findings  []account.Group
	Compare   *account.Comparison
	Stage     string // what is being done now, in words
	MayDecide bool
	MayFetch  bool
	MayCancel bool
	Locked    bool   // blocked for want of a password, which this person may know
	Reason    string // typed before, kept when the rejection failed
}

func (s *site) sheet(r *http.Request, p Person, t Transfer) sheet {
	d := sheet{T: t, MayFetch: t.State == Released && s.zone == t.To, Stage: stage(lang(r), t.Stage)}
	d.MayCancel = p.ID == t.Requester.ID && s.zone == t.From && (steps(t).Busy || t.State == Awaiting)
	d.MayDecide = t.State == Awaiting && p.Role == SectionHead && p.ID != t.Requester.ID && s.zone == t.From
	if t.Report != nil {
		d.Locked = p.ID == t.Requester.ID && s.zone == t.From && t.State == Blocked && verdict.WantsKey(t.Report.Findings)
		d.Findings = account.Groups(t.Report.Findings)
		d.Compare = account.Compare(t.Report)
	}
	return d
}

func (s *site) detail(w http.ResponseWriter, r *http.Request, p Person) {
	t, err := s.Transfers.Get(r.Context(), p, s.zone, r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, t.bare())
		return
	}
	d := s.sheet(r, p, t)
	if d.MayDecide { // so that the pages are drawn by the time that the approval's own page is opened
		if _, err := s.Transfers.Draw(r.Context(), p, s.zone, t.ID); err != nil {
			s.Log.Warn("have pages drawn", "transfer", t.ID, "err", err)
		}
	}
	s.showTransfer(w, r, http.StatusOK, p, d, "")
}

func (s *site) showTransfer(w http.ResponseWriter, r *http.Request, status int, p Person, d sheet, errCode string) {
	v := view{Title: "title.detail", Nav: "home", Person: &p, Data: d, Error: errCode}
	switch {
	case d.MayDecide:
		v.Nav = "approvals"
	case s.zone == d.T.To:
		v.Nav = "received"
	}
	if steps(d.T).Busy {
		v.Seconds = 2
	}
	name := "detail"
	if r.Header.Get("HX-Request") != "" {
		name = "detail-live"
	}
	s.render(w, r, status, name, v)
}

// reject takes the field reason.
func (s *site) reject(w http.ResponseWriter, r *http.Request, p Person) {
	id := r.PathValue("id")
	var reason string
	err := error(Refuse(codeForm, nil))
	if form(w, r) {
		if reason = strings.TrimSpace(r.PostForm.Get("reason")); reason == "" {
			err = Refuse(CodeReason, nil)
		} else {
			err = s.Transfers.Reject(r.Context(), p, s.zone, id, reason)
		}
	}
	if err == nil {
		if wantsJSON(r) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		http.Redirect(w, r, "/transfers/"+id+"?done=rejected", http.StatusSeeOther)
		return
	}
	code, ok := s.code(r, err)
	t, getErr := s.Transfers.Get(r.Context(), p, s.zone, id)
	if !ok || getErr != nil || wantsJSON(r) {
		s.fail(w, r, err)
		return
	}
	d := s.sheet(r, p, t)
	d.Reason = reason
	s.showTransfer(w, r, status(code), p, d, code)
}

// preview encodes a side's raw pixels: the sandbox may have been taken over, so what it sends is never a file.
func (s *site) preview(w http.ResponseWriter, r *http.Request, p Person) {
	t, err := s.Transfers.Get(r.Context(), p, s.zone, r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var pv *verdict.Preview
	if t.Report != nil && r.PathValue("side") == "before" {
		pv = t.Report.Original
	} else if t.Report != nil && r.PathValue("side") == "after" {
		pv = t.Report.Result
	}
	b, ok := account.PNG(pv)
	if !ok {
		s.fail(w, r, Refuse(CodeNotFound, nil))
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

// bare leaves out the previews, which programs do not need.
func (t Transfer) bare() Transfer {
	if t.Report != nil {
		r := *t.Report
		r.Original, r.Result = nil, nil
		t.Report = &r
	}
	return t
}

// OutName is the name the file has after sanitizing.
func (t Transfer) OutName() string {
	if t.Report != nil && t.Report.OutName != "" {
		return t.Report.OutName
	}
	return t.Name
}

// Decision is the last thing a person decided about the transfer.
func (t Transfer) Decision() *Happening {
	for i := len(t.History) - 1; i >= 0; i-- {
		if h := t.History[i]; h.Person != nil && (h.State == Rejected || h.State == Released) {
			return &h
		}
	}
	return nil
}

// sendPage shows the form of a new transfer.
func (s *site) sendPage(w http.ResponseWriter, r *http.Request, p Person) {
	s.showSend(w, r, http.StatusOK, p, "", order{})
}

// order is the form of a new transfer, as typed.
type order struct {
	Routes []Route
	To     anchors.Zone
	Note   string
	keys   []string // never shown again
}

func (s *site) showSend(w http.ResponseWriter, r *http.Request, status int, p Person, code string, o order) {
	routes, err := s.Transfers.Routes(r.Context(), p, s.zone)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	o.Routes = routes
	if o.To == anchors.None && len(routes) == 1 {
		o.To = routes[0].To
	}
	s.render(w, r, status, "send", view{Title: "title.send", Nav: "send", Person: &p, Error: code, Data: o})
}
