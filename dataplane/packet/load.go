package packet

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// imageMap is an image in the kernel.
type imageMap struct {
	*ebpf.Map
}

// newImage makes an empty map for an image.
func newImage(spec *ebpf.CollectionSpec) (*ebpf.Map, error) {
	inner := spec.Maps[programsMapImages].InnerMap.Copy()
	inner.Name = "image"
	m, err := ebpf.NewMap(inner)
	if err != nil {
		return nil, fmt.Errorf("make a map for an image of %d chunks: %w", inner.MaxEntries, err)
	}
	return m, nil
}

// putImage fills the map with the image's bytes and freezes it: from then on nobody can change it, this process included.
func putImage(m *ebpf.Map, image []byte) (imageMap, error) {
	if err := fill(m, image); err != nil {
		m.Close()
		return imageMap{}, err
	}
	if err := m.Freeze(); err != nil {
		m.Close()
		return imageMap{}, fmt.Errorf("freeze the image: %w", err)
	}
	return imageMap{m}, nil
}

// fill puts the bytes of an image into its map.
func fill(m *ebpf.Map, image []byte) error {
	chunks := unsafe.Slice((*[chunkSize]byte)(unsafe.Pointer(unsafe.SliceData(image))), len(image)/chunkSize)
	keys := make([]uint32, len(chunks))
	for i := range keys {
		keys[i] = uint32(i)
	}
	if n, err := m.BatchUpdate(keys, chunks, nil); err != nil || n != len(chunks) {
		return fmt.Errorf("fill the image: %d of %d chunks: %w", n, len(chunks), errors.Join(err))
	}
	return nil
}

// view gives the kernel's own bytes of the map to look, not a copy of them; they are gone when look returns.
func (m imageMap) view(look func(whole []byte) error) error {
	b, err := unix.Mmap(m.FD(), 0, int(m.MaxEntries())*chunkSize, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("map the image for reading: %w", err)
	}
	return errors.Join(look(b), unix.Munmap(b))
}

// decode reads the image back. Behind it the map must be empty.
func (m imageMap) decode(nameOf func(uint16) string) (t Tables, err error) {
	err = m.view(func(whole []byte) error {
		used := min(int64(le.Uint32(whole[headChunks:]))*chunkSize, int64(len(whole)))
		if !zero(whole[used:]) {
			return fmt.Errorf("there is something behind the image's %d bytes", used)
		}
		t, err = decodeImage(whole[:used], nameOf)
		return err
	})
	return t, err
}

// frozen tells whether nobody can change the map any more.
func (m imageMap) frozen() (bool, error) {
	info, err := m.Info()
	if err != nil {
		return false, fmt.Errorf("ask about the image: %w", err)
	}
	return info.Frozen(), nil
}

// newRuleCounts makes the counters of t's rules, by number. They stay writable: programs count in them.
func newRuleCounts(spec *ebpf.CollectionSpec, t Tables) (*ebpf.Map, error) {
	inner := spec.Maps[programsMapRuleCounts].InnerMap.Copy()
	inner.Name = "rule_counts"
	inner.MaxEntries = 1
	if n := len(t.Rules); n > 0 {
		inner.MaxEntries = t.Rules[n-1].ID + 1
	}
	m, err := ebpf.NewMap(inner)
	if err != nil {
		return nil, fmt.Errorf("make the counters of %d rules: %w", len(t.Rules), err)
	}
	if err := m.Put(uint32(0), ruleCount{Epoch: t.Epoch}); err != nil {
		m.Close()
		return nil, fmt.Errorf("write whose rules are counted: %w", err)
	}
	return m, nil
}
