// Package web is what people see: the staff portal of each zone and the console of the management zone.
//
// Problem: a gate nobody can bear gets bypassed, and a page that a stranger can make act for a signed-in clerk opens the gate.
// Mechanism: plain pages that work without scripts, rendered here from templates and message catalogues; scripts, which the
// portal serves, only add progress bars and live figures. The handler of a zone is bound to that zone when it is made, so no
// request can claim another. Life cycle: control makes one handler for each zone's socket at start; the zone's portal process
// stands in front of it. Invariant: nothing here decides. Each act goes to a service, which decides by person and zone; the
// approval, its page, the scripts and the bytes themselves are the portal's and release's and never pass through here.
package web

import (
	"log/slog"
	"net/http"

	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Options of one zone's pages.
type Options struct {
	Log  *slog.Logger
	Gate string      // name of the instance, by which texts that were given out say whose they are
	Town func() Name // shown in the head of each page; it may change with the configuration; nil: none
}

// New gives the pages of one zone. The caller serves it on that zone's socket, with no read or write timeout shorter than an
// upload may take; the portal in front bounds the time.
func New(zone anchors.Zone, s Services, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Town == nil {
		o.Town = func() Name { return Name{} }
	}
	st := &site{zone: zone, Services: s, Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /language", st.language)
	mux.HandleFunc("GET /sign-in", st.signInPage)
	mux.HandleFunc("POST /sign-in", st.signIn)
	mux.HandleFunc("POST /sign-out", st.signOut)
	mux.HandleFunc("GET /password", st.signedIn(st.passwordPage))
	mux.HandleFunc("POST /password", st.signedIn(st.changePassword))
	mux.HandleFunc("GET /{$}", st.settled(st.start))
	mux.HandleFunc("GET /api/session", st.settled(st.apiSession))
	if zone == anchors.Management {
		mux.HandleFunc("GET /console", st.role(st.console, ITAdmin))
		mux.HandleFunc("GET /console/live", st.role(st.consoleLive, ITAdmin))
		mux.HandleFunc("GET /console/samples", st.role(st.consoleSamples, ITAdmin))
		mux.HandleFunc("GET /emergency/{zone}", st.role(st.emergencyPage, ITAdmin))
		mux.HandleFunc("POST /emergency/{zone}/cut-off", st.role(st.cutOff, ITAdmin))
		mux.HandleFunc("POST /emergency/{zone}/give-back", st.role(st.giveBack, ITAdmin))
		mux.HandleFunc("GET /revisions", st.role(st.revisionsPage, ITAdmin, Auditor))
		mux.HandleFunc("GET /revisions/live", st.role(st.revisionsLive, ITAdmin, Auditor))
		mux.HandleFunc("GET /revisions/{number}", st.role(st.revisionPage, ITAdmin, Auditor))
		mux.HandleFunc("POST /revisions/{number}/rollback", st.role(st.rollback, ITAdmin))
		mux.HandleFunc("POST /revisions/confirm", st.role(st.confirm, ITAdmin))
		mux.HandleFunc("POST /revisions/give-up", st.role(st.giveUp, ITAdmin))
		mux.HandleFunc("GET /designated", st.role(st.designatedPage, ITAdmin, Auditor))
		mux.HandleFunc("GET /designated/{id}", st.role(st.oneDesignatedPage, ITAdmin, Auditor))
		mux.HandleFunc("GET /change", st.role(st.changePage, ITAdmin))
		mux.HandleFunc("POST /change", st.role(st.changeAct, ITAdmin))
		mux.HandleFunc("GET /proposals", st.role(st.proposalsPage, ITAdmin, Auditor))
		mux.HandleFunc("GET /proposals/{number}", st.role(st.proposalPage, ITAdmin, Auditor))
		mux.HandleFunc("POST /proposals/{number}/approve", st.role(st.approve, ITAdmin))
		mux.HandleFunc("POST /proposals/{number}/withdraw", st.role(st.withdraw, ITAdmin))
		mux.HandleFunc("GET /review", st.role(st.reviewPage, ITAdmin, Auditor))
		mux.HandleFunc("GET /evidence", st.role(st.evidencePage, ITAdmin, Auditor))
		mux.HandleFunc("GET /evidence/report", st.role(st.evidenceReport, ITAdmin, Auditor))
		mux.HandleFunc("GET /fault", st.role(st.faultPage, ITAdmin))
		mux.HandleFunc("GET /fault/{end}", st.role(st.lookPage, ITAdmin))
		mux.HandleFunc("GET /audit", st.role(st.auditPage, Auditor))
		mux.HandleFunc("POST /audit/verify", st.role(st.auditVerify, Auditor))
	} else {
		mux.HandleFunc("GET /transfers", st.role(st.home, Staff, SectionHead))
		mux.HandleFunc("POST /transfers", st.role(st.upload, Staff, SectionHead))
		mux.HandleFunc("GET /send", st.role(st.sendPage, Staff, SectionHead))
		mux.HandleFunc("GET /received", st.role(st.received, Staff, SectionHead))
		mux.HandleFunc("GET /approvals", st.role(st.approvals, SectionHead))
		mux.HandleFunc("GET /transfers/{id}", st.role(st.detail, Staff, SectionHead))
		mux.HandleFunc("GET /transfers/{id}/preview/{side}", st.role(st.preview, Staff, SectionHead))
		mux.HandleFunc("POST /transfers/{id}/reject", st.role(st.reject, SectionHead))
		mux.HandleFunc("POST /transfers/{id}/cancel", st.role(st.cancel, Staff, SectionHead))
		mux.HandleFunc("POST /api/transfers/{id}/receipt", st.role(st.apiReceipt, SectionHead))
		mux.HandleFunc("POST /api/transfers/{id}/drawing", st.role(st.apiDraw, SectionHead))
		mux.HandleFunc("GET /api/transfers/{id}/may-inspect", st.role(st.apiMayInspect, SectionHead))
		mux.HandleFunc("GET /api/transfers/{id}/may-download", st.role(st.apiMayDownload, Staff, SectionHead))
	}
	mux.HandleFunc("/", st.lost)
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { st.fail(w, r, Refuse(codeForeign, nil)) }))
	return stamped(guard(foreign.Handler(mux)))
}

// site is one zone's pages.
type site struct {
	Services
	Options
	zone     anchors.Zone
	register register
}

// start leads a person to the first page of the role.
func (s *site) start(w http.ResponseWriter, r *http.Request, p Person) {
	first := ""
	switch {
	case s.zone == anchors.Management && p.Role == ITAdmin:
		first = "/console"
	case s.zone == anchors.Management && p.Role == Auditor:
		first = "/audit"
	case s.zone != anchors.Management && (p.Role == Staff || p.Role == SectionHead):
		first = "/transfers"
	default:
		s.fail(w, r, Refuse(CodeForbidden, nil))
		return
	}
	if d := r.URL.Query().Get("done"); lang(r).Has("done." + d) {
		first += "?done=" + d
	}
	http.Redirect(w, r, first, http.StatusSeeOther)
}

func (s *site) lost(w http.ResponseWriter, r *http.Request) { s.fail(w, r, Refuse(CodeNotFound, nil)) }

// in picks the language's half of a name, or the other where there is only one.
func (n Name) in(l text.Lang) string {
	if l == text.EN && n.EN != "" || n.JA == "" {
		return n.EN
	}
	return n.JA
}
