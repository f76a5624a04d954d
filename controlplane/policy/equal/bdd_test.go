package equal_test

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/dalzilio/rudd"
	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/equal"
	"github.com/sekisho/sekisho/controlplane/policy/internal/drawn"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// engine is the second opinion: sets of packets as binary decision diagrams over the bits of the header, so that two sets are
// the same exactly when they are the same node. It shares no code with equal, space and reading, and reads the document a third
// time. Time is a few bits as well: the number of one of the minutes at which something begins or ends.
type engine struct {
	*rudd.BDD
	four    bool
	width   int // of an address
	minutes []int64
}

// Variables: time, protocol, port, source, destination.
const (
	timeBits = 10
	atProto  = timeBits
	atPort   = atProto + 8
	atSrc    = atPort + 16
)

func newEngine(t fataler, four bool, minutes []int64) *engine {
	e := &engine{four: four, width: 128, minutes: minutes}
	if four {
		e.width = 32
	}
	if len(minutes) > 1<<timeBits {
		t.Fatalf("%d minutes: want at most %d", len(minutes), 1<<timeBits)
	}
	b, err := rudd.New(atSrc+2*e.width, rudd.Nodesize(1<<17), rudd.Cachesize(1<<14))
	if err != nil {
		t.Fatalf("%v", err)
	}
	e.BDD = b
	return e
}

type fataler interface{ Fatalf(string, ...any) }

func (e *engine) dst() int { return atSrc + e.width }

// bit is one variable with one value.
func (e *engine) bit(v int, one bool) rudd.Node {
	if one {
		return e.Ithvar(v)
	}
	return e.NIthvar(v)
}

// number is all values of n variables from lo to hi.
func (e *engine) number(from, n int, lo, hi uint64) rudd.Node {
	least, most := e.True(), e.True() // of the bits behind the one at hand
	for i := range n {
		v := from + n - 1 - i
		if lo>>i&1 == 1 {
			least = e.And(e.Ithvar(v), least)
		} else {
			least = e.Or(e.Ithvar(v), least)
		}
		if hi>>i&1 == 1 {
			most = e.Or(e.NIthvar(v), most)
		} else {
			most = e.And(e.NIthvar(v), most)
		}
	}
	return e.And(least, most)
}

// in is all addresses of a prefix; nothing of the other IP version.
func (e *engine) in(from int, p netip.Prefix) rudd.Node {
	if p.Addr().Is4() != e.four {
		return e.False()
	}
	n := e.True()
	b := p.Addr().AsSlice()
	for i := p.Bits() - 1; i >= 0; i-- {
		n = e.And(e.bit(from+i, b[i/8]>>(7-i%8)&1 == 1), n)
	}
	return n
}

func (e *engine) any(from int, list ...netip.Prefix) rudd.Node {
	n := e.False()
	for _, p := range list {
		n = e.Or(n, e.in(from, p))
	}
	return n
}

func (e *engine) addr(from int, list ...netip.Addr) rudd.Node {
	n := e.False()
	for _, a := range list {
		n = e.Or(n, e.in(from, netip.PrefixFrom(a, a.BitLen())))
	}
	return n
}

func (e *engine) ports(proto uint8, lo, hi uint16) rudd.Node {
	if proto == 58 && e.four || proto == 1 && !e.four {
		return e.False()
	}
	return e.And(e.number(atProto, 8, uint64(proto), uint64(proto)), e.number(atPort, 16, uint64(lo), uint64(hi)))
}

// when is all minutes that in says yes to.
func (e *engine) when(in func(minute int64) bool) rudd.Node {
	n := e.False()
	for i, m := range e.minutes {
		if in(m) {
			n = e.Or(n, e.number(0, timeBits, uint64(i), uint64(i)))
		}
	}
	return n
}

// meaning is what a policy says of packets: by which records, in which class, when.
type meaning map[string]rudd.Node

func (e *engine) add(m meaning, key string, n rudd.Node) {
	if old, ok := m[key]; ok {
		n = e.Or(old, n)
	}
	m[key] = n
}

// differ tells where two meanings differ; "" when they are the same.
func (e *engine) differ(a, b meaning) string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range slices.Compact(keys) {
		x, y := e.False(), e.False()
		if n, ok := a[k]; ok {
			x = n
		}
		if n, ok := b[k]; ok {
			y = n
		}
		if !e.Equal(x, y) {
			return k
		}
	}
	return ""
}

// tables reads decoded tables as the packet core does. With places, what they say of each address by itself belongs to it.
func (e *engine) tables(t *packet.Tables, places bool) meaning {
	m := meaning{}
	of := func(from int) map[uint16]rudd.Node {
		classes, taken := map[uint16]rudd.Node{}, e.False()
		put := func(p netip.Prefix, class, segment uint16, mac packet.MAC) {
			n := e.And(e.in(from, p), e.Not(taken))
			if old, ok := classes[class]; ok {
				classes[class] = e.Or(old, n)
			} else {
				classes[class] = n
			}
			taken = e.Or(taken, n)
			if places && from == atSrc {
				i := slices.IndexFunc(t.Classes, func(c packet.Class) bool { return c.ID == class })
				c := t.Classes[i]
				c.ID = 0
				e.add(m, fmt.Sprint("place ", segment, mac, c), n)
			}
		}
		for _, h := range t.Hosts {
			put(netip.PrefixFrom(h.Addr, h.Addr.BitLen()), h.Class, h.Segment, h.MAC)
		}
		longest := slices.Clone(t.Prefixes)
		slices.SortStableFunc(longest, func(a, b packet.Prefix) int { return b.Prefix.Bits() - a.Prefix.Bits() })
		for _, p := range longest {
			put(p.Prefix, p.Class, p.Segment, p.MAC)
		}
		return classes
	}
	src, dst, port := of(atSrc), of(e.dst()), map[uint16]rudd.Node{}
	for _, r := range t.Ports {
		if _, ok := port[r.Class]; !ok {
			port[r.Class] = e.False()
		}
		port[r.Class] = e.Or(port[r.Class], e.ports(r.Proto, r.Lo, r.Hi))
	}
	rules := map[uint32]packet.Rule{}
	for _, r := range t.Rules {
		rules[r.ID] = r
	}
	byRule := map[uint32]rudd.Node{}
	for _, c := range t.Cells {
		s, ok1 := src[c.Src]
		d, ok2 := dst[c.Dst]
		p, ok3 := port[c.Port]
		if !ok1 || !ok2 || !ok3 {
			continue
		}
		n := e.And(e.And(s, d), p)
		if e.Equal(n, e.False()) {
			continue
		}
		e.add(m, fmt.Sprint("class ", c.BWClass), n)
		if old, ok := byRule[c.Rule]; ok {
			n = e.Or(old, n)
		}
		byRule[c.Rule] = n
	}
	for id, n := range byRule {
		for _, r := range rules[id].Records {
			e.add(m, "record "+r, n)
		}
		e.add(m, "permitted", e.And(n, e.when(func(minute int64) bool { return open(t, rules, id, minute) })))
	}
	return m
}

// open tells whether a rule, or one after it, is in force.
func open(t *packet.Tables, rules map[uint32]packet.Rule, id uint32, minute int64) bool {
	week := (minute + 3*24*60) % (7 * 24 * 60)
	for n := 0; id != 0 && n <= packet.MaxChain; n++ {
		r, ok := rules[id]
		if !ok {
			return false
		}
		id = r.Next
		if minute < r.From || r.Until != 0 && minute >= r.Until {
			continue
		}
		if r.Window == 0 {
			return true
		}
		for _, w := range t.Windows {
			if w.ID == r.Window && slices.ContainsFunc(w.Spans, func(s packet.Span) bool { return int64(s.From) <= week && week < int64(s.To) }) {
				return true
			}
		}
	}
	return false
}

// document reads a configuration.
func (e *engine) document(c *config.Config) meaning {
	m := meaning{}
	between, dst := e.False(), e.dst()
	gates := map[string]config.Segment{}
	var own []netip.Addr
	for _, s := range c.Segments {
		gates[s.ID] = s
		own = append(own, s.Gate...)
		for _, o := range c.Segments {
			if o.ID != s.ID {
				between = e.Or(between, e.And(e.any(atSrc, s.Prefixes...), e.any(dst, o.Prefixes...)))
			}
		}
	}
	others := e.And(e.Not(e.addr(atSrc, own...)), e.Not(e.addr(dst, own...)))
	between = e.And(between, others)
	taken := e.False() // by records before: the first decides the class
	permit := func(name string, class int, n, when rudd.Node) {
		if e.Equal(n, e.False()) {
			return
		}
		e.add(m, "record "+name, n)
		e.add(m, fmt.Sprint("class ", class), e.And(n, e.Not(taken)))
		e.add(m, "permitted", e.And(n, when))
		taken = e.Or(taken, n)
	}
	for _, q := range c.Communications {
		if q.State != "" && q.State != "active" {
			continue
		}
		for class, to := range e.opened(c, q) {
			permit(q.ID, class, e.And(between, e.And(e.opens(c, q), to)), e.when(func(minute int64) bool { return calendar(c, q, minute) }))
		}
	}
	for _, p := range c.Portals {
		from := e.False()
		for _, id := range p.Reach {
			from = e.Or(from, e.any(atSrc, gates[id].Prefixes...))
		}
		permit("gate:portal-"+p.Zone.String(), 0, e.And(e.And(others, from), e.And(e.addr(dst, p.Address), e.ports(6, 443, 443))), e.when(ever))
	}
	for i := range c.Regions {
		r := &c.Regions[i]
		for _, end := range r.Reached() {
			t := c.Tunnels[slices.IndexFunc(c.Tunnels, func(t config.Tunnel) bool { return t.ID == end.Tunnel })]
			l := c.Lines[slices.IndexFunc(c.Lines, func(l config.Line) bool { return l.ID == t.Line })]
			line, far := gates[l.Segment].Gate, end.Endpoint.Addr()
			permit("gate:wireguard-"+end.ID+"-in", 0, e.And(e.And(e.addr(atSrc, far), e.addr(dst, line...)), e.ports(17, t.Listen, t.Listen)), e.when(ever))
			permit("gate:wireguard-"+end.ID+"-out", 0, e.And(e.And(e.addr(atSrc, line...), e.addr(dst, far)), e.ports(17, end.Endpoint.Port(), end.Endpoint.Port())), e.when(ever))
			if !end.Probe.IsValid() {
				continue
			}
			asks := e.And(e.addr(atSrc, gates[r.ID].Gate...), e.addr(dst, end.Probe))
			permit("gate:probe-"+end.ID, 0, e.And(asks, e.ports(17, 7, 7)), e.when(ever))
			if end.Plain {
				continue
			}
			permit("gate:probe-"+end.ID, 0, e.And(asks, e.ports(17, 7000, 7000)), e.when(ever))
			for n, k := range c.Classes {
				everywhere := k.Line == "" && k.Lines == nil
				if everywhere || k.Line == l.ID || slices.ContainsFunc(k.Lines, func(o config.OnLine) bool { return o.Line == l.ID }) {
					permit("gate:probe-"+end.ID+":"+k.ID, n+1, e.And(asks, e.ports(17, uint16(7001+n), uint16(7001+n))), e.when(ever))
				}
			}
		}
	}
	for _, s := range c.Segments {
		if s.Port != "" && s.Zone != anchors.Uplink {
			from := e.And(e.any(atSrc, s.Prefixes...), e.Not(e.addr(atSrc, s.Gate...)))
			permit("gate:echo-"+s.ID, 0, e.And(e.And(from, e.addr(dst, s.Gate...)), e.Or(e.ports(1, 8, 8), e.ports(58, 128, 128))), e.when(ever))
		}
	}
	return m
}

func ever(int64) bool { return true }

func (e *engine) opens(c *config.Config, q config.Communication) rudd.Node {
	n := e.False()
	for _, s := range c.Segments {
		if slices.Contains(q.From.Segments, s.ID) {
			n = e.Or(n, e.any(atSrc, s.Prefixes...))
		}
	}
	for _, s := range c.Stations {
		if slices.Contains(q.From.Stations, s.ID) || slices.ContainsFunc(c.Groups, func(g config.Group) bool {
			return slices.Contains(q.From.Groups, g.ID) && slices.Contains(g.Stations, s.ID)
		}) {
			n = e.Or(n, e.addr(atSrc, s.Addresses...))
		}
	}
	return n
}

// opened is what a record opens, by bandwidth class.
func (e *engine) opened(c *config.Config, q config.Communication) map[int]rudd.Node {
	number := func(id string) int {
		return 1 + slices.IndexFunc(c.Classes, func(k config.Class) bool { return k.ID == id })
	}
	out := map[int]rudd.Node{}
	put := func(class string, n rudd.Node) {
		if q.Class != "" {
			class = q.Class
		}
		if old := out[number(class)]; old != nil {
			n = e.Or(old, n)
		}
		out[number(class)] = n
	}
	on := func(list []config.PortSpec) rudd.Node {
		n := e.False()
		for _, s := range list {
			switch s.Proto {
			case "tcp":
				n = e.Or(n, e.ports(6, s.Lo, s.Hi))
			case "udp":
				n = e.Or(n, e.ports(17, s.Lo, s.Hi))
			case "sctp":
				n = e.Or(n, e.ports(132, s.Lo, s.Hi))
			case "icmp":
				n = e.Or(n, e.ports(1, 8, 8))
				if s.Lo == 0 {
					n = e.Or(n, e.ports(58, 128, 128))
				}
			case "icmp6":
				n = e.Or(n, e.ports(58, 128, 128))
			}
		}
		return n
	}
	group := func(has func(config.Group) bool) bool {
		return slices.ContainsFunc(c.Groups, func(g config.Group) bool { return slices.Contains(q.To.Groups, g.ID) && has(g) })
	}
	to := e.any(e.dst(), q.To.Prefixes...)
	for _, s := range c.Stations {
		if slices.Contains(q.To.Stations, s.ID) || group(func(g config.Group) bool { return slices.Contains(g.Stations, s.ID) }) {
			to = e.Or(to, e.addr(e.dst(), s.Addresses...))
		}
	}
	put("", e.And(to, on(q.Ports)))
	for _, s := range c.Services {
		if slices.Contains(q.To.Services, s.ID) || group(func(g config.Group) bool { return slices.Contains(g.Services, s.ID) }) {
			ports := q.Ports
			if len(ports) == 0 {
				ports = s.Ports
			}
			put(s.Class, e.And(e.addr(e.dst(), s.Addresses...), on(ports)))
		}
	}
	return out
}

// calendar reads a record's time as a person in Japan would.
func calendar(c *config.Config, q config.Communication, minute int64) bool {
	now := time.Unix(minute*60, 0).In(time.FixedZone("JST", 9*3600))
	text := now.Format("2006-01-02 15:04")
	if since := q.Since.String(); text[:len(since)] < since {
		return false
	}
	switch until := q.Until.String(); {
	case len(until) == len("2006-01-02") && text[:10] > until, len(until) > 10 && text >= until:
		return false
	}
	for _, w := range c.Windows {
		if w.ID != q.Window {
			continue
		}
		of := int(w.To) - int(w.From)
		if of <= 0 {
			of += 24 * 60
		}
		for back := range 2 { // it began today or yesterday
			day := now.AddDate(0, 0, -back)
			begun := now.Hour()*60 + now.Minute() + back*24*60 - int(w.From)
			if slices.Contains(w.Days, config.Day((day.Weekday()+6)%7+1)) && begun >= 0 && begun < of {
				return true
			}
		}
		return false
	}
	return true
}

// edges are minutes of which one lies in every stretch of time in which nothing begins or ends.
func edges(c *config.Config, all ...*packet.Tables) []int64 {
	absolute, week := []int64{0}, []int64{}
	for _, t := range all {
		for _, r := range t.Rules {
			absolute = append(absolute, max(r.From, 0), max(r.Until, 0))
		}
		for _, w := range t.Windows {
			for _, s := range w.Spans {
				week = append(week, int64(s.From), int64(s.To)%10080)
			}
		}
	}
	for _, q := range c.Communications {
		if !q.Since.IsZero() {
			absolute = append(absolute, q.Since.Begin())
		}
		if !q.Until.IsZero() {
			absolute = append(absolute, q.Until.End())
		}
	}
	for _, w := range c.Windows {
		for _, d := range w.Days {
			for _, n := range []config.Clock{w.From, w.To} {
				week = append(week, ((int64(d)-1)*1440+int64(n)-540+2*10080)%10080, (int64(d)*1440+int64(n)-540+2*10080)%10080)
			}
		}
	}
	slices.Sort(absolute)
	absolute = slices.Compact(absolute)
	slices.Sort(week)
	week = slices.Compact(week)
	var out []int64
	for i, from := range absolute {
		until := int64(math.MaxInt64)
		if i+1 < len(absolute) {
			until = absolute[i+1]
		}
		out = append(out, from)
		now := (from + 3*1440) % 10080
		for _, w := range week {
			if m := from + (w-now+10080)%10080; m < until {
				out = append(out, m)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// opinion is what the second engine says of tables: where they differ from the document, "" when nowhere.
func opinion(t fataler, cfg *config.Config, tables *packet.Tables) string {
	minutes := edges(cfg, tables)
	for _, four := range []bool{true, false} {
		e := newEngine(t, four, minutes)
		if at := e.differ(e.document(cfg), e.tables(tables, false)); at != "" {
			return fmt.Sprintf("IPv4 %t: %s", four, at)
		}
	}
	return ""
}

// asGood tells whether two tables mean the same, of packets and of addresses.
func asGood(t fataler, cfg *config.Config, a, b *packet.Tables) bool {
	minutes := edges(cfg, a, b)
	for _, four := range []bool{true, false} {
		e := newEngine(t, four, minutes)
		if e.differ(e.tables(a, true), e.tables(b, true)) != "" {
			return false
		}
	}
	return true
}

// The second engine agrees that what is compiled is what is written.
func TestSecondEngineAgrees(t *testing.T) {
	for _, name := range []string{"lab", "town"} {
		cfg := example(t, name)
		tables, _ := compiled(t, cfg)
		if at := opinion(t, cfg, tables); at != "" {
			t.Errorf("%s: differs at %s", name, at)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		doc, cfg := drawn.Config(t)
		tables, _ := compiled(t, cfg)
		if at := opinion(t, cfg, tables); at != "" {
			t.Fatalf("the second engine differs at %s\n%s", at, doc)
		}
	})
}

// Where the second engine sees a difference, so does the comparison, and no packet that the comparison names is one on which the
// second engine sees none.
func TestSecondEngineAgreesOnFaultyTables(t *testing.T) {
	var kinds []fault // those that leave tables that can be read in one way
	for _, f := range faults {
		for _, w := range []string{"cell ", "bandwidth", "port range", "host in another class", "prefix missing", "rule that", "rule with", "chain", "record", "window"} {
			if strings.HasPrefix(f.kind, w) && !strings.Contains(f.kind, "twice") {
				kinds = append(kinds, f)
				break
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		doc, cfg := drawn.Config(t)
		tables, a := compiled(t, cfg)
		bad := clone(tables)
		f := rapid.SampledFrom(kinds).Draw(t, "fault")
		if !f.seed(&bad, rapid.IntRange(0, 60).Draw(t, "place")) || packet.Check(packet.Canonical(bad)) != nil {
			return
		}
		at, found := opinion(t, cfg, &bad), equal.Check(cfg, a, &bad)
		if at != "" && len(found) == 0 {
			t.Fatalf("%s: the second engine sees a difference at %s, the comparison none\n%s", f.kind, at, doc)
		}
		if i := slices.IndexFunc(found, func(f equal.Fault) bool { return f.Packet != nil }); i >= 0 && at == "" {
			t.Fatalf("%s: the second engine sees no difference, the comparison %v\n%s", f.kind, found[i], doc)
		}
	})
}
