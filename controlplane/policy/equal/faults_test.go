package equal_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// fault is one kind of fault in tables: seeded at place n, false when there is no such place.
type fault struct {
	kind string
	seed func(t *packet.Tables, n int) bool
}

// at applies do to entry n.
func at[T any](list []T, n int, do func(*T) bool) bool {
	if n >= len(list) {
		return false
	}
	return do(&list[n])
}

func yes[T any](do func(*T)) func(*T) bool { return func(v *T) bool { do(v); return true } }

func cell(do func(*packet.Cell)) func(*packet.Tables, int) bool {
	return func(t *packet.Tables, n int) bool { return at(t.Cells, n, yes(do)) }
}

func host(do func(*packet.Host) bool) func(*packet.Tables, int) bool {
	return func(t *packet.Tables, n int) bool { return at(t.Hosts, n, do) }
}

func prefix(do func(*packet.Prefix) bool) func(*packet.Tables, int) bool {
	return func(t *packet.Tables, n int) bool { return at(t.Prefixes, n, do) }
}

func class(do func(*packet.Class) bool) func(*packet.Tables, int) bool {
	return func(t *packet.Tables, n int) bool { return at(t.Classes, n, do) }
}

func rule(do func(*packet.Rule) bool) func(*packet.Tables, int) bool {
	return func(t *packet.Tables, n int) bool { return at(t.Rules, n, do) }
}

func ports(do func(*packet.PortRange) bool) func(*packet.Tables, int) bool {
	return func(t *packet.Tables, n int) bool { return at(t.Ports, n, do) }
}

func segment(do func(*packet.Segment) bool) func(*packet.Tables, int) bool {
	return func(t *packet.Tables, n int) bool { return at(t.Segments, n, do) }
}

func window(do func(*packet.Window) bool) func(*packet.Tables, int) bool {
	return func(t *packet.Tables, n int) bool { return at(t.Windows, n, do) }
}

func drop[T any](list *[]T, n int) bool {
	if n >= len(*list) {
		return false
	}
	*list = slices.Delete(*list, n, n+1)
	return true
}

func has(t *packet.Tables, c packet.Cell) bool {
	return slices.ContainsFunc(t.Cells, func(d packet.Cell) bool { return d.Src == c.Src && d.Dst == c.Dst && d.Port == c.Port })
}

var faults = []fault{
	{"cell missing", func(t *packet.Tables, n int) bool { return drop(&t.Cells, n) }},
	{"cell too many", func(t *packet.Tables, n int) bool {
		return at(t.Cells, n, func(c *packet.Cell) bool {
			d := *c
			d.Dst = t.Classes[(n*7)%len(t.Classes)].ID
			if d.Dst == d.Src || has(t, d) {
				return false
			}
			t.Cells = append(t.Cells, d)
			return true
		})
	}},
	{"cell listed twice", func(t *packet.Tables, n int) bool {
		return at(t.Cells, n, yes(func(c *packet.Cell) { t.Cells = append(t.Cells, *c) }))
	}},
	{"cell with source and destination swapped", cell(func(c *packet.Cell) { c.Src, c.Dst = c.Dst, c.Src })},
	{"cell with the next port class", func(t *packet.Tables, n int) bool {
		return at(t.Cells, n, func(c *packet.Cell) bool {
			was := c.Port
			c.Port = t.Ports[(slices.IndexFunc(t.Ports, func(r packet.PortRange) bool { return r.Class == was })+1)%len(t.Ports)].Class
			return c.Port != was
		})
	}},
	{"cell of the next source class", func(t *packet.Tables, n int) bool {
		return at(t.Cells, n, func(c *packet.Cell) bool { c.Src = c.Src%uint16(len(t.Classes)) + 1; return true })
	}},
	{"cell that names another rule", func(t *packet.Tables, n int) bool {
		return at(t.Cells, n, func(c *packet.Cell) bool {
			was := slices.IndexFunc(t.Rules, func(r packet.Rule) bool { return r.ID == c.Rule })
			next := t.Rules[(was+1)%len(t.Rules)]
			c.Rule = next.ID
			return !slices.Equal(next.Records, t.Rules[was].Records)
		})
	}},
	{"cell that names no rule", cell(func(c *packet.Cell) { c.Rule += 1 << 19 })},
	{"cell that names a port class without ports", cell(func(c *packet.Cell) { c.Port = 65000 })},
	{"cell that names no class", cell(func(c *packet.Cell) { c.Dst = 65000 })},
	{"cell of class 0", cell(func(c *packet.Cell) { c.Src = 0 })},
	{"bandwidth class one more", cell(func(c *packet.Cell) { c.BWClass++ })},
	{"bandwidth class beyond the mark", cell(func(c *packet.Cell) { c.BWClass = 64 })},

	{"port range that ends one late", ports(func(r *packet.PortRange) bool { r.Hi++; return r.Hi != 0 })},
	{"port range that ends one early", ports(func(r *packet.PortRange) bool { r.Hi--; return r.Hi != 65535 })},
	{"port range that begins one early", ports(func(r *packet.PortRange) bool { r.Lo--; return r.Lo != 65535 })},
	{"port range that begins one late", ports(func(r *packet.PortRange) bool { r.Lo++; return r.Lo != 0 })},
	{"port range of another protocol", ports(func(r *packet.PortRange) bool { r.Proto ^= 6 ^ 17; return true })},
	{"port range in another class", func(t *packet.Tables, n int) bool {
		return at(t.Ports, n, func(r *packet.PortRange) bool {
			was := r.Class
			r.Class = t.Ports[(n+1)%len(t.Ports)].Class
			return r.Class != was
		})
	}},
	{"port range missing", func(t *packet.Tables, n int) bool { return drop(&t.Ports, n) }},

	{"host missing", func(t *packet.Tables, n int) bool { return drop(&t.Hosts, n) }},
	{"host too many", func(t *packet.Tables, n int) bool {
		return at(t.Prefixes, n, func(p *packet.Prefix) bool {
			a := p.Prefix.Addr().Next().Next().Next().Next().Next()
			if slices.ContainsFunc(t.Hosts, func(h packet.Host) bool { return h.Addr == a }) || !p.Prefix.Contains(a) {
				return false
			}
			t.Hosts = append(t.Hosts, packet.Host{Addr: a, Class: p.Class, Segment: p.Segment, MAC: packet.MAC{2, 0, 0, 9, 9, 9}})
			return true
		})
	}},
	{"host listed twice", func(t *packet.Tables, n int) bool {
		return at(t.Hosts, n, yes(func(h *packet.Host) { t.Hosts = append(t.Hosts, *h) }))
	}},
	{"host in another class of its segment", func(t *packet.Tables, n int) bool {
		return at(t.Hosts, n, func(h *packet.Host) bool {
			if !h.Addr.Is4() { // among IPv6 addresses two classes may differ in records towards IPv4 alone
				return false
			}
			v4 := func(id uint16) bool {
				return slices.ContainsFunc(t.Hosts, func(o packet.Host) bool { return o.Class == id && o.Addr.Is4() && o.Addr != h.Addr }) ||
					slices.ContainsFunc(t.Prefixes, func(p packet.Prefix) bool { return p.Class == id && p.Prefix.Addr().Is4() })
			}
			i := slices.IndexFunc(t.Classes, func(c packet.Class) bool { return c.Segment == h.Segment && c.ID != h.Class && v4(c.ID) })
			if i < 0 {
				return false
			}
			h.Class = t.Classes[i].ID
			return true
		})
	}},
	{"host in a class of another segment", func(t *packet.Tables, n int) bool {
		return at(t.Hosts, n, func(h *packet.Host) bool {
			h.Class = t.Classes[slices.IndexFunc(t.Classes, func(c packet.Class) bool { return c.Segment != h.Segment })].ID
			return true
		})
	}},
	{"host in another segment", host(func(h *packet.Host) bool { h.Segment++; return true })},
	{"host with a neighbour's address", host(func(h *packet.Host) bool { h.Addr = h.Addr.Next(); return true })},
	{"host's MAC changed", host(func(h *packet.Host) bool { h.MAC[5] ^= 0x40; return true })},
	{"host's MAC zeroed", host(func(h *packet.Host) bool { was := h.MAC; h.MAC = packet.MAC{}; return !was.IsZero() })},
	{"MACs of two hosts swapped", func(t *packet.Tables, n int) bool {
		return at(t.Hosts, n, func(h *packet.Host) bool {
			o := &t.Hosts[(n+1)%len(t.Hosts)]
			h.MAC, o.MAC = o.MAC, h.MAC
			return h.MAC != o.MAC
		})
	}},

	{"prefix missing", func(t *packet.Tables, n int) bool { return drop(&t.Prefixes, n) }},
	{"prefix too long", prefix(func(p *packet.Prefix) bool {
		if p.Prefix.IsSingleIP() {
			return false
		}
		p.Prefix = netip.PrefixFrom(p.Prefix.Addr(), p.Prefix.Bits()+1)
		return true
	})},
	{"prefix too short", prefix(func(p *packet.Prefix) bool {
		p.Prefix = netip.PrefixFrom(p.Prefix.Addr(), p.Prefix.Bits()-1).Masked()
		return true
	})},
	{"prefix with host bits", prefix(func(p *packet.Prefix) bool {
		if p.Prefix.IsSingleIP() {
			return false
		}
		p.Prefix = netip.PrefixFrom(p.Prefix.Addr().Next(), p.Prefix.Bits())
		return true
	})},
	{"nested prefixes in the wrong order", func(t *packet.Tables, n int) bool {
		return at(t.Prefixes, n, func(p *packet.Prefix) bool {
			i := slices.IndexFunc(t.Prefixes, func(q packet.Prefix) bool {
				return q.Prefix.Bits() > p.Prefix.Bits() && p.Prefix.Contains(q.Prefix.Addr()) && q.Class != p.Class
			})
			if i < 0 || !p.Prefix.Addr().Is4() {
				return false
			}
			q := &t.Prefixes[i]
			p.Class, p.MAC, q.Class, q.MAC = q.Class, q.MAC, p.Class, p.MAC
			return true
		})
	}},
	{"prefix bound to a MAC", prefix(func(p *packet.Prefix) bool { p.MAC[5] ^= 0x40; p.MAC[0] |= 2; return true })},

	{"class missing", func(t *packet.Tables, n int) bool { return drop(&t.Classes, n) }},
	{"class that leaves by another port", func(t *packet.Tables, n int) bool {
		return at(t.Classes, n, func(c *packet.Class) bool {
			was := c.Port
			c.Port = t.Segments[(n+1)%len(t.Segments)].Port
			return c.Port != was
		})
	}},
	{"class that leaves with another VLAN", class(func(c *packet.Class) bool { c.VLAN ^= 1; return true })},
	{"class that leaves inside a service VLAN", class(func(c *packet.Class) bool { c.Outer ^= 7; return true })},
	{"class with another next hop", class(func(c *packet.Class) bool {
		c.Via = append(slices.Clone(c.Via), netip.MustParseAddr("198.18.255.254"))
		return true
	})},
	{"class without its next hop", class(func(c *packet.Class) bool { n := len(c.Via); c.Via = nil; return n > 0 })},
	{"class on link or not", class(func(c *packet.Class) bool { c.OnLink = !c.OnLink; return c.Kind == packet.KindForward })},
	{"class into a tunnel instead of to a port, and back", class(func(c *packet.Class) bool { c.Kind ^= 3; return c.Kind != 0 })},
	{"class of the gate forwarded", class(func(c *packet.Class) bool {
		was := c.Kind
		c.Kind = packet.KindForward
		return was == packet.KindLocal
	})},
	{"class that becomes the gate's", class(func(c *packet.Class) bool {
		was := c.Kind
		c.Kind = packet.KindLocal
		return was != packet.KindLocal
	})},
	{"class of another segment", class(func(c *packet.Class) bool { c.Segment++; return true })},

	{"rule missing", func(t *packet.Tables, n int) bool { return drop(&t.Rules, n) }},
	{"rule that ends a minute late", rule(func(r *packet.Rule) bool { r.Until++; return r.Until != 1 })},
	{"rule that ends a minute early", rule(func(r *packet.Rule) bool { r.Until--; return r.Until > 0 })},
	{"rule that never ends", rule(func(r *packet.Rule) bool { was := r.Until; r.Until = 0; return was != 0 })},
	{"rule that begins a minute early", rule(func(r *packet.Rule) bool { r.From--; return r.From >= 0 })},
	{"rule that begins a minute late", rule(func(r *packet.Rule) bool { r.From++; return true })},
	{"rule without its window", rule(func(r *packet.Rule) bool { was := r.Window; r.Window = 0; return was != 0 })},
	{"rule with another window", func(t *packet.Tables, n int) bool {
		return at(t.Rules, n, func(r *packet.Rule) bool {
			if r.Window == 0 || len(t.Windows) < 2 {
				return false
			}
			was := r.Window
			r.Window = t.Windows[int(r.Window)%len(t.Windows)].ID
			return r.Window != was
		})
	}},
	{"rule with a window that is missing", rule(func(r *packet.Rule) bool { r.Window = 200; return true })},
	{"chain cut", rule(func(r *packet.Rule) bool { was := r.Next; r.Next = 0; return was != 0 })},
	{"chain turned round", func(t *packet.Tables, n int) bool {
		return at(t.Rules, n, func(r *packet.Rule) bool {
			if r.Next == 0 {
				return false
			}
			i := slices.IndexFunc(t.Rules, func(o packet.Rule) bool { return o.ID == r.Next })
			t.Rules[i].Next, r.Next = r.ID, t.Rules[i].Next
			return true
		})
	}},
	{"chain that goes on", func(t *packet.Tables, n int) bool {
		return at(t.Rules, n, func(r *packet.Rule) bool {
			if r.Next != 0 || n+1 >= len(t.Rules) || r.From == 0 && r.Until == 0 && r.Window == 0 {
				return false
			}
			r.Next = t.Rules[n+1].ID
			r.Records = append(slices.Clone(r.Records), t.Rules[n+1].Records...)
			return true
		})
	}},
	{"record's name dropped", rule(func(r *packet.Rule) bool {
		if len(r.Records) == 0 {
			return false
		}
		r.Records = r.Records[:len(r.Records)-1]
		return true
	})},
	{"record's name added", rule(func(r *packet.Rule) bool { r.Records = append(slices.Clone(r.Records), "always"); return true })},
	{"record's name changed", rule(func(r *packet.Rule) bool { r.Records = slices.Clone(r.Records); r.Records[0] += "x"; return true })},
	{"record named twice", rule(func(r *packet.Rule) bool { r.Records = append(slices.Clone(r.Records), r.Records[0]); return true })},
	{"records in another order", rule(func(r *packet.Rule) bool {
		r.Records = slices.Clone(r.Records)
		slices.Reverse(r.Records)
		return len(r.Records) > 1
	})},

	{"window swapped with the next", func(t *packet.Tables, n int) bool {
		if n+1 >= len(t.Windows) || !slices.ContainsFunc(t.Rules, func(r packet.Rule) bool { return r.Window == t.Windows[n].ID }) {
			return false
		}
		t.Windows[n].Spans, t.Windows[n+1].Spans = t.Windows[n+1].Spans, t.Windows[n].Spans
		return true
	}},
	{"window a minute longer", func(t *packet.Tables, n int) bool {
		return inUse(t, n) && window(func(w *packet.Window) bool {
			w.Spans = slices.Clone(w.Spans)
			w.Spans[0].To++
			return w.Spans[0].To <= 10080
		})(t, n)
	}},
	{"window a minute later", func(t *packet.Tables, n int) bool {
		return inUse(t, n) && window(func(w *packet.Window) bool {
			w.Spans = slices.Clone(w.Spans)
			w.Spans[len(w.Spans)-1].From++
			return true
		})(t, n)
	}},
	{"window without a day", func(t *packet.Tables, n int) bool {
		return inUse(t, n) && window(func(w *packet.Window) bool { w.Spans = slices.Clone(w.Spans)[1:]; return true })(t, n)
	}},
	{"window missing", func(t *packet.Tables, n int) bool { return inUse(t, n) && drop(&t.Windows, n) }},

	{"numbers of two segments swapped", func(t *packet.Tables, n int) bool {
		return at(t.Segments, n, func(s *packet.Segment) bool {
			o := &t.Segments[(n+1)%len(t.Segments)]
			s.ID, o.ID = o.ID, s.ID
			return true
		})
	}},
	{"segment missing", func(t *packet.Tables, n int) bool { return drop(&t.Segments, n) }},
	{"segment in another zone", segment(func(s *packet.Segment) bool { s.Zone = s.Zone%5 + 1; return true })},
	{"segment at another VLAN", segment(func(s *packet.Segment) bool { s.VLAN = (s.VLAN + 1) % 4095; return true })},
	{"segment no longer strict, or strict", segment(func(s *packet.Segment) bool { s.Strict = !s.Strict; return true })},
	{"segment that lets groups in", segment(func(s *packet.Segment) bool { s.Multicast = !s.Multicast; return true })},
	{"segment that lets DHCP servers in", segment(func(s *packet.Segment) bool { s.DHCPServers = !s.DHCPServers; return true })},
	{"segment that lets router advertisements in", segment(func(s *packet.Segment) bool { s.Routers = !s.Routers; return true })},
	{"segment without limits", segment(func(s *packet.Segment) bool { s.Limits = packet.Limits{}; return true })},
	{"station's limit above the segment's", segment(func(s *packet.Segment) bool { s.Limits.StationFlows = s.Limits.Flows + 1; return true })},
	{"a limit of the document raised", func(t *packet.Tables, n int) bool {
		i := slices.IndexFunc(t.Segments, func(s packet.Segment) bool { return s.Limits.Flows == 8000 }) // the town's in-office
		return n == 0 && i >= 0 && segment(func(s *packet.Segment) bool { s.Limits.Flows++; return true })(t, i)
	}},
	{"gate's own address without entry", func(t *packet.Tables, n int) bool {
		seen := 0
		for i, h := range t.Hosts {
			if k := slices.IndexFunc(t.Classes, func(c packet.Class) bool { return c.ID == h.Class }); t.Classes[k].Kind == packet.KindLocal {
				if seen++; seen > n {
					return drop(&t.Hosts, i)
				}
			}
		}
		return false
	}},
	{"router's prefix without entry", func(t *packet.Tables, n int) bool {
		seen := 0
		for i, p := range t.Prefixes {
			if k := slices.IndexFunc(t.Classes, func(c packet.Class) bool { return c.ID == p.Class }); len(t.Classes[k].Via) > 0 {
				if seen++; seen > n {
					return drop(&t.Prefixes, i)
				}
			}
		}
		return false
	}},
}

func inUse(t *packet.Tables, n int) bool {
	return n < len(t.Windows) && slices.ContainsFunc(t.Rules, func(r packet.Rule) bool { return r.Window == t.Windows[n].ID })
}

// town is a configuration whose tables are sound.
type town struct {
	name    string
	cfg     *config.Config
	anchors *anchors.Anchors
	tables  *packet.Tables
}

// towns are examples and drawn ones. Of those drawn, records that the proof refuses are left out.
func towns(t *testing.T) []town {
	var out []town
	for _, name := range []string{"lab", "town"} {
		cfg := example(t, name)
		tables, a := compiled(t, cfg)
		out = append(out, town{name, cfg, a, tables})
	}
	out = append(out, layered(t))
	for seed := range 5 {
		doc := rapid.Custom(func(t *rapid.T) string { doc, _ := drawn.Config(t); return doc }).Example(seed + 1)
		for {
			cfg, errs := config.Parse([]byte(doc))
			if errs != nil {
				t.Fatal(errs)
			}
			tables, a := compiled(t, cfg)
			refused := map[string]bool{}
			for _, v := range proof.Check(tables, a) {
				for _, r := range v.Records {
					refused[r] = true
				}
			}
			if len(refused) == 0 {
				out = append(out, town{fmt.Sprintf("drawn %d", seed), cfg, a, tables})
				break
			}
			doc = drawn.Without(doc, func(_ int, id string) bool { return refused[id] })
		}
	}
	return out
}

// layered is the lab with what examples do without: records for the same packets at different times, which make chains, a prefix
// inside another, windows.
func layered(t *testing.T) town {
	text := strings.Replace(string(examples.Lab), "communications:\n", `windows:
  - {id: office, days: [mon, tue, wed, thu, fri], from: "08:30", to: "17:15"}
  - {id: nights, days: [sat, sun], from: "22:00", to: "06:00"}
communications:
  - {id: early, from: {stations: [mn-pc1]}, to: {services: [eltax]}, ports: [], purpose: x, owner: x, since: 2027-04-01, until: 2027-06-30}
  - {id: late, from: {stations: [mn-pc1]}, to: {services: [eltax]}, ports: [], purpose: x, owner: x, since: 2040-04-01, window: office}
  - {id: night, from: {stations: [mn-pc1]}, to: {services: [eltax]}, ports: [], purpose: x, owner: x, since: 2041-04-01, window: nights}
  - {id: wide, from: {segments: [in-office]}, to: {prefixes: [203.0.113.128/25, "2001:db8:31::/80"]}, ports: [tcp/8080-8090], purpose: x, owner: x}
  - {id: narrow, from: {segments: [in-office]}, to: {prefixes: [203.0.113.192/26]}, ports: [tcp/8085], purpose: x, owner: x, window: office}
`, 1)
	cfg, errs := config.Parse([]byte(text))
	if errs != nil {
		t.Fatal(errs)
	}
	tables, a := compiled(t, cfg)
	return town{"layered", cfg, a, tables}
}

func clone(t *packet.Tables) packet.Tables {
	c := *t
	c.Segments, c.Hosts, c.Prefixes, c.Classes = slices.Clone(t.Segments), slices.Clone(t.Hosts), slices.Clone(t.Prefixes), slices.Clone(t.Classes)
	c.Ports, c.Cells, c.Rules, c.Windows = slices.Clone(t.Ports), slices.Clone(t.Cells), slices.Clone(t.Rules), slices.Clone(t.Windows)
	return c
}

// caughtBy names who refuses the tables.
func caughtBy(w town, t *packet.Tables) []string {
	var by []string
	if packet.Check(packet.Canonical(*t)) != nil {
		by = append(by, "image")
	}
	if len(proof.Check(t, w.anchors)) > 0 {
		by = append(by, "proof")
	}
	if len(equal.Check(w.cfg, w.anchors, t)) > 0 {
		by = append(by, "equality")
	}
	return by
}

// In each town the first places at which a kind can be seeded are tried, and of the rest every so many.
const (
	places = 4
	every  = 17
)

// Every kind of fault in tables is refused, wherever it is: by what asks whether an image can hold them, by the proof, or by the
// comparison with the document. What nobody refuses must be no fault: the second engine finds those tables as good as they were.
// The list is printed with -v.
func TestEverySeededFaultIsCaught(t *testing.T) {
	all := towns(t)
	for _, w := range all {
		if by := caughtBy(w, w.tables); len(by) > 0 {
			t.Fatalf("%s: sound tables are refused by %v", w.name, by)
		}
	}
	var list []string
	for _, f := range faults {
		seeded, by := 0, map[string]int{}
		for _, w := range all {
			most := max(len(w.tables.Cells), len(w.tables.Hosts), len(w.tables.Rules))
			for n, tries := 0, 0; n < most; n++ {
				bad := clone(w.tables)
				if !f.seed(&bad, n) {
					continue
				}
				if tries++; tries > places && tries%every != 0 {
					continue
				}
				who := caughtBy(w, &bad)
				if len(who) == 0 {
					if !asGood(t, w.cfg, w.tables, &bad) {
						t.Errorf("%s: %s at place %d: nobody notices", w.name, f.kind, n)
					}
					continue
				}
				seeded++
				for _, x := range who {
					by[x]++
				}
			}
		}
		if seeded == 0 {
			t.Errorf("%s: seeded nowhere", f.kind)
		}
		var who []string
		for x, n := range by {
			who = append(who, fmt.Sprintf("%s %d", x, n))
		}
		sort.Strings(who)
		list = append(list, fmt.Sprintf("%-52s seeded %4d, caught by %s", f.kind, seeded, strings.Join(who, ", ")))
	}
	if len(faults) < 30 {
		t.Errorf("%d kinds of faults, want at least 30", len(faults))
	}
	t.Logf("%d kinds of faults in tables:\n%s", len(faults), strings.Join(list, "\n"))
}
