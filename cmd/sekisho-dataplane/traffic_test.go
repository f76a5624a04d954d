package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/controlplane/config/examples"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// Traffic of real stacks that is counted to the last packet, through every allowed pair of zones, while everything around
// it changes; and traffic between zones that may never meet, looked for on every wire.

// trafficConfig is the lab's town with a record for every pair of zones that may meet.
func trafficConfig(t *testing.T) []byte {
	t.Helper()
	doc := examples.Lab
	for _, r := range [][2]string{
		{"ports: [tcp/443], name: {ja: eLTAX", "ports: [tcp/443, udp/7000], name: {ja: eLTAX"},
		{"ports: [tcp/80, tcp/443], name: {ja: 外部ウェブ", "ports: [tcp/80, tcp/443, udp/7000], name: {ja: 外部ウェブ"},
		{"\ngroups:\n", `
  - {id: desk, segment: mn-office, addresses: [198.18.10.11, "2001:db8:10::11"], ports: [tcp/443, udp/7000], name: {ja: 窓口, en: Desk}}

groups:
`},
		{"\nlines:\n", trafficRecord("to-desk", "lg-pc1", "desk") + trafficRecord("lg-web", "lg-pc1", "web") + trafficRecord("in-asp", "in-pc1", "eltax") + "\nlines:\n"},
	} {
		if !bytes.Contains(doc, []byte(r[0])) {
			t.Fatalf("the example has no %q", r[0])
		}
		doc = bytes.Replace(doc, []byte(r[0]), []byte(r[1]), 1)
	}
	return doc
}

func trafficRecord(id, station, service string) string {
	return fmt.Sprintf(`  - id: %s
    name: {ja: 試験, en: Test}
    from: {stations: [%s]}
    to: {services: [%s]}
    ports: []
    purpose: 試験
    basis: 試験
    owner: 試験
    until: 2036-03-31
`, id, station, service)
}

// pair is one way for traffic; allowed tells whether a record permits it.
type pair struct {
	from, to string
	allowed  bool
}

// The last two could have a record: only the whole decision keeps them apart.
const withoutRecord = 2

var pairs = []pair{
	{"mn-pc1", "lg-asp", true}, {"lg-pc1", "mn-pc1", true}, {"lg-pc1", "lg-asp", true},
	{"lg-pc1", "in-web", true}, {"in-pc1", "lg-asp", true}, {"in-pc1", "in-web", true},

	{"mn-pc1", "in-web", false}, {"mn-pc1", "in-pc1", false}, {"in-web", "mn-pc1", false}, {"in-pc1", "mn-pc1", false}, // I1
	{"mn-pc1", "noc", false}, {"noc", "mn-pc1", false}, {"noc", "lg-asp", false}, {"in-web", "noc", false}, // I13
	{"lg-asp", "mn-pc1", false}, {"in-web", "lg-asp", false},
}

func (p pair) String() string { return p.from + " -> " + p.to }

// talk is UDP from one host to another and back, each packet numbered. Its mark is in every packet.
type talk struct {
	pair
	mark      [8]byte
	sent      uint64
	there     sync.Map // numbers that arrived
	back      sync.Map
	stop, end chan struct{}
	gap       atomic.Int64 // ns between packets
}

var talks atomic.Uint64

// between opens the sockets; nothing is sent yet.
func (w *town) between(t *testing.T, p pair, v6 bool) *talk {
	t.Helper()
	k := &talk{pair: p, stop: make(chan struct{}), end: make(chan struct{})}
	copy(k.mark[:], "SKSH")
	binary.BigEndian.PutUint32(k.mark[4:], uint32(talks.Add(1)))
	k.gap.Store(int64(4 * time.Millisecond))
	var server, client *net.UDPConn
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(hostAddr(t, p.to, v6), 7000))
	netlab.Do(t, p.to, func() (err error) {
		// Several talks share the port of a host: each has a socket for its peer only.
		l := net.ListenConfig{Control: reusePort}
		c, err := l.ListenPacket(t.Context(), "udp", to.String())
		if err == nil {
			server = c.(*net.UDPConn)
		}
		return err
	})
	netlab.Do(t, p.from, func() (err error) {
		client, err = net.DialUDP("udp", nil, to)
		return err
	})
	// Connected to the client, the server's socket takes its packets alone.
	if err := connect(server, client.LocalAddr().(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
	go k.answer(server)
	go k.hear(client)
	go k.say(client)
	t.Cleanup(func() {
		k.finish()
		client.Close()
		server.Close()
	})
	return k
}

func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	if err2 := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); err2 != nil {
		return err2
	}
	return err
}

func connect(c *net.UDPConn, to *net.UDPAddr) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var sa unix.Sockaddr
	if a, ok := netip.AddrFromSlice(to.IP); ok && a.Unmap().Is4() {
		sa = &unix.SockaddrInet4{Port: to.Port, Addr: a.Unmap().As4()}
	} else {
		sa = &unix.SockaddrInet6{Port: to.Port, Addr: a.As16()}
	}
	if err2 := raw.Control(func(fd uintptr) { err = unix.Connect(int(fd), sa) }); err2 != nil {
		return err2
	}
	return err
}

const talkSize = 64

func (k *talk) say(c *net.UDPConn) {
	defer close(k.end)
	b := make([]byte, talkSize)
	copy(b, k.mark[:])
	for {
		select {
		case <-k.stop:
			return
		case <-time.After(time.Duration(k.gap.Load())):
		}
		n := atomic.AddUint64(&k.sent, 1)
		binary.BigEndian.PutUint64(b[8:], n)
		_, _ = c.Write(b) // refused by an answer to an earlier one: that one counts as lost
	}
}

func (k *talk) number(b []byte) (uint64, bool) {
	return binary.BigEndian.Uint64(b[8:]), bytes.Equal(b[:8], k.mark[:])
}

// answer sends every packet back. The socket is connected: WriteTo an address is not for it.
func (k *talk) answer(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	b := make([]byte, 2*talkSize)
	for {
		n, _, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			if isClosed(err) {
				return
			}
			continue
		}
		if i, ok := k.number(b); ok && n == talkSize {
			k.there.Store(i, true)
			_ = raw.Write(func(fd uintptr) bool { _, err = unix.Write(int(fd), b[:n]); return err != unix.EAGAIN })
		}
	}
}

func (k *talk) hear(c *net.UDPConn) {
	b := make([]byte, 2*talkSize)
	for {
		n, err := c.Read(b)
		if err != nil {
			if isClosed(err) {
				return
			}
			continue
		}
		if i, ok := k.number(b); ok && n == talkSize {
			k.back.Store(i, true)
		}
	}
}

func isClosed(err error) bool {
	return err != nil && (err == net.ErrClosed || bytes.Contains([]byte(err.Error()), []byte("use of closed")))
}

func (k *talk) finish() {
	select {
	case <-k.stop:
	default:
		close(k.stop)
	}
	<-k.end
}

// lost is how many of the packets (from, upTo] did not arrive, and of how many the echo did not.
func (k *talk) lost(from, upTo uint64) (there, back int) {
	for i := from + 1; i <= upTo; i++ {
		if _, ok := k.there.Load(i); !ok {
			there++
		}
		if _, ok := k.back.Load(i); !ok {
			back++
		}
	}
	return there, back
}

func (k *talk) sentSoFar() uint64 { return atomic.LoadUint64(&k.sent) }

func (k *talk) heard(n uint64) bool { _, ok := k.back.Load(n); return ok }

// flows waits until a packet that is sent from now on is answered.
func (k *talk) flows(t *testing.T) {
	t.Helper()
	from := k.sentSoFar()
	netlab.Until(t, 5*time.Second, k.String()+" answered", func() bool {
		for n := k.sentSoFar(); n > from; n-- {
			if k.heard(n) {
				return true
			}
		}
		return false
	})
}

func hostAddr(t *testing.T, name string, v6 bool) netip.Addr {
	t.Helper()
	for _, h := range hosts() {
		if h.name != name {
			continue
		}
		for _, a := range h.addrs {
			if p := netip.MustParsePrefix(a); p.Addr().Is6() == v6 {
				return p.Addr()
			}
		}
	}
	t.Fatalf("host %s has no such address (IPv6: %v)", name, v6)
	return netip.Addr{}
}

// long is a TCP connection on which one byte a few milliseconds goes there and back.
type long struct {
	pair
	client, server *net.TCPConn
	broken         atomic.Bool
	rounds         atomic.Uint64
}

func (w *town) connection(t *testing.T, p pair, v6 bool) *long {
	t.Helper()
	k := &long{pair: p}
	addr := net.JoinHostPort(hostAddr(t, p.to, v6).String(), "443")
	accepted := make(chan *net.TCPConn, 1)
	var l net.Listener
	netlab.Do(t, p.to, func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	go func() {
		c, err := l.Accept()
		l.Close()
		if err == nil {
			accepted <- c.(*net.TCPConn)
		}
	}()
	netlab.Do(t, p.from, func() error {
		c, err := net.DialTimeout("tcp", addr, 8*time.Second)
		if err == nil {
			k.client = c.(*net.TCPConn)
		}
		return err
	})
	k.server = <-accepted
	t.Cleanup(func() {
		k.client.Close()
		k.server.Close()
	})
	go io.Copy(k.server, k.server)
	go func() {
		b := make([]byte, 1)
		for n := byte(0); ; n++ {
			if _, err := k.client.Write([]byte{n}); err != nil {
				k.broken.Store(true)
				return
			}
			if _, err := io.ReadFull(k.client, b); err != nil || b[0] != n {
				k.broken.Store(true)
				return
			}
			k.rounds.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return k
}

// resent is how many segments were sent again by either end.
func (k *long) resent(t *testing.T) (n uint32) {
	t.Helper()
	for _, c := range []*net.TCPConn{k.client, k.server} {
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil {
				n += info.Total_retrans
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// traffic is all that goes on at once.
type traffic struct {
	allowed, forbidden []*talk
	long               []*long
	wires              map[string]*netlab.Capture // by host
}

func (w *town) traffic(t *testing.T) *traffic {
	t.Helper()
	x := &traffic{wires: map[string]*netlab.Capture{}}
	for _, h := range hosts() {
		x.wires[h.name] = netlab.Listen(t, h.name, "eth0")
	}
	for _, v6 := range []bool{false, true} {
		for _, p := range pairs {
			if v6 && (p.from == "noc" || p.to == "noc") {
				continue
			}
			k := w.between(t, p, v6)
			if p.allowed {
				x.allowed = append(x.allowed, k)
				x.long = append(x.long, w.connection(t, p, v6))
			} else {
				k.gap.Store(int64(20 * time.Millisecond))
				x.forbidden = append(x.forbidden, k)
			}
		}
	}
	for _, k := range x.allowed {
		k.flows(t)
	}
	return x
}

// keeps does something and tells of every packet of the permitted talks that is lost meanwhile, there or back.
func (x *traffic) keeps(t *testing.T, f func()) {
	t.Helper()
	from := make([]uint64, len(x.allowed))
	resent := make([]uint32, len(x.long))
	rounds := make([]uint64, len(x.long))
	for i, k := range x.allowed {
		from[i] = k.sentSoFar()
	}
	for i, k := range x.long {
		resent[i], rounds[i] = k.resent(t), k.rounds.Load()
	}
	f()
	total := uint64(0)
	for i, k := range x.allowed {
		upTo := k.sentSoFar()
		netlab.Until(t, 5*time.Second, "the last packets of "+k.String(), func() bool { return k.sentSoFar() > upTo+20 })
		if there, back := k.lost(from[i], upTo); there+back > 0 {
			t.Errorf("%s: of %d packets %d did not arrive, %d were not answered", k, upTo-from[i], there, back)
		}
		total += upTo - from[i]
	}
	for i, k := range x.long {
		if n := k.resent(t) - resent[i]; n > 0 || k.broken.Load() || k.rounds.Load() == rounds[i] {
			t.Errorf("TCP %s: %d segments sent again, broken %v, %d rounds", k, n, k.broken.Load(), k.rounds.Load()-rounds[i])
		}
	}
	t.Logf("%d packets of permitted talks, none lost", total)
}

// astray counts packets of any talk that were seen where they have no business: a forbidden one anywhere but at its sender, a permitted
// one anywhere but at its two ends.
func (x *traffic) astray(t *testing.T) {
	t.Helper()
	may := map[[8]byte][]string{}
	for _, k := range x.allowed {
		may[k.mark] = []string{k.from, k.to}
	}
	for _, k := range x.forbidden {
		may[k.mark] = []string{k.from}
		there := 0
		k.there.Range(func(any, any) bool { there++; return true })
		if there > 0 {
			t.Errorf("%s: %d packets arrived", k, there)
		}
		if k.sentSoFar() == 0 {
			t.Errorf("%s: nothing was sent", k)
		}
	}
	for host, c := range x.wires {
		wrong, right := 0, 0
		for _, f := range c.Frames() {
			for at := bytes.Index(f, []byte("SKSH")); at >= 0 && at+8 <= len(f); at = -1 {
				if slices.Contains(may[[8]byte(f[at:])], host) {
					right++
				} else {
					wrong++
				}
			}
		}
		if right == 0 && slices.ContainsFunc(x.allowed, func(k *talk) bool { return k.to == host }) {
			t.Errorf("nothing was seen on the wire of %s: nobody would have seen what went astray", host)
		}
		if wrong > 0 {
			t.Errorf("%d packets were seen on the wire of %s, where they have no business (beside %d that have)", wrong, host, right)
		}
	}
}

func TestTrafficSurvivesEverythingAroundIt(t *testing.T) {
	w := newTownOf(t, trafficConfig(t))
	w.start(t)
	w.mustApply(t, w.compile(t))
	x := w.traffic(t)
	until := time.Now().Unix()/60 + 60 // minute; comes soon when a test says so
	t.Run("nothing happens", func(t *testing.T) { x.keeps(t, func() { time.Sleep(300 * time.Millisecond) }) })
	t.Run("paths", func(t *testing.T) { w.checkPaths(t) })
	t.Run("commits", func(t *testing.T) {
		x.keeps(t, func() {
			for i := range 6 {
				g := w.compile(t)
				g.Revision = fmt.Sprint("commit-", i)
				g.Tables.Revision = g.Revision
				if i%2 == 0 { // a record that none of the traffic needs goes and comes back
					g.Tables.Cells = slices.DeleteFunc(g.Tables.Cells, cellOf(g, "resident-general"))
				}
				ends(&g, "to-desk", until)
				w.mustApply(t, g)
			}
		})
	})
	t.Run("the dataplane dies", func(t *testing.T) {
		x.keeps(t, func() {
			w.stop(t) // kill -9
			time.Sleep(1500 * time.Millisecond)
		})
	})
	t.Run("a record ends while the dataplane is dead", func(t *testing.T) { w.checkEnd(t, x, "lg-pc1", "mn-pc1", until) })
	t.Run("a neighbour's MAC changes while the dataplane is dead", func(t *testing.T) { w.checkSilentMAC(t, x) })
	t.Run("and comes back with new programs", func(t *testing.T) {
		x.keeps(t, func() {
			w.start(t)
			netlab.Until(t, 10*time.Second, "revision in force", func() bool { return w.status(t).Revision == "commit-5" })
			time.Sleep(300 * time.Millisecond)
		})
	})
	t.Run("the backstop is flushed", func(t *testing.T) {
		x.keeps(t, func() {
			w.signal(t, syscall.SIGSTOP)
			netlab.Run(t, "", "nft", "flush", "ruleset")
			time.Sleep(300 * time.Millisecond)
			w.signal(t, syscall.SIGCONT)
			time.Sleep(300 * time.Millisecond)
		})
	})
	t.Run("harm", func(t *testing.T) { w.checkHarm(t, x) })
	t.Run("nothing went astray", func(t *testing.T) { x.astray(t) })
}

// checkSilentMAC gives a host another MAC that it tells nobody: it asks for no neighbour and announces nothing, as a machine
// whose card was exchanged, or a pair whose second half took over. Only what the programs and the kernel do by themselves helps.
func (w *town) checkSilentMAC(t *testing.T, x *traffic) {
	const host, limit = "lg-asp", 6 * time.Second
	for _, r := range []string{
		"add table arp quiet; add chain arp quiet out { type filter hook output priority 0; }; add rule arp quiet out arp operation request drop",
		"add table ip6 quiet; add chain ip6 quiet out { type filter hook output priority 0; }; add rule ip6 quiet out icmpv6 type nd-neighbor-solicit drop",
	} {
		netlab.Run(t, host, "nft", r)
	}
	gate, err := net.InterfaceByName("lga0")
	if err != nil {
		t.Fatal(err)
	}
	quiet := func() { // changing the MAC makes the host forget its neighbours, and it may not ask
		for _, a := range []string{"198.18.21.1", "2001:db8:21::1"} {
			netlab.Run(t, host, "ip", "neigh", "replace", a, "lladdr", gate.HardwareAddr.String(), "dev", "eth0", "nud", "permanent")
		}
	}
	quiet()
	netlab.Run(t, host, "ip", "link", "set", "eth0", "address", "02:53:4b:21:00:99")
	changed := time.Now()
	from := map[*talk]uint64{}
	for _, k := range x.allowed {
		from[k] = k.sentSoFar()
	}
	quiet()
	for _, k := range x.allowed {
		if k.to != host {
			continue
		}
		first := from[k]
		netlab.Until(t, limit+4*time.Second, k.String()+" arriving again", func() bool {
			for n := k.sentSoFar(); n > first; n-- {
				if _, ok := k.there.Load(n); ok && k.heard(n) {
					return true
				}
			}
			return false
		})
		if took := time.Since(changed); took > limit {
			t.Errorf("%s: recovered after %s, want %s at most", k, took, limit)
		} else {
			t.Logf("%s: recovered after %s", k, took)
		}
	}
	x.settled(t)
	netlab.Run(t, host, "nft", "flush ruleset")
}

// checkPaths: what a path's hosts and the gate tell a sender arrives: that a packet lived too long, that it is too big, that
// nobody listens.
func (w *town) checkPaths(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		to := netip.AddrPortFrom(hostAddr(t, "lg-asp", v6), 7000)
		gate := netip.MustParseAddr("198.18.10.1")
		if v6 {
			gate = netip.MustParseAddr("2001:db8:10::1")
		}
		if from, err := w.send(t, "mn-pc1", to, 1, 100); err != unix.EHOSTUNREACH || from != gate {
			t.Errorf("%s at hop limit 1: %v from %s, want that it lived too long, from %s", to, err, from, gate)
		}
		if from, err := w.send(t, "mn-pc1", to, 64, 100); err != unix.ECONNREFUSED || from != to.Addr() {
			t.Errorf("%s, where nobody listens: %v from %s, want the host's refusal", to, err, from)
		}
	}
	netlab.Run(t, "", "ip", "link", "set", "lga0", "mtu", "1400") // the gate's side only: the hosts believe in 1500
	defer netlab.Run(t, "", "ip", "link", "set", "lga0", "mtu", "1500")
	for _, v6 := range []bool{false, true} {
		to := netip.AddrPortFrom(hostAddr(t, "lg-asp", v6), 7000)
		_, err := w.send(t, "mn-pc1", to, 64, 1420)
		if err == unix.EAGAIN { // what the kernel said of a next hop is believed for a second, its MTU with it: that is over now
			_, err = w.send(t, "mn-pc1", to, 64, 1420)
		}
		if err != unix.EMSGSIZE {
			t.Errorf("%s, packet too big: %v, want to be told", to, err)
		}
		w.bulk(t, "mn-pc1", netip.AddrPortFrom(to.Addr(), 443))
	}
	for _, c := range []string{"-4", "-6"} { // so that what follows begins as before
		netlab.Run(t, "mn-pc1", "ip", c, "route", "flush", "cache")
	}
}

// send sends one datagram that must not be fragmented, and gives the ICMP error that comes back, with its sender.
func (w *town) send(t *testing.T, from string, to netip.AddrPort, hops, size int) (netip.Addr, unix.Errno) {
	t.Helper()
	var fd int
	netlab.Do(t, from, func() (err error) {
		tv := unix.Timeval{Sec: 2}
		if to.Addr().Is4() {
			if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
				return err
			}
			err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, 1), unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TTL, hops),
				unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO),
				unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}))
		} else {
			if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
				return err
			}
			err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVERR, 1), unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, hops),
				unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO),
				unix.Connect(fd, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}))
		}
		return errors.Join(err, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	})
	defer unix.Close(fd)
	if _, err := unix.Write(fd, make([]byte, size)); err != nil {
		return netip.Addr{}, errno(err)
	}
	_, err := unix.Read(fd, make([]byte, 1)) // waits for the error
	var out [512]byte
	_, n, _, _, err2 := unix.Recvmsg(fd, make([]byte, 1), out[:], unix.MSG_ERRQUEUE)
	if err2 != nil {
		return netip.Addr{}, errno(err)
	}
	// struct cmsghdr, struct sock_extended_err (16 bytes), then the sender's address.
	const offender = unix.SizeofCmsghdr + 16
	if to.Addr().Is4() && n >= offender+8 {
		return netip.AddrFrom4([4]byte(out[offender+4:])), errno(err)
	}
	if to.Addr().Is6() && n >= offender+24 {
		return netip.AddrFrom16([16]byte(out[offender+8:])), errno(err)
	}
	return netip.Addr{}, errno(err)
}

func errno(err error) unix.Errno {
	var n unix.Errno
	errors.As(err, &n)
	return n
}

// bulk sends more than a window of full segments over TCP and waits until the last byte is there.
func (w *town) bulk(t *testing.T, from string, to netip.AddrPort) {
	t.Helper()
	host := "lg-asp"
	var l net.Listener
	netlab.Do(t, host, func() (err error) {
		l, err = net.Listen("tcp", to.String())
		return err
	})
	defer l.Close()
	got := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(8 * time.Second))
		n, _ := io.Copy(io.Discard, c)
		got <- n
	}()
	const size = 500_000
	netlab.Do(t, from, func() error {
		c, err := net.DialTimeout("tcp", to.String(), 8*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(make([]byte, size))
		return err
	})
	if n := <-got; n != size {
		t.Errorf("%d of %d bytes reached %s by a path of a smaller MTU", n, size, to)
	}
}

// checkHarm breaks one part after the other by hand while nobody can repair it. Permitted talks may suffer; what is seen on the wires
// in the end is what the parts that are left let through.
func (w *town) checkHarm(t *testing.T, x *traffic) {
	var ports []string
	for _, h := range hosts() {
		ports = append(ports, h.port)
	}
	hurt := func(what string, f func()) {
		t.Helper()
		w.signal(t, syscall.SIGSTOP)
		f()
		time.Sleep(200 * time.Millisecond)
		w.signal(t, syscall.SIGCONT)
		for _, k := range x.allowed {
			k.flows(t)
		}
		t.Logf("%s: and everything flows again", what)
	}
	detach := func(port, hook string) {
		t.Helper()
		l := w.link(t, port, hook)
		defer l.Close()
		if err := l.Detach(); err != nil {
			t.Fatal(err)
		}
	}
	everywhere := func(via string) { // a route for whatever has none
		t.Helper()
		addr := hostAddr(t, via, false)
		dev := map[string]string{"in-web": "inw0", "region1": "wan0"}[via]
		netlab.Run(t, "", "ip", "route", "replace", "default", "via", addr.String(), "dev", dev, "onlink")
	}
	hurt("XDP programs removed", func() {
		for _, p := range ports {
			detach(p, "xdp")
		}
	})
	hurt("tcx ingress programs removed", func() {
		for _, p := range ports {
			detach(p, "ingress")
		}
	})
	hurt("a port without any program but that at its way out", func() {
		for _, hook := range []string{"xdp", "ingress"} {
			detach("mn0", hook)
			detach("inw0", hook)
		}
	})
	hurt("every program removed: the backstop alone", func() {
		for _, p := range ports {
			for _, hook := range []string{"xdp", "ingress", "egress"} {
				detach(p, hook)
			}
		}
	})
	hurt("routes deleted, a default route to the internet", func() {
		everywhere("in-web")
		for _, r := range [][]string{{"198.18.21.0/24", "lga0"}, {"198.18.10.0/24", "mn0"}, {"2001:db8:21::/64", "lga0"}} {
			netlab.Run(t, "", "ip", "route", "del", r[0], "dev", r[1])
		}
	})
	hurt("a port down, a default route to the line", func() {
		everywhere("region1")
		netlab.Run(t, "", "ip", "link", "set", "lga0", "down")
	})
	netlab.Run(t, "", "ip", "route", "del", "default", "via", hostAddr(t, "region1", false).String())
	for _, k := range x.forbidden {
		if slices.Contains(pairs[len(pairs)-withoutRecord:], k.pair) {
			k.gap.Store(int64(time.Hour)) // the egress program cannot know
		}
	}
	time.Sleep(50 * time.Millisecond)
	hurt("classifiers replaced by one that redirects everything", func() {
		for _, to := range ports {
			p := w.careless(t, to)
			for _, port := range ports {
				l := w.link(t, port, "xdp")
				if err := l.Update(p); err != nil {
					t.Fatal(err)
				}
				l.Close()
			}
			p.Close()
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// link opens the pinned link of a port.
func (w *town) link(t *testing.T, port, hook string) link.Link {
	t.Helper()
	l, err := link.LoadPinnedLink(w.pin(t, "links", port+"-"+hook), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (w *town) pin(t *testing.T, kind, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.instance.BPF(), "*", kind, name))
	if err != nil || len(found) != 1 {
		t.Fatalf("pins of %s: %v, %v", name, found, err)
	}
	return found[0]
}

// careless is a classifier that redirects every frame to one port, whatever it is.
func (w *town) careless(t *testing.T, to string) *ebpf.Program {
	t.Helper()
	exits, err := ebpf.LoadPinnedMap(w.pin(t, "maps", "egress_ports"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer exits.Close()
	i, err := net.InterfaceByName(to)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R1, exits.FD()),
		asm.Mov.Imm(asm.R2, int32(i.Index)),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRedirectMap.Call(),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ends lets a record end with a minute.
func ends(g *gate.Generation, record string, until int64) {
	for i := range g.Tables.Rules {
		if slices.Contains(g.Tables.Rules[i].Records, record) {
			g.Tables.Rules[i].Until = until
		}
	}
}

// checkEnd puts the programs' clock shortly before the minute with which the record of one pair ends: its traffic, and no other,
// ends there.
func (w *town) checkEnd(t *testing.T, x *traffic, from, to string, until int64) {
	clock, err := ebpf.LoadPinnedMap(w.pin(t, "maps", "wall_clock"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer clock.Close()
	var now struct { // struct clock
		TAIMinusUTC  int64
		Floor, Spare uint32
	}
	if err := clock.Lookup(uint32(0), &now); err != nil {
		t.Fatal(err)
	}
	const before = 2500 * time.Millisecond // more than the second for which a CPU may keep the time
	set := now
	end := time.Now().Add(before)
	set.TAIMinusUTC -= time.Unix(until*60, 0).Sub(end).Nanoseconds()
	if err := clock.Put(uint32(0), set); err != nil {
		t.Fatal(err)
	}
	var ended []*talk
	for _, k := range x.allowed {
		if k.from == from && k.to == to {
			ended = append(ended, k)
		}
	}
	others := &traffic{}
	for _, k := range x.allowed {
		if !slices.Contains(ended, k) {
			others.allowed = append(others.allowed, k)
		}
	}
	for _, k := range x.long {
		if k.from != from || k.to != to {
			others.long = append(others.long, k)
		}
	}
	at := func(d time.Duration) (n []uint64) { // what was sent by then
		time.Sleep(time.Until(end.Add(d)))
		for _, k := range ended {
			n = append(n, k.sentSoFar())
		}
		return n
	}
	others.keeps(t, func() {
		early, just, late := at(-500*time.Millisecond), at(-100*time.Millisecond), at(300*time.Millisecond)
		last := at(1500 * time.Millisecond)
		for i, k := range ended {
			if there, back := k.lost(early[i], just[i]); there+back > 0 {
				t.Errorf("%s: %d packets did not arrive and %d were not answered in the last half second of the record", k, there, back)
			}
			if there, _ := k.lost(late[i], last[i]); uint64(there) != last[i]-late[i] || last[i] == late[i] {
				t.Errorf("%s: %d of %d packets arrived after the record had ended", k, last[i]-late[i]-uint64(there), last[i]-late[i])
			}
		}
	})
	if err := clock.Put(uint32(0), now); err != nil {
		t.Fatal(err)
	}
	for _, k := range ended {
		k.flows(t)
	}
	x.settled(t)
}

// settled waits until TCP is through: it waits longer each time it sends again.
func (x *traffic) settled(t *testing.T) {
	t.Helper()
	for _, k := range x.long {
		rounds := k.rounds.Load()
		netlab.Until(t, 6*time.Second, "TCP "+k.String()+" going on", func() bool { return k.rounds.Load() > rounds })
	}
}

// cellOf finds the cells of a record.
func cellOf(g gate.Generation, record string) func(packet.Cell) bool {
	rules := map[uint32]bool{}
	for _, r := range g.Tables.Rules {
		rules[r.ID] = slices.Contains(r.Records, record)
	}
	return func(c packet.Cell) bool { return rules[c.Rule] }
}
