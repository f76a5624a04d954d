package web

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/monitor/evidence"
)

// Size of a plot in units of its own.
const (
	plotWide = 1000
	plotHigh = 150
)

// plot is a class's direction over time: what was delivered against what was guaranteed. It is drawn here, so that it shows without
// scripts and can be printed.
type plot struct {
	Wide, High int
	Top        float64 // bit/s at the upper edge
	Delivered  string  // path
	Area       string  // path below it
	Guarantee  string  // path
	Broken     []mark  // points in which the guarantee was not kept for at least a second
	Gaps       []mark  // points of which nothing is known
	Times      []time.Time
	Empty      bool // nothing is known at all
}

type mark struct{ X, W int }

// point is the sum of the records of one step.
type point struct {
	bytes     uint64
	span      time.Duration
	guarantee uint64
	broken    bool
}

func plotOf(records []evidence.Record, downward bool, from, to time.Time, step time.Duration) plot {
	n := int(to.Sub(from) / step)
	points := make([]point, n)
	top, known := 0.0, false
	for _, r := range records {
		i := int(time.Unix(r.At, 0).Sub(from) / step)
		if i < 0 || i >= n {
			continue
		}
		w := r.Up
		if downward {
			w = r.Down
		}
		if w.Count[evidence.NotCounted] >= r.Covered {
			continue // nobody counted: not the same as nothing delivered
		}
		known = true
		p := &points[i]
		p.bytes, p.span = p.bytes+w.Bytes, p.span+r.Span
		p.guarantee, p.broken = w.Guarantee, p.broken || w.Broken() > 0
		top = max(top, float64(w.Guarantee))
	}
	for _, p := range points {
		top = max(top, p.rate())
	}
	out := plot{Wide: plotWide, High: plotHigh, Top: round(top * 1.1), Empty: !known, Times: []time.Time{from, from.Add(to.Sub(from) / 2), to}}
	out.draw(points)
	return out
}

func (p point) rate() float64 {
	if p.span <= 0 {
		return 0
	}
	return 8 * float64(p.bytes) / p.span.Seconds()
}

// draw makes the paths; what is not known is left out of them.
func (p *plot) draw(points []point) {
	x := func(i int) int { return i * plotWide / len(points) }
	y := func(bits float64) int { return plotHigh - int(bits/p.Top*plotHigh) }
	var line, area, promise strings.Builder
	for i := 0; i < len(points); {
		end := i
		for end < len(points) && (points[end].span > 0) == (points[i].span > 0) {
			end++
		}
		if points[i].span == 0 {
			p.Gaps = append(p.Gaps, mark{x(i), x(end) - x(i)})
			i = end
			continue
		}
		verb := "M"
		fmt.Fprintf(&area, "M%d %d", x(i), plotHigh)
		for j := i; j < end; j++ {
			left, right := x(j), max(x(j+1), x(j)+1)
			high, owed := y(points[j].rate()), y(float64(points[j].guarantee))
			fmt.Fprintf(&line, "%s%d %dH%d", verb, left, high, right)
			fmt.Fprintf(&promise, "%s%d %dH%d", verb, left, owed, right)
			fmt.Fprintf(&area, "L%d %dH%d", left, high, right)
			if points[j].broken {
				p.Broken = append(p.Broken, mark{left, max(3, right-left)})
			}
			verb = "L"
		}
		fmt.Fprintf(&area, "V%dZ", plotHigh)
		i = end
	}
	p.Delivered, p.Area, p.Guarantee = line.String(), area.String(), promise.String()
}

// round takes a number up to one that reads well: 1, 2 or 5 times a power of ten.
func round(f float64) float64 {
	if f <= 0 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(f)))
	for _, m := range []float64{1, 2, 5} {
		if f <= m*p {
			return m * p
		}
	}
	return 10 * p
}
