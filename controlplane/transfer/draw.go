package transfer

import (
	"context"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
)

// drawTime bounds how long control waits for pages: beyond the budgets of two conversions.
const drawTime = 10 * time.Minute

// Draw has the broker draw the first pages of a file that waits for p's decision. Control learns when they are drawn, and sees none. One
// drawing of a file goes on at a time, and goes on when whoever asked first has left.
func (d *Desk) Draw(ctx context.Context, p web.Person, zone anchors.Zone, id string) (<-chan struct{}, error) {
	r, _, err := d.forDecision(ctx, p, zone, id)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	if other, busy := d.drawing.LoadOrStore(id, done); busy {
		return other.(chan struct{}), nil
	}
	go func() {
		defer close(done)
		defer d.drawing.Delete(id)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drawTime)
		defer cancel()
		if err := d.o.Broker.Draw(ctx, broker.Order{Transfer: r.ID, From: r.From, To: r.To}); err != nil {
			d.o.Log.Warn("have pages drawn", "transfer", id, "error", err)
		}
	}()
	return done, nil
}
