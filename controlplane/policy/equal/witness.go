package equal

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// differ reports the first of the packets that the two sides answer differently for; false when they agree on all.
func (k *checker) differ(what, record string, packets ...space.Packet) bool {
	if k.full() {
		k.more++
		return true
	}
	for _, p := range packets {
		tables, records := k.tablesSay(p), k.recordsSay(p)
		if tables.Class != records.Class || !slices.Equal(slices.Sorted(slices.Values(tables.Permits)), slices.Sorted(slices.Values(records.Permits))) {
			k.fault(Fault{What: what, Record: record, Packet: &p, Tables: tables, Records: records})
			return true
		}
	}
	return false
}

// tablesSay decides as the packet core does: the units hold what the longest entry says.
func (k *checker) tablesSay(p space.Packet) Answer {
	src, dst := k.classOf(p.Src), k.classOf(p.Dst)
	var port uint16
	for _, r := range k.ranges {
		if r.Proto == p.Port.Proto() && r.Lo <= p.Port.Number() && p.Port.Number() <= r.Hi {
			port = r.Class
		}
	}
	if src == 0 || dst == 0 || port == 0 || !carried(p.Port.Proto(), space.FamilyOf(p.Src)) {
		return Answer{}
	}
	i := k.find(src, dst, port)
	if i < 0 {
		return Answer{}
	}
	n := k.rule[i]
	if n == nil {
		return Answer{}
	}
	return Answer{n.Records, k.cells[i].BWClass}
}

func (k *checker) recordsSay(p space.Packet) Answer {
	var a Answer
	for i, q := range k.d.Of(p) {
		if i == 0 {
			a.Class = q.ClassOf(p.Dst, p.Port)
		}
		a.Permits = append(a.Permits, q.Record)
	}
	return a
}

func (k *checker) classOf(a netip.Addr) uint16 {
	i, ok := slices.BinarySearchFunc(k.units, a, func(u unit, a netip.Addr) int { return u.lo.Compare(a) })
	if !ok {
		i--
	}
	if i < 0 || a.Compare(k.units[i].hi) > 0 {
		return 0
	}
	return k.units[i].class
}

// packetOf is a packet that a cell permits; false when it permits none.
func (k *checker) packetOf(c *packet.Cell) (space.Packet, bool) {
	for f := range versions {
		if k.live(c, space.Family(f)) {
			return space.Packet{Src: k.units[k.sample[f][c.Src]].lo, Dst: k.units[k.sample[f][c.Dst]].lo, Port: k.example[f][c.Port]}, true
		}
	}
	return space.Packet{}, false
}

// stamp writes a minute in Japan's time.
func stamp(minute int64) string {
	return time.Unix(minute*60, 0).In(time.FixedZone("JST", 9*3600)).Format("2006-01-02 15:04")
}
