package packet

import (
	"encoding/binary"
	"net/netip"
)

// Byte layouts that bpf/types.h and bpf/image.h define; the fields are checked by every test that loads tables and sends a
// packet. Numbers are in host order (the objects are little-endian), addresses in network order.

var le = binary.LittleEndian

const (
	chunkSize    = 1 << 16
	bucketSize   = 64
	imageMagic   = 0x324b5353 // "SSK2"
	imageVersion = 1
	imageChunks  = 512 // room in every image's map
)

// Chunk 0, struct image_head.
const (
	headMagic    = 0
	headVersion  = 4
	headEpoch    = 8
	headChunks   = 12
	headTables   = 16 // in the order of imageTables
	headDSCP     = headTables + 16*int(tableCount)
	headDevices  = 256
	headSmall    = headDevices + 4*maxDevices
	headWindows  = headSmall + 2*smallSize
	headSegments = headWindows + windowSize*maxWindows
	headLimits   = headSegments + segmentSize*maxSegments
	headEnd      = headLimits + limitsSize*maxSegments
)

// imageTable is one table behind the head, in the order in which they lie.
type imageTable int

const (
	tableHosts4 imageTable = iota
	tableHosts6
	tableCells
	tableVLANs
	tableNodes
	tablePrefixes
	tablePorts
	tableClasses
	tableRules
	tableStations
	tableNotes
	tableCount
)

var imageTables = [tableCount]struct {
	name string
	size int // bytes of what count counts
	ways int // entries in a bucket; 0: not a cuckoo table
}{
	tableHosts4:   {"hosts4", bucketSize, 4},
	tableHosts6:   {"hosts6", bucketSize, 2},
	tableCells:    {"cells", bucketSize, 4},
	tableVLANs:    {"vlans", 2 * vlanBlock, 0},
	tableNodes:    {"nodes", 4 * nodeFan, 0},
	tablePrefixes: {"prefixes", 32, 0},
	tablePorts:    {"ports", 2, 0},
	tableClasses:  {"classes", 64, 0},
	tableRules:    {"rules", 16, 0},
	tableStations: {"stations", bucketSize, 8},
	tableNotes:    {"notes", 1, 0},
}

// chunks is how many chunks hold count of the table's entries.
func (i imageTable) chunks(count uint32) uint64 {
	return (uint64(count)*uint64(imageTables[i].size) + chunkSize - 1) / chunkSize
}

const (
	maxSegments = maxSegment + 1
	maxWindows  = 256
	segmentSize = 32
	limitsSize  = 16
	windowSize  = 32
	windowSpans = 8

	vlanBlock  = 4096   // entries
	vlanInner  = 0x8000 // the rest is the block of the second tag
	vlanBlocks = 0x8000 // at most

	nodeFan   = 256
	nodeChild = 1 << 31
	maxNodes  = 65535 // of the prefix trie

	maxRule = 1<<20 - 1 // greatest rule number
)

// Dense port table.
const (
	portsUDP  = 65536
	portsSCTP = 131072
	portsSize = 196608

	smallICMP  = 0
	smallICMP6 = 256
	smallOther = 512
	smallSize  = 768
)

const (
	protoICMP  = 1
	protoTCP   = 6
	protoUDP   = 17
	protoICMP6 = 58
	protoSCTP  = 132
)

// mix spreads 64 bits over 64 bits, as bpf/image.h does; the halves of the result name a key's two buckets.
func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return x
}

// bucketOf is the bucket that one half of a hash names.
func bucketOf(half, buckets uint32) uint32 { return uint32(uint64(half) * uint64(buckets) >> 32) }

func hashHost4(addr [4]byte, seed uint32) uint64 {
	return mix(uint64(seed)<<32 | uint64(le.Uint32(addr[:])))
}

func hashHost6(addr [16]byte, seed uint32) uint64 {
	return mix(mix(le.Uint64(addr[:])^uint64(seed)) ^ le.Uint64(addr[8:]))
}

// cellKey is a cell's key as the first six bytes of its entry.
func cellKey(src, dst, port uint16) uint64 {
	return uint64(port)<<32 | uint64(dst)<<16 | uint64(src)
}

func hashCell(key uint64, seed uint32) uint64 { return mix(uint64(seed)<<48 ^ key) }

// stationKey is a registered MAC of a segment as the eight bytes of its entry.
func stationKey(segment uint16, mac MAC) uint64 {
	var b [8]byte
	le.PutUint16(b[:], segment)
	copy(b[2:], mac[:])
	return le.Uint64(b[:])
}

func hashStation(key uint64, seed uint32) uint64 { return mix(key ^ uint64(seed)) }

type addrBytes [16]byte // IPv4 as ::ffff:a.b.c.d

// goAddr gives every address that is IPv4 as IPv4.
func (a addrBytes) goAddr() netip.Addr { return netip.AddrFrom16(a).Unmap() }

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
