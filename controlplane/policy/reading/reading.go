// Package reading says what a configuration permits, record by record, as a person reads it.
//
// Problem: a compiler cannot be checked by itself. Mechanism: a second reading of the document, written from what the fields
// mean (package config) and not from the compiler: each record in force becomes a Permit: who may open (Ends), what may be
// opened (Targets), and when; what the gate makes for itself, records named "gate:", is read from portals, tunnels and lines.
// Names are resolved once and shared, so that reading 100,000 records costs what their names cost. Life cycle: Of is a pure
// function of a Config without errors; the result is for one goroutine at a time. Invariant: a packet may open a flow at a minute exactly when
// some Permit has its source among From, its destination and port among To, and the minute in When; where both lie in one
// segment, only for a permit of the gate's Own.
package reading

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/space"
)

// Document is all that a configuration permits.
type Document struct {
	Config  *config.Config
	Permits []Permit // in the order of the document, the gate's own last
	Ends    []*Ends  // each one that a permit names, by its Number
	Ports   []*Ports // each one that a target names, by its Number

	segments []space.Addrs // by place in the configuration
	interned map[string]*Ports
}

// Permit is what one record permits. Only between different segments, unless it is the gate's own.
type Permit struct {
	Record string
	Class  uint8 // number of its bandwidth class; 0: the default. Of Mixed ones, nothing
	Mixed  bool  // its targets have different classes: it has none itself, and their services have
	When   space.Times
	From   []*Ends
	To     []Target
	Own    bool
}

// Target is ports at some destinations.
type Target struct {
	*Ends
	Ports *Ports
	Class uint8 // bandwidth class: the record's, or where it has none, the service's
}

// Ends are addresses of one segment that records name together.
type Ends struct {
	Number  int
	Segment int     // place in Config.Segments
	Members []*Ends // the stations' that a group joins, in its order; none: addresses that are named by themselves

	addrs space.Addrs // a group's are joined when they are asked for
}

// Addrs are all of the addresses. Not for two goroutines at once.
func (e *Ends) Addrs() space.Addrs {
	if e.addrs == nil {
		var all space.Addrs
		for _, m := range e.Members {
			all = append(all, m.addrs...)
		}
		e.addrs = space.Of(all...)
	}
	return e.addrs
}

// Ports are what records name together, once as a whole and once as each IP version carries it.
type Ports struct {
	Number int
	All    space.Ports
	By     [len(space.Families)]space.Ports
}

// reader resolves names.
type reader struct {
	*Document
	segments map[string]int
	stations map[string]*Ends
	services map[string]*service
	groups   map[string][]*Ends    // of stations
	offers   map[string][]*service // groups of services
	whole    map[string]*Ends      // segments
	prefixes map[netip.Prefix]*Ends
	classes  map[string]uint8
	weeks    map[string]space.Week
}

type service struct {
	*Ends
	ports *Ports
	class uint8
}

// Of reads a configuration that config.Parse found no fault with.
func Of(c *config.Config) *Document {
	r := &reader{
		Document: &Document{Config: c, interned: map[string]*Ports{}}, segments: map[string]int{}, stations: map[string]*Ends{}, services: map[string]*service{},
		groups: map[string][]*Ends{}, offers: map[string][]*service{}, whole: map[string]*Ends{}, prefixes: map[netip.Prefix]*Ends{},
		classes: map[string]uint8{}, weeks: map[string]space.Week{},
	}
	for i := range c.Classes {
		r.classes[c.Classes[i].ID] = uint8(i + 1)
	}
	for i := range c.Segments {
		s := &c.Segments[i]
		r.segments[s.ID] = i
		r.Document.segments = append(r.Document.segments, space.Inside(s.Prefixes...))
	}
	for i := range c.Stations {
		s := &c.Stations[i]
		r.stations[s.ID] = r.ends(r.segments[s.Segment], space.Single(s.Addresses...))
	}
	for i := range c.Services {
		s := &c.Services[i]
		r.services[s.ID] = &service{r.ends(r.segments[s.Segment], space.Single(s.Addresses...)), r.portsOf(s.Ports), r.classes[s.Class]}
	}
	for i := range c.Groups {
		r.group(&c.Groups[i])
	}
	for i := range c.Windows {
		r.weeks[c.Windows[i].ID] = week(&c.Windows[i])
	}
	r.Permits = make([]Permit, 0, len(c.Communications))
	for i := range c.Communications {
		if q := &c.Communications[i]; q.Active() {
			r.communication(q)
		}
	}
	r.gate()
	return r.Document
}

// SegmentOf gives the place of the segment that an address lies in.
func (d *Document) SegmentOf(a netip.Addr) (int, bool) {
	i := slices.IndexFunc(d.segments, func(s space.Addrs) bool { return s.Contains(a) })
	return i, i >= 0
}

// SegmentAddrs is all addresses of a segment, by its place.
func (d *Document) SegmentAddrs(i int) space.Addrs { return d.segments[i] }

func (r *reader) ends(segment int, a space.Addrs) *Ends {
	e := &Ends{Number: len(r.Ends), Segment: segment, addrs: a}
	r.Ends = append(r.Ends, e)
	return e
}

// group joins what its stations have in each segment, and lists its services, which have ports of their own.
func (r *reader) group(g *config.Group) {
	var in []*Ends
	for _, id := range g.Stations {
		s := r.stations[id]
		i := slices.IndexFunc(in, func(e *Ends) bool { return e.Segment == s.Segment })
		if i < 0 {
			i = len(in)
			in = append(in, r.ends(s.Segment, nil))
			in[i].Members = make([]*Ends, 0, len(g.Stations))
		}
		in[i].Members = append(in[i].Members, s)
	}
	r.groups[g.ID] = in
	for _, id := range g.Services {
		r.offers[g.ID] = append(r.offers[g.ID], r.services[id])
	}
}

// segment is all addresses of a segment but the gate's own.
func (r *reader) segment(id string) *Ends {
	e := r.whole[id]
	if e == nil {
		i := r.segments[id]
		e = r.ends(i, r.Document.segments[i].Minus(space.Single(r.Config.Segments[i].Gate...)))
		r.whole[id] = e
	}
	return e
}

// prefix is all addresses of a prefix but the gate's own.
func (r *reader) prefix(p netip.Prefix) *Ends {
	e := r.prefixes[p]
	if e == nil {
		i, _ := r.SegmentOf(p.Addr())
		e = r.ends(i, space.Inside(p).Minus(space.Single(r.Config.Segments[i].Gate...)))
		r.prefixes[p] = e
	}
	return e
}

// portsOf reads a list of ports; equal lists are one.
func (r *reader) portsOf(specs []config.PortSpec) *Ports {
	var in []space.Interval[space.Port]
	for _, s := range specs {
		for _, w := range s.Ranges() {
			in = append(in, space.Span(w.Proto, w.Lo, w.Hi))
		}
	}
	return r.Intern(space.Of(in...))
}

// Intern gives the one Ports of a set.
func (d *Document) Intern(all space.Ports) *Ports {
	var key strings.Builder
	for _, v := range all {
		key.WriteRune(rune(v.Lo.Proto()))
		key.Write([]byte{byte(v.Lo >> 8), byte(v.Lo), byte(v.Hi >> 8), byte(v.Hi)})
	}
	p := d.interned[key.String()]
	if p == nil {
		p = &Ports{Number: len(d.Ports), All: all}
		for _, f := range space.Families {
			p.By[f] = space.Carried(all, f)
		}
		d.interned[key.String()] = p
		d.Ports = append(d.Ports, p)
	}
	return p
}

func (r *reader) communication(q *config.Communication) {
	p := Permit{Record: q.ID, Class: r.classes[q.Class], When: r.when(q)}
	for _, id := range q.From.Stations {
		p.From = append(p.From, r.stations[id])
	}
	for _, id := range q.From.Groups {
		p.From = append(p.From, r.groups[id]...)
	}
	for _, id := range q.From.Segments {
		p.From = append(p.From, r.segment(id))
	}
	var ports *Ports // none: each service's own
	if len(q.Ports) > 0 {
		ports = r.portsOf(q.Ports)
	}
	service := func(s *service) {
		t := Target{s.Ends, ports, s.class}
		if ports == nil {
			t.Ports = s.ports
		}
		p.To = append(p.To, t)
	}
	for _, id := range q.To.Services {
		service(r.services[id])
	}
	for _, id := range q.To.Groups {
		for _, s := range r.offers[id] {
			service(s)
		}
		for _, e := range r.groups[id] {
			p.To = append(p.To, Target{e, ports, 0})
		}
	}
	for _, id := range q.To.Stations {
		p.To = append(p.To, Target{r.stations[id], ports, 0})
	}
	for _, w := range q.To.Prefixes {
		p.To = append(p.To, Target{r.prefix(w), ports, 0})
	}
	for i := range p.To {
		t := &p.To[i]
		if q.Class != "" {
			t.Class = p.Class
		}
		p.Mixed = p.Mixed || t.Class != p.To[0].Class
	}
	if p.Class = p.To[0].Class; p.Mixed {
		p.Class = 0
	}
	r.Permits = append(r.Permits, p)
}

// ClassOf is the bandwidth class of a packet that the permit lets through.
func (p *Permit) ClassOf(dst netip.Addr, port space.Port) uint8 {
	if p.Mixed {
		for _, t := range p.To {
			if t.Addrs().Contains(dst) && t.Ports.All.Contains(port) {
				return t.Class
			}
		}
	}
	return p.Class
}

// when is the time of a record: from its first minute, or its day's, to the minute before its end, or the end of its last day.
func (r *reader) when(q *config.Communication) space.Times {
	from, until := int64(0), space.Ever
	if !q.Since.IsZero() {
		from = q.Since.Begin()
	}
	if !q.Until.IsZero() {
		until = q.Until.End()
	}
	if from == 0 && until == space.Ever && q.Window == "" {
		return space.Always
	}
	return space.During(from, until, r.weeks[q.Window])
}

// week reads a window, which is written in Japan's time: nine hours ahead of UTC.
func week(w *config.Window) space.Week {
	const day = 24 * 60
	var in []space.Interval[space.Minute]
	for _, d := range w.Days {
		n := int(w.To) - int(w.From)
		if n <= 0 { // ends on the next day
			n += day
		}
		first := (int(d)-1)*day + int(w.From) - 9*60
		for m := first; n > 0; {
			at := (m%space.WeekLength + space.WeekLength) % space.WeekLength
			stretch := min(n, space.WeekLength-at)
			in = append(in, space.Interval[space.Minute]{Lo: space.Minute(at), Hi: space.Minute(at + stretch - 1)})
			m, n = m+stretch, n-stretch
		}
	}
	return space.Of(in...)
}

// Boxes is what a permit permits, as products.
func (d *Document) Boxes(p *Permit) []space.Box {
	var out []space.Box
	for _, t := range p.To {
		var from space.Addrs
		for _, e := range p.From {
			if p.Own || e.Segment != t.Segment {
				from = from.Union(e.Addrs())
			}
		}
		if b := (space.Box{From: from, To: t.Addrs(), Ports: t.Ports.All, Times: p.When}); !b.Empty() {
			out = append(out, b)
		}
	}
	return out
}

// Of lists the permits that let a packet open a flow, at whatever time.
func (d *Document) Of(k space.Packet) []*Permit {
	var out []*Permit
	f := space.FamilyOf(k.Src)
	src, ok1 := d.SegmentOf(k.Src)
	dst, ok2 := d.SegmentOf(k.Dst)
	if !ok1 || !ok2 || f != space.FamilyOf(k.Dst) {
		return nil
	}
	for i := range d.Permits {
		p := &d.Permits[i]
		if src == dst && !p.Own {
			continue
		}
		if slices.ContainsFunc(p.From, func(e *Ends) bool { return e.Segment == src && e.Addrs().Contains(k.Src) }) &&
			slices.ContainsFunc(p.To, func(t Target) bool {
				return t.Segment == dst && t.Ports.By[f].Contains(k.Port) && t.Addrs().Contains(k.Dst)
			}) {
			out = append(out, p)
		}
	}
	return out
}
