package packet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
)

// generation is one policy in maps: an inner map for each table. Keys are the names of the outer maps.
type generation map[string]*ebpf.Map

// Names of the outer maps that make up a generation.
const (
	tSegmentIndex = programsMapSegmentIndex
	tSegments     = programsMapSegments
	tHosts        = programsMapHosts
	tPrefixes     = programsMapPrefixes
	tStations     = programsMapStations
	tPorts        = programsMapPorts
	tClasses      = programsMapClasses
	tCells        = programsMapCells
	tNotes        = programsMapNotes
	tRuleCounts   = programsMapRuleCounts
)

var tableNames = []string{tSegmentIndex, tSegments, tHosts, tPrefixes, tStations, tPorts, tClasses, tCells, tNotes, tRuleCounts}

const (
	noteSize    = 4096
	maxSegments = maxSegment + 1
)

// remarks are the parts of Tables that no packet is decided by.
type remarks struct {
	Epoch    uint32            `json:"epoch"`
	Revision string            `json:"revision"`
	Segments map[uint16]string `json:"segments"`
	Rules    []Rule            `json:"rules"`
}

func (g generation) close() {
	for _, m := range g {
		m.Close()
	}
}

// entries are the contents of one inner map on their way in.
type entries[K comparable, V any] struct {
	keys   []K
	values []V
}

func (e *entries[K, V]) add(k K, v V) {
	e.keys = append(e.keys, k)
	e.values = append(e.values, v)
}

// table makes one inner map of the given size, fills it and freezes it.
func table[K comparable, V any](g generation, spec *ebpf.CollectionSpec, name string, size int, e entries[K, V]) error {
	inner := spec.Maps[name].InnerMap.Copy()
	inner.Name = name
	inner.MaxEntries = uint32(max(size, 1))
	m, err := ebpf.NewMap(inner)
	if err != nil {
		return fmt.Errorf("make table %s of %d entries: %w", name, inner.MaxEntries, err)
	}
	g[name] = m
	if len(e.keys) > 0 {
		if n, err := m.BatchUpdate(e.keys, e.values, nil); err != nil || n != len(e.keys) {
			return fmt.Errorf("fill table %s: %d of %d entries: %w", name, n, len(e.keys), errors.Join(err))
		}
	}
	if err := m.Freeze(); err != nil {
		return fmt.Errorf("freeze table %s: %w", name, err)
	}
	return nil
}

// encode makes the maps of t. deviceOf gives the number of a device by its name; t is canonical and checked.
func encode(spec *ebpf.CollectionSpec, t Tables, deviceOf func(string) (uint16, bool)) (g generation, err error) {
	g = generation{}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	var index entries[segmentKey, uint32]
	var segments entries[uint32, segmentValue]
	groups := groupsOf(t)
	for _, s := range t.Segments {
		device, ok := deviceOf(s.Port)
		if !ok {
			return g, fmt.Errorf("segment %s: device %q is not in the anchors", s.Name, s.Port)
		}
		segments.add(uint32(s.ID), segmentValueOf(s, device, groups[s.ID]))
		if !s.Tunnel {
			index.add(segmentKeyOf(device, s.VLAN), uint32(s.ID))
		}
	}
	var hosts entries[addrBytes, bindingValue]
	for _, h := range t.Hosts {
		hosts.add(addrOf(h.Addr), bindingOf(h.Class, h.Segment, h.MAC))
	}
	var prefixes entries[prefixKey, bindingValue]
	for _, p := range t.Prefixes {
		prefixes.add(prefixKeyOf(p.Prefix), bindingOf(p.Class, p.Segment, p.MAC))
	}
	var classes entries[uint32, classValue]
	last := 0
	for _, c := range t.Classes {
		device, ok := deviceOf(c.Port)
		if !ok && (c.Port != "" || c.Kind != KindLocal) {
			return g, fmt.Errorf("class %d: device %q is not in the anchors", c.ID, c.Port)
		}
		classes.add(uint32(c.ID), classValueOf(c, device))
		last = max(last, int(c.ID))
	}
	var cells entries[cellKey, cellValue]
	for _, c := range t.Cells {
		cells.add(cellKeyOf(c), cellValueOf(c))
	}
	notes, err := encodeNotes(t)
	if err != nil {
		return g, err
	}
	var stations entries[stationKey, uint32]
	for _, k := range stationsOf(t) {
		stations.add(k, 1)
	}
	ports := densePorts(t.Ports)
	return g, errors.Join(
		table(g, spec, tSegmentIndex, len(index.keys), index),
		table(g, spec, tSegments, maxSegments, segments),
		table(g, spec, tHosts, len(hosts.keys), hosts),
		table(g, spec, tPrefixes, len(prefixes.keys), prefixes),
		table(g, spec, tStations, len(stations.keys), stations),
		table(g, spec, tPorts, portsSize, ports),
		table(g, spec, tClasses, last+1, classes),
		table(g, spec, tCells, len(cells.keys), cells),
		table(g, spec, tNotes, len(notes.keys), notes),
		ruleCounts(g, spec, t),
	)
}

// stationsOf derives which MACs are registered in which segment, in order.
func stationsOf(t Tables) []stationKey {
	set := map[stationKey]bool{}
	for _, h := range t.Hosts {
		if !h.MAC.IsZero() {
			set[stationKeyOf(h.Segment, h.MAC)] = true
		}
	}
	for _, p := range t.Prefixes {
		if !p.MAC.IsZero() {
			set[stationKeyOf(p.Segment, p.MAC)] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b stationKey) int { return slices.Compare(a[:], b[:]) })
}

func densePorts(ranges []PortRange) (e entries[uint32, uint32]) {
	for _, r := range ranges {
		for n := int(r.Lo); n <= int(r.Hi); n++ {
			e.add(uint32(portIndex(r.Proto, uint16(n))), uint32(r.Class))
		}
	}
	return e
}

func encodeNotes(t Tables) (e entries[uint32, [noteSize]byte], err error) {
	r := remarks{Epoch: t.Epoch, Revision: t.Revision, Segments: map[uint16]string{}, Rules: t.Rules}
	for _, s := range t.Segments {
		r.Segments[s.ID] = s.Name
	}
	b, err := json.Marshal(r)
	if err != nil {
		return e, fmt.Errorf("encode the names of revision %q: %w", t.Revision, err)
	}
	for i := 0; len(b) > 0; i++ {
		var piece [noteSize]byte
		b = b[copy(piece[:], b):]
		e.add(uint32(i), piece)
	}
	return e, nil
}

// ruleCounts makes the counters of t's rules. They stay writable: programs count in them.
func ruleCounts(g generation, spec *ebpf.CollectionSpec, t Tables) error {
	inner := spec.Maps[tRuleCounts].InnerMap.Copy()
	inner.Name = tRuleCounts
	inner.MaxEntries = uint32(max(len(t.Rules), 1))
	m, err := ebpf.NewMap(inner)
	if err != nil {
		return fmt.Errorf("make the counters of %d rules: %w", len(t.Rules), err)
	}
	g[tRuleCounts] = m
	zero := make([]programsCount, ebpf.MustPossibleCPU())
	for _, r := range t.Rules {
		if err := m.Put(r.ID, zero); err != nil {
			return fmt.Errorf("make the counter of rule %d: %w", r.ID, err)
		}
	}
	return nil
}
