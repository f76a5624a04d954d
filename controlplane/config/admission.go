package config

import (
	"fmt"
	"strings"
)

// Usable is the part of a line that its classes may be promised, in hundredths: the shaper stays a little below the line, so that
// the queue is here and not at the carrier, and what the tunnel says for itself needs room.
const Usable = 97

// Admission is what a line promises in one direction, held against what it carries. Downwards each region has its part of the
// line, and of each class's guarantee, by weight; what one does not use it lends to the others.
type Admission struct {
	Line   *Line
	Down   bool
	Region *Region // whose part this is; nil: the whole line, upwards
	Weight int     // of the region
	Of     int     // weights of all regions that the line reaches
	Rate   Rate    // of the contract, or of the region's part
	Terms  []Term
}

// Term is what one class is promised.
type Term struct {
	Class     *Class
	Guarantee Rate
}

// Sum of the guarantees, in bit/s.
func (a Admission) Sum() Rate {
	var sum Rate
	for _, t := range a.Terms {
		sum += t.Guarantee
	}
	return sum
}

// Usable is what the classes share.
func (a Admission) Usable() Rate { return a.Rate / 100 * Usable }

// Over is what is promised beyond that; 0: nothing.
func (a Admission) Over() Rate { return max(a.Sum(), a.Usable()) - a.Usable() }

// String shows the arithmetic: "core 35Mbit + general 15Mbit = 50Mbit up, but of the line's 50Mbit 48500kbit are shared out".
func (a Admission) String() string {
	terms := make([]string, len(a.Terms))
	for i, t := range a.Terms {
		terms[i] = fmt.Sprintf("%s %s", short(t.Class.ID), shown(t.Guarantee))
	}
	direction, of := "up", "the line"
	if a.Down {
		direction = "down"
		if a.Region != nil && a.Of > a.Weight {
			of = fmt.Sprintf("region %s's part of the line, %d of %d,", short(a.Region.ID), a.Weight, a.Of)
		}
	}
	but := "and"
	if a.Over() > 0 {
		but = "but"
	}
	return fmt.Sprintf("%s = %s %s, %s %s carries %s, of which %d %% (%s) can be promised, the tunnel's 60 bytes a packet (80 over IPv6) included", strings.Join(terms, " + "), shown(a.Sum()), direction, but, of, shown(a.Rate), Usable, shown(a.Usable()))
}

// Unpromised is what is nobody's, and shared by priority, for people.
func (a Admission) Unpromised() string { return shown(a.Usable() - min(a.Sum(), a.Usable())) }

// shown writes a rate for people: what is no whole number of kbit/s is rounded.
func shown(r Rate) string {
	if r%1000 == 0 {
		return r.String()
	}
	return fmt.Sprintf("%.2fMbit", float64(r)/1e6)
}

// Admission gives the accounts of a line: upwards, then downwards for each region that it reaches. None without classes.
func (c *Config) Admission(l *Line) []Admission {
	up := Admission{Line: l, Rate: l.Rate}
	for i := range c.Classes {
		if at, on := c.On(&c.Classes[i], l); on {
			up.Terms = append(up.Terms, Term{&c.Classes[i], at.Guarantee})
		}
	}
	if len(up.Terms) == 0 {
		return nil
	}
	out := []Admission{up}
	regions := c.RegionsOn(l)
	all := 0
	for _, r := range regions {
		all += r.Weight()
	}
	for _, r := range regions {
		down := Admission{Line: l, Down: true, Region: r, Weight: r.Weight(), Of: all, Rate: part(l.Downstream(), r.Weight(), all)}
		for _, t := range up.Terms {
			down.Terms = append(down.Terms, Term{t.Class, part(t.Guarantee, r.Weight(), all)})
		}
		out = append(out, down)
	}
	return out
}

// RegionsOn lists the regions that have an end on the line.
func (c *Config) RegionsOn(l *Line) []*Region {
	var out []*Region
	for i := range c.Regions {
		r := &c.Regions[i]
		for _, e := range r.Reached() {
			if t := c.tunnel(e.Tunnel); t != nil && t.Line == l.ID && l.ID != "" {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

func (c *Config) tunnel(id string) *Tunnel {
	for i := range c.Tunnels {
		if c.Tunnels[i].ID == id {
			return &c.Tunnels[i]
		}
	}
	return nil
}

// part of a rate by weight, without overflow: rates reach 2^63 at most, weights 2^32 together.
func part(r Rate, weight, of int) Rate {
	if of <= 0 {
		return r
	}
	w, n := Rate(weight), Rate(of)
	return r/n*w + r%n*w/n
}
