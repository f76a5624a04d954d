package packet

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Where the egress program finds whose an address is, and where each segment hangs: from the anchors alone. Layouts are those
// of bpf/egress.h.

// anchorNumber is a segment's number in the egress program: its place in the anchors file, from 1.
func anchorNumber(i int) uint16 { return uint16(i + 1) }

// prefixKey is struct anchor_key.
type prefixKey [20]byte

func prefixKeyOf(p netip.Prefix) (k prefixKey) {
	le.PutUint32(k[0:], uint32(p.Bits()))
	a := p.Addr().As16()
	copy(k[4:], a[:])
	return k
}

type anchorNode = programsAnchorNode

// prefixTables say whose an address is.
type prefixTables struct {
	top   []programsAnchor // by the first two bytes of an IPv4 address
	nodes []anchorNode     // for a further byte, from 1
	v6    map[prefixKey]programsAnchor
}

const (
	topEntries  = 1 << 16
	anchorNodes = 2048
)

// newPrefixTables spreads the prefixes of the anchors.
func newPrefixTables(a *anchors.Anchors) (*prefixTables, error) {
	t := &prefixTables{top: make([]programsAnchor, topEntries), nodes: make([]anchorNode, 1), v6: map[prefixKey]programsAnchor{}}
	type owned struct {
		prefix netip.Prefix
		owner  programsAnchor
	}
	var all []owned
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
			all = append(all, owned{p, programsAnchor{Segment: anchorNumber(i), Zone: byte(s.Zone)}})
		}
	}
	// A longer prefix is written over what a shorter one has spread.
	slices.SortStableFunc(all, func(x, y owned) int { return x.prefix.Bits() - y.prefix.Bits() })
	for _, x := range all {
		if !x.prefix.Addr().Is4() {
			t.v6[prefixKeyOf(x.prefix)] = x.owner
			continue
		}
		if err := t.spread(x.prefix, x.owner); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// spread writes an IPv4 prefix; all shorter ones are there already.
func (t *prefixTables) spread(p netip.Prefix, owner programsAnchor) error {
	addr, bits := p.Addr().As4(), p.Bits()
	entries, at, width := t.top, int(addr[0])<<8|int(addr[1]), 16
	for ; bits > width; width += 8 {
		e := entries[at]
		if e.More == 0 {
			if len(t.nodes) == anchorNodes {
				return fmt.Errorf("anchors: prefix %s: more than %d places where IPv4 prefixes longer than /16 begin; join neighbouring ones", p, anchorNodes-1)
			}
			var node anchorNode
			for i := range node.Next {
				node.Next[i] = e
			}
			e = programsAnchor{Segment: uint16(len(t.nodes)), More: 1}
			entries[at] = e // before the nodes grow, and perhaps move: this may be in one of them
			t.nodes = append(t.nodes, node)
		}
		entries, at = t.nodes[e.Segment].Next[:], int(addr[width/8])
	}
	for i := range 1 << (width - bits) {
		entries[at+i] = owner
	}
	return nil
}

func (t *prefixTables) equal(o *prefixTables) bool {
	return slices.Equal(t.top, o.top) && slices.Equal(t.nodes, o.nodes) && maps.Equal(t.v6, o.v6)
}

// readPrefixes is what the egress program has.
func (c *Core) readPrefixes() (*prefixTables, error) {
	t := &prefixTables{v6: map[prefixKey]programsAnchor{}}
	var err error
	if t.top, err = values[programsAnchor](c.objects.AnchorPrefixes4); err != nil {
		return nil, err
	}
	if t.nodes, err = values[anchorNode](c.objects.AnchorNodes4); err != nil {
		return nil, err
	}
	return t, each(c.objects.AnchorPrefixes6, func(k prefixKey, v programsAnchor) { t.v6[k] = v })
}

// settlePrefixes makes the egress program's prefixes those of the anchors. When they change, nothing is forwarded from
// here until the scan has bound the segments to their ports again.
func (c *Core) settlePrefixes() error {
	want, err := newPrefixTables(c.anchors)
	if err != nil {
		return err
	}
	want.nodes = append(want.nodes, make([]anchorNode, anchorNodes-len(want.nodes))...)
	have, err := c.readPrefixes()
	if err != nil {
		return err
	}
	if want.equal(have) {
		return nil
	}
	if err := c.bindPorts(homes{}); err != nil {
		return err
	}
	for k := range have.v6 {
		if _, ok := want.v6[k]; !ok {
			if err := c.objects.AnchorPrefixes6.Delete(k); err != nil {
				return fmt.Errorf("forget a prefix of older anchors: %w", err)
			}
		}
	}
	for k, v := range want.v6 {
		if err := c.objects.AnchorPrefixes6.Put(k, v); err != nil {
			return fmt.Errorf("write an IPv6 prefix of the anchors: %w", err)
		}
	}
	if err := putAll(c.objects.AnchorNodes4, want.nodes); err != nil {
		return err
	}
	return putAll(c.objects.AnchorPrefixes4, want.top)
}

// putAll writes a whole array.
func putAll[V any](m *ebpf.Map, v []V) error {
	keys := make([]uint32, len(v))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := m.BatchUpdate(keys, v, nil); err != nil {
		return fmt.Errorf("write %s: %w", m, err)
	}
	return nil
}

// homes are the devices and tags by which each segment may be left.
type homes struct {
	segments map[uint16]programsAnchorHome // by the segment's number
	bundles  map[uint32]uint32             // by the index of each device of a bundle: what the homes of its segments name instead
}

// noIndex marks what stands in a home for a bundle: no kernel has so many devices.
const noIndex = 1 << 31

// bindings gives the homes of all segments. guarded: the index of each device that takes part. The homes of a bundle's
// segments stay while its devices come and go.
func (c *Core) bindings(guarded map[string]int) homes {
	h := homes{segments: map[uint16]programsAnchorHome{}, bundles: map[uint32]uint32{}}
	for name, bundle := range c.devices.bundle {
		if index, ok := guarded[name]; ok {
			h.bundles[uint32(index)] = noIndex | uint32(bundle)
		}
	}
	for i, s := range c.anchors.Segments {
		home := programsAnchorHome{Vlan: s.VLAN, Outer: s.Outer}
		if bundle, ok := c.devices.bundle[s.Port]; ok {
			home.Ifindex = noIndex | uint32(bundle)
		} else if index, ok := guarded[s.Port]; ok {
			home.Ifindex = uint32(index)
		} else {
			continue
		}
		h.segments[anchorNumber(i)] = home
	}
	return h
}

// bindPorts makes want the devices and tags by which each segment may be left; the others hang nowhere.
func (c *Core) bindPorts(want homes) error {
	if err := c.bindBundles(want.bundles, false); err != nil {
		return err
	}
	if err := c.bindSegments(want.segments); err != nil {
		return err
	}
	return c.bindBundles(want.bundles, true)
}

// bindBundles takes away what is not so any more, or puts what is new.
func (c *Core) bindBundles(want map[uint32]uint32, put bool) error {
	have := map[uint32]uint32{}
	if err := each(c.objects.AnchorBundles, func(device, bundle uint32) { have[device] = bundle }); err != nil {
		return err
	}
	for device, bundle := range have {
		if !put && want[device] != bundle {
			if err := c.objects.AnchorBundles.Delete(device); err != nil {
				return fmt.Errorf("let device %d go out of its bundle: %w", device, err)
			}
		}
	}
	for device, bundle := range want {
		if put && have[device] != bundle {
			if err := c.objects.AnchorBundles.Put(device, bundle); err != nil {
				return fmt.Errorf("join device %d to bundle %#x: %w", device, bundle, err)
			}
		}
	}
	return nil
}

// bindSegments does so with the segments' own devices.
func (c *Core) bindSegments(want map[uint16]programsAnchorHome) error {
	have, err := values[programsAnchorHome](c.objects.AnchorHomes)
	if err != nil {
		return err
	}
	if n := len(c.anchors.Segments); n >= len(have) {
		return fmt.Errorf("anchors: %d segments; at most %d", n, len(have)-1)
	}
	// First away with what is not so any more, then what is new.
	for _, put := range []bool{false, true} {
		for i, h := range have {
			w := want[uint16(i)]
			if w == h || put != (w.Ifindex != 0) {
				continue
			}
			if err := c.objects.AnchorHomes.Put(uint32(i), w); err != nil {
				return fmt.Errorf("bind segment %d of the anchors to device %d: %w", i, w.Ifindex, err)
			}
		}
	}
	return nil
}
