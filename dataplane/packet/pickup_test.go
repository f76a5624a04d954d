package packet

import (
	"log/slog"
	"testing"
	"time"
)

// Connections may be picked up for a time after the flow table was made; a daemon that starts again does not prolong it, and
// one that is told of no such time ends it.
func TestTimeForPickingUpBeginsWithTheFlowTable(t *testing.T) {
	w := newTown(t)
	until := func(d time.Duration) (left time.Duration) {
		t.Helper()
		c, err := Open(t.Context(), Options{PinDir: w.pins, Anchors: townAnchors(), Log: slog.New(slog.DiscardHandler), Flows: 4096, PickUp: d})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var at uint64
		if err := c.objects.PickupUntil.Lookup(uint32(0), &at); err != nil {
			t.Fatal(err)
		}
		return time.Duration(at)
	}
	now := time.Duration(monotonic())
	first := until(time.Hour)
	if first < now+time.Hour || first > time.Duration(monotonic())+time.Hour {
		t.Errorf("a new table: until %s, want an hour from %s", first, now)
	}
	for _, x := range []struct {
		what string
		d    time.Duration
		want time.Duration
	}{
		{"a daemon that starts again", 2 * time.Hour, first},
		{"one that is told of no time", 0, 0},
		{"one that is told of a time again", time.Hour, 0},
	} {
		if got := until(x.d); got != x.want {
			t.Errorf("%s: until %s, want %s", x.what, got, x.want)
		}
	}
	if err := Remove(w.pins); err != nil {
		t.Fatal(err)
	}
	if got := until(time.Hour); got <= first {
		t.Errorf("a new table once more: until %s, want later than %s", got, first)
	}
}
