package packet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// A small town in namespaces that a test makes: a gate with guarded ports and one host behind each. The test's goroutine
// stays on a thread in the gate's namespace.

type host struct {
	name, port string
	ns         string
	mac        string
	gate       []string // the gate's address with prefix length, one per family
	addr       []string
}

var townHosts = []host{
	{name: "mnpc", port: "mn0", mac: "02:00:00:00:10:11", gate: []string{"198.18.10.1/24", "2001:db8:10::1/64"}, addr: []string{"198.18.10.11/24", "2001:db8:10::11/64"}},
	{name: "lgasp", port: "lga0", mac: "02:00:00:00:21:11", gate: []string{"198.18.21.1/24", "2001:db8:21::1/64"}, addr: []string{"198.18.21.11/24", "2001:db8:21::11/64"}},
	{name: "inweb", port: "inw0", mac: "02:00:00:00:30:11", gate: []string{"203.0.113.1/24", "2001:db8:31::1/64"}, addr: []string{"203.0.113.11/24", "2001:db8:31::11/64"}},
	{name: "noc", port: "mg0", mac: "02:00:00:00:40:11", gate: []string{"198.18.40.1/24"}, addr: []string{"198.18.40.11/24"}},
}

type town struct {
	t      *testing.T
	prefix string
	pins   string
	gate   string // namespace
	hosts  map[string]host
}

var towns atomic.Int32

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and loads BPF programs: run it as root")
	}
}

// run executes a command; its output goes into the failure.
func run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// newBPFFS mounts a bpffs for one test.
func newBPFFS(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bpf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatalf("mount a bpffs: %v", err)
	}
	t.Cleanup(func() {
		// Detached: a mount namespace that some other program is making just now holds a copy, which keeps this one busy.
		if err := errors.Join(Remove(dir), unix.Unmount(dir, unix.MNT_DETACH)); err != nil {
			t.Errorf("unmount the bpffs: %v", err)
		}
	})
	return dir
}

// enter makes a namespace and puts the test's thread into it until the test ends.
func enter(t testing.TB, name string) {
	t.Helper()
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() { run(t, "ip", "netns", "del", name) })
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.GetFromName(name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		t.Fatalf("enter namespace %s: %v", name, err)
	}
	t.Cleanup(func() {
		defer old.Close()
		// A thread that cannot go back stays locked and ends with its goroutine.
		if err := netns.Set(old); err != nil {
			t.Errorf("leave namespace %s: %v", name, err)
			return
		}
		runtime.UnlockOSThread()
	})
}

// newTown makes one; towns are apart, so their tests run side by side.
func newTown(t *testing.T) *town {
	t.Helper()
	needRoot(t)
	t.Parallel()
	w := &town{t: t, prefix: fmt.Sprintf("skp%d-%d", os.Getpid(), towns.Add(1)), hosts: map[string]host{}}
	w.pins = newBPFFS(t)
	w.gate = w.prefix + "-gw"
	enter(t, w.gate)
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
	for _, h := range townHosts {
		w.addHost(h)
	}
	return w
}

// addHost joins one host to the gate by a veth pair, prepared as a lab must prepare it.
func (w *town) addHost(h host) {
	t := w.t
	t.Helper()
	h.ns = w.prefix + "-" + h.name
	w.hosts[h.name] = h
	run(t, "ip", "netns", "add", h.ns)
	t.Cleanup(func() { run(t, "ip", "netns", "del", h.ns) })
	w.wire(h)
}

// wire makes the pair and its addresses.
func (w *town) wire(h host) {
	t := w.t
	t.Helper()
	run(t, "ip", "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.ns)
	in := func(args ...string) { run(t, append([]string{"ip", "netns", "exec", h.ns}, args...)...) }
	// Frames redirected into a veth need NAPI on the peer (GRO); tags and checksums must be in the frame.
	in("ethtool", "-K", "eth0", "gro", "on", "tx", "off", "txvlan", "off", "tso", "off", "gso", "off")
	in("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.eth0.accept_dad=0", "net.ipv6.conf.eth0.dad_transmits=0")
	in("ip", "link", "set", "lo", "up")
	in("ip", "link", "set", "eth0", "address", h.mac, "up")
	for i, a := range h.addr {
		in("ip", "addr", "add", a, "dev", "eth0", "nodad")
		run(t, "ip", "addr", "add", h.gate[i], "dev", h.port, "nodad")
	}
}

// up sets the ports up and gives hosts their default routes.
func (w *town) up() {
	t := w.t
	t.Helper()
	for _, f := range []string{"net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"} {
		run(t, "sysctl", "-qw", f)
	}
	for _, h := range w.hosts {
		run(t, "ip", "link", "set", h.port, "up")
		for i, g := range h.gate {
			gate, _, _ := strings.Cut(g, "/")
			family := [2]string{"-4", "-6"}[i]
			run(t, "ip", "netns", "exec", h.ns, "ip", family, "route", "replace", "default", "via", gate)
		}
	}
}

func (w *town) in(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", w.hosts[name].ns}, args...)...)
}

func (w *town) open() *Core {
	w.t.Helper()
	c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: townAnchors(), Log: slog.New(slog.DiscardHandler), Flows: 4096})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func prefixes(in ...string) (out []netip.Prefix) {
	for _, s := range in {
		out = append(out, netip.MustParsePrefix(s).Masked())
	}
	return out
}

func addrs(in ...string) (out []netip.Addr) {
	for _, s := range in {
		a, _, _ := strings.Cut(s, "/")
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

var townZones = map[string]anchors.Zone{"mn0": anchors.MyNumber, "lga0": anchors.LGWAN, "inw0": anchors.Internet, "mg0": anchors.Management}

func townAnchors() *anchors.Anchors {
	a := &anchors.Anchors{Version: 1, Name: "town"}
	for _, h := range townHosts {
		a.Segments = append(a.Segments, anchors.Segment{
			ID: h.port, Zone: townZones[h.port], Attach: anchors.AttachPort, Port: h.port,
			Prefixes: prefixes(h.gate...), Gate: addrs(h.gate...), Strict: true,
		})
	}
	return a
}

// townTables: each segment has a strict class for its prefix (1x), one for its host (2x) and one for the gate (3x).
func townTables(cells ...Cell) Tables {
	t := Tables{Revision: "test"}
	for i, h := range townHosts {
		id := uint16(i + 1)
		t.Segments = append(t.Segments, Segment{ID: id, Name: h.port, Zone: townZones[h.port], Port: h.port, Strict: true})
		for _, base := range []uint16{10, 20} {
			t.Classes = append(t.Classes, Class{ID: base + id, Segment: id, Kind: KindForward, Port: h.port, OnLink: true})
		}
		t.Classes = append(t.Classes, Class{ID: 30 + id, Segment: id, Kind: KindLocal, Port: h.port})
		mac, _ := ParseMAC(h.mac)
		for j := range h.gate {
			t.Prefixes = append(t.Prefixes, Prefix{Prefix: prefixes(h.gate[j])[0], Class: 10 + id, Segment: id})
			t.Hosts = append(t.Hosts,
				Host{Addr: addrs(h.addr[j])[0], Class: 20 + id, Segment: id, MAC: mac},
				Host{Addr: addrs(h.gate[j])[0], Class: 30 + id, Segment: id})
		}
	}
	t.Ports = []PortRange{
		{Proto: 6, Lo: 443, Hi: 443, Class: 1}, {Proto: 17, Lo: 53, Hi: 53, Class: 2},
		{Proto: 1, Lo: 8, Hi: 8, Class: 3}, {Proto: 58, Lo: 128, Hi: 128, Class: 3},
	}
	t.Rules = []Rule{{ID: 1, Records: []string{"first"}}, {ID: 2, Records: []string{"second"}}}
	t.Cells = cells
	return t
}

func swap(t testing.TB, c *Core, tables Tables) {
	t.Helper()
	s, err := c.Load(tables)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Swap(); err != nil {
		t.Fatal(err)
	}
}
