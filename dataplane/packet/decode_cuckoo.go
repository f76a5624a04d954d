package packet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// walk visits every entry in use of a cuckoo table. The programs look at the two buckets that the hash of a key names and
// take what they find first; so an entry must lie in one of them, and no other entry with its key in either. The first is seen
// here. The second shows when the keys are in order, and spares a look at each entry's other bucket, which lies anywhere: equal
// keys have the same two buckets, so none may be there twice at all. check sees to that, for stations the comparison with their
// list. used and hash say what the programs look at, bare that the rest of an entry is empty.
func (r *reader) walk(i imageTable, used, bare func(e []byte) bool, hash func(e []byte, seed uint32) uint64, take func(e []byte)) error {
	table, ways := &r.tables[i], imageTables[i].ways
	size := bucketSize / ways
	entry := func(at int, e []byte) error {
		h := hash(e, table.seed)
		bucket, first, second := uint32(at/bucketSize), bucketOf(uint32(h), table.count), bucketOf(uint32(h>>32), table.count)
		if bucket != first && bucket != second {
			return fmt.Errorf("the entry at byte %d lies in bucket %d, but is sought in %d and %d", at, bucket, first, second)
		}
		if !bare(e) {
			return fmt.Errorf("the entry at byte %d has bytes where it should have none", at)
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

// cells come in order.
func (r *reader) cells() ([]Cell, error) {
	const key = 1<<48 - 1
	cells := make([]Cell, 0, min(r.tables[tableCells].entries, 1<<22))
	err := r.walk(tableCells,
		func(e []byte) bool { return le.Uint16(e) != 0 },
		func(e []byte) bool { return e[7] == 0 && zero(e[12:16]) },
		func(e []byte, seed uint32) uint64 { return hashCell(le.Uint64(e)&key, seed) },
		func(e []byte) {
			cells = append(cells, Cell{
				Src: le.Uint16(e[0:]), Dst: le.Uint16(e[2:]), Port: le.Uint16(e[4:]), BWClass: e[6], Rule: le.Uint32(e[8:]),
			})
		})
	if err != nil {
		return nil, fmt.Errorf("cells: %w", err)
	}
	return sortedCells(cells), nil
}

// stations compares the registered MACs with the hosts and prefixes that they are derived from.
func (r *reader) stations(t *Tables) error {
	var got []uint64
	err := r.walk(tableStations,
		func(e []byte) bool { return le.Uint64(e) != 0 },
		func([]byte) bool { return true },
		func(e []byte, seed uint32) uint64 { return hashStation(le.Uint64(e), seed) },
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
