package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
)

// fixture is a guarded lane whose programs are measured one packet at a time, beside the generic design with the same
// records and flows.
type fixture struct {
	*guarded
	fresh int // flows that were used as first packets, or filled in, so far
	live  []flow
}

const (
	passes     = 1 << 18 // packets of a round, at least
	answerDrop = 1       // XDP_DROP
	answerSend = 4       // XDP_REDIRECT
)

// newFixture makes a gate whose flow table, and that of the generic design, has room for so many flows.
func newFixture(t *town, capacity int, dir string) (*fixture, error) {
	l, err := newLane(feederSize{packets: max(capacity, passes), flows: capacity, permits: t.records})
	if err != nil {
		return nil, err
	}
	g, err := guard(l, t, filepath.Join(dir, fmt.Sprintf("records-%d-flows-%d", t.records, capacity)), capacity)
	if err != nil {
		l.close()
		return nil, fmt.Errorf("guard a lane with %d records: %w", t.records, err)
	}
	x := &fixture{guarded: g}
	if err := x.permitGeneric(); err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

func (x *fixture) permitGeneric() error {
	keys := make([]programsGenericPermitKey, len(x.town.pairs))
	values := make([]uint32, len(keys))
	for i, p := range x.town.pairs {
		t := newTuple(stationMAC(0), stationMAC(0), stationAddr(p.station), serviceAddr(p.service), 0, p.port, 0)
		keys[i] = programsGenericPermitKey{Src: native.Uint32(t[12:]), Dst: native.Uint32(t[16:]), Dport: native.Uint16(t[22:]), Proto: 6}
	}
	if _, err := x.feeder.GenericPermits.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("fill the generic design's permits: %w", err)
	}
	return nil
}

// fill makes n flows live, answered by their services, in both designs.
func (x *fixture) fill(n int) error {
	live, err := flows(x.town.pairs, 0, n)
	if err != nil {
		return err
	}
	x.live, x.fresh = live, max(x.fresh, n)
	e := x.ends()
	openings := tuples(live, e.opening)
	return quietly(forwardingCPU, func() error {
		return x.in(func() error {
			for _, step := range []struct {
				what string
				port int
				list []tuple
			}{{"open", 0, openings}, {"answer", 1, tuples(live, e.answer)}} {
				before, err := x.allowed()
				if err != nil {
					return err
				}
				if err := x.feeder.list(step.list); err != nil {
					return err
				}
				if _, _, err := x.feeder.cost(x.classify, x.near[step.port].Attrs().Index, n); err != nil {
					return err
				}
				after, err := x.allowed()
				if err != nil {
					return err
				}
				if after-before != uint64(n) {
					return fmt.Errorf("%s %d flows: the packet core let %d packets through; %s", step.what, n, after-before, x.refusals())
				}
			}
			if err := x.feeder.list(openings); err != nil {
				return err
			}
			_, answer, err := x.feeder.cost(x.feeder.Generic, x.near[0].Attrs().Index, n)
			if err == nil && answer != answerSend {
				err = fmt.Errorf("the generic design answers %d to the opening of a flow", answer)
			}
			return err
		})
	})
}

// unseen gives n flows that nobody has used yet.
func (x *fixture) unseen(n int) ([]flow, error) {
	fs, err := flows(x.town.pairs, x.fresh, n)
	x.fresh += n
	return fs, err
}

// sample is what one kind of packet cost: the rounds' nanoseconds, feeding subtracted.
type sample struct{ core, generic []float64 }

func (s *sample) add(core, generic float64) {
	s.core = append(s.core, core)
	s.generic = append(s.generic, generic)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// expectation is how many packets of a list pass, and what is answered to its last one.
type expectation struct {
	pass   int
	answer uint32
}

// round measures one list once: feeding alone, the generic design, the packet core.
func (x *fixture) round(list []tuple, n int, want expectation, s *sample) error {
	return quietly(forwardingCPU, func() error {
		return x.in(func() error {
			if err := x.feeder.list(list); err != nil {
				return err
			}
			device := x.near[0].Attrs().Index
			alone, _, err := x.feeder.cost(x.feeder.Nothing, device, n)
			if err != nil {
				return err
			}
			generic, answer, err := x.feeder.cost(x.feeder.Generic, device, n)
			if err != nil {
				return err
			}
			if answer != want.answer {
				return fmt.Errorf("the generic design answers %d to the last packet, want %d", answer, want.answer)
			}
			if err := x.use(device); err != nil {
				return err
			}
			if err := x.feeder.list(list); err != nil {
				return err
			}
			before, err := x.allowed()
			if err != nil {
				return err
			}
			core, answer, err := x.feeder.cost(x.classify, device, n)
			if err != nil {
				return err
			}
			after, err := x.allowed()
			if err != nil {
				return err
			}
			if passed := int(after - before); passed != want.pass {
				return fmt.Errorf("%d of %d packets passed, want %d (the last answer was %d); %s", passed, n, want.pass, answer, x.refusals())
			}
			s.add(core-alone, generic-alone)
			return nil
		})
	})
}

// use sends a packet of each live flow, unmeasured. The core takes a flow's first packet of a second the full way; between
// two rounds lie seconds, in which the flows would have carried packets, were they not only measured.
func (x *fixture) use(device int) error {
	if err := x.feeder.list(tuples(x.live, x.ends().data)); err != nil {
		return err
	}
	_, _, err := x.feeder.cost(x.classify, device, len(x.live))
	return err
}

// hits: packets of flows that are live.
func (x *fixture) hits(s *sample) error {
	n := max(passes, len(x.live))
	return x.round(tuples(x.live, x.ends().data), n, expectation{n, answerSend}, s)
}

// firsts: packets that open flows that are permitted.
func (x *fixture) firsts(s *sample) error {
	const n = 1 << 15
	fs, err := x.unseen(n)
	if err != nil {
		return err
	}
	return x.round(tuples(fs, x.ends().opening), n, expectation{n, answerSend}, s)
}

// refusals: registered stations ask registered services for what no record permits; the whole way is gone in vain.
func (x *fixture) refuse(s *sample) error {
	fs, err := flows(x.town.refused, 0, 1<<16)
	if err != nil {
		return err
	}
	return x.round(tuples(fs, x.ends().opening), passes, expectation{0, answerDrop}, s)
}

// mix: of ten packets eight belong to live flows, one opens a flow, one is refused.
func (x *fixture) mix(s *sample) error {
	const n = 131_070
	e := x.ends()
	fresh, err := x.unseen(n / 10)
	if err != nil {
		return err
	}
	no, err := flows(x.town.refused, 0, n/10)
	if err != nil {
		return err
	}
	list := append(tuples(fresh, e.opening), tuples(no, e.opening)...)
	r := rand.New(rand.NewPCG(uint64(x.fresh), 3))
	for len(list) < n {
		list = append(list, e.data(x.live[r.IntN(len(x.live))]))
	}
	r.Shuffle(n, func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = append(list, e.data(x.live[0])) // so that the last answer is known
	return x.round(list, n+1, expectation{n - n/10 + 1, answerSend}, s)
}
