package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// flood is what each class was given over time while a backup came and went.
type flood struct {
	Shaped bool                 `json:"shaped"`
	Rate   uint64               `json:"rate"` // bit/s of the line
	Step   time.Duration        `json:"step"`
	Begins float64              `json:"begins"` // s
	Ends   float64              `json:"ends"`
	Rates  map[string][]float64 `json:"rates"` // bit/s of each class in each step
}

const (
	floodStep  = 250 * time.Millisecond
	floodSpan  = 12 * time.Second
	floodFrom  = 3 * time.Second
	floodUntil = 9 * time.Second
)

// flooded makes the experiment as the lab stands.
func (f *tunnelFigures) flooded(l *tunnelLab) error {
	x, err := l.flood()
	if err == nil {
		f.Floods = append(f.Floods, x)
	}
	return err
}

// flood: three classes send what they are promised, and ten times the line joins them as a backup.
func (l *tunnelLab) flood() (flood, error) {
	f := flood{Shaped: !l.shape.unshaped, Rate: l.shape.rate, Step: floodStep, Begins: floodFrom.Seconds(), Ends: floodUntil.Seconds(), Rates: map[string][]float64{}}
	o := offer{up: {}}
	for _, c := range labClasses[:3] {
		o[up][c.name] = c.guarantee(l.shape.rate)
	}
	t, err := l.begin(o)
	if err != nil {
		return f, err
	}
	time.Sleep(time.Second)
	from := time.Now()
	time.Sleep(floodFrom)
	end := t.beside(up, "backup", timesTheLine*float64(l.shape.rate))
	time.Sleep(floodUntil - floodFrom)
	end()
	time.Sleep(time.Until(from.Add(floodSpan)))
	if err := t.end(); err != nil {
		return f, err
	}
	for _, c := range labClasses {
		f.Rates[c.name] = t.traces[up][c.name].rates(from, floodStep, int(floodSpan/floodStep))
	}
	return f, nil
}

var floodClasses = map[string]string{"core": "s1", "calls": "s2", "general": "s3", "backup": "p1"}

// writeFloods draws them beside each other, on one scale. None: nothing is written.
func writeFloods(path string, all []flood) error {
	if len(all) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="What each class is given while a backup floods the line, shaped and unshaped">`+"\n",
		panelWidth*len(all), panelHeight, panelWidth*len(all), panelHeight)
	b.WriteString(strings.Replace(plotStyle, ".dot {", ".promise { stroke-width: 1; stroke-dasharray: 2 3; opacity: .8 } .flood { fill: #59636e; opacity: .12 }\n.dot {", 1))
	for i, f := range all {
		fmt.Fprintf(&b, `<g transform="translate(%d 0)">`+"\n", i*panelWidth)
		f.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func (f flood) draw(b *strings.Builder) {
	title := "Without shaping"
	if f.Shaped {
		title = "With guarantees (dotted)"
	}
	line := float64(f.Rate) / 1e6
	top, step := scale(line * 1.02)
	y := func(v float64) float64 { return plotTop + plotHeight*(1-min(v, top)/top) }
	span := floodSpan.Seconds()
	x := func(s float64) float64 { return plotLeft + plotWidth*s/span }

	fmt.Fprintf(b, `<text class="title" x="%d" y="18">%s</text>`+"\n", plotLeft, title)
	fmt.Fprintf(b, `<text class="tick" x="%d" y="36">Mbit/s delivered of a line of %g</text>`+"\n", plotLeft, line)
	fmt.Fprintf(b, `<rect class="flood" x="%.1f" y="%d" width="%.1f" height="%d"/>`+"\n", x(f.Begins), plotTop, x(f.Ends)-x(f.Begins), plotHeight)
	for v := 0.0; v <= top*1.0001; v += step {
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, plotLeft, plotLeft+plotWidth, y(v), y(v))
		fmt.Fprintf(b, `<text class="tick" text-anchor="end" x="%d" y="%.1f">%g</text>`+"\n", plotLeft-8, y(v)+4, v)
	}
	for s := 0.0; s <= span; s += 3 {
		fmt.Fprintf(b, `<text class="tick" text-anchor="middle" x="%.1f" y="%d">%g</text>`+"\n", x(s), plotTop+plotHeight+18, s)
	}
	fmt.Fprintf(b, `<text class="tick" text-anchor="middle" x="%d" y="%d">seconds; grey: the backup offers %d times the line</text>`+"\n", plotLeft+plotWidth/2, plotTop+plotHeight+36, timesTheLine)
	for i, c := range labClasses {
		var points []string
		for j, v := range f.Rates[c.name] {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x((float64(j)+0.5)*f.Step.Seconds()), y(v/1e6)))
		}
		class := floodClasses[c.name]
		if f.Shaped {
			g := y(c.guarantee(f.Rate) / 1e6)
			fmt.Fprintf(b, `<line class="promise %s" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", class, plotLeft, plotLeft+plotWidth, g, g)
		}
		fmt.Fprintf(b, `<polyline class="line %s" points="%s"/>`+"\n", class, strings.Join(points, " "))
		left, row := plotLeft+i%2*plotWidth/2, plotTop+plotHeight+58+i/2*20
		fmt.Fprintf(b, `<line class="line %s" x1="%d" x2="%d" y1="%d" y2="%d"/>`, class, left, left+26, row-4, row-4)
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", left+32, row, c.name)
	}
}
