package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
)

// footprint is the memory of a million flows and all records, in MB of 1,000,000 bytes.
type footprint struct {
	core, generic float64
	maps          map[string]uint64 // bytes
}

func (x *fixture) footprint() (f footprint, err error) {
	if f.maps, err = x.memory(); err != nil {
		return f, err
	}
	for _, bytes := range f.maps {
		f.core += float64(bytes) / 1e6
	}
	for _, m := range []*ebpf.Map{x.feeder.GenericFlows, x.feeder.GenericPermits} {
		bytes, err := memlock(m)
		if err != nil {
			return f, err
		}
		f.generic += float64(bytes) / 1e6
	}
	return f, nil
}

func (f footprint) print(w io.Writer) error {
	names := slices.SortedFunc(maps.Keys(f.maps), func(a, b string) int { return cmp.Compare(f.maps[b], f.maps[a]) })
	fmt.Fprintf(w, "\nmemory of 1 M flows and 100 k records: %s MB; the largest maps:", figure(f.core))
	for _, name := range names[:min(8, len(names))] {
		fmt.Fprintf(w, " %s %s", name, figure(float64(f.maps[name])/1e6))
	}
	_, err := fmt.Fprintln(w)
	return err
}

// memory is what the kernel holds for all maps of the pinned programs, inner ones included: by name, in bytes.
func (g *guarded) memory() (map[string]uint64, error) {
	paths, err := filepath.Glob(filepath.Join(g.pins, "*", "programs", "*"))
	if err != nil {
		return nil, err
	}
	m := mapMemory{seen: map[ebpf.MapID]bool{}, bytes: map[string]uint64{}}
	for _, path := range paths {
		if err := m.program(path); err != nil {
			return nil, fmt.Errorf("look at the maps of %s: %w", path, err)
		}
	}
	return m.bytes, nil
}

type mapMemory struct {
	seen  map[ebpf.MapID]bool
	bytes map[string]uint64
}

func (m *mapMemory) program(path string) error {
	p, err := ebpf.LoadPinnedProgram(path, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return err
	}
	ids, ok := info.MapIDs()
	if !ok {
		return errors.New("the kernel does not tell a program's maps")
	}
	for _, id := range ids {
		if err := m.add(id); err != nil {
			return err
		}
	}
	return nil
}

func (m *mapMemory) add(id ebpf.MapID) error {
	if m.seen[id] {
		return nil
	}
	m.seen[id] = true
	table, err := ebpf.NewMapFromID(id)
	if err != nil {
		return err
	}
	defer table.Close()
	info, err := table.Info()
	if err != nil {
		return err
	}
	bytes, ok := info.Memlock()
	if !ok && table.Type() != ebpf.LPMTrie { // an empty trie has none
		return fmt.Errorf("the kernel does not tell the memory of %s", table)
	}
	m.bytes[info.Name] += bytes
	if table.Type() != ebpf.ArrayOfMaps && table.Type() != ebpf.HashOfMaps {
		return nil
	}
	var slot, inner uint32
	for entries := table.Iterate(); entries.Next(&slot, &inner); {
		if err := m.add(ebpf.MapID(inner)); err != nil {
			return err
		}
	}
	return nil
}

// memlock of one map, in bytes.
func memlock(m *ebpf.Map) (uint64, error) {
	info, err := m.Info()
	if err != nil {
		return 0, err
	}
	bytes, ok := info.Memlock()
	if !ok {
		return 0, fmt.Errorf("the kernel does not tell the memory of %s", m)
	}
	return bytes, nil
}
