package equal

import (
	"fmt"
	"slices"

	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/controlplane/policy/space"
)

// mostNoted bounds the memory for records whose sources wait to be looked up.
var mostNoted = 1 << 20 // less in a test

// rows are what records expect of the cells, before it is looked up. The cells of a source class stand together: whoever looks
// up class by class stays within a few of them.
type rows struct {
	expected []expected // in the order of the records
	targets  []target   // of each expected, one after the other
	noted    []source   // of each expected, one after the other
	sorted   []source   // by class, those of a class in the order of the records
	end      []int32    // by class
}

// expected is a record with its targets.
type expected struct{ record, from, to int32 }

// source is a class that a record opens from.
type source struct {
	expected int32
	class    uint16
}

// target is a class that a record opens to, and the port classes there.
type target struct {
	side
	at *ported
}

// side is a class with the ports that a record names there, as destination.
type side struct {
	class uint16
	ports *reading.Ports
}

// expect looks every product of the document up among the cells, for one IP version.
func (k *checker) expect(f space.Family) {
	var srcs, dsts []side
	for i := range k.d.Permits {
		p := &k.d.Permits[i]
		if srcs = k.sources(srcs[:0], p, f); len(srcs) == 0 {
			continue
		}
		dsts = k.destinations(dsts[:0], p, f)
		x := expected{record: int32(i), from: int32(len(k.targets))}
		for _, d := range dsts {
			k.targets = append(k.targets, target{d, k.portsOf(d.ports, f)})
		}
		x.to = int32(len(k.targets))
		for _, s := range srcs {
			k.noted = append(k.noted, source{int32(len(k.expected)), s.class})
		}
		k.expected = append(k.expected, x)
		if len(k.noted)+len(k.targets) >= mostNoted {
			k.lookUp(f)
		}
	}
	k.lookUp(f)
}

// lookUp goes through what is noted class by class. The records of one cell come in their order, as justify counts on.
func (k *checker) lookUp(f space.Family) {
	if k.end == nil {
		k.end = make([]int32, numbers+1)
	}
	clear(k.end)
	for _, s := range k.noted {
		k.end[int(s.class)+1]++
	}
	for i := 1; i < len(k.end); i++ {
		k.end[i] += k.end[i-1]
	}
	k.sorted = slices.Grow(k.sorted[:0], len(k.noted))[:len(k.noted)]
	for _, s := range k.noted {
		k.sorted[k.end[s.class]] = s
		k.end[s.class]++
	}
	// Two halves at once, as far as all is as expected; what is not is told afterwards, in order.
	half := len(k.sorted) / 2
	for half < len(k.sorted) && half > 0 && k.sorted[half].class == k.sorted[half-1].class {
		half++
	}
	second := make(chan place, 1)
	go func() { second <- k.countOff(f, place{source: half, to: len(k.sorted)}) }()
	first := k.countOff(f, place{to: half})
	for _, at := range []place{first, <-second} {
		for at.source < at.to {
			s := k.sorted[at.source]
			x := &k.expected[s.expected]
			k.product(x.record, f, s.class, &k.targets[x.from+at.target])
			at.target++
			at = k.countOff(f, at)
		}
	}
	k.expected, k.targets, k.noted = k.expected[:0], k.targets[:0], k.noted[:0]
}

// place is how far a part of the sorted sources is done.
type place struct {
	source, to int
	target     int32 // of the source at hand
}

// countOff counts the cells of products off until one is not as expected, and tells where that is. Whoever counts off other
// classes may do it at the same time.
func (k *checker) countOff(f space.Family, at place) place {
	for ; at.source < at.to; at.source++ {
		s := k.sorted[at.source]
		x := &k.expected[s.expected]
		for ; at.target < x.to-x.from; at.target++ {
			if !k.counted(x.record, f, s.class, &k.targets[x.from+at.target]) {
				return at
			}
		}
		at.target = 0
	}
	return at
}

// counted counts the cells of one product off, all of them or none.
func (k *checker) counted(record int32, f space.Family, src uint16, d *target) bool {
	if !joins(&k.d.Permits[record], k.segment[src], k.segment[d.class]) {
		return true
	}
	if len(d.at.wrong) > 0 {
		return false
	}
	for i, port := range d.at.classes {
		c := k.find(src, d.class, port)
		if c < 0 || !k.names(c, f, record) {
			for _, port := range d.at.classes[:i] {
				k.used[f][k.find(src, d.class, port)]--
			}
			return false
		}
		k.used[f][c]++
	}
	return true
}

// names tells whether the next record of a cell's rule is this one.
func (k *checker) names(cell int32, f space.Family, record int32) bool {
	n := k.rule[cell]
	if n == nil {
		return false
	}
	at := k.used[f][cell]
	return int(at) < len(n.records) && n.records[at] == record
}

// product tells where one is not as expected: a pair of classes has, for every port class, a cell that names the record.
func (k *checker) product(record int32, f space.Family, src uint16, d *target) {
	p := &k.d.Permits[record]
	if !joins(p, k.segment[src], k.segment[d.class]) {
		return
	}
	if len(d.at.wrong) > 0 {
		var all []space.Packet
		for _, w := range d.at.wrong {
			all = append(all, k.packet(f, src, d.class, w))
		}
		k.sure(k.differ(fmt.Sprintf("record %q: a port is in no class, or in one with ports that it does not name", p.Record), p.Record, all...))
	}
	for _, port := range d.at.classes {
		c := k.find(src, d.class, port)
		if c < 0 {
			k.sure(k.differ(fmt.Sprintf("record %q: a cell is missing", p.Record), p.Record, k.packet(f, src, d.class, k.first(d.ports, f, port))))
			continue
		}
		if k.names(c, f, record) {
			k.used[f][c]++
			continue
		}
		k.sure(k.differ(fmt.Sprintf("record %q: rule %d does not name it where it should", p.Record, k.cells[c].Rule), p.Record, k.packet(f, src, d.class, k.first(d.ports, f, port))))
	}
}

// joins tells whether a permit holds between two segments.
func joins(p *reading.Permit, from, to int32) bool { return p.Own || from != to }

// first is a port of a port class that is among p.
func (k *checker) first(p *reading.Ports, f space.Family, class uint16) space.Port {
	for _, r := range k.ranges {
		if r.Class == class && r.Lo <= r.Hi {
			if in := p.By[f].Intersect(space.Ports{space.Span(r.Proto, r.Lo, r.Hi)}); len(in) > 0 {
				return in[0].Lo
			}
		}
	}
	return k.example[f][class]
}

func (k *checker) packet(f space.Family, src, dst uint16, port space.Port) space.Packet {
	return space.Packet{Src: k.units[k.sample[f][src]].lo, Dst: k.units[k.sample[f][dst]].lo, Port: port}
}
