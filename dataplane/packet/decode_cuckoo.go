package packet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// walk visits every entry in use of a cuckoo table. The programs look at the two buckets that the hash of a key names and
// take what they find first; so an entry must lie in one of them, and no other entry with its key in either. used, hash and
// same say what the programs look at, bare that the rest of an entry is empty.
func (r *reader) walk(i imageTable, used, bare func(e []byte) bool, hash func(e []byte, seed uint32) uint64, same func(a, b []byte) bool, take func(e []byte)) error {
	table, ways := &r.tables[i], imageTables[i].ways
	size := bucketSize / ways
	found := func(key []byte, bucket uint32) (n int) {
		b := table.bytes[int(bucket)*bucketSize:][:bucketSize]
		for ; len(b) > 0; b = b[size:] {
			if same(b, key) && used(b) {
				n++
			}
		}
		return n
	}
	entry := func(at int, e []byte) error {
		h := hash(e, table.seed)
		bucket, first, second := uint32(at/bucketSize), bucketOf(uint32(h), table.count), bucketOf(uint32(h>>32), table.count)
		if bucket != first && bucket != second {
			return fmt.Errorf("the entry at byte %d lies in bucket %d, but is sought in %d and %d", at, bucket, first, second)
		}
		times := found(e, first)
		if second != first {
			times += found(e, second)
		}
		if times != 1 || !bare(e) {
			return fmt.Errorf("the entry at byte %d is found %d times, or has bytes where it should have none", at, times)
		}
		return nil
	}
	err := inParts(len(table.bytes)/bucketSize, func(from, to int) error {
		for at := from * bucketSize; at < to*bucketSize; at += size {
			e := table.bytes[at : at+size]
			if used(e) {
				if err := entry(at, e); err != nil {
					return err
				}
			} else if !zero(e) {
				return fmt.Errorf("the unused entry at byte %d is not empty", at)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := uint32(0)
	for at := 0; at < len(table.bytes); at += size {
		if e := table.bytes[at : at+size]; used(e) {
			n++
			take(e)
		}
	}
	if n != table.entries {
		return fmt.Errorf("%d entries are in use, the head says %d", n, table.entries)
	}
	return nil
}

// binding reads what putBinding writes.
func binding(b []byte) (class, segment uint16, mac MAC) {
	return le.Uint16(b[0:]), le.Uint16(b[2:]), MAC(b[4:10])
}

func (r *reader) hosts(t *Tables) error {
	t.Hosts = slices.Grow(t.Hosts, int(min(r.tables[tableHosts4].entries, 1<<20)))
	err := r.walk(tableHosts4,
		func(e []byte) bool { return le.Uint16(e[4:]) != 0 },
		func(e []byte) bool { return zero(e[14:16]) },
		func(e []byte, seed uint32) uint64 { return hashHost4([4]byte(e), seed) },
		func(a, b []byte) bool { return le.Uint32(a) == le.Uint32(b) },
		func(e []byte) {
			h := Host{Addr: netip.AddrFrom4([4]byte(e))}
			h.Class, h.Segment, h.MAC = binding(e[4:])
			t.Hosts = append(t.Hosts, h)
		})
	if err != nil {
		return fmt.Errorf("IPv4: %w", err)
	}
	err = r.walk(tableHosts6,
		func(e []byte) bool { return le.Uint16(e[16:]) != 0 },
		func(e []byte) bool { return zero(e[26:32]) },
		func(e []byte, seed uint32) uint64 { return hashHost6([16]byte(e), seed) },
		func(a, b []byte) bool { return [16]byte(a) == [16]byte(b) },
		func(e []byte) {
			h := Host{Addr: netip.AddrFrom16([16]byte(e))}
			h.Class, h.Segment, h.MAC = binding(e[16:])
			t.Hosts = append(t.Hosts, h)
		})
	if err != nil {
		return fmt.Errorf("IPv6: %w", err)
	}
	return nil
}

func (r *reader) cells(t *Tables) error {
	const key = 1<<48 - 1
	t.Cells = slices.Grow(t.Cells, int(min(r.tables[tableCells].entries, 1<<22)))
	return r.walk(tableCells,
		func(e []byte) bool { return le.Uint16(e) != 0 },
		func(e []byte) bool { return e[7] == 0 && zero(e[12:16]) },
		func(e []byte, seed uint32) uint64 { return hashCell(le.Uint64(e)&key, seed) },
		func(a, b []byte) bool { return (le.Uint64(a)^le.Uint64(b))&key == 0 },
		func(e []byte) {
			t.Cells = append(t.Cells, Cell{
				Src: le.Uint16(e[0:]), Dst: le.Uint16(e[2:]), Port: le.Uint16(e[4:]), BWClass: e[6], Rule: le.Uint32(e[8:]),
			})
		})
}

// stations compares the registered MACs with the hosts and prefixes that they are derived from.
func (r *reader) stations(t *Tables) error {
	var got []uint64
	err := r.walk(tableStations,
		func(e []byte) bool { return le.Uint64(e) != 0 },
		func([]byte) bool { return true },
		func(e []byte, seed uint32) uint64 { return hashStation(le.Uint64(e), seed) },
		func(a, b []byte) bool { return le.Uint64(a) == le.Uint64(b) },
		func(e []byte) { got = append(got, le.Uint64(e)) })
	if err != nil {
		return err
	}
	slices.Sort(got)
	if !slices.Equal(got, stationsOf(*t)) {
		return errors.New("differ from the MACs of hosts and prefixes")
	}
	return nil
}
