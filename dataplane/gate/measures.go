package gate

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/measure"
)

// mostSeconds is how much of the memory one answer holds; who wants more asks again, from where the answer ended.
const mostSeconds = 120

// keepMeasures looks at every line at each full second, apart from the settling of the network, which may take longer than one.
func (g *Gate) keepMeasures(ctx context.Context) {
	var echoes echoes
	for {
		now := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-time.After(now.Truncate(time.Second).Add(time.Second).Sub(now)):
		}
		lines, err := readLines(g.trees(), g.tunnels.Specs(), g.tunnels.Status(), &echoes)
		if err != nil {
			g.log.Debug("a second is not measured", "error", err)
			continue
		}
		g.measured.Take(time.Now(), lines)
	}
}

// trees are the plans that are applied now.
func (g *Gate) trees() []bandwidth.Tree {
	g.shield.Lock()
	defer g.shield.Unlock()
	return slices.Clone(g.shaped)
}

// echoes counts the probes of each end by its last result: one a second.
type echoes map[string]*measure.Tally

func (e *echoes) of(device string) *measure.Tally {
	if *e == nil {
		*e = echoes{}
	}
	if (*e)[device] == nil {
		(*e)[device] = &measure.Tally{}
	}
	return (*e)[device]
}

// readLines is one look: the counters of each tunnel device's classes, and how its ends answered.
func readLines(trees []bandwidth.Tree, specs []tunnel.Spec, ends []tunnel.Status, probes *echoes) ([]measure.Reading, error) {
	var out []measure.Reading
	for _, spec := range specs {
		if len(spec.Peers) == 0 {
			continue
		}
		l := measure.Reading{Line: cmp.Or(spec.Contract, spec.Line), Device: spec.Device}
		whole := probes.of(spec.Device)
		whole.Trips = nil
		for _, e := range ends {
			if e.Device != spec.Device {
				continue
			}
			l.Ends = append(l.Ends, measure.End{Region: e.Region, Answered: e.Up, Loss: e.Loss > 0})
			whole.Sent++
			if e.Up {
				whole.Trips = append(whole.Trips, e.RTT)
			} else {
				whole.Lost++
			}
		}
		l.Whole = *whole
		if i := slices.IndexFunc(trees, func(t bandwidth.Tree) bool { return t.Device == spec.Device }); i >= 0 {
			if err := readClasses(&l, trees[i]); err != nil {
				return nil, err
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// readClasses adds what the shaper counts; the line's whole is their sum. A class's delay and loss are those of its line until its
// own probes wait in its own queue.
func readClasses(l *measure.Reading, t bandwidth.Tree) error {
	have, err := bandwidth.Read(t)
	if err != nil {
		return err
	}
	l.RateUp, l.OverheadUp = t.Rate, t.Overhead
	l.Whole.Up = &measure.Counters{}
	for _, c := range have {
		n := measure.Counters{Bytes: c.Bytes, Packets: c.Packets, Drops: c.Drops, Backlog: uint64(c.Backlog)}
		l.Whole.Up.Bytes += n.Bytes
		l.Whole.Up.Packets += n.Packets
		l.Whole.Up.Drops += n.Drops
		l.Whole.Up.Backlog += n.Backlog
		class := measure.Class{Name: c.Name, GuaranteeUp: c.Guarantee, CeilingUp: c.Ceiling, Tally: l.Whole}
		class.Up = &n
		l.Classes = append(l.Classes, class)
	}
	return nil
}

// getMeasures answers GET /measures: the seconds from since (Unix time) on, or those after the look `after` of the run `run`.
func (g *Gate) getMeasures(w http.ResponseWriter, r *http.Request) {
	from, run, seq, cursor, err := measuresFrom(r.URL.Query())
	if err != nil {
		answer(w, http.StatusBadRequest, failure{Error: err.Error()})
		return
	}
	if cursor {
		answer(w, http.StatusOK, g.measured.After(run, seq, mostSeconds))
		return
	}
	answer(w, http.StatusOK, g.measured.Since(from, mostSeconds))
}

func measuresFrom(q url.Values) (from int64, run uint32, seq uint64, cursor bool, err error) {
	cursor = q.Has("run") || q.Has("after")
	var wide uint64
	switch {
	case cursor:
		if wide, err = strconv.ParseUint(q.Get("run"), 10, 32); err == nil {
			seq, err = strconv.ParseUint(q.Get("after"), 10, 64)
		}
	case q.Has("since"):
		from, err = strconv.ParseInt(q.Get("since"), 10, 64)
	}
	if err != nil {
		err = fmt.Errorf("measures: %w; want since=UNIX-SECONDS, or run=N and after=N as the last sample had them", err)
	}
	return from, uint32(wide), seq, cursor, err
}
