package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// checker looks at a decoded document as a whole. It works on documents with faults as well: what could not be decoded is
// zero, and zero values are not reported twice.
type checker struct {
	*source
	c *Config

	ports    map[string]*Port
	segments map[string]*Segment
	stations map[string]*Station
	services map[string]*Service
	groups   map[string]*Group
	windows  map[string]*Window
	classes  map[string]*Class
	lines    map[string]*Line
	tunnels  map[string]*Tunnel
	addrs    map[netip.Addr]owner
	macs     map[packet.MAC]owner
}

// owner is who uses an address or MAC.
type owner struct {
	what    string // "station", "service", ...
	id      string
	segment string
	line    int
	mac     packet.MAC
}

func (s *source) check(c *Config) {
	k := &checker{source: s, c: c, addrs: map[netip.Addr]owner{}, macs: map[packet.MAC]owner{}}
	k.head()
	k.names()
	k.portsAndSegments()
	k.overlaps()
	k.hosts()
	k.weeklyWindows()
	k.groupsAndCommunications()
	k.linesAndClasses()
	k.tunnelsAndRegions()
	k.portals()
	k.transfers()
	k.measures()
}

// Models of the national guideline.
var Models = []string{"alpha", "alpha-prime", "beta", "beta-prime"}

func (k *checker) head() {
	c := k.c
	if k.has(&c.Version) && c.Version != Version {
		k.at(&c.Version, "version %d: this program reads version %d", c.Version, Version)
	}
	if c.PickUp > anchors.MostPickUp || c.PickUp == 0 && k.good(&c.PickUp) {
		k.at(&c.PickUp, "pick-up-seconds: %d: connections may be picked up for 1 to %d seconds after a start: want that, or no pick-up-seconds for not at all", c.PickUp, anchors.MostPickUp)
	}
	if c.Model != "" && !slices.Contains(Models, c.Model) {
		k.at(&c.Model, "model: %q is not known: want one of %s%s", short(c.Model), strings.Join(Models, ", "), suggest(c.Model, Models, ""))
	}
}

var (
	idForm     = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)
	deviceForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,14}$`)
	dnsForm    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// names fills the indexes and refuses ids that are malformed, reserved or used twice.
func (k *checker) names() {
	k.ports = index(k, "port", k.c.Ports, func(p *Port) *string { return &p.ID })
	k.segments = index(k, "segment", k.c.Segments, func(s *Segment) *string { return &s.ID })
	k.stations = index(k, "station", k.c.Stations, func(s *Station) *string { return &s.ID })
	k.services = index(k, "service", k.c.Services, func(s *Service) *string { return &s.ID })
	k.groups = index(k, "group", k.c.Groups, func(g *Group) *string { return &g.ID })
	k.windows = index(k, "window", k.c.Windows, func(w *Window) *string { return &w.ID })
	index(k, "communication", k.c.Communications, func(c *Communication) *string { return &c.ID })
	k.classes = index(k, "class", k.c.Classes, func(c *Class) *string { return &c.ID })
	k.lines = index(k, "line", k.c.Lines, func(l *Line) *string { return &l.ID })
	k.tunnels = index(k, "tunnel", k.c.Tunnels, func(t *Tunnel) *string { return &t.ID })
	index(k, "region", k.c.Regions, func(r *Region) *string { return &r.ID })
	for i := range k.c.Ports {
		k.device(&k.c.Ports[i].ID, "port")
	}
	for i := range k.c.Tunnels {
		id := &k.c.Tunnels[i].ID
		k.device(id, "tunnel")
		if p := k.ports[*id]; *id != "" && p != nil {
			k.at(id, "tunnel %q: the name is that of a port (line %d): a tunnel is a device of its own", *id, k.line(&p.ID))
		}
	}
}

func index[T any](k *checker, kind string, list []T, idOf func(*T) *string) map[string]*T {
	m := make(map[string]*T, len(list))
	for i := range list {
		id := idOf(&list[i])
		if *id == "" {
			continue // missing or not text: said already
		}
		if strings.HasPrefix(*id, "gate:") {
			k.at(id, "%s %q: names that begin with gate: are reserved for the gate's own records", kind, short(*id))
		} else if !idForm.MatchString(*id) {
			k.at(id, "%s %q: an id has 1 to 63 small letters, digits, hyphens and dots, and begins and ends with a letter or digit", kind, short(*id))
		}
		if first, used := m[*id]; used {
			k.at(id, "%s %q is given twice (first in line %d): rename one", kind, short(*id), k.line(idOf(first)))
			continue
		}
		m[*id] = &list[i]
	}
	return m
}

// device refuses names that cannot be, or must not be, a network device's.
func (k *checker) device(id *string, kind string) {
	switch {
	case *id == "":
	case *id == "lo" || strings.HasPrefix(*id, "pt-"):
		k.at(id, "%s %q: lo and pt-… are reserved: the gate makes them itself", kind, *id)
	case !deviceForm.MatchString(*id) && idForm.MatchString(*id):
		k.at(id, "%s %q: a device name begins with a letter and has at most 15 small letters, digits and hyphens", kind, short(*id))
	}
}

// refer reports a name that leads nowhere.
func refer[T any](k *checker, ref *string, kind string, known map[string]*T) *T {
	if *ref == "" {
		return nil
	}
	if t, ok := known[*ref]; ok {
		return t
	}
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	k.at(ref, "there is no %s %q%s", kind, short(*ref), suggest(*ref, names, "; known are "))
	return nil
}

// Addresses that no station, service or segment can have.
var reserved = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "\"this network\" (0.0.0.0/8)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback (127.0.0.0/8)"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local (169.254.0.0/16)"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast (224.0.0.0/4)"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved (240.0.0.0/4)"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped (::ffff:0:0/96): write the IPv4 address itself"},
	{netip.MustParsePrefix("::/96"), "unspecified, loopback or IPv4-compatible (::/96)"},
	{netip.MustParsePrefix("fe80::/10"), "link-local (fe80::/10)"},
	{netip.MustParsePrefix("ff00::/8"), "multicast (ff00::/8)"},
}

// plainAddr reports addresses of special meaning.
func (k *checker) plainAddr(a *netip.Addr, what string) bool {
	if !a.IsValid() {
		return false
	}
	if a.Zone() != "" {
		k.at(a, "%s: %s: an address here has no zone: remove %%%s", what, a, a.Zone())
		return false
	}
	for _, r := range reserved {
		if r.prefix.Contains(*a) {
			k.at(a, "%s: %s is %s: want a unicast address", what, a, r.what)
			return false
		}
	}
	return true
}

// plainPrefix reports prefixes with host bits or of special meaning.
func (k *checker) plainPrefix(p *netip.Prefix, what string) bool {
	if !p.IsValid() {
		return false
	}
	for _, r := range reserved {
		if r.prefix.Overlaps(*p) || p.Addr().Is4In6() {
			k.at(p, "%s: %s reaches into %s: want unicast addresses only", what, p, r.what)
			return false
		}
	}
	if *p != p.Masked() {
		k.at(p, "%s: %s has bits set behind its length; did you mean %s?", what, p, p.Masked())
		return false
	}
	return true
}

// unicastMAC reports addresses that no single card has.
func (k *checker) unicastMAC(m *packet.MAC, what string) {
	switch {
	case !k.good(m):
	case m[0]&1 != 0:
		k.at(m, "%s: MAC %s is a group address: want the card's own, whose first byte is even", what, m)
	case m.IsZero():
		k.at(m, "%s: MAC 00:00:00:00:00:00 belongs to no card", what)
	}
}

// filled refuses a list without elements that needs some.
func (k *checker) filled(n int, list any, what, want string) {
	if n == 0 && k.good(list) {
		k.at(list, "%s: the list is empty: want %s", what, want)
	}
}

// within lists a segment's prefixes for a message.
func within(s *Segment) string {
	var out []string
	for _, p := range s.Prefixes {
		if p.IsValid() {
			out = append(out, p.String())
		}
	}
	return strings.Join(out, ", ")
}

func holds(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.IsValid() && p.Contains(a) })
}

func covers(list []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(list, func(q netip.Prefix) bool {
		return q.IsValid() && q.Bits() <= p.Bits() && q.Contains(p.Addr())
	})
}

// elsewhere tells which segment an address would lie in, for "did you mean".
func (k *checker) elsewhere(a netip.Addr) string {
	for i := range k.c.Segments {
		if s := &k.c.Segments[i]; holds(s.Prefixes, a) {
			return fmt.Sprintf("; it lies in segment %s", short(s.ID))
		}
	}
	return ""
}

// claim enters a single address for its user; services may share theirs with a station or service of the same segment.
func (k *checker) claim(a *netip.Addr, o owner) {
	o.line = k.line(a)
	first, used := k.addrs[*a]
	if !used {
		k.addrs[*a] = o
		return
	}
	hosts := func(w string) bool { return w == "station" || w == "service" }
	if hosts(o.what) && hosts(first.what) && (o.what == "service" || first.what == "service") && o.segment == first.segment && (first.id != o.id || first.what != o.what) {
		if !o.mac.IsZero() && !first.mac.IsZero() && o.mac != first.mac {
			k.at(a, "%s %q: address %s has MAC %s here and MAC %s for %s %q (line %d): one host has one", o.what, short(o.id), a, o.mac, first.mac, first.what, short(first.id), first.line)
		}
		if first.mac.IsZero() {
			first.mac = o.mac
			k.addrs[*a] = first
		}
		return
	}
	k.at(a, "%s %q: address %s is already that of %s %q (line %d)", o.what, short(o.id), a, first.what, short(first.id), first.line)
}
