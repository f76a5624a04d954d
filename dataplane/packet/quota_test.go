package packet

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// openFlow sends one datagram from a host's port.
func (w *town) openFlow(from, to string, port int) {
	w.t.Helper()
	cmd := w.in(from, "socat", "-u", "-", fmt.Sprintf("UDP4-SENDTO:%s,sourceport=%d", to, port))
	cmd.Stdin = strings.NewReader("x")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("send from %s to %s: %v\n%s", from, to, err, out)
	}
}

func flowsOf(t *testing.T, c *Core, segment uint16) (n int) {
	t.Helper()
	flows, err := c.Flows(1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flows {
		if f.SrcSegment == segment {
			n++
		}
	}
	return n
}

// One segment that opens flow after flow leaves room for the others.
func TestASegmentCannotFillTheFlowTable(t *testing.T) {
	w := newTown(t)
	const capacity, quota = 64, 64 / 4
	open := func() *Core {
		t.Helper()
		c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: townAnchors(), Log: slog.New(slog.DiscardHandler), Flows: capacity})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 2, Rule: 1}, Cell{Src: 22, Dst: 21, Port: 2, Rule: 2}))
	for i := range quota {
		w.openFlow("mnpc", "198.18.21.11:53", 4000+i)
	}
	if n := flowsOf(t, c, 1); n != quota || w.drops(c, "flow-segment-quota") != 0 {
		t.Fatalf("%d flows, %d refused: want %d and none", n, w.drops(c, "flow-segment-quota"), quota)
	}
	w.expectDrop(c, "flow-segment-quota", func() { w.openFlow("mnpc", "198.18.21.11:53", 5000) })
	time.Sleep(1500 * time.Millisecond) // a walk counts them anew
	w.expectDrop(c, "flow-segment-quota", func() { w.openFlow("mnpc", "198.18.21.11:53", 5001) })

	refused := w.drops(c, "flow-segment-quota")
	w.openFlow("mnpc", "198.18.21.11:53", 4000) // a flow that is known goes on
	w.openFlow("lgasp", "198.18.10.11:53", 4000)
	if n := flowsOf(t, c, 2); n != 1 || w.drops(c, "flow-segment-quota") != refused {
		t.Errorf("another segment holds %d flows, %d more were refused: want 1 and none", n, w.drops(c, "flow-segment-quota")-refused)
	}

	// A new daemon takes the count over, and what ends makes room.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open()
	w.expectDrop(c, "flow-segment-quota", func() { w.openFlow("mnpc", "198.18.21.11:53", 5002) })
	old := idle(time.Hour, 0)
	var ended []programsFlowKey
	if err := c.walk(func(k programsFlowKey, v programsFlow) bool {
		if goFlow(k, v, 0).SrcSegment == 1 {
			ended = append(ended, k)
			old.FromB = v.FromB
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for _, k := range ended {
		if err := c.objects.Flows.Put(k, old); err != nil {
			t.Fatal(err)
		}
	}
	w.openFlow("mnpc", "198.18.21.11:53", 4001) // takes its own stale place at once
	if n := flowsOf(t, c, 1); n != 1 {
		t.Errorf("a flow that comes back finds no place: %d flows", n)
	}
	time.Sleep(1500 * time.Millisecond)
	refused = w.drops(c, "flow-segment-quota")
	for i := range quota - 1 {
		w.openFlow("mnpc", "198.18.21.11:53", 6000+i)
	}
	if n := flowsOf(t, c, 1); n != quota || w.drops(c, "flow-segment-quota") != refused {
		t.Errorf("after the others ended: %d flows, %d refused, want %d and none", n, w.drops(c, "flow-segment-quota")-refused, quota)
	}
}
