package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScale(t *testing.T) {
	for _, c := range []struct{ high, top, step float64 }{{0, 1, 0.25}, {3.98, 4, 0.5}, {62, 70, 10}, {1450, 1600, 200}, {0.4, 0.4, 0.1}} {
		if top, step := scale(c.high); !near(top, c.top) || !near(step, c.step) {
			t.Errorf("scale(%g): got %g by %g, want %g by %g", c.high, top, step, c.top, c.step)
		}
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestPlotIsWellFormed(t *testing.T) {
	g := newGrowth([]int{100, 1_000, 10_000, 100_000})
	for _, s := range g.hits {
		s.add(60, 200)
	}
	f := &forwarding{rates: map[string][]rate{}}
	for _, n := range g.records {
		f.rates[coreLane(n)] = []rate{{core: 2.8e6}}
		f.rates[nftLane(n)] = []rate{{core: 0.4e6}}
	}
	path := filepath.Join(t.TempDir(), "sub", "plot.svg")
	if err := writePlot(path, g, f); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if lines != 8 {
		t.Errorf("got %d lines, want 4 in each panel", lines)
	}
}
