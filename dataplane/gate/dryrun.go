package gate

import (
	"errors"
	"net/http"
)

// Check tells why a generation would be refused, with what the programs did with the packets that the proof names; nil when it
// would not. Nothing changes, and nothing waits for it but another check: not the end of a trial, not who confirms one.
func (g *Gate) Check(n Generation) error {
	g.checking.Lock()
	defer g.checking.Unlock()
	if err := checkObjects(&n, g.anchors, g.own); err != nil {
		return &Refusal{Problems: err}
	}
	_, discard, err := g.stage(n.Tables, true)
	discard()
	return err
}

// postCheck serves control, whose own proof has no programs to ask.
func (g *Gate) postCheck(w http.ResponseWriter, r *http.Request) {
	n, ok := generationOf(w, r)
	if !ok {
		return
	}
	var no *Refusal
	switch err := g.Check(n); {
	case err == nil:
		answer(w, http.StatusOK, struct{}{})
	case errors.As(err, &no):
		answer(w, http.StatusConflict, failure{Error: err.Error(), Violations: no.Violations})
	default:
		answer(w, http.StatusInternalServerError, failure{Error: err.Error()})
	}
}
