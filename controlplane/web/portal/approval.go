package portal

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sekisho/sekisho/controlplane/web/account"
	"github.com/sekisho/sekisho/controlplane/web/assets"
	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

//go:embed approve.html
var approvalHTML string

var approvalPages = map[text.Lang]*template.Template{text.JA: approvalTemplate(text.JA), text.EN: approvalTemplate(text.EN)}

func approvalTemplate(l text.Lang) *template.Template {
	return template.Must(template.New("approve").Funcs(template.FuncMap{
		"t":       l.T,
		"zone":    func(z anchors.Zone) string { return l.T("zone." + z.String()) },
		"asset":   assets.URL,
		"finding": l.Finding,
		"where":   l.Place,
		"pair": func(page, side string, number int, s *verdict.Sheet, marks [][4]int) shownSheet {
			return shownSheet{page, side, number, s, marks}
		},
	}).Parse(approvalHTML + account.Part))
}

// shownSheet is what the template of one picture needs.
type shownSheet struct {
	Page, Side string
	Number     int
	Sheet      *verdict.Sheet
	Marks      [][4]int
}

// approvalPolicy: the page of an approval runs no script at all.
const approvalPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// approvalPage shows what release holds and asks for the passphrase. Control says only who is signed in and whether this
// person has business with the transfer; nothing of what the page shows comes from control.
func (p *portal) approvalPage(w http.ResponseWriter, r *http.Request) {
	// Only as a page of its own: never inside another page, never fetched by another page's script.
	if d := r.Header.Get("Sec-Fetch-Dest"); d != "" && d != "document" {
		p.refuse(w, r, refusal{http.StatusForbidden, "forbidden"})
		return
	}
	id := r.PathValue("id")
	s, err := p.asApprover(r, id)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	seen, err := p.look(r, id)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	l := lang(r)
	said := ""
	if code := r.URL.Query().Get("error"); code != "" {
		said, _ = l.Error(code)
		if said == code {
			said = "" // not one of ours: whoever made the link does not write on this page
		}
	}
	var b bytes.Buffer
	err = approvalPages[l].Execute(&b, struct {
		release.Statement
		Lang               text.Lang
		Page, Error, Bytes string
		Look               look
	}{s, l, "/transfers/" + url.PathEscape(id), said, thousands(s.Size), seen})
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", approvalPolicy)
	if _, err := w.Write(b.Bytes()); err != nil {
		p.Log.Debug("answer the approval page", "err", err)
	}
}

// asApprover gives what release states of a file to a person who may decide about it now; control says who that is.
func (p *portal) asApprover(r *http.Request, id string) (release.Statement, error) {
	var person struct {
		Person string `json:"person"`
		Role   string `json:"role"`
	}
	if err := p.ask(r, http.MethodGet, "/api/session", nil, &person); err != nil {
		return release.Statement{}, err
	}
	var t struct {
		State string `json:"state"`
	}
	if err := p.ask(r, http.MethodGet, "/transfers/"+url.PathEscape(id), nil, &t); err != nil {
		return release.Statement{}, err
	}
	if t.State != "awaiting-approval" {
		return release.Statement{}, refusal{http.StatusConflict, "state"}
	}
	s, err := p.Release.Statement(r.Context(), id)
	switch {
	case err != nil:
		return release.Statement{}, err
	case s.Requester == person.Person:
		return release.Statement{}, refusal{http.StatusForbidden, "own-request"}
	case person.Role != "section-head":
		return release.Statement{}, refusal{http.StatusForbidden, "forbidden"}
	}
	return s, nil
}

// fromItsPage tells whether a browser sent an approval from the page that this process made, so that no page of control's can
// carry a form of its own. A browser always says how it fetches (Sec-Fetch-Mode), and no page can keep it from that; programs,
// which show nothing to anyone, do not.
func fromItsPage(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Mode") == "" {
		return true
	}
	from, err := url.Parse(r.Referer())
	return err == nil && from.Host == r.Host && from.EscapedPath() == r.URL.EscapedPath()
}

// thousands writes a number of bytes with separators, to be compared by eye.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
