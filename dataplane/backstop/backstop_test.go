package backstop

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

const magic = 0xa5c3

// One segment and one station a zone; x is the third byte of the prefix, 2 the station.
type net1 struct {
	zone   anchors.Zone
	port   string
	v4, v6 string // prefix with %d for the host
}

var nets = []net1{
	{anchors.MyNumber, "mn0", "198.18.10.%d", "2001:db8:10::%d"},
	{anchors.LGWAN, "lg0", "198.18.20.%d", "2001:db8:20::%d"},
	{anchors.Internet, "in0", "198.18.30.%d", "2001:db8:30::%d"},
	{anchors.Management, "mg0", "198.18.40.%d", "2001:db8:40::%d"},
	{anchors.Uplink, "wan0", "192.0.2.%d", "2001:db8:50::%d"},
}

func (n net1) addr(v, host int) string {
	if v == 6 {
		return fmt.Sprintf(n.v6, host)
	}
	return fmt.Sprintf(n.v4, host)
}

func (n net1) ns() string { return n.zone.Short() }

func options(t *testing.T) Options {
	t.Helper()
	a := &anchors.Anchors{Version: 1}
	for _, n := range nets {
		s := anchors.Segment{ID: n.zone.Short(), Zone: n.zone, Attach: anchors.AttachPort, Port: n.port}
		s.Prefixes = []netip.Prefix{netip.MustParsePrefix(n.addr(4, 0) + "/24"), netip.MustParsePrefix(n.addr(6, 0) + "/64")}
		s.Gate = []netip.Addr{netip.MustParseAddr(n.addr(4, 1)), netip.MustParseAddr(n.addr(6, 1))}
		a.Segments = append(a.Segments, s)
	}
	region := netip.MustParsePrefix("198.51.100.0/26")
	a.Segments = append(a.Segments, anchors.Segment{ID: "tokyo", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg0",
		Prefixes: []netip.Prefix{region}, Gate: []netip.Addr{netip.MustParseAddr("198.51.100.62")}})
	a.Tunnels = []anchors.Tunnel{{Device: "wg0", Line: "up", Listen: 51820, Peers: []anchors.Peer{{ID: "tokyo", Segment: "tokyo",
		PublicKey: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", Endpoint: netip.MustParseAddrPort("192.0.2.2:51821"),
		Allowed: []netip.Prefix{region}, Probe: netip.MustParseAddr("198.51.100.1")}}}}
	a.Services = []anchors.Service{
		{ID: "talk", Segment: "tokyo", Proto: "udp", Port: 7000, Last: 7063, From: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/32")}, Out: true},
		{ID: "wireguard", Segment: "up", Proto: "udp", Port: 51820, From: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/32")}},
		{ID: "probe", Segment: "tokyo", Proto: "udp", Port: 7, From: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/32")}, Out: true},
		{ID: "syslog", Segment: "mg", Proto: "udp", Port: 514, From: []netip.Prefix{netip.MustParsePrefix("198.18.40.2/32")}, Out: true},
	}
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	uid, _ := ids(t, place.TunnelUser)
	return Options{Anchors: a, Magic: magic, Tunnel: uid}
}

func ids(t *testing.T, name string) (uid, gid uint32) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("%v: run hack/bootstrap", err)
	}
	n, err1 := strconv.Atoi(u.Uid)
	m, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return uint32(n), uint32(m)
}

// newTown joins a station of every zone to the gate (the test's own namespace), which forwards everything, and gives packets
// the mark that mark says, as the packet core would.
func newTown(t *testing.T, mark uint32) {
	t.Helper()
	netlab.Run(t, "", "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
	for _, n := range nets {
		ns := netlab.New(t, n.ns())
		netlab.Veth(t, "", n.port, ns, "eth0")
		for _, v := range []int{4, 6} {
			bits := map[int]string{4: "/24", 6: "/64"}[v]
			netlab.Run(t, "", "ip", "addr", "add", n.addr(v, 1)+bits, "dev", n.port, "nodad")
			netlab.Run(t, ns, "ip", "addr", "add", n.addr(v, 2)+bits, "dev", "eth0", "nodad")
			netlab.Run(t, ns, "ip", "route", "add", "default", "via", n.addr(v, 1))
		}
		netlab.Run(t, "", "sysctl", "-qw", "net.ipv4.conf."+n.port+".rp_filter=0")
	}
	netlab.Run(t, "", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	netlab.Run(t, "", "nft", "add table inet core; add chain inet core in { type filter hook prerouting priority -300; }; "+
		fmt.Sprintf("add rule inet core in meta mark set 0x%08x", mark))
	t.Cleanup(func() {
		netlab.Run(t, "", "nft", "delete table inet core")
		if err := Remove(); err != nil {
			t.Error(err)
		}
	})
}

// arrives sends a UDP packet between two namespaces and tells whether it came. It is patient when it should.
func arrives(t *testing.T, want bool, from, src, to, dst string) bool {
	t.Helper()
	var r *net.UDPConn
	open := func() (err error) {
		r, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(dst), Port: 9000})
		return err
	}
	if to == "" {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	} else {
		netlab.Do(t, to, open)
	}
	defer r.Close()
	netlab.Do(t, from, func() error {
		d := net.Dialer{}
		if src != "" {
			d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(src)}
		}
		c, err := d.Dial("udp", net.JoinHostPort(dst, "9000"))
		if err != nil {
			return err
		}
		defer c.Close()
		for range 3 { // the first may be lost to address resolution
			if _, err = c.Write([]byte("x")); err != nil && !strings.Contains(err.Error(), "refused") {
				return err
			}
		}
		return nil
	})
	patience := 60 * time.Millisecond
	if want {
		patience = 3 * time.Second
	}
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.ReadFrom(make([]byte, 10))
	return err == nil
}

func install(t *testing.T, o Options) {
	t.Helper()
	told, err := Install(o)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := Look(); err != nil || found != told || found == (Print{}) {
		t.Errorf("print %x, %v; Install told %x", found, err, told)
	}
}

func count(t *testing.T, name string) uint64 {
	t.Helper()
	c, err := Counters()
	if err != nil {
		t.Fatal(err)
	}
	n, ok := c[name]
	if !ok {
		t.Fatalf("no counter %s in %v", name, c)
	}
	return n.Packets
}

func TestForward(t *testing.T) {
	joined := map[[2]anchors.Zone]bool{ // what a mark may open at all; the packet core decides the rest
		{anchors.MyNumber, anchors.LGWAN}: true, {anchors.LGWAN, anchors.MyNumber}: true,
		{anchors.LGWAN, anchors.Internet}: true, {anchors.Internet, anchors.LGWAN}: true,
	}
	for _, c := range []struct {
		name   string
		mark   uint32
		marked bool
	}{
		{"marked", magic<<16 | 3<<6, true},
		{"unmarked", 0, false},
		{"mark of another boot", 0x1111<<16 | 3<<6, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			newTown(t, c.mark)
			install(t, options(t))
			for _, from := range nets {
				for _, to := range nets {
					if from == to {
						continue
					}
					for _, v := range []int{4, 6} {
						want := c.marked && joined[[2]anchors.Zone{from.zone, to.zone}]
						if got := arrives(t, want, from.ns(), "", to.ns(), to.addr(v, 2)); got != want {
							t.Errorf("IPv%d %s -> %s arrives = %v, want %v", v, from.zone, to.zone, got, want)
						}
					}
				}
			}
			if pair, un := count(t, forwardPair), count(t, forwardUnmarked); c.marked != (pair > 0) || c.marked == (un > 0) {
				t.Errorf("counted %d as forbidden pair, %d as unmarked", pair, un)
			}
		})
	}
}

// A wrong device or a wrong route does not help: the zone is also told by the address.
func TestForbiddenPairIsToldByPrefixToo(t *testing.T) {
	for _, v := range []int{4, 6} {
		t.Run(fmt.Sprintf("IPv%d", v), func(t *testing.T) {
			newTown(t, magic<<16)
			install(t, options(t))
			mn, lg, in := nets[0], nets[1], nets[2]
			bits := map[int]string{4: "/32", 6: "/128"}[v]
			// A My Number address behind the LGWAN port.
			netlab.Run(t, lg.ns(), "ip", "addr", "add", mn.addr(v, 99)+bits, "dev", "eth0", "nodad")
			if arrives(t, false, lg.ns(), mn.addr(v, 99), in.ns(), in.addr(v, 2)) {
				t.Error("a My Number source reached the internet zone from the LGWAN port")
			}
			// An internet address routed to the LGWAN port.
			netlab.Run(t, "", "ip", "route", "add", in.addr(v, 98)+bits, "via", lg.addr(v, 2))
			netlab.Run(t, lg.ns(), "ip", "addr", "add", in.addr(v, 98)+bits, "dev", "eth0", "nodad")
			if arrives(t, false, mn.ns(), "", lg.ns(), in.addr(v, 98)) {
				t.Error("My Number reached an internet address behind the LGWAN port")
			}
			if n := count(t, forwardPair); n < 2 {
				t.Errorf("counted %d as forbidden pair, want both", n)
			}
		})
	}
}

// A device that the anchors do not name joins nothing.
func TestUnknownDeviceForwardsNothing(t *testing.T) {
	newTown(t, magic<<16)
	o := options(t)
	o.Anchors.Segments = append([]anchors.Segment(nil), o.Anchors.Segments...)
	for i := range o.Anchors.Segments {
		if o.Anchors.Segments[i].Port == "lg0" {
			o.Anchors.Segments[i].Port = "lg9"
		}
	}
	install(t, o)
	if arrives(t, false, "mn", "", "lg", nets[1].addr(4, 2)) || arrives(t, false, "lg", "", "in", nets[2].addr(4, 2)) {
		t.Error("an unnamed device took part in forwarding")
	}
}

func TestInput(t *testing.T) {
	for _, c := range []struct {
		name string
		mark uint32
		zone int
		want bool
	}{
		{"marked", magic << 16, 0, true},
		{"unmarked", 0, 0, false},
		{"marked, from the line, no WireGuard", magic << 16, 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			newTown(t, c.mark)
			install(t, options(t))
			n := nets[c.zone]
			if got := arrives(t, c.want, n.ns(), "", "", n.addr(4, 1)); got != c.want {
				t.Errorf("arrives = %v, want %v", got, c.want)
			}
		})
	}
}

func TestOutputByUser(t *testing.T) {
	newTown(t, magic<<16)
	netlab.Run(t, "", "ip", "link", "add", "wg0", "type", "veth", "peer", "name", "far0")
	netlab.Run(t, "", "ip", "link", "set", "far0", "up")
	netlab.Run(t, "", "ip", "link", "set", "wg0", "up")
	netlab.Run(t, "", "ip", "addr", "add", "198.51.100.62/32", "dev", "wg0")
	netlab.Run(t, "", "ip", "route", "add", "198.51.100.0/26", "dev", "wg0", "src", "198.51.100.62")
	netlab.Run(t, "", "ip", "neigh", "add", "198.51.100.1", "lladdr", "02:00:00:00:00:01", "dev", "wg0")
	netlab.Run(t, "", "ip", "neigh", "add", "198.51.100.2", "lladdr", "02:00:00:00:00:01", "dev", "wg0")
	t.Cleanup(func() { netlab.Run(t, "", "ip", "link", "del", "wg0") })
	netlab.Run(t, "", "ip", "addr", "add", "192.0.2.9/32", "dev", "wan0")
	install(t, options(t))
	cases := []struct {
		name, user, to, options, counter string
	}{
		{"engine to its endpoint", place.TunnelUser, "192.0.2.2:51821", "sourceport=51820", outputAllowed},
		{"engine from another port", place.TunnelUser, "192.0.2.2:51821", "sourceport=40000", outputTunnel},
		{"engine to another port", place.TunnelUser, "192.0.2.2:53", "sourceport=51820", outputTunnel},
		{"engine to another host", place.TunnelUser, "192.0.2.3:51821", "sourceport=51820", outputTunnel},
		{"engine into a zone", place.TunnelUser, "198.18.10.2:51821", "sourceport=51820", outputTunnel},
		{"engine into the tunnel", place.TunnelUser, "198.51.100.1:7", "", outputTunnel},
		{"root as the engine", "root", "192.0.2.2:51821", "sourceport=51820", outputRoot},
		{"root to the probe", "root", "198.51.100.1:7", "", outputAllowed},
		{"root to another host of the region", "root", "198.51.100.2:7", "", outputRoot},
		{"root to another port of the probe", "root", "198.51.100.1:8", "", outputRoot},
		{"root to the first port of a range", "root", "198.51.100.1:7000", "", outputAllowed},
		{"root to the last port of a range", "root", "198.51.100.1:7063", "", outputAllowed},
		{"root before a range", "root", "198.51.100.1:6999", "", outputRoot},
		{"root behind a range", "root", "198.51.100.1:7064", "", outputRoot},
		{"root to a declared service", "root", "198.18.40.2:514", "", outputAllowed},
		{"root to the declared service from another address", "root", "198.18.40.2:514", "bind=198.18.10.1", outputRoot},
		{"root into a zone", "root", "198.18.10.2:514", "", outputRoot},
		{"another user to a declared service", place.ControlUser, "198.18.40.2:514", "", outputUser},
		{"another user to the endpoint", place.ControlUser, "192.0.2.2:51821", "sourceport=51820", outputUser},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before, err := Counters()
			if err != nil {
				t.Fatal(err)
			}
			uid, gid := ids(t, c.user)
			arg := "UDP4-SENDTO:" + c.to
			if c.options != "" {
				arg += "," + c.options
			}
			cmd := exec.Command("socat", "-u", "-", arg)
			cmd.Stdin = strings.NewReader("x")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
			_, _ = cmd.CombinedOutput() // a dropped packet is an error to its sender
			after, err := Counters()
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []string{outputAllowed, outputTunnel, outputRoot, outputUser} {
				want := uint64(0)
				if n == c.counter {
					want = 1
				}
				if got := after[n].Packets - before[n].Packets; got != want {
					t.Errorf("%s counted %d, want %d", n, got, want)
				}
			}
		})
	}
}

// Answers of the kernel itself pass: the gate is pinged, and neighbours find it.
func TestKernelAnswers(t *testing.T) {
	newTown(t, magic<<16)
	install(t, options(t))
	for _, v := range []string{"198.18.10.1", "2001:db8:10::1"} {
		netlab.Run(t, "mn", "ping", "-n", "-c", "1", "-W", "2", v)
	}
}

// announced is the segment size that the first SYN among frames announces; 0: there is none.
func announced(frames [][]byte) uint16 {
	for _, f := range frames {
		tcp := 14 + 20
		if len(f) > 14 && f[14]>>4 == 6 {
			tcp = 14 + 40
		}
		if len(f) < tcp+24 || f[tcp-20+9] != syscall.IPPROTO_TCP && f[14+6] != syscall.IPPROTO_TCP || f[tcp+13]&0x12 != 0x02 {
			continue
		}
		if i := bytes.Index(f[tcp+20:], []byte{2, 4}); i >= 0 {
			return binary.BigEndian.Uint16(f[tcp+20+i+2:])
		}
	}
	return 0
}

// Packets into a tunnel may not be fragmented, and "too big" gets lost: each side is told to send what fits, whoever begins.
func TestMSSIsClampedToTheTunnel(t *testing.T) {
	newTown(t, magic<<16)
	far := netlab.New(t, "far")
	netlab.Veth(t, "", "wg0", far, "eth0")
	netlab.Run(t, "", "ip", "link", "set", "wg0", "mtu", "1420")
	const near4, near6, far4, far6 = "198.51.100.62", "2001:db8:60::62", "198.51.100.11", "2001:db8:60::11"
	for _, x := range [][2]string{{near4 + "/26", far4 + "/26"}, {near6 + "/64", far6 + "/64"}} {
		netlab.Run(t, "", "ip", "addr", "add", x[0], "dev", "wg0", "nodad")
		netlab.Run(t, far, "ip", "addr", "add", x[1], "dev", "eth0", "nodad")
	}
	netlab.Run(t, far, "ip", "route", "add", "default", "via", near4)
	netlab.Run(t, far, "ip", "route", "add", "default", "via", near6)
	netlab.Run(t, "", "sysctl", "-qw", "net.ipv4.conf.wg0.rp_filter=0")
	o := options(t)
	o.Anchors.Segments[len(o.Anchors.Segments)-1].Prefixes = append(o.Anchors.Segments[len(o.Anchors.Segments)-1].Prefixes, netip.MustParsePrefix("2001:db8:60::/64"))
	install(t, o)
	mn := nets[0]
	for _, x := range []struct {
		what, from, to, address string
		want                    uint16
	}{
		{"into the tunnel, IPv4", mn.ns(), far, far4, 1420 - 40},
		{"into the tunnel, IPv6", mn.ns(), far, far6, 1420 - 60},
		{"out of the tunnel, IPv4", far, mn.ns(), mn.addr(4, 2), 1420 - 40},
		{"out of the tunnel, IPv6", far, mn.ns(), mn.addr(6, 2), 1420 - 60},
	} {
		seen := netlab.Listen(t, x.to, "eth0")
		_, _ = netlab.Try(x.from, "timeout", "2", "bash", "-c", "echo >/dev/tcp/"+x.address+"/443") // nobody listens
		netlab.Until(t, 5*time.Second, x.what+": a SYN", func() bool { return announced(seen.Frames()) != 0 })
		if got := announced(seen.Frames()); got != x.want {
			t.Errorf("%s: a SYN announces segments of %d bytes, want %d", x.what, got, x.want)
		}
	}
}

// What a region's services need goes by every tunnel with an end of the region, and by no other.
func TestServicesUseEveryTunnelOfTheirRegion(t *testing.T) {
	newTown(t, magic<<16)
	o := options(t)
	end := o.Anchors.Tunnels[0].Peers[0]
	o.Anchors.Tunnels = append(o.Anchors.Tunnels,
		anchors.Tunnel{Device: "wg1", Line: "up", Listen: 51821, Peers: []anchors.Peer{{ID: "osaka", Segment: "osaka", Endpoint: end.Endpoint, TakesOver: []string{"tokyo"}}}},
		anchors.Tunnel{Device: "wg2", Line: "up", Listen: 51822, Peers: []anchors.Peer{{ID: "osaka-c", Segment: "osaka", Endpoint: end.Endpoint}}})
	osaka := anchors.Segment{ID: "osaka", Zone: anchors.MyNumber, Attach: anchors.AttachTunnel, Port: "wg1", Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.64/26")}}
	o.Anchors.Segments = append(o.Anchors.Segments, osaka)
	install(t, o)
	for _, d := range []string{"wg0", "wg1", "wg2"} {
		netlab.Run(t, "", "ip", "link", "add", d, "type", "veth", "peer", "name", "far-"+d)
		t.Cleanup(func() { netlab.Run(t, "", "ip", "link", "del", d) })
		netlab.Run(t, "", "ip", "link", "set", "far-"+d, "up")
		netlab.Run(t, "", "ip", "link", "set", d, "up")
		netlab.Run(t, "", "ip", "addr", "add", "198.51.100.62/32", "dev", d)
	}
	for device, want := range map[string]uint64{"wg0": 1, "wg1": 1, "wg2": 0} {
		netlab.Run(t, "", "ip", "route", "replace", "198.51.100.0/26", "dev", device, "src", "198.51.100.62")
		netlab.Run(t, "", "ip", "neigh", "replace", "198.51.100.1", "lladdr", "02:00:00:00:00:01", "dev", device)
		before := count(t, outputAllowed)
		_, _ = netlab.Try("", "bash", "-c", "echo x >/dev/udp/198.51.100.1/7") // a dropped packet is an error to its sender
		if got := count(t, outputAllowed) - before; got != want {
			t.Errorf("by %s: %d packets to the probe pass, want %d", device, got, want)
		}
	}
	// Both take part in forwarding as well.
	for _, device := range []string{"wg0", "wg1"} {
		netlab.Run(t, "", "ip", "route", "replace", "198.51.100.0/26", "dev", device)
		before := count(t, forwardAllowed)
		_, _ = netlab.Try("mn", "bash", "-c", "echo x >/dev/udp/198.51.100.1/9")
		netlab.Until(t, 5*time.Second, "a packet forwarded by "+device, func() bool { return count(t, forwardAllowed) > before })
	}
}

// Replacing the rules opens nothing, not for one packet.
func TestInstallHasNoGap(t *testing.T) {
	newTown(t, 0)
	o := options(t)
	install(t, o)
	lg := nets[1]
	seen := netlab.Listen(t, lg.ns(), "eth0")
	stop := make(chan struct{})
	done := make(chan int)
	netlab.Do(t, "mn", func() error {
		c, err := net.Dial("udp4", lg.addr(4, 2)+":9000")
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			n := 0
			for {
				select {
				case <-stop:
					done <- n
					return
				default:
					_, _ = c.Write([]byte("must not pass"))
					n++
				}
			}
		}()
		return nil
	})
	for range 60 {
		install(t, o)
	}
	close(stop)
	n := <-done
	for _, f := range seen.Frames() {
		if bytes.Contains(f, []byte("must not pass")) {
			t.Fatal("a packet passed while the rules were replaced")
		}
	}
	if got := count(t, forwardUnmarked); got < uint64(n)/2 {
		t.Errorf("counted %d of %d dropped packets: want the counters to go on across replacements", got, n)
	}
}

func TestInstallRefusesWithoutMagic(t *testing.T) {
	o := options(t)
	o.Magic = 0
	if _, err := Install(o); err == nil {
		t.Error("installed rules that unmarked packets would pass")
	}
}

// The same rules have the same print, however often they were installed; any change of any part has another.
func TestPrintTellsEveryChange(t *testing.T) {
	newTown(t, 0)
	o := options(t)
	install(t, o)
	want, err := Install(o)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Install(o); err != nil || p != want {
		t.Errorf("installed again: print %x, %v; want %x", p, err, want)
	}
	arrives(t, false, "mn", "", "lg", nets[1].addr(4, 2))
	if p, err := Look(); err != nil || p != want || count(t, forwardUnmarked) == 0 {
		t.Errorf("after a packet was counted: print %x, %v; want %x", p, err, want)
	}
	other := o
	other.Magic++
	if p, err := Install(other); err != nil || p == want {
		t.Errorf("rules for another mark have print %x, %v, too", p, err)
	}
	for _, harm := range []string{
		"delete table inet sekisho",
		"flush table inet sekisho",
		"add table inet sekisho { flags dormant; }",
		"add chain inet sekisho forward { policy accept; }",
		"add chain inet sekisho more",
		"add set inet sekisho more { type ipv4_addr; }",
		"insert rule inet sekisho forward accept",
		"replace rule inet sekisho forward handle HANDLE accept",
		"replace rule inet sekisho forward handle HANDLE meta mark and 0xffff0000 != 0xa5c30000 counter name forward-unmarked accept",
		"flush set inet sekisho internet-devices",
		"delete element inet sekisho internet-devices { in0 }; add element inet sekisho internet-devices { xyz0 }",
		"delete element inet sekisho my-number-v4 { 198.18.10.0/24 }; add element inet sekisho my-number-v4 { 198.18.11.0/24 }",
	} {
		if p, err := Install(o); err != nil || p != want {
			t.Fatalf("installed again: print %x, %v; want %x", p, err, want)
		}
		_, rest, _ := strings.Cut(netlab.Run(t, "", "nft", "-a", "list", "chain", "inet", "sekisho", "forward"), "forward-unmarked")
		_, rest, _ = strings.Cut(rest, "# handle ")
		handle, _, _ := strings.Cut(rest, "\n")
		netlab.Run(t, "", "nft", strings.ReplaceAll(harm, "HANDLE", handle))
		if p, err := Look(); err != nil || p == want {
			t.Errorf("nft %s: print %x, %v: nobody would notice", harm, p, err)
		}
	}
	// A change elsewhere is nobody's business.
	if _, err := Install(o); err != nil {
		t.Fatal(err)
	}
	netlab.Run(t, "", "nft", "add table inet elsewhere; add chain inet elsewhere sekisho")
	defer netlab.Run(t, "", "nft", "delete table inet elsewhere")
	if p, err := Look(); err != nil || p != want {
		t.Errorf("after a change of another table: print %x, %v; want %x", p, err, want)
	}
}

// Whoever waits for changes is told of each.
func TestChangesAreTold(t *testing.T) {
	newTown(t, 0)
	ctx, stop := context.WithCancel(t.Context())
	told, ended := make(chan struct{}, 100), make(chan error)
	go func() { ended <- Changes(ctx, func() { told <- struct{}{} }) }()
	wait := func(what string) {
		t.Helper()
		select {
		case <-told:
		case <-time.After(5 * time.Second):
			t.Errorf("not told of %s", what)
		}
	}
	wait("the beginning")
	install(t, options(t))
	wait("an installation")
	for len(told) > 0 {
		<-told
	}
	netlab.Run(t, "", "nft", "insert rule inet sekisho forward accept")
	wait("a rule more")
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("goes on listening after its end")
	}
}
