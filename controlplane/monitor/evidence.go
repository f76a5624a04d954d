package monitor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
	"github.com/sekisho/sekisho/controlplane/monitor/report"
	"github.com/sekisho/sekisho/controlplane/web"
)

// tellUnkept is how often a log says that evidence is not kept.
const tellUnkept = time.Minute

// keepEvidence takes over what the dataplane measured since the last time.
func (m *Monitor) keepEvidence(ctx context.Context) {
	m.mu.RLock()
	up := m.now.up
	m.mu.RUnlock()
	if m.o.Evidence == nil || !up {
		return
	}
	err := m.puller.Pull(ctx)
	m.failing.Store(err != nil)
	if err != nil && ctx.Err() == nil && time.Since(m.unkept) > tellUnkept {
		m.unkept = time.Now()
		m.o.Log.Error("evidence of what lines were given is not kept", "error", err)
	}
}

var (
	evidenceKept     = desc("evidence_kept", "Whether evidence of what lines were given is kept: 0 when it cannot be opened, in part or at all, or the newest seconds could not be taken over. An alarm.")
	guaranteeSeconds = desc("guarantee_seconds_total", "Measured seconds by whether the class's guarantee was kept: not-counted, idle (less was offered), kept, or not kept by own-traffic, line, far-end, unknown or other-line.", "line", "class", "direction", "verdict")
	lineSeconds      = desc("line_seconds_total", "Measured seconds of the line by state.", "line", "state")
	deliveredBytes   = desc("line_delivered_bytes_total", "Bytes delivered, as the line counts them; class is empty for the line as a whole.", "line", "class", "direction")
	lineGuarantee    = desc("line_guarantee_bytes_per_second", "Guaranteed rate of the class in the newest second.", "line", "class", "direction")
	probesSent       = desc("line_probes_total", "Probes sent inside the tunnel; class is empty for the line as a whole.", "line", "class")
	probesLost       = desc("line_probes_lost_total", "Probes that were not answered.", "line", "class")
	probeMedian      = desc("line_probe_delay_median_seconds", "Median round trip of the newest second; only when it had any.", "line", "class")
	probeP99         = desc("line_probe_delay_p99_seconds", "Round trip that 99 of 100 probes of the newest second did not exceed.", "line", "class")
	probeJitter      = desc("line_probe_jitter_seconds", "Smoothed difference of successive round trips (RFC 3550).", "line", "class")
	measuredAt       = desc("line_measured_timestamp_seconds", "Time of the newest second that was measured.", "line", "class")
)

// collectEvidence gives what was kept since control started.
func (m *Monitor) collectEvidence(gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64, ...string)) {
	kept := 0.0
	if m.o.Evidence != nil && m.o.Evidence.Refused() == 0 && !m.failing.Load() {
		kept = 1
	}
	gauge(evidenceKept, kept)
	if m.o.Evidence == nil {
		return
	}
	for id, t := range m.o.Evidence.Totals() {
		gauge(measuredAt, float64(t.Last.At), id.Line, id.Class)
		count(probesSent, t.Sent, id.Line, id.Class)
		count(probesLost, t.Lost, id.Line, id.Class)
		if t.Last.Max > 0 {
			gauge(probeMedian, t.Last.P50.Seconds(), id.Line, id.Class)
			gauge(probeP99, t.Last.P99.Seconds(), id.Line, id.Class)
			gauge(probeJitter, t.Last.Jitter.Seconds(), id.Line, id.Class)
		}
		if id.Class == "" {
			count(lineSeconds, t.UpFor, id.Line, "up")
			count(lineSeconds, t.Degraded, id.Line, "degraded")
			count(lineSeconds, t.DownFor, id.Line, "down")
		}
		for _, w := range []struct {
			direction string
			bytes     uint64
			last      evidence.Way
			verdicts  func(evidence.Verdict) uint64
		}{
			{"up", t.UpBytes, t.Last.Up, func(v evidence.Verdict) uint64 { return t.Up[v] }},
			{"down", t.DownBytes, t.Last.Down, func(v evidence.Verdict) uint64 { return t.Down[v] }},
		} {
			count(deliveredBytes, w.bytes, id.Line, id.Class, w.direction)
			if id.Class == "" {
				continue
			}
			gauge(lineGuarantee, float64(w.last.Guarantee)/8, id.Line, id.Class, w.direction)
			for _, v := range evidence.Verdicts() {
				if v != evidence.NotKnown { // of a second that was measured something is known
					count(guaranteeSeconds, w.verdicts(v), id.Line, id.Class, w.direction, v.String())
				}
			}
		}
	}
}

// Evidence is what the console shows of lines; nil: nobody keeps any.
func (m *Monitor) Evidence() web.Evidence {
	if m.o.Evidence == nil {
		return nil
	}
	return desk{m.o.Evidence, m}
}

// desk is the evidence with the names that the configuration in force gives.
type desk struct {
	*evidence.Store
	m *Monitor
}

func (d desk) Month(line string, month time.Time) (report.Month, error) {
	out, err := report.Gather(d.Store, line, month, d.m.o.Now())
	return d.m.entitle(out), err
}

func (d desk) Between(line string, from, to time.Time, t evidence.Tier) (report.Month, error) {
	out, err := report.Between(d.Store, line, from, to, d.m.o.Now(), t)
	return d.m.entitle(out), err
}

func (m *Monitor) entitle(out report.Month) report.Month {
	h := m.o.Head()
	if h == nil {
		return out
	}
	var line report.Name
	classes := map[string]report.Name{}
	for _, l := range h.Config.Lines {
		if l.ID == out.Line {
			line = report.Name(l.Name)
		}
	}
	for _, c := range h.Config.Classes {
		classes[c.ID] = report.Name(c.Name)
	}
	out.Entitle(report.Name(h.Config.Town), line, classes)
	return out
}
