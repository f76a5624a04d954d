package revision

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// player is a dataplane that plays the packets of a proof to the programs that it has loaded.
type player interface {
	// Check tells why a generation would be refused; none when it would not. Nothing changes.
	Check(ctx context.Context, g gate.Generation) ([]proof.Violation, error)
}

// replayTime bounds how long a person waits for what the programs say about a refused text.
const replayTime = 20 * time.Second

// replayed asks the dataplane what its programs do with the packets of violations that control's own proof found. Without an
// answer the violations stand as they are: they are the refusal, the replay is its illustration.
func (b *Book) replayed(g gate.Generation, found []proof.Violation) []proof.Violation {
	d, ok := b.dataplane.(player)
	if !ok {
		return found
	}
	ctx, cancel := context.WithTimeout(context.Background(), replayTime)
	defer cancel()
	played, err := d.Check(ctx, g)
	if err != nil {
		return found
	}
	for i := range found {
		for j := range played {
			if v := &played[j]; v.Invariant == found[i].Invariant && v.Message == found[i].Message && same(v.Counterexample, found[i].Counterexample) {
				found[i].Replay = v.Replay
			}
		}
	}
	return found
}

func same(a, b *proof.Counterexample) bool { return a != nil && b != nil && *a == *b }

// Check is player's, over the socket.
func (a At) Check(ctx context.Context, g gate.Generation) ([]proof.Violation, error) {
	b, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", g.Revision, err)
	}
	var no struct {
		Error      string            `json:"error"`
		Violations []proof.Violation `json:"violations"`
	}
	code, err := a.call(ctx, http.MethodPost, "/generation/check", b, &no)
	switch {
	case err != nil:
		return nil, fmt.Errorf("check %s: %w", g.Revision, err)
	case code != http.StatusOK && len(no.Violations) == 0:
		return nil, fmt.Errorf("check %s: the dataplane answered %d: %s", g.Revision, code, no.Error)
	}
	return no.Violations, nil
}
