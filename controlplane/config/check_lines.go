package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
)

// MaxClasses is what the mark has room for (6 bits, 0 = the line's default).
const MaxClasses = 63

func (k *checker) linesAndClasses() {
	onSegment := map[string]*Line{}
	for i := range k.c.Lines {
		l := &k.c.Lines[i]
		s := refer(k, &l.Segment, "segment", k.segments)
		if s == nil {
			continue
		}
		if s.Zone != anchors.Uplink || s.Port == "" {
			k.at(&l.Segment, "line %q: segment %q is in zone %s: a line is a port segment of zone uplink", short(l.ID), s.ID, s.Zone)
		}
		if first := onSegment[l.Segment]; first != nil {
			k.at(&l.Segment, "line %q: segment %q is already line %q (line %d of the file)", short(l.ID), s.ID, short(first.ID), k.line(&first.Segment))
		}
		onSegment[l.Segment] = l
	}
	if len(k.c.Classes) > MaxClasses {
		k.at(&k.c.Classes, "%d bandwidth classes: the packet core has numbers for %d", len(k.c.Classes), MaxClasses)
	}
	for i := range k.c.Classes {
		k.class(&k.c.Classes[i])
	}
	k.codePoints()
	k.serviceClasses()
	for i := range k.c.Lines {
		k.defaultClass(&k.c.Lines[i])
		k.admission(&k.c.Lines[i])
	}
}

func (k *checker) class(c *Class) {
	what := fmt.Sprintf("class %q", short(c.ID))
	if k.has(&c.Line) && k.has(&c.Lines) {
		k.at(&c.Lines, "%s: give either line, for one, or lines, for several in order of preference", what)
	}
	if c.Priority > 7 {
		k.at(&c.Priority, "%s: priority %d: want 0 (first) to 7 (last)", what, c.Priority)
	}
	k.bounded(what, &c.Guarantee, &c.Ceiling)
	l := refer(k, &c.Line, "line", k.lines)
	if l != nil {
		k.carried(what, &c.Ceiling, l)
	}
	if k.has(&c.Lines) {
		k.filled(len(c.Lines), &c.Lines, what+" lines", "at least one line, or no lines for every line")
	}
	if c.Line == "" && len(c.Lines) == 0 && len(k.c.Lines) == 0 && !k.marks[c].bad {
		k.at(c, "%s has no line: add the carrier's contract under lines", what)
	}
	ownGuarantees, ownCeilings := len(c.Lines) > 0, len(c.Lines) > 0
	for i := range c.Lines {
		at := &c.Lines[i]
		l := refer(k, &at.Line, "line", k.lines)
		if slices.ContainsFunc(c.Lines[:i], func(o OnLine) bool { return o.Line == at.Line }) && at.Line != "" {
			k.at(&at.Line, "%s lines: line %q is given twice", what, short(at.Line))
		}
		ownGuarantees, ownCeilings = ownGuarantees && k.has(&at.Guarantee), ownCeilings && k.has(&at.Ceiling)
		place := fmt.Sprintf("%s on line %q", what, short(at.Line))
		guarantee, ceiling := &at.Guarantee, &at.Ceiling
		if at.Guarantee == 0 {
			guarantee = &c.Guarantee
		}
		if at.Ceiling == 0 {
			ceiling = &c.Ceiling
		}
		if guarantee == &at.Guarantee || ceiling == &at.Ceiling { // else said of the class itself
			k.bounded(place, guarantee, ceiling)
		}
		if l != nil {
			k.carried(place, &at.Ceiling, l)
		}
	}
	if !k.has(&c.Guarantee) && !ownGuarantees {
		k.at(c, "%s: key \"guarantee\" is missing: give it here, or for each of its lines", what)
	}
	if !k.has(&c.Ceiling) && !ownCeilings {
		k.at(c, "%s: key \"ceiling\" is missing: give it here, or for each of its lines", what)
	}
}

func (k *checker) bounded(what string, guarantee, ceiling *Rate) {
	if *guarantee > 0 && *ceiling > 0 && *ceiling < *guarantee {
		at := ceiling
		if !k.has(at) {
			at = guarantee
		}
		k.at(at, "%s: ceiling %s is less than its guarantee %s: raise it to %s or more", what, *ceiling, *guarantee, *guarantee)
	}
}

// carried refuses a ceiling that neither direction of a line reaches; where one carries less, it bounds the class there.
func (k *checker) carried(what string, ceiling *Rate, l *Line) {
	if l.Rate > 0 && *ceiling > l.Most() {
		k.at(ceiling, "%s: ceiling %s is more than line %q carries (%s): lower it to %s or less", what, *ceiling, l.ID, l.Most(), l.Most())
	}
}

// codePoints refuses DSCP values that name two classes, and those that name none.
func (k *checker) codePoints() {
	first := map[DSCP]*Class{}
	place := map[DSCP]*DSCP{}
	for i := range k.c.Classes {
		c := &k.c.Classes[i]
		for j := range c.DSCP {
			d := &c.DSCP[j]
			switch other := first[*d]; {
			case !k.good(d):
			case *d == 0:
				k.at(d, "class %q: DSCP 0 is what packets carry that nobody marked: they go by record, service, or into the default class", short(c.ID))
			case other != nil:
				k.at(d, "class %q: DSCP %s is already that of class %q (line %d): one value names one class", short(c.ID), d, short(other.ID), k.line(place[*d]))
			default:
				first[*d], place[*d] = c, d
			}
		}
	}
}

// serviceClasses: what one address offers on one port has one class, whatever names it has.
func (k *checker) serviceClasses() {
	at := map[netip.Addr][]*Service{}
	for i := range k.c.Services {
		s := &k.c.Services[i]
		refer(k, &s.Class, "class", k.classes)
		for _, a := range s.Addresses {
			for _, o := range at[a] {
				if o != s && o.Class != s.Class && slices.ContainsFunc(s.Ports, func(p PortSpec) bool { return slices.ContainsFunc(o.Ports, p.Overlaps) }) {
					place := any(&s.Class)
					if !k.has(place) {
						place = &s.ID
					}
					k.at(place, "service %q: class %q, but service %q (line %d) offers the same ports at %s in class %q: give both one class", short(s.ID), short(s.Class), short(o.ID), k.line(&o.ID), a, short(o.Class))
				}
			}
			at[a] = append(at[a], s)
		}
	}
}

// defaultClass: exactly one class of a line takes what nothing else assigns, and there are no more than a far end counts.
func (k *checker) defaultClass(l *Line) {
	number := 0
	var defaults []*Class
	for i := range k.c.Classes {
		c := &k.c.Classes[i]
		if _, on := k.c.On(c, l); !on || l.ID == "" {
			continue
		}
		if number++; number == bandwidth.MaxClasses+1 {
			k.at(&c.ID, "class %q: line %q has %d classes already: join some, or give some other lines", short(c.ID), short(l.ID), bandwidth.MaxClasses)
		}
		if c.Default {
			defaults = append(defaults, c)
		}
	}
	if number > 0 && len(defaults) == 0 {
		k.at(l, "line %q: none of its classes is the default: write default: true at the one that takes what no communication assigns", short(l.ID))
	}
	for _, c := range defaults[min(1, len(defaults)):] {
		k.at(&c.Default, "class %q: line %q already has the default class %q (line %d): only one takes what no communication assigns", short(c.ID), short(l.ID), short(defaults[0].ID), k.line(&defaults[0].Default))
	}
}

// admission refuses what a line cannot keep, at the last class that promises it.
func (k *checker) admission(l *Line) {
	if l.ID == "" || l.Rate == 0 {
		return
	}
	for _, a := range k.c.Admission(l) {
		if a.Over() == 0 {
			continue
		}
		last := a.Terms[len(a.Terms)-1]
		var at any = &last.Class.Guarantee
		for i := range last.Class.Lines {
			if on := &last.Class.Lines[i]; on.Line == l.ID && on.Guarantee != 0 {
				at = &on.Guarantee
			}
		}
		k.at(at, "line %q: the guarantees exceed the line: %s: take %s off", short(l.ID), a, shown(a.Over()))
		return // downwards, it is the same fault
	}
}
