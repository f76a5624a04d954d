package portal

import (
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/sekisho/sekisho/controlplane/web/text"
)

// plainPage is shown when control cannot make one. It loads nothing.
var plainPage = template.Must(template.New("plain").Parse(`<!doctype html>
<html lang="{{.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}} | {{.App}}</title></head>
<body><h1>{{.Title}}</h1><p role="alert">{{.Text}}</p><p><a href="/">{{.Home}}</a></p></body></html>
`))

// say answers a code's text, to programs as JSON and to people as a plain page.
func (p *portal) say(w http.ResponseWriter, r *http.Request, status int, code string) {
	l := lang(r)
	said, _ := l.Error(code)
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if wantsJSON(r) {
		h.Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(map[string]string{"error": said, "code": code}); err != nil {
			p.Log.Debug("answer a refusal", "err", err)
		}
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	err := plainPage.Execute(w, struct {
		Lang                   text.Lang
		Title, App, Text, Home string
	}{l, l.T("title.error"), l.T("app.name"), said, l.T("error-page.home")})
	if err != nil {
		p.Log.Debug("answer a refusal", "err", err)
	}
}
