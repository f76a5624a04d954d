package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
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
		c := &k.c.Classes[i]
		what := fmt.Sprintf("class %q", short(c.ID))
		l := refer(k, &c.Line, "line", k.lines)
		if c.Priority > 7 {
			k.at(&c.Priority, "%s: priority %d: want 0 (first) to 7 (last)", what, c.Priority)
		}
		if c.Guarantee > 0 && c.Ceiling > 0 && c.Ceiling < c.Guarantee {
			k.at(&c.Ceiling, "%s: ceiling %s is less than its guarantee %s: raise it to %s or more", what, c.Ceiling, c.Guarantee, c.Guarantee)
		}
		if l != nil && l.Rate > 0 && c.Ceiling > l.Rate {
			k.at(&c.Ceiling, "%s: ceiling %s is more than line %q carries (%s): lower it to %s or less", what, c.Ceiling, l.ID, l.Rate, l.Rate)
		}
	}
	for i := range k.c.Lines {
		k.shares(&k.c.Lines[i])
	}
}

// shares checks that a line can keep what its classes promise, and that exactly one class takes what no record assigns.
func (k *checker) shares(l *Line) {
	var sum Rate
	var terms []string
	var last *Class
	var defaults []*Class
	for i := range k.c.Classes {
		c := &k.c.Classes[i]
		if c.Line != l.ID || l.ID == "" {
			continue
		}
		sum += c.Guarantee
		terms = append(terms, fmt.Sprintf("%s %s", short(c.ID), c.Guarantee))
		last = c
		if c.Default {
			defaults = append(defaults, c)
		}
	}
	if last == nil {
		return
	}
	if l.Rate > 0 && sum > l.Rate {
		k.at(&last.Guarantee, "line %q: the guarantees exceed the line: %s = %s, but the line carries %s: take %s off", short(l.ID), strings.Join(terms, " + "), sum, l.Rate, sum-l.Rate)
	}
	if len(defaults) == 0 {
		k.at(l, "line %q: none of its classes is the default: write default: true at the one that takes what no communication assigns", short(l.ID))
	}
	for _, c := range defaults[min(1, len(defaults)):] {
		k.at(&c.Default, "class %q: line %q already has the default class %q (line %d): only one takes what no communication assigns", short(c.ID), short(l.ID), short(defaults[0].ID), k.line(&defaults[0].Default))
	}
}

func (k *checker) tunnelsAndRegions() {
	carries := map[string]*Tunnel{}
	for i := range k.c.Tunnels {
		t := &k.c.Tunnels[i]
		refer(k, &t.Line, "line", k.lines)
		if first := carries[t.Line]; first != nil && t.Line != "" {
			k.at(&t.Line, "tunnel %q: line %q already carries tunnel %q (line %d): one line, one device, regions as its peers", short(t.ID), short(t.Line), short(first.ID), k.line(&first.Line))
		} else {
			carries[t.Line] = t
		}
		if k.good(&t.Listen) && t.Listen == 0 {
			k.at(&t.Listen, "tunnel %q: listen port 0: want 1 to 65535, like 51820", short(t.ID))
		}
		if t.MTU != 0 && (t.MTU < 1280 || t.MTU > 8896) {
			k.at(&t.MTU, "tunnel %q: MTU %d: want 1280 to 8896 bytes, or no mtu for the line's less 80", short(t.ID), t.MTU)
		}
	}
	keys, ends := map[PublicKey]*Region{}, map[string]*Region{}
	served := map[string]bool{}
	for i := range k.c.Regions {
		r := &k.c.Regions[i]
		served[r.ID] = true
		k.region(r)
		if first := keys[r.PublicKey]; first != nil && r.PublicKey != "" {
			k.at(&r.PublicKey, "region %q: its public key is that of region %q (line %d): every far end has its own", short(r.ID), short(first.ID), k.line(&first.PublicKey))
		} else {
			keys[r.PublicKey] = r
		}
		end := r.Tunnel + " " + r.Endpoint.String()
		if first := ends[end]; first != nil && r.Endpoint.IsValid() {
			k.at(&r.Endpoint, "region %q: endpoint %s is that of region %q (line %d)", short(r.ID), r.Endpoint, short(first.ID), k.line(&first.Endpoint))
		} else {
			ends[end] = r
		}
	}
	for i := range k.c.Segments {
		if s := &k.c.Segments[i]; s.Tunnel != "" && s.ID != "" && !served[s.ID] {
			k.at(&s.Tunnel, "segment %q hangs on tunnel %s, but there is no region %q: add it under regions", short(s.ID), short(s.Tunnel), short(s.ID))
		}
	}
}

func (k *checker) region(r *Region) {
	what := fmt.Sprintf("region %q", short(r.ID))
	t := refer(k, &r.Tunnel, "tunnel", k.tunnels)
	s := k.segments[r.ID]
	switch {
	case r.ID == "":
	case s == nil:
		k.at(&r.ID, "%s: there is no segment of that id with tunnel: %s: add it under segments", what, short(r.Tunnel))
	case s.Tunnel != r.Tunnel:
		k.at(&r.Tunnel, "%s: its segment hangs on tunnel %q (line %d), not %q", what, short(s.Tunnel), k.line(s), short(r.Tunnel))
	}
	if t != nil && r.Endpoint.IsValid() {
		if l := k.lines[t.Line]; l != nil {
			k.endpoint(r, k.segments[l.Segment], what)
		}
	}
	if s == nil || !k.plainAddr(&r.Probe, what+" probe") {
		return
	}
	if !holds(s.Prefixes, r.Probe) {
		k.at(&r.Probe, "%s: probe target %s lies outside its segment (%s)%s", what, r.Probe, within(s), k.elsewhere(r.Probe))
	}
	if o, used := k.addrs[r.Probe]; used && o.what == "the gate in segment" {
		k.at(&r.Probe, "%s: probe target %s is the gate's own address (line %d): want one of the far end", what, r.Probe, o.line)
	}
	for _, g := range s.Gate {
		if g.Is4() == r.Probe.Is4() {
			return
		}
	}
	k.at(&r.Probe, "%s: the probe needs a source: give segment %q a gate address of the same IP version", what, s.ID)
}

func (k *checker) endpoint(r *Region, line *Segment, what string) {
	a := r.Endpoint.Addr()
	switch {
	case line == nil:
	case r.Endpoint.Port() == 0 || a.Zone() != "":
		k.at(&r.Endpoint, "%s: endpoint %s: want an address and a port from 1 to 65535", what, r.Endpoint)
	case !holds(line.Prefixes, a):
		k.at(&r.Endpoint, "%s: endpoint %s lies outside segment %s (%s), which carries the tunnel; add its prefix there, behind the carrier's router", what, a, line.ID, within(line))
	case k.addrs[a].what == "the gate in segment":
		k.at(&r.Endpoint, "%s: endpoint %s is the gate's own address (line %d)", what, a, k.addrs[a].line)
	case !slices.ContainsFunc(line.Gate, func(g netip.Addr) bool { return g.Is4() == a.Is4() }):
		k.at(&r.Endpoint, "%s: the gate has no address of the IP version of %s in segment %s", what, a, line.ID)
	}
}
