package packet

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// decodeImage reads an image back. It does not trust who made it: it reads as the programs do, and refuses whatever they
// could read in two ways, whatever they would never find, and every byte that has no meaning. What it returns is what the
// proof sees, so it must be what the programs decide by. Any bytes give tables or an error. nameOf gives the name of a
// device by its number, "" when there is none.
func decodeImage(image []byte, nameOf func(uint16) string) (Tables, error) {
	r, err := openImage(image)
	if err != nil {
		return Tables{}, fmt.Errorf("read the image: %w", err)
	}
	t := Tables{Epoch: r.word(headEpoch)}
	cells := make(chan error, 1)
	var largest []Cell
	go func() { // beside all others together
		var err error
		largest, err = r.cells()
		cells <- err
	}()
	if err := errors.Join(r.others(&t, nameOf), <-cells); err != nil {
		return Tables{}, fmt.Errorf("read the image: %w", err)
	}
	t.Cells = largest
	if err := check(t); err != nil {
		return Tables{}, fmt.Errorf("read the image: %w", err)
	}
	return t, nil
}

// others reads all tables but the cells, and puts them in order.
func (r *reader) others(t *Tables, nameOf func(uint16) string) error {
	steps := []struct {
		name string
		read func(*Tables) error
	}{
		{"segments", func(t *Tables) error { return r.segments(t, nameOf) }},
		{"vlans", r.vlans},
		{"windows", r.windows},
		{"hosts", r.hosts},
		{"prefixes", r.prefixes},
		{"nodes", r.nodes},
		{"ports", r.ports},
		{"classes", func(t *Tables) error { return r.classes(t, nameOf) }},
		{"rules", r.rules},
		{"notes", r.notes},
		{"stations", r.stations},
		{"groups", r.groups},
	}
	for _, s := range steps {
		if err := s.read(t); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	*t = Ordered(*t)
	return nil
}

// reader is an image whose tables lie where its head says, one behind the other and within its length.
type reader struct {
	image  []byte
	tables [tableCount]struct {
		count, entries, seed uint32
		bytes                []byte // count entries
	}
}

func (r *reader) word(at int) uint32 { return le.Uint32(r.image[at:]) }

var nothing [1 << 12]byte

func zero(b []byte) bool {
	for len(b) > len(nothing) {
		if !bytes.Equal(b[:len(nothing)], nothing[:]) {
			return false
		}
		b = b[len(nothing):]
	}
	return bytes.Equal(b, nothing[:len(b)])
}

func openImage(image []byte) (*reader, error) {
	if len(image) < chunkSize || len(image)%chunkSize != 0 {
		return nil, fmt.Errorf("%d bytes are not whole chunks of %d", len(image), chunkSize)
	}
	r := &reader{image: image}
	chunks := uint64(len(image) / chunkSize)
	switch {
	case r.word(headMagic) != imageMagic:
		return nil, fmt.Errorf("magic %#x, want %#x", r.word(headMagic), imageMagic)
	case r.word(headVersion) != imageVersion:
		return nil, fmt.Errorf("version %d, want %d", r.word(headVersion), imageVersion)
	case uint64(r.word(headChunks)) != chunks:
		return nil, fmt.Errorf("the head counts %d chunks, there are %d", r.word(headChunks), chunks)
	case r.word(headEpoch) == 0:
		return nil, errors.New("epoch 0")
	case !zero(image[headEnd:chunkSize]):
		return nil, errors.New("the head has bytes where it should have none")
	}
	next := uint64(1)
	for i := range r.tables {
		t, about := &r.tables[i], imageTables[i]
		at := headTables + 16*i
		first := uint64(r.word(at))
		t.count, t.entries, t.seed = r.word(at+4), r.word(at+8), r.word(at+12)
		length := uint64(t.count) * uint64(about.size)
		if first != next || next+imageTable(i).chunks(t.count) > chunks {
			return nil, fmt.Errorf("table %s of %d entries lies in chunk %d of %d, want %d", about.name, t.count, first, chunks, next)
		}
		next += imageTable(i).chunks(t.count)
		t.bytes = image[first*chunkSize:][:length:length]
		if !zero(image[first*chunkSize+length : next*chunkSize]) {
			return nil, fmt.Errorf("table %s: there is something behind its end", about.name)
		}
		if about.ways == 0 && t.seed != 0 || about.ways != 0 && t.count == 0 {
			return nil, fmt.Errorf("table %s: %d entries with seed %d", about.name, t.count, t.seed)
		}
	}
	if next != chunks {
		return nil, fmt.Errorf("the tables end in chunk %d, the image has %d", next, chunks)
	}
	return r, nil
}

// truth reads bytes that may only be 0 or 1.
func truth(b []byte, out ...*bool) error {
	for i, o := range out {
		if b[i] > 1 {
			return fmt.Errorf("%d is neither true nor false", b[i])
		}
		*o = b[i] == 1
	}
	return nil
}

func (r *reader) segments(t *Tables, nameOf func(uint16) string) error {
	copy(t.DSCP[:], r.image[headDSCP:headDevices])
	if err := checkCodePoints(t.DSCP); err != nil {
		return err
	}
	for id := range maxSegments {
		b := r.image[headSegments+segmentSize*id:][:segmentSize]
		limits := r.image[headLimits+limitsSize*id:][:limitsSize]
		device := le.Uint16(b[0:])
		if device == 0 {
			if !zero(b) || !zero(limits) {
				return fmt.Errorf("segment %d is not used, but not empty", id)
			}
			continue
		}
		s := Segment{
			ID: uint16(id), Zone: anchors.Zone(b[6]), Port: nameOf(device), VLAN: le.Uint16(b[2:]), Outer: le.Uint16(b[4:]),
			Limits: Limits{Flows: le.Uint32(limits[0:]), Rate: le.Uint32(limits[4:]), StationFlows: le.Uint32(limits[8:]), StationRate: le.Uint32(limits[12:])},
		}
		if err := truth(b[7:], &s.Strict, &s.Tunnel, &s.Multicast, &s.Routers, &s.DHCPServers); err != nil {
			return fmt.Errorf("segment %d: %w", id, err)
		}
		if err := truth(b[20:], &s.TrustDSCP); err != nil {
			return fmt.Errorf("segment %d: %w", id, err)
		}
		if s.Port == "" || !zero(b[21:]) {
			return fmt.Errorf("segment %d: nobody knows device %d, or there are bytes where there should be none", id, device)
		}
		t.Segments = append(t.Segments, s)
	}
	return nil
}

// vlans follows every way from a device and its tags, and compares it with the segment at its end. Each block is on one way.
func (r *reader) vlans(t *Tables) error {
	type place struct{ device, outer, vlan uint16 }
	want := map[place]uint16{}
	for _, s := range t.Segments {
		if !s.Tunnel {
			device := le.Uint16(r.image[headSegments+segmentSize*int(s.ID):])
			if other, twice := want[place{device, s.Outer, s.VLAN}]; twice {
				return fmt.Errorf("segments %d and %d hang on the same device and VLAN", other, s.ID)
			}
			want[place{device, s.Outer, s.VLAN}] = s.ID
		}
	}
	table := &r.tables[tableVLANs]
	used := make([]bool, table.count)
	block := func(n uint16) ([]byte, error) {
		if n == 0 || uint32(n) >= table.count || used[n] {
			return nil, fmt.Errorf("block %d of %d: not there, or on two ways", n, table.count)
		}
		used[n] = true
		return table.bytes[2*vlanBlock*int(n):][:2*vlanBlock], nil
	}
	ends := func(p place, segment uint16) error {
		if segment == 0 {
			return nil
		}
		if want[p] != segment {
			return fmt.Errorf("device %d, tags %d and %d: lead to segment %d, want %d", p.device, p.outer, p.vlan, segment, want[p])
		}
		delete(want, p)
		return nil
	}
	for device := range uint16(maxDevices) {
		at := r.image[headDevices+4*int(device):]
		if err := ends(place{device, 0, 0}, le.Uint16(at[0:])); err != nil {
			return err
		}
		if le.Uint16(at[2:]) == 0 {
			continue
		}
		first, err := block(le.Uint16(at[2:]))
		if err != nil {
			return err
		}
		for vid := range uint16(vlanBlock) {
			value := le.Uint16(first[2*int(vid):])
			if value&vlanInner == 0 {
				err = ends(place{device, 0, vid}, value)
			} else {
				err = r.inner(block, value&^vlanInner, func(vlan, segment uint16) error {
					if vlan == 0 {
						return ends(place{device, 0, vid}, segment)
					}
					return ends(place{device, vid, vlan}, segment)
				})
			}
			if err != nil {
				return err
			}
			if vid == 0 && value != 0 {
				return fmt.Errorf("device %d: VID 0 leads somewhere", device)
			}
		}
	}
	if len(want) > 0 {
		return fmt.Errorf("%d segments are at the end of no way", len(want))
	}
	if table.count > 0 && (!zero(table.bytes[:2*vlanBlock]) || slices.Contains(used[1:], false)) || uint64(table.entries)+1 != max(uint64(table.count), 1) {
		return fmt.Errorf("%d blocks, %d in use: some are on no way", table.count, table.entries)
	}
	return nil
}

func (r *reader) inner(block func(uint16) ([]byte, error), number uint16, ends func(vlan, segment uint16) error) error {
	second, err := block(number)
	if err != nil {
		return err
	}
	for vid := range uint16(vlanBlock) {
		if err := ends(vid, le.Uint16(second[2*int(vid):])); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) windows(t *Tables) error {
	for id := range maxWindows {
		b := r.image[headWindows+windowSize*id:][:windowSize]
		if zero(b) {
			continue
		}
		w := Window{ID: uint8(id)}
		for len(b) > 0 && !zero(b) {
			w.Spans = append(w.Spans, Span{From: le.Uint16(b[0:]), To: le.Uint16(b[2:])})
			b = b[4:]
		}
		t.Windows = append(t.Windows, w)
	}
	return nil
}

func (r *reader) ports(t *Tables) error {
	table := &r.tables[tablePorts]
	if table.count != portsSize {
		return fmt.Errorf("%d entries, want %d", table.count, portsSize)
	}
	run := func(proto uint8, classes []byte) (used uint32) {
		for n := range len(classes) / 2 {
			class := le.Uint16(classes[2*n:])
			if class == 0 {
				continue
			}
			used++
			if last := len(t.Ports) - 1; last >= 0 && n > 0 && t.Ports[last].Proto == proto && t.Ports[last].Class == class && int(t.Ports[last].Hi) == n-1 {
				t.Ports[last].Hi = uint16(n)
				continue
			}
			t.Ports = append(t.Ports, PortRange{Proto: proto, Lo: uint16(n), Hi: uint16(n), Class: class})
		}
		return used
	}
	used := run(protoTCP, table.bytes[:2*portsUDP]) + run(protoUDP, table.bytes[2*portsUDP:2*portsSCTP]) + run(protoSCTP, table.bytes[2*portsSCTP:])
	if used != table.entries {
		return fmt.Errorf("%d entries are in use, the head says %d", used, table.entries)
	}
	small := r.image[headSmall:headWindows]
	run(protoICMP, small[2*smallICMP:2*smallICMP6])
	run(protoICMP6, small[2*smallICMP6:2*smallOther])
	for proto := range 256 {
		switch proto {
		case protoTCP, protoUDP, protoSCTP, protoICMP, protoICMP6:
			if !zero(small[2*(smallOther+proto):][:2]) {
				return fmt.Errorf("protocol %d has a class as a whole", proto)
			}
		default:
			run(uint8(proto), small[2*(smallOther+proto):][:2])
		}
	}
	return nil
}

func (r *reader) classes(t *Tables, nameOf func(uint16) string) error {
	table := &r.tables[tableClasses]
	if table.count > 1<<16 {
		return fmt.Errorf("%d entries", table.count)
	}
	for id := range int(table.count) {
		b := table.bytes[64*id:][:64]
		if b[2] == 0 {
			if !zero(b) {
				return fmt.Errorf("class %d is not used, but not empty", id)
			}
			continue
		}
		device := le.Uint16(b[4:])
		c := Class{ID: uint16(id), Segment: le.Uint16(b[0:]), Kind: Kind(b[2]), VLAN: le.Uint16(b[6:]), Outer: le.Uint16(b[8:])}
		if err := truth(b[3:], &c.OnLink); err != nil {
			return fmt.Errorf("class %d: %w", id, err)
		}
		if device != 0 || c.Kind != KindLocal {
			if c.Port = nameOf(device); c.Port == "" {
				return fmt.Errorf("class %d: nobody knows device %d", id, device)
			}
		}
		if !zero(b[10:16]) || !zero(b[48:]) {
			return fmt.Errorf("class %d: there are bytes where there should be none", id)
		}
		for family, via := range [2]addrBytes{addrBytes(b[16:32]), addrBytes(b[32:48])} {
			if via == (addrBytes{}) {
				continue
			}
			a := via.goAddr()
			if a.Is4() != (family == 0) {
				return fmt.Errorf("class %d: next hop %s is of the other family", id, a)
			}
			c.Via = append(c.Via, a)
		}
		t.Classes = append(t.Classes, c)
	}
	if uint32(len(t.Classes)) != table.entries {
		return fmt.Errorf("%d entries are in use, the head says %d", len(t.Classes), table.entries)
	}
	if n := len(t.Classes); table.count > 0 && (n == 0 || uint32(t.Classes[n-1].ID) != table.count-1) {
		return fmt.Errorf("the last entry of %d is not used", table.count)
	}
	return nil
}

func (r *reader) rules(t *Tables) error {
	table := &r.tables[tableRules]
	if table.count > maxRule+1 {
		return fmt.Errorf("%d entries", table.count)
	}
	for id := range table.count {
		b := table.bytes[16*id:][:16]
		var used bool
		if err := truth(b[9:], &used); err != nil {
			return fmt.Errorf("rule %d: %w", id, err)
		}
		if !zero(b[10:12]) || !used && !zero(b) {
			return fmt.Errorf("rule %d: there are bytes where there should be none", id)
		}
		if used {
			t.Rules = append(t.Rules, Rule{ID: id, From: int64(le.Uint32(b[0:])), Until: int64(le.Uint32(b[4:])), Window: b[8], Next: le.Uint32(b[12:])})
		}
	}
	if uint32(len(t.Rules)) != table.entries {
		return fmt.Errorf("%d entries are in use, the head says %d", len(t.Rules), table.entries)
	}
	if n := len(t.Rules); table.count > 0 && (n == 0 || t.Rules[n-1].ID != table.count-1) {
		return fmt.Errorf("the last entry of %d is not used", table.count)
	}
	return nil
}

// groups compares what multicast and broadcast mean in a segment with the gate's own entries that it is derived from.
func (r *reader) groups(t *Tables) error {
	derived := groupsOf(*t)
	for _, s := range t.Segments {
		var want [8]byte
		putGroups(want[:], derived[s.ID])
		if got := r.image[headSegments+segmentSize*int(s.ID)+12:][:8]; !bytes.Equal(got, want[:]) {
			return fmt.Errorf("segment %d: %x stand for multicast and broadcast, the gate's own entries say %x", s.ID, got, want)
		}
	}
	return nil
}

// notes gives the numbers their names; segments and rules must have been read.
func (r *reader) notes(t *Tables) error {
	table := &r.tables[tableNotes]
	left := table.bytes
	short := false
	number := func() uint32 {
		if len(left) < 4 {
			short = true
			return 0
		}
		n := le.Uint32(left)
		left = left[4:]
		return n
	}
	text := func() string {
		n := number()
		if uint64(n) > uint64(len(left)) {
			short = true
			return ""
		}
		s := string(left[:n])
		left = left[n:]
		return s
	}
	t.Revision = text()
	for i := range t.Segments {
		t.Segments[i].Name = text()
	}
	for i := range t.Rules {
		t.Rules[i].Records = []string{}
		for n := number(); n > 0 && !short; n-- {
			t.Rules[i].Records = append(t.Rules[i].Records, text())
		}
	}
	if short || len(left) > 0 || table.entries != table.count {
		return fmt.Errorf("the names do not fill their %d bytes", table.count)
	}
	return nil
}
