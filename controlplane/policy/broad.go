package policy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// broad finds records that permit more than one can oversee. Each reason is a finding of its own, for each has its own remedy.
func (h *hygiene) broad(c *config.Communication) {
	if h.over(c) {
		return
	}
	for _, id := range c.From.Segments {
		h.record(Broad, c, "name the stations that need it, or a group of them", "record %s lets all of segment %s open, whoever is there", c.ID, id)
	}
	for _, p := range c.To.Prefixes {
		if n := size(p); n.hi > 0 || n.lo > uint64(h.limits.Addresses) {
			h.record(Broad, c, "name the services behind it, or a smaller prefix", "record %s opens %s, more than %d addresses", c.ID, p, h.limits.Addresses)
		}
	}
	for _, p := range h.names.ports(c) {
		switch n := int(p.Hi) - int(p.Lo) + 1; {
		case n > h.limits.Ports:
			h.record(Broad, c, "name the ports that are used; the application's vendor knows them", "record %s opens %s, %d ports", c.ID, p, n)
		case p.Proto == "esp" || p.Proto == "ah" || p.Proto == "gre":
			h.record(Broad, c, "let the tunnel end before the gate, so that what it carries needs records of its own", "record %s opens %s, which carries anything else within", c.ID, p)
		}
	}
	if from, to := h.names.zones(h.cfg, c); c.Until.IsZero() && c.Window == "" && !slices.Equal(from, to) {
		h.record(Broad, c, "write until: with the end of the fiscal year or the contract, or a window", "record %s lets %s open towards %s at any time, without end", c.ID, zoneNames(from), zoneNames(to))
	}
}

// ports are those of the record, or of the services that it opens, each once.
func (d directory) ports(c *config.Communication) []config.PortSpec {
	if len(c.Ports) > 0 {
		return c.Ports
	}
	var out []config.PortSpec
	add := func(id string) {
		if s := d.services[id]; s != nil {
			for _, p := range s.Ports {
				if !slices.Contains(out, p) {
					out = append(out, p)
				}
			}
		}
	}
	each(c.To.Services, add)
	for _, id := range c.To.Groups {
		if g := d.groups[id]; g != nil {
			each(g.Services, add)
		}
	}
	return out
}

// zones of a record's two sides, in order, each once.
func (d directory) zones(cfg *config.Config, c *config.Communication) (from, to []anchors.Zone) {
	add := func(side *[]anchors.Zone, segment string) {
		if s := d.segments[segment]; s != nil && !slices.Contains(*side, s.Zone) {
			*side = append(*side, s.Zone)
		}
	}
	station := func(side *[]anchors.Zone) func(string) {
		return func(id string) {
			if s := d.stations[id]; s != nil {
				add(side, s.Segment)
			}
		}
	}
	service := func(id string) {
		if s := d.services[id]; s != nil {
			add(&to, s.Segment)
		}
	}
	each(c.From.Stations, station(&from))
	each(c.From.Segments, func(id string) { add(&from, id) })
	each(c.To.Stations, station(&to))
	each(c.To.Services, service)
	for _, id := range c.From.Groups {
		if g := d.groups[id]; g != nil {
			each(g.Stations, station(&from))
		}
	}
	for _, id := range c.To.Groups {
		if g := d.groups[id]; g != nil {
			each(g.Stations, station(&to))
			each(g.Services, service)
		}
	}
	for _, p := range c.To.Prefixes {
		for _, s := range d.around(cfg, p) {
			add(&to, s.ID)
		}
	}
	slices.Sort(from)
	slices.Sort(to)
	return from, to
}

func zoneNames(zones []anchors.Zone) string {
	var out []string
	for _, z := range zones {
		out = append(out, z.String())
	}
	return strings.Join(out, " and ")
}

// around are the segments that hold a prefix.
func (d directory) around(cfg *config.Config, p netip.Prefix) (out []*config.Segment) {
	for i := range cfg.Segments {
		s := &cfg.Segments[i]
		if slices.ContainsFunc(s.Prefixes, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) }) {
			out = append(out, s)
		}
	}
	return out
}
