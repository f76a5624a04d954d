package proof

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// own marks records that the gate makes for itself; they never join two zones.
const own = "gate:"

// cells walks every cell once, by pair of classes.
func (c *checker) cells() {
	cells := inOrder(c.t.Cells)
	for i := range cells {
		cell := &cells[i]
		src, dst := c.class[cell.Src], c.class[cell.Dst]
		switch {
		case i > 0 && crossing(&cells[i-1]) == crossing(cell):
			c.fault(Tables, "the cell of classes %d -> %d and port class %d is entered twice", cell.Src, cell.Dst, cell.Port)
			continue
		case src == nil || dst == nil || !c.facts[cell.Port].known || c.rule.by(cell.Rule) == nil:
			c.fault(Tables, "the cell of classes %d -> %d, port class %d, rule %d names something that does not exist", cell.Src, cell.Dst, cell.Port, cell.Rule)
			continue
		case cell.BWClass > 63:
			c.fault(Tables, "the cell of classes %d -> %d has bandwidth class %d: want 0 to 63", cell.Src, cell.Dst, cell.BWClass)
		}
		c.zones(cell, src, dst)
		c.initiator(cell, src, dst)
		c.ownZone(cell, src, dst)
		if c.facts[cell.Port].complains {
			c.complaints(cell)
		}
	}
	all := byRow(cells)
	for rest := cells; len(rest) > 0; {
		src, dst := rest[0].Src, rest[0].Dst
		n := 1
		for n < len(rest) && rest[n].Src == src && rest[n].Dst == dst {
			n++
		}
		c.directions(rest[:n], all.between(dst, src))
		rest = rest[n:]
	}
}

// directions: I5. No record may be behind the cells of two classes in one direction and behind those back.
func (c *checker) directions(there, back []packet.Cell) {
	if len(back) == 0 {
		return
	}
	named := map[string]bool{}
	asked := map[uint32]bool{}
	for i := range back {
		if r := c.rule.by(back[i].Rule); r != nil && !asked[r.ID] {
			asked[r.ID] = true
			for _, record := range r.Records {
				named[record] = true
			}
		}
	}
	clear(asked)
	for i := range there {
		r := c.rule.by(there[i].Rule)
		if r == nil || asked[r.ID] {
			continue
		}
		asked[r.ID] = true
		if k := slices.IndexFunc(r.Records, func(s string) bool { return named[s] }); k >= 0 {
			c.violate("I5", &there[i], "record %q lets both sides open: only the side that it names as initiator may", r.Records[k])
		}
	}
}

// crossing is the cell's key as one number, in the order of the tables.
func crossing(cell *packet.Cell) uint64 {
	return uint64(cell.Src)<<32 | uint64(cell.Dst)<<16 | uint64(cell.Port)
}

func byCrossing(a, b packet.Cell) int { return cmp.Compare(crossing(&a), crossing(&b)) }

// inOrder is cells by key; canonical tables are already.
func inOrder(cells []packet.Cell) []packet.Cell {
	for i := 1; i < len(cells); i++ {
		if crossing(&cells[i]) < crossing(&cells[i-1]) {
			out := slices.Clone(cells)
			slices.SortStableFunc(out, byCrossing)
			return out
		}
	}
	return cells
}

// rows is cells in order, and where those of each initiator class begin; those of the next one begin where they end.
type rows struct {
	cells []packet.Cell
	first []uint32
}

func byRow(cells []packet.Cell) rows {
	r := rows{cells, make([]uint32, numbers+1)}
	for i := range cells {
		r.first[int(cells[i].Src)+1]++
	}
	for n := range numbers {
		r.first[n+1] += r.first[n]
	}
	return r
}

// between finds the cells of two classes.
func (r rows) between(src, dst uint16) []packet.Cell {
	row := r.cells[r.first[src]:r.first[int(src)+1]]
	from := sort.Search(len(row), func(i int) bool { return row[i].Dst >= dst })
	to := from
	for to < len(row) && row[to].Dst == dst {
		to++
	}
	return row[from:to]
}

// zones: I1, I2, I3, I13, and that an uplink joins nothing.
func (c *checker) zones(cell *packet.Cell, src, dst *member) {
	for from := src.zones; from != 0; from &= from - 1 {
		for to := dst.zones; to != 0; to &= to - 1 {
			c.zonePair(cell, src, dst, from.first(), to.first())
		}
	}
}

func (c *checker) zonePair(cell *packet.Cell, src, dst *member, x, y anchors.Zone) {
	either := func(a, b anchors.Zone) bool { return x == a && y == b || x == b && y == a }
	switch {
	case x == anchors.None || y == anchors.None:
		c.violate("I10", cell, "a cell joins addresses that the anchors give to no zone")
	case either(anchors.MyNumber, anchors.Internet):
		c.violate("I1", cell, "a cell joins My Number and internet (%s -> %s)", x, y)
	case x != y && (x == anchors.Management || y == anchors.Management):
		c.violate("I13", cell, "a cell joins the management zone to another (%s -> %s)", x, y)
	case x != y && (x == anchors.Uplink || y == anchors.Uplink):
		c.violate("I10", cell, "a cell joins an uplink to a zone (%s -> %s): a line carries only the gate's tunnel", x, y)
	case x == anchors.Uplink && !src.local && !dst.local:
		c.violate("I10", cell, "a cell forwards on an uplink: a line carries only the gate's tunnel")
	case either(anchors.MyNumber, anchors.LGWAN):
		c.single(cell, src, dst)
		c.recorded(cell, x, y)
	case either(anchors.LGWAN, anchors.Internet):
		c.recorded(cell, x, y)
	}
}

// single: I2. Both sides are registered single addresses, and every service is named one by one.
//
// Who opens is named by MAC and address wherever a MAC can be seen, that is, not in a tunnel. Who is opened is named by
// address; its MAC is registered where its segment is strict, which hosts (I4) sees to. A service is one port of TCP, UDP or
// SCTP or one type of ICMP or ICMPv6: any other protocol has nothing to name one by.
func (c *checker) single(cell *packet.Cell, src, dst *member) {
	for _, m := range []*member{src, dst} {
		if len(m.prefixes) > 0 {
			c.violate("I2", cell, "between My Number and LGWAN only single stations may be named; class %d holds the prefix %s", m.ID, c.t.Prefixes[m.prefixes[0]].Prefix)
		}
	}
	for _, i := range src.hosts {
		h := c.t.Hosts[i]
		if a := c.anchorOf(h.Segment); h.MAC.IsZero() && (a == nil || a.Attach != anchors.AttachTunnel) {
			c.violate("I2", cell, "between My Number and LGWAN a station is named by MAC and IP; %s has no registered MAC", h.Addr)
		}
	}
	for _, r := range c.port[cell.Port] {
		if !hasServices(r.Proto) {
			c.violate("I2", cell, "between My Number and LGWAN only single services may be named; %s has none", service(r.Proto, r.Lo))
		}
		if r.Lo != r.Hi {
			c.violate("I2", cell, "between My Number and LGWAN only single services may be named; ports %s to %d are a range", service(r.Proto, r.Lo), r.Hi)
		}
	}
}

// hasServices tells whether a protocol numbers its services.
func hasServices(proto uint8) bool {
	switch proto {
	case 1, 6, 17, 58, 132:
		return true
	}
	return false
}

// recorded: I3. What crosses zones stands on a designated communication, not on a record that the gate makes for itself.
func (c *checker) recorded(cell *packet.Cell, x, y anchors.Zone) {
	r := c.rule.by(cell.Rule)
	if !slices.ContainsFunc(r.Records, func(s string) bool { return s != "" && !strings.HasPrefix(s, own) }) {
		c.violate("I3", cell, "a cell joins %s and %s without a designated communication", x, y)
	}
}

// initiator: I5 for the ends that may never open, or be opened, freely: the gate itself and the portals.
func (c *checker) initiator(cell *packet.Cell, src, dst *member) {
	switch {
	case src.local && dst.local:
		c.violate("I5", cell, "a cell joins the gate to itself")
	case src.local:
		if why := c.offered(cell, src, dst, true); why != "" {
			c.violate("I5", cell, "the gate itself would open: %s", why)
		}
	case dst.local:
		if why := c.offered(cell, dst, src, false); why != "" {
			c.violate("I5", cell, "the gate itself would be opened: %s", why)
		}
	}
	if src.portal && !src.local {
		c.violate("I5", cell, "a portal would open: a portal answers only")
	}
}

// offered tells why a cell of the gate itself is no local service of the anchors; "" when it is one.
func (c *checker) offered(cell *packet.Cell, gate, peer *member, out bool) string {
	if gate.Segment != peer.Segment {
		return fmt.Sprintf("its address and the peer lie in segments %d and %d; a local service serves its own segment", gate.Segment, peer.Segment)
	}
	a := c.anchorOf(gate.Segment)
	if a == nil {
		return "its segment is unknown"
	}
	for _, r := range c.port[cell.Port] {
		if r.Lo != r.Hi || !slices.ContainsFunc(c.a.Services, func(s anchors.Service) bool {
			return s.Segment == a.ID && s.Out == out && protocols[s.Proto] == r.Proto && s.Serves(r.Lo) && c.admits(s, peer)
		}) {
			return fmt.Sprintf("the anchors name no such local service (%s) in segment %q for these peers", service(r.Proto, r.Lo), a.ID)
		}
	}
	return ""
}

var protocols = map[string]uint8{"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58}

// admits tells whether every member of the peer class is among the service's peers.
func (c *checker) admits(s anchors.Service, peer *member) bool {
	if len(s.From) == 0 {
		return !s.Out
	}
	covers := func(p netip.Prefix) bool {
		return slices.ContainsFunc(s.From, func(f netip.Prefix) bool { return f.Bits() <= p.Bits() && f.Contains(p.Addr()) })
	}
	for _, i := range peer.hosts {
		h := c.t.Hosts[i].Addr
		if !covers(netip.PrefixFrom(h, h.BitLen())) {
			return false
		}
	}
	for _, i := range peer.prefixes {
		if !covers(c.t.Prefixes[i].Prefix) {
			return false
		}
	}
	return true
}

// violate reports a cell, once per rule and message, with the first packet that any of them admits.
func (c *checker) violate(invariant string, cell *packet.Cell, format string, args ...any) {
	m := fmt.Sprintf(format, args...)
	key := fmt.Sprintf("%d %s", cell.Rule, m)
	at, again := c.seen[invariant+" "+key]
	if !again {
		v := Violation{Invariant: invariant, Message: m, Records: c.records(cell)}
		if c.wanted(key, v) {
			v.Counterexample = c.example(cell)
			c.report(key, v)
		}
		return
	}
	if at >= len(c.found) || c.registered(c.found[at].Counterexample) || c.searches == maxSearches {
		return
	}
	c.searches++
	if x := c.example(cell); c.found[at].Counterexample == nil || c.registered(x) {
		c.found[at].Counterexample = x
	}
}

// maxSearches bounds the search for a better packet, so that tables full of faults are refused soon as well.
const maxSearches = 10_000

// registered tells whether the station check would let the packet's source by; a prefix of a strict segment alone would not.
func (c *checker) registered(x *Counterexample) bool {
	if x == nil {
		return false
	}
	for i := range c.t.Segments {
		if s := &c.t.Segments[i]; s.Port == x.Port && s.VLAN == x.VLAN && s.Outer == x.Outer && s.Strict && !s.Tunnel {
			return x.SMAC != stranger
		}
	}
	return true
}

func (c *checker) records(cell *packet.Cell) []string {
	if r := c.rule.by(cell.Rule); r != nil {
		return r.Records
	}
	return nil
}
