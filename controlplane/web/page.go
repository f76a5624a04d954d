package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/sekisho/sekisho/controlplane/web/account"
	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

//go:embed templates/*.html
var templateFiles embed.FS

// Codes that only this package uses; see Services for the others.
const (
	codeInternal      = "internal"
	codeForm          = "form"
	codeForeign       = "foreign" // sent by a page of another site
	codeMustChange    = "must-change"
	codePasswordAgain = "password-again"
	codeFileMissing   = "file-missing"
	codeTooMany       = "too-many"
	codeName          = "file-name"
)

// view is what a template gets.
type view struct {
	Title  string // key
	Person *Person
	Error  string // code, shown as error.CODE
	Words  string // of who refused, shown under Error as they are
	Done   string // code, shown as done.CODE
	Nav    string // which entry of the navigation this page belongs to
	Data   any

	// Filled in by render.
	Lang text.Lang
	Zone anchors.Zone
	Town string
	Back string // path to return to after the language was switched
	Cuts []Cut  // of the banner; only in the management zone, for who is signed in
	Dark bool   // nobody can say which zones are cut off

	OnTrial *trial // the change that waits for its confirmation
	Reload
}

// Reload asks a browser without scripts to fetch the page again.
type Reload struct{ Seconds int }

// render writes the page or, for a fault in a template, an error; never half a page.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Lang, v.Zone, v.Town = lang(r), s.zone, s.Town().in(lang(r))
	v.Back = r.URL.Path
	if r.Method != http.MethodGet {
		v.Back = "/"
	}
	if d := r.URL.Query().Get("done"); v.Done == "" && v.Lang.Has("done."+d) {
		v.Done = d
	}
	if e := r.URL.Query().Get("error"); v.Error == "" && e != "" {
		if _, known := v.Lang.Error(e); known {
			v.Error = e
		}
	}
	if v.Person != nil {
		v.Cuts, v.Dark = s.cuts(r.Context())
		var err error
		if v.OnTrial, err = s.onTrial(r.Context(), *v.Person); err != nil {
			s.Log.Error("ask which change is on trial", "err", err)
		}
	}
	var b bytes.Buffer
	root := "layout"
	if strings.HasSuffix(name, "-live") {
		root = name // a fragment for htmx
	}
	t, err := pages(v.Lang)
	if err == nil {
		err = t[strings.TrimSuffix(name, "-live")].ExecuteTemplate(&b, root, v)
	}
	if err != nil {
		s.Log.Error("render a page", "page", name, "err", err)
		http.Error(w, v.Lang.T("error.internal"), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// fail answers an error: to programs as JSON, to people as a page that says what to do, or leads them to where they can do it.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, _ := s.code(r, err)
	if wantsJSON(r) || strings.HasPrefix(r.URL.Path, "/api/") {
		writeJSON(w, status(code), problem{Error: said(r, code), Code: code})
		return
	}
	live := r.Header.Get("HX-Request") != ""
	switch {
	case code == CodeSession && live:
		w.Header().Set("HX-Redirect", "/sign-in")
		w.WriteHeader(http.StatusNoContent)
	case code == CodeSession && token(r) == "":
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	case code == CodeSession:
		setSession(w, "")
		http.Redirect(w, r, "/sign-in?error=session", http.StatusSeeOther)
	case code == codeMustChange:
		http.Redirect(w, r, "/password", http.StatusSeeOther)
	default:
		v := view{Title: "title.error", Error: code}
		if p, err := s.People.Session(r.Context(), s.zone, token(r)); err == nil && !p.MustChange {
			v.Person = &p
		}
		s.render(w, r, status(code), "error", v)
	}
}

// said is the text of a code in the reader's language.
func said(r *http.Request, code string) string {
	s, _ := lang(r).Error(code)
	return s
}

// problem is how programs are told of an error.
type problem struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// status is the HTTP status of an error code.
func status(code string) int {
	switch code {
	case CodeSession, CodeSignIn:
		return http.StatusUnauthorized
	case CodeForbidden, codeForeign, codeDenied, CodeOwn, codeMustChange, CodeRoute:
		return http.StatusForbidden
	case CodeNotFound:
		return http.StatusNotFound
	case CodeState, CodeApproved, codeChanged, codeUnconfirmed, codeStale:
		return http.StatusConflict
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeThrottled:
		return http.StatusTooManyRequests
	case CodeUnavailable, CodePartly:
		return http.StatusServiceUnavailable
	case codeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

func wantsJSON(r *http.Request) bool {
	return slices.ContainsFunc(strings.Split(r.Header.Get("Accept"), ","), func(s string) bool {
		return strings.HasPrefix(strings.TrimSpace(s), "application/json")
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":"encode the answer"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// pages parses every template once for each language, so that a template says {{t "nav.home"}} without naming one.
func pages(l text.Lang) (map[string]*template.Template, error) {
	if l == text.EN {
		return pagesEN()
	}
	return pagesJA()
}

var (
	pagesJA = sync.OnceValues(func() (map[string]*template.Template, error) { return parse(text.JA) })
	pagesEN = sync.OnceValues(func() (map[string]*template.Template, error) { return parse(text.EN) })
)

var pageNames = []string{"sign-in", "password", "error", "home", "send", "sent", "received", "approvals", "detail", "console", "emergency", "revisions", "revision", "designated", "one-designated", "change", "proposals", "proposal", "review", "fault", "evidence", "audit"}

func parse(l text.Lang) (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(functions(l)).Parse(account.Part)
	if err == nil {
		shared, err = shared.ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	}
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, name := range pageNames {
		t, err := shared.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
}
