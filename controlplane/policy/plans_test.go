package policy_test

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/controlplane/policy"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	farplan "github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

func lines(t interface{ Fatal(...any) }, text []byte) (*config.Config, gate.Generation) {
	cfg, errs := config.Parse(text)
	if errs != nil {
		t.Fatal(errs)
	}
	a := policy.Anchors(cfg)
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	g, err := policy.Compile(cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, g
}

func TestPlansTellWhatBelongsToWhichClass(t *testing.T) {
	_, g := lines(t, examples.Lines)
	const core, general, backup = 1, 2, 3
	if _, told := g.Plans["prefecture"]; told || len(g.Plans) != 2 {
		t.Fatalf("got plans for %d regions, want tokyo's and osaka's: the prefecture's far end is of another make", len(g.Plans))
	}
	for _, c := range []struct {
		name, region, from, to string
		proto                  uint8
		source, dest           uint16
		want                   uint8
	}{
		{"a service of a class, towards a translated station", "tokyo", "198.51.100.11", "203.0.113.11", 6, 443, 40000, core},
		{"another port of the same host", "tokyo", "198.51.100.11", "203.0.113.12", 6, 8443, 40000, backup},
		{"a port that nobody may open", "tokyo", "198.51.100.11", "203.0.113.12", 6, 80, 40000, 0},
		{"opened by the region, in no class", "tokyo", "198.51.100.20", "203.0.113.11", 6, 40000, 9443, 0},
		{"the service in another region", "osaka", "198.51.100.75", "198.18.10.11", 6, 443, 40000, core},
		{"a service without a class beside it", "osaka", "198.51.100.76", "198.18.10.11", 6, 443, 40000, 0},
		{"a class of the record", "osaka", "198.51.100.76", "198.18.10.11", 17, 6005, 40000, general},
		{"what it carries for another region", "osaka", "198.51.100.11", "203.0.113.11", 6, 443, 40000, core},
		{"a probe's answer", "tokyo", "198.51.100.1", "198.51.100.62", 17, 7001, 40000, core},
	} {
		got := g.Plans[c.region].ClassOf(netip.MustParseAddr(c.from), netip.MustParseAddr(c.to), c.proto, c.source, c.dest)
		if got == 0 && c.want == general {
			got = general // the default class
		}
		if got != c.want {
			t.Errorf("%s: got class %d, want %d in %+v", c.name, got, c.want, g.Plans[c.region].Matches)
		}
	}
	tokyo := g.Plans["tokyo"]
	if len(tokyo.Devices) != 2 || tokyo.Devices[1].Rate != 20e6 || tokyo.Devices[1].Classes[0].Guarantee != 5e6 || tokyo.Devices[1].Classes[2].Order != 0 || tokyo.Devices[0].Classes[2].Order != 1 {
		t.Errorf("got devices %+v", tokyo.Devices)
	}
	if len(tokyo.Matches) > 12 {
		t.Errorf("%d matches for two services: they should have been joined", len(tokyo.Matches))
	}
}

// A line that carries more down than up bounds ceilings in each direction by what it carries there, whether the class or its line
// names them.
func TestCeilingsFollowTheDirection(t *testing.T) {
	text := strings.Replace(string(examples.Lines), "guarantee: 2Mbit, ceiling: 20Mbit}", "guarantee: 2Mbit, ceiling: 35Mbit}", 1)
	_, g := lines(t, []byte(text))
	ceilings := func(classes []bandwidth.Class) map[string]uint64 {
		out := map[string]uint64{}
		for _, c := range classes {
			out[c.Name] = c.Ceiling
		}
		return out
	}
	// line-b carries 20 up and 40 down; core and general may have 50 anywhere.
	if got, want := ceilings(g.Bandwidth[1].Classes), (map[string]uint64{"core": 20e6, "general": 20e6, "backup": 20e6, "bulletin": 5e6}); !maps.Equal(got, want) {
		t.Errorf("up: got %v, want %v", got, want)
	}
	if got, want := ceilings(g.Plans["osaka"].Devices[1].Classes), (map[string]uint64{"core": 40e6, "general": 40e6, "backup": 35e6, "bulletin": 5e6}); !maps.Equal(got, want) {
		t.Errorf("down: got %v, want %v", got, want)
	}
}

// Whatever the records, what comes down by them has the class that the cells give what goes up.
func TestPlansFollowTheCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg, g := lines(t, drawLines(t))
		for i := range cfg.Regions {
			if p, ok := g.Plans[cfg.Regions[i].ID]; ok {
				follows(t, cfg, &cfg.Regions[i], &g.Tables, p)
			}
		}
	})
}

// drawLines puts records of every kind into the example.
func drawLines(t *rapid.T) []byte {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, what) }
	var more strings.Builder
	for i := range rapid.IntRange(1, 8).Draw(t, "records") {
		class := pick("class", "", "", "class: core, ", "class: backup, ", "class: general, ", "class: bulletin, ")
		from, to := pick("from", "{stations: [mn-pc1]}", "{stations: [mn-pc2]}", "{stations: [mn-pc1, mn-pc2]}", "{segments: [mn-office]}"),
			pick("to", "{services: [resident]}", "{services: [backup, resident]}", "{services: [resident-standby, notices]}", "{stations: [mn-region]}",
				"{prefixes: [198.51.100.0/28]}", "{prefixes: [198.51.100.0/26]}", "{prefixes: [198.51.100.64/26]}", "{prefixes: [198.51.100.8/29]}")
		ports := pick("ports", "[tcp/443]", "[tcp/443, icmp/echo]", "[udp/6000-6009]", "[tcp/440-450, udp/53]", "[gre]")
		if strings.Contains(to, "services") {
			ports = "[]"
		}
		if rapid.Bool().Draw(t, "turned") && strings.Contains(to, "mn-region") {
			from, to, ports = "{stations: [mn-region]}", "{stations: [mn-pc1]}", "[tcp/9443, icmp/echo]"
		}
		fmt.Fprintf(&more, "  - {id: drawn-%d, from: %s, to: %s, ports: %s, %spurpose: p, owner: o}\n", i, from, to, ports, class)
	}
	return []byte(strings.Replace(string(examples.Lines), "communications:\n", "communications:\n"+more.String(), 1))
}

func follows(t *rapid.T, cfg *config.Config, r *config.Region, tables *packet.Tables, p farplan.Plan) {
	classOf := func(a netip.Addr) uint16 {
		best, class := -1, uint16(0)
		for _, h := range tables.Hosts {
			if h.Addr == a {
				return h.Class
			}
		}
		for _, q := range tables.Prefixes {
			if q.Prefix.Contains(a) && q.Prefix.Bits() > best {
				best, class = q.Prefix.Bits(), q.Class
			}
		}
		return class
	}
	var segment *config.Segment
	for i := range cfg.Segments {
		if cfg.Segments[i].ID == r.ID {
			segment = &cfg.Segments[i]
		}
	}
	var near, far []netip.Addr
	for _, a := range samples(tables) {
		switch {
		case segment.Prefixes[0].Contains(a):
			near = append(near, a)
		case strings.HasPrefix(a.String(), "198.18.10."):
			far = append(far, a)
		}
	}
	const fallback = 2 // general
	normal := func(class uint8) uint8 {
		if class == 0 || !known(p, class) {
			return fallback
		}
		return class
	}
	for _, n := range near {
		for _, f := range far {
			for _, rng := range tables.Ports {
				for _, opened := range []struct{ src, dst netip.Addr }{{f, n}, {n, f}} {
					cell := cellOf(tables, classOf(opened.src), classOf(opened.dst), rng.Class)
					if cell == nil {
						continue
					}
					seen := translated(r, f)
					source, dest := rng.Lo, uint16(50000)
					if opened.src == n {
						source, dest = 50000, rng.Lo
					}
					if rng.Proto == config.ProtoICMPv6 {
						continue // not carried by IPv4
					}
					if rng.Proto != config.ProtoTCP && rng.Proto != config.ProtoUDP {
						if bothWays(tables, classOf(n), classOf(f), rng.Proto) {
							continue // nothing tells questions from answers
						}
						source, dest = 0, 0
					}
					if got := p.ClassOf(n, seen, rng.Proto, source, dest); normal(got) != normal(cell.BWClass) {
						t.Fatalf("region %s: %s to %s (%s), protocol %d, ports %d and %d: got class %d, want %d; matches %+v", r.ID, n, f, seen, rng.Proto, source, dest, got, cell.BWClass, p.Matches)
					}
				}
			}
		}
	}
}

func bothWays(t *packet.Tables, a, b uint16, proto uint8) bool {
	classes := map[uint8]bool{}
	for _, c := range t.Cells {
		if (c.Src != a || c.Dst != b) && (c.Src != b || c.Dst != a) {
			continue
		}
		for _, r := range t.Ports {
			if r.Class == c.Port && r.Proto == proto {
				classes[c.BWClass] = true
			}
		}
	}
	return len(classes) > 1
}

func known(p farplan.Plan, class uint8) bool {
	for _, d := range p.Devices {
		for _, c := range d.Classes {
			if c.ID == class {
				return true
			}
		}
	}
	return false
}

func cellOf(t *packet.Tables, src, dst, port uint16) *packet.Cell {
	for i := range t.Cells {
		if c := &t.Cells[i]; c.Src == src && c.Dst == dst && c.Port == port {
			return c
		}
	}
	return nil
}

// samples are all hosts and, of each prefix, the first and the last address.
func samples(t *packet.Tables) []netip.Addr {
	var out []netip.Addr
	for _, h := range t.Hosts {
		if h.Addr.Is4() {
			out = append(out, h.Addr)
		}
	}
	for _, p := range t.Prefixes {
		if p.Prefix.Addr().Is4() {
			last := p.Prefix.Addr().As4()
			last[3] |= byte(1<<(32-p.Prefix.Bits()) - 1)
			out = append(out, p.Prefix.Addr().Next(), netip.AddrFrom4(last))
		}
	}
	return out
}

func translated(r *config.Region, a netip.Addr) netip.Addr {
	for _, n := range r.NAT {
		if n.Inside.Contains(a) {
			b := n.Outside.Addr().As4()
			b[3] = a.As4()[3] // the example's are /24
			return netip.AddrFrom4(b)
		}
	}
	return a
}

func TestPlansThatDoNotFitAreRefused(t *testing.T) {
	var stations, records strings.Builder
	for i := range 200 {
		fmt.Fprintf(&stations, "  - {id: many-%d, segment: mn-office, mac: \"02:53:4b:11:00:%02x\", addresses: [198.18.10.%d]}\n", i, i, i+20)
		class := []string{"core", "backup"}[i%2]
		for port := range 8 { // each station has its own class on each port: nothing can be joined
			fmt.Fprintf(&records, "  - {id: odd-%d-%d, from: {stations: [many-%d]}, to: {prefixes: [198.51.100.0/26]}, ports: [tcp/%d], class: %s, purpose: p, owner: o}\n", i, port, i, 1000+2*port, class)
		}
	}
	text := strings.Replace(string(examples.Lines), "stations:\n", "stations:\n"+stations.String(), 1)
	text = strings.Replace(text, "communications:\n", "communications:\n"+records.String(), 1)
	cfg, errs := config.Parse([]byte(text))
	if errs != nil {
		t.Fatal(errs)
	}
	if _, err := policy.Compile(cfg, policy.Anchors(cfg)); err == nil || !strings.Contains(err.Error(), `region "tokyo"`) || !strings.Contains(err.Error(), "fewer different classes") {
		t.Errorf("got %v, want that the plan of tokyo does not fit", err)
	}
}
