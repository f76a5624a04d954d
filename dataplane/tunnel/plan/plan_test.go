package plan

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
)

const mbit = 1_000_000

func example() Plan {
	p := Plan{Region: "tokyo", Devices: []Device{{Device: "wg0", Rate: 30 * mbit, Overhead: 60, Classes: []bandwidth.Class{
		{ID: 1, Name: "core", Guarantee: 10 * mbit, Ceiling: 50 * mbit, Latency: bandwidth.Interactive},
		{ID: 2, Name: "general", Guarantee: 6 * mbit, Ceiling: 50 * mbit, Priority: 1, Default: true},
	}}}, Matches: []Match{
		{From: netip.MustParsePrefix("198.51.100.11/32"), To: netip.MustParsePrefix("192.0.2.0/25"), Proto: 6, Ports: Ports{443, 443}, Class: 1},
		{From: netip.MustParsePrefix("198.51.100.0/26"), To: netip.MustParsePrefix("192.0.2.0/24"), Class: 2},
		{From: netip.MustParsePrefix("2001:db8:1::/48"), To: netip.MustParsePrefix("2001:db8:2::/48"), Proto: 17, Dest: Ports{514, 514}, Class: 1},
	}}
	if err := p.Seal(); err != nil {
		panic(err)
	}
	return p
}

func TestPlanTravelsInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		b, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		parts := Parts(b)
		order := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Perm(len(parts))
		var a Assembly
		for k, i := range order {
			for range 2 { // each comes twice
				got, done, err := a.Add(p.Hash, i, len(parts), parts[i])
				if err != nil {
					t.Fatal(err)
				}
				if done != (k == len(order)-1) {
					t.Fatalf("done = %v after %d of %d parts", done, k+1, len(order))
				}
				if done {
					if !reflect.DeepEqual(got, p) {
						t.Errorf("got %+v, want %+v", got, p)
					}
					return
				}
			}
		}
	})
}

func TestDamageIsSeen(t *testing.T) {
	p := example()
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		for _, x := range []byte{1, 4, 0x20} {
			bad := append([]byte{}, b...)
			bad[i] ^= x
			if got, err := Decode(bad); err == nil && !reflect.DeepEqual(got, p) {
				t.Errorf("byte %d changed: another plan was taken: %+v", i, got)
			}
		}
	}
	var a Assembly
	if _, done, err := a.Add(p.Hash+1, 0, 1, b); err == nil || done || !strings.Contains(err.Error(), "its parts are those of") {
		t.Errorf("a plan under another's hash: done %v, %v", done, err)
	}
	for _, c := range [][2]int{{-1, 1}, {1, 1}, {0, 0}, {0, mostParts + 1}} {
		if _, _, err := a.Add(p.Hash, c[0], c[1], b); err == nil {
			t.Errorf("part %d of %d was taken", c[0], c[1])
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	cases := []struct {
		name string
		edit func(*Plan)
		want string
	}{
		{"no region", func(p *Plan) { p.Region = "" }, "name"},
		{"no device", func(p *Plan) { p.Devices = nil }, "devices"},
		{"device twice", func(p *Plan) { p.Devices = append(p.Devices, p.Devices[0]) }, "twice"},
		{"guarantees over the rate", func(p *Plan) { p.Devices[0].Rate = 15 * mbit }, "exceed"},
		{"rate without bound", func(p *Plan) { p.Devices[0].Rate = 1 << 62 }, "more than"},
		{"class that no device has", func(p *Plan) { p.Matches[0].Class = 9 }, "no device has class 9"},
		{"more classes than an answer holds", func(p *Plan) {
			for i := range bandwidth.MaxClasses {
				p.Devices[0].Classes = append(p.Devices[0].Classes, bandwidth.Class{ID: uint8(30 + i), Guarantee: 1, Ceiling: 1})
			}
		}, "at most 16"},
		{"host bits", func(p *Plan) { p.Matches[0].From = netip.MustParsePrefix("198.51.100.11/24") }, "host bits"},
		{"two families", func(p *Plan) { p.Matches[0].From = netip.MustParsePrefix("2001:db8::/32") }, "family"},
		{"ports of ICMP", func(p *Plan) { p.Matches[0].Proto = 1 }, "no ports"},
		{"ports turned round", func(p *Plan) { p.Matches[0].Ports = Ports{2, 1} }, "lower"},
		{"too many matches", func(p *Plan) { p.Matches = make([]Match, MaxMatches+1) }, "at most"},
		{"too deep", func(p *Plan) {
			for range MaxLayers {
				p.Matches = append(p.Matches, p.Matches[1])
			}
		}, "lie over each other"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := example()
			c.edit(&p)
			if err := p.Seal(); err != nil {
				t.Fatal(err)
			}
			if err := p.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	unsealed := example()
	unsealed.Matches[0].Class = 2
	if err := unsealed.Check(); !errors.Is(err, errDamaged) {
		t.Errorf("changed after it was sealed: %v", err)
	}
}

// Asked layer by layer, the matches say what they say in order, and no two of a layer fit the same packet.
func TestLayersDecideAsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		layers, err := p.Layers()
		if err != nil {
			t.Skip("too deep")
		}
		for range 50 {
			// Near a match, or nothing would ever fit.
			m := rapid.SampledFrom(p.Matches).Draw(t, "near")
			from, to := m.From.Addr(), m.To.Addr()
			proto := rapid.SampledFrom([]uint8{1, 6, 17}).Draw(t, "proto")
			source, dest := rapid.SampledFrom([]uint16{0, 80, 443, 500}).Draw(t, "source"), rapid.SampledFrom([]uint16{0, 80, 443, 500}).Draw(t, "dest")
			want := p.ClassOf(from, to, proto, source, dest)
			got := uint8(0)
			for _, l := range layers {
				fits := 0
				for _, m := range l {
					if c := (Plan{Matches: []Match{m}}).ClassOf(from, to, proto, source, dest); c != 0 {
						if fits++; got == 0 {
							got = c
						}
					}
				}
				if fits > 1 {
					t.Fatalf("%d matches of one layer fit a packet", fits)
				}
				if fits == 1 {
					break
				}
			}
			if got != want {
				t.Fatalf("layers say %d, the order says %d", got, want)
			}
		}
	})
}

func TestGrantScalesTheTree(t *testing.T) {
	d := example().Devices[0]
	for _, c := range []struct{ grant, rate, core, ceiling uint64 }{
		{0, 30 * mbit, 10 * mbit, 30 * mbit},
		{50 * mbit, 50 * mbit, 10 * mbit, 50 * mbit},
		{80 * mbit, 80 * mbit, 10 * mbit, 50 * mbit},
		{15 * mbit, 15 * mbit, 5 * mbit, 15 * mbit},
		{100, 16_000, 8_000, 16_000}, // what answers to probes need
	} {
		tree := d.Tree("wg0", c.grant)
		if err := tree.Check(); err != nil {
			t.Errorf("grant %d: %v", c.grant, err)
		}
		if x := tree.Classes[0]; tree.Rate != c.rate || x.Guarantee != c.core || x.Ceiling != c.ceiling {
			t.Errorf("grant %d: root %d, core %d up to %d; want %d, %d, %d", c.grant, tree.Rate, x.Guarantee, x.Ceiling, c.rate, c.core, c.ceiling)
		}
	}
	if d.Classes[0].Guarantee != 10*mbit {
		t.Error("the plan itself was changed")
	}
}

func drawPlan(t *rapid.T) Plan {
	p := example()
	p.Matches = nil
	for range rapid.IntRange(1, 60).Draw(t, "matches") {
		from := netip.AddrFrom4([4]byte{198, 51, 100, uint8(rapid.IntRange(0, 7).Draw(t, "from"))})
		to := netip.AddrFrom4([4]byte{192, 0, 2, uint8(rapid.IntRange(0, 7).Draw(t, "to"))})
		m := Match{From: netip.PrefixFrom(from, rapid.IntRange(30, 32).Draw(t, "bits")).Masked(), To: netip.PrefixFrom(to, rapid.IntRange(30, 32).Draw(t, "bits")).Masked(),
			Proto: rapid.SampledFrom([]uint8{0, 1, 6, 17}).Draw(t, "proto"), Class: uint8(rapid.IntRange(1, 2).Draw(t, "class"))}
		if m.Proto > 1 {
			m.Ports = rapid.SampledFrom([]Ports{{}, {443, 443}, {1, 1023}}).Draw(t, "ports")
			m.Dest = rapid.SampledFrom([]Ports{{}, {80, 90}, {500, 65535}}).Draw(t, "dest")
		}
		before := len(p.Matches)
		p.Matches = append(p.Matches, m)
		if _, err := p.Layers(); err != nil {
			p.Matches = p.Matches[:before]
		}
	}
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	return p
}

// FuzzDecode: any bytes are a plan that passes Check or an error.
func FuzzDecode(f *testing.F) {
	p := example()
	b, err := p.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"region":"x","devices":[{"classes":null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			return
		}
		again, err := p.Encode()
		if err != nil {
			t.Fatalf("decoded and cannot be encoded: %v", err)
		}
		if q, err := Decode(again); err != nil || q.Hash != p.Hash {
			t.Errorf("%v: %x and then %x", err, p.Hash, q.Hash)
		}
	})
}

func TestDegradedPlanMovesGuarantees(t *testing.T) {
	p := example()
	second := p.Devices[0]
	second.Device = "wg1"
	second.Classes = append([]bandwidth.Class{}, second.Classes...)
	second.Classes[0].Guarantee, second.Classes[0].Order = 2*mbit, 1
	p.Devices = append(p.Devices, second)
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	before := p.Hash
	if q, err := p.Degraded(nil); err != nil || q.Hash != before {
		t.Errorf("nothing is down: plan %x, %v", q.Hash, err)
	}
	q, err := p.Degraded([]string{"wg0"})
	if err != nil || q.Hash == before || q.Check() != nil {
		t.Fatalf("wg0 is down: %v, %v", err, q.Check())
	}
	if got := q.Devices[1].Classes[0].Guarantee; got != 10*mbit {
		t.Errorf("core is promised %d bit/s on the line that is left, want the 10 Mbit/s of its own line", got)
	}
	if !reflect.DeepEqual(q.Devices[0], p.Devices[0]) || p.Devices[1].Classes[0].Guarantee != 2*mbit || p.Hash != before {
		t.Error("the device that is down or the plan itself was changed")
	}
	if q, err := p.Degraded([]string{"wg0", "wg1"}); err != nil || q.Hash != before {
		t.Errorf("everything is down: plan %x, %v; want it unchanged for what comes back first", q.Hash, err)
	}
}
