package transfer

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/controlplane/web"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/sandbox/broker"
	"github.com/sekisho/sekisho/dataplane/verdict"
)

// TestWhoLooksAtAFileIsRecorded: once for each person and transfer, also after a restart; one's own file, and one of which there is
// nothing to see yet, is no matter.
func TestWhoLooksAtAFileIsRecorded(t *testing.T) {
	o := newOffice(t)
	ctx := context.Background()
	looks := func(id string) (n int) {
		for _, e := range readAll(t, o.log) {
			if e.Action == "transfer.look" && e.Object == id {
				if e.Actor != "tanaka" {
					t.Errorf("%s is said to have looked", e.Actor)
				}
				n++
			}
		}
		return n
	}
	look := func(p web.Person, id string) {
		t.Helper()
		if _, err := o.Get(ctx, p, anchors.LGWAN, id); err != nil {
			t.Fatal(err)
		}
	}
	first, second := o.send("a.txt").ID, o.send("b.txt").ID
	look(o.tanaka, first)
	if n := looks(first); n != 0 {
		t.Errorf("%d before there is anything to see", n)
	}
	o.work(first)
	o.work(second)
	look(o.suzuki, first)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { look(o.tanaka, first) })
	}
	all.Wait()
	o.Desk = New(o.Desk.o)
	look(o.tanaka, first)
	if n := looks(first); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	if _, err := o.List(ctx, o.tanaka, anchors.LGWAN, web.Approve); err != nil || looks(second) != 0 {
		t.Errorf("the list, which shows nothing of it: %d, %v", looks(second), err)
	}
	o.broker = func(broker.Order) (broker.Outcome, error) {
		return broker.Outcome{Report: verdict.Report{Outcome: verdict.Blocked, Original: &verdict.Preview{Text: content}}}, nil
	}
	blocked := o.send("c.txt").ID
	o.work(blocked)
	look(o.tanaka, blocked)
	if n := looks(blocked); n != 1 {
		t.Errorf("%d records of a blocked one, want 1", n)
	}
	o.mu.Lock()
	o.time = o.time.Add(8 * 24 * time.Hour)
	o.mu.Unlock()
	if err := o.Tend(ctx); err != nil {
		t.Fatal(err)
	}
	look(o.tanaka, first)
	if left, err := o.under(ctx, lookedKey); err != nil || len(left) != 0 || looks(first) != 1 {
		t.Errorf("after it expired: %v %v, %d records", left, err, looks(first))
	}
}
