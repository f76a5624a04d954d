package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// each calls f with every entry of a hash or trie.
func each[K, V any](m *ebpf.Map, f func(K, V)) error {
	var k K
	var v V
	it := m.Iterate()
	for it.Next(&k, &v) {
		f(k, v)
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read back %s: %w", m, err)
	}
	return nil
}

// values reads a whole array.
func values[V any](m *ebpf.Map) ([]V, error) {
	out := make([]V, 0, m.MaxEntries())
	keys, part := make([]uint32, 8192), make([]V, 8192)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, part, nil)
		out = append(out, part[:n]...)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read back %s: %w", m, err)
		}
	}
	if len(out) != int(m.MaxEntries()) {
		return nil, fmt.Errorf("read back %s: got %d of %d entries", m, len(out), m.MaxEntries())
	}
	return out, nil
}

// decode reads a generation back; every table that is derived from others must equal what they imply.
func decode(g generation, nameOf func(uint16) string) (Tables, error) {
	var t Tables
	notes, err := decodeNotes(g[tNotes])
	if err != nil {
		return t, err
	}
	t.Epoch, t.Revision, t.Rules = notes.Epoch, notes.Revision, notes.Rules
	index := map[segmentKey]uint32{}
	segments, err := values[segmentValue](g[tSegments])
	if err != nil {
		return t, err
	}
	for id, v := range segments {
		device := le.Uint16(v[0:])
		if device == 0 {
			continue
		}
		s := Segment{
			ID: uint16(id), Name: notes.Segments[uint16(id)], Zone: anchors.Zone(v[4]), Port: nameOf(device),
			VLAN: le.Uint16(v[2:]), Strict: v[5] != 0, Tunnel: v[6] != 0,
			Multicast: v[7] != 0, Routers: v[8] != 0, DHCPServers: v[9] != 0,
			Limits: Limits{Flows: le.Uint32(v[20:]), Rate: le.Uint32(v[24:]), StationFlows: le.Uint32(v[28:]), StationRate: le.Uint32(v[32:])},
		}
		t.Segments = append(t.Segments, s)
		if !s.Tunnel {
			index[segmentKeyOf(device, s.VLAN)] = uint32(id)
		}
	}
	err = errors.Join(
		each(g[tHosts], func(k addrBytes, v bindingValue) {
			class, segment, mac := v.fields()
			t.Hosts = append(t.Hosts, Host{Addr: k.goAddr(), Class: class, Segment: segment, MAC: mac})
		}),
		each(g[tPrefixes], func(k prefixKey, v bindingValue) {
			class, segment, mac := v.fields()
			t.Prefixes = append(t.Prefixes, Prefix{Prefix: k.goPrefix(), Class: class, Segment: segment, MAC: mac})
		}),
		each(g[tCells], func(k cellKey, v cellValue) {
			t.Cells = append(t.Cells, Cell{
				Src: le.Uint16(k[0:]), Dst: le.Uint16(k[2:]), Port: le.Uint16(k[4:]), Rule: le.Uint32(v[0:]), BWClass: v[4],
			})
		}),
	)
	if err != nil {
		return t, err
	}
	classes, err := values[classValue](g[tClasses])
	if err != nil {
		return t, err
	}
	for id, v := range classes {
		if v[2] != 0 {
			c, device := v.goClass(uint16(id))
			c.Port = nameOf(device)
			t.Classes = append(t.Classes, c)
		}
	}
	ports, err := values[uint32](g[tPorts])
	if err != nil {
		return t, err
	}
	for i, class := range ports {
		if class != 0 {
			proto, port := portAt(i)
			t.Ports = append(t.Ports, PortRange{Proto: proto, Lo: port, Hi: port, Class: uint16(class)})
		}
	}
	t = Canonical(t)
	derived := groupsOf(t)
	for _, s := range t.Segments {
		if device := le.Uint16(segments[s.ID][0:]); segments[s.ID] != segmentValueOf(s, device, derived[s.ID]) {
			return t, fmt.Errorf("read back %s: what the groups of segment %s stand for differs from the gate's own entries", tSegments, s.Name)
		}
	}
	return t, checkDerived(g, t, index)
}

func decodeNotes(m *ebpf.Map) (r remarks, err error) {
	pieces, err := values[[noteSize]byte](m)
	if err != nil {
		return r, err
	}
	var b []byte
	for i := range pieces {
		b = append(b, pieces[i][:]...)
	}
	if err := json.Unmarshal(bytes.TrimRight(b, "\x00"), &r); err != nil {
		return r, fmt.Errorf("read back the names: %w", err)
	}
	return r, nil
}

// checkDerived compares the two tables that exist for speed with those that they are derived from.
func checkDerived(g generation, t Tables, index map[segmentKey]uint32) error {
	wrong := 0
	if err := each(g[tSegmentIndex], func(k segmentKey, id uint32) {
		if index[k] != id {
			wrong++
		}
		delete(index, k)
	}); err != nil {
		return err
	}
	if wrong+len(index) > 0 {
		return fmt.Errorf("read back %s: %d entries differ from the segments", tSegmentIndex, wrong+len(index))
	}
	var got []stationKey
	if err := each(g[tStations], func(k stationKey, _ uint32) { got = append(got, k) }); err != nil {
		return err
	}
	slices.SortFunc(got, func(a, b stationKey) int { return slices.Compare(a[:], b[:]) })
	if !slices.Equal(got, stationsOf(t)) {
		return fmt.Errorf("read back %s: differs from hosts and prefixes", tStations)
	}
	return nil
}
