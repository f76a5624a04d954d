package gate

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// mostSeconds is how much of the memory one answer holds; who wants more asks again, from where the answer ended.
const mostSeconds = 120

// keepMeasures looks at every line at each full second, apart from the settling of the network, which may take longer than one.
func (g *Gate) keepMeasures(ctx context.Context) {
	var p probed
	var promised []bandwidth.Tree
	var promisedPlans map[string]plan.Plan
	for {
		now := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-time.After(now.Truncate(time.Second).Add(time.Second).Sub(now)):
		}
		at := time.Now()
		l := look{at: at, ends: g.tunnels.Status(), reports: g.tunnels.Results(), probed: &p, ways: g.tunnels.Ways()}
		g.shield.Lock()
		l.trees, l.plans = slices.Clone(g.shaped), g.told
		g.shield.Unlock()
		if trees, plans, ok := g.promises.promised(); ok {
			promised, promisedPlans = trees, plans
		}
		l.promised, l.promisedPlans = promised, promisedPlans
		lines, err := l.lines(g.tunnels.Specs())
		if err != nil {
			g.log.Debug("a second is not measured", "error", err)
			continue
		}
		g.measured.Take(at, lines)
	}
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
