package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Usage is what control saw being used, by id. It remembers days, not moments.
type Usage struct {
	Records  map[string]Use `json:"records"`
	Stations map[string]Use `json:"stations"`
}

// Use is how something was used.
type Use struct {
	First   time.Time `json:"first"`         // since when somebody watches
	Last    time.Time `json:"last,omitzero"` // zero: never since
	Packets uint64    `json:"packets"`       // of a record, under the policy in force
	Bytes   uint64    `json:"bytes"`
}

// used finds records that nobody uses. What was watched for less than the limit is given time.
func (h *hygiene) used(c *config.Communication) {
	if h.usage == nil || h.over(c) {
		return
	}
	use, watched := h.usage.Records[c.ID]
	if !watched {
		return
	}
	from := use.First
	if !c.Since.IsZero() { // it could not be used before
		if since := time.Unix(60*c.Since.Begin(), 0); since.After(from) {
			from = since
		}
	}
	switch days := h.days(use.Last); {
	case use.Last.IsZero() && h.days(from) >= h.limits.UnusedDays:
		h.record(NeverUsed, c, "ask its owner; set its state to suspended, and take it out when nobody misses it", "record %s let no packet pass in the %d days that it was watched", c.ID, h.days(from))
	case !use.Last.IsZero() && days >= h.limits.UnusedDays:
		h.record(NotUsed, c, "ask its owner; set its state to suspended, and take it out when nobody misses it", "record %s let no packet pass for %d days", c.ID, days)
	}
}

// days since a moment, whole ones.
func (h *hygiene) days(t time.Time) int { return int(h.at.Sub(t) / (24 * time.Hour)) }

// unseen finds registered stations that send nothing any more.
func (h *hygiene) unseen() {
	if h.usage == nil {
		return
	}
	for i := range h.cfg.Stations {
		s := &h.cfg.Stations[i]
		use, watched := h.usage.Stations[s.ID]
		f := Finding{Kind: UnseenStation, Stations: []string{s.ID}, Segments: []string{s.Segment}, Remedy: "ask " + whose(s.Owner) + " whether it is still there; a station that is gone must not stay registered"}
		switch {
		case !watched:
		case use.Last.IsZero() && h.days(use.First) >= h.limits.UnusedDays:
			h.add(f, s, "station %s was never seen in the %d days that it was watched", s.ID, h.days(use.First))
		case !use.Last.IsZero() && h.days(use.Last) >= h.limits.UnusedDays:
			h.add(f, s, "station %s was not seen for %d days", s.ID, h.days(use.Last))
		}
	}
}

func whose(owner string) string {
	if owner == "" {
		return "around"
	}
	return owner
}

// unused finds what no record names.
func (h *hygiene) unused() {
	named := h.names.named(h.cfg)
	for i := range h.cfg.Segments {
		s := &h.cfg.Segments[i]
		if !named.segments[s.ID] && !onlyGate(s) {
			h.add(Finding{Kind: UnusedSegment, Segments: []string{s.ID}, Remedy: "take it out, here and in the anchors, if nothing needs to cross; else write its records"},
				s, "segment %s: no active record begins or ends there", s.ID)
		}
	}
	var nobodys []string
	for i := range h.cfg.Stations {
		s := &h.cfg.Stations[i]
		if !named.stations[s.ID] {
			remedy := "take it out, or name it in the record that it needs"
			if named.reach[s.Segment] {
				remedy += "; leave it if it only opens the portal"
			}
			h.add(Finding{Kind: UnusedStation, Stations: []string{s.ID}, Segments: []string{s.Segment}, Remedy: remedy},
				s, "station %s is registered, and no active record names it", s.ID)
		}
		if s.Owner == "" {
			nobodys = append(nobodys, s.ID)
		}
	}
	if len(nobodys) > 0 {
		shown := nobodys[:min(len(nobodys), 5)]
		h.add(Finding{Kind: NoOwner, Stations: nobodys, Remedy: "write owner: with the section that each stands in"},
			h.names.stations[nobodys[0]], "%d stations belong to no section: %s%s", len(nobodys), strings.Join(shown, ", "), dots(len(nobodys) > len(shown)))
	}
	for i := range h.cfg.Services {
		if s := &h.cfg.Services[i]; !named.services[s.ID] {
			h.add(Finding{Kind: UnusedService, Services: []string{s.ID}, Segments: []string{s.Segment}, Remedy: "take it out, or name it in the record that needs it"},
				s, "service %s: no active record opens it", s.ID)
		}
	}
	for i := range h.cfg.Groups {
		if g := &h.cfg.Groups[i]; !named.groups[g.ID] {
			h.add(Finding{Kind: UnusedGroup, Groups: []string{g.ID}, Remedy: "take it out, or name it in a record"}, g, "group %s: no active record names it", g.ID)
		}
	}
}

// onlyGate tells a segment that holds only the gate's own traffic: records do not name it.
func onlyGate(s *config.Segment) bool { return s.Portal || s.Zone == anchors.Uplink }

func dots(more bool) string {
	if more {
		return ", …"
	}
	return ""
}

// directory finds the things of a configuration by name.
type directory struct {
	segments map[string]*config.Segment
	stations map[string]*config.Station
	services map[string]*config.Service
	groups   map[string]*config.Group
}

func newDirectory(cfg *config.Config) directory {
	d := directory{map[string]*config.Segment{}, map[string]*config.Station{}, map[string]*config.Service{}, map[string]*config.Group{}}
	for i := range cfg.Segments {
		d.segments[cfg.Segments[i].ID] = &cfg.Segments[i]
	}
	for i := range cfg.Stations {
		d.stations[cfg.Stations[i].ID] = &cfg.Stations[i]
	}
	for i := range cfg.Services {
		d.services[cfg.Services[i].ID] = &cfg.Services[i]
	}
	for i := range cfg.Groups {
		d.groups[cfg.Groups[i].ID] = &cfg.Groups[i]
	}
	return d
}

// naming is what active records name, directly, in a group, or by the whole segment.
type naming struct {
	segments, stations, services, groups map[string]bool
	reach                                map[string]bool // segments that may open a portal
}

func (d directory) named(cfg *config.Config) naming {
	n := naming{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	whole := map[string]bool{} // segments of which every station is named
	hosts := map[string]bool{} // addresses of services, whose hosts may be registered as stations
	station := func(id string) {
		if s := d.stations[id]; s != nil {
			n.stations[id], n.segments[s.Segment] = true, true
		}
	}
	service := func(id string) {
		if s := d.services[id]; s != nil {
			n.services[id], n.segments[s.Segment] = true, true
			for _, a := range s.Addresses {
				hosts[a.String()] = true
			}
		}
	}
	segment := func(id string) { n.segments[id], whole[id] = true, true }
	group := func(id string) {
		if g := d.groups[id]; g != nil {
			n.groups[id] = true
			each(g.Stations, station)
			each(g.Services, service)
		}
	}
	for i := range cfg.Communications {
		c := &cfg.Communications[i]
		if !c.Active() {
			continue
		}
		each(c.From.Stations, station)
		each(c.From.Groups, group)
		each(c.From.Segments, segment)
		each(c.To.Stations, station)
		each(c.To.Services, service)
		each(c.To.Groups, group)
		for _, p := range c.To.Prefixes {
			for _, s := range d.around(cfg, p) {
				n.segments[s.ID] = true
			}
			for j := range cfg.Stations {
				if s := &cfg.Stations[j]; slices.ContainsFunc(s.Addresses, p.Contains) {
					station(s.ID)
				}
			}
		}
	}
	for i := range cfg.Portals {
		each(cfg.Portals[i].Reach, func(id string) {
			n.segments[id] = true
			n.reach[id] = true
			if s := d.segments[id]; s != nil && s.Zone == anchors.Management {
				whole[id] = true // no record can name what stands there (I13)
			}
		})
	}
	for i := range cfg.Stations {
		s := &cfg.Stations[i]
		for _, a := range s.Addresses {
			n.stations[s.ID] = n.stations[s.ID] || whole[s.Segment] || hosts[a.String()]
		}
	}
	return n
}

func each(list []string, do func(string)) {
	for _, s := range list {
		do(s)
	}
}
