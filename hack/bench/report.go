package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
)

// measurement is one figure beside its peer's.
type measurement struct {
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Peer     float64 `json:"peer"`  // the peer's figure, in PeerUnit
	Ratio    float64 `json:"ratio"` // of our figure to the peer's, in the same unit
	PeerName string  `json:"peer_name"`
	PeerUnit string  `json:"peer_unit"`
	Ours     float64 `json:"ours"` // our figure in PeerUnit: Value, unless that is a ratio itself
	Reach    string  `json:"reach"`
	Reached  bool    `json:"reached"`
	Absent   string  `json:"not_measured,omitempty"` // why it was not; all figures are 0 then
}

// reach is the figure to get to.
type reach struct {
	atLeast bool
	value   float64
}

func atMost(v float64) reach  { return reach{false, v} }
func atLeast(v float64) reach { return reach{true, v} }

func (r reach) String() string {
	if r.atLeast {
		return ">= " + figure(r.value)
	}
	return "<= " + figure(r.value)
}

func (r reach) met(v float64) bool {
	if r.atLeast {
		return v >= r.value
	}
	return v <= r.value
}

// plain is a figure in the same unit as its peer's.
func plain(name, unit string, ours float64, peerName string, peer float64, to reach) measurement {
	m := measurement{Name: name, Value: ours, Unit: unit, Ours: ours, PeerName: peerName, Peer: peer, PeerUnit: unit, Reach: to.String(), Reached: to.met(ours)}
	if peer != 0 {
		m.Ratio = ours / peer
	}
	return m
}

// over is a ratio of two figures.
func over(name string, ours float64, peerName string, peer float64, unit string, to reach) measurement {
	r := ours / peer
	return measurement{Name: name, Value: r, Unit: "ratio", Ours: ours, PeerName: peerName, Peer: peer, PeerUnit: unit, Ratio: r, Reach: to.String(), Reached: to.met(r)}
}

// absent is what stands in a measurement's place when it could not be made.
func absent(m measurement, why string) measurement {
	return measurement{Name: m.Name, Unit: m.Unit, PeerName: m.PeerName, PeerUnit: m.PeerUnit, Reach: m.Reach, Absent: why}
}

// figure writes three significant digits, and whole numbers in full.
func figure(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v < 0.1:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func printMeasurements(w io.Writer, all []measurement) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "measure\tvalue\treach\t\tours\tpeer\tratio\tthe peer")
	for _, m := range all {
		if m.Absent != "" {
			fmt.Fprintf(t, "%s\t-\t%s\tnot measured: %s\n", m.Name, m.Reach, m.Absent)
			continue
		}
		verdict := "reached"
		if !m.Reached {
			verdict = "NOT reached"
		}
		ratio := "-"
		if m.Ratio != 0 {
			ratio = figure(m.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s %s\t%s %s\t%s\t%s\n", m.Name, figure(m.Value), m.Unit, m.Reach, verdict, figure(m.Ours), m.PeerUnit, figure(m.Peer), m.PeerUnit, ratio, m.PeerName)
	}
	return t.Flush()
}

// writeJSON writes one object a measurement.
func writeJSON(path string, all []measurement) error {
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
