package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// The plot is one SVG of two panels, readable on light and dark pages: what a packet costs by flows and records, and what
// one core forwards by records, with the peers in both.

// series is one line of a panel.
type series struct {
	name   string
	class  string // of the stylesheet: s1..s3 solid, p1..p3 dashed: peers
	values []float64
}

// panel is one diagram with evenly spaced places on the x axis.
type panel struct {
	title, x, y string
	places      []string
	lines       []series
}

func panels(g *growth, f *forwarding) []panel {
	left := panel{title: "Packet of a live flow", x: "live flows", y: "ns a packet", places: []string{"1 k", "64 k", "1 M"}}
	live := []int{flows1k, flows64k, flows1m}
	right := panel{title: "Forwarded through veth, 64 k flows", x: "records", y: "million packets/s, one core"}
	core := series{name: "packet core", class: "s1"}
	nft := series{name: "nftables + conntrack", class: "p1"}
	kernel := series{name: "kernel, no rules", class: "p2"}
	bare := series{name: "bare redirect", class: "p3"}
	generic := series{name: "generic: HASH maps", class: "p1"}
	for i, n := range g.records {
		right.places = append(right.places, short(n))
		core.values = append(core.values, f.core(coreLane(n)))
		nft.values = append(nft.values, f.core(nftLane(n)))
		kernel.values = append(kernel.values, f.core(kernelLane))
		bare.values = append(bare.values, f.core(bareLane))
		if i == 0 {
			continue
		}
		line := series{name: short(n) + " records", class: fmt.Sprintf("s%d", i)}
		for _, l := range live {
			line.values = append(line.values, median(g.hits[[2]int{n, l}].core))
		}
		left.lines = append(left.lines, line)
	}
	for _, l := range live {
		generic.values = append(generic.values, median(g.hits[[2]int{10_000, l}].generic))
	}
	left.lines = append(left.lines, generic)
	right.lines = []series{core, nft, kernel, bare}
	return []panel{left, right}
}

const (
	panelWidth, panelHeight = 420, 340
	plotLeft, plotTop       = 58, 44
	plotWidth, plotHeight   = 336, 200
)

const plotStyle = `<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.tick { font-size: 12px; fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2.2 }
.s1 { stroke: #0550ae; color: #0550ae } .s2 { stroke: #bc4c00; color: #bc4c00 } .s3 { stroke: #1a7f37; color: #1a7f37 }
.p1 { stroke: #59636e; stroke-dasharray: 6 4 } .p2 { stroke: #8250df; stroke-dasharray: 2 4 } .p3 { stroke: #9a6700; stroke-dasharray: 9 3 2 3 }
.dot { fill: currentColor; stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .tick { fill: #9198a1 } .grid { stroke: #3d444d }
.s1 { stroke: #58a6ff; color: #58a6ff } .s2 { stroke: #f0883e; color: #f0883e } .s3 { stroke: #3fb950; color: #3fb950 }
.p1 { stroke: #9198a1 } .p2 { stroke: #bc8cff } .p3 { stroke: #d29922 }
}
</style>
`

// writePlot draws it.
func writePlot(path string, g *growth, f *forwarding) error {
	all := panels(g, f)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s; %s">`+"\n",
		panelWidth*len(all), panelHeight, panelWidth*len(all), panelHeight, all[0].title, all[1].title)
	b.WriteString(plotStyle)
	for i, p := range all {
		fmt.Fprintf(&b, `<g transform="translate(%d 0)">`+"\n", i*panelWidth)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func (p panel) draw(b *strings.Builder) {
	top, step := scale(p.highest())
	y := func(v float64) float64 { return plotTop + plotHeight*(1-v/top) }
	x := func(i int) float64 { return plotLeft + plotWidth*(float64(i)+0.5)/float64(len(p.places)) }

	fmt.Fprintf(b, `<text class="title" x="%d" y="18">%s</text>`+"\n", plotLeft, p.title)
	fmt.Fprintf(b, `<text class="tick" x="%d" y="36">%s</text>`+"\n", plotLeft, p.y)
	for v := 0.0; v <= top*1.0001; v += step {
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, plotLeft, plotLeft+plotWidth, y(v), y(v))
		fmt.Fprintf(b, `<text class="tick" text-anchor="end" x="%d" y="%.1f">%g</text>`+"\n", plotLeft-8, y(v)+4, v)
	}
	for i, name := range p.places {
		fmt.Fprintf(b, `<text class="tick" text-anchor="middle" x="%.1f" y="%d">%s</text>`+"\n", x(i), plotTop+plotHeight+18, name)
	}
	fmt.Fprintf(b, `<text class="tick" text-anchor="middle" x="%d" y="%d">%s</text>`+"\n", plotLeft+plotWidth/2, plotTop+plotHeight+36, p.x)
	for i, l := range p.lines {
		l.draw(b, x, y)
		left, row := plotLeft+i%2*plotWidth/2, plotTop+plotHeight+58+i/2*20
		fmt.Fprintf(b, `<line class="line %s" x1="%d" x2="%d" y1="%d" y2="%d"/>`, l.class, left, left+26, row-4, row-4)
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", left+32, row, l.name)
	}
}

func (l series) draw(b *strings.Builder, x func(int) float64, y func(float64) float64) {
	var points []string
	for i, v := range l.values {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x(i), y(v)))
	}
	fmt.Fprintf(b, `<polyline class="line %s" points="%s"/>`+"\n", l.class, strings.Join(points, " "))
	if l.class[0] != 's' {
		return
	}
	for i, v := range l.values {
		fmt.Fprintf(b, `<g class="%s"><circle class="dot" cx="%.1f" cy="%.1f" r="3.5"/></g>`, l.class, x(i), y(v))
	}
	b.WriteString("\n")
}

func (p panel) highest() float64 {
	high := 0.0
	for _, l := range p.lines {
		for _, v := range l.values {
			high = max(high, v)
		}
	}
	return high
}

// scale gives the end of an axis and the distance of its lines: four to eight of them, at 1, 2 or 5 times a power of ten.
func scale(high float64) (top, step float64) {
	if high <= 0 {
		return 1, 0.25
	}
	step = math.Pow(10, math.Floor(math.Log10(high)))
	for _, m := range []float64{1, 0.5, 0.2} {
		if high/(step*m) >= 4 {
			step *= m
			break
		}
	}
	return math.Ceil(high/step) * step, step
}
