package packet_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// The world of the differential test: a gate with every kind of segment, class and route that the decision knows, in a
// namespace whose routing and neighbour tables are real.

type segment struct {
	id     uint16
	port   string
	vlan   uint16
	outer  uint16
	zone   anchors.Zone
	strict bool
	tunnel bool
	v4, v6 string // the first bytes of its addresses: "198.18.1." and "2001:db8:1::"
}

var segments = []segment{
	{1, "a0", 0, 0, anchors.MyNumber, true, false, "198.18.1.", "2001:db8:1::"},
	{2, "a0", 10, 0, anchors.MyNumber, false, false, "198.18.2.", "2001:db8:2::"},
	{3, "b0", 0, 0, anchors.LGWAN, true, false, "198.18.3.", "2001:db8:3::"},
	{4, "c0", 0, 0, anchors.Internet, false, false, "203.0.113.", "2001:db8:4::"},
	{5, "d0", 0, 0, anchors.Management, false, false, "198.18.4.", "2001:db8:5::"},
	{6, "wg0", 0, 0, anchors.MyNumber, false, true, "198.51.100.", "2001:db8:6::"},
	{7, "wg0", 0, 0, anchors.MyNumber, false, true, "192.0.2.", "2001:db8:7::"},
	{8, "e0", 0, 0, anchors.LGWAN, false, false, "198.18.8.", "2001:db8:8::"},
	{9, "b0", 10, 0, anchors.LGWAN, false, false, "198.18.9.", "2001:db8:9::"},
	{10, "c0", 10, 30, anchors.Internet, false, false, "203.0.114.", "2001:db8:a::"},
	{11, "b0", 10, 30, anchors.LGWAN, false, false, "198.18.11.", "2001:db8:b::"},
}

// Segments that let in more than stations of their own.
var (
	shouting    = []uint16{1, 4, 7, 9}
	advertising = []uint16{2, 3}
	leasing     = []uint16{3, 4, 6}
	trusted     = []uint16{1, 2, 8}
)

// Networks that lie behind a router, or whose route is not what their class permits.
type network struct {
	v4, v6   string // prefixes
	class    uint16
	segment  uint16
	port     string // that the class permits
	via      int    // last byte of the permitted next hop in segment 3; 0 = on link
	device   string // of the route; "" = unreachable
	hop      int    // last byte of the route's next hop in segment 3; 0 = on link
	router   bool   // hosts behind speak with the router's MAC
	wantText string
}

var networks = []network{
	{"198.18.64.0/18", "2001:db8:64::/48", 500, 3, "b0", 254, "b0", 254, true, "behind the registered router"},
	{"198.18.98.0/24", "2001:db8:98::/64", 501, 4, "c0", 0, "b0", 0, false, "route leaves by another port"},
	{"198.18.97.0/24", "2001:db8:97::/64", 502, 3, "b0", 253, "b0", 254, false, "route has another next hop"},
	{"198.18.99.0/24", "2001:db8:99::/64", 503, 4, "c0", 0, "", 0, false, "unreachable"},
	{"198.18.96.0/24", "2001:db8:96::/64", 504, 3, "b0", 0, "b0", 254, false, "class wants on link, route a router"},
	{"198.18.95.0/24", "2001:db8:95::/64", 505, 3, "b0", 0, tagged, 0, false, "class wants no tag, route has one"},
	{"198.18.94.0/24", "2001:db8:94::/64", 506, 6, "wg0", 0, "wg1", 0, false, "another tunnel of the bundle"},
	{"198.18.93.0/24", "2001:db8:93::/64", 507, 6, "wg0", 0, "wg2", 0, false, "a tunnel outside the bundle"},
}

// limits of some of the segments; the others have none of their own.
var limits = map[uint16]packet.Limits{
	2: {StationFlows: 30}, 3: {Rate: 9}, 4: {Flows: 60}, 8: {StationRate: 2}, 9: {Flows: 200, Rate: 30, StationFlows: 60, StationRate: 9},
}

const smallMTU = 1400 // of c0

// tagged is the stack's device for VLAN 10 of b0, where segment 9 lies. The stack has none for the other VLANs: their routes
// name the port.
const tagged = "b0.10"

// device is where the stack has a segment's addresses.
func (s segment) device() string {
	if s.id == 9 {
		return tagged
	}
	return s.port
}

var ports = []string{"a0", "b0", "c0", "d0", "e0"}

// mappings towards the regions: all of segment 2 and some of segment 8.
var mappings = []anchors.NAT{
	{Segment: "s6", Inside: netip.MustParsePrefix("198.18.2.0/24"), Outside: netip.MustParsePrefix("198.19.2.0/24")},
	{Segment: "s6", Inside: netip.MustParsePrefix("198.18.8.8/29"), Outside: netip.MustParsePrefix("198.19.8.64/29")},
	{Segment: "s7", Inside: netip.MustParsePrefix("198.18.2.8/29"), Outside: netip.MustParsePrefix("198.19.8.64/29")},
}

// called is what the region of "by" calls an address, mostly.
func (g *generator) called(by, addr netip.Addr) netip.Addr {
	for _, n := range mappings {
		region := segmentOf(map[string]uint16{"s6": 6, "s7": 7}[n.Segment])
		if n.Inside.Contains(addr) && netip.PrefixFrom(addr4(region, 0), 24).Contains(by) && !g.chance(6) {
			out := n.Outside.Addr().As4()
			out[3] |= addr.As4()[3] & byte(1<<(32-n.Inside.Bits())-1)
			return netip.AddrFrom4(out)
		}
	}
	return addr
}

// tunnels of the world: the first two are a bundle.
var tunnels = []string{"wg0", "wg1", "wg2"}

func hostMAC(segment uint16, n int) packet.MAC {
	return packet.MAC{2, 0, 0, 1, byte(segment), byte(n)}
}

func portMAC(port string) packet.MAC { return packet.MAC{2, 0x53, 0x4b, 0, 0, port[0]} }

func addr4(s segment, n int) netip.Addr { return netip.MustParseAddr(s.v4 + strconv.Itoa(n)) }
func addr6(s segment, n int) netip.Addr {
	return netip.MustParseAddr(s.v6 + strconv.FormatInt(int64(n), 16))
}

func segmentOf(id uint16) segment { return segments[id-1] }

// resolved tells which stations the neighbour table knows: 12 and 13 of each segment are not there.
func resolved(n int) bool { return n == 11 || n == 14 || n == 254 }

// worldTables: class 100+id for a segment's prefix, 200+id and 300+id for two of its hosts, 400+id for the gate there.
func worldTables(r *rand.Rand, revision string) packet.Tables {
	t := packet.Tables{Revision: revision}
	var all []uint16
	class := func(c packet.Class) {
		t.Classes = append(t.Classes, c)
		all = append(all, c.ID)
	}
	for _, s := range segments {
		t.Segments = append(t.Segments, packet.Segment{
			ID: s.id, Name: fmt.Sprint("s", s.id), Zone: s.zone, Port: s.port, VLAN: s.vlan, Outer: s.outer, Strict: s.strict, Tunnel: s.tunnel,
			Multicast: slices.Contains(shouting, s.id), Routers: slices.Contains(advertising, s.id), DHCPServers: slices.Contains(leasing, s.id), Limits: limits[s.id],
		})
		t.Segments[len(t.Segments)-1].TrustDSCP = slices.Contains(trusted, s.id)
		kind := packet.KindForward
		if s.tunnel {
			kind = packet.KindTunnel
		}
		for _, base := range []uint16{100, 200, 300} {
			class(packet.Class{ID: base + s.id, Segment: s.id, Kind: kind, Port: s.port, VLAN: s.vlan, Outer: s.outer, OnLink: true})
		}
		class(packet.Class{ID: 400 + s.id, Segment: s.id, Kind: packet.KindLocal, Port: s.port, VLAN: s.vlan, Outer: s.outer})
		t.Prefixes = append(t.Prefixes,
			packet.Prefix{Prefix: netip.PrefixFrom(addr4(s, 0), 24), Class: 100 + s.id, Segment: s.id},
			packet.Prefix{Prefix: netip.PrefixFrom(addr6(s, 0), 64), Class: 100 + s.id, Segment: s.id})
		for _, h := range []struct {
			n     int
			class uint16
			mac   packet.MAC
		}{
			{1, 400 + s.id, packet.MAC{}}, {11, 200 + s.id, hostMAC(s.id, 11)}, {12, 300 + s.id, hostMAC(s.id, 12)},
			{13, 300 + s.id, packet.MAC{}}, {14, 999, hostMAC(s.id, 14)}, {254, 100 + s.id, hostMAC(s.id, 254)},
		} {
			t.Hosts = append(t.Hosts,
				packet.Host{Addr: addr4(s, h.n), Class: h.class, Segment: s.id, MAC: h.mac},
				packet.Host{Addr: addr6(s, h.n), Class: h.class, Segment: s.id, MAC: h.mac})
		}
	}
	for _, n := range networks {
		c := packet.Class{ID: n.class, Segment: n.segment, Kind: packet.KindForward, Port: n.port, OnLink: n.via == 0}
		if segmentOf(n.segment).tunnel {
			c.Kind = packet.KindTunnel
		}
		if n.via != 0 {
			c.Via = []netip.Addr{addr4(segmentOf(3), n.via), addr6(segmentOf(3), n.via)}
		}
		class(c)
		var mac packet.MAC
		if n.router {
			mac = hostMAC(n.segment, 254)
		}
		for _, p := range []string{n.v4, n.v6} {
			t.Prefixes = append(t.Prefixes, packet.Prefix{Prefix: netip.MustParsePrefix(p), Class: n.class, Segment: n.segment, MAC: mac})
		}
	}
	t.Ports = []packet.PortRange{
		{Proto: 6, Lo: 443, Hi: 443, Class: 1}, {Proto: 6, Lo: 80, Hi: 89, Class: 2}, {Proto: 17, Lo: 53, Hi: 53, Class: 3},
		{Proto: 17, Lo: 5000, Hi: 5010, Class: 2}, {Proto: 1, Lo: 8, Hi: 8, Class: 4}, {Proto: 58, Lo: 128, Hi: 128, Class: 4},
		{Proto: 47, Class: 5}, {Proto: 50, Class: 5}, {Proto: 132, Lo: 3868, Hi: 3868, Class: 5}, {Proto: 6, Lo: 65535, Hi: 65535, Class: 1}, {Proto: 17, Lo: 0, Hi: 0, Class: 3},
	}
	for rule := uint32(1); rule <= 40; rule++ {
		t.Rules = append(t.Rules, packet.Rule{ID: rule, Records: []string{fmt.Sprint("record-", rule)}})
	}
	timed(&t, time.Now())
	for dscp := range t.DSCP {
		t.DSCP[dscp] = uint8(max(0, r.IntN(80)-16))
	}
	for _, src := range all {
		for _, dst := range all {
			for port := uint16(1); port <= 5; port++ {
				if r.IntN(100) < 55 {
					t.Cells = append(t.Cells, packet.Cell{Src: src, Dst: dst, Port: port, Rule: 1 + r.Uint32N(40), BWClass: uint8(max(0, r.IntN(96)-32))})
				}
			}
		}
	}
	return t
}

// timed gives the last of the rules a time, and rules to ask after them. Nothing begins or ends within an hour of now.
func timed(t *packet.Tables, now time.Time) {
	const hour, day, week = 60, 24 * 60, 7 * 24 * 60
	minute := now.Unix() / 60
	of := (int(minute) + 3*day) % week
	window := func(id uint8, from, to int) {
		w := packet.Window{ID: id}
		for _, s := range [][2]int{{of + from - week, of + to - week}, {of + from, of + to}, {of + from + week, of + to + week}} {
			if s[1] > 0 && s[0] < week {
				w.Spans = append(w.Spans, packet.Span{From: uint16(max(s[0], 0)), To: uint16(min(s[1], week))})
			}
		}
		t.Windows = append(t.Windows, w)
	}
	window(1, -hour, hour)
	window(7, hour, 2*hour)
	window(255, -3*hour, -hour)
	last := len(t.Rules)
	chained := uint32(last) + 1
	for i, r := range []packet.Rule{
		{Until: minute - hour}, {From: minute + hour}, {From: minute - day, Until: minute + day}, {Window: 1}, {Window: 7, From: minute - day},
		{Until: minute - hour, Next: chained}, {Window: 255, Next: chained + 2}, {Window: 1, Until: minute + hour},
	} {
		at := &t.Rules[last-8+i]
		at.From, at.Until, at.Window, at.Next = r.From, r.Until, r.Window, r.Next
	}
	for i, r := range []packet.Rule{{From: minute + hour, Next: chained + 1}, {From: minute - hour, Window: 1}, {Window: 7}} {
		r.ID, r.Records = chained+uint32(i), []string{"later"}
		t.Rules = append(t.Rules, r)
	}
}

func worldAnchors() *anchors.Anchors {
	a := &anchors.Anchors{Version: 1, Name: "world", Tunnels: []anchors.Tunnel{
		{Device: "wg0", Peers: []anchors.Peer{{Segment: "s6"}, {Segment: "s7"}}}, {Device: "wg1", Peers: []anchors.Peer{{Segment: "s6"}}}, {Device: "wg2"},
	}, NAT: mappings}
	for _, s := range segments {
		attach := anchors.AttachPort
		if s.tunnel {
			attach = anchors.AttachTunnel
		}
		as := anchors.Segment{
			ID: fmt.Sprint("s", s.id), Zone: s.zone, Attach: attach, Port: s.port, VLAN: s.vlan, Outer: s.outer, Strict: s.strict,
			Prefixes:  []netip.Prefix{netip.PrefixFrom(addr4(s, 0), 24), netip.PrefixFrom(addr6(s, 0), 64)},
			Multicast: slices.Contains(shouting, s.id), Advertising: slices.Contains(advertising, s.id), DHCPServers: slices.Contains(leasing, s.id),
		}
		for _, n := range networks {
			if n.segment == s.id {
				as.Prefixes = append(as.Prefixes, netip.MustParsePrefix(n.v4), netip.MustParsePrefix(n.v6))
			}
		}
		a.Segments = append(a.Segments, as)
	}
	return a
}

// route says what the kernel must answer; world() sets its tables up accordingly.
func route(in string, _, dst netip.Addr) model.Hop {
	if in == "d0" {
		return model.Hop{Forbidden: true}
	}
	router := func(device string, n int) model.Hop {
		next := addr4(segmentOf(3), n)
		if !dst.Is4() {
			next = addr6(segmentOf(3), n)
		}
		return model.Hop{Found: true, Device: device, Next: next, MAC: hostMAC(3, 254), MTU: 1500}
	}
	for i := range networks {
		n := networks[len(networks)-1-i] // the first one holds some of the others
		if !netip.MustParsePrefix(n.v4).Contains(dst) && !netip.MustParsePrefix(n.v6).Contains(dst) {
			continue
		}
		if n.device == "" {
			return model.Hop{}
		}
		if n.hop != 0 {
			return router(n.device, n.hop)
		}
		if n.device == tagged {
			return model.Hop{Found: true, Device: "b0", VLAN: 10, Next: dst, MTU: 1500}
		}
		return model.Hop{Found: true, Device: n.device, Next: dst, MTU: 1500} // nobody there
	}
	for _, s := range segments {
		for _, p := range []netip.Prefix{netip.PrefixFrom(addr4(s, 0), 24), netip.PrefixFrom(addr6(s, 0), 64)} {
			if !p.Contains(dst) {
				continue
			}
			if dst == addr4(s, 255) || dst == addr6(s, 0) {
				return model.Hop{} // broadcast, and the anycast address of routers: the kernel's own
			}
			hop := model.Hop{Found: true, Device: s.port, Next: dst, MTU: 1500}
			if s.port == "c0" {
				hop.MTU = smallMTU
			}
			if s.id == 9 {
				hop.VLAN = 10
			}
			for n := range 256 {
				if resolved(n) && (dst == addr4(s, n) || dst == addr6(s, n)) {
					hop.MAC = hostMAC(s.id, n)
				}
			}
			return hop
		}
	}
	return model.Hop{}
}

// world makes the namespace and opens a core in it; the test's thread stays inside.
func world(t *testing.T) (*packet.Core, map[string]int) {
	t.Helper()
	packet.NeedRoot(t)
	pins := packet.NewBPFFS(t)
	name := fmt.Sprintf("skd%d", os.Getpid())
	far := name + "-far"
	packet.Run(t, "ip", "netns", "add", far)
	t.Cleanup(func() { packet.Run(t, "ip", "netns", "del", far) })
	packet.Run(t, "ip", "netns", "exec", far, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
	packet.Enter(t, name)
	packet.Run(t, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
	for _, p := range ports {
		packet.Run(t, "ip", "link", "add", p, "address", portMAC(p).String(), "type", "veth", "peer", "name", p, "netns", far)
		packet.Run(t, "ip", "netns", "exec", far, "ethtool", "-K", p, "gro", "on") // NAPI, without which a veth takes no redirected frames
		packet.Run(t, "ip", "netns", "exec", far, "ip", "link", "set", p, "up")
	}
	packet.Run(t, "ip", "link", "set", "c0", "mtu", strconv.Itoa(smallMTU))
	// This kernel may know no VLAN devices; to routes, any device that the programs take for one is as good.
	packet.Run(t, "ip", "link", "add", tagged, "address", portMAC("b0").String(), "type", "veth", "peer", "name", tagged, "netns", far)
	packet.Run(t, "ip", "netns", "exec", far, "ip", "link", "set", tagged, "up")
	packet.Run(t, "ip", "link", "set", tagged, "up")
	for _, tunnel := range tunnels {
		packet.Run(t, "ip", "tuntap", "add", tunnel, "mode", "tun")
	}
	core, err := packet.Open(context.Background(), packet.Options{PinDir: pins, Anchors: worldAnchors(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { core.Close() })
	index := map[string]int{}
	for _, s := range core.Status() {
		if !s.Guarded() {
			t.Fatalf("device %s is not guarded: %s", s.Name, s.Error)
		}
		index[s.Name] = s.Index
		packet.Run(t, "ip", "link", "set", s.Name, "up")
	}
	vlan, err := netlink.LinkByName(tagged)
	if err != nil {
		t.Fatal(err)
	}
	if err := core.ShowVLAN(vlan.Attrs().Index, "b0", 10, 0); err != nil {
		t.Fatal(err)
	}
	packet.Run(t, "sysctl", "-qw", "net.ipv4.conf.d0.forwarding=0", "net.ipv6.conf.d0.forwarding=0")
	for _, s := range segments {
		packet.Run(t, "ip", "addr", "add", addr4(s, 1).String()+"/24", "dev", s.device())
		packet.Run(t, "ip", "addr", "add", addr6(s, 1).String()+"/64", "dev", s.device(), "nodad")
		l, err := netlink.LinkByName(s.device())
		if err != nil {
			t.Fatal(err)
		}
		for n := range 256 {
			if !resolved(n) || s.tunnel {
				continue
			}
			mac := hostMAC(s.id, n)
			for _, a := range []netip.Addr{addr4(s, n), addr6(s, n)} {
				if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: mac[:]}); err != nil {
					t.Fatalf("neighbour %s: %v", a, err)
				}
			}
		}
	}
	for _, n := range networks {
		for i, p := range []string{n.v4, n.v6} {
			args := []string{"ip", "route", "add", p}
			switch {
			case n.device == "":
				args = []string{"ip", "route", "add", "unreachable", p}
			case n.hop != 0:
				args = append(args, "via", []netip.Addr{addr4(segmentOf(3), n.hop), addr6(segmentOf(3), n.hop)}[i].String(), "dev", n.device)
			default:
				args = append(args, "dev", n.device)
			}
			packet.Run(t, args...)
		}
	}
	return core, index
}
