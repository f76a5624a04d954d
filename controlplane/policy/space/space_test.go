package space_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/policy/space"
)

// A world small enough to look at every packet of it: addresses at the edges of both versions, ports around every edge of a
// protocol, minutes of two weeks.
var (
	addrs = []netip.Addr{
		netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("0.0.0.1"), netip.MustParseAddr("198.18.0.7"), netip.MustParseAddr("198.18.0.8"),
		netip.MustParseAddr("255.255.255.254"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("::"), netip.MustParseAddr("::1"),
		netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	}
	ports = []space.Port{
		space.PortOf(1, 0), space.PortOf(1, 8), space.PortOf(6, 0), space.PortOf(6, 443), space.PortOf(6, 444), space.PortOf(6, 65535),
		space.PortOf(7, 0), space.PortOf(50, 0), space.PortOf(58, 128),
	}
	minutes = []int64{0, 1, 4 * 1440, 4*1440 - 1, 10079, 10080, 20000, 20159, 20160, 1 << 30}
)

func drawList[T space.Point[T]](t *rapid.T, from []T, apart func(a, b T) bool) space.List[T] {
	var in []space.Interval[T]
	for range rapid.IntRange(0, 4).Draw(t, "intervals") {
		i := rapid.IntRange(0, len(from)-1).Draw(t, "lo")
		j := rapid.IntRange(i, len(from)-1).Draw(t, "hi")
		for apart(from[i], from[j]) {
			j--
		}
		in = append(in, space.Interval[T]{Lo: from[i], Hi: from[j]})
	}
	return space.Of(in...)
}

func drawAddrs(t *rapid.T) space.Addrs {
	return drawList(t, addrs, func(a, b netip.Addr) bool { return a.Is4() != b.Is4() })
}

func drawPorts(t *rapid.T) space.Ports {
	return drawList(t, ports, func(a, b space.Port) bool { return a.Proto() != b.Proto() })
}

func drawTimes(t *rapid.T) space.Times {
	var out space.Times
	for range rapid.IntRange(1, 3).Draw(t, "terms") {
		i := rapid.IntRange(0, len(minutes)-2).Draw(t, "from")
		until := space.Ever
		if j := rapid.IntRange(i+1, len(minutes)).Draw(t, "until"); j < len(minutes) {
			until = minutes[j]
		}
		var week space.Week
		if rapid.Bool().Draw(t, "window") {
			week = drawList(t, []space.Minute{0, 1, 1439, 1440, 5000, 10078, 10079}, func(a, b space.Minute) bool { return false })
		}
		if from := minutes[i]; from < until {
			out = out.Union(space.During(from, until, week))
		}
	}
	return out
}

func drawBox(t *rapid.T) space.Box {
	return space.Box{From: drawAddrs(t), To: drawAddrs(t), Ports: drawPorts(t), Times: drawTimes(t)}
}

func drawSet(t *rapid.T) space.Set {
	var in []space.Box
	for range rapid.IntRange(0, 3).Draw(t, "boxes") {
		in = append(in, drawBox(t))
	}
	return space.SetOf(in...)
}

// Every operation agrees, packet by packet and minute by minute, with what it says of one packet.
func TestOperationsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSet(t), drawSet(t)
		union, both, less, merged := a.Union(b), a.Intersect(b), a.Minus(b), a.Merge()
		any := false
		for _, src := range addrs {
			for _, dst := range addrs {
				for _, port := range ports {
					for _, m := range append(minutes, 5000, 5001, 25160) {
						p := space.Packet{Src: src, Dst: dst, Port: port}
						x, y := a.Contains(p, m), b.Contains(p, m)
						any = any || x
						for _, c := range []struct {
							what      string
							got, want bool
						}{
							{"union", union.Contains(p, m), x || y}, {"intersection", both.Contains(p, m), x && y},
							{"difference", less.Contains(p, m), x && !y}, {"merged", merged.Contains(p, m), x},
						} {
							if c.got != c.want {
								t.Fatalf("%s of\n%v and\n%v at %v, minute %d: got %t, want %t", c.what, a, b, p, m, c.got, c.want)
							}
						}
					}
				}
			}
		}
		if any && a.Empty() {
			t.Fatalf("%v is said to be empty", a)
		}
		if !a.Same(merged) || !union.Same(b.Union(a)) || !less.Union(both).Same(a) || !less.Intersect(b).Empty() {
			t.Fatalf("%v and %v: the laws of sets do not hold", a, b)
		}
		for _, s := range []space.Set{union, less, merged} {
			for i := range s {
				if !(space.Set{s[i]}).Intersect(s[i+1:]).Empty() {
					t.Fatalf("boxes of %v share packets", s)
				}
			}
		}
	})
}

func TestTimesThatAreWrittenDifferentlyAreTheSame(t *testing.T) {
	office := space.Week{{Lo: 480, Hi: 1019}}
	monday := int64(4 * 1440) // 5 January 1970
	cases := []struct {
		name string
		a, b space.Times
		same bool
	}{
		{"two halves", space.During(0, 50, nil).Union(space.During(50, space.Ever, nil)), space.Always, true},
		{"a gap of a minute", space.During(0, 50, nil).Union(space.During(51, space.Ever, nil)), space.Always, false},
		{"a window that holds all of a short term", space.During(monday+500, monday+600, office), space.During(monday+500, monday+600, nil), true},
		{"a window that ends a minute before", space.During(monday+500, monday+1021, office), space.During(monday+500, monday+1021, nil), false},
		{"an end outside the window", space.During(0, monday+1020, office), space.During(0, monday+2000, office), true},
		{"an end a minute inside the window", space.During(0, monday+1019, office), space.During(0, monday+2000, office), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.a.Same(c.b); got != c.same {
				t.Errorf("%v and %v: got same %t, want %t", c.a, c.b, got, c.same)
			}
			if got, _ := c.a.First(); !c.a.Contains(got) || got > 0 && c.a.Contains(got-1) {
				t.Errorf("first minute of %v: got %d", c.a, got)
			}
		})
	}
}

func TestMergedBoxesAreFew(t *testing.T) {
	pc := func(n byte) space.Addrs { return space.Single(netip.AddrFrom4([4]byte{198, 18, 0, n})) }
	tcp := func(n uint16) space.Ports { return space.Ports{space.Span(6, n, n)} }
	var s space.Set
	for n := range byte(20) {
		for m := range byte(5) {
			for _, p := range []uint16{80, 443} {
				s = append(s, space.Box{From: pc(10 + n), To: pc(100 + m), Ports: tcp(p), Times: space.Always})
			}
		}
	}
	got := s.Merge()
	if len(got) != 1 || space.Text(got[0].From) != "198.18.0.10-198.18.0.29" || space.PortsText(got[0].Ports) != "tcp/80, tcp/443" {
		t.Errorf("got %v, want one box", got)
	}
}
