package portal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sekisho/sekisho/dataplane/release"
)

// approve takes the fields sha256 (of the file as it was shown), passphrase and reason. Control says who is signed in and
// that this person may see the transfer; release decides, by its own list of approvers and the passphrase.
func (p *portal) approve(w http.ResponseWriter, r *http.Request) {
	if !fromItsPage(r) {
		p.refuseOn(w, r, "/approve", refusal{http.StatusForbidden, "approve-page"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		p.refuseOn(w, r, "/approve", refusal{http.StatusBadRequest, "form"})
		return
	}
	id := r.PathValue("id")
	var person struct {
		Person string `json:"person"`
	}
	if err := p.ask(r, http.MethodGet, "/api/session", nil, &person); err != nil {
		p.refuseOn(w, r, "/approve", err)
		return
	}
	if err := p.ask(r, http.MethodGet, "/api/transfers/"+url.PathEscape(id)+"/may-inspect", nil, nil); err != nil {
		p.refuseOn(w, r, "/approve", err)
		return
	}
	receipt, err := p.Release.Approve(r.Context(), release.ApprovalRequest{Transfer: id, SanitizedSHA256: r.PostForm.Get("sha256"),
		Person: person.Person, Passphrase: r.PostForm.Get("passphrase"), Reason: strings.TrimSpace(r.PostForm.Get("reason"))})
	if err != nil {
		p.refuseOn(w, r, "/approve", err)
		return
	}
	// From here on the approval stands. If control cannot take the receipt now, the person is asked to try again: release
	// answers the same receipt to the same approval.
	b, err := json.Marshal(receipt)
	if err == nil {
		err = p.ask(r, http.MethodPost, "/api/transfers/"+url.PathEscape(id)+"/receipt", b, nil)
	}
	if err != nil {
		p.refuseOn(w, r, "/approve", err)
		return
	}
	if wantsJSON(r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, "/transfers/"+url.PathEscape(id)+"?done=approved", http.StatusSeeOther)
}

// download gives the released file to whom control says may have it, if release agrees for its own reasons.
func (p *portal) download(w http.ResponseWriter, r *http.Request) {
	p.hand(w, r, "/may-download", p.Release.Released)
}

// inspect gives the sanitized file to the approver.
func (p *portal) inspect(w http.ResponseWriter, r *http.Request) {
	p.hand(w, r, "/may-inspect", p.Release.Sanitized)
}

func (p *portal) hand(w http.ResponseWriter, r *http.Request, question string, fetch func(context.Context, string) (release.File, error)) {
	id := r.PathValue("id")
	if err := p.ask(r, http.MethodGet, "/api/transfers/"+url.PathEscape(id)+question, nil, nil); err != nil {
		p.refuse(w, r, err)
		return
	}
	f, err := fetch(r.Context(), id)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	defer f.Body.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", Attachment(fileName(f.Disposition, id)))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	if f.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(f.Size, 10)) // a stream that ends early is then seen as broken
	}
	if n, err := io.Copy(w, f.Body); err != nil {
		p.Log.Warn("hand over a file", "transfer", id, "sent", n, "err", err)
		panic(http.ErrAbortHandler) // the HTTP server's own way to break a connection off: half a file must not look whole
	}
}

// fileName takes the name out of release's Content-Disposition.
func fileName(disposition, otherwise string) string {
	_, params, err := mime.ParseMediaType(disposition)
	if err != nil || params["filename"] == "" {
		return otherwise
	}
	return params["filename"]
}

// Attachment names a file to a browser after RFC 6266: a plain form for old ones and the UTF-8 form of RFC 8187.
func Attachment(name string) string {
	var plain, full strings.Builder
	for _, c := range name {
		if c < 0x20 || c >= 0x7f || strings.ContainsRune(`"\/%;`, c) {
			plain.WriteByte('_')
		} else {
			plain.WriteRune(c)
		}
	}
	for _, b := range []byte(name) {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("!#$&+-.^_`|~", b) >= 0 {
			full.WriteByte(b)
		} else {
			fmt.Fprintf(&full, "%%%02X", b)
		}
	}
	return `attachment; filename="` + plain.String() + `"; filename*=UTF-8''` + full.String()
}

// refusal is an answer of control or of this process, as a status and a code of the catalogue.
type refusal struct {
	status int
	code   string
}

func (r refusal) Error() string { return strconv.Itoa(r.status) + " " + r.code }

// ask puts a question to control with the browser's own cookie, so that control decides for the person who is signed in.
func (p *portal) ask(r *http.Request, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(r.Context(), method, "http://control"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Cookie", r.Header.Get("Cookie"))
	req.Header.Set("Accept", "application/json")
	req.Header.Set(PeerHeader, r.RemoteAddr)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.control.Do(req)
	if err != nil {
		return fmt.Errorf("ask control: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("ask control %s: %w", path, err)
	}
	if resp.StatusCode/100 == 2 {
		if into == nil {
			return nil
		}
		if err := json.Unmarshal(b, into); err != nil {
			return fmt.Errorf("ask control %s: %w", path, err)
		}
		return nil
	}
	var no struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(b, &no) != nil || no.Code == "" {
		return fmt.Errorf("control answered %s to %s", resp.Status, path)
	}
	return refusal{resp.StatusCode, no.Code}
}

// refuse tells the person why not: on the transfer's page, where the text of the code is shown.
func (p *portal) refuse(w http.ResponseWriter, r *http.Request, err error) { p.refuseOn(w, r, "", err) }

// refuseOn does so on a page under the transfer's.
func (p *portal) refuseOn(w http.ResponseWriter, r *http.Request, page string, err error) {
	status, code := http.StatusServiceUnavailable, "unavailable"
	if no, ok := errors.AsType[refusal](err); ok {
		status, code = no.status, no.code
	} else if no, ok := errors.AsType[*release.Refusal](err); ok {
		if _, known := lang(r).Error(no.Code); known {
			status, code = no.Status, no.Code
		}
		p.Log.Info("release refuses", "path", r.URL.Path, "err", no)
	} else {
		p.Log.Warn("act of the portal", "path", r.URL.Path, "err", err)
	}
	if code == "session" && !wantsJSON(r) {
		http.Redirect(w, r, "/sign-in?error=session", http.StatusSeeOther)
		return
	}
	if code == "not-found" || wantsJSON(r) {
		p.say(w, r, status, code)
		return
	}
	http.Redirect(w, r, "/transfers/"+url.PathEscape(r.PathValue("id"))+page+"?error="+url.QueryEscape(code), http.StatusSeeOther)
}

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}
