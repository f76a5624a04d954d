package web

import (
	"errors"
	"net/http"
)

func (s *site) signInPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "sign-in", view{Title: "title.sign-in", Data: ""})
}

// signIn takes the fields user and password.
func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	if !form(w, r) {
		s.fail(w, r, Refuse(codeForm, nil))
		return
	}
	user := r.PostForm.Get("user")
	token, p, err := s.People.SignIn(r.Context(), s.zone, user, r.PostForm.Get("password"))
	if err != nil {
		if code, ok := s.code(r, err); ok && !wantsJSON(r) {
			s.render(w, r, status(code), "sign-in", view{Title: "title.sign-in", Error: code, Data: user})
			return
		}
		s.fail(w, r, err)
		return
	}
	setSession(w, token)
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, p)
		return
	}
	next := "/"
	if p.MustChange {
		next = "/password"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *site) signOut(w http.ResponseWriter, r *http.Request) {
	if t := token(r); t != "" {
		if err := s.People.SignOut(r.Context(), s.zone, t); err != nil {
			// The browser forgets the session even if the directory could not: a person who left must not stay signed in here.
			s.Log.Warn("end a session", "zone", s.zone, "err", err)
		}
	}
	setSession(w, "")
	http.Redirect(w, r, "/sign-in?done=signed-out", http.StatusSeeOther)
}

func (s *site) passwordPage(w http.ResponseWriter, r *http.Request, p Person) {
	s.render(w, r, http.StatusOK, "password", view{Title: "title.password", Person: &p})
}

// changePassword takes the fields current, new and again.
func (s *site) changePassword(w http.ResponseWriter, r *http.Request, p Person) {
	err := error(Refuse(codeForm, nil))
	if form(w, r) {
		var fresh string
		if r.PostForm.Get("new") != r.PostForm.Get("again") {
			err = Refuse(codePasswordAgain, nil)
		} else if fresh, err = s.People.ChangePassword(r.Context(), s.zone, token(r), r.PostForm.Get("current"), r.PostForm.Get("new")); err == nil {
			setSession(w, fresh)
			if wantsJSON(r) {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			http.Redirect(w, r, "/?done=password", http.StatusSeeOther)
			return
		}
	}
	code, ok := s.code(r, err)
	if !ok || wantsJSON(r) || code == CodeSession {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status(code), "password", view{Title: "title.password", Person: &p, Error: code})
}

// coded is an error that a person can act on; see Services.
type coded interface {
	error
	Code() string
}

// code finds what to tell the person; ok is false for an error that is ours, which is logged and told as "internal".
func (s *site) code(r *http.Request, err error) (string, bool) {
	if c, ok := errors.AsType[coded](err); ok {
		if _, known := lang(r).Error(c.Code()); known {
			return c.Code(), true
		}
	}
	s.Log.Error("page failed", "zone", s.zone, "method", r.Method, "path", r.URL.Path, "err", err)
	return codeInternal, false
}
