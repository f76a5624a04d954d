package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/templates"
	"github.com/sekisho/sekisho/dataplane/packet/stones"
)

// review is what an auditor asks about the configuration in force: the measures of its model, and who could step over whom.
type review struct {
	Head     int
	Model    *templates.Model
	Items    []config.Item
	Missing  int // required ones
	Stones   []stones.Stone
	More     int
	NoStones bool // nobody can tell
}

// mostStones is how many the page shows.
const mostStones = 100

func (s *site) reviewPage(w http.ResponseWriter, r *http.Request, p Person) {
	h := s.Book.Head()
	if h == nil {
		s.fail(w, r, Refuse(CodeNotFound, nil))
		return
	}
	catalogue, err := templates.Load()
	v := review{Head: h.Number}
	if err == nil {
		v.Model = catalogue.Model(h.Config.Model)
		v.Items, err = h.Config.Checklist(nil, time.Now()) // the head was proven: no invariant is broken
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, i := range v.Items {
		if i.Required && !i.Standing.Good() {
			v.Missing++
		}
	}
	slices.SortStableFunc(v.Items, func(a, b config.Item) int { // what is missing first
		return rank(a) - rank(b)
	})
	v.NoStones = s.Stones == nil
	if s.Stones != nil {
		if v.Stones, err = s.Stones(); err != nil {
			s.Log.Error("look for stepping stones", "err", err)
			v.NoStones = true
		}
	}
	if n := len(v.Stones) - mostStones; n > 0 {
		v.Stones, v.More = v.Stones[:mostStones], n
	}
	s.render(w, r, http.StatusOK, "review", view{Title: "title.review", Nav: "review", Person: &p, Data: v})
}

func rank(i config.Item) int {
	switch {
	case i.Standing.Good():
		return 2
	case i.Required:
		return 0
	}
	return 1
}
