package packet

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	table, err := mapLines(&c.objects.programsMaps, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		t.Fatal(err)
	}
	defer table.close()
	now, hz, err := c.ticks()
	if err != nil {
		t.Fatal(err)
	}
	table.at(func(head *line, _ *line6) bool {
		head.Last = now - 3600*hz
		return true
	})
	w.openFlow("mnpc", "198.18.21.11:53", 4001) // takes its own stale place at once
	if n := flowsOf(t, c, 1); n != 1 {
		t.Errorf("a flow that comes back finds no place: %d flows", n)
	}
	time.Sleep(500 * time.Millisecond)
	refused = w.drops(c, "flow-segment-quota")
	for i := range quota - 1 {
		w.openFlow("mnpc", "198.18.21.11:53", 6000+i)
	}
	if n := flowsOf(t, c, 1); n != quota || w.drops(c, "flow-segment-quota") != refused {
		t.Errorf("after the others ended: %d flows, %d refused, want %d and none", n, w.drops(c, "flow-segment-quota")-refused, quota)
	}
}
