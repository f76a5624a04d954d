package packet

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The flow table as bpf/line.h lays it out: sets of eight lines, found by hash, in memory that this process maps.

// line is struct line. Of the two ends, A has the lower address.
type line struct {
	Claim     uint32
	Tag       uint32
	A, B      uint32
	Ports     uint32
	Epoch     uint32
	Rule      uint32
	State     uint8
	BWClass   uint8
	Zones     uint8
	Booked    uint8 // quarters of the range of Packets (2 bits for A, 2 for B) and of bytes (the same) that are booked
	Last      uint32
	RecheckAt uint32
	Adjacency [2]uint16
	Packets   [2]uint32
	BytesLow  [2]uint32
	BytesHigh [2]uint16
}

// line6 is struct line6, and what lies in the overflow table.
type line6 struct {
	line
	A6, B6 [4]uint32
	_      [32]uint8
}

const (
	lineSize    = int(unsafe.Sizeof(line{}))
	line6Size   = int(unsafe.Sizeof(line6{}))
	ways        = 8
	lineVersion = 2
	claimLive   = lineVersion<<8 | 2
)

// Bits of line.State.
const (
	flowFinA     = 0x01
	flowFinB     = 0x02
	flowReset    = 0x04
	flowAnswered = 0x08
	flowFromB    = 0x10
	flowStation  = 0x20
)

func (l *line) segments() (a, b uint16) {
	return uint16(l.Tag & maxSegment), uint16(l.Tag >> 10 & maxSegment)
}
func (l *line) proto() uint8         { return uint8(l.Tag >> 20) }
func (l *line) asker() uint8         { return uint8(l.Tag >> 28) }
func (l *line) ports() (a, b uint16) { return uint16(l.Ports), uint16(l.Ports >> 16) }

// sent is what one end has sent, as far as the line can count: packets modulo 2^32, bytes modulo 2^48.
func (l *line) sent(by int) Count {
	return Count{uint64(l.Packets[by]), uint64(l.BytesHigh[by])<<32 | uint64(l.BytesLow[by])}
}

// count is what of it is not booked yet.
func (l *line) count(by int) Count {
	n := l.sent(by)
	packets, bytes := uint64(l.Booked>>(2*by)&3)<<30, uint64(l.Booked>>(4+2*by)&3)<<46
	return Count{(n.Packets - packets) & (1<<32 - 1), (n.Bytes - bytes) & (1<<48 - 1)}
}
func (l *line) timeout() time.Duration { return flowTimeout(l.proto(), l.State) }
func (l *line) idle(now, hz uint32) time.Duration {
	return time.Duration(max(0, int32(now-l.Last))) * time.Second / time.Duration(hz)
}
func (l *line) over(now, hz uint32) bool { return l.idle(now, hz) > l.timeout() }

// rawFlow is one line with its addresses.
type rawFlow struct {
	line
	a, b netip.Addr
}

func words(w [4]uint32) netip.Addr {
	var b [16]byte
	for i, v := range w {
		le.PutUint32(b[4*i:], v)
	}
	return netip.AddrFrom16(b)
}

func (l *line6) raw() rawFlow { return rawFlow{l.line, words(l.A6), words(l.B6)} }

// raw4 is a line whose addresses are IPv4.
func (l *line) raw4() rawFlow {
	a, b := [4]uint32{2: 0xffff0000, 3: l.A}, [4]uint32{2: 0xffff0000, 3: l.B}
	return rawFlow{*l, words(a).Unmap(), words(b).Unmap()}
}

// rawOverflow is a line of the overflow table, which holds both families.
func (l *line6) rawOverflow() rawFlow {
	if l.A6[0]|l.A6[1]|l.A6[2]|l.B6[0]|l.B6[1]|l.B6[2] == 0 {
		return l.raw4()
	}
	return l.raw()
}

// lines is the whole table.
type lines struct {
	v4, v6   []byte
	overflow *ebpf.Map
}

func mapLines(o *programsMaps, access int) (l lines, err error) {
	l.overflow = o.FlowOverflow
	if l.v4, err = mapMemory(o.Flows4, access); err != nil {
		return l, err
	}
	l.v6, err = mapMemory(o.Flows6, access)
	return l, err
}

func mapMemory(m *ebpf.Map, access int) ([]byte, error) {
	page := os.Getpagesize()
	size := (int(m.MaxEntries())*int(m.ValueSize()) + page - 1) / page * page
	b, err := unix.Mmap(m.FD(), 0, size, access, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the flow table: %w", err)
	}
	return b, nil
}

func (l *lines) close() error {
	var err error
	for _, b := range []*[]byte{&l.v4, &l.v6} {
		if *b != nil {
			err = errors.Join(err, unix.Munmap(*b))
			*b = nil
		}
	}
	return err
}

// at calls f with every line of the array in memory, live or not, until it returns false.
func (l *lines) at(f func(head *line, full *line6) bool) bool {
	for i := 0; i+lineSize <= len(l.v4); i += lineSize {
		if !f((*line)(unsafe.Pointer(&l.v4[i])), nil) {
			return false
		}
	}
	for i := 0; i+line6Size <= len(l.v6); i += line6Size {
		full := (*line6)(unsafe.Pointer(&l.v6[i]))
		if !f(&full.line, full) {
			return false
		}
	}
	return true
}

// walk calls f with a copy of every live line until it returns false. Lines that change hands meanwhile are left out.
func (l *lines) walk(f func(rawFlow) bool) error {
	goOn := l.at(func(head *line, full *line6) bool {
		claim := atomic.LoadUint32(&head.Claim)
		if claim&0xffff != claimLive {
			return true
		}
		var flow rawFlow
		if full != nil {
			flow = full.raw()
		} else {
			flow = head.raw4()
		}
		return atomic.LoadUint32(&head.Claim) != claim || f(flow)
	})
	if !goOn {
		return nil
	}
	var key programsOverflowKey
	var full line6
	it := l.overflow.Iterate()
	for it.Next(&key, &full) {
		if full.Claim&0xffff != claimLive {
			continue
		}
		if !f(full.rawOverflow()) {
			return nil
		}
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("walk through the overflow of the flow table: %w", err)
	}
	return nil
}

const (
	defaultFlows   = 65536
	mostFlows      = 1 << 24
	hashWords      = 34 // HASH_KEYS
	stationsPerSet = 16 // lines
)

type hashKeys [hashWords]uint64

// flowSizes are the sizes of the flow table's maps, in entries.
type flowSizes struct {
	sets4, sets6, stations uint32
}

// sizesFor gives room for so many flows: sets hold twice as much, so that few are full; those of IPv6 a quarter of it.
func sizesFor(flows uint32) flowSizes {
	sets := (2*flows + ways - 1) / ways
	return flowSizes{sets4: sets, sets6: max(sets/4, 1), stations: max(powerOfTwo(sets*ways/stationsPerSet), 64)}
}

// holds is how many flows fit.
func (s flowSizes) holds() uint32 { return s.sets4 * ways / 3 * 2 }

func powerOfTwo(n uint32) uint32 {
	p := uint32(1)
	for p < n {
		p *= 2
	}
	return p
}

// tickRate is the number of ticks a second: what bpf_jiffies64 counts.
func tickRate() (uint32, error) {
	var t unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &t); err != nil {
		return 0, fmt.Errorf("ask for the length of a tick: %w", err)
	}
	if t.Nano() <= 0 || t.Nano() > int64(time.Second) {
		return 0, fmt.Errorf("the kernel says that a tick has %d ns", t.Nano())
	}
	return uint32(int64(time.Second) / t.Nano()), nil
}

// setFlows prepares programs that are not loaded yet for a table of these sizes. quota: flows of a segment without a limit
// of its own.
func setFlows(spec *ebpf.CollectionSpec, s flowSizes, capacity, quota uint32, keys hashKeys) error {
	rate, err := tickRate()
	if err != nil {
		return err
	}
	spec.Maps[programsMapFlows4].MaxEntries = s.sets4
	spec.Maps[programsMapFlows6].MaxEntries = s.sets6
	spec.Maps[programsMapFlowPrints4].MaxEntries = s.sets4
	spec.Maps[programsMapFlowPrints6].MaxEntries = s.sets6
	spec.Maps[programsMapStationUses].MaxEntries = s.stations
	for name, value := range map[string]any{
		"flow_capacity": capacity, "flow_sets4": s.sets4, "flow_sets6": s.sets6, "station_mask": s.stations - 1,
		"segment_quota": max(quota, 1), "hz": rate, "confirm_every": rate, "hash_keys": keys,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s of the programs: %w", name, err)
		}
	}
	return nil
}

func drawKeys() (keys hashKeys, err error) {
	b := make([]byte, 8*len(keys))
	if _, err := rand.Read(b); err != nil {
		return keys, fmt.Errorf("draw the keys of the flow table's hash: %w", err)
	}
	for i := range keys {
		keys[i] = le.Uint64(b[8*i:])
	}
	return keys, nil
}

// prepareFlows decides on the flow table before the programs are loaded: as it is pinned, or new.
func (c *Core) prepareFlows(spec *ebpf.CollectionSpec, flows uint32) (keys hashKeys, err error) {
	if flows == 0 {
		flows = defaultFlows
	}
	if flows > mostFlows {
		return keys, fmt.Errorf("a flow table of %d flows: at most %d", flows, mostFlows)
	}
	sizes := sizesFor(flows)
	for name, size := range map[string]*uint32{
		programsMapFlows4: &sizes.sets4, programsMapFlows6: &sizes.sets6, programsMapStationUses: &sizes.stations,
	} {
		if m, err := ebpf.LoadPinnedMap(c.path("maps", name), nil); err == nil {
			*size = m.MaxEntries()
			m.Close()
		} else if name == programsMapFlows4 {
			c.fresh = true
		}
	}
	if fit := sizes.holds(); flows > fit {
		c.log.Warn("the pinned flow table is smaller than asked for", "flows", fit, "wanted", flows)
		flows = fit
	}
	if m, err := ebpf.LoadPinnedMap(c.path("maps", programsMapHashSeeds), nil); err == nil {
		err = m.Lookup(uint32(0), &keys)
		m.Close()
		if err != nil {
			return keys, fmt.Errorf("read the keys of the flow table's hash: %w", err)
		}
	}
	if keys == (hashKeys{}) {
		if keys, err = drawKeys(); err != nil {
			return keys, err
		}
	}
	c.capacity = flows
	return keys, setFlows(spec, sizes, flows, flows/4, keys)
}

// keepKeys stores the keys for the programs of the next start.
func (c *Core) keepKeys(keys hashKeys) error {
	var now hashKeys
	if err := c.objects.HashSeeds.Lookup(uint32(0), &now); err != nil {
		return fmt.Errorf("read the keys of the flow table's hash: %w", err)
	}
	if now == (hashKeys{}) {
		if err := c.objects.HashSeeds.Put(uint32(0), keys); err != nil {
			return fmt.Errorf("store the keys of the flow table's hash: %w", err)
		}
	}
	return freeze(c.objects.HashSeeds)
}
