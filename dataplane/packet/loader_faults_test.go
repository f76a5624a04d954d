package packet

import (
	"slices"
	"testing"
)

// slip is a mistake that the loader could make when it writes tables into an image: a field written wrongly (bytes), or whole
// entries written as if other tables had been sent, with all that hangs together in an image in agreement (tables).
type slip struct {
	kind   string
	bytes  func(b []byte)
	tables func(t *Tables)
}

// field changes a byte of the first entry in use of a table.
func field(i imageTable, size, at int) func([]byte) {
	return func(b []byte) { b[firstEntry(b, i, size)+at] ^= 1 }
}

// inSegment changes a byte of a segment in the head.
func inSegment(id, at int) func([]byte) {
	return func(b []byte) { b[headSegments+segmentSize*id+at] ^= 1 }
}

// cellNamed is where a cell lies.
func cellNamed(b []byte, rule uint32) int {
	at, count := table(b, tableCells)
	for n := range int(count) * 4 {
		if e := b[at+16*n:][:16]; !zero(e) && le.Uint32(e[8:]) == rule {
			return at + 16*n
		}
	}
	panic("no such cell")
}

var slips = []slip{
	{kind: "segment: port", bytes: inSegment(1, 0)},
	{kind: "segment: VLAN", bytes: inSegment(5, 2)},
	{kind: "segment: service VLAN", bytes: inSegment(3, 4)},
	{kind: "segment: zone", bytes: inSegment(1, 6)},
	{kind: "segment: strict", bytes: inSegment(1, 7)},
	{kind: "segment: tunnel", bytes: inSegment(1, 8)},
	{kind: "segment: groups let in", bytes: inSegment(1, 9)},
	{kind: "segment: router advertisements let in", bytes: inSegment(1, 10)},
	{kind: "segment: DHCP servers let in", bytes: inSegment(1, 11)},
	{kind: "segment: class that groups stand for", bytes: inSegment(5, 12)},
	{kind: "segment: limit of flows", bytes: func(b []byte) { b[headLimits+limitsSize*1] ^= 1 }},
	{kind: "segment: limit of a station's rate", bytes: func(b []byte) { b[headLimits+limitsSize*1+12] ^= 1 }},
	{kind: "segment: at another one's VLAN", bytes: func(b []byte) { le.PutUint16(b[headDevices+4:], 5) }},
	{kind: "segments: two written for each other", tables: func(t *Tables) {
		t.Segments[0].Zone, t.Segments[1].Zone = t.Segments[1].Zone, t.Segments[0].Zone
		t.Segments[0].Strict = !t.Segments[0].Strict
	}},

	{kind: "host, IPv4: address", bytes: field(tableHosts4, 16, 0)},
	{kind: "host, IPv4: class", bytes: field(tableHosts4, 16, 4)},
	{kind: "host, IPv4: segment", bytes: field(tableHosts4, 16, 6)},
	{kind: "host, IPv4: MAC", bytes: field(tableHosts4, 16, 9)},
	{kind: "host, IPv6: address", bytes: field(tableHosts6, 32, 15)},
	{kind: "host, IPv6: class", bytes: field(tableHosts6, 32, 16)},
	{kind: "host, IPv6: MAC", bytes: field(tableHosts6, 32, 21)},
	{kind: "host: in no bucket that is looked into", bytes: func(b []byte) {
		e := firstEntry(b, tableHosts4, 16)
		one := slices.Clone(b[e : e+16])
		clear(b[e : e+16])
		to := free(b, tableHosts4, func(uint32) bool { return true })
		for to == e {
			to = free(b, tableHosts4, func(n uint32) bool { return n > 0 })
		}
		copy(b[to:], one)
		copy(b[to:], []byte{9, 9, 9, 9})
	}},
	{kind: "host forgotten", tables: func(t *Tables) { t.Hosts = t.Hosts[1:] }},
	{kind: "host with the next one's MAC", tables: func(t *Tables) { t.Hosts[9].MAC, t.Hosts[10].MAC = t.Hosts[10].MAC, t.Hosts[9].MAC }},
	{kind: "station: MAC that nobody has", bytes: field(tableStations, 8, 7)},

	{kind: "prefix: address", bytes: field(tablePrefixes, 32, 13)},
	{kind: "prefix: class", bytes: field(tablePrefixes, 32, 16)},
	{kind: "prefix: segment", bytes: field(tablePrefixes, 32, 18)},
	{kind: "prefix: MAC", bytes: field(tablePrefixes, 32, 24)},
	{kind: "prefix: length", bytes: field(tablePrefixes, 32, 28)},
	{kind: "prefix: IP version", bytes: field(tablePrefixes, 32, 29)},
	{kind: "prefix: the way to it leads to another", bytes: field(tableNodes, 4, 0)},
	{kind: "prefix forgotten", tables: func(t *Tables) { t.Prefixes = t.Prefixes[:len(t.Prefixes)-1] }},
	{kind: "prefixes: a shorter one for a longer", tables: func(t *Tables) {
		t.Prefixes[0].Class, t.Prefixes[1].Class = t.Prefixes[1].Class, t.Prefixes[0].Class
		t.Prefixes[0].Segment, t.Prefixes[1].Segment = t.Prefixes[1].Segment, t.Prefixes[0].Segment
	}},

	{kind: "port class", bytes: field(tablePorts, 2, 0)},
	{kind: "port range: one more", bytes: func(b []byte) {
		at, _ := table(b, tablePorts)
		copy(b[at+2*446:], b[at+2*445:at+2*446])
	}},
	{kind: "port range: one less", bytes: func(b []byte) { at, _ := table(b, tablePorts); clear(b[at+2*445 : at+2*446]) }},
	{kind: "port range: one more, and counted", tables: func(t *Tables) {
		for i := range t.Ports {
			if t.Ports[i].Hi == 445 {
				t.Ports[i].Hi = 446
			}
		}
	}},
	{kind: "ports of UDP as those of TCP", tables: func(t *Tables) {
		for i := range t.Ports {
			if t.Ports[i].Proto == protoTCP && t.Ports[i].Lo == 443 {
				t.Ports[i].Class = 4
			}
		}
	}},
	{kind: "ICMP type", bytes: func(b []byte) { b[headSmall+2*(smallICMP+8)] ^= 1 }},
	{kind: "protocol without ports", bytes: func(b []byte) { b[headSmall+2*(smallOther+47)] ^= 1 }},

	{kind: "class: segment", bytes: field(tableClasses, 64, 0)},
	{kind: "class: forwarded, tunnel, or the gate's own", bytes: func(b []byte) { b[firstEntry(b, tableClasses, 64)+2] = 3 }},
	{kind: "class: on link", bytes: field(tableClasses, 64, 3)},
	{kind: "class: port", bytes: field(tableClasses, 64, 4)},
	{kind: "class: VLAN", bytes: field(tableClasses, 64, 6)},
	{kind: "class: service VLAN", bytes: field(tableClasses, 64, 8)},
	{kind: "class: next hop, IPv4", bytes: func(b []byte) { at, _ := table(b, tableClasses); b[at+64*2+31] ^= 1 }},
	{kind: "class: next hop, IPv6", bytes: func(b []byte) { at, _ := table(b, tableClasses); b[at+64*3+47] ^= 1 }},
	{kind: "class: next hop forgotten", tables: func(t *Tables) { t.Classes[1].Via = nil }},

	{kind: "cell: source", bytes: field(tableCells, 16, 0)},
	{kind: "cell: destination", bytes: field(tableCells, 16, 2)},
	{kind: "cell: port class", bytes: field(tableCells, 16, 4)},
	{kind: "cell: bandwidth class", bytes: field(tableCells, 16, 6)},
	{kind: "cell: rule that is there", bytes: func(b []byte) { le.PutUint32(b[cellNamed(b, 1)+8:], 2) }},
	{kind: "cell: rule that is not", bytes: func(b []byte) { le.PutUint32(b[cellNamed(b, 1)+8:], 5) }},
	{kind: "cell forgotten", tables: func(t *Tables) { t.Cells = t.Cells[1:] }},
	{kind: "cell too many", tables: func(t *Tables) { t.Cells = append(t.Cells, Cell{Src: 3, Dst: 2, Port: 65535, Rule: 1}) }},
	{kind: "cell: source and destination exchanged", tables: func(t *Tables) { t.Cells[1].Src, t.Cells[1].Dst = t.Cells[1].Dst, t.Cells[1].Src }},

	{kind: "rule: first minute", bytes: func(b []byte) { at, _ := table(b, tableRules); b[at+16*1] ^= 1 }},
	{kind: "rule: end", bytes: func(b []byte) { at, _ := table(b, tableRules); b[at+16*1+4] ^= 1 }},
	{kind: "rule: end forgotten", bytes: func(b []byte) { at, _ := table(b, tableRules); le.PutUint32(b[at+16*1+4:], 0) }},
	{kind: "rule: window", bytes: func(b []byte) { at, _ := table(b, tableRules); b[at+16*1+8] = 255 }},
	{kind: "rule: window forgotten", bytes: func(b []byte) { at, _ := table(b, tableRules); b[at+16*1+8] = 0 }},
	{kind: "rule: next of the chain", bytes: func(b []byte) { at, _ := table(b, tableRules); le.PutUint32(b[at+16*1+12:], 3) }},
	{kind: "rule: record's name", bytes: func(b []byte) {
		at, count := table(b, tableNotes)
		i := slices.Index(b[at:at+int(count)], 'f') // of "first"
		b[at+i] = 'g'
	}},
	{kind: "window: beginning", bytes: func(b []byte) { b[headWindows+windowSize*1+4] ^= 4 }},
	{kind: "window: end", bytes: func(b []byte) { b[headWindows+windowSize*1+6] ^= 1 }},
	{kind: "window: a span forgotten", bytes: func(b []byte) { clear(b[headWindows+windowSize*1+4:][:4]) }},
	{kind: "windows: one for another", tables: func(t *Tables) { t.Windows[0].Spans, t.Windows[1].Spans = t.Windows[1].Spans, t.Windows[0].Spans }},
	{kind: "epoch 0", bytes: func(b []byte) { le.PutUint32(b[headEpoch:], 0) }},
	{kind: "number of entries", bytes: func(b []byte) { add32(b[headTables+16*int(tableCells)+8:], 1) }},
	{kind: "seed", bytes: func(b []byte) { add32(b[headTables+16*int(tableCells)+12:], 1) }},
}

// Whatever the loader writes wrongly either cannot be read back, or is not what was sent: the gate compares the two hashes before
// it swaps (gate.Stage). The list is printed with -v.
func TestEverySlipOfTheLoaderIsCaught(t *testing.T) {
	sent := everything()
	want, good := Hash(sent), mustEncode(t, sent)
	for _, s := range slips {
		image := slices.Clone(good)
		if s.bytes != nil {
			s.bytes(image)
		} else {
			other := everything()
			s.tables(&other)
			image = mustEncode(t, Canonical(other))
		}
		if slices.Equal(image, good) {
			t.Errorf("%s: the image is as before", s.kind)
			continue
		}
		got, err := decodeImage(image, nameOf)
		switch {
		case err != nil:
			t.Logf("%-46s not read: %v", s.kind, err)
		case Hash(got) != want:
			t.Logf("%-46s read, and not what was sent", s.kind)
		default:
			t.Errorf("%s: read as what was sent", s.kind)
		}
	}
}
