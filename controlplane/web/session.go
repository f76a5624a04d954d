package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/web/text"
)

// sessionCookie has the __Host- prefix: browsers take it only over HTTPS, for this host alone and for the whole path.
const (
	sessionCookie  = "__Host-sekisho"
	languageCookie = "__Host-lang"
)

// page is a handler for a person who is signed in.
type page func(http.ResponseWriter, *http.Request, Person)

// signedIn asks for a session and nothing more.
func (s *site) signedIn(next page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := s.People.Session(r.Context(), s.zone, token(r))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		next(w, r, p)
	}
}

// settled also asks that the one-time password was changed.
func (s *site) settled(next page) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, p Person) {
		if p.MustChange {
			s.fail(w, r, Refuse(codeMustChange, nil))
			return
		}
		next(w, r, p)
	})
}

// role also asks for one of the roles.
func (s *site) role(next page, roles ...Role) http.HandlerFunc {
	return s.settled(func(w http.ResponseWriter, r *http.Request, p Person) {
		if !slices.Contains(roles, p.Role) {
			s.fail(w, r, Refuse(CodeForbidden, nil))
			return
		}
		next(w, r, p)
	})
}

func token(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// setSession hands the token to the browser; an empty one takes it away. It has no expiry: it ends with the browser, and
// earlier where the directory of people says so.
func setSession(w http.ResponseWriter, value string) {
	c := &http.Cookie{Name: sessionCookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func lang(r *http.Request) text.Lang {
	c, err := r.Cookie(languageCookie)
	if err != nil {
		return text.JA
	}
	return text.Of(c.Value)
}

// language switches the screens between Japanese and English. Fields: lang, back (path to return to).
func (s *site) language(w http.ResponseWriter, r *http.Request) {
	if !form(w, r) {
		s.fail(w, r, Refuse(codeForm, nil))
		return
	}
	http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: string(text.Of(r.PostForm.Get("lang"))), Path: "/",
		MaxAge: int((365 * 24 * time.Hour).Seconds()), Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, localPath(r.PostForm.Get("back")), http.StatusSeeOther)
}

// form reads a small form; false when it is broken or too long.
func form(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	return r.ParseForm() == nil
}
