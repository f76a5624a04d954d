package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
)

// explainLines tells what each line promises, held against what it carries, and what becomes of it while lines are down.
func (c *compiled) explainLines(w io.Writer) {
	for i := range c.cfg.Lines {
		for _, a := range c.cfg.Admission(&c.cfg.Lines[i]) {
			fmt.Fprintf(w, "line %s: %s; %s is nobody's and shared by priority\n", a.Line.ID, a, a.Unpromised())
		}
	}
	for _, t := range c.Bandwidth {
		c.explainDown(w, t.Device)
	}
}

// explainDown tells what becomes of the regions and the classes while the line of a device is down.
func (c *compiled) explainDown(w io.Writer, device string) {
	line := c.lineOf(device)
	fmt.Fprintf(w, "while line %s is down:\n", line)
	for i := range c.cfg.Regions {
		fmt.Fprintf(w, "  region %s: %s\n", c.cfg.Regions[i].ID, c.reachedWithout(&c.cfg.Regions[i], device))
	}
	left, changes := bandwidth.Degraded(c.Bandwidth, []string{device})
	if len(left) == 0 {
		fmt.Fprintln(w, "  no line is left: nothing goes to any region until one is back")
		return
	}
	for _, x := range changes {
		fmt.Fprintf(w, "  %s\n", x)
	}
	if len(changes) == 0 {
		fmt.Fprintln(w, "  every class keeps what it is promised")
	}
}

// reachedWithout says by what a region is reached when a device is of no use: its own other ends, or those that take it over.
func (c *compiled) reachedWithout(r *config.Region, device string) string {
	own := func(r *config.Region) (ids []string) {
		for _, e := range r.Reached() {
			if e.Tunnel != device {
				ids = append(ids, fmt.Sprintf("%s on line %s", e.ID, c.lineOf(e.Tunnel)))
			}
		}
		return ids
	}
	if ids := own(r); len(ids) > 0 {
		return "reached by " + strings.Join(ids, ", ")
	}
	var others []string
	for i := range c.cfg.Regions {
		if o := &c.cfg.Regions[i]; slices.Contains(o.TakesOver, r.ID) {
			others = append(others, own(o)...)
		}
	}
	if len(others) > 0 {
		return "taken over by " + strings.Join(others, ", ")
	}
	return "not reached: give it an end on another line, or another region that takes it over"
}

// lineOf names the contract that a tunnel device hangs on.
func (c *compiled) lineOf(device string) string {
	for _, t := range c.cfg.Tunnels {
		if t.ID == device {
			return t.Line
		}
	}
	return device
}
