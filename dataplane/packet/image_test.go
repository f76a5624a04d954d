package packet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Devices of these tests: p1 to p9, by their digits.

func numberOf(name string) (uint16, bool) {
	if len(name) != 2 || name[0] != 'p' || name[1] < '1' || name[1] > '9' {
		return 0, false
	}
	return uint16(name[1] - '0'), true
}

func nameOf(n uint16) string {
	if n < 1 || n > 9 {
		return ""
	}
	return fmt.Sprintf("p%d", n)
}

// everything has each field of Tables set somewhere.
func everything() Tables {
	t := Tables{
		Epoch: 7, Revision: "r1",
		Segments: []Segment{
			{ID: 1, Name: "untagged", Zone: anchors.MyNumber, Port: "p1", Strict: true, Routers: true, Limits: Limits{Flows: 1, Rate: 2, StationFlows: 3, StationRate: 4}},
			{ID: 2, Name: "tagged", Zone: anchors.LGWAN, Port: "p1", VLAN: 10, DHCPServers: true},
			{ID: 3, Name: "stacked", Zone: anchors.LGWAN, Port: "p1", VLAN: 10, Outer: 20},
			{ID: 4, Name: "within a tag of its own", Zone: anchors.LGWAN, Port: "p1", VLAN: 4094, Outer: 10},
			{ID: 5, Name: "other port", Zone: anchors.Internet, Port: "p2", VLAN: 10, Multicast: true},
			{ID: 6, Name: "tunnel", Zone: anchors.MyNumber, Port: "p3", Tunnel: true},
			{ID: 7, Name: "same tunnel", Zone: anchors.MyNumber, Port: "p3", Tunnel: true},
			{ID: 1023, Name: "last", Zone: anchors.Management, Port: "p4"},
		},
		Prefixes: []Prefix{
			{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Class: 1, Segment: 5},
			{Prefix: netip.MustParsePrefix("::/0"), Class: 1, Segment: 5},
			{Prefix: netip.MustParsePrefix("198.18.0.0/15"), Class: 2, Segment: 1},
			{Prefix: netip.MustParsePrefix("198.18.10.0/24"), Class: 2, Segment: 1, MAC: MAC{2, 0, 0, 0, 0, 9}},
			{Prefix: netip.MustParsePrefix("198.18.10.64/27"), Class: 3, Segment: 1},
			{Prefix: netip.MustParsePrefix("198.18.10.95/32"), Class: 2, Segment: 1},
			{Prefix: netip.MustParsePrefix("255.255.255.255/32"), Class: 2, Segment: 1},
			{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Class: 5, Segment: 5},
			{Prefix: netip.MustParsePrefix("2001:db8::/32"), Class: 2, Segment: 1},
			{Prefix: netip.MustParsePrefix("2001:db8:0:1::/64"), Class: 3, Segment: 1},
			{Prefix: netip.MustParsePrefix("2001:db8:0:1::8/125"), Class: 2, Segment: 1},
			{Prefix: netip.MustParsePrefix("ffff::/16"), Class: 3, Segment: 1},
		},
		Classes: []Class{
			{ID: 1, Segment: 5, Kind: KindForward, Port: "p2", VLAN: 10, OnLink: true},
			{ID: 2, Segment: 1, Kind: KindForward, Port: "p1", Via: addrs("198.18.10.254", "2001:db8::fe")},
			{ID: 3, Segment: 3, Kind: KindForward, Port: "p1", VLAN: 10, Outer: 20, Via: addrs("2001:db8::fe")},
			{ID: 4, Segment: 6, Kind: KindTunnel, Port: "p3"},
			{ID: 5, Segment: 5, Kind: KindLocal, Port: "p2", VLAN: 10},
			{ID: 65535, Segment: 1, Kind: KindLocal},
		},
		Ports: []PortRange{
			{Proto: 6, Lo: 0, Hi: 0, Class: 1}, {Proto: 6, Lo: 443, Hi: 445, Class: 2}, {Proto: 6, Lo: 65535, Hi: 65535, Class: 3},
			{Proto: 17, Lo: 0, Hi: 65535, Class: 4}, {Proto: 132, Lo: 0, Hi: 9, Class: 5}, {Proto: 132, Lo: 10, Hi: 10, Class: 6},
			{Proto: 1, Lo: 8, Hi: 8, Class: 65535}, {Proto: 1, Lo: 255, Hi: 255, Class: 2}, {Proto: 58, Lo: 128, Hi: 129, Class: 2},
			{Proto: 0, Class: 7}, {Proto: 47, Class: 8}, {Proto: 50, Class: 8}, {Proto: 255, Class: 8},
		},
		Rules: []Rule{
			{ID: 1, Records: []string{"first", "第二"}, From: 29000000, Until: 4294967295, Window: 1},
			{ID: 2, Records: []string{""}}, {ID: 3}, {ID: 70000, Window: 255, Records: []string{"x"}},
		},
		Windows: []Window{
			{ID: 1, Spans: []Span{{0, 1}, {3, 10080}}},
			{ID: 255, Spans: []Span{{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}, {10, 11}, {12, 13}, {14, 15}}},
		},
	}
	for i := range 300 {
		mac := MAC{2, 0, 0, 1, byte(i >> 8), byte(i)}
		if i%7 == 0 {
			mac = MAC{}
		}
		t.Hosts = append(t.Hosts,
			Host{Addr: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), Class: uint16(1 + i%3), Segment: 1, MAC: mac},
			Host{Addr: netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(i >> 8), 15: byte(i)}), Class: uint16(1 + i%3), Segment: 2, MAC: mac})
	}
	t.Hosts = append(t.Hosts,
		Host{Addr: netip.MustParseAddr("203.0.113.1"), Class: 5, Segment: 5}, Host{Addr: netip.MustParseAddr("2001:db8:5::1"), Class: 5, Segment: 5},
		Host{Addr: netip.IPv4Unspecified(), Class: 65535, Segment: 1}, Host{Addr: netip.IPv6Unspecified(), Class: 65535, Segment: 1})
	for i := range 2000 {
		t.Cells = append(t.Cells, Cell{Src: uint16(1 + i%50), Dst: uint16(1 + i/50%40), Port: uint16(1 + i), Rule: []uint32{1, 2, 3, 70000}[i%4], BWClass: uint8(i % 64)})
	}
	t.Cells = append(t.Cells, Cell{Src: 65535, Dst: 65535, Port: 65535, Rule: 1, BWClass: 63})
	return Canonical(t)
}

func mustEncode(tb testing.TB, t Tables) []byte {
	tb.Helper()
	if err := check(t); err != nil {
		tb.Fatal(err)
	}
	image, err := encodeImage(t, numberOf)
	if err != nil {
		tb.Fatal(err)
	}
	return image
}

func TestImageHoldsEveryField(t *testing.T) {
	empty := Canonical(Tables{Epoch: 1})
	town := Canonical(townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	town.Epoch = 3
	for i := range town.Segments {
		town.Segments[i].Port = nameOf(uint16(i + 1))
	}
	for i := range town.Classes {
		town.Classes[i].Port = nameOf(town.Classes[i].Segment)
	}
	for what, want := range map[string]Tables{"empty": empty, "town": town, "everything": everything()} {
		got, err := decodeImage(mustEncode(t, want), nameOf)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s came back otherwise (-want +got):\n%s", what, diff)
		}
		if Hash(want) != Hash(got) {
			t.Errorf("%s came back with another hash", what)
		}
	}
}

// Equal tables have equal images, whatever order they were written in.
func TestImageIsReproducible(t *testing.T) {
	a := everything()
	b := everything()
	r := rand.New(rand.NewPCG(3, 4))
	shuffle(r, b.Hosts)
	shuffle(r, b.Prefixes)
	shuffle(r, b.Cells)
	shuffle(r, b.Rules)
	if !bytes.Equal(mustEncode(t, a), mustEncode(t, Canonical(b))) {
		t.Error("the same tables in another order made another image")
	}
}

// table gives where a table lies in an image, and how many entries it has.
func table(image []byte, i imageTable) (at int, count uint32) {
	h := image[headTables+16*int(i):]
	return int(le.Uint32(h)) * chunkSize, le.Uint32(h[4:])
}

// firstEntry is the first entry in use of a table whose entries have some size.
func firstEntry(image []byte, i imageTable, size int) int {
	at, count := table(image, i)
	for n := range int(count) * imageTables[i].size / size {
		if !zero(image[at+n*size:][:size]) {
			return at + n*size
		}
	}
	panic("no entry in use")
}

// free is an unused entry of a cuckoo table for which ok holds of its bucket.
func free(image []byte, i imageTable, ok func(bucket uint32) bool) int {
	at, count := table(image, i)
	size := bucketSize / imageTables[i].ways
	for n := range int(count) * imageTables[i].ways {
		if ok(uint32(n/imageTables[i].ways)) && zero(image[at+n*size:][:size]) {
			return at + n*size
		}
	}
	panic("no free entry")
}

func add32(b []byte, n int) { le.PutUint32(b, le.Uint32(b)+uint32(n)) }

// Each spoils a good image in one way; none may be read, for programs and proof could read it differently. Where another
// check would notice as well, the case makes good what that one looks at.
func TestImageThatCouldBeReadInTwoWaysIsRefused(t *testing.T) {
	type spoiler = func(b []byte) []byte
	poke := func(f func(b []byte)) spoiler { return func(b []byte) []byte { f(b); return b } }
	head := func(i imageTable, field int) int { return headTables + 16*int(i) + 4*field }
	cells := func(b []byte) (count, seed uint32) {
		return le.Uint32(b[head(tableCells, 1):]), le.Uint32(b[head(tableCells, 3):])
	}
	bucketsOf := func(b []byte, e int) (first, second uint32) {
		count, seed := cells(b)
		h := hashCell(le.Uint64(b[e:])&(1<<48-1), seed)
		return bucketOf(uint32(h), count), bucketOf(uint32(h>>32), count)
	}
	// twin puts an entry into its bucket once more.
	twin := func(i imageTable) spoiler {
		return poke(func(b []byte) {
			at, count := table(b, i)
			size := bucketSize / imageTables[i].ways
			for n := range int(count) {
				bucket := b[at+n*bucketSize:][:bucketSize]
				if last := bucket[bucketSize-size:]; !zero(bucket[:size]) && zero(last) {
					copy(last, bucket[:size])
					add32(b[head(i, 2):], 1)
					return
				}
			}
			panic("all buckets are full")
		})
	}
	cases := []struct {
		what, want string
		spoil      spoiler
	}{
		{"no bytes", "whole chunks", func(b []byte) []byte { return nil }},
		{"half a chunk", "whole chunks", func(b []byte) []byte { return b[:len(b)-chunkSize/2] }},
		{"other magic", "magic", poke(func(b []byte) { b[0]++ })},
		{"other version", "version", poke(func(b []byte) { b[4]++ })},
		{"epoch 0", "epoch", poke(func(b []byte) { le.PutUint32(b[headEpoch:], 0) })},
		{"a chunk less", "chunks", func(b []byte) []byte { return b[:len(b)-chunkSize] }},
		{"a chunk more, and not counted", "chunks", func(b []byte) []byte { return append(b, make([]byte, chunkSize)...) }},
		{"a chunk more, and counted", "the tables end", func(b []byte) []byte {
			add32(b[headChunks:], 1)
			return append(b, make([]byte, chunkSize)...)
		}},
		{"a code point of a class that no mark can carry", "segments", poke(func(b []byte) { b[headDSCP+7] = maxBWClass + 1 })},
		{"something behind the head", "head", poke(func(b []byte) { b[chunkSize-1] = 1 })},
		{"something behind a table", "behind its end", poke(func(b []byte) {
			at, count := table(b, tableCells)
			b[at+int(count)*bucketSize] = 1
		})},
		{"a table in the wrong chunk", "lies in chunk", poke(func(b []byte) { add32(b[head(tableCells, 0):], 1) })},
		{"two tables in one chunk", "lies in chunk", poke(func(b []byte) { add32(b[head(tableHosts6, 0):], -1) })},
		{"a table beyond the end", "lies in chunk", poke(func(b []byte) { le.PutUint32(b[head(tableNotes, 1):], 1<<31) })},
		{"a table without end", "lies in chunk", poke(func(b []byte) { le.PutUint32(b[head(tableCells, 1):], 1<<32-1) })},
		{"a seed where none is", "seed", poke(func(b []byte) { b[head(tableRules, 3)] = 1 })},

		{"a segment of an unknown device", "segments", poke(func(b []byte) { b[headSegments+segmentSize] = 99 })},
		{"a segment that is half strict", "neither true nor false", poke(func(b []byte) { b[headSegments+segmentSize+7] = 2 })},
		{"a segment with more than it has", "segments", poke(func(b []byte) { b[headSegments+segmentSize+31] = 1 })},
		{"a leftover segment", "not empty", poke(func(b []byte) { b[headSegments+segmentSize*100+6] = 1 })},
		{"limits of no segment", "not empty", poke(func(b []byte) { b[headLimits+limitsSize*100] = 1 })},
		{"no zone", "zone", poke(func(b []byte) { b[headSegments+segmentSize+6] = 0 })},
		{"groups that stand for another class", "groups", poke(func(b []byte) { b[headSegments+segmentSize*5+12]++ })},
		{"another broadcast", "groups", poke(func(b []byte) { b[headSegments+segmentSize*5+19]-- })},

		{"a port that leads to another segment", "lead to segment", poke(func(b []byte) { le.PutUint16(b[headDevices+4:], 2) })},
		{"a port that leads to a tunnel", "lead to segment", poke(func(b []byte) { le.PutUint16(b[headDevices+4*9:], 6) })},
		{"a port that leads nowhere", "at the end of no way", poke(func(b []byte) { le.PutUint16(b[headDevices+4:], 0) })},
		{"a tag that leads to another segment", "lead to segment", poke(func(b []byte) {
			at, _ := table(b, tableVLANs)
			le.PutUint16(b[at+2*(vlanBlock*int(le.Uint16(b[headDevices+6:]))+11):], 2)
		})},
		{"a VID 0 with a segment", "lead to segment", poke(func(b []byte) {
			at, _ := table(b, tableVLANs)
			le.PutUint16(b[at+2*vlanBlock*int(le.Uint16(b[headDevices+6:])):], 1)
		})},
		{"tags that follow each other in a circle", "two ways", poke(func(b []byte) {
			at, _ := table(b, tableVLANs)
			first := le.Uint16(b[headDevices+6:])
			le.PutUint16(b[at+2*(vlanBlock*int(first)+20):], vlanInner|first)
		})},
		{"two ports that share a block", "two ways", poke(func(b []byte) { copy(b[headDevices+4*2+2:], b[headDevices+4+2:headDevices+4+4]) })},
		{"a block beyond the end", "block", poke(func(b []byte) { le.PutUint16(b[headDevices+4*9+2:], 0x7fff) })},
		{"a block on no way", "on no way", poke(func(b []byte) {
			add32(b[head(tableVLANs, 1):], 1)
			add32(b[head(tableVLANs, 2):], 1)
		})},
		{"something in block 0", "on no way", poke(func(b []byte) {
			at, _ := table(b, tableVLANs)
			b[at] = 1
		})},

		{"window 0", "window", poke(func(b []byte) { b[headWindows+2] = 1 })},
		{"a window beyond the week", "window 1", poke(func(b []byte) { le.PutUint16(b[headWindows+windowSize+6:], 10081) })},
		{"a window with a gap", "window 1", poke(func(b []byte) { b[headWindows+windowSize+14] = 1 })},

		{"a cell out of its buckets", "is sought in", poke(func(b []byte) {
			e := firstEntry(b, tableCells, 16)
			one, two := bucketsOf(b, e)
			to := free(b, tableCells, func(n uint32) bool { return n != one && n != two })
			copy(b[to:], b[e:e+16])
			clear(b[e : e+16])
		})},
		{"a cell in both its buckets", "listed twice", poke(func(b []byte) {
			at, count := table(b, tableCells)
			for n := range int(count) * 4 {
				e := at + 16*n
				if zero(b[e : e+16]) {
					continue
				}
				one, two := bucketsOf(b, e)
				other := one + two - uint32(n/4)
				if one == two {
					continue
				}
				for i := range 4 {
					if to := at + int(other)*bucketSize + 16*i; zero(b[to : to+16]) {
						copy(b[to:], b[e:e+16])
						add32(b[head(tableCells, 2):], 1)
						return
					}
				}
			}
			panic("no cell has room in its other bucket")
		})},
		{"a cell twice in its bucket, with another rule", "listed twice", poke(func(b []byte) {
			at, count := table(b, tableCells)
			for n := range int(count) {
				bucket := b[at+n*bucketSize:][:bucketSize]
				if !zero(bucket[:16]) && zero(bucket[48:]) {
					copy(bucket[48:], bucket[:16])
					bucket[56] = 3
					add32(b[head(tableCells, 2):], 1)
					return
				}
			}
			panic("all buckets are full")
		})},
		{"a cell of source class 0", "not empty", poke(func(b []byte) { le.PutUint16(b[firstEntry(b, tableCells, 16):], 0) })},
		{"a cell with flags", "bytes where it should have none", poke(func(b []byte) { b[firstEntry(b, tableCells, 16)+7] = 1 })},
		{"a cell with more than it has", "bytes where it should have none", poke(func(b []byte) { b[firstEntry(b, tableCells, 16)+15] = 1 })},
		{"a cell of no rule", "rule", poke(func(b []byte) { le.PutUint32(b[firstEntry(b, tableCells, 16)+8:], 5) })},
		{"a cell of bandwidth class 64", "bandwidth", poke(func(b []byte) { b[firstEntry(b, tableCells, 16)+6] = 64 })},
		{"a cell that is not counted", "in use", poke(func(b []byte) { add32(b[head(tableCells, 2):], -1) })},
		{"another seed", "is sought in", poke(func(b []byte) { b[head(tableCells, 3)]++ })},

		{"an IPv4 host out of its buckets", "is sought in", poke(func(b []byte) {
			e := firstEntry(b, tableHosts4, 16)
			b[e+3]++
		})},
		{"an IPv4 host twice", "listed twice", twin(tableHosts4)},
		{"an IPv6 host twice", "listed twice", twin(tableHosts6)},
		{"a registered MAC twice", "stations", twin(tableStations)},
		{"an IPv4 host with more than it has", "bytes where it should have none", poke(func(b []byte) { b[firstEntry(b, tableHosts4, 16)+15] = 1 })},
		{"an IPv4 host without segment", "without class or segment", poke(func(b []byte) { le.PutUint16(b[firstEntry(b, tableHosts4, 16)+6:], 0) })},
		{"an IPv6 host out of its buckets", "is sought in", poke(func(b []byte) { b[firstEntry(b, tableHosts6, 32)+15] ^= 0x80 })},
		{"an IPv6 host with more than it has", "bytes where it should have none", poke(func(b []byte) { b[firstEntry(b, tableHosts6, 32)+31] = 1 })},
		{"an IPv4 host among those of IPv6", "not a plain address", poke(func(b []byte) {
			count, seed := le.Uint32(b[head(tableHosts6, 1):]), le.Uint32(b[head(tableHosts6, 3):])
			a := netip.MustParseAddr("192.0.2.1").As16()
			h := hashHost6(a, seed)
			to := free(b, tableHosts6, func(n uint32) bool { return n == bucketOf(uint32(h), count) || n == bucketOf(uint32(h>>32), count) })
			copy(b[to:], a[:])
			putBinding(b[to+16:], 1, 1, MAC{})
			add32(b[head(tableHosts6, 2):], 1)
		})},
		{"a registered MAC too many", "stations", poke(func(b []byte) {
			count, seed := le.Uint32(b[head(tableStations, 1):]), le.Uint32(b[head(tableStations, 3):])
			key := stationKey(1, MAC{2, 0xde, 0xad, 0, 0, 1})
			h := hashStation(key, seed)
			to := free(b, tableStations, func(n uint32) bool { return n == bucketOf(uint32(h), count) || n == bucketOf(uint32(h>>32), count) })
			le.PutUint64(b[to:], key)
			add32(b[head(tableStations, 2):], 1)
		})},
		{"a registered MAC too few", "stations", poke(func(b []byte) {
			clear(b[firstEntry(b, tableStations, 8):][:8])
			add32(b[head(tableStations, 2):], -1)
		})},

		{"a node that follows itself", "two ways", poke(func(b []byte) {
			at, _ := table(b, tableNodes)
			le.PutUint32(b[at:], nodeChild)
		})},
		{"a node beyond the end", "not there", poke(func(b []byte) {
			at, _ := table(b, tableNodes)
			le.PutUint32(b[at:], nodeChild|0x7fffffff)
		})},
		{"a node behind the last byte", "no byte left", poke(func(b []byte) {
			at, _ := table(b, tableNodes)
			node := at
			for range 3 { // 255.255.255
				v := le.Uint32(b[node+4*255:])
				node = at + 4*nodeFan*int(v&^nodeChild)
			}
			le.PutUint32(b[node:], nodeChild|1)
		})},
		{"a node on no way", "on no way", poke(func(b []byte) {
			add32(b[head(tableNodes, 1):], 1)
			add32(b[head(tableNodes, 2):], 1)
		})},
		{"an address that falls to a wider prefix", "says otherwise", poke(func(b []byte) {
			at, _ := table(b, tableNodes)
			node := at
			for _, i := range []int{198, 18, 10} {
				node = at + 4*nodeFan*int(le.Uint32(b[node+4*i:])&^nodeChild)
			}
			copy(b[node+4*70:], b[node+4*1:][:4])
		})},
		{"an IPv6 address that falls to no prefix", "says otherwise", poke(func(b []byte) {
			at, _ := table(b, tableNodes)
			le.PutUint32(b[at+4*nodeFan+4*0x30:], 0)
		})},
		{"a prefix that no list knows", "says otherwise", poke(func(b []byte) {
			at, _ := table(b, tableNodes)
			le.PutUint32(b[at+4*9:], 1000)
		})},
		{"a prefix of another length", "says otherwise", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			for n := range 12 {
				if e := b[at+32*(n+1):]; e[28] == 27 {
					e[28] = 28
				}
			}
		})},
		{"a prefix with host bits", "says otherwise", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			b[at+32+15] = 1 // 0.0.0.0/0
		})},
		{"a prefix of 33 bits", "is none", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			b[at+32+28] = 33
		})},
		{"a prefix of no family", "family", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			b[at+32+29] = 5
		})},
		{"an IPv4 prefix with more than it has", "family", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			b[at+32] = 1
		})},
		{"a prefix with bytes behind it", "bytes where there should be none", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			b[at+63] = 1
		})},
		{"prefixes out of order", "order", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			one, two := slices.Clone(b[at+64:at+96]), slices.Clone(b[at+96:at+128])
			copy(b[at+64:], two)
			copy(b[at+96:], one)
		})},
		{"a prefix twice", "order", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			copy(b[at+64:], b[at+32:at+64])
		})},
		{"prefix 0", "entry 0", poke(func(b []byte) {
			at, _ := table(b, tablePrefixes)
			b[at] = 1
		})},

		{"a port in no counted class", "in use", poke(func(b []byte) {
			at, _ := table(b, tablePorts)
			b[at+2*1000] = 1
		})},
		{"a short table of ports", "ports", poke(func(b []byte) { add32(b[head(tablePorts, 1):], -1) })},
		{"TCP as a whole", "as a whole", poke(func(b []byte) { b[headSmall+2*(smallOther+6)] = 1 })},

		{"a class of an unknown device", "nobody knows", poke(func(b []byte) {
			at, _ := table(b, tableClasses)
			b[at+64+4] = 99
		})},
		{"a class of an unknown kind", "kind", poke(func(b []byte) {
			at, _ := table(b, tableClasses)
			b[at+64+2] = 4
		})},
		{"a class that is no longer used", "not empty", poke(func(b []byte) {
			at, _ := table(b, tableClasses)
			b[at+64+2] = 0
		})},
		{"a class half on link", "neither true nor false", poke(func(b []byte) {
			at, _ := table(b, tableClasses)
			b[at+64+3] = 2
		})},
		{"a class with more than it has", "bytes where there should be none", poke(func(b []byte) {
			at, _ := table(b, tableClasses)
			b[at+64+63] = 1
		})},
		{"an IPv6 next hop for IPv4", "other family", poke(func(b []byte) {
			at, _ := table(b, tableClasses)
			copy(b[at+2*64+16:], b[at+2*64+32:][:16])
		})},
		{"a service VLAN around none", "VLAN", poke(func(b []byte) {
			at, _ := table(b, tableClasses)
			b[at+4*64+8] = 1
		})},
		{"a class that is not counted", "in use", poke(func(b []byte) { add32(b[head(tableClasses, 2):], -1) })},

		{"a rule that is half there", "neither true nor false", poke(func(b []byte) {
			at, _ := table(b, tableRules)
			b[at+16+9] = 2
		})},
		{"a time of no rule", "bytes where there should be none", poke(func(b []byte) {
			at, _ := table(b, tableRules)
			b[at+16*4] = 1
		})},
		{"a rule with more than it has", "bytes where there should be none", poke(func(b []byte) {
			at, _ := table(b, tableRules)
			b[at+16+11] = 1
		})},
		{"a chain of rules that turns back", "turns back", poke(func(b []byte) {
			at, _ := table(b, tableRules)
			le.PutUint32(b[at+16*2+12:], 1)
		})},
		{"a rule of a missing window", "window", poke(func(b []byte) {
			at, _ := table(b, tableRules)
			b[at+16*2+8] = 2
		})},
		{"rule 0", "rule 0", poke(func(b []byte) {
			at, _ := table(b, tableRules)
			b[at+9] = 1
			add32(b[head(tableRules, 2):], 1)
			// its records
			names, _ := table(b, tableNotes)
			copy(b[names:], bytes.Replace(b[names:names+200], []byte("last"), []byte("last\x00\x00\x00\x00"), 1))
			add32(b[head(tableNotes, 1):], 4)
			add32(b[head(tableNotes, 2):], 4)
		})},
		{"a rule behind the last", "last entry", poke(func(b []byte) { add32(b[head(tableRules, 1):], 1) })},
		{"a rule that is not counted", "in use", poke(func(b []byte) { add32(b[head(tableRules, 2):], -1) })},

		{"names that end too soon", "names", poke(func(b []byte) {
			at, count := table(b, tableNotes)
			b[at+int(count)-1] = 0
			add32(b[head(tableNotes, 1):], -1)
			add32(b[head(tableNotes, 2):], -1)
		})},
		{"names behind the names", "names", poke(func(b []byte) {
			add32(b[head(tableNotes, 1):], 1)
			add32(b[head(tableNotes, 2):], 1)
		})},
		{"a name longer than all", "names", poke(func(b []byte) {
			at, _ := table(b, tableNotes)
			le.PutUint32(b[at:], 1<<32-1)
		})},
	}
	good := mustEncode(t, everything())
	if _, err := decodeImage(good, nameOf); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		bad := c.spoil(slices.Clone(good))
		if _, err := decodeImage(bad, nameOf); err == nil {
			t.Errorf("%s: was read", c.what)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, want something about %q", c.what, err, c.want)
		}
	}
}

// No byte of an image is without meaning: whichever is changed, the image is refused or says something else. Only where
// there is nearly nothing in a table may its number of buckets and its seed be others, and it still finds it.
func TestEveryByteOfAnImageCounts(t *testing.T) {
	small := Canonical(Tables{
		Epoch:    1,
		Segments: []Segment{{ID: 1, Zone: anchors.LGWAN, Port: "p1", VLAN: 5, Outer: 6}},
		Hosts:    []Host{{Addr: netip.MustParseAddr("192.0.2.1"), Class: 1, Segment: 1, MAC: MAC{2, 0, 0, 0, 0, 1}}},
		Prefixes: []Prefix{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Class: 1, Segment: 1}},
		Classes:  []Class{{ID: 1, Segment: 1, Kind: KindForward, Port: "p1", VLAN: 5, Outer: 6, OnLink: true}},
		Ports:    []PortRange{{Proto: 6, Lo: 443, Hi: 443, Class: 1}},
		Cells:    []Cell{{Src: 1, Dst: 1, Port: 1, Rule: 1}},
		Rules:    []Rule{{ID: 1, Records: []string{"a"}}},
	})
	good := mustEncode(t, small)
	want := Hash(small)
	r := rand.New(rand.NewPCG(5, 6))
	used := []int{}
	for i, v := range good {
		if v != 0 {
			used = append(used, i)
		}
	}
	for range 600 {
		i := r.IntN(len(good))
		if r.IntN(2) == 0 {
			i = used[r.IntN(len(used))]
		}
		if field := (i - headTables) / 4 % 4; i >= headTables && i < headDSCP && (field == 1 || field == 3) && imageTables[(i-headTables)/16].ways > 0 {
			continue
		}
		old := good[i]
		good[i] ^= byte(1 + r.IntN(255))
		if got, err := decodeImage(good, nameOf); err == nil && got.Epoch == 1 && Hash(got) == want {
			t.Errorf("byte %d of %d as %#x instead of %#x makes no difference", i, len(good), good[i], old)
		}
		good[i] = old
	}
}

// What is decoded is what a program would find: for random tables, every address and cell.
func TestProgramsAndDecoderFindTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for round := range 20 {
		tables := Tables{Epoch: 1, Revision: fmt.Sprint(round)}
		seen := map[netip.Prefix]bool{}
		for range r.IntN(60) {
			a := netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(3)), byte(r.IntN(4))})
			bits := r.IntN(33)
			if r.IntN(2) == 0 {
				a, bits = netip.AddrFrom16([16]byte{0x20, byte(r.IntN(3)), 9: byte(r.IntN(3)), 15: byte(r.IntN(4))}), r.IntN(129)
			}
			p, _ := a.Prefix(bits)
			if !seen[p] {
				seen[p] = true
				tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: p, Class: uint16(1 + r.IntN(9)), Segment: 1})
			}
		}
		tables = Canonical(tables)
		image := mustEncode(t, tables)
		got, err := decodeImage(image, nameOf)
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			a := netip.AddrFrom4([4]byte{byte(9 + r.IntN(3)), byte(r.IntN(3)), byte(r.IntN(3)), byte(r.IntN(5))})
			if r.IntN(2) == 0 {
				a = netip.AddrFrom16([16]byte{0x20, byte(r.IntN(3)), 9: byte(r.IntN(3)), 15: byte(r.IntN(5))})
			}
			want, found := uint16(0), -1
			for _, p := range got.Prefixes {
				if p.Prefix.Contains(a) && p.Prefix.Bits() > found {
					want, found = p.Class, p.Prefix.Bits()
				}
			}
			if class := stepDown(image, a); class != want {
				t.Fatalf("round %d: %s is in class %d, want %d", round, a, class, want)
			}
		}
	}
}

// stepDown does what place_of_prefix of bpf/image.h does.
func stepDown(image []byte, a netip.Addr) uint16 {
	nodes, _ := table(image, tableNodes)
	prefixes, _ := table(image, tablePrefixes)
	v, b := uint32(nodeChild), a.AsSlice()
	if a.Is6() {
		v |= 1
	}
	for i := 0; i < len(b) && v&nodeChild != 0; i++ {
		v = le.Uint32(image[nodes+4*nodeFan*int(v&0xffff)+4*int(b[i]):])
	}
	return le.Uint16(image[prefixes+32*int(v)+16:])
}

func TestTrieIsBounded(t *testing.T) {
	var many []Prefix
	for i := range 40000 {
		a := [16]byte{0x20, 1, 2: byte(i >> 8), 3: byte(i)}
		many = append(many, Prefix{Prefix: netip.PrefixFrom(netip.AddrFrom16(a), 48), Class: 1, Segment: 1})
	}
	if _, err := plantTrie(many); err == nil || !strings.Contains(err.Error(), "65535") {
		t.Errorf("80,000 nodes: %v", err)
	}
	nodes, err := plantTrie(many[:20000])
	if err != nil || len(nodes) > maxNodes*nodeFan {
		t.Errorf("%d nodes: %v", len(nodes)/nodeFan, err)
	}
}

func TestKeysThatFindNoPlaceAreAnError(t *testing.T) {
	if _, _, _, err := place(9, 4, func(int, uint32) uint64 { return 42 }); err == nil {
		t.Error("nine equal keys found a place in two buckets of four")
	}
	for _, ways := range []int{2, 4, 8} {
		for _, n := range []int{0, 1, 2, 7, 100, 5000, 100000} {
			slots, buckets, seed, err := place(n, ways, func(i int, seed uint32) uint64 { return mix(uint64(seed)<<48 ^ uint64(i)) })
			if err != nil {
				t.Fatalf("%d keys in buckets of %d: %v", n, ways, err)
			}
			if spare := int(buckets)*ways - n; n > 1000 && spare > n/2 {
				t.Errorf("%d keys in %d buckets of %d: %d places are empty", n, buckets, ways, spare)
			}
			seen := 0
			for at, s := range slots {
				if s == 0 {
					continue
				}
				seen++
				h := mix(uint64(seed)<<48 ^ uint64(s-1))
				if b := uint32(at / ways); b != bucketOf(uint32(h), buckets) && b != bucketOf(uint32(h>>32), buckets) {
					t.Fatalf("key %d lies in bucket %d", s-1, b)
				}
			}
			if seen != n {
				t.Errorf("%d of %d keys have a place", seen, n)
			}
		}
	}
}

func TestTableHashesTellWhichTableDiffers(t *testing.T) {
	base := everything()
	for table, change := range map[string]func(*Tables){
		"revision": func(t *Tables) { t.Revision = "r2" },
		"segments": func(t *Tables) { t.Segments[0].Limits.StationRate++ },
		"hosts":    func(t *Tables) { t.Hosts[5].MAC[5]++ },
		"prefixes": func(t *Tables) { t.Prefixes[5].Class++ },
		"classes":  func(t *Tables) { t.Classes[2].Outer++ },
		"ports":    func(t *Tables) { t.Ports[1].Hi++ },
		"cells":    func(t *Tables) { t.Cells[77].BWClass ^= 1 },
		"rules":    func(t *Tables) { t.Rules[1].Until++ },
		"windows":  func(t *Tables) { t.Windows[0].Spans[0].To++ },
	} {
		other := Canonical(base)
		change(&other)
		if Hash(other) == Hash(base) {
			t.Errorf("%s: another policy has the same hash", table)
		}
		a, b := TableHashes(base), TableHashes(other)
		for i := range a {
			if differs := a[i].Sum != b[i].Sum; differs != (a[i].Table == table) {
				t.Errorf("%s changed: %s differs %t", table, a[i].Table, differs)
			}
		}
	}
	other := Canonical(base)
	other.Epoch++
	if Hash(other) != Hash(base) {
		t.Error("the epoch is part of the hash")
	}
}

// Rules and windows that could be taken for ones that are always in force are refused before they are loaded.
func TestTimesThatImagesCannotHoldAreRefused(t *testing.T) {
	for what, spoil := range map[string]func(*Tables){
		"a rule number beyond the table":   func(t *Tables) { t.Rules[3].ID = 1 << 20 },
		"a rule before 1970":               func(t *Tables) { t.Rules[1].From = -1 },
		"a rule until far too late":        func(t *Tables) { t.Rules[1].Until = 1 << 32 },
		"a rule of a missing window":       func(t *Tables) { t.Rules[1].Window = 7 },
		"a cell of a missing rule":         func(t *Tables) { t.Cells[0].Rule = 9 },
		"a cell of a rule beyond all":      func(t *Tables) { t.Cells[0].Rule = maxRule + 1 },
		"window 0":                         func(t *Tables) { t.Windows[0].ID = 0 },
		"a window twice":                   func(t *Tables) { t.Windows[0].ID = 255 },
		"a window of no span":              func(t *Tables) { t.Windows[0].Spans = nil },
		"a window of nine spans":           func(t *Tables) { t.Windows[1].Spans = append(t.Windows[1].Spans, Span{20, 21}) },
		"an empty span":                    func(t *Tables) { t.Windows[0].Spans[0] = Span{1, 1} },
		"spans out of order":               func(t *Tables) { slices.Reverse(t.Windows[0].Spans) },
		"spans that touch":                 func(t *Tables) { t.Windows[0].Spans[1].From = 1 },
		"a span beyond the week":           func(t *Tables) { t.Windows[0].Spans[1].To = 10081 },
		"a service VLAN around none":       func(t *Tables) { t.Segments[0].Outer = 5 },
		"service VLAN 4095":                func(t *Tables) { t.Segments[2].Outer = 4095 },
		"a class behind a service VLAN":    func(t *Tables) { t.Classes[1].Outer = 5 },
		"two segments behind the same two": func(t *Tables) { t.Segments[1].Outer = 20 },
		"a port of SCTP in two ranges":     func(t *Tables) { t.Ports = append(t.Ports, PortRange{Proto: 132, Lo: 9, Hi: 12, Class: 1}) },
	} {
		bad := everything()
		spoil(&bad)
		if check(bad) == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// few is everything with small numbers, for a small image.
func few() Tables {
	t := everything()
	t.Classes, t.Rules, t.Hosts = t.Classes[:5], t.Rules[:3], t.Hosts[:40]
	cells := t.Cells[:0]
	for _, c := range t.Cells {
		if c.Rule <= 3 && c.Src <= 5 {
			cells = append(cells, c)
		}
	}
	t.Cells = cells
	t.Rules[0].Window = 255
	return Canonical(t)
}

// Fuzzing would drown in the zeros of a whole image. An input is the bytes that differ from a good one: three bytes of
// where and one of what, from an image of few chunks; or, without the leading mark, an image's beginning.
func FuzzDecodeImage(f *testing.F) {
	base := mustEncode(f, few())
	f.Add([]byte{})
	f.Add(base[:512])
	for i := range tableCount {
		at, _ := table(base, i)
		for _, change := range []byte{0, 1, 0x80, 0xff} {
			f.Add(difference(at, change))
			f.Add(difference(headTables+16*int(i)+4, change))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		image := make([]byte, chunkSize)
		if len(in) > 0 && in[0] == differences {
			image = slices.Clone(base)
			for in = in[1:]; len(in) >= 4; in = in[4:] {
				image[(int(in[0])<<16|int(in[1])<<8|int(in[2]))%len(image)] = in[3]
			}
		} else {
			image = slices.Grow(image, len(in))[:max(chunkSize, (len(in)+chunkSize-1)/chunkSize*chunkSize)]
			copy(image, in)
		}
		tables, err := decodeImage(image, nameOf)
		if err != nil {
			return
		}
		// What can be read must be what would be written.
		again, err := encodeImage(tables, numberOf)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := decodeImage(again, nameOf)
		if err != nil || Hash(back) != Hash(tables) || back.Epoch != tables.Epoch {
			t.Fatalf("what was read comes back otherwise: %v", err)
		}
	})
}

const differences = 'd'

func difference(at int, to byte) []byte {
	return append([]byte{differences}, byte(at>>16), byte(at>>8), byte(at), to)
}

// The seeds are committed, so that a plain test run reads them too.
func TestSeedsOfTheDecoder(t *testing.T) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzDecodeImage/*")
	if err != nil || len(seeds) < 10 {
		t.Errorf("%d seeds in testdata (%v)", len(seeds), err)
	}
	for _, s := range seeds {
		b, err := os.ReadFile(s)
		if err != nil || !bytes.HasPrefix(b, []byte("go test fuzz v1\n")) {
			t.Errorf("%s is no seed: %v", s, err)
		}
	}
}
