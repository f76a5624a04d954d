package web

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// leaf is one screen of the audit log.
type leaf struct {
	Events []Event
	State  AuditState
	Older  int64 // index to read on from; 0 = no more
	Before int64
}

const perLeaf = 50

func (s *site) auditPage(w http.ResponseWriter, r *http.Request, p Person) {
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	events, err := s.Audit.Events(r.Context(), p, before, perLeaf)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	state, err := s.Audit.State(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, map[string]any{"events": events, "state": state})
		return
	}
	l := leaf{Events: events, State: state, Before: before}
	if n := len(events); n > 0 && events[n-1].Index > 0 {
		l.Older = events[n-1].Index
	}
	s.render(w, r, http.StatusOK, "audit", view{Title: "title.audit", Nav: "audit", Person: &p, Data: l})
}

// auditVerify walks the whole log; the page then says whether every entry is still as it was signed.
func (s *site) auditVerify(w http.ResponseWriter, r *http.Request, p Person) {
	state, err := s.Audit.Verify(r.Context(), p)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, state)
		return
	}
	http.Redirect(w, r, "/audit", http.StatusSeeOther)
}

// fact is one detail of an event as people read it.
type fact struct {
	Name, Value string
	Whole       string // when Value is shortened
}

// facts puts an event's details into words; a detail that has no words is shown as it is.
func facts(l text.Lang, e Event) []fact {
	var fs []fact
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		f := fact{Name: k, Value: e.Detail[k]}
		if f.Value == "" {
			continue
		}
		if l.Has("fact." + k) {
			f.Name = l.T("fact." + k)
		}
		if z, err := anchors.ParseZone(f.Value); err == nil {
			f.Value = l.T("zone." + z.String())
		} else if k == "state" && l.Has("state."+f.Value) {
			f.Value = l.T("state." + f.Value)
		}
		// A hash is told apart by its beginning; the whole of it is at hand.
		if n := utf8.RuneCountInString(f.Value); n >= 40 && !strings.ContainsRune(f.Value, ' ') && n == len(f.Value) {
			f.Value, f.Whole = f.Value[:12]+"…", f.Value
		}
		fs = append(fs, f)
	}
	return fs
}
