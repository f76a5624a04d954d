package packet

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Limits of the numbers in Tables; the mark carries segment and bandwidth class in 10 and 6 bits.
const (
	maxSegment = 1023
	maxBWClass = 63
	maxVLAN    = 4094
	weekLength = 7 * 24 * 60 // minutes
)

// Check is what Load asks first: whether an image can hold the tables, in one way. For whoever wants to know without loading.
func Check(t Tables) error { return check(t) }

// check finds what the image cannot hold, or would hold ambiguously. It says nothing about whether the policy is good.
func check(t Tables) error {
	return errors.Join(checkSegments(t.Segments), checkHosts(t.Hosts), checkPrefixes(t.Prefixes), checkClasses(t.Classes),
		checkPorts(t.Ports), checkCells(t.Cells), checkRules(t.Rules), checkWindows(t.Windows), checkTimes(t), checkCodePoints(t.DSCP))
}

func checkSegments(in []Segment) error {
	ids, places := map[uint16]bool{}, map[string]bool{}
	for _, s := range in {
		if s.ID == 0 || s.ID > maxSegment || ids[s.ID] {
			return fmt.Errorf("segment %q: number %d is used twice or not in 1..%d", s.Name, s.ID, maxSegment)
		}
		if s.Zone == anchors.None || s.Zone >= anchors.Zones || s.Port == "" || !tags(s.Outer, s.VLAN) {
			return fmt.Errorf("segment %q: zone %d, port %q, VLAN %d in %d: want a zone, a port and VLANs below 4095, none within none", s.Name, s.Zone, s.Port, s.VLAN, s.Outer)
		}
		ids[s.ID] = true
		if s.Tunnel {
			if s.TrustDSCP {
				return fmt.Errorf("segment %q: the marks of a tunnel's packets choose no class; only stations on ports can be trusted", s.Name)
			}
			continue
		}
		place := fmt.Sprintf("%s VLAN %d in %d", s.Port, s.VLAN, s.Outer)
		if places[place] {
			return fmt.Errorf("segment %q: %s belongs to another segment already", s.Name, place)
		}
		places[place] = true
	}
	return nil
}

func checkCodePoints(classes [CodePoints]uint8) error {
	for dscp, class := range classes {
		if class > maxBWClass {
			return fmt.Errorf("code point %d: bandwidth class %d above %d", dscp, class, maxBWClass)
		}
	}
	return nil
}

// tags tells whether two tags can stand in a frame: a service tag only around another.
func tags(outer, vlan uint16) bool {
	return vlan <= maxVLAN && outer <= maxVLAN && (outer == 0 || vlan != 0)
}

func checkHosts(in []Host) error {
	seen := make(map[netip.Addr]bool, len(in))
	for _, h := range in {
		if !h.Addr.IsValid() || h.Addr.Is4In6() || h.Addr.Zone() != "" || seen[h.Addr] || h.Class == 0 || h.Segment == 0 {
			return fmt.Errorf("host %s (class %d, segment %d): listed twice, without class or segment, or not a plain address", h.Addr, h.Class, h.Segment)
		}
		seen[h.Addr] = true
	}
	return nil
}

func checkPrefixes(in []Prefix) error {
	seen := make(map[netip.Prefix]bool, len(in))
	for _, p := range in {
		if !p.Prefix.IsValid() || p.Prefix.Masked() != p.Prefix || p.Prefix.Addr().Is4In6() || seen[p.Prefix] || p.Class == 0 || p.Segment == 0 {
			return fmt.Errorf("prefix %s (class %d, segment %d): listed twice, without class or segment, or with host bits", p.Prefix, p.Class, p.Segment)
		}
		seen[p.Prefix] = true
	}
	return nil
}

func checkClasses(in []Class) error {
	seen := make(map[uint16]bool, len(in))
	for _, c := range in {
		if c.ID == 0 || seen[c.ID] || c.Segment == 0 || c.Kind < KindForward || c.Kind > KindLocal {
			return fmt.Errorf("class %d (segment %d, kind %d): number 0 or used twice, or without segment or kind", c.ID, c.Segment, c.Kind)
		}
		seen[c.ID] = true
		if !tags(c.Outer, c.VLAN) {
			return fmt.Errorf("class %d: VLAN %d in %d: want numbers below 4095, and no service VLAN around none", c.ID, c.VLAN, c.Outer)
		}
		families := map[bool]bool{}
		for _, via := range c.Via {
			if !via.IsValid() || via.Is4In6() || via.Zone() != "" || via.IsUnspecified() || families[via.Is4()] {
				return fmt.Errorf("class %d: next hop %s: want at most one plain address of each family", c.ID, via)
			}
			families[via.Is4()] = true
		}
	}
	return nil
}

func checkPorts(in []PortRange) error {
	dense := map[uint8]*[1 << 16]bool{}
	for _, r := range in {
		hi := uint16(65535)
		switch r.Proto {
		case protoTCP, protoUDP, protoSCTP:
		case protoICMP, protoICMP6:
			hi = 255
		default:
			hi = 0
		}
		if r.Class == 0 || r.Lo > r.Hi || r.Hi > hi {
			return fmt.Errorf("ports %d..%d of protocol %d (class %d): want a class and numbers up to %d", r.Lo, r.Hi, r.Proto, r.Class, hi)
		}
		if dense[r.Proto] == nil {
			dense[r.Proto] = new([1 << 16]bool)
		}
		taken := dense[r.Proto][r.Lo : int(r.Hi)+1]
		for i := range taken {
			if taken[i] {
				return fmt.Errorf("ports %d..%d of protocol %d: %d is in another range already", r.Lo, r.Hi, r.Proto, int(r.Lo)+i)
			}
			taken[i] = true
		}
	}
	return nil
}

func checkCells(in []Cell) error {
	in = sortedCells(in)
	for i := range in {
		c := &in[i]
		if c.Src == 0 || c.Dst == 0 || c.Port == 0 || c.BWClass > maxBWClass {
			return fmt.Errorf("cell %d -> %d port class %d: number 0, or bandwidth class %d above %d", c.Src, c.Dst, c.Port, c.BWClass, maxBWClass)
		}
		if i > 0 && c.order() == in[i-1].order() {
			return fmt.Errorf("cell %d -> %d port class %d: listed twice", c.Src, c.Dst, c.Port)
		}
	}
	return nil
}

func checkRules(in []Rule) error {
	seen := make(map[uint32]bool, len(in))
	for _, r := range in {
		if r.ID == 0 || r.ID > maxRule || seen[r.ID] {
			return fmt.Errorf("rule %d: number is used twice or not in 1..%d", r.ID, maxRule)
		}
		if r.From < 0 || r.From > math.MaxUint32 || r.Until < 0 || r.Until > math.MaxUint32 {
			return fmt.Errorf("rule %d: in force from minute %d until %d: want minutes since 1970 below 1<<32", r.ID, r.From, r.Until)
		}
		seen[r.ID] = true
	}
	return nil
}

func checkWindows(in []Window) error {
	var seen [maxWindows]bool
	for _, w := range in {
		if w.ID == 0 || seen[w.ID] || len(w.Spans) == 0 || len(w.Spans) > windowSpans {
			return fmt.Errorf("window %d: number 0 or used twice, or %d spans: want 1 to %d", w.ID, len(w.Spans), windowSpans)
		}
		seen[w.ID] = true
		free := uint16(0) // first minute that the next span may have
		for i, s := range w.Spans {
			if s.From >= s.To || s.To > weekLength || i > 0 && s.From <= free {
				return fmt.Errorf("window %d: span %d, minutes %d to %d: want spans of a week in order and apart", w.ID, i, s.From, s.To)
			}
			free = s.To
		}
	}
	return nil
}

// numberSet is a set of rules' numbers, for every cell asks.
type numberSet [maxRule/64 + 1]uint64

func (s *numberSet) has(n uint32) bool { return n <= maxRule && s[n/64]&(1<<(n%64)) != 0 }

// add leaves out what checkRules refuses.
func (s *numberSet) add(n uint32) {
	if n <= maxRule {
		s[n/64] |= 1 << (n % 64)
	}
}

// checkTimes: a cell whose rule is not there, or a rule whose window is not, could be read as being in force always; a chain of
// rules that turns back has no end.
func checkTimes(t Tables) error {
	var rules numberSet
	after := map[uint32]uint32{}
	windows := [maxWindows]bool{0: true}
	for _, w := range t.Windows {
		windows[w.ID] = true
	}
	for _, r := range t.Rules {
		if !windows[r.Window] {
			return fmt.Errorf("rule %d: its window %d is missing", r.ID, r.Window)
		}
		rules.add(r.ID)
		if r.Next != 0 {
			after[r.ID] = r.Next
		}
	}
	for id, next := range after {
		n := 1
		for r := id; next != 0; r, next = next, after[next] {
			if n++; n > MaxChain || next <= r || !rules.has(next) {
				return fmt.Errorf("rule %d: the chain of rules after it turns back, has more than %d rules, or leads to one that is missing (%d)", id, MaxChain, next)
			}
		}
	}
	for i := range t.Cells {
		if c := &t.Cells[i]; !rules.has(c.Rule) {
			return fmt.Errorf("cell %d -> %d port class %d: its rule %d is missing", c.Src, c.Dst, c.Port, c.Rule)
		}
	}
	return nil
}
