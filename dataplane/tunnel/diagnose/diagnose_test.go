package diagnose_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	. "github.com/sekisho/sekisho/dataplane/tunnel/diagnose"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/region"
)

// The test binary is also the engine process and the region's gateway.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == tunnel.ChildCommand {
		os.Exit(tunnel.Child(context.Background(), os.Stderr))
	}
	if len(os.Args) > 2 && os.Args[1] == "region" {
		fmt.Fprintln(os.Stderr, region.Run(context.Background(), os.Args[2], region.Options{Log: slog.New(slog.DiscardHandler)}))
		os.Exit(1)
	}
	os.Exit(netlab.Main(m))
}

const (
	carrier = "carrier"
	cloud   = "cloud"
)

// lab is a gate (the test's own namespace), a carrier's router and a region behind it.
type lab struct {
	t      *testing.T
	set    *tunnel.Set
	far    func(gateKey string, echo int) (stop func())
	gate   string // public key
	adjust func(*Subject)
}

func newLab(t *testing.T) *lab {
	t.Helper()
	netlab.New(t, carrier)
	netlab.New(t, cloud)
	netlab.Veth(t, "", "wan0", carrier, "c0")
	netlab.Veth(t, carrier, "c1", cloud, "eth0")
	for _, c := range [][]string{
		{"", "ip", "addr", "add", "192.0.2.1/24", "dev", "wan0"},
		{carrier, "ip", "addr", "add", "192.0.2.254/24", "dev", "c0"},
		{carrier, "ip", "addr", "add", "203.0.113.254/24", "dev", "c1"},
		{carrier, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0"},
		{cloud, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0"},
		{cloud, "ip", "addr", "add", "203.0.113.11/24", "dev", "eth0"},
		{cloud, "ip", "route", "add", "default", "via", "203.0.113.254"},
		{"", "ip", "route", "add", "default", "via", "192.0.2.254", "dev", "wan0"},
		{"", "ip", "route", "add", "unreachable", "198.51.100.0/26", "metric", "4278198272"},
	} {
		netlab.Run(t, c[0], c[1], c[2:]...)
	}
	t.Cleanup(func() { netlab.Run(t, "", "ip", "route", "flush", "table", "main", "type", "unreachable") })

	dir := t.TempDir()
	o := tunnel.Options{Control: filepath.Join(dir, "control"), Keys: filepath.Join(dir, "keys"), User: place.TunnelUser,
		Log: slog.New(slog.DiscardHandler), Probe: 50 * time.Millisecond}
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, set: tunnel.New(o), adjust: func(*Subject) {}}
	pub, err := l.set.PublicKeys([]string{"wg0"})
	if err != nil {
		t.Fatal(err)
	}
	l.gate = pub["wg0"]
	l.far = func(gateKey string, echo int) func() {
		conf := filepath.Join(dir, "region.yaml")
		text := fmt.Sprintf(`{device: wg0, private-key: %q, listen: 51820, addresses: [198.51.100.1/26], routes: [198.51.100.62/32], echo: %d, state: %q,
gate: {public-key: %q, endpoint: "192.0.2.1:51820", allowed: [198.51.100.62/32]}}`, key, echo, dir, gateKey)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		p := netlab.Start(t, cloud, exe, "region", conf)
		netlab.Until(t, 30*time.Second, "the region listens", func() bool {
			out, err := netlab.Try(cloud, "ss", "-Hlun", "sport", "=", ":51820")
			return err == nil && out != ""
		})
		return func() { p.Process.Kill(); p.Wait() }
	}
	t.Cleanup(func() {
		l.set.Close()
		if err := tunnel.Remove(o, []string{"wg0"}); err != nil {
			t.Error(err)
		}
	})
	spec := tunnel.Spec{Device: "wg0", Line: "wan0", Listen: 51820, MTU: 1420, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.62")},
		Peers: []tunnel.Peer{{ID: "tokyo", PublicKey: key.PublicKey().String(), Endpoint: netip.MustParseAddrPort("203.0.113.11:51820"),
			Allowed: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/26")}, Probe: netip.MustParseAddrPort("198.51.100.1:7"), Plain: true}}}
	if err := l.set.Apply(t.Context(), []tunnel.Spec{spec}); err != nil {
		t.Fatal(err)
	}
	l.routes()
	return l
}

// routes puts back what goes with a port that goes down.
func (l *lab) routes() {
	netlab.Run(l.t, "", "ip", "route", "replace", "default", "via", "192.0.2.254", "dev", "wan0")
	netlab.Run(l.t, "", "ip", "route", "replace", "198.51.100.0/26", "dev", "wg0", "src", "198.51.100.62")
}

func (l *lab) look() Result {
	l.t.Helper()
	s := Subjects(l.set)[0]
	s.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	s.Ways = []Way{{0, "wg0"}}
	l.adjust(&s)
	begun := time.Now()
	r := Run(l.t.Context(), s)
	if took := time.Since(begun); took > Limit+200*time.Millisecond {
		l.t.Errorf("took %v, want %v at most", took, Limit)
	}
	return r
}

// brief is every check's state and code, one a line.
func brief(r Result) string {
	var b strings.Builder
	r.Walk(func(r Result, depth int) {
		fmt.Fprintf(&b, "%s%s %s %s%s %q\n", strings.Repeat("  ", depth), r.ID, r.State, r.Code, r.Because, r.Args)
	})
	return b.String()
}

func (l *lab) well() {
	l.t.Helper()
	var last Result
	netlab.Until(l.t, 40*time.Second, "everything is well again", func() bool {
		last = l.look()
		well := true
		last.Walk(func(r Result, _ int) {
			well = well && (r.State == OK || r.State == Unknown && (r.ID == "dns" || r.ID == "application"))
		})
		return well || l.t.Failed()
	})
}

// fails holds that exactly this check failed, that what depends on it was skipped for it, and that nothing else was.
func (l *lab) fails(r Result, id, code string) {
	l.t.Helper()
	below := map[string]bool{}
	r.Walk(func(r Result, _ int) {
		if r.ID == id {
			r.Walk(func(b Result, _ int) { below[b.ID] = true })
		}
	})
	r.Walk(func(x Result, _ int) {
		if x.State != Skipped && len(x.Args) != Of(x.Code).Args {
			l.t.Errorf("%s: %d arguments %q, want %d", x.Code, len(x.Args), x.Args, Of(x.Code).Args)
		}
		switch {
		case x.ID == id && (x.State != Failed || x.Code != code):
			l.t.Errorf("%s: %s %s, want it to fail with %s\n%s", id, x.State, x.Code, code, brief(r))
		case x.ID != id && below[x.ID] && (x.State != Skipped || x.Because != id):
			l.t.Errorf("%s: %s because of %q, want it skipped because of %s\n%s", x.ID, x.State, x.Because, id, brief(r))
		case x.ID != id && !below[x.ID] && (x.State == Failed || x.State == Skipped):
			l.t.Errorf("%s: %s %s, want only %s to fail\n%s", x.ID, x.State, x.Code, id, brief(r))
		}
	})
}

// TestEachFaultIsNamed makes one fault after the other on a real line and looks.
func TestEachFaultIsNamed(t *testing.T) {
	l := newLab(t)
	stop := l.far(l.gate, 7)
	l.well()
	in := func(ns, command string) {
		l.t.Helper()
		f := strings.Fields(command)
		netlab.Run(l.t, ns, f[0], f[1:]...)
	}
	nft := func(rules string) {
		l.t.Helper()
		in(carrier, "nft add table ip f")
		netlab.Run(l.t, carrier, "nft", "add", "chain", "ip", "f", "way", "{ type filter hook forward priority 0; }")
		netlab.Run(l.t, carrier, "nft", "add", "chain", "ip", "f", "own", "{ type filter hook output priority 0; }")
		for _, r := range strings.Split(rules, ";") {
			in(carrier, "nft add rule ip f "+r)
		}
	}
	open := func() { in(carrier, "nft delete table ip f") }
	for _, c := range []struct {
		name     string
		make     func()
		id, code string
		mend     func()
	}{
		{"the port is not there", func() { l.adjust = func(s *Subject) { s.Line = "wan9" } }, "port", "port.missing", func() { l.adjust = func(*Subject) {} }},
		{"the port is down", func() { in("", "ip link set wan0 down") }, "port", "port.down", func() { in("", "ip link set wan0 up"); l.routes() }},
		{"no carrier", func() { in(carrier, "ip link set c0 down") }, "link", "link.none", func() { in(carrier, "ip link set c0 up"); l.routes() }},
		{"the address is gone", func() { in("", "ip addr del 192.0.2.1/24 dev wan0") }, "address", "address.gone",
			func() { in("", "ip addr add 192.0.2.1/24 dev wan0"); l.routes() }},
		{"somebody else has the address", func() { in(carrier, "ip addr add 192.0.2.1/32 dev c0") }, "address", "address.twice",
			func() { in(carrier, "ip addr del 192.0.2.1/32 dev c0") }},
		{"no route to the far end", func() { in("", "ip route del default") }, "gateway", "gateway.no-route", l.routes},
		{"the gateway is silent", func() {
			in(carrier, "ip link set c0 arp off")
			in(carrier, "ip link set c0 down")
			in(carrier, "ip link set c0 up")
		}, "gateway", "gateway.silent",
			func() { in(carrier, "ip link set c0 arp on") }},
		{"1400 on the way, told by ICMP", func() { in(carrier, "ip link set c1 mtu 1400") }, "mtu", "mtu.told",
			func() { in(carrier, "ip link set c1 mtu 1500"); in("", "ip route flush cache") }},
		{"1400 on the way, without ICMP", func() { nft("own icmp type destination-unreachable drop"); in(carrier, "ip link set c1 mtu 1400") }, "mtu", "mtu.silent",
			func() { in(carrier, "ip link set c1 mtu 1500"); open() }},
		{"the port carries less than the line", func() { l.adjust = func(s *Subject) { s.LineMTU = 1600 } }, "mtu", "mtu.port", func() { l.adjust = func(*Subject) {} }},
		{"UDP is filtered in silence", func() { nft("way udp dport 51820 drop") }, "reach", "reach.silent", open},
		{"UDP is refused on the way", func() { nft("way udp dport 51820 reject with icmp admin-prohibited") }, "reach", "reach.prohibited", open},
		{"no route at the carrier", func() { in(carrier, "ip route add unreachable 203.0.113.11/32") }, "reach", "reach.unreachable",
			func() { in(carrier, "ip route del unreachable 203.0.113.11/32") }},
		{"the route is removed by hand", func() { in("", "ip route del 198.51.100.0/26 dev wg0") }, "route", "route.missing", l.routes},
		{"the route leads elsewhere", func() { in("", "ip route replace 198.51.100.0/26 dev wan0") }, "route", "route.wrong", l.routes},
		{"nothing is unreachable beneath", func() { in("", "ip route del unreachable 198.51.100.0/26") }, "route", "route.open",
			func() { in("", "ip route add unreachable 198.51.100.0/26 metric 4278198272") }},
		{"other pairs are in force", func() {
			p := Pair{netip.MustParsePrefix("198.18.10.0/24"), netip.MustParsePrefix("198.18.110.0/24")}
			l.adjust = func(s *Subject) {
				s.Pairs, s.InUse = []Pair{p}, func() ([]Pair, error) { return []Pair{{p.Outside, p.Inside}}, nil }
			}
		}, "nat", "nat.other", func() { l.adjust = func(*Subject) {} }},
		{"the service is silent", func() {
			l.adjust = func(s *Subject) {
				s.Flows = func() ([]Flow, error) {
					return []Flow{{Service: netip.MustParseAddrPort("198.51.100.20:443"), Proto: "tcp", Out: 4}}, nil
				}
			}
		}, "application", "application.silent", func() { l.adjust = func(*Subject) {} }},
		{"the service refuses", func() {
			l.adjust = func(s *Subject) { s.Services = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:443")} }
		}, "application", "application.refuses", func() { l.adjust = func(*Subject) {} }},
		{"the far end has no echo", func() {
			in(cloud, "nft add table ip f")
			netlab.Run(l.t, cloud, "nft", "add", "chain", "ip", "f", "own", "{ type filter hook input priority 0; }")
			in(cloud, "nft add rule ip f own udp dport 7 reject")
			netlab.Until(l.t, 10*time.Second, "lost probes", func() bool { return !l.set.Status()[0].Up })
		}, "probe", "probe.silent", func() { in(cloud, "nft delete table ip f") }},
		{"nothing listens at the far end", stop, "reach", "reach.refused", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.t = t
			c.make()
			l.fails(l.look(), c.id, c.code)
			if c.mend != nil {
				c.mend()
				l.well()
			}
		})
	}
	l.t = t
}

// TestWrongKeys: the far end knows another gate, and says nothing, as WireGuard does.
func TestWrongKeys(t *testing.T) {
	l := newLab(t)
	other, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	l.far(other.PublicKey().String(), 7)
	r := l.look()
	l.fails(r, "handshake", "handshake.never")
}

// TestNameAndService asks a resolver in the region and connects to a service there.
func TestNameAndService(t *testing.T) {
	l := newLab(t)
	l.far(l.gate, 7)
	l.well()
	answer := netip.MustParseAddr("198.51.100.20")
	netlab.Do(t, cloud, func() error {
		c, err := net.ListenPacket("udp", "198.51.100.1:53")
		s, err2 := net.Listen("tcp", "198.51.100.1:443")
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		t.Cleanup(func() { c.Close(); s.Close() })
		go serveName(c, "core.example.", func() netip.Addr { return answer })
		return nil
	})
	l.adjust = func(s *Subject) {
		s.Resolver, s.Name = netip.MustParseAddrPort("198.51.100.1:53"), "core.example"
		s.Services = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:443")}
	}
	r := l.look()
	for id, code := range map[string]string{"dns": "dns.resolves", "application": "application.connects"} {
		if got := of(r, id); got.State != OK || got.Code != code {
			t.Errorf("%s: %s %s, want %s\n%s", id, got.State, got.Code, code, brief(r))
		}
	}
	answer = netip.MustParseAddr("203.0.113.80")
	l.fails(l.look(), "dns", "dns.outside")
	l.adjust = func(s *Subject) { s.Resolver, s.Name = netip.MustParseAddrPort("198.51.100.1:53"), "other.example" }
	l.fails(l.look(), "dns", "dns.failed")
}

func of(r Result, id string) (out Result) {
	r.Walk(func(x Result, _ int) {
		if x.ID == id {
			out = x
		}
	})
	return out
}

// serveName answers one name's address, and of all others that there is none.
func serveName(c net.PacketConn, name string, addr func() netip.Addr) {
	b := make([]byte, 512)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		switch {
		case q.Name.String() != name:
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: addr().As4()}}}
		}
		if out, err := m.Pack(); err == nil {
			c.WriteTo(out, from)
		}
	}
}

// TestLate: what there is no time for is unknown, and nothing that was not looked at is said to be broken.
func TestLate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	Run(ctx, Subject{Line: "lo"}).Walk(func(r Result, _ int) {
		if r.State != Unknown || r.Code != "late" {
			t.Errorf("%s: %s %s", r.ID, r.State, r.Code)
		}
	})
}

func TestEveryCodeBelongsToACheck(t *testing.T) {
	for _, c := range Codes() {
		id, _, dotted := strings.Cut(c, ".")
		if dotted && !slices.Contains(Checks(), id) {
			t.Errorf("%s: no check %q", c, id)
		}
	}
}
