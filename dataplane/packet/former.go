package packet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// Layout 1 kept its flows in one hash table (bpf/former.h); its pin is all that an upgrade leaves of it.

const (
	formerFlows     = "flows"
	formerKeySize   = 44
	formerValueSize = 64
)

// openFormer hands the flow table of layout 1, if one is pinned, to programs that are not loaded yet. One in which nothing can
// be live any more is removed. The caller closes the map, which is nil when there is none.
func (c *Core) openFormer(spec *ebpf.CollectionSpec) (*ebpf.Map, error) {
	for _, dir := range c.former {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, "maps", formerFlows), nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("re-open the flows of a former layout: %w", err)
		}
		if m.Type() != ebpf.Hash || m.KeySize() != formerKeySize || m.ValueSize() != formerValueSize {
			m.Close()
			continue
		}
		live, err := formerLive(m, monotonic())
		if err == nil && live == 0 {
			err = os.Remove(filepath.Join(dir, "maps", formerFlows))
		}
		if err != nil || live == 0 {
			m.Close()
			if err != nil {
				return nil, fmt.Errorf("look at the flows of a former layout: %w", err)
			}
			continue
		}
		spec.Maps[programsMapFormerFlows].MaxEntries = m.MaxEntries()
		if err := spec.Variables["former_until"].Set(uint64(monotonic() + int64(timeoutTCP))); err != nil {
			m.Close()
			return nil, fmt.Errorf("let the programs look at the flows of a former layout: %w", err)
		}
		c.log.Info("flows of a former layout are taken over as they are used", "flows", live)
		return m, nil
	}
	return nil, nil
}

// formerLive counts the flows that were used within the longest idle time.
func formerLive(m *ebpf.Map, now int64) (n int, err error) {
	err = each(m, func(_ [formerKeySize]byte, v [formerValueSize]byte) {
		if now-int64(le.Uint64(v[0:])) < int64(timeoutTCP) {
			n++
		}
	})
	return n, err
}
