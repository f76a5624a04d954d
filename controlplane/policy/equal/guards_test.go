package equal_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Each thing that the comparison looks at, it sees by itself, also where the proof or the image's own check would see it as well.
func TestTheComparisonSees(t *testing.T) {
	w := layered(t)
	of := func(t *packet.Tables, addr string) *packet.Host {
		return &t.Hosts[slices.IndexFunc(t.Hosts, func(h packet.Host) bool { return h.Addr == netip.MustParseAddr(addr) })]
	}
	under := func(t *packet.Tables, prefix string) *packet.Prefix {
		return &t.Prefixes[slices.IndexFunc(t.Prefixes, func(p packet.Prefix) bool { return p.Prefix == netip.MustParsePrefix(prefix) })]
	}
	tail := func(t *packet.Tables) *packet.Rule { // of the chain
		head := t.Rules[slices.IndexFunc(t.Rules, func(r packet.Rule) bool { return r.Next != 0 })]
		return &t.Rules[slices.IndexFunc(t.Rules, func(r packet.Rule) bool { return r.ID == head.Next })]
	}
	cases := []struct {
		name, want string
		do         func(t *packet.Tables)
	}{
		{"a cell from IPv4 to IPv6", "is dead", func(t *packet.Tables) {
			from, to := under(t, "198.51.100.0/26").Class, uint16(60000) // IPv4 alone, IPv6 alone
			t.Classes = append(t.Classes, packet.Class{ID: to, Segment: 3, Kind: packet.KindForward, Port: "lga0", OnLink: true})
			t.Hosts = append(t.Hosts, packet.Host{Addr: netip.MustParseAddr("2001:db8:21::99"), Class: to, Segment: 3})
			t.Cells = append(t.Cells, packet.Cell{Src: from, Dst: to, Port: 1, Rule: 1})
		}},
		{"a cell of a class without addresses", "is dead", func(t *packet.Tables) {
			t.Classes = append(t.Classes, packet.Class{ID: 60000, Segment: 3, Kind: packet.KindForward, Port: "lga0", OnLink: true})
			t.Cells = append(t.Cells, packet.Cell{Src: 60000, Dst: 1, Port: 1, Rule: 1})
		}},
		{"a cell listed twice", "is in the tables twice", func(t *packet.Tables) { t.Cells = append(t.Cells, t.Cells[3]) }},
		{"a stranger in an initiator's class", "initiators in no class, or in one with addresses that it does not name", func(t *packet.Tables) {
			of(t, "198.18.10.12").Class = of(t, "198.18.10.11").Class
		}},
		{"an initiator in no class", "are in no class", func(t *packet.Tables) { under(t, "198.18.30.0/24").Prefix = netip.MustParsePrefix("198.18.30.128/25") }},
		{"a destination in a wider class", "destinations in no class, or in one with addresses that it treats otherwise", func(t *packet.Tables) {
			under(t, "203.0.113.192/26").Class = under(t, "203.0.113.128/25").Class
		}},
		{"a port in the class of another", "a port is in no class, or in one with ports that it does not name", func(t *packet.Tables) {
			port := func(n uint16) *packet.PortRange {
				return &t.Ports[slices.IndexFunc(t.Ports, func(r packet.PortRange) bool { return r.Lo == n })]
			}
			port(80).Class = port(443).Class
		}},
		{"a port in no class", "a port is in no class", func(t *packet.Tables) {
			t.Ports = slices.DeleteFunc(t.Ports, func(r packet.PortRange) bool { return r.Lo == 80 })
		}},
		{"ports in two classes", "is in port classes", func(t *packet.Tables) {
			t.Ports = append(t.Ports, packet.PortRange{Proto: 6, Lo: 80, Hi: 80, Class: 1})
		}},
		{"a later rule that names another record", "names other records", func(t *packet.Tables) { r := tail(t); r.Records = append(slices.Clone(r.Records), "web-use") }},
		{"a later rule that names too few", "does not name record", func(t *packet.Tables) { r := tail(t); r.Records = slices.Clone(r.Records)[1:] }},
		{"a later rule at a time of none of its records", "is in force when none of its records", func(t *packet.Tables) { tail(t).From = 1 }},
		{"names in another order", "in another order", func(t *packet.Tables) {
			r := &t.Rules[slices.IndexFunc(t.Rules, func(r packet.Rule) bool { return r.Next != 0 })]
			r.Records = slices.Clone(r.Records)
			slices.Reverse(r.Records)
		}},
		{"a name twice", "names a record twice", func(t *packet.Tables) { r := &t.Rules[3]; r.Records = append(slices.Clone(r.Records), r.Records...) }},
		{"a name that is nobody's", "does not have in force", func(t *packet.Tables) { r := &t.Rules[3]; r.Records = append(slices.Clone(r.Records), "nobody") }},
		{"a host missing", "host 198.18.21.11, MAC \"00:00:00:00:00:00\", is missing", func(t *packet.Tables) {
			t.Hosts = slices.DeleteFunc(t.Hosts, func(h packet.Host) bool { return h.Addr == netip.MustParseAddr("198.18.21.11") })
		}},
		{"a host too many", "names no such address", func(t *packet.Tables) {
			h := *of(t, "203.0.113.11")
			h.Addr = netip.MustParseAddr("203.0.113.77")
			t.Hosts = append(t.Hosts, h)
		}},
		{"a host twice", "is in the tables twice", func(t *packet.Tables) { t.Hosts = append(t.Hosts, t.Hosts[3]) }},
		{"a prefix with a MAC", "prefix 198.18.21.0/24 is bound to MAC", func(t *packet.Tables) { under(t, "198.18.21.0/24").MAC = packet.MAC{2, 1} }},
		{"an address of another segment", "are in segment 3 of the tables and in segment", func(t *packet.Tables) { of(t, "198.18.20.11").Class = of(t, "198.18.21.11").Class }},
		{"an address of nobody's", "in no segment of the configuration", func(t *packet.Tables) {
			t.Prefixes = append(t.Prefixes, packet.Prefix{Prefix: netip.MustParsePrefix("198.18.99.0/24"), Class: under(t, "198.18.21.0/24").Class, Segment: 3})
		}},
		{"the gate's address as a station's", "the gate's own by the configuration", func(t *packet.Tables) { of(t, "198.18.21.1").Class = of(t, "198.18.21.11").Class }},
		{"a rule twice", "rule 1 is in the tables twice", func(t *packet.Tables) { t.Rules = append(t.Rules, t.Rules[0]) }},
		{"a rule missing", "which the tables do not have", func(t *packet.Tables) { t.Rules = t.Rules[1:] }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bad := clone(w.tables)
			c.do(&bad)
			found := equal.Check(w.cfg, w.anchors, &bad)
			if !slices.ContainsFunc(found, func(f equal.Fault) bool { return strings.Contains(f.What, c.want) }) {
				t.Errorf("want something about %q, got %v", c.want, found)
			}
		})
	}
}

// One record, two services with ports of their own: at one address they are one, at two they are not.
func TestServicesWithDifferentPorts(t *testing.T) {
	parsed := func(address string) *config.Config {
		text := strings.Replace(string(examples.Lab), "\ngroups:\n", "  - {id: mail, segment: in-net, addresses: ["+address+"], ports: [tcp/25]}\n\ngroups:\n", 1)
		cfg, errs := config.Parse([]byte(strings.Replace(text, "to: {services: [web]}", "to: {services: [web, mail]}", 1)))
		if errs != nil {
			t.Fatal(errs)
		}
		return cfg
	}
	for _, address := range []string{"203.0.113.11", "203.0.113.12"} {
		cfg := parsed(address)
		tables, a := compiled(t, cfg)
		for _, f := range equal.Check(cfg, a, tables) {
			t.Errorf("%s: %v", address, f)
		}
		if address == "203.0.113.11" {
			continue
		}
		bad := clone(tables)
		at := func(s string) *packet.Host {
			return &bad.Hosts[slices.IndexFunc(bad.Hosts, func(h packet.Host) bool { return h.Addr.String() == s })]
		}
		at("203.0.113.12").Class = at("203.0.113.11").Class
		if found := equal.Check(cfg, a, &bad); !slices.ContainsFunc(found, func(f equal.Fault) bool { return strings.Contains(f.What, "treats otherwise") }) {
			t.Errorf("two services in one class: got %v", found)
		}
	}
}
