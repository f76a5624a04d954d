package packet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Limits of the numbers in Tables; the mark carries segment and bandwidth class in 10 and 6 bits.
const (
	maxSegment = 1023
	maxBWClass = 63
)

// check finds what maps cannot hold, or would hold ambiguously. It says nothing about whether the policy is good.
func check(t Tables) error {
	return errors.Join(checkSegments(t.Segments), checkHosts(t.Hosts), checkPrefixes(t.Prefixes), checkClasses(t.Classes),
		checkPorts(t.Ports), checkCells(t.Cells), checkRules(t.Rules))
}

func checkSegments(in []Segment) error {
	ids, places := map[uint16]bool{}, map[string]bool{}
	for _, s := range in {
		if s.ID == 0 || s.ID > maxSegment || ids[s.ID] {
			return fmt.Errorf("segment %q: number %d is used twice or not in 1..%d", s.Name, s.ID, maxSegment)
		}
		if s.Zone == anchors.None || s.Zone >= anchors.Zones || s.Port == "" || s.VLAN > 4094 {
			return fmt.Errorf("segment %q: zone %d, port %q, VLAN %d: want a zone, a port and a VLAN below 4095", s.Name, s.Zone, s.Port, s.VLAN)
		}
		ids[s.ID] = true
		if s.Tunnel {
			continue
		}
		place := fmt.Sprintf("%s VLAN %d", s.Port, s.VLAN)
		if places[place] {
			return fmt.Errorf("segment %q: %s belongs to another segment already", s.Name, place)
		}
		places[place] = true
	}
	return nil
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
	var dense [portsSize]bool
	for _, r := range in {
		hi := uint16(65535)
		switch r.Proto {
		case protoTCP, protoUDP:
		case protoICMP, protoICMP6:
			hi = 255
		default:
			hi = 0
		}
		if r.Class == 0 || r.Lo > r.Hi || r.Hi > hi {
			return fmt.Errorf("ports %d..%d of protocol %d (class %d): want a class and numbers up to %d", r.Lo, r.Hi, r.Proto, r.Class, hi)
		}
		for n := int(r.Lo); n <= int(r.Hi); n++ {
			i := portIndex(r.Proto, uint16(n))
			if dense[i] {
				return fmt.Errorf("ports %d..%d of protocol %d: %d is in another range already", r.Lo, r.Hi, r.Proto, n)
			}
			dense[i] = true
		}
	}
	return nil
}

func checkCells(in []Cell) error {
	seen := make(map[cellKey]bool, len(in))
	for _, c := range in {
		k := cellKeyOf(c)
		if seen[k] || c.Src == 0 || c.Dst == 0 || c.Port == 0 || c.BWClass > maxBWClass {
			return fmt.Errorf("cell %d -> %d port class %d: listed twice, number 0, or bandwidth class %d above %d", c.Src, c.Dst, c.Port, c.BWClass, maxBWClass)
		}
		seen[k] = true
	}
	return nil
}

func checkRules(in []Rule) error {
	seen := make(map[uint32]bool, len(in))
	for _, r := range in {
		if r.ID == 0 || seen[r.ID] {
			return fmt.Errorf("rule %d: number 0 or used twice", r.ID)
		}
		seen[r.ID] = true
	}
	return nil
}
