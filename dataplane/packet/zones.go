package packet

import (
	"fmt"
	"maps"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// The egress program's tables. They come from the anchors and from the invariants that always hold, never from a policy.

// mayForward says which zones may meet in one forwarded packet at all (I1, I13; the uplink joins nothing).
var mayForward = map[anchors.Zone][]anchors.Zone{
	anchors.MyNumber: {anchors.MyNumber, anchors.LGWAN},
	anchors.LGWAN:    {anchors.LGWAN, anchors.MyNumber, anchors.Internet},
	anchors.Internet: {anchors.Internet, anchors.LGWAN},
	// The management zone reaches only local services; its portal hangs on a segment of its own.
	anchors.Management: {anchors.Management},
}

// byTheGate is the shift of the bits for what the gate itself sends: each of its addresses speaks in its own zone only (I9).
const byTheGate = 8

// settleZonePairs writes the pairs when the pins are new; frozen afterwards.
func (c *Core) settleZonePairs() error {
	info, err := c.objects.ZonePairs.Info()
	if err != nil {
		return fmt.Errorf("look at the zone pairs: %w", err)
	}
	for z := anchors.MyNumber; z < anchors.Zones; z++ {
		bits := uint32(1) << (byTheGate + z)
		for _, to := range mayForward[z] {
			bits |= 1 << to
		}
		if info.Frozen() {
			var got uint32
			if err := c.objects.ZonePairs.Lookup(uint32(z), &got); err != nil || got != bits {
				return fmt.Errorf("zone pairs of %s: pinned %#x, want %#x; remove the pins to change them (%w)", z, got, bits, err)
			}
			continue
		}
		if err := c.objects.ZonePairs.Put(uint32(z), bits); err != nil {
			return fmt.Errorf("write the zone pairs of %s: %w", z, err)
		}
	}
	return freeze(c.objects.ZonePairs)
}

// anchorNumber is a segment's number in the egress program: its place in the anchors file, from 1.
func anchorNumber(i int) uint16 { return uint16(i + 1) }

// anchorValue is the layout of struct anchor.
type anchorValue [4]byte

func anchorPrefixes(a *anchors.Anchors) (map[prefixKey]anchorValue, error) {
	want := map[prefixKey]anchorValue{}
	owner := map[netip.Prefix]string{}
	for i, s := range a.Segments {
		for _, p := range s.Prefixes {
			if !p.IsValid() || p.Masked() != p || p.Addr().Is4In6() {
				return nil, fmt.Errorf("anchors: segment %s: prefix %s has host bits or is no plain prefix", s.ID, p)
			}
			if other, ok := owner[p]; ok {
				return nil, fmt.Errorf("anchors: prefix %s belongs to segment %s and to %s", p, other, s.ID)
			}
			owner[p] = s.ID
			var v anchorValue
			le.PutUint16(v[0:], anchorNumber(i))
			v[2] = byte(s.Zone)
			want[prefixKeyOf(p)] = v
		}
	}
	return want, nil
}

// settlePrefixes makes the egress program's prefixes those of the anchors. When they change, nothing is forwarded from
// here until the scan has bound the segments to their ports again.
func (c *Core) settlePrefixes() error {
	want, err := anchorPrefixes(c.anchors)
	if err != nil {
		return err
	}
	have := map[prefixKey]anchorValue{}
	if err := each(c.objects.AnchorPrefixes, func(k prefixKey, v anchorValue) { have[k] = v }); err != nil {
		return err
	}
	if maps.Equal(want, have) {
		return nil
	}
	if err := c.bindPorts(nil); err != nil {
		return err
	}
	for k := range have {
		if _, ok := want[k]; !ok {
			if err := c.objects.AnchorPrefixes.Delete(k); err != nil {
				return fmt.Errorf("forget prefix %s of older anchors: %w", k.goPrefix(), err)
			}
		}
	}
	for k, v := range want {
		if err := c.objects.AnchorPrefixes.Put(k, v); err != nil {
			return fmt.Errorf("write prefix %s of the anchors: %w", k.goPrefix(), err)
		}
	}
	return nil
}

// bindings are the devices and VLANs by which each segment may be left. guarded: the index of each device that takes part.
func (c *Core) bindings(guarded map[string]int) map[programsAnchorPortKey]bool {
	out := map[programsAnchorPortKey]bool{}
	for i, s := range c.anchors.Segments {
		index, ok := guarded[s.Port]
		if !ok {
			continue
		}
		key := programsAnchorPortKey{Ifindex: uint32(index), Segment: anchorNumber(i), Vlan: s.VLAN, Outer: s.Outer}
		out[key] = true
		key.Vlan, key.Outer = anyVLAN, 0
		out[key] = true
	}
	return out
}

// bindPorts makes want the devices and VLANs by which each segment may be left.
func (c *Core) bindPorts(want map[programsAnchorPortKey]bool) error {
	have := map[programsAnchorPortKey]bool{}
	if err := each(c.objects.AnchorPorts, func(k programsAnchorPortKey, _ uint32) { have[k] = true }); err != nil {
		return err
	}
	for k := range have {
		if !want[k] {
			if err := c.objects.AnchorPorts.Delete(k); err != nil {
				return fmt.Errorf("unbind anchors segment %d from device %d: %w", k.Segment, k.Ifindex, err)
			}
		}
	}
	for k := range want {
		if !have[k] {
			if err := c.objects.AnchorPorts.Put(k, uint32(1)); err != nil {
				return fmt.Errorf("bind anchors segment %d to device %d: %w", k.Segment, k.Ifindex, err)
			}
		}
	}
	return nil
}
