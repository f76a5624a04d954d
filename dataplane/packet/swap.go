package packet

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Staged is a policy that lies in frozen maps beside the current one.
type Staged struct {
	core    *Core
	maps    generation
	decoded Tables
}

// Load puts tables into new maps, freezes them and reads them back. The epoch is set by Load: one more than the current.
// The caller proves Decoded and then calls Swap or Discard.
func (c *Core) Load(t Tables) (*Staged, error) {
	t = Canonical(t)
	if err := check(t); err != nil {
		return nil, fmt.Errorf("load revision %q: %w", t.Revision, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, epoch := c.current()
	t.Epoch = epoch + 1
	g, err := encode(c.spec, t, c.devices.number)
	if err != nil {
		return nil, fmt.Errorf("load revision %q: %w", t.Revision, err)
	}
	decoded, err := decode(g, c.devices.name)
	if err != nil {
		g.close()
		return nil, fmt.Errorf("load revision %q: %w", t.Revision, err)
	}
	return &Staged{core: c, maps: g, decoded: decoded}, nil
}

// Decoded is what the frozen maps hold.
func (s *Staged) Decoded() Tables { return Canonical(s.decoded) }

// Discard frees staged tables that are not to become current. Harmless after Swap.
func (s *Staged) Discard() { s.maps.close() }

// Swap makes the staged tables current by one atomic write. Packets under way finish with the tables they began with.
func (s *Staged) Swap() error {
	c := s.core
	c.mu.Lock()
	defer c.mu.Unlock()
	slot, epoch := c.current()
	if s.decoded.Epoch != epoch+1 {
		return fmt.Errorf("swap to revision %q: it was staged after epoch %d, but %d is current; load it again", s.decoded.Revision, s.decoded.Epoch-1, epoch)
	}
	for name, m := range s.maps {
		info, err := m.Info()
		if err != nil {
			return fmt.Errorf("swap to revision %q: table %s: %w", s.decoded.Revision, name, err)
		}
		if !info.Frozen() && name != tRuleCounts {
			return fmt.Errorf("swap to revision %q: table %s is not frozen", s.decoded.Revision, name)
		}
	}
	if epoch != 0 {
		slot = 1 - slot
	}
	for _, name := range tableNames {
		if err := c.outer(name).Put(slot, s.maps[name]); err != nil {
			return fmt.Errorf("swap to revision %q: table %s: %w", s.decoded.Revision, name, err)
		}
	}
	c.store(slot, s.decoded.Epoch)
	// An update of an array of maps returns only when every program that was running has ended (maybe_wait_bpf_programs in
	// kernel/bpf/syscall.c): after this nobody reads the slot that was left, so the next Swap may fill it.
	if err := c.outer(tNotes).Put(slot, s.maps[tNotes]); err != nil {
		return fmt.Errorf("wait for packets under way after the swap to revision %q: %w", s.decoded.Revision, err)
	}
	active := s.decoded
	c.active = &active
	s.maps.close()
	return nil
}

// Active is the current policy, false before the first Swap.
func (c *Core) Active() (Tables, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active == nil {
		return Tables{}, false
	}
	return Canonical(*c.active), true
}

// current reads the switch.
func (c *Core) current() (slot, epoch uint32) {
	v := atomic.LoadUint64(c.switchWord())
	return uint32(v), uint32(v >> 32)
}

func (c *Core) store(slot, epoch uint32) {
	atomic.StoreUint64(c.switchWord(), uint64(epoch)<<32|uint64(slot))
}

func (c *Core) switchWord() *uint64 { return (*uint64)(unsafe.Pointer(unsafe.SliceData(c.page))) }

// mapSwitch maps the page of the switch; the programs read the same memory.
func mapSwitch(m *ebpf.Map) ([]byte, error) {
	b, err := unix.Mmap(m.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the table switch: %w", err)
	}
	return b, nil
}

// recall decodes the policy that the pinned maps hold.
func (c *Core) recall() error {
	slot, epoch := c.current()
	if epoch == 0 {
		return nil
	}
	g := generation{}
	defer func() { g.close() }()
	for _, name := range tableNames {
		var m *ebpf.Map
		if err := c.outer(name).Lookup(slot, &m); err != nil {
			return fmt.Errorf("re-open table %s of epoch %d: %w", name, epoch, err)
		}
		g[name] = m
	}
	t, err := decode(g, c.devices.name)
	if err != nil {
		return fmt.Errorf("re-open the tables of epoch %d: %w", epoch, err)
	}
	if t.Epoch != epoch {
		return fmt.Errorf("re-open the tables: the switch says epoch %d, the tables %d", epoch, t.Epoch)
	}
	c.active = &t
	return nil
}
