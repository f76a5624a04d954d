package tunlab

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

// The test binary is also the gate's engine and the far end.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tunnel.ChildCommand {
		os.Exit(tunnel.Child(context.Background(), os.Stderr))
	}
	if len(os.Args) > 2 && os.Args[1] == "region" {
		fmt.Fprintln(os.Stderr, region.Run(context.Background(), os.Args[2], region.Options{}))
		os.Exit(1)
	}
	os.Exit(netlab.Main(m))
}

const mbit = 1_000_000

func classes(line uint64) []bandwidth.Class {
	part := func(percent uint64) uint64 { return line * percent / 100 }
	return []bandwidth.Class{
		{ID: 1, Name: "core", Guarantee: part(45), Ceiling: line, Latency: bandwidth.Interactive},
		{ID: 2, Name: "general", Guarantee: part(25), Ceiling: line, Priority: 1, Default: true},
		{ID: 3, Name: "backup", Guarantee: part(15), Ceiling: line, Priority: 2, Latency: bandwidth.Bulk},
		{ID: 4, Name: "cameras", Guarantee: part(10), Ceiling: line, Priority: 3, Latency: bandwidth.Bulk},
	}
}

func far1(t *testing.T) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{exe, "region"}
}

// tries bounds how often a measurement is made again: what a machine that was busy with something else could not send or
// count says nothing about a guarantee. A guarantee that does not hold fails every time.
const tries = 8

// again makes a measurement until one says nothing against what it measures; the last one's complaints count.
func again(t *testing.T, measure func() (complaints []string)) {
	t.Helper()
	for try := 1; ; try++ {
		c := measure()
		if len(c) == 0 {
			return
		}
		if try == tries {
			for _, text := range c {
				t.Error(text)
			}
			return
		}
		t.Logf("once more: %q", c)
	}
}

// The promise itself, in both directions: whatever the others offer, a class that sends its guarantee gets it.
func TestEveryClassGetsItsGuaranteeBothWays(t *testing.T) {
	const line = 10 * mbit
	l := New(t, Config{Lines: []Line{{line, line}}, Regions: []string{"tokyo"}, Classes: classes(line), Far: far1(t)})
	type key struct {
		class uint8
		down  bool
	}
	received := map[key]*Receiver{}
	for _, c := range classes(line) {
		for _, down := range []bool{false, true} {
			received[key{c.ID, down}] = l.Receive(t, Flow{Class: c.ID, Down: down})
		}
	}
	const seconds = 4
	for _, tested := range classes(line) {
		again(t, func() (complaints []string) {
			ctx, stop := context.WithCancel(t.Context())
			var senders sync.WaitGroup
			for _, c := range classes(line) {
				f := Flow{Class: c.ID, Size: 1300, Rate: 10 * line / 3}
				if c.ID == tested.ID {
					f.Size, f.Rate = 700, float64(c.Guarantee)
				}
				l.Send(t, ctx, &senders, f)
				f.Down = true
				l.Send(t, ctx, &senders, f)
			}
			time.Sleep(700 * time.Millisecond) // queues fill
			start := time.Now()
			up, down := l.OnLine(t, 0, false), l.OnLine(t, 0, true)
			time.Sleep(seconds * time.Second)
			passed := time.Since(start).Seconds()
			usedUp, usedDown := float64(l.OnLine(t, 0, false)-up)*8/passed/line, float64(l.OnLine(t, 0, true)-down)*8/passed/line
			stop()
			senders.Wait()
			for _, d := range []bool{false, true} {
				mean, worst := received[key{tested.ID, d}].Given(start, seconds)
				g := float64(tested.Guarantee)
				if mean < 0.98*g || worst < 0.95*g {
					complaints = append(complaints, fmt.Sprintf("%s, down %v: mean %.4f, worst second %.4f of its guarantee; want 0.98 and 0.95", tested.Name, d, mean/g, worst/g))
				}
			}
			if usedUp < 0.97 || usedDown < 0.97 || usedUp > 1.001 || usedDown > 1.001 {
				complaints = append(complaints, fmt.Sprintf("line used %.4f up, %.4f down, want 0.97..1", usedUp, usedDown))
			}
			return complaints
		})
	}
}
