package anchors

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one thing that differs between two anchors files.
type Change struct {
	Object string `json:"object"`         // "segment in-net", "tunnel wg0", "region tokyo", "nat tokyo 198.18.10.0/24", "service echo", "file"
	Field  string `json:"field"`          // as in the file; "": the whole object
	From   string `json:"from,omitempty"` // "": it was not there
	To     string `json:"to,omitempty"`
}

// String says it in words.
func (c Change) String() string {
	what := c.Object
	if c.Field != "" {
		what += ": " + c.Field
	}
	switch {
	case c.From == "":
		return what + " is new: " + c.To
	case c.To == "":
		return what + " is gone: " + c.From
	}
	return what + ": " + c.From + " becomes " + c.To
}

// Diff lists what differs from one file to another, object by object in the order of the files. Lists are compared without
// regard to order; of objects that are new or gone, the line says what binds them.
func Diff(from, to *Anchors) []Change {
	d := &differ{}
	d.field("file", "name", from.Name, to.Name)
	d.field("file", "pick-up-seconds", number(from.PickUp), number(to.PickUp))
	each(d, "segment", from.Segments, to.Segments, func(s *Segment) string { return s.ID }, segmentFields)
	if a, b := orderOf(from.Segments, to.Segments), orderOf(to.Segments, from.Segments); !slices.Equal(a, b) {
		d.field("file", "order of segments, and so their numbers", strings.Join(a, " "), strings.Join(b, " "))
	}
	each(d, "tunnel", from.Tunnels, to.Tunnels, func(t *Tunnel) string { return t.Device }, tunnelFields)
	each(d, "region", regions(from), regions(to), func(r *region) string { return r.ID }, regionFields)
	each(d, "nat", from.NAT, to.NAT, func(n *NAT) string { return n.Segment + " " + n.Inside.String() }, natFields)
	each(d, "service", from.Services, to.Services, func(s *Service) string { return s.ID }, serviceFields)
	return d.changes
}

// field is one of an object, with its value for people; "" when it is not set.
type field struct{ name, value string }

func segmentFields(s *Segment) []field {
	fields := []field{
		{"zone", s.Zone.String()}, {"attach", string(s.Attach)}, {"port", s.Port}, {"vlan", number(s.VLAN)}, {"outer-vlan", number(s.Outer)},
		{"prefixes", list(s.Prefixes)}, {"gate", list(s.Gate)}, {"strict", yes(s.Strict)}, {"multicast", yes(s.Multicast)},
		{"router-advertisements", yes(s.Advertising)}, {"dhcp-servers", yes(s.DHCPServers)},
	}
	var routers []string
	for _, r := range s.Routers {
		routers = append(routers, fmt.Sprintf("%s (%s) before %s", r.MAC, list(r.Addrs), list(r.Behind)))
	}
	slices.Sort(routers)
	return append(fields, field{"routers", strings.Join(routers, "; ")})
}

func tunnelFields(t *Tunnel) []field {
	return []field{{"line", t.Line}, {"listen", number(t.Listen)}}
}

// region is a peer with the tunnel that it hangs on.
type region struct {
	Peer
	tunnel string
}

func regions(a *Anchors) (out []region) {
	for _, t := range a.Tunnels {
		for _, p := range t.Peers {
			out = append(out, region{p, t.Device})
		}
	}
	return out
}

func regionFields(r *region) []field {
	probe, endpoint := "", ""
	if r.Probe.IsValid() {
		probe = r.Probe.String()
	}
	if r.Endpoint.IsValid() {
		endpoint = r.Endpoint.String()
	}
	return []field{{"tunnel", r.tunnel}, {"segment", r.Segment}, {"public-key", r.PublicKey}, {"endpoint", endpoint}, {"allowed", list(r.Allowed)}, {"probe", probe}, {"takes-over", words(r.TakesOver)}}
}

func natFields(n *NAT) []field {
	return []field{{"segment", n.Segment}, {"inside", n.Inside.String()}, {"outside", n.Outside.String()}}
}

func serviceFields(s *Service) []field {
	from := list(s.From)
	if from == "" {
		from = "the whole segment"
	}
	return []field{{"segment", s.Segment}, {"proto", s.Proto}, {"port", number(s.Port)}, {"last-port", number(s.Last)}, {"from", from}, {"out", yes(s.Out)}}
}

type differ struct{ changes []Change }

func (d *differ) field(object, name, from, to string) {
	if from != to {
		d.changes = append(d.changes, Change{Object: object, Field: name, From: from, To: to})
	}
}

// each compares objects that have the same name in both.
func each[T any](d *differ, what string, from, to []T, name func(*T) string, fields func(*T) []field) {
	whole := func(x *T) string {
		var parts []string
		for _, f := range fields(x) {
			if f.value != "" {
				parts = append(parts, f.name+" "+f.value)
			}
		}
		return strings.Join(parts, ", ")
	}
	find := func(all []T, id string) *T {
		i := slices.IndexFunc(all, func(x T) bool { return name(&x) == id })
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	for i := range from {
		x := &from[i]
		object := what + " " + name(x)
		y := find(to, name(x))
		if y == nil {
			d.changes = append(d.changes, Change{Object: object, From: whole(x)})
			continue
		}
		before, after := fields(x), fields(y)
		for j := range before {
			d.field(object, before[j].name, before[j].value, after[j].value)
		}
	}
	for i := range to {
		if y := &to[i]; find(from, name(y)) == nil {
			d.changes = append(d.changes, Change{Object: what + " " + name(y), To: whole(y)})
		}
	}
}

// orderOf names the segments that both have, in the order of the first.
func orderOf(a, b []Segment) (ids []string) {
	for _, s := range a {
		if slices.ContainsFunc(b, func(o Segment) bool { return o.ID == s.ID }) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func number(n uint16) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// words lists names without regard to order.
func words(in []string) string { return strings.Join(slices.Sorted(slices.Values(in)), " ") }

func list[T fmt.Stringer](in []T) string {
	var out []string
	for _, x := range in {
		out = append(out, x.String())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
