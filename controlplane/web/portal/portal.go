// Package portal is the process that stands in one zone and answers its browsers.
//
// Problem: browsers need a network listener, and whoever takes a listener over must find nothing behind it: no key, no policy,
// no way to another zone. Mechanism: HTTPS in front of control's Unix socket of this zone. Everything is handed on but three
// acts that control must not be trusted with: an approval (the passphrase goes to release, never to control), the download of
// a released file and the approver's look at it (the bytes come from release, never from control). Life cycle: started in the
// zone's own network namespace as the zone's own user, without any state. Invariant: it opens no connection but to the two
// sockets; what a browser says about itself in headers is taken away before anyone believes it.
package portal

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/web/text"
	"github.com/sekisho/sekisho/dataplane/release"
	"github.com/sekisho/sekisho/dataplane/socket"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// PeerHeader tells control which station asks; the portal alone sets it.
const PeerHeader = "X-Sekisho-Peer"

// Release is what a portal may ask of the release daemon.
type Release interface {
	Approve(ctx context.Context, a release.ApprovalRequest) (verdict.Signed, error)
	Sanitized(ctx context.Context, transfer string) (release.File, error)
	Released(ctx context.Context, transfer string) (release.File, error)
}

// Options of a portal.
type Options struct {
	Control string // path of control's socket for this zone
	Release Release
	Log     *slog.Logger
}

// New gives the handler that is served over HTTPS.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	p := &portal{Options: o, control: socket.Client(o.Control)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /transfers/{id}/approve", p.approve)
	mux.HandleFunc("GET /transfers/{id}/download", p.download)
	mux.HandleFunc("GET /transfers/{id}/inspect", p.inspect)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		p.say(w, r, http.StatusNotFound, "not-found") // between portal and control only
	})
	mux.Handle("/", p.proxy())
	return harden(http.NewCrossOriginProtection().Handler(mux))
}

type portal struct {
	Options
	control *http.Client
}

// harden holds for every answer, whoever made it.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// proxy hands a request on to control.
func (p *portal) proxy() http.Handler {
	base := p.control.Transport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = 2 * time.Minute // counted from the end of the upload
	base.MaxIdleConnsPerHost = 32
	base.IdleConnTimeout = time.Minute
	base.DisableCompression = true
	return &httputil.ReverseProxy{
		Transport:     base,
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
		},
		ModifyResponse: func(resp *http.Response) error {
			resp.Header.Del("Strict-Transport-Security") // set once, by harden
			resp.Header.Del("X-Content-Type-Options")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.Log.Warn("control does not answer", "path", r.URL.Path, "err", err)
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
