package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What one part could not measure takes nothing from the others.
func TestPartsFailByThemselves(t *testing.T) {
	var f tunnelFigures
	all := tunnelSteps(f.parts(), "")
	var ran []string
	err := each(all, func(s tunnelStep) error {
		ran = append(ran, s.name)
		if s.name == "delay" || s.name == "guarantee unshaped" {
			return errors.New("the line fell down")
		}
		return nil
	}, func(missing map[string]string) error {
		if len(ran) == 1 && missing["idle"] == "" {
			t.Error("after the first step the last one does not count as missing")
		}
		f.Missing = maps.Clone(missing)
		return nil
	})
	if err != nil || len(ran) != len(all) || ran[0] != "guarantee" || ran[len(ran)-1] != "idle" {
		t.Fatalf("%d of %d steps were made: %v, %v", len(ran), len(all), ran, err)
	}
	if got := slices.Sorted(maps.Keys(f.Missing)); !slices.Equal(got, []string{"delay", "guarantee unshaped"}) {
		t.Errorf("missing: %v", got)
	}
	if err := f.err(); err == nil || !strings.Contains(err.Error(), "not measured: delay: the line fell down") {
		t.Errorf("the end says %v", err)
	}
	f.Page.Idle, f.Throughput.Bare = 1, 1
	file := filepath.Join(t.TempDir(), "bench.json")
	if err := writeJSON(file, f.summary()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var read []measurement
	if err := json.Unmarshal(b, &read); err != nil || len(read) != 8 {
		t.Fatalf("%d measurements: %v", len(read), err)
	}
	for _, m := range read {
		if absent := m.Name == "tunnel.core_p99_added_ms"; (m.Absent != "") != absent || absent && m.Reached {
			t.Errorf("%s: not measured: %q, reached %v", m.Name, m.Absent, m.Reached)
		}
	}
}

// Where nothing at all was measured, no figure is one that JSON has no number for.
func TestNothingMeasuredIsWritten(t *testing.T) {
	f := tunnelFigures{Missing: map[string]string{}}
	for _, s := range tunnelSteps(f.parts(), "") {
		f.Missing[s.name] = "the measurement did not begin"
	}
	if err := writeJSON(filepath.Join(t.TempDir(), "bench.json"), f.summary()); err != nil {
		t.Error(err)
	}
}

func TestOneShapeAfterTheOther(t *testing.T) {
	var f tunnelFigures
	var got []string
	for _, s := range tunnelSteps(f.parts(), "") {
		got = append(got, s.name)
	}
	want := []string{"guarantee", "flood", "guarantee unshaped", "flood unshaped", "delay", "page", "delay unshaped", "page unshaped", "throughput", "failover", "idle"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if only := tunnelSteps(f.parts(), "page"); len(only) != 2 || only[0].name != "page" || !only[1].lab.unshaped {
		t.Errorf("of the page alone: %v", only)
	}
}

// A worst second is that of all rounds; a round does not count when its generator offered too little, and only then.
func TestWorstSecondOfAllRounds(t *testing.T) {
	r := guaranteeRow{Class: "core"}
	r.add([]float64{100, 100, 99}, []float64{102, 102, 102}, 100, 1)
	r.add([]float64{100, 70, 100}, []float64{102, 102, 102}, 100, 1)
	r.add([]float64{100, 100, 100}, []float64{102, 102, 102}, 100, 1)
	r.add([]float64{100, 50, 100}, []float64{102, 60, 102}, 100, 1)
	if _, worst, _, err := worstOf([]guaranteeRow{r}); err != nil || worst != 0.7 || r.Starved != 1 {
		t.Errorf("worst second %v, %d rounds discarded, %v; want 0.7 and 1", worst, r.Starved, err)
	}
	if _, _, _, err := worstOf([]guaranteeRow{r, {Class: "calls", Starved: 4}}); err == nil {
		t.Error("a class of which no round counts has figures")
	}
}

func TestDelayOfTheWorseDirection(t *testing.T) {
	for _, f := range []delayFigures{
		{Idle: [2]float64{1, 2}, Flooded: [2]float64{3, 30}},
		{Idle: [2]float64{2, 1}, Flooded: [2]float64{30, 3}},
	} {
		if f.added() != 28 {
			t.Errorf("%v: %v ms added, want 28", f, f.added())
		}
	}
}
