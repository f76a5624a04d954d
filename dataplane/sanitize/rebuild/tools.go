package rebuild

import (
	"errors"
	"maps"
	"slices"

	"github.com/sekisho/sekisho/dataplane/verdict"
)

// ErrAsked ends a rebuild that has asked for something: the rebuilder is called again, from the start, when the answer is there.
// Who rebuilds several files goes on with the others first, so that all questions go out together.
var ErrAsked = errors.New("a helper is asked")

// Tools are the programs outside of this sandbox that a rebuilder may ask for. The worker starts none by itself: it ends with its
// questions, the broker has each answered in another sandbox, and calls the worker again with the answers.
type Tools struct {
	answers map[string]verdict.Answer
	asked   map[string]verdict.Need
}

// NewTools takes the answers that are there.
func NewTools(answers []verdict.Answer) *Tools {
	t := &Tools{answers: map[string]verdict.Answer{}, asked: map[string]verdict.Need{}}
	for _, a := range answers {
		t.answers[a.ID] = a
	}
	return t
}

// Ask is what a helper of the kind made of in, or ErrAsked. options are few and short. A helper that failed is a Refusal with
// the code of its failure.
func (t *Tools) Ask(kind string, options map[string]string, in []byte) ([]byte, error) {
	n := verdict.Need{Kind: kind, Options: options, Body: in}
	n.ID = n.Name()
	a, ok := t.answers[n.ID]
	switch {
	case !ok:
		t.asked[n.ID] = n
		return nil, ErrAsked
	case a.Failed != "":
		return nil, Refuse(a.Failed, "", a.Detail)
	}
	return a.Body, nil
}

// Asked are the questions without an answer, in a fixed order.
func (t *Tools) Asked() []verdict.Need {
	var out []verdict.Need
	for _, id := range slices.Sorted(maps.Keys(t.asked)) {
		out = append(out, t.asked[id])
	}
	return out
}
