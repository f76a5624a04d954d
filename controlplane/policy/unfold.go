package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Unfolded is what a record became in the tables: from these classes to those, on these port classes, by these cells.
type Unfolded struct {
	Record string       `json:"record"`
	State  config.State `json:"state"` // what is not active became nothing
	From   []ClassView  `json:"from"`
	To     []ClassView  `json:"to"`
	Ports  []PortView   `json:"ports"`
	Rules  []RuleView   `json:"rules"`
	Cells  []CellView   `json:"cells"`
}

// ClassView is a class of addresses that all records treat alike.
type ClassView struct {
	Class    uint16         `json:"class"`
	Segment  string         `json:"segment"`
	Zone     anchors.Zone   `json:"zone"`
	Hosts    []HostView     `json:"hosts,omitempty"`
	Prefixes []netip.Prefix `json:"prefixes,omitempty"` // without what other classes catch of them
}

// HostView is one address and who has it.
type HostView struct {
	Addr  netip.Addr `json:"addr"`
	Names []string   `json:"names,omitempty"` // stations and services; none: the gate's own, a router's, a portal's
}

// PortView is a class of ports that all records treat alike.
type PortView struct {
	Class uint16 `json:"class"`
	Ports string `json:"ports"` // as records write them
}

// RuleView is when cells are in force, and by which records.
type RuleView struct {
	Rule  uint32     `json:"rule"`
	Times []TimeView `json:"times"`          // in force in any of them
	With  []string   `json:"with,omitempty"` // the other records of its cells
}

// TimeView is one time: all of its parts hold.
type TimeView struct {
	Rule   uint32 `json:"rule"`
	From   string `json:"from,omitempty"`   // first minute, Japan's time
	Before string `json:"before,omitempty"` // first minute no longer
	Window string `json:"window,omitempty"`
}

func (t TimeView) String() string {
	var parts []string
	if t.From != "" {
		parts = append(parts, "from "+t.From)
	}
	if t.Before != "" {
		parts = append(parts, "before "+t.Before)
	}
	if t.Window != "" {
		parts = append(parts, "in window "+t.Window)
	}
	if parts == nil {
		return "always"
	}
	return strings.Join(parts, " ")
}

// CellView is one cell of the tables.
type CellView struct {
	From  uint16 `json:"from"`
	To    uint16 `json:"to"`
	Port  uint16 `json:"port"`
	Rule  uint32 `json:"rule"`
	Class string `json:"class,omitempty"` // bandwidth class: that of the record which the rule names first; empty: the line's default
}

// Unfold shows what the compiler made of a record of the configuration, or of one of the gate's own. The order is that of the
// tables. The error says that there is no such record.
func Unfold(cfg *config.Config, t *packet.Tables, id string) (Unfolded, error) {
	u := Unfolded{Record: id, State: config.Active, From: []ClassView{}, To: []ClassView{}, Ports: []PortView{}, Rules: []RuleView{}, Cells: []CellView{}}
	known := slices.IndexFunc(cfg.Communications, func(c config.Communication) bool { return c.ID == id })
	if known >= 0 && !cfg.Communications[known].Active() {
		u.State = cfg.Communications[known].State
	}
	rules := make(map[uint32]*packet.Rule, len(t.Rules))
	for i := range t.Rules {
		rules[t.Rules[i].ID] = &t.Rules[i]
	}
	v := newViews(cfg, t)
	from, to, ports, book := map[uint16]bool{}, map[uint16]bool{}, map[uint16]bool{}, map[uint32]bool{}
	for _, c := range t.Cells {
		r := rules[c.Rule]
		if r == nil || !slices.Contains(r.Records, id) {
			continue
		}
		u.Cells = append(u.Cells, CellView{From: c.Src, To: c.Dst, Port: c.Port, Rule: c.Rule, Class: v.bandwidth(c.BWClass)})
		from[c.Src], to[c.Dst], ports[c.Port] = true, true, true
		if !book[c.Rule] {
			book[c.Rule] = true
			u.Rules = append(u.Rules, v.rule(rules, r, id))
		}
	}
	if known < 0 && len(u.Cells) == 0 {
		return u, fmt.Errorf("there is no record %q%s", id, config.Suggest(id, ids(cfg)))
	}
	for _, c := range t.Classes {
		if from[c.ID] {
			u.From = append(u.From, v.class(c))
		}
		if to[c.ID] {
			u.To = append(u.To, v.class(c))
		}
	}
	for n := range uint16(len(v.ports) + 1) {
		if ports[n] {
			u.Ports = append(u.Ports, PortView{n, v.services(n)})
		}
	}
	return u, nil
}

func ids(cfg *config.Config) []string {
	out := make([]string, len(cfg.Communications))
	for i := range cfg.Communications {
		out[i] = cfg.Communications[i].ID
	}
	return out
}

// views turn numbers of the tables into what people call them.
type views struct {
	members
	cfg   *config.Config
	names map[netip.Addr][]string
	segs  map[uint16]packet.Segment
}

func newViews(cfg *config.Config, t *packet.Tables) views {
	v := views{newMembers(t), cfg, map[netip.Addr][]string{}, map[uint16]packet.Segment{}}
	name := func(id string, addrs []netip.Addr) {
		for _, a := range addrs {
			if !slices.Contains(v.names[a], id) {
				v.names[a] = append(v.names[a], id)
			}
		}
	}
	for _, s := range cfg.Stations {
		name(s.ID, s.Addresses)
	}
	for _, s := range cfg.Services {
		name(s.ID, s.Addresses)
	}
	for _, s := range t.Segments {
		v.segs[s.ID] = s
	}
	return v
}

func (v views) class(c packet.Class) ClassView {
	s := v.segs[c.Segment]
	out := ClassView{Class: c.ID, Segment: s.Name, Zone: s.Zone, Prefixes: v.prefixes[c.ID]}
	for _, a := range v.hosts[c.ID] {
		out.Hosts = append(out.Hosts, HostView{a, v.names[a]})
	}
	return out
}

func (v views) bandwidth(n uint8) string {
	if n == 0 || int(n) > len(v.cfg.Classes) {
		return ""
	}
	return v.cfg.Classes[n-1].ID
}

// rule follows the chain of a rule: the first names all records of its cells.
func (v views) rule(rules map[uint32]*packet.Rule, r *packet.Rule, id string) RuleView {
	out := RuleView{Rule: r.ID, With: slices.DeleteFunc(slices.Clone(r.Records), func(s string) bool { return s == id })}
	for ; r != nil; r = rules[r.Next] {
		t := TimeView{Rule: r.ID}
		if r.From != 0 {
			t.From = minuteText(r.From)
		}
		if r.Until != 0 {
			t.Before = minuteText(r.Until)
		}
		if n := int(r.Window); n > 0 && n <= len(v.cfg.Windows) {
			t.Window = v.cfg.Windows[n-1].ID
		}
		out.Times = append(out.Times, t)
	}
	return out
}

func minuteText(minute int64) string {
	return time.Unix(60*minute, 0).In(time.FixedZone("JST", 60*ahead)).Format("2006-01-02 15:04")
}
