package gate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/sekisho/sekisho/dataplane/backstop"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/isolation"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// maxGeneration bounds a request: a designated city's tables take about 20 MB of JSON.
const maxGeneration = 128 << 20

// Status is the answer to GET /status.
type Status struct {
	Result
	Trial    *TrialStatus              `json:"trial,omitempty"` // nil: what is in force is there for good
	Ended    *Ended                    `json:"ended,omitempty"` // the last trial
	Magic    uint16                    `json:"magic"`
	Ports    []packet.PortStatus       `json:"ports"`
	Tunnels  []tunnel.Status           `json:"tunnels"`
	Classes  []bandwidth.ClassStatus   `json:"classes"`
	Backstop map[string]backstop.Count `json:"backstop"` // by counter

	Isolated []isolation.Cut `json:"isolated"` // zones that are cut off
}

// Handler is the gate's HTTP interface. Whoever may reach it is the socket's business.
func (g *Gate) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /generation", g.postGeneration)
	mux.HandleFunc("POST /generation/check", g.postCheck)
	mux.HandleFunc("POST /generation/confirm", g.postConfirm)
	mux.HandleFunc("POST /generation/revert", g.postRevert)
	mux.HandleFunc("POST /isolation", g.postIsolation)
	mux.HandleFunc("GET /isolation", g.getIsolation)
	mux.HandleFunc("GET /isolation/records", g.getReturning)
	mux.HandleFunc("POST /isolation/collected", g.postCollected)
	mux.HandleFunc("GET /status", g.getStatus)
	mux.HandleFunc("GET /measures", g.getMeasures)
	mux.HandleFunc("GET /diagnose", g.getDiagnose)
	mux.HandleFunc("GET /counters", func(w http.ResponseWriter, r *http.Request) {
		c, err := g.core.Counters()
		reply(w, c, err)
	})
	mux.HandleFunc("GET /flows", g.getFlows)
	mux.HandleFunc("GET /events", g.getEvents)
	mux.HandleFunc("GET /names", func(w http.ResponseWriter, r *http.Request) { reply(w, g.core.Names(), nil) })
	mux.HandleFunc("GET /stations", func(w http.ResponseWriter, r *http.Request) {
		seen, err := g.stations()
		reply(w, seen, err)
	})
	mux.HandleFunc("GET /capture", g.getCapture)
	mux.HandleFunc("GET /anchors", func(w http.ResponseWriter, r *http.Request) { reply(w, g.anchors, nil) })
	mux.HandleFunc("GET /anchors/history", g.getAnchorsHistory)
	mux.HandleFunc("GET /tunnel-keys", func(w http.ResponseWriter, r *http.Request) {
		var devices []string
		for _, t := range g.anchors.Tunnels {
			devices = append(devices, t.Device)
		}
		keys, err := g.tunnels.PublicKeys(devices)
		reply(w, keys, err)
	})
	mux.HandleFunc("POST /tunnel-keys/rotate", g.postRotate)
	return mux
}

// postRotate begins to replace the pre-shared key of a peer; the status tells when the far end has it.
func (g *Gate) postRotate(w http.ResponseWriter, r *http.Request) {
	if err := g.tunnels.Rotate(r.URL.Query().Get("peer")); err != nil {
		answer(w, http.StatusConflict, failure{Error: err.Error()})
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (g *Gate) postGeneration(w http.ResponseWriter, r *http.Request) {
	n, ok := generationOf(w, r)
	if !ok {
		return
	}
	on, err := trialOf(r.URL.Query())
	if err != nil {
		answer(w, http.StatusBadRequest, failure{Error: err.Error()})
		return
	}
	// A caller that hangs up must not leave a change half done.
	ctx := context.WithoutCancel(r.Context())
	var result Result
	if on != nil {
		result, err = g.Try(ctx, n, *on)
	} else {
		result, err = g.Apply(ctx, n)
	}
	var no *Refusal
	switch {
	case err == nil:
		answer(w, http.StatusOK, result)
	case errors.As(err, &no):
		g.log.Warn("generation refused", "revision", n.Revision, "error", err)
		answer(w, http.StatusConflict, failure{Error: err.Error(), Violations: no.Violations})
	default:
		g.log.Error("generation failed", "revision", n.Revision, "error", err)
		answer(w, http.StatusInternalServerError, failure{Error: err.Error()})
	}
}

func (g *Gate) getStatus(w http.ResponseWriter, r *http.Request) {
	s := Status{Magic: g.core.Magic(), Ports: g.core.Status(), Tunnels: g.tunnels.Status(), Classes: g.meter.Classes(), Isolated: g.isolation.State().Cuts}
	g.mu.Lock()
	s.Result, s.Trial, s.Ended = g.result(), g.trialStatus(), g.ended
	g.mu.Unlock()
	var err error
	s.Backstop, err = backstop.Counters()
	reply(w, s, err)
}

func (g *Gate) getFlows(w http.ResponseWriter, r *http.Request) {
	n := 1000
	if v := r.URL.Query().Get("max"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil || n < 1 || n > 100_000 {
			answer(w, http.StatusBadRequest, failure{Error: "max: want 1 to 100000"})
			return
		}
	}
	flows, err := g.core.Flows(n)
	reply(w, flows, err)
}

// getEvents streams one JSON object a line until the caller hangs up. A reader that is too slow misses events.
func (g *Gate) getEvents(w http.ResponseWriter, r *http.Request) {
	ch, leave := g.events.join()
	defer leave()
	w.Header().Set("Content-Type", "application/x-ndjson")
	c := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	if c.Flush() != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case e, ok := <-ch:
			if !ok || enc.Encode(e) != nil || c.Flush() != nil {
				return
			}
		}
	}
}

type failure struct {
	Error      string            `json:"error"`
	Violations []proof.Violation `json:"violations,omitempty"`
}

func reply(w http.ResponseWriter, v any, err error) {
	if err != nil {
		answer(w, http.StatusInternalServerError, failure{Error: err.Error()})
		return
	}
	answer(w, http.StatusOK, v)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the caller has gone
}
