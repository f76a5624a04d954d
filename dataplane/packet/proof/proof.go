// Package proof checks that tables keep the zones apart, whoever made them.
//
// Problem: a compiler can err and a control process can lie; neither may join two networks. Mechanism: the tables are
// finite, so every entry and every cell is looked at, over the tables as they were decoded from what will be loaded, and
// against the anchors alone; nothing of the compiler or of the configuration is used. Life cycle: a function; control
// calls it before it asks, the dataplane calls it before it swaps. Invariant: if Check is silent, then no packet that the
// contract's decision would admit over these tables, at any time, breaks I1-I5, I7 or I9-I13. (That the loaded programs
// implement that decision is tested, not proven.)
//
// Zones come from the anchors, by segment and once more by each address, so that an entry in the wrong place is found
// twice. I6 refuses nothing: package stones lists what it is about. I11: addresses are translated where a packet
// crosses a tunnel and nowhere else, by the anchors' mappings alone, which the loader compares with those that the programs read
// before it hands out tables to be proven; nat.go shows that tables of inside addresses then say all. What is contradictory or dangling is refused before any invariant is asked: two readers could read it differently.
package proof

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Tables is the name under which broken tables are reported: duplicate, contradictory or dangling entries.
const Tables = "tables"

// MaxViolations bounds the answer. A violation stands for all cells of its rule between the same zones.
const MaxViolations = 100

// Violation is one broken invariant.
type Violation struct {
	Invariant      string          `json:"invariant"` // "I1" ... or "tables"
	Message        string          `json:"message"`
	Counterexample *Counterexample `json:"counterexample,omitempty"` // a packet that the cell permits, from a registered station if there is one; nil when none can be named
	Records        []string        `json:"records,omitempty"`        // what permits it
	Replay         *Replay         `json:"replay,omitempty"`         // what the loaded programs did with it; nil when nobody asked them
}

// Counterexample is the first packet of a flow.
type Counterexample struct {
	Port    string       `json:"port"` // where it comes in; "" = the gate itself sends it
	VLAN    uint16       `json:"vlan,omitempty"`
	Outer   uint16       `json:"outer,omitempty"` // service VLAN around VLAN
	SMAC    packet.MAC   `json:"smac,omitzero"`   // zero in tunnels
	Src     netip.Addr   `json:"src"`
	Dst     netip.Addr   `json:"dst"`
	Proto   uint8        `json:"proto"` // IANA number
	DPort   uint16       `json:"dport"` // ICMP: the type
	SrcZone anchors.Zone `json:"src_zone"`
	DstZone anchors.Zone `json:"dst_zone"`
}

// String writes the packet on one line.
func (c Counterexample) String() string {
	from := "the gate"
	if c.Port != "" {
		from = "port " + c.Port
		if c.VLAN != 0 {
			from += fmt.Sprintf(" VLAN %d", c.VLAN)
		}
		if c.Outer != 0 {
			from += fmt.Sprintf(" in %d", c.Outer)
		}
		if !c.SMAC.IsZero() {
			from += " MAC " + c.SMAC.String()
		}
	}
	return fmt.Sprintf("%s: %s (%s) -> %s (%s) %s", from, c.Src, c.SrcZone, c.Dst, c.DstZone, service(c.Proto, c.DPort))
}

func service(proto uint8, port uint16) string {
	switch proto {
	case 1:
		return fmt.Sprintf("icmp type %d", port)
	case 6:
		return fmt.Sprintf("tcp/%d", port)
	case 17:
		return fmt.Sprintf("udp/%d", port)
	case 47:
		return "gre"
	case 50:
		return "esp"
	case 51:
		return "ah"
	case 58:
		return fmt.Sprintf("icmpv6 type %d", port)
	case 132:
		return fmt.Sprintf("sctp/%d", port)
	}
	return fmt.Sprintf("protocol %d", proto)
}

func (v Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.Invariant, v.Message)
	if v.Counterexample != nil {
		fmt.Fprintf(&b, "\n  packet: %s", v.Counterexample)
	}
	if v.Replay != nil {
		fmt.Fprintf(&b, "\n  replayed: %s", v.Replay)
	}
	if len(v.Records) > 0 {
		fmt.Fprintf(&b, "\n  permitted by: %s", strings.Join(v.Records, ", "))
	}
	return b.String()
}

// Check looks at everything in t. An empty answer means that the invariants hold.
func Check(t *packet.Tables, a *anchors.Anchors) []Violation {
	return newChecker(t, a).run()
}

func (c *checker) run() []Violation {
	c.segments()
	c.classes()
	c.hosts()
	c.prefixes()
	c.gateAddresses()
	c.processes()
	c.nat()
	c.routedPrefixes()
	c.ports()
	c.windows()
	c.rules()
	c.cells()
	if c.dropped > 0 {
		c.found = append(c.found, Violation{Invariant: Tables, Message: fmt.Sprintf("%d more violations are not listed", c.dropped)})
	}
	return c.found
}

// checker holds the tables by number beside the anchors' view of them.
type checker struct {
	t *packet.Tables
	a *anchors.Anchors

	// By number; as long as there are numbers, because every cell asks them.
	segment  []*packet.Segment
	anchored []*anchors.Segment
	class    []*member
	port     [][]packet.PortRange
	facts    []portFacts // of port

	byAddr map[netip.Addr]int // index in t.Hosts
	rule   ruleBook

	found   []Violation
	seen    map[string]int // place in found by key
	dropped int

	searches int // for better counterexamples
	effort   int // spent on counterexamples
}

// member is a class with what belongs to it.
type member struct {
	*packet.Class
	hosts    []int   // indexes in t.Hosts
	prefixes []int   // indexes in t.Prefixes
	zones    zoneSet // of its segment and of every address, by the anchors
	local    bool    // the gate itself
	portal   bool
}

// zoneSet is a bit set of zones.
type zoneSet uint8

func (z *zoneSet) add(zone anchors.Zone) { *z |= 1 << zone }
func (z zoneSet) first() anchors.Zone    { return anchors.Zone(bits.TrailingZeros8(uint8(z))) }

// numbers is how many different numbers segments, classes and ports can have in tables that nobody has checked yet.
const numbers = 1 << 16

func newChecker(t *packet.Tables, a *anchors.Anchors) *checker {
	c := &checker{
		t: t, a: a,
		segment:  make([]*packet.Segment, numbers),
		anchored: make([]*anchors.Segment, numbers),
		class:    make([]*member, numbers),
		port:     make([][]packet.PortRange, numbers),
		byAddr:   make(map[netip.Addr]int, len(t.Hosts)),
		rule:     newRuleBook(t.Rules),
		seen:     map[string]int{},
	}
	named := make(map[string]*anchors.Segment, len(a.Segments))
	for i := range a.Segments {
		named[a.Segments[i].ID] = &a.Segments[i]
	}
	for i := range t.Segments {
		s := &t.Segments[i]
		c.segment[s.ID], c.anchored[s.ID] = s, named[s.Name]
	}
	for i := range t.Classes {
		k := &t.Classes[i]
		m := &member{Class: k, local: k.Kind == packet.KindLocal}
		if s := c.anchorOf(k.Segment); s != nil {
			m.portal = s.Attach == anchors.AttachPortal
		}
		m.zones.add(c.zoneOf(k.Segment))
		c.class[k.ID] = m
	}
	for i, h := range t.Hosts {
		if _, twice := c.byAddr[h.Addr]; !twice {
			c.byAddr[h.Addr] = i
		}
		if m := c.class[h.Class]; m != nil {
			m.hosts = append(m.hosts, i)
			m.zones.add(c.zoneOfAddr(h.Addr))
			m.zones.add(c.zoneOf(h.Segment))
		}
	}
	for i, p := range t.Prefixes {
		if m := c.class[p.Class]; m != nil {
			m.prefixes = append(m.prefixes, i)
			m.zones.add(c.zoneOf(p.Segment))
			for j := range a.Segments { // a wide prefix may reach into several
				for _, q := range a.Segments[j].Prefixes {
					if q.Overlaps(p.Prefix) {
						m.zones.add(a.Segments[j].Zone)
					}
				}
			}
		}
	}
	for _, r := range t.Ports {
		c.port[r.Class] = append(c.port[r.Class], r)
	}
	c.facts = factsOf(c.port)
	return c
}

// anchorOf is the anchors' segment that a number of the tables stands for; nil when there is none.
func (c *checker) anchorOf(number uint16) *anchors.Segment {
	return c.anchored[number]
}

func (c *checker) zoneOf(number uint16) anchors.Zone {
	if s := c.anchorOf(number); s != nil && s.Zone < anchors.Zones {
		return s.Zone
	}
	return anchors.None
}

func (c *checker) zoneOfAddr(addr netip.Addr) anchors.Zone {
	if s, ok := c.a.SegmentOf(addr); ok && s.Zone < anchors.Zones {
		return s.Zone
	}
	return anchors.None
}

// report adds a violation once per key.
func (c *checker) report(key string, v Violation) {
	key = v.Invariant + " " + key
	if _, again := c.seen[key]; again {
		return
	}
	c.seen[key] = MaxViolations
	if len(c.found) >= MaxViolations {
		c.dropped++
		return
	}
	c.seen[key] = len(c.found)
	c.found = append(c.found, v)
}

// wanted tells whether a violation is new and will be listed. For what is not, no counterexample is sought: tables full of
// faults are refused as soon as sound ones are accepted.
func (c *checker) wanted(key string, v Violation) bool {
	if _, again := c.seen[v.Invariant+" "+key]; again {
		return false
	}
	if len(c.found) >= MaxViolations {
		c.report(key, v)
		return false
	}
	return true
}

// maxEffort bounds what all counterexamples of one check may cost, in entries looked at; about a second.
const maxEffort = 100_000_000

// spend books n entries; false when nothing is left to spend.
func (c *checker) spend(n int) bool {
	c.effort += n
	return c.effort <= maxEffort
}

// fault reports something about an entry, without a packet.
func (c *checker) fault(invariant, format string, args ...any) {
	m := fmt.Sprintf(format, args...)
	c.report(m, Violation{Invariant: invariant, Message: m})
}
