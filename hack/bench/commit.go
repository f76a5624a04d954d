package main

import (
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/controlplane/policy/proven"
)

// commitResult is what commits of a city's records took while permitted packets crossed the gate.
type commitResult struct {
	steps      []steps // of each commit
	cells      int
	sent, lost uint64
	nft        time.Duration // the peer's: one atomic load of the same policy as sets
}

// measureCommit commits a city's records n times, each time with one record more or less, under live traffic of 64 k flows.
func measureCommit(dir string, records, n int) (r commitResult, err error) {
	city := newCity(records, 2)
	l, err := newLane(feederSize{packets: flows64k})
	if err != nil {
		return r, err
	}
	defer l.close()
	g, err := guard(l, city, filepath.Join(dir, "city"), 2*flows64k)
	if err != nil {
		return r, err
	}
	all := city.config.Communications
	kept := city.pairs[20:] // the first record comes and goes
	fs, err := flows(kept, 0, flows64k)
	if err != nil {
		return r, err
	}
	if err := l.prepare(fs); err != nil {
		return r, fmt.Errorf("%w; %s", err, g.refusals())
	}
	before, err := l.received()
	if err != nil {
		return r, err
	}
	t := newTraffic(l)
	for i := range n {
		city.config.Communications = all[(i+1)%2:]
		s, err := g.compileAndCommit(&r.cells)
		if err != nil {
			t.stop()
			return r, err
		}
		r.steps = append(r.steps, s)
	}
	if r.sent, err = t.stop(); err != nil {
		return r, err
	}
	after, err := l.received()
	if err != nil {
		return r, err
	}
	r.lost = r.sent - (after - before)
	city.config.Communications = all
	r.nft, err = l.loadTime(rules(city, true))
	return r, err
}

func (g *guarded) compileAndCommit(cells *int) (steps, error) {
	var s steps
	clock := s.clock()
	generation, err := proven.Compile(g.town.config, g.town.anchors, policy.Compile)
	if err != nil {
		return s, err
	}
	if v := append(generation.Isolation, generation.Equality...); len(v) > 0 {
		return s, fmt.Errorf("the policy is not proven: %s", v[0])
	}
	clock("compile and prove")
	*cells = len(generation.Tables.Cells)
	rest, err := g.commit(generation.Tables)
	s.Names, s.Took = append(s.Names, rest.Names...), append(s.Took, rest.Took...)
	return s, err
}

// traffic sends the lane's list over and over until it is stopped.
type traffic struct {
	quit atomic.Bool
	done chan error
	sent uint64
}

func newTraffic(l *lane) *traffic {
	t := &traffic{done: make(chan error)}
	go func() {
		t.done <- keepTo(sendingCPU, func() error {
			return l.in(func() error {
				const burst, pause = 2048, 5 * time.Millisecond
				for !t.quit.Load() {
					if err := l.send(0, burst); err != nil {
						return err
					}
					t.sent += burst
					time.Sleep(pause)
				}
				return nil
			})
		})
	}()
	return t
}

func (t *traffic) stop() (uint64, error) {
	t.quit.Store(true)
	err := <-t.done
	return t.sent, err
}

// loadTime is how long nftables takes to put rules in force.
func (l *lane) loadTime(rules string) (time.Duration, error) {
	begin := time.Now()
	err := l.loadRules(rules)
	return time.Since(begin), err
}

func (r commitResult) median() time.Duration {
	var v []float64
	for _, s := range r.steps {
		v = append(v, float64(s.total()))
	}
	return time.Duration(median(v))
}

func (r commitResult) print(w io.Writer) error {
	fmt.Fprintf(w, "\ncommits of 10 k records, %d cells, while %d permitted packets crossed, of which %d were lost:\n", r.cells, r.sent, r.lost)
	for _, s := range r.steps {
		fmt.Fprintf(w, "  %d ms: %s\n", s.total().Milliseconds(), s)
	}
	_, err := fmt.Fprintf(w, "  nft -f of the same policy: %d ms\n", r.nft.Milliseconds())
	return err
}
