package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// scene is a small town in which everything that can be drawn is drawn.
const scene = `version: 1
town: {ja: 海山町}
model: alpha
ports:
  - {id: mn0, zone: my-number}
  - {id: lg0, zone: lgwan}
  - {id: in0, zone: internet}
  - {id: mg0, zone: management}
  - {id: wan0, zone: uplink}
segments:
  - {id: mn-a, zone: my-number, port: mn0, vlan: 10, prefixes: [198.18.10.0/28, "2001:db8:10::/120"], gate: [198.18.10.1, "2001:db8:10::1"], strict: true}
  - {id: mn-b, zone: my-number, port: mn0, vlan: 11, prefixes: [198.18.11.0/28], gate: [198.18.11.1], strict: true}
  - {id: lg-a, zone: lgwan, port: lg0, vlan: 20, prefixes: [198.18.20.0/28, "2001:db8:20::/120"], gate: [198.18.20.1, "2001:db8:20::1"], strict: true}
  - id: lg-b
    zone: lgwan
    port: lg0
    vlan: 21
    prefixes: [198.18.21.0/28, 198.19.0.0/26]
    gate: [198.18.21.1]
    strict: true
    routers: [{mac: "02:00:5e:21:00:fe", addresses: [198.18.21.2], behind: [198.19.0.0/26]}]
  - {id: in-a, zone: internet, port: in0, prefixes: [203.0.113.0/26, "2001:db8:30::/120"], gate: [203.0.113.1, "2001:db8:30::1"]}
  - {id: mg-a, zone: management, port: mg0, prefixes: [198.18.40.0/28], gate: [198.18.40.1], strict: true}
  - {id: line1, zone: uplink, port: wan0, prefixes: [192.0.2.0/28], gate: [192.0.2.1]}
  - {id: tokyo, zone: my-number, tunnel: wg0, prefixes: [198.51.100.0/28], gate: [198.51.100.14]}
  - {id: lg-portal, zone: lgwan, portal: true, prefixes: [198.18.120.0/29], gate: [198.18.120.1]}
lines: [{id: line1, segment: line1, rate: 50Mbit}]
classes:
  - {id: core, line: line1, guarantee: 25Mbit, ceiling: 50Mbit, priority: 0}
  - {id: rest, line: line1, guarantee: 15Mbit, ceiling: 50Mbit, priority: 1, default: true}
tunnels: [{id: wg0, line: line1, listen: 51820}]
regions:
  - {id: tokyo, tunnel: wg0, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51821", probe: 198.51.100.2}
portals: [{zone: lgwan, address: 198.18.120.2, name: portal.lgwan.example, reach: [lg-a]}]
windows:
  - {id: office, days: [mon, tue, wed, thu, fri], from: "08:30", to: "17:15"}
  - {id: early, days: [mon, thu], from: "00:00", to: "10:00"}
  - {id: nights, days: [sat, sun], from: "22:00", to: "06:00"}
  - {id: days, days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00"}
`

// where stations and services can be put: segment, address pattern, IPv6 pattern, MAC needed.
var places = []struct {
	segment, v4, v6 string
	mac             bool
}{
	{"mn-a", "198.18.10.%d", "2001:db8:10::%x", true}, {"mn-b", "198.18.11.%d", "", true}, {"lg-a", "198.18.20.%d", "2001:db8:20::%x", true},
	{"lg-b", "198.19.0.%d", "", false}, {"lg-b", "198.18.21.%d", "", true}, {"in-a", "203.0.113.%d", "2001:db8:30::%x", false},
	{"mg-a", "198.18.40.%d", "", true}, {"tokyo", "198.51.100.%d", "", false},
}

var drawnPorts = []string{"tcp/443", "tcp/80", "tcp/1000-2000", "tcp/1500", "tcp/1501", "tcp/1502-1600", "udp/53", "udp/7", "udp/51820", "icmp/echo", "icmp/8", "icmp6/128"}
var drawnPrefixes = []string{"203.0.113.0/26", "203.0.113.32/27", "203.0.113.40/29", "198.19.0.32/28", "198.18.20.8/29", "198.51.100.8/29", "2001:db8:30::/121", "203.0.113.5/32"}
var drawnSegments = []string{"mn-a", "mn-b", "lg-a", "lg-b", "in-a", "mg-a", "tokyo"}

var drawnTimes = []string{"", "", ", since: 2027-04-01", ", since: \"2027-03-31 12:00\"", ", since: 2027-05-01"}
var drawnEnds = []string{"", "", ", until: 2027-05-31", ", until: \"2027-05-01 00:00\"", ", until: \"2027-06-01 09:30\""}
var drawnWindows = []string{"", "", ", window: office", ", window: early", ", window: nights", ", window: days"}

var drawnStates = []string{"", "", "", "", ", state: active", ", state: active", ", state: draft", ", state: suspended", ", state: expired"}

// draw writes a configuration: the scene with random stations, services, groups and communications, one a line.
func draw(t *rapid.T) string {
	var b strings.Builder
	b.WriteString(scene)
	var stations, services []string
	b.WriteString("stations:\n")
	entry := func(list *[]string, kind string, i, n int, ports string) {
		p := places[i]
		id := fmt.Sprintf("%s-%d-%d", kind, i, n)
		addrs := fmt.Sprintf(p.v4, n)
		if p.v6 != "" && rapid.Bool().Draw(t, "v6") {
			addrs += fmt.Sprintf(`, "`+p.v6+`"`, n)
		}
		mac := ""
		if p.mac {
			mac = fmt.Sprintf(`, mac: "02:00:00:00:%02x:%02x"`, i, n)
		}
		fmt.Fprintf(&b, "  - {id: %s, segment: %s%s, addresses: [%s]%s}\n", id, p.segment, mac, addrs, ports)
		*list = append(*list, id)
	}
	for i := range places {
		for n := range rapid.IntRange(1, 3).Draw(t, "stations") {
			entry(&stations, "pc", i, 3+n, "")
		}
	}
	b.WriteString("services:\n")
	for i := range places {
		for n := range rapid.IntRange(0, 3).Draw(t, "services") {
			entry(&services, "sv", i, 8+n, ", ports: "+drawPorts(t))
		}
	}
	entry(&services, "sv", 5, 13, ", ports: [tcp/443]")
	b.WriteString("groups:\n  - {id: g1, stations: " + some(t, stations) + "}\n  - {id: g2, stations: " + some(t, stations) + "}\n  - {id: g3, services: " + some(t, services) + "}\n")
	b.WriteString("communications:\n  - {id: always, from: {stations: [pc-4-3]}, to: {services: [sv-5-13]}, purpose: x, owner: x}\n")
	for n := range rapid.IntRange(0, 14).Draw(t, "communications") {
		var from, to, ports string
		switch rapid.IntRange(0, 3).Draw(t, "from") {
		case 0:
			from = "groups: " + some(t, []string{"g1", "g2"})
		case 1:
			from = "segments: " + some(t, drawnSegments)
		default:
			from = "stations: " + some(t, stations)
		}
		ports = ", ports: " + drawPorts(t)
		switch rapid.IntRange(0, 5).Draw(t, "to") {
		case 0:
			to = "stations: " + some(t, stations)
		case 1:
			to = "prefixes: " + some(t, drawnPrefixes)
		case 2:
			to = "groups: " + some(t, []string{"g1", "g3", "g2"})
		case 3:
			to, ports = "groups: [g3]", ""
		default:
			to, ports = "services: "+some(t, services), ""
		}
		class := rapid.SampledFrom([]string{"", ", class: core", ", class: rest"}).Draw(t, "class")
		time := rapid.SampledFrom(drawnTimes).Draw(t, "since") + rapid.SampledFrom(drawnEnds).Draw(t, "until") + rapid.SampledFrom(drawnWindows).Draw(t, "window")
		fmt.Fprintf(&b, "  - {id: c%d, from: {%s}, to: {%s}%s%s%s%s, purpose: x, owner: x}\n", n, from, to, ports, class, time, rapid.SampledFrom(drawnStates).Draw(t, "state"))
	}
	return b.String()
}

func some(t *rapid.T, list []string) string {
	n := rapid.IntRange(1, min(3, len(list))).Draw(t, "n")
	i := rapid.IntRange(0, len(list)-n).Draw(t, "i")
	quoted := make([]string, n)
	for j, s := range list[i : i+n] {
		quoted[j] = `"` + s + `"`
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// drawPorts draws a list without overlaps.
func drawPorts(t *rapid.T) string {
	var out []string
	for range rapid.IntRange(1, 4).Draw(t, "ports") {
		p := rapid.SampledFrom(drawnPorts).Draw(t, "port")
		if slices.ContainsFunc(out, func(q string) bool { return strings.HasPrefix(p, "icmp") && strings.HasPrefix(q, "icmp") }) {
			continue
		}
		if !slices.Contains(out, p) && (!strings.HasPrefix(p, "tcp/1") || !slices.ContainsFunc(out, func(q string) bool { return strings.HasPrefix(q, "tcp/1") })) {
			out = append(out, p)
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// without removes the communications that keep returns false for; each stands on a line of its own.
func without(doc string, drop func(line int, id string) bool) string {
	lines := strings.Split(doc, "\n")
	for i, l := range lines {
		if id, ok := strings.CutPrefix(l, "  - {id: c"); ok && strings.Contains(l, "purpose: x") {
			id, _, _ = strings.Cut("c"+id, ",")
			if drop(i+1, id) {
				lines[i] = ""
			}
		}
	}
	return strings.Join(lines, "\n")
}

// What the tables permit is what the records permit; and without the records that the proof names, they are clean.
func TestTablesPermitExactlyWhatRecordsPermit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := draw(t)
		cfg, errs := config.Parse([]byte(doc))
		if errs != nil { // records with an address on both sides and the like
			bad := map[int]bool{}
			for _, e := range errs {
				bad[e.Line] = true
			}
			doc = without(doc, func(line int, _ string) bool { return bad[line] })
			if cfg, errs = config.Parse([]byte(doc)); errs != nil {
				t.Fatalf("the scene is not clean:\n%v\n%s", errs, doc)
			}
		}
		violations := compare(t, cfg)
		refused := map[string]bool{}
		for _, v := range violations {
			if !slices.Contains([]string{"I1", "I2", "I3", "I13"}, v.Invariant) || len(v.Records) == 0 {
				t.Fatalf("the compiler broke %v\n%s", v, doc)
			}
			witness(t, cfg, v) // a refused cell comes with a packet that it permits
			for _, r := range v.Records {
				refused[r] = true
			}
		}
		if len(refused) == 0 {
			return
		}
		doc = without(doc, func(_ int, id string) bool { return refused[id] })
		if cfg, errs = config.Parse([]byte(doc)); errs != nil {
			t.Fatalf("the scene is not clean:\n%v\n%s", errs, doc)
		}
		if left := compare(t, cfg); len(left) > 0 {
			t.Fatalf("without the refused records there is still %v\n%s", left, doc)
		}
	})
}

// witness checks that a counterexample is a packet that the named records really permit.
func witness(t *rapid.T, cfg *config.Config, v proof.Violation) {
	x := v.Counterexample
	if x == nil {
		t.Fatalf("no packet for %v", v)
	}
	if got := permitted(cfg, flow{x.Src, x.Dst, x.Proto, x.DPort}); !slices.Equal(got, v.Records) {
		t.Fatalf("the counterexample is permitted by %v, not by %v: %v", got, v.Records, v)
	}
}

// compare compiles, proves, and asks tables and records about the same packets.
func compare(t *rapid.T, cfg *config.Config) []proof.Violation {
	a := Anchors(cfg)
	if err := a.Validate(); err != nil {
		t.Fatalf("anchors: %v", err)
	}
	g, err := Compile(cfg, a)
	if err != nil {
		t.Fatal(err)
	}
	l := newLookup(&g.Tables)
	addrs, ports := interesting(cfg)
	n := rapid.IntRange(0, len(ports)-1).Draw(t, "first port")
	minute := 0
	for _, src := range addrs {
		for _, dst := range addrs {
			if src.Is4() != dst.Is4() {
				continue
			}
			for range 4 { // ports take turns: every pair of addresses, a few ports each
				n = (n + 1) % len(ports)
				p := ports[n]
				if p.Proto == config.ProtoICMP && src.Is6() || p.Proto == config.ProtoICMPv6 && src.Is4() {
					continue
				}
				f := flow{src, dst, p.Proto, p.Lo}
				want, got := permitted(cfg, f), l.permitted(f)
				if !slices.Equal(got, want) {
					t.Fatalf("%v: tables permit by %v, records by %v", f, got, want)
				}
				minute = (minute + 1) % len(turns)
				if want, got := anyInForce(cfg, want, turns[minute]), l.inForce(f, turns[minute]); got != want {
					t.Fatalf("%v at %s: tables permit %t, records %v permit %t", f, turns[minute], got, permitted(cfg, f), want)
				}
			}
		}
	}
	return proof.Check(&g.Tables, a)
}

// turns are minutes at which something drawn begins or ends, and the last ones before.
var turns = func() []time.Time {
	var out []time.Time
	for _, s := range []string{"2027-03-31 12:00", "2027-04-01 00:00", "2027-05-01 00:00", "2027-06-01 00:00", "2027-06-01 09:30", "2027-04-05 08:30", "2027-04-05 09:00",
		"2027-04-05 10:00", "2027-04-05 17:15", "2027-04-10 22:00", "2027-04-11 06:00", "2027-04-11 22:00", "2027-04-12 06:00", "2027-04-07 00:00"} {
		at, err := time.ParseInLocation("2006-01-02 15:04", s, time.FixedZone("JST", 9*3600))
		if err != nil {
			panic(err)
		}
		out = append(out, at, at.Add(-time.Minute))
	}
	return out
}()

// anyInForce reads the times of the named records as a person would, in Japan's calendar.
func anyInForce(cfg *config.Config, records []string, at time.Time) bool {
	day, minute := at.Format("2006-01-02"), at.Format("2006-01-02 15:04")
	inWindow := func(id string) bool {
		for _, w := range cfg.Windows {
			if w.ID != id {
				continue
			}
			for _, back := range []int{0, 1} { // it began today, or yesterday
				began := at.AddDate(0, 0, -back)
				if !slices.Contains(w.Days, config.Day((int(began.Weekday())+6)%7+1)) {
					continue
				}
				now, from, to := at.Hour()*60+at.Minute()+back*24*60, int(w.From), int(w.To)
				if to <= from {
					to += 24 * 60
				}
				if from <= now && now < to {
					return true
				}
			}
			return false
		}
		return true
	}
	for _, r := range records {
		i := slices.IndexFunc(cfg.Communications, func(c config.Communication) bool { return c.ID == r })
		if i < 0 {
			return true // the gate's own
		}
		c := cfg.Communications[i]
		since, until := c.Since.String(), c.Until.String()
		begun := since == "" || len(since) == 10 && since <= day || len(since) > 10 && since <= minute
		over := len(until) == 10 && day > until || len(until) > 10 && minute >= until
		if begun && !over && inWindow(c.Window) {
			return true
		}
	}
	return false
}

// flow is the first packet of a flow.
type flow struct {
	src, dst netip.Addr
	proto    uint8
	port     uint16
}

// interesting lists the addresses and ports at which something can change.
func interesting(cfg *config.Config) ([]netip.Addr, []config.Range) {
	var addrs []netip.Addr
	edge := func(p netip.Prefix) {
		first, last := p.Addr(), p.Addr()
		for p.Contains(last.Next()) {
			last = last.Next()
		}
		addrs = append(addrs, first, first.Next(), last, last.Next())
		if first.Prev().IsValid() {
			addrs = append(addrs, first.Prev())
		}
	}
	for _, s := range cfg.Segments {
		addrs = append(addrs, s.Gate...)
		for _, p := range s.Prefixes {
			edge(p)
		}
	}
	for _, c := range cfg.Communications {
		for _, p := range c.To.Prefixes {
			edge(p)
		}
	}
	for _, s := range cfg.Stations {
		addrs = append(addrs, s.Addresses...)
	}
	for _, s := range cfg.Services {
		addrs = append(addrs, s.Addresses...)
	}
	for _, s := range []string{"192.0.2.11", "198.51.100.2", "198.18.120.2", "198.18.21.2", "203.0.113.200"} {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	var ports []config.Range
	for _, s := range append(drawnPorts, "udp/51821") {
		var p config.PortSpec
		if err := p.UnmarshalText([]byte(s)); err != nil {
			panic(err)
		}
		for _, r := range p.Ranges() {
			for _, n := range []uint16{r.Lo - 1, r.Lo, r.Hi, r.Hi + 1} {
				ports = append(ports, config.Range{Proto: r.Proto, Lo: n})
			}
		}
	}
	return addrs, ports
}

// permitted is the reference: it reads the records one by one, as a person would, and lists those that permit the flow.
func permitted(cfg *config.Config, f flow) []string {
	src, dst := home(cfg, f.src), home(cfg, f.dst)
	if src == nil || dst == nil {
		return nil
	}
	var out []string
	fromGate, toGate := slices.Contains(src.Gate, f.src), slices.Contains(dst.Gate, f.dst)
	if !fromGate && !toGate && src != dst {
		for _, c := range cfg.Communications {
			if (c.State == "" || c.State == "active") && opens(cfg, c, src, f.src) && opened(cfg, c, f) {
				out = append(out, c.ID)
			}
		}
	}
	for _, p := range cfg.Portals {
		if f.dst == p.Address && f.proto == 6 && f.port == 443 && slices.Contains(p.Reach, src.ID) && !fromGate {
			out = append(out, "gate:portal-"+p.Zone.String())
		}
	}
	for _, r := range cfg.Regions {
		e := r.Endpoint
		switch {
		case f.proto == 17 && f.src == e.Addr() && toGate && dst.ID == "line1" && f.port == 51820:
			out = append(out, "gate:wireguard-"+r.ID+"-in")
		case f.proto == 17 && fromGate && src.ID == "line1" && f.dst == e.Addr() && f.port == e.Port():
			out = append(out, "gate:wireguard-"+r.ID+"-out")
		case f.proto == 17 && fromGate && src.ID == r.ID && f.dst == r.Probe && f.port == 7:
			out = append(out, "gate:probe-"+r.ID)
		}
	}
	echo := f.proto == 1 && f.port == 8 || f.proto == 58 && f.port == 128
	if echo && toGate && !fromGate && src == dst && src.Port != "" && src.ID != "line1" {
		out = append(out, "gate:echo-"+src.ID)
	}
	return out
}

func home(cfg *config.Config, a netip.Addr) *config.Segment {
	for i := range cfg.Segments {
		for _, p := range cfg.Segments[i].Prefixes {
			if p.Contains(a) {
				return &cfg.Segments[i]
			}
		}
	}
	return nil
}

func opens(cfg *config.Config, c config.Communication, s *config.Segment, a netip.Addr) bool {
	if slices.Contains(c.From.Segments, s.ID) {
		return true
	}
	for _, st := range cfg.Stations {
		if !slices.Contains(st.Addresses, a) {
			continue
		}
		if slices.Contains(c.From.Stations, st.ID) {
			return true
		}
		for _, g := range cfg.Groups {
			if slices.Contains(c.From.Groups, g.ID) && slices.Contains(g.Stations, st.ID) {
				return true
			}
		}
	}
	return false
}

func opened(cfg *config.Config, c config.Communication, f flow) bool {
	for _, g := range cfg.Groups {
		if slices.Contains(c.To.Groups, g.ID) {
			c.To.Stations, c.To.Services = append(slices.Clip(c.To.Stations), g.Stations...), append(slices.Clip(c.To.Services), g.Services...)
		}
	}
	for _, p := range c.To.Prefixes {
		if p.Contains(f.dst) && onPort(c.Ports, f) {
			return true
		}
	}
	for _, st := range cfg.Stations {
		if slices.Contains(c.To.Stations, st.ID) && slices.Contains(st.Addresses, f.dst) && onPort(c.Ports, f) {
			return true
		}
	}
	for _, sv := range cfg.Services {
		ports := c.Ports
		if len(ports) == 0 {
			ports = sv.Ports
		}
		if slices.Contains(c.To.Services, sv.ID) && slices.Contains(sv.Addresses, f.dst) && onPort(ports, f) {
			return true
		}
	}
	return false
}

func onPort(specs []config.PortSpec, f flow) bool {
	for _, s := range specs {
		switch {
		case s.Proto == "tcp" && f.proto == 6 && f.port >= s.Lo && f.port <= s.Hi,
			s.Proto == "udp" && f.proto == 17 && f.port >= s.Lo && f.port <= s.Hi,
			s.Proto == "icmp" && f.proto == 1 && f.port == 8,
			s.Proto == "icmp" && s.Lo == 0 && f.proto == 58 && f.port == 128,
			s.Proto == "icmp6" && f.proto == 58 && f.port == 128:
			return true
		}
	}
	return false
}

// lookup decides by the tables as the packet core does: exact address, else longest prefix; port; cell.
type lookup struct {
	t     *packet.Tables
	hosts map[netip.Addr]uint16
	cells map[packet.Cell]uint32
	rules map[uint32]packet.Rule
}

func newLookup(t *packet.Tables) lookup {
	l := lookup{t, map[netip.Addr]uint16{}, map[packet.Cell]uint32{}, map[uint32]packet.Rule{}}
	for _, h := range t.Hosts {
		l.hosts[h.Addr] = h.Class
	}
	for _, c := range t.Cells {
		l.cells[packet.Cell{Src: c.Src, Dst: c.Dst, Port: c.Port}] = c.Rule
	}
	for _, r := range t.Rules {
		l.rules[r.ID] = r
	}
	return l
}

func (l lookup) permitted(f flow) []string { return l.rules[l.rule(f)].Records }

// inForce walks the chain of the cell's rule.
func (l lookup) inForce(f flow, at time.Time) bool {
	for r, ok := l.rules[l.rule(f)]; ok; r, ok = l.rules[r.Next] {
		minute := at.Unix() / 60
		week := uint16((minute + 3*24*60) % (7 * 24 * 60)) // 1970 began on a Thursday
		if minute < r.From || r.Until != 0 && minute >= r.Until {
			continue
		}
		if r.Window == 0 || slices.ContainsFunc(l.t.Windows[r.Window-1].Spans, func(s packet.Span) bool { return s.From <= week && week < s.To }) {
			return true
		}
	}
	return false
}

func (l lookup) rule(f flow) uint32 {
	for _, r := range l.t.Ports {
		if r.Proto == f.proto && r.Lo <= f.port && f.port <= r.Hi {
			return l.cells[packet.Cell{Src: l.class(f.src), Dst: l.class(f.dst), Port: r.Class}]
		}
	}
	return 0
}

func (l lookup) class(a netip.Addr) uint16 {
	if c, ok := l.hosts[a]; ok {
		return c
	}
	best, class := -1, uint16(0)
	for _, p := range l.t.Prefixes {
		if p.Prefix.Contains(a) && p.Prefix.Bits() > best {
			best, class = p.Prefix.Bits(), p.Class
		}
	}
	return class
}

// Two addresses are in one class exactly when every record treats them alike: no two classes of a segment can be merged.
// (Classes of IPv6 addresses alone may differ only in records towards IPv4, which leave no cell; they are not compared.)
func TestClassesAreAtomic(t *testing.T) {
	cfg := example(t, "town")
	g, err := Compile(cfg, Anchors(cfg))
	if err != nil {
		t.Fatal(err)
	}
	v4 := map[uint16]bool{}
	for _, h := range g.Tables.Hosts {
		v4[h.Class] = v4[h.Class] || h.Addr.Is4()
	}
	for _, p := range g.Tables.Prefixes {
		v4[p.Class] = v4[p.Class] || p.Prefix.Addr().Is4()
	}
	seen := map[string]uint16{}
	for _, c := range g.Tables.Classes {
		if !v4[c.ID] {
			continue
		}
		var row []string
		for _, x := range g.Tables.Cells {
			if x.Src == c.ID {
				row = append(row, fmt.Sprint("to", x.Dst, x.Port, x.Rule))
			}
			if x.Dst == c.ID {
				row = append(row, fmt.Sprint("from", x.Src, x.Port, x.Rule))
			}
		}
		slices.Sort(row)
		key := fmt.Sprint(c.Segment, c.Kind, c.OnLink, c.Via, row)
		if other, ok := seen[key]; ok {
			t.Errorf("classes %d and %d of segment %d are treated alike", other, c.ID, c.Segment)
		}
		seen[key] = c.ID
	}
}
