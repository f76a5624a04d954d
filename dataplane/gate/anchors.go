package gate

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors/history"
)

func (g *Gate) history() history.Book { return history.Book{Dir: g.instance.AnchorsHistory()} }

// keepAnchors notes with which anchors the daemon runs from now on, and says what changed since the last start. That a copy
// cannot be kept is told and stops nothing: the file itself is what binds.
func (g *Gate) keepAnchors(text []byte) {
	e, added, err := g.history().Keep(text, time.Now())
	if err != nil {
		g.log.Error("the anchors are in force, but no copy of them could be kept", "error", err)
		return
	}
	if !added {
		return
	}
	if e.Number == 1 {
		g.log.Info("the anchors are kept as number 1 of their history", "hash", e.Hash)
		return
	}
	changes, err := g.history().Diff(e.Number-1, e.Number)
	if err != nil {
		g.log.Warn("the anchors have changed since the last start", "number", e.Number, "hash", e.Hash, "error", err)
		return
	}
	g.log.Warn("the anchors have changed since the last start", "number", e.Number, "hash", e.Hash, "changes", len(changes))
	for _, c := range changes {
		g.log.Warn("anchors: " + c.String())
	}
}

// getAnchorsHistory tells the entries behind ?after, without it all. There is no way over any socket to change the anchors.
func (g *Gate) getAnchorsHistory(w http.ResponseWriter, r *http.Request) {
	after := 0
	if v := r.URL.Query().Get("after"); v != "" {
		var err error
		if after, err = strconv.Atoi(v); err != nil || after < 0 {
			answer(w, http.StatusBadRequest, failure{Error: "after: want a number, 0 or more"})
			return
		}
	}
	h, err := g.history().List(after)
	reply(w, h, err)
}
