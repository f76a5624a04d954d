package difference

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
)

// Name is what people call addresses.
type Name struct {
	Kind      string      `json:"kind"` // segment, group, station, service, gate, or address: they have no other name
	ID        string      `json:"id,omitempty"`
	Name      config.Text `json:"name,omitzero"`
	Addresses string      `json:"addresses"`

	addrs space.Addrs
	whole space.Addrs // of a segment, with the gate's own addresses: what people know it by
}

// namer finds names in one document.
type namer struct {
	whole  []Name // segments without the gate's own addresses, gates
	groups []group
	hosts  []Name // services and stations
	at     map[netip.Addr]int
}

type group struct {
	Name
	members []string // kind and id
}

func newNamer(d *reading.Document) *namer {
	n := &namer{at: map[netip.Addr]int{}}
	c := d.Config
	for i := range c.Segments {
		s := &c.Segments[i]
		gate := space.Single(s.Gate...)
		n.whole = append(n.whole, Name{Kind: "segment", ID: s.ID, Name: s.Name, addrs: d.SegmentAddrs(i).Minus(gate), whole: d.SegmentAddrs(i)}, Name{Kind: "gate", ID: s.ID, Name: s.Name, addrs: gate})
	}
	add := func(kind, id string, name config.Text, addrs []netip.Addr) {
		for _, a := range addrs {
			n.at[a] = len(n.hosts)
		}
		n.hosts = append(n.hosts, Name{Kind: kind, ID: id, Name: name, addrs: space.Single(addrs...)})
	}
	for i := range c.Stations {
		add("station", c.Stations[i].ID, c.Stations[i].Name, c.Stations[i].Addresses)
	}
	for i := range c.Services {
		add("service", c.Services[i].ID, c.Services[i].Name, c.Services[i].Addresses)
	}
	for i := range c.Groups {
		g := group{Name: Name{Kind: "group", ID: c.Groups[i].ID, Name: c.Groups[i].Name}}
		for _, id := range c.Groups[i].Stations {
			g.members = append(g.members, "station "+id)
		}
		for _, id := range c.Groups[i].Services {
			g.members = append(g.members, "service "+id)
		}
		if len(g.members) > 1 {
			n.groups = append(n.groups, g)
		}
	}
	return n
}

// of is who has an address.
func (n *namer) of(a netip.Addr) Name {
	if i, ok := n.at[a]; ok {
		return n.hosts[i]
	}
	for _, w := range n.whole {
		if w.Kind == "gate" && w.addrs.Contains(a) {
			return w
		}
	}
	return Name{Kind: "address", Addresses: a.String()}
}

// names tells a set of addresses: whole segments first, then groups, stations and services that it holds wholly, as far as the IP
// versions in it go; the rest by its addresses.
func (n *namer) names(all space.Addrs) []Name {
	var versions []space.Family
	for _, f := range space.Families {
		if len(space.OfFamily(all, f)) > 0 {
			versions = append(versions, f)
		}
	}
	part := func(a space.Addrs) (out space.Addrs) {
		for _, f := range versions {
			out = append(out, space.OfFamily(a, f)...)
		}
		return out
	}
	var out []Name
	rest := all
	take := func(w Name) bool {
		mine := part(w.addrs)
		if len(mine) == 0 || !mine.Within(rest) {
			return false
		}
		rest = rest.Minus(mine)
		w.addrs, w.whole = mine, part(w.whole)
		w.Addresses = w.text()
		out = append(out, w)
		return true
	}
	for _, w := range n.whole {
		take(w)
	}
	var single []Name
	whole := out
	out = nil
	for _, i := range n.within(rest) {
		take(n.hosts[i])
	}
	single, out = out, whole
	for _, g := range n.groups {
		has := func(m string) bool {
			return slices.ContainsFunc(single, func(s Name) bool { return s.Kind+" "+s.ID == m })
		}
		if slices.ContainsFunc(g.members, func(m string) bool { return !has(m) }) {
			continue
		}
		single = slices.DeleteFunc(single, func(s Name) bool {
			if !slices.Contains(g.members, s.Kind+" "+s.ID) {
				return false
			}
			g.addrs = g.addrs.Union(s.addrs)
			return true
		})
		g.Addresses = short(g.addrs)
		out = append(out, g.Name)
	}
	out = append(out, single...)
	if len(rest) > 0 {
		out = append(out, Name{Kind: "address", Addresses: short(rest), addrs: rest})
	}
	return out
}

// within lists the hosts that have an address in the set, in their order.
func (n *namer) within(a space.Addrs) []int {
	seen := map[int]bool{}
	for _, v := range a {
		one := v.Lo
		for range 1 << 12 {
			if i, ok := n.at[one]; ok {
				seen[i] = true
			}
			if one == v.Hi {
				break
			}
			one = one.Next()
		}
	}
	var out []int
	for i := range seen {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

// short names addresses; of many, the first.
func short(a space.Addrs) string {
	const most = 6
	if len(a) <= most {
		return space.Text(a)
	}
	return space.Text(a[:most]) + ", …"
}

// tell gives a part its names.
func (n *namer) tell(p *Part) {
	p.From, p.To = n.names(p.Box.From), n.names(p.Box.To)
	p.Ports = ports(p.Box.Ports)
	p.Times = times(p.Box.Times)
}

// ports are written as in configurations.
func ports(p space.Ports) []string {
	out := strings.Split(space.PortsText(p), ", ")
	if four, six := slices.Index(out, "icmp/8"), slices.Index(out, "icmp6/128"); four >= 0 && six >= 0 {
		out[four] = "icmp/echo"
		out = slices.Delete(out, six, six+1)
	}
	return out
}

// versions joins parts that say the same of the two IP versions of the same stations, services or segments.
func versions(in []Part) []Part {
	var out []Part
	for _, p := range in {
		i := slices.IndexFunc(out, func(q Part) bool { return twins(q, p) })
		if i < 0 {
			out = append(out, p)
			continue
		}
		q := &out[i]
		q.Box.From, q.Box.To, q.Box.Ports = q.Box.From.Union(p.Box.From), q.Box.To.Union(p.Box.To), q.Box.Ports.Union(p.Box.Ports)
		q.Ports = ports(q.Box.Ports)
		for j := range q.From {
			q.From[j] = joined(q.From[j], p.From[j])
		}
		for j := range q.To {
			q.To[j] = joined(q.To[j], p.To[j])
		}
	}
	return out
}

func joined(a, b Name) Name {
	a.addrs, a.whole = a.addrs.Union(b.addrs), a.whole.Union(b.whole)
	a.Addresses = a.text()
	return a
}

func (n *Name) text() string {
	if n.whole != nil {
		return short(n.whole)
	}
	return short(n.addrs)
}

// twins: the same names, times and records, and, but for the ICMP of each version, the same ports; one of IPv4, one of IPv6.
func twins(a, b Part) bool {
	alike := func(a, b []Name) bool {
		return slices.EqualFunc(a, b, func(x, y Name) bool { return x.Kind == y.Kind && x.ID == y.ID && x.Kind != "address" })
	}
	one := func(p Part) (space.Family, bool) {
		f := space.FamilyOf(p.Box.From[0].Lo)
		return f, len(space.OfFamily(p.Box.From, f)) == len(p.Box.From)
	}
	f, single := one(a)
	g, other := one(b)
	if !single || !other || f == g || !alike(a.From, b.From) || !alike(a.To, b.To) || !slices.Equal(a.Records, b.Records) || !a.Box.Times.Same(b.Box.Times) {
		return false
	}
	ports := a.Box.Ports.Union(b.Box.Ports)
	return space.Carried(ports, f).Equal(a.Box.Ports) && space.Carried(ports, g).Equal(b.Box.Ports)
}
