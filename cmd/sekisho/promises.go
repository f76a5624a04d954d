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
			c.explainPlain(w, a)
		}
	}
	c.explainDSCP(w)
	for _, t := range c.Bandwidth {
		c.explainDown(w, t.Device)
	}
}

// explainPlain tells of an account downwards by which ends nobody keeps it: of another make, they shape nothing.
func (c *compiled) explainPlain(w io.Writer, a config.Admission) {
	if !a.Down {
		return
	}
	for _, e := range a.Region.Reached() {
		if e.Plain && c.lineOf(e.Tunnel) == a.Line.ID {
			fmt.Fprintf(w, "  cannot be kept downwards: end %s is plain: it shapes nothing, lends nothing, and may fill what is promised to other regions\n", e.ID)
		}
	}
}

// explainDSCP tells of classes that DSCP values name that this holds upwards only: the far end knows services and stations, not
// what a station once wrote into a packet.
func (c *compiled) explainDSCP(w io.Writer) {
	if !slices.ContainsFunc(c.cfg.Segments, func(s config.Segment) bool { return s.TrustDSCP }) {
		return
	}
	for i := range c.cfg.Classes {
		k := &c.cfg.Classes[i]
		if len(k.DSCP) == 0 || k.Default {
			continue
		}
		named := slices.ContainsFunc(c.cfg.Communications, func(r config.Communication) bool { return r.Class == k.ID }) ||
			slices.ContainsFunc(c.cfg.Services, func(s config.Service) bool { return s.Class == k.ID })
		if named {
			fmt.Fprintf(w, "class %s, where only DSCP names it: downwards: default class, since answers carry no class\n", k.ID)
		} else {
			fmt.Fprintf(w, "class %s, which only DSCP names: downwards: default class, since answers carry no class: nothing uses what it is promised there until a record or a service names it\n", k.ID)
		}
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
	explainChanges(w, "up", changes)
	for i := range c.cfg.Regions {
		p, told := c.Plans[c.cfg.Regions[i].ID]
		if !told {
			continue
		}
		from := "down from region " + p.Region
		left, changes := p.Shifts([]string{device})
		if len(left) == 0 {
			fmt.Fprintf(w, "  %s: none of its own lines is left that could keep anything\n", from)
			continue
		}
		explainChanges(w, from, changes)
	}
}

func explainChanges(w io.Writer, direction string, changes []bandwidth.Change) {
	for _, x := range changes {
		fmt.Fprintf(w, "  %s: %s\n", direction, x)
	}
	if len(changes) == 0 {
		fmt.Fprintf(w, "  %s: every class keeps what it is promised\n", direction)
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
