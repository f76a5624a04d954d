package packet

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
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
	size := min(m.MaxEntries(), 8192)
	keys, part := make([]uint32, size), make([]V, size)
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
