package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// growth is what packets cost by number of records and of live flows.
type growth struct {
	records []int
	hits    map[[2]int]*sample // {records, flows}
	first   map[int]*sample    // by records, at 64 k live flows in a table for 1 M
	refused map[int]*sample
	mix     map[int]*sample
}

const (
	flows1k  = 1 << 10
	flows64k = 1 << 16
	flows1m  = 1 << 20
)

func newGrowth(records []int) *growth {
	g := &growth{records: records, hits: map[[2]int]*sample{}, first: map[int]*sample{}, refused: map[int]*sample{}, mix: map[int]*sample{}}
	for _, r := range records {
		g.first[r], g.refused[r], g.mix[r] = &sample{}, &sample{}, &sample{}
		for _, f := range []int{flows1k, flows64k, flows1m} {
			g.hits[[2]int{r, f}] = &sample{}
		}
	}
	return g
}

const rounds = 7

// stage fills every fixture with so many flows and measures round by round, one fixture after the other in each.
func (g *growth) stage(fixtures []*fixture, live int) error {
	for _, x := range fixtures {
		if err := undisturbed(func() error { return x.fill(live) }); err != nil {
			return fmt.Errorf("%d records: %w", x.town.records, err)
		}
	}
	for range rounds {
		for _, x := range fixtures {
			if err := undisturbed(func() error { return g.round(x, live) }); err != nil {
				return fmt.Errorf("%d records, %d flows: %w", x.town.records, live, err)
			}
		}
	}
	return nil
}

// undisturbed tries a round again as long as somebody else's statistics spoil it, for some seconds.
func undisturbed(round func() error) error {
	var err error
	for range 10 {
		if err = round(); !errors.Is(err, errStatistics) {
			return err
		}
		time.Sleep(time.Second)
	}
	return err
}

func (g *growth) round(x *fixture, live int) error {
	n := x.town.records
	if err := x.hits(g.hits[[2]int{n, live}]); err != nil {
		return fmt.Errorf("packets of live flows: %w", err)
	}
	return nil
}

// others measures what else comes than packets of live flows, round by round.
func (g *growth) others(fixtures []*fixture) error {
	for range rounds {
		for _, x := range fixtures {
			if err := undisturbed(func() error { return g.other(x, x.town.records) }); err != nil {
				return fmt.Errorf("%d records: %w", x.town.records, err)
			}
		}
	}
	return nil
}

func (g *growth) other(x *fixture, n int) error {
	if err := x.firsts(g.first[n]); err != nil {
		return fmt.Errorf("first packets: %w", err)
	}
	if err := x.refuse(g.refused[n]); err != nil {
		return fmt.Errorf("refused packets: %w", err)
	}
	if err := x.mix(g.mix[n]); err != nil {
		return fmt.Errorf("mixed packets: %w", err)
	}
	return nil
}

func (g *growth) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "ns a packet: ours / generic\t1 k flows\t64 k flows\t1 M flows\tfirst\trefused\t8:1:1 mix\t")
	for _, r := range g.records {
		fmt.Fprintf(t, "%s records\t", short(r))
		for _, s := range []*sample{g.hits[[2]int{r, flows1k}], g.hits[[2]int{r, flows64k}], g.hits[[2]int{r, flows1m}], g.first[r], g.refused[r], g.mix[r]} {
			if len(s.core) == 0 {
				fmt.Fprint(t, "-\t")
				continue
			}
			fmt.Fprintf(t, "%s / %s\t", figure(median(s.core)), figure(median(s.generic)))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func short(n int) string {
	if n >= 1000 && n%1000 == 0 {
		return fmt.Sprintf("%d k", n/1000)
	}
	return fmt.Sprint(n)
}
