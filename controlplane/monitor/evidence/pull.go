package evidence

import (
	"context"
	"fmt"

	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// Puller takes over what the dataplane measured, second by second, and after a stop what it still remembers.
type Puller struct {
	Store *Store
	// Get asks the dataplane's GET /measures with a query and decodes the answer.
	Get func(ctx context.Context, query string, into any) error

	run uint32
	seq uint64
}

// mostPieces bounds one Pull; the rest of a longer stop follows with the next.
const mostPieces = 3

// shortPiece is how many seconds an answer holds at most that has no more behind it; the dataplane bounds it at more.
const shortPiece = 60

// Pull keeps what is new. After a start it begins with all that the dataplane remembers: what is there already stays as it is, and the
// minute in which control stopped becomes whole.
func (p *Puller) Pull(ctx context.Context) error {
	for range mostPieces {
		var samples []measure.Sample
		if err := p.Get(ctx, fmt.Sprintf("run=%d&after=%d", p.run, p.seq), &samples); err != nil {
			return err
		}
		if len(samples) == 0 {
			return nil
		}
		last := samples[len(samples)-1]
		if last.Run == p.run && last.Seq <= p.seq {
			return fmt.Errorf("take over measures: the dataplane answers with what came before look %d again", p.seq)
		}
		err := p.Store.Keep(samples)
		p.run, p.seq = last.Run, last.Seq // also then: what the disk does not take must not be asked for for ever
		if err != nil {
			return fmt.Errorf("keep evidence: %w", err)
		}
		if last.Seq-samples[0].Seq < shortPiece {
			return nil
		}
	}
	return nil
}
