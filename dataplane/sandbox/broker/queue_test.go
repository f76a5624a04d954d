package broker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// TestOneZoneDelaysAnotherByOneFile: a zone with many files waiting gets no place before a zone that has none at work.
func TestOneZoneDelaysAnotherByOneFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2)
		var order []anchors.Zone
		leaves := make(chan func(), 16)
		for _, z := range []anchors.Zone{anchors.Internet, anchors.Internet, anchors.Internet, anchors.Internet, anchors.LGWAN} {
			go func() {
				leave, err := q.enter(t.Context(), z)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, z) // one at a time: each is let in by a leave below
				leaves <- leave
			}()
			synctest.Wait()
		}
		if len(order) != 2 {
			t.Fatalf("%d at work, want 2", len(order))
		}
		for range 5 {
			(<-leaves)()
			synctest.Wait()
		}
		want := []anchors.Zone{anchors.Internet, anchors.Internet, anchors.LGWAN, anchors.Internet, anchors.Internet}
		if !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
		if q.free != 2 {
			t.Errorf("%d places free at the end, want 2", q.free)
		}
	})
}

func TestWhoGivesUpLeavesHisPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		leave, err := q.enter(t.Context(), anchors.LGWAN)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { _, err := q.enter(ctx, anchors.LGWAN); gone <- err }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		leave()
		leave() // twice is once
		if q.free != 1 || len(q.waiting) != 0 {
			t.Errorf("%d free, %d waiting", q.free, len(q.waiting))
		}
	})
}
