package gate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/socket"
)

// Most that one capture may ask for.
const (
	maxCapturePackets = 10_000_000
	maxCaptureBytes   = 1 << 30
	maxCaptureTime    = time.Hour
)

// CaptureTrailer is the trailer of GET /capture that holds a packet.CaptureResult as JSON. An answer without it was cut off.
const CaptureTrailer = "Sekisho-Capture"

// CaptureQuery is the query of GET /capture for o.
func CaptureQuery(o packet.CaptureOptions) url.Values {
	return url.Values{
		"verdict": {o.Filter.Verdict}, "segment": {o.Filter.Segment}, "record": {o.Filter.Record}, "reason": {o.Filter.Reason}, "hook": {o.Filter.Hook},
		"snap": {strconv.Itoa(o.Snap)}, "packets": {strconv.FormatUint(o.Packets, 10)}, "bytes": {strconv.FormatInt(o.Bytes, 10)}, "time": {o.Time.String()},
	}
}

// captureOptions is the inverse, with the gate's own bounds.
func captureOptions(q url.Values) (o packet.CaptureOptions, err error) {
	o.Filter = packet.CaptureFilter{Verdict: q.Get("verdict"), Segment: q.Get("segment"), Record: q.Get("record"), Reason: q.Get("reason"), Hook: q.Get("hook")}
	if o.Snap, err = strconv.Atoi(q.Get("snap")); err != nil {
		return o, fmt.Errorf("snap: %w", err)
	}
	if o.Packets, err = strconv.ParseUint(q.Get("packets"), 10, 64); err != nil || o.Packets > maxCapturePackets {
		return o, fmt.Errorf("packets %q: want 1 to %d", q.Get("packets"), maxCapturePackets)
	}
	if o.Bytes, err = strconv.ParseInt(q.Get("bytes"), 10, 64); err != nil || o.Bytes > maxCaptureBytes {
		return o, fmt.Errorf("bytes %q: want 1 to %d", q.Get("bytes"), maxCaptureBytes)
	}
	if o.Time, err = time.ParseDuration(q.Get("time")); err != nil || o.Time > maxCaptureTime {
		return o, fmt.Errorf("time %q: want up to %s", q.Get("time"), maxCaptureTime)
	}
	return o, nil
}

// getCapture streams packets as pcapng. What packets hold is for root at the box alone: control, were it taken over, must
// not read along.
func (g *Gate) getCapture(w http.ResponseWriter, r *http.Request) {
	if p, ok := socket.PeerOf(r); !ok || p.UID != 0 {
		answer(w, http.StatusForbidden, failure{Error: "capture: only root may see packets"})
		return
	}
	o, err := captureOptions(r.URL.Query())
	if err == nil {
		err = g.core.CheckCapture(o)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, failure{Error: "capture: " + err.Error()})
		return
	}
	out := &stream{w: w}
	g.log.Info("capture begins", "filter", o.Filter, "packets", o.Packets, "bytes", o.Bytes, "time", o.Time)
	result, err := g.core.Capture(r.Context(), out, o)
	g.log.Info("capture ended", "filter", o.Filter, "result", result, "error", err)
	if err != nil {
		if !out.begun {
			answer(w, http.StatusConflict, failure{Error: err.Error()})
		}
		return // without the trailer
	}
	b, err := json.Marshal(result)
	if err == nil {
		w.Header().Set(http.TrailerPrefix+CaptureTrailer, string(b))
	}
}

// stream begins the answer at the first flush, so that what fails before can still be told as a failure.
type stream struct {
	w     http.ResponseWriter
	held  bytes.Buffer
	begun bool
}

const (
	streamHolds = 64 << 10
	streamStall = 10 * time.Second // a reader that takes nothing for so long has gone
)

func (s *stream) Write(b []byte) (int, error) {
	n, err := s.held.Write(b)
	if err == nil && s.begun && s.held.Len() > streamHolds {
		err = s.pass()
	}
	return n, err
}

func (s *stream) Flush() error {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/x-pcapng")
		s.w.WriteHeader(http.StatusOK)
	}
	if err := s.pass(); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

func (s *stream) pass() error {
	if err := http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(streamStall)); err != nil {
		return err
	}
	_, err := s.held.WriteTo(s.w)
	return err
}
