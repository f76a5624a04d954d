package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// What the tables permit is what the records permit; and without the records that the proof names, they are clean.
func TestTablesPermitExactlyWhatRecordsPermit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, cfg := drawn.Config(t)
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
		doc = drawn.Without(doc, func(_ int, id string) bool { return refused[id] })
		cfg, errs := config.Parse([]byte(doc))
		if errs != nil {
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
				f := flow{src, dst, ports[n].Proto, ports[n].Lo}
				if !f.real() {
					continue
				}
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

// real tells whether there are such packets: both ends, and an ICMP, of one IP version.
func (f flow) real() bool {
	return f.src.Is4() == f.dst.Is4() && !(f.proto == config.ProtoICMP && f.src.Is6()) && !(f.proto == config.ProtoICMPv6 && f.src.Is4())
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
	for _, s := range []string{"192.0.2.11", "192.0.2.27", "192.0.2.28", "198.51.100.2", "198.51.100.3", "198.18.120.2", "198.18.21.2", "203.0.113.200"} {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	var ports []config.Range
	for _, s := range append(drawn.Ports, "udp/51821", "udp/7000-7003") {
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
	for i := range cfg.Regions {
		out = append(out, asked(cfg, &cfg.Regions[i], f, src, dst, fromGate, toGate)...)
	}
	echo := f.proto == 1 && f.port == 8 || f.proto == 58 && f.port == 128
	if echo && toGate && !fromGate && src == dst && src.Port != "" && src.Zone != anchors.Uplink {
		out = append(out, "gate:echo-"+src.ID)
	}
	return out
}

// asked lists what the gate and the ends of a region say to each other.
func asked(cfg *config.Config, r *config.Region, f flow, src, dst *config.Segment, fromGate, toGate bool) (out []string) {
	if f.proto != 17 {
		return nil
	}
	for _, t := range cfg.Tunnels {
		for _, l := range cfg.Lines {
			for _, e := range r.Reached() {
				if l.ID != t.Line || e.Tunnel != t.ID {
					continue
				}
				switch {
				case f.src == e.Endpoint.Addr() && toGate && dst.ID == l.Segment && f.port == t.Listen:
					out = append(out, "gate:wireguard-"+e.ID+"-in")
				case fromGate && src.ID == l.Segment && f.dst == e.Endpoint.Addr() && f.port == e.Endpoint.Port():
					out = append(out, "gate:wireguard-"+e.ID+"-out")
				case fromGate && src.ID == r.ID && f.dst == e.Probe && (f.port == 7 || f.port == 7000 && !e.Plain):
					out = append(out, "gate:probe-"+e.ID)
				case fromGate && src.ID == r.ID && f.dst == e.Probe && !e.Plain && f.port > 7000 && int(f.port) <= 7000+len(cfg.Classes):
					if _, on := cfg.On(&cfg.Classes[f.port-7001], &l); on {
						out = append(out, "gate:probe-"+e.ID+":"+cfg.Classes[f.port-7001].ID)
					}
				}
			}
		}
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
