package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// forwarding is what one core forwards through veth, by who forwards, in packets a second.
type forwarding struct {
	order []string
	lanes map[string]*lane
	rates map[string][]rate
	owned []*lane // made here
}

func coreLane(records int) string { return fmt.Sprintf("packet core, %s records", short(records)) }
func nftLane(records int) string  { return fmt.Sprintf("nftables, %s records", short(records)) }

const (
	bareLane    = "bare bpf_redirect"
	kernelLane  = "kernel, no rules"
	unboundLane = "nftables, 10 k records, stations unbound"
)

// newForwarding makes the peers' lanes beside the fixtures', which are filled with 64 k flows.
func newForwarding(fixtures []*fixture) (*forwarding, error) {
	f := &forwarding{lanes: map[string]*lane{}, rates: map[string][]rate{}}
	if err := f.make(fixtures); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *forwarding) make(fixtures []*fixture) error {
	if err := f.add(bareLane, fixtures[0].town, func(l *lane, fs []flow) error {
		if err := l.in(func() error { return l.attach(l.feeder.Bare, l.near[0]) }); err != nil {
			return err
		}
		return l.feeder.list(tuples(fs, l.ends().data))
	}); err != nil {
		return err
	}
	if err := f.add(kernelLane, fixtures[0].town, func(l *lane, fs []flow) error {
		if err := l.letUp(); err != nil {
			return err
		}
		return l.prepare(fs)
	}); err != nil {
		return err
	}
	for _, x := range fixtures {
		if err := x.feeder.list(tuples(x.live, x.ends().data)); err != nil {
			return err
		}
		f.join(coreLane(x.town.records), x.lane)
		if err := f.addRules(nftLane(x.town.records), x.town, true); err != nil {
			return err
		}
		if x.town.records == 10_000 {
			if err := f.addRules(unboundLane, x.town, false); err != nil {
				return err
			}
		}
	}
	for name, l := range f.lanes {
		if err := l.onOwnCPU(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (f *forwarding) addRules(name string, t *town, binding bool) error {
	return f.add(name, t, func(l *lane, fs []flow) error {
		if err := l.letUp(); err != nil {
			return err
		}
		if err := l.loadRules(rules(t, binding)); err != nil {
			return err
		}
		return l.prepare(fs)
	})
}

func (f *forwarding) add(name string, t *town, set func(*lane, []flow) error) error {
	l, err := newLane(feederSize{packets: flows64k})
	if err != nil {
		return err
	}
	f.owned = append(f.owned, l)
	if err := l.in(func() error { return l.open(t) }); err != nil {
		return err
	}
	fs, err := flows(t.pairs, 0, flows64k)
	if err != nil {
		return err
	}
	if err := set(l, fs); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f.join(name, l)
	return nil
}

func (f *forwarding) join(name string, l *lane) {
	f.order = append(f.order, name)
	f.lanes[name] = l
}

// measure sends through each lane in turn, round by round.
func (f *forwarding) measure() error {
	const rounds, work = 5, 150 * time.Millisecond
	for range rounds {
		for _, name := range f.order {
			r, err := f.lanes[name].measure(work)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			f.rates[name] = append(f.rates[name], r)
		}
	}
	return nil
}

func (f *forwarding) median(name string, of func(rate) float64) float64 {
	var v []float64
	for _, r := range f.rates[name] {
		v = append(v, of(r))
	}
	return median(v)
}

// core is what one core forwards, in millions a second.
func (f *forwarding) core(name string) float64 {
	return f.median(name, func(r rate) float64 { return r.core / 1e6 })
}

func (f *forwarding) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "through veth, 64 B, 64 k flows\tMpps a core\tby the clock\tsender could")
	for _, name := range f.order {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", name, figure(f.core(name)), figure(f.median(name, func(r rate) float64 { return r.received / 1e6 })), figure(f.median(name, func(r rate) float64 { return r.offered / 1e6 })))
	}
	return t.Flush()
}

func (f *forwarding) close() {
	for _, l := range f.owned {
		l.close()
	}
}
