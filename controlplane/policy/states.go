package policy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// States counts the records by state; those without one are active.
func States(cfg *config.Config) map[config.State]int {
	out := map[config.State]int{}
	for i := range cfg.Communications {
		if c := &cfg.Communications[i]; c.Active() {
			out[config.Active]++
		} else {
			out[c.State]++
		}
	}
	return out
}

// Expired gives the active records whose time is over at that moment. Their cells stay in the tables and permit nothing any more.
func Expired(cfg *config.Config, now time.Time) []*config.Communication {
	var out []*config.Communication
	for i := range cfg.Communications {
		if c := &cfg.Communications[i]; c.Active() && !c.Until.IsZero() && c.Until.End() <= now.Unix()/60 {
			out = append(out, c)
		}
	}
	return out
}

// asleep finds a communication that is not active and would permit the packet if it were; nil = none.
func asleep(cfg *config.Config, q model.Query) *config.Communication {
	src, dst := placeOf(cfg, q.Src), placeOf(cfg, q.Dst)
	for i := range cfg.Communications {
		c := &cfg.Communications[i]
		if !c.Active() && src.opens(&c.From) && dst.opened(c, q) {
			return c
		}
	}
	return nil
}

// whereabouts are the names under which communications can mean an address.
type whereabouts struct {
	addr                       netip.Addr
	segments, stations, groups []string
	services                   []*config.Service
}

func placeOf(cfg *config.Config, a netip.Addr) whereabouts {
	w := whereabouts{addr: a}
	for i := range cfg.Segments {
		if s := &cfg.Segments[i]; slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
			w.segments = append(w.segments, s.ID)
		}
	}
	for i := range cfg.Stations {
		if s := &cfg.Stations[i]; slices.Contains(s.Addresses, a) {
			w.stations = append(w.stations, s.ID)
		}
	}
	for i := range cfg.Services {
		if s := &cfg.Services[i]; slices.Contains(s.Addresses, a) {
			w.services = append(w.services, s)
		}
	}
	for i := range cfg.Groups {
		if g := &cfg.Groups[i]; meet(g.Stations, w.stations) || slices.ContainsFunc(w.services, func(s *config.Service) bool { return slices.Contains(g.Services, s.ID) }) {
			w.groups = append(w.groups, g.ID)
		}
	}
	return w
}

func (w whereabouts) opens(f *config.From) bool {
	return meet(f.Segments, w.segments) || meet(f.Stations, w.stations) || meet(f.Groups, w.groups)
}

func (w whereabouts) opened(c *config.Communication, q model.Query) bool {
	inGroup := meet(c.To.Groups, w.groups)
	for _, s := range w.services {
		ports := c.Ports
		if len(ports) == 0 {
			ports = s.Ports
		}
		if (inGroup || slices.Contains(c.To.Services, s.ID)) && names(ports, q) {
			return true
		}
	}
	return names(c.Ports, q) && (inGroup && len(w.stations) > 0 || meet(c.To.Stations, w.stations) ||
		slices.ContainsFunc(c.To.Prefixes, func(p netip.Prefix) bool { return p.Contains(w.addr) }))
}

func names(ports []config.PortSpec, q model.Query) bool {
	return slices.ContainsFunc(ports, func(p config.PortSpec) bool {
		return slices.ContainsFunc(p.Ranges(), func(r config.Range) bool { return r.Proto == q.Proto && r.Lo <= q.DPort && q.DPort <= r.Hi })
	})
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
