package packet

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// part is one table on its way into the image.
type part struct {
	count, entries, seed uint32
	bytes                []byte
}

// encodeImage makes the bytes of t, whole chunks. deviceOf gives the number of a device by its name; t is canonical and
// checked.
func encodeImage(t Tables, deviceOf func(string) (uint16, bool)) ([]byte, error) {
	image := make([]byte, chunkSize)
	le.PutUint32(image[headMagic:], imageMagic)
	le.PutUint32(image[headVersion:], imageVersion)
	le.PutUint32(image[headEpoch:], t.Epoch)
	vlans, err := encodeSegments(image, t, deviceOf)
	if err != nil {
		return nil, err
	}
	encodeWindows(image, t.Windows)
	copy(image[headDSCP:headDevices], t.DSCP[:])
	parts := [tableCount]part{
		tableVLANs: vlans,
		tablePorts: encodePorts(image, t.Ports),
		tableRules: encodeRules(t.Rules),
		tableNotes: encodeNotes(t),
	}
	var errs [tableCount]error
	var wg sync.WaitGroup
	for table, part := range map[imageTable]func() (part, error){
		tableHosts4:   func() (part, error) { return encodeHosts(t.Hosts, true) },
		tableHosts6:   func() (part, error) { return encodeHosts(t.Hosts, false) },
		tableCells:    func() (part, error) { return encodeCells(t.Cells) },
		tableNodes:    func() (part, error) { return encodeNodes(t.Prefixes) },
		tablePrefixes: func() (part, error) { return encodePrefixes(t.Prefixes), nil },
		tableClasses:  func() (part, error) { return encodeClasses(t.Classes, deviceOf) },
		tableStations: func() (part, error) { return encodeStations(stationsOf(t)) },
	} {
		wg.Go(func() { parts[table], errs[table] = part() })
	}
	wg.Wait()
	for table, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", imageTables[table].name, err)
		}
	}
	first := uint64(1)
	for i, p := range parts {
		at := image[headTables+16*i:]
		le.PutUint32(at[0:], uint32(first))
		le.PutUint32(at[4:], p.count)
		le.PutUint32(at[8:], p.entries)
		le.PutUint32(at[12:], p.seed)
		first += imageTable(i).chunks(p.count)
	}
	if first > imageChunks {
		return nil, fmt.Errorf("its tables need %d KiB, an image has at most %d; name fewer hosts, prefixes or records, or join them into groups", first*chunkSize>>10, imageChunks*chunkSize>>10)
	}
	le.PutUint32(image[headChunks:], uint32(first))
	whole := make([]byte, first*chunkSize)
	copy(whole, image)
	for i, p := range parts {
		at := le.Uint32(image[headTables+16*i:])
		copy(whole[uint64(at)*chunkSize:], p.bytes)
	}
	return whole, nil
}

// encodeSegments writes the segments into the head, and the way from devices and tags to them.
func encodeSegments(head []byte, t Tables, deviceOf func(string) (uint16, bool)) (part, error) {
	p := part{}
	block := func() (uint16, error) {
		if p.count == 0 {
			p.count = 1 // block 0 is not used
		}
		if p.count == vlanBlocks {
			return 0, fmt.Errorf("the segments need more than %d blocks of VLANs", vlanBlocks-1)
		}
		p.count++
		p.bytes = append(p.bytes, make([]byte, int(p.count)*2*vlanBlock-len(p.bytes))...)
		return uint16(p.count - 1), nil
	}
	entry := func(block, vid uint16) []byte { return p.bytes[(int(block)*vlanBlock+int(vid))*2:] }
	groups := groupsOf(t)
	for _, s := range t.Segments {
		device, ok := deviceOf(s.Port)
		if !ok {
			return p, fmt.Errorf("segment %s: device %q is not in the anchors", s.Name, s.Port)
		}
		v := head[headSegments+segmentSize*int(s.ID):]
		le.PutUint16(v[0:], device)
		le.PutUint16(v[2:], s.VLAN)
		le.PutUint16(v[4:], s.Outer)
		v[6] = byte(s.Zone)
		v[7] = flag(s.Strict)
		v[8] = flag(s.Tunnel)
		v[9] = flag(s.Multicast)
		v[10] = flag(s.Routers)
		v[11] = flag(s.DHCPServers)
		putGroups(v[12:], groups[s.ID])
		v[20] = flag(s.TrustDSCP)
		limits := head[headLimits+limitsSize*int(s.ID):]
		le.PutUint32(limits[0:], s.Limits.Flows)
		le.PutUint32(limits[4:], s.Limits.Rate)
		le.PutUint32(limits[8:], s.Limits.StationFlows)
		le.PutUint32(limits[12:], s.Limits.StationRate)
		if s.Tunnel {
			continue
		}
		port := head[headDevices+4*int(device):]
		if s.VLAN == 0 {
			le.PutUint16(port[0:], s.ID)
			continue
		}
		vlans := le.Uint16(port[2:])
		if vlans == 0 {
			var err error
			if vlans, err = block(); err != nil {
				return p, err
			}
			le.PutUint16(port[2:], vlans)
		}
		outer, inner := s.VLAN, uint16(0)
		if s.Outer != 0 {
			outer, inner = s.Outer, s.VLAN
		}
		now := le.Uint16(entry(vlans, outer))
		if now&vlanInner == 0 {
			if s.Outer == 0 {
				le.PutUint16(entry(vlans, outer), s.ID)
				continue
			}
			second, err := block()
			if err != nil {
				return p, err
			}
			le.PutUint16(entry(second, 0), now)
			now = vlanInner | second
			le.PutUint16(entry(vlans, outer), now)
		}
		le.PutUint16(entry(now&^vlanInner, inner), s.ID)
	}
	p.entries = max(p.count, 1) - 1
	return p, nil
}

// putGroups writes what multicast and broadcast mean in a segment.
func putGroups(b []byte, g groups) {
	le.PutUint16(b[0:], g.class4)
	le.PutUint16(b[2:], g.class6)
	if g.broadcast.IsValid() {
		copy(b[4:8], g.broadcast.AsSlice())
	}
}

func encodeWindows(head []byte, in []Window) {
	for _, w := range in {
		at := head[headWindows+windowSize*int(w.ID):]
		for i, s := range w.Spans {
			le.PutUint16(at[4*i:], s.From)
			le.PutUint16(at[4*i+2:], s.To)
		}
	}
}

// putBinding writes what is known of an address.
func putBinding(b []byte, class, segment uint16, mac MAC) {
	le.PutUint16(b[0:], class)
	le.PutUint16(b[2:], segment)
	copy(b[4:10], mac[:])
}

// cuckoo makes a table of n entries: hashed as in place, put writes entry i.
func cuckoo(table imageTable, n int, hashed func(i int, seed uint32) uint64, put func(b []byte, i int)) (part, error) {
	ways := imageTables[table].ways
	slots, buckets, seed, err := place(n, ways, hashed)
	if err != nil {
		return part{}, err
	}
	p := part{count: buckets, entries: uint32(n), seed: seed, bytes: make([]byte, int(buckets)*bucketSize)}
	size := bucketSize / ways
	return p, inParts(len(slots), func(from, to int) error {
		for at := from; at < to; at++ {
			if s := slots[at]; s != 0 {
				put(p.bytes[at*size:(at+1)*size], int(s-1))
			}
		}
		return nil
	})
}

func encodeHosts(all []Host, four bool) (part, error) {
	var in []Host
	for _, h := range all {
		if h.Addr.Is4() == four {
			in = append(in, h)
		}
	}
	if four {
		return cuckoo(tableHosts4, len(in), func(i int, seed uint32) uint64 { return hashHost4(in[i].Addr.As4(), seed) }, func(b []byte, i int) {
			a := in[i].Addr.As4()
			copy(b, a[:])
			putBinding(b[4:], in[i].Class, in[i].Segment, in[i].MAC)
		})
	}
	return cuckoo(tableHosts6, len(in), func(i int, seed uint32) uint64 { return hashHost6(in[i].Addr.As16(), seed) }, func(b []byte, i int) {
		a := in[i].Addr.As16()
		copy(b, a[:])
		putBinding(b[16:], in[i].Class, in[i].Segment, in[i].MAC)
	})
}

func encodeCells(in []Cell) (part, error) {
	return cuckoo(tableCells, len(in), func(i int, seed uint32) uint64 {
		return hashCell(cellKey(in[i].Src, in[i].Dst, in[i].Port), seed)
	}, func(b []byte, i int) {
		le.PutUint64(b[0:], cellKey(in[i].Src, in[i].Dst, in[i].Port)|uint64(in[i].BWClass)<<48)
		le.PutUint32(b[8:], in[i].Rule)
	})
}

func encodeStations(keys []uint64) (part, error) {
	return cuckoo(tableStations, len(keys), func(i int, seed uint32) uint64 { return hashStation(keys[i], seed) },
		func(b []byte, i int) { le.PutUint64(b, keys[i]) })
}

// stationsOf derives which MACs are registered in which segment, in order.
func stationsOf(t Tables) []uint64 {
	set := map[uint64]bool{}
	for _, h := range t.Hosts {
		if !h.MAC.IsZero() {
			set[stationKey(h.Segment, h.MAC)] = true
		}
	}
	for _, p := range t.Prefixes {
		if !p.MAC.IsZero() {
			set[stationKey(p.Segment, p.MAC)] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func encodeNodes(in []Prefix) (part, error) {
	nodes, err := plantTrie(in)
	if err != nil {
		return part{}, err
	}
	p := part{count: uint32(len(nodes) / nodeFan), bytes: make([]byte, 4*len(nodes))}
	p.entries = p.count
	for i, v := range nodes {
		le.PutUint32(p.bytes[4*i:], v)
	}
	return p, nil
}

func encodePrefixes(in []Prefix) part {
	p := part{count: uint32(len(in) + 1), entries: uint32(len(in)), bytes: make([]byte, 32*(len(in)+1))}
	for i, q := range in {
		b := p.bytes[32*(i+1):]
		if q.Prefix.Addr().Is4() {
			a := q.Prefix.Addr().As4()
			copy(b[12:], a[:])
			b[29] = 4
		} else {
			a := q.Prefix.Addr().As16()
			copy(b, a[:])
			b[29] = 6
		}
		putBinding(b[16:], q.Class, q.Segment, q.MAC)
		b[28] = byte(q.Prefix.Bits())
	}
	return p
}

// encodePorts makes the dense table of ports; those of few numbers lie in the head.
func encodePorts(head []byte, in []PortRange) part {
	p := part{count: portsSize, bytes: make([]byte, 2*portsSize)}
	for _, r := range in {
		table, base := p.bytes, 0
		switch r.Proto {
		case protoTCP:
		case protoUDP:
			base = portsUDP
		case protoSCTP:
			base = portsSCTP
		case protoICMP:
			table, base = head[headSmall:], smallICMP
		case protoICMP6:
			table, base = head[headSmall:], smallICMP6
		default:
			table, base = head[headSmall:], smallOther+int(r.Proto)
		}
		for n := base + int(r.Lo); n <= base+int(r.Hi); n++ {
			le.PutUint16(table[2*n:], r.Class)
		}
		if base < smallSize && r.Proto != protoTCP {
			continue
		}
		p.entries += uint32(r.Hi) - uint32(r.Lo) + 1
	}
	return p
}

func encodeClasses(in []Class, deviceOf func(string) (uint16, bool)) (part, error) {
	p := part{entries: uint32(len(in))}
	if len(in) > 0 {
		p.count = uint32(in[len(in)-1].ID) + 1
	}
	p.bytes = make([]byte, 64*int(p.count))
	for _, c := range in {
		device, ok := deviceOf(c.Port)
		if !ok && (c.Port != "" || c.Kind != KindLocal) {
			return p, fmt.Errorf("class %d: device %q is not in the anchors", c.ID, c.Port)
		}
		b := p.bytes[64*int(c.ID):]
		le.PutUint16(b[0:], c.Segment)
		b[2] = byte(c.Kind)
		b[3] = flag(c.OnLink)
		le.PutUint16(b[4:], device)
		le.PutUint16(b[6:], c.VLAN)
		le.PutUint16(b[8:], c.Outer)
		for _, via := range c.Via {
			a, at := via.As16(), 32
			if via.Is4() {
				at = 16
			}
			copy(b[at:], a[:])
		}
	}
	return p, nil
}

func encodeRules(in []Rule) part {
	p := part{entries: uint32(len(in))}
	if len(in) > 0 {
		p.count = in[len(in)-1].ID + 1
	}
	p.bytes = make([]byte, 16*int(p.count))
	for _, r := range in {
		b := p.bytes[16*int(r.ID):]
		le.PutUint32(b[0:], uint32(r.From))
		le.PutUint32(b[4:], uint32(r.Until))
		b[8] = r.Window
		b[9] = 1
		le.PutUint32(b[12:], r.Next)
	}
	return p
}

// encodeNotes makes what is only for people: the revision, the names of the segments and the records of the rules, each
// string behind its length, in the order of the tables.
func encodeNotes(t Tables) part {
	b := note(nil, t.Revision)
	for _, s := range t.Segments {
		b = note(b, s.Name)
	}
	for _, r := range t.Rules {
		b = le.AppendUint32(b, uint32(len(r.Records)))
		for _, record := range r.Records {
			b = note(b, record)
		}
	}
	return part{count: uint32(len(b)), entries: uint32(len(b)), bytes: b}
}

func note(b []byte, s string) []byte {
	return append(le.AppendUint32(b, uint32(len(s))), s...)
}
