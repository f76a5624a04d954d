package stones

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// ground is a town with one segment of each kind.
type ground struct {
	t packet.Tables
	a anchors.Anchors
}

// Segments of the ground.
const (
	mn = iota + 1
	lg
	asp
	in
	tokyo
	portal
)

func newGround() *ground {
	g := &ground{}
	for i, s := range []struct {
		id     string
		zone   anchors.Zone
		attach anchors.Attach
		port   string
	}{
		{"mn-office", anchors.MyNumber, anchors.AttachPort, "mn0"}, {"lg-office", anchors.LGWAN, anchors.AttachPort, "lg0"},
		{"lg-asp", anchors.LGWAN, anchors.AttachPort, "lga0"}, {"in-net", anchors.Internet, anchors.AttachPort, "in0"},
		{"tokyo", anchors.MyNumber, anchors.AttachTunnel, "wg0"}, {"lg-portal", anchors.LGWAN, anchors.AttachPortal, "pt-lg"},
	} {
		g.a.Segments = append(g.a.Segments, anchors.Segment{ID: s.id, Zone: s.zone, Attach: s.attach, Port: s.port})
		g.t.Segments = append(g.t.Segments, packet.Segment{ID: uint16(i + 1), Name: s.id, Zone: s.zone, Port: s.port, Tunnel: s.attach == anchors.AttachTunnel})
	}
	g.t.Ports = []packet.PortRange{{Proto: 6, Lo: 443, Hi: 443, Class: 1}, {Proto: 17, Lo: 5000, Hi: 5010, Class: 2}}
	return g
}

// class adds one with a host of its own.
func (g *ground) class(id, segment uint16, kind packet.Kind) {
	g.t.Classes = append(g.t.Classes, packet.Class{ID: id, Segment: segment, Kind: kind, Port: g.t.Segments[segment-1].Port})
	g.t.Hosts = append(g.t.Hosts, packet.Host{Addr: netip.AddrFrom4([4]byte{198, 18, byte(segment), byte(id)}), Class: id, Segment: segment})
}

func (g *ground) cell(src, dst, port uint16, record string) {
	id := uint32(len(g.t.Rules) + 1)
	g.t.Rules = append(g.t.Rules, packet.Rule{ID: id, Records: []string{record}})
	g.t.Cells = append(g.t.Cells, packet.Cell{Src: src, Dst: dst, Port: port, Rule: id})
}

// told writes stones in one line each.
func told(stones []Stone) (out []string) {
	for _, s := range stones {
		text := fmt.Sprintf("%s>%s:", s.From, s.To)
		for i, h := range s.Path {
			if i == 0 {
				text += " " + h.From.Members[0]
			}
			switch {
			case h.Direct:
				text += " ="
			default:
				text += fmt.Sprintf(" -%s %s", strings.Join(h.Records, "+"), strings.Join(h.Ports, "+"))
			}
			if h.Tunnel != "" {
				text += " " + h.Tunnel
			}
			if h.Timed {
				text += " timed"
			}
			text += "> " + h.To.Members[0]
		}
		out = append(out, text)
	}
	return out
}

func TestFind(t *testing.T) {
	f, tu, lo := packet.KindForward, packet.KindTunnel, packet.KindLocal
	for _, x := range []struct {
		name  string
		build func(*ground)
		want  []string
	}{
		{"no record", func(g *ground) {}, nil},
		{"one hop is a record's own affair", func(g *ground) { g.cell(1, 2, 1, "a"); g.cell(2, 2, 1, "b") }, nil},
		{"internet to My Number through LGWAN", func(g *ground) { g.cell(4, 2, 1, "in-lg"); g.cell(2, 1, 1, "lg-mn") },
			[]string{"internet>my-number: 198.18.4.4 -in-lg tcp/443> 198.18.2.2 -lg-mn tcp/443> 198.18.1.1"}},
		{"My Number to internet through LGWAN, two hops in LGWAN", func(g *ground) { g.cell(1, 2, 1, "a"); g.cell(2, 3, 2, "b"); g.cell(3, 4, 1, "c") },
			[]string{"my-number>internet: 198.18.1.1 -a tcp/443> 198.18.2.2 -b udp/5000-5010> 198.18.3.3 -c tcp/443> 198.18.4.4"}},
		{"through a neighbour that the gate does not see", func(g *ground) { g.class(12, lg, f); g.cell(4, 2, 1, "a"); g.cell(12, 1, 1, "b") },
			[]string{"internet>my-number: 198.18.4.4 -a tcp/443> 198.18.2.2 => 198.18.2.12 -b tcp/443> 198.18.1.1"}},
		{"into a region, through its tunnel", func(g *ground) { g.cell(4, 2, 1, "a"); g.cell(2, 5, 1, "b") },
			[]string{"internet>my-number: 198.18.4.4 -a tcp/443> 198.18.2.2 -b tcp/443 wg0> 198.18.5.5"}},
		{"out of a region", func(g *ground) { g.cell(5, 3, 1, "a"); g.cell(3, 4, 1, "b") },
			[]string{"my-number>internet: 198.18.5.5 -a tcp/443> 198.18.3.3 -b tcp/443> 198.18.4.4"}},
		{"a portal leads nowhere", func(g *ground) { g.class(12, portal, f); g.cell(4, 6, 1, "a"); g.cell(12, 1, 1, "b") }, nil},
		{"the gate leads only where a cell lets it", func(g *ground) { g.class(8, lg, lo); g.class(9, mn, lo); g.cell(4, 8, 1, "a"); g.cell(9, 1, 1, "b") }, nil},
		{"a local process that would be in two zones", func(g *ground) { g.class(8, lg, lo); g.cell(4, 8, 1, "a"); g.cell(8, 1, 1, "b") },
			[]string{"internet>my-number: 198.18.4.4 -a tcp/443> 198.18.2.8 -b tcp/443> 198.18.1.1"}},
		{"two ways in, one stone; two targets", func(g *ground) {
			g.class(11, mn, f)
			g.class(14, in, f)
			g.cell(4, 2, 1, "a")
			g.cell(14, 2, 1, "b")
			g.cell(2, 1, 1, "c")
			g.cell(2, 1, 2, "d")
			g.cell(2, 11, 2, "e")
		}, []string{"internet>my-number: 198.18.4.4 -a tcp/443> 198.18.2.2 -c+d tcp/443+udp/5000-5010> 198.18.1.1"}},
		{"only at times", func(g *ground) {
			g.cell(4, 2, 1, "a")
			g.cell(2, 1, 1, "b")
			g.t.Rules[1].Until, g.t.Rules[0].Window, g.t.Rules[0].Next = 7, 1, 3
			g.t.Rules = append(g.t.Rules, packet.Rule{ID: 3, Records: []string{"always"}})
		}, []string{"internet>my-number: 198.18.4.4 -a tcp/443> 198.18.2.2 -b tcp/443 timed> 198.18.1.1"}},
	} {
		g := newGround()
		for id, segment := range []uint16{mn, lg, asp, in} {
			g.class(uint16(id+1), segment, f)
		}
		g.class(5, tokyo, tu)
		g.class(6, portal, f)
		x.build(g)
		if got := told(Find(&g.t, &g.a)); !slices.Equal(got, x.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", x.name, got, x.want)
		}
	}
}

// What the search lists is what trying every path finds.
func TestFindAgreesWithEveryPath(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 6))
	found := 0
	for round := range 600 {
		g := newGround()
		for id := uint16(1); id <= 10; id++ {
			segment := uint16(1 + r.IntN(6))
			kind := packet.KindForward
			if segment == tokyo {
				kind = packet.KindTunnel
			} else if r.IntN(5) == 0 {
				kind = packet.KindLocal
			}
			g.class(id, segment, kind)
		}
		for range 2 + r.IntN(12) {
			g.cell(uint16(1+r.IntN(10)), uint16(1+r.IntN(10)), uint16(1+r.IntN(2)), "r")
		}
		want := g.everyPath()
		got := map[string]int{}
		for _, s := range Find(&g.t, &g.a) {
			got[fmt.Sprint(s.From, s.To, s.Stone.Members)] = len(s.Path)
			for i, h := range s.Path {
				if i > 0 && s.Path[i-1].To.String() != h.From.String() {
					t.Fatalf("round %d: a path that breaks off: %v", round, s)
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("round %d:\ngot  %v\nwant %v\n%+v", round, got, want, g.t)
		}
		found += len(want)
	}
	if found < 300 {
		t.Errorf("only %d stones in all: the tables are too tame", found)
	}
}

// everyPath tries all paths: length of the shortest by zones and stone.
func (g *ground) everyPath() map[string]int {
	out := map[string]int{}
	zone := func(c packet.Class) anchors.Zone { return g.t.Segments[c.Segment-1].Zone }
	byID := func(id uint16) packet.Class { return g.t.Classes[id-1] }
	opens := func(x, y packet.Class) bool {
		return slices.ContainsFunc(g.t.Cells, func(c packet.Cell) bool { return c.Src == x.ID && c.Dst == y.ID })
	}
	beside := func(x, y packet.Class) bool {
		return x.Segment == y.Segment && x.Segment != portal && x.Kind != packet.KindLocal && y.Kind != packet.KindLocal
	}
	for _, first := range g.t.Classes {
		z := zone(first)
		if first.Kind == packet.KindLocal {
			continue
		}
		var walk func(at uint16, path []uint16)
		walk = func(at uint16, path []uint16) {
			x := byID(at)
			if len(path) > 9 {
				return
			}
			for _, y := range g.t.Classes {
				if len(path) > 1 && zone(y) != z && zone(y) != zone(x) && opens(x, y) {
					key := fmt.Sprint(z, zone(y), g.newNode(x))
					if n, ok := out[key]; !ok || len(path) < n {
						out[key] = len(path)
					}
				}
				if zone(y) == z || slices.Contains(path, y.ID) || !opens(x, y) && (len(path) == 1 || !beside(x, y)) {
					continue
				}
				walk(y.ID, append(path, y.ID))
			}
		}
		walk(first.ID, []uint16{first.ID})
	}
	return out
}

func (g *ground) newNode(c packet.Class) []string {
	return []string{netip.AddrFrom4([4]byte{198, 18, byte(c.Segment), byte(c.ID)}).String()}
}
