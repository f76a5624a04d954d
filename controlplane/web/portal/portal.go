// Package portal is the process that stands in one zone and answers its browsers.
//
// Problem: browsers need a network listener, and whoever takes a listener over must find nothing behind it: no key, no policy,
// no way to another zone. And control, which draws the pages, may be taken over too: then it would show an approver one file
// and have another one approved. Mechanism: HTTPS in front of control's Unix socket of this zone. Pages are handed on, but with
// only those headers, kinds of content and places to go on to that control needs, and under this process's own policy; scripts
// and style sheets are this process's own. Three acts never touch control: an approval (its page shows what release states and
// what the broker left there: report and pages; the passphrase goes to release, and a browser can send it from that page only), the download of a released file and the
// approver's look at it (the bytes come from release). Life cycle: started in the zone's own network namespace as the zone's
// own user, without any state. Invariant: it opens no connection but to the two sockets; what a browser says about itself in
// headers is taken away before anyone believes it; no script that control sends runs.
//
// Limit: control can still draw a page that asks for the passphrase in words, and somebody may give it. Alone it is of no use
// to control, whose user release does not let approve; together with a station or a portal it is. An approver's own key
// (WebAuthn), bound to what release states, will close this.
package portal

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/web/assets"
	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// PeerHeader tells control which station asks; the portal alone sets it.
const PeerHeader = "X-Sekisho-Peer"

// Release is what a portal may ask of the release daemon.
type Release interface {
	Statement(ctx context.Context, transfer string) (release.Statement, error)
	Report(ctx context.Context, transfer string) (verdict.Report, error)
	Pages(ctx context.Context, transfer string) (verdict.Pages, error)
	Approve(ctx context.Context, a release.ApprovalRequest) (verdict.Signed, error)
	Sanitized(ctx context.Context, transfer string) (release.File, error)
	Released(ctx context.Context, transfer string) (release.File, error)
}

// Options of a portal.
type Options struct {
	Control string // path of control's socket for this zone
	Release Release
	Log     *slog.Logger
	Reports bool // control may answer with a report as a file: in the management zone only
}

// New gives the handler that is served over HTTPS.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	p := &portal{Options: o, control: socket.Client(o.Control)}
	mux := http.NewServeMux()
	mux.Handle("/", p.proxy())
	mux.HandleFunc("GET /assets/{name...}", assets.Serve)
	mux.HandleFunc("/assets/", p.lost)
	mux.HandleFunc("GET /transfers/{id}/approve", p.approvalPage)
	mux.HandleFunc("POST /transfers/{id}/approve", p.approve)
	mux.HandleFunc("GET /transfers/{id}/pages/{side}/{number}", p.page)
	mux.HandleFunc("/transfers/{id}/approve", p.lost)
	mux.HandleFunc("GET /transfers/{id}/download", p.download)
	mux.HandleFunc("GET /transfers/{id}/inspect", p.inspect)
	mux.HandleFunc("/api/", p.lost) // between portal and control only
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.say(w, r, http.StatusForbidden, "foreign") }))
	return harden(foreign.Handler(mux))
}

type portal struct {
	Options
	control *http.Client
}

// policy allows nothing that did not come from this portal: no inline script or style, no frame, no plug-in.
const policy = "default-src 'self'; script-src 'self'; style-src 'self'; frame-src 'none'; worker-src 'none'; object-src 'none'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// harden sets what holds for every answer, whoever made it; tame keeps control from setting it again. Handlers of this process
// may be stricter.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Strict-Transport-Security", "max-age=31536000")
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), usb=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (p *portal) lost(w http.ResponseWriter, r *http.Request) {
	p.say(w, r, http.StatusNotFound, "not-found")
}

// proxy hands a request on to control.
func (p *portal) proxy() http.Handler {
	base := p.control.Transport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = 2 * time.Minute // counted from the end of the upload
	base.MaxIdleConnsPerHost = 32
	base.IdleConnTimeout = time.Minute
	base.DisableCompression = true
	return &httputil.ReverseProxy{
		Transport:     finalOnly{base},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(p.Log.Handler(), slog.LevelWarn),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "control"})
			r.Out.Host = r.In.Host // control compares it with the Origin of unsafe requests
			for name := range r.Out.Header {
				if claims(name) {
					r.Out.Header.Del(name)
				}
			}
			r.Out.Header.Set(PeerHeader, r.In.RemoteAddr)
			r.Out.Header.Del("Accept-Encoding") // tame reads what an answer is, and lets no encoding through
		},
		ModifyResponse: p.tame,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.Log.Warn("control does not answer as it should", "path", r.URL.Path, "err", err)
			p.say(w, r, http.StatusBadGateway, "unavailable")
		},
	}
}

// claims tells whether a header is one by which a client could pretend to be someone or somewhere else.
func claims(name string) bool {
	name = http.CanonicalHeaderKey(name)
	switch name {
	case "Forwarded", "X-Real-Ip", "True-Client-Ip", "Via", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Sekisho-")
}

func lang(r *http.Request) text.Lang {
	c, err := r.Cookie("__Host-lang")
	if err != nil {
		return text.JA
	}
	return text.Of(c.Value)
}
