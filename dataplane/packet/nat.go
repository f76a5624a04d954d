package packet

import (
	"fmt"
	"maps"
	"net/netip"

	"github.com/cilium/ebpf"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// The 1:1 mappings of the anchors, as bpf/nat.h reads them.

type (
	natTable = map[programsNatKey]programsNatSide
	natKey   = programsNatKey
	natSide  = programsNatSide
)

// mostMappings is how many there is room for.
const mostMappings = 1024

// natTables are the mappings by inside and by outside address. Nothing but the anchors has a word in them.
func natTables(a *anchors.Anchors) (inside, outside natTable, err error) {
	inside, outside = natTable{}, natTable{}
	if len(a.NAT) > mostMappings {
		return nil, nil, fmt.Errorf("anchors: %d mappings: want at most %d; join neighbouring prefixes", len(a.NAT), mostMappings)
	}
	for _, n := range a.NAT {
		region := a.Number(n.Segment)
		if region == 0 || n.Inside.Bits() != n.Outside.Bits() || !n.Inside.Addr().Is4() || !n.Outside.Addr().Is4() {
			return nil, nil, fmt.Errorf("anchors: mapping of %s towards %q to %s: want a segment, and two IPv4 prefixes of one length", n.Inside, n.Segment, n.Outside)
		}
		inside[natKeyOf(region, n.Inside)] = natSideOf(n.Outside)
		outside[natKeyOf(region, n.Outside)] = natSideOf(n.Inside)
	}
	if len(inside) != len(a.NAT) || len(outside) != len(a.NAT) {
		return nil, nil, fmt.Errorf("anchors: two mappings towards one region name the same prefix")
	}
	return inside, outside, nil
}

func natKeyOf(region uint16, p netip.Prefix) natKey {
	addr := p.Masked().Addr().As4()
	return natKey{Length: 32 + uint32(p.Bits()), Segment: uint32(region), Addr: le.Uint32(addr[:])}
}

func natSideOf(p netip.Prefix) natSide {
	addr := p.Masked().Addr().As4()
	var hosts [4]byte
	for bit := p.Bits(); bit < 32; bit++ {
		hosts[bit/8] |= 0x80 >> (bit % 8)
	}
	return natSide{Net: le.Uint32(addr[:]), Hosts: le.Uint32(hosts[:])}
}

// beginMapping tells the programs before they are loaded whether there are mappings at all.
func beginMapping(spec *ebpf.CollectionSpec, a *anchors.Anchors) error {
	if err := spec.Variables["mappings"].Set(uint32(len(a.NAT))); err != nil {
		return fmt.Errorf("prepare the mappings towards regions: %w", err)
	}
	return nil
}

// mapping is a map of the programs with what the anchors want in it.
type mapping struct {
	m    *ebpf.Map
	want natTable
}

func (c *Core) mappings() ([]mapping, error) {
	inside, outside, err := natTables(c.anchors)
	return []mapping{{c.objects.NatInside, inside}, {c.objects.NatOutside, outside}}, err
}

// have is what the programs read.
func (x mapping) have() (natTable, error) {
	out := natTable{}
	return out, each(x.m, func(k natKey, v natSide) { out[k] = v })
}

// checkMappings tells when the programs' mappings are not those of the anchors: what is proven of tables would not hold.
func (c *Core) checkMappings() error {
	all, err := c.mappings()
	if err != nil {
		return err
	}
	for _, x := range all {
		have, err := x.have()
		if err != nil {
			return err
		}
		if !maps.Equal(have, x.want) {
			return fmt.Errorf("the mappings towards regions in %s are not those of the anchors; restart the dataplane, which writes them", x.m)
		}
	}
	return nil
}

// settleMappings makes the programs' mappings those of the anchors. When they change, nothing is forwarded from here until the
// scan has bound the segments to their ports again: half of them would show a region what it shall not see.
func (c *Core) settleMappings() error {
	all, err := c.mappings()
	if err != nil {
		return err
	}
	for _, x := range all {
		have, err := x.have()
		if err != nil {
			return err
		}
		if maps.Equal(have, x.want) {
			continue
		}
		if err := c.bindPorts(homes{}); err != nil {
			return err
		}
		for k := range have {
			if _, ok := x.want[k]; !ok {
				if err := x.m.Delete(k); err != nil {
					return fmt.Errorf("forget a mapping of older anchors: %w", err)
				}
			}
		}
		for k, v := range x.want {
			if err := x.m.Put(k, v); err != nil {
				return fmt.Errorf("write a mapping towards a region: %w", err)
			}
		}
	}
	return nil
}
