package packet

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// What the loaded programs find in an image, at a size at which every table has several chunks, and buckets are full.

// portOf is the index and the MAC of a guarded port.
func portOf(t *testing.T, c *Core, name string) (index int, mac MAC) {
	t.Helper()
	n, _ := c.devices.number(name)
	var d programsDevice
	if err := c.objects.Devices.Lookup(uint32(n), &d); err != nil || d.Ifindex == 0 {
		t.Fatalf("port %s: %+v (%v)", name, d, err)
	}
	return int(d.Ifindex), d.Mac
}

// opening is a TCP packet that opens, behind tags, outermost first.
func opening(dst, src MAC, from, to netip.Addr, port uint16, tags ...uint16) []byte {
	b := append(append([]byte{}, dst[:]...), src[:]...)
	for i, tag := range tags {
		tpid := uint16(0x8100)
		if i == 0 && len(tags) == 2 && tags[1] != 0 { // a service tag must have one inside
			tpid = 0x88a8
		}
		b = append(b, byte(tpid>>8), byte(tpid), byte(tag>>8), byte(tag))
	}
	if from.Is4() {
		b = append(b, 8, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, protoTCP, 0, 0)
	} else {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, protoTCP, 64)
	}
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	return append(b, 0x9c, 0x40, byte(port>>8), byte(port), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0)
}

func TestProgramsFindEverythingInALargeImage(t *testing.T) {
	w := newTown(t)
	c := w.open()
	r := rand.New(rand.NewPCG(11, 12))
	const peers, ports, rules = 2500, 20, 9000
	tables := townTables()
	tables.Rules = nil
	for i := range rules {
		tables.Rules = append(tables.Rules, Rule{ID: uint32(i + 1)})
	}
	for i := range uint16(ports) {
		tables.Ports = append(tables.Ports, PortRange{Proto: 6, Lo: 1000 + i, Hi: 1000 + i, Class: 10 + i})
	}
	// Initiators: exact addresses, and addresses in prefixes, which have smaller ones within. Who is opened is the gate, so
	// that no route is needed.
	mac := func(i int) MAC { return MAC{2, 7, 0, 0, byte(i >> 8), byte(i)} }
	var from, to [2][]netip.Addr
	class := func(i int, local bool) uint16 { return uint16(100 + 2*i + int(flag(local))) }
	for i := range peers {
		low := i<<10 | r.IntN(1024) // in a stretch of its own
		four := [4]byte{11, byte(low >> 16), byte(low >> 8), byte(low)}
		six := [16]byte{0x20, 1, 0xd, 0xb8, 12: four[0], 13: four[1], 14: four[2], 15: four[3]}
		for _, a := range []netip.Addr{netip.AddrFrom4(four), netip.AddrFrom16(six)} {
			family := flag(a.Is6())
			if i%3 > 0 {
				tables.Hosts = append(tables.Hosts, Host{Addr: a, Class: class(i, false), Segment: 1, MAC: mac(i)})
			} else {
				p, _ := a.Prefix(a.BitLen() - 3 - i%7)
				wide, _ := a.Prefix(a.BitLen() - 12)
				tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: p, Class: class(i, false), Segment: 1, MAC: mac(i)})
				if i%2 == 0 {
					tables.Prefixes = append(tables.Prefixes, Prefix{Prefix: wide, Class: 11, Segment: 1})
				}
			}
			from[family] = append(from[family], a)
			four[0], six[3] = 12, 0xb9
			gate := netip.AddrFrom4(four)
			if a.Is6() {
				gate = netip.AddrFrom16(six)
			}
			tables.Hosts = append(tables.Hosts, Host{Addr: gate, Class: class(i, true), Segment: 1})
			to[family] = append(to[family], gate)
		}
		tables.Classes = append(tables.Classes,
			Class{ID: class(i, false), Segment: 1, Kind: KindForward, Port: "mn0", OnLink: true}, Class{ID: class(i, true), Segment: 1, Kind: KindLocal, Port: "mn0"})
	}
	tables.Prefixes = unique(tables.Prefixes, func(p Prefix) netip.Prefix { return p.Prefix })
	type crossing struct {
		from, to int
		port     uint16
	}
	cells := map[crossing]uint32{}
	var order []crossing
	for len(cells) < 100_000 {
		k := crossing{r.IntN(peers), r.IntN(peers), uint16(r.IntN(ports))}
		if cells[k] == 0 {
			cells[k] = 1 + r.Uint32N(rules)
			order = append(order, k)
			tables.Cells = append(tables.Cells, Cell{Src: class(k.from, false), Dst: class(k.to, true), Port: 10 + k.port, Rule: cells[k]})
		}
	}
	swap(t, c, tables)
	trial, err := c.NewTrial(1<<16, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	trial.At(0)
	index, own := portOf(t, c, "mn0")
	asked := map[bool]int{}
	for n := range 20_000 {
		k := order[r.IntN(len(order))]
		if n%2 == 0 {
			k.to = r.IntN(peers)
		}
		family := r.IntN(2)
		_, _, v, err := trial.Classify(index, opening(own, mac(k.from), from[family][k.from], to[family][k.to], 1000+k.port))
		if err != nil {
			t.Fatal(err)
		}
		want, reason := cells[k], ""
		if want == 0 {
			reason = "no-cell"
		}
		if got := reasonName(v.Reason); v.Rule != want || got != reason {
			t.Fatalf("packet %d, %s to %s port %d: reason %q rule %d, want %q rule %d", n, from[family][k.from], to[family][k.to], 1000+k.port, got, v.Rule, reason, want)
		}
		asked[want != 0]++
	}
	if asked[true] < 7_000 || asked[false] < 7_000 {
		t.Errorf("asked for %d cells that are there and %d that are not", asked[true], asked[false])
	}
}

func unique[T any, K comparable](in []T, key func(T) K) (out []T) {
	seen := map[K]bool{}
	for _, v := range in {
		if !seen[key(v)] {
			seen[key(v)] = true
			out = append(out, v)
		}
	}
	return out
}

// Tags lead to their own segment, and to no other: the sender is registered in one segment only.
func TestTagsLeadToTheirSegment(t *testing.T) {
	w := newTown(t)
	c := w.open()
	tables := townTables()
	places := [][2]uint16{{0, 10}, {20, 10}, {10, 4094}, {10, 1}, {0, 4094}}
	for i, p := range places {
		id := uint16(100 + i)
		tables.Segments = append(tables.Segments, Segment{ID: id, Name: "tagged", Zone: 1, Port: "mn0", Outer: p[0], VLAN: p[1]})
		tables.Classes = append(tables.Classes, Class{ID: id, Segment: id, Kind: KindForward, Port: "mn0", Outer: p[0], VLAN: p[1], OnLink: true})
		tables.Hosts = append(tables.Hosts, Host{Addr: netip.AddrFrom4([4]byte{12, 0, 0, byte(i)}), Class: id, Segment: id})
	}
	swap(t, c, tables)
	trial, err := c.NewTrial(16, 16)
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	for _, port := range []string{"mn0", "lga0"} {
		index, own := portOf(t, c, port)
		for _, outer := range []uint16{0, 1, 10, 11, 20, 30, 4094} {
			for _, vlan := range []uint16{0, 1, 5, 10, 20, 4094} {
				tags := []uint16{outer, vlan}
				if outer == 0 {
					tags = tags[1:]
				}
				for i := range places {
					reason := "segment-unknown"
					for j, p := range places {
						// A tag of VID 0 is as none; a single tag is the inner one.
						if port == "mn0" && (p == [2]uint16{outer, vlan} || vlan == 0 && p == [2]uint16{0, outer}) {
							reason = "source-not-in-segment"
							if i == j {
								reason = "destination-unknown"
							}
						}
					}
					if outer == 0 && vlan == 0 {
						reason = "source-not-in-segment"
					}
					_, _, v, err := trial.Classify(index, opening(own, MAC{2, 9, 9, 9, 9, 9}, netip.AddrFrom4([4]byte{12, 0, 0, byte(i)}), netip.MustParseAddr("9.9.9.9"), 443, tags...))
					if err != nil {
						t.Fatal(err)
					}
					if got := reasonName(v.Reason); got != reason {
						t.Errorf("%s, tags %v, a sender of segment %d: %q, want %q", port, tags, 100+i, got, reason)
					}
				}
			}
		}
	}
}

// The kernel gives programs an image whole or not at all: its former one goes when the next is in force, and the counters of
// the rules follow their epoch.
func TestFormerImageAndItsCountersGo(t *testing.T) {
	w := newTown(t)
	c := w.open()
	for epoch := uint32(1); epoch <= 4; epoch++ {
		tables := townTables()
		tables.Rules = append(tables.Rules, Rule{ID: 2 + epoch})
		swap(t, c, tables)
		c.tidying.Wait()
		if got, err := c.inForce(); err != nil || got != epoch {
			t.Fatalf("epoch %d in force, want %d (%v)", got, epoch, err)
		}
		for slot := range uint32(3) {
			var id uint32
			err := c.objects.Images.Lookup(slot, &id)
			if there := err == nil; there != (slot == imageNow || slot == byEpoch(epoch)) {
				t.Errorf("epoch %d: slot %d of the images is there %t (%v)", epoch, slot, there, err)
			}
		}
		counts, err := c.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := counts.Rules[2+epoch]; !ok || n.Packets != 0 || len(counts.Rules) != 3 {
			t.Errorf("epoch %d: counters of rules %v", epoch, counts.Rules)
		}
	}
}

// The counters are hung in when tables are staged. Who is staged later does not take them from what comes into force.
func TestCountersAreThoseOfTheTablesInForce(t *testing.T) {
	w := newTown(t)
	c := w.open()
	load := func(rule uint32) *Staged {
		tables := townTables()
		tables.Rules = append(tables.Rules, Rule{ID: rule})
		s, err := c.Load(tables)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Discard)
		return s
	}
	in := func(rule uint32, when string) {
		t.Helper()
		counts, err := c.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := counts.Rules[rule]; !ok {
			t.Errorf("%s: counters of rules %v, want one of %d", when, counts.Rules, rule)
		}
	}
	first, second := load(100), load(5)
	second.Discard()
	if err := first.Swap(); err != nil {
		t.Fatal(err)
	}
	in(100, "another one was staged after it")
	load(7).Discard()
	in(100, "another one was discarded")
	third := load(200)
	in(100, "another one is staged")
	if err := third.Swap(); err != nil {
		t.Fatal(err)
	}
	in(200, "the next one is in force")
}

// The former image goes when nobody waits any more, but before its slot is needed, and before the maps are closed.
func TestFormerImageGoesBeforeTheNextComes(t *testing.T) {
	w := newTown(t)
	c := w.open()
	swap(t, c, townTables())
	swapping := func() error {
		s, err := c.Load(townTables())
		if err != nil {
			return err
		}
		return s.Swap()
	}
	for _, waits := range []struct {
		what string
		do   func() error
	}{{"swap", swapping}, {"close", c.Close}} {
		t.Run(waits.what, func(t *testing.T) {
			gone, done := make(chan struct{}), make(chan error, 1)
			c.tidying.Go(func() { <-gone })
			go func() { done <- waits.do() }()
			select {
			case err := <-done:
				t.Errorf("it did not wait (%v)", err)
				close(gone)
			case <-time.After(500 * time.Millisecond):
				close(gone)
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	}
}
