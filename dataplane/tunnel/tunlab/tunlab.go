// Package tunlab is a gate with lines to cloud regions in network namespaces, for tests and measurements.
//
// Problem: a guarantee is kept by a gate, a far end and what lies between them together, so only a whole line can show it.
// Mechanism: real engines, shapers and far ends, and for each line a carrier that passes just what was contracted, in both
// directions, counted as IP packets, and drops what is more. Paced senders and receivers count what each class was given, second
// by second. Life cycle: New builds it up to tunnels that are up and plans that are in force; the test's end removes it.
// Invariant: nothing but the shapers under test keeps the offered traffic below the contract.
package tunlab

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// Config is what to build.
type Config struct {
	Lines   []Line
	Regions []string          // ids, each reached over every line; their shares of a line downstream are equal
	Classes []bandwidth.Class // on every line; guarantees are those of the whole line
	Far     []string          // program and arguments that run a far end; the path of its file follows
	Unkept  bool              // without shaping at either end: what an unshaped line does
}

// Line is one carrier's line; the gate's tunnel device on line i is wgI.
type Line struct {
	Up, Down uint64 // contract, bit/s of IP packets
}

// Lab is a gate (the namespace of the test), carriers and regions (a namespace each, by their ids).
type Lab struct {
	Set   *tunnel.Set
	Trees []bandwidth.Tree
	Plans map[string]plan.Plan
	c     Config
}

// Fixed numbers of the lab.
const (
	Overhead = 60 // bytes that WireGuard and the outer headers add over IPv4
	MTU      = 1420
	listen   = 51820
)

// Station is the address behind the gate that regions send to.
var Station = netip.MustParseAddr("198.18.10.1")

func device(line int) string { return fmt.Sprintf("wg%d", line) }

// prefix is a region's network; its first address is the far end's, the last but one the gate's own.
func prefix(region int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(64 * region)}), 26)
}

func far(region int) netip.Addr  { return netip.AddrFrom4([4]byte{198, 51, 100, byte(64*region + 1)}) }
func gate(region int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(64*region + 62)}) }

// New builds the lab; at most 3 regions.
func New(t testing.TB, c Config) *Lab {
	t.Helper()
	l := &Lab{c: c, Plans: map[string]plan.Plan{}}
	dir := t.TempDir()
	netlab.Run(t, "", "ip", "addr", "add", Station.String()+"/32", "dev", "lo")
	t.Cleanup(func() { netlab.Run(t, "", "ip", "addr", "del", Station.String()+"/32", "dev", "lo") })
	for _, r := range c.Regions {
		netlab.New(t, r)
	}
	for i := range c.Lines {
		l.carrier(t, i)
	}
	o := tunnel.Options{Control: filepath.Join(dir, "control"), Keys: filepath.Join(dir, "keys"), User: place.TunnelUser,
		Probe: 200 * time.Millisecond, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	l.Set = tunnel.New(o)
	var devices []string
	for i := range c.Lines {
		devices = append(devices, device(i))
	}
	t.Cleanup(func() {
		l.Set.Close()
		if err := tunnel.Remove(o, devices); err != nil {
			t.Error(err)
		}
	})
	public, err := l.Set.PublicKeys(devices)
	if err != nil {
		t.Fatal(err)
	}
	specs := l.ends(t, dir, public)
	for _, s := range specs {
		var classes []uint8
		for _, x := range c.Classes {
			classes = append(classes, x.ID)
		}
		l.Set.Classes(s.Device, classes)
	}
	if err := l.Set.Apply(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	for i := range c.Regions {
		netlab.Run(t, "", "ip", "route", "replace", prefix(i).String(), "dev", device(0), "src", gate(i).String())
	}
	l.shape(t)
	l.wait(t)
	return l
}

// carrier is a line: near is where the gate's packets enter it, beyond where the regions' do.
func (l *Lab) carrier(t testing.TB, i int) {
	t.Helper()
	near, beyond := fmt.Sprintf("near%d", i), fmt.Sprintf("beyond%d", i)
	netlab.New(t, near)
	netlab.New(t, beyond)
	wan := fmt.Sprintf("wan%d", i)
	netlab.Veth(t, "", wan, near, "in0")
	netlab.Veth(t, near, "up0", beyond, "down0")
	add := func(ns, dev, addr string) { netlab.Run(t, ns, "ip", "addr", "add", addr, "dev", dev) }
	net := func(last int) string { return fmt.Sprintf("192.0.2.%d/30", 16*i+last) }
	add("", wan, net(1))
	add(near, "in0", net(2))
	add(near, "up0", net(5))
	add(beyond, "down0", net(6))
	bare := func(last int) string { return strings.TrimSuffix(net(last), "/30") }
	netlab.Run(t, near, "ip", "route", "add", "default", "via", bare(6))
	netlab.Run(t, beyond, "ip", "route", "add", "default", "via", bare(5))
	for k, r := range l.c.Regions {
		out, eth := fmt.Sprintf("r%d", k), fmt.Sprintf("eth%d", i)
		netlab.Veth(t, beyond, out, r, eth)
		add(beyond, out, fmt.Sprintf("198.18.%d.1/30", 100+10*i+k))
		add(r, eth, fmt.Sprintf("198.18.%d.2/30", 100+10*i+k))
		netlab.Run(t, r, "ip", "route", "add", net(0), "via", fmt.Sprintf("198.18.%d.1", 100+10*i+k))
		netlab.Run(t, "", "ip", "route", "replace", fmt.Sprintf("198.18.%d.0/30", 100+10*i+k), "via", bare(2))
	}
	for _, ns := range []string{near, beyond} {
		netlab.Run(t, ns, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
	}
	for _, way := range []struct {
		ns, dev string
		rate    uint64
	}{{near, "up0", l.c.Lines[i].Up}, {beyond, "down0", l.c.Lines[i].Down}} {
		// The contract counts IP packets: the Ethernet header of the namespaces' devices is none of it.
		netlab.Run(t, way.ns, "tc", "qdisc", "add", "dev", way.dev, "root", "stab", "overhead", "-14", "tbf",
			"rate", fmt.Sprint(way.rate), "burst", "16000", "latency", "50ms")
	}
}

// ends starts the far ends and returns the gate's side of the tunnels.
func (l *Lab) ends(t testing.TB, dir string, public map[string]string) []tunnel.Spec {
	t.Helper()
	specs := make([]tunnel.Spec, len(l.c.Lines))
	for i := range specs {
		specs[i] = tunnel.Spec{Device: device(i), Line: fmt.Sprintf("wan%d", i), Contract: fmt.Sprintf("line-%d", i), Listen: uint16(listen + i), MTU: MTU}
	}
	for k, r := range l.c.Regions {
		allowed := []string{gate(k).String() + "/32", Station.String() + "/32"}
		var devices []map[string]any
		for i := range specs {
			key, err := wgtypes.GeneratePrivateKey()
			if err != nil {
				t.Fatal(err)
			}
			devices = append(devices, map[string]any{"device": device(i), "private-key": key.String(), "listen": listen + i, "mtu": MTU,
				"gate": map[string]any{"public-key": public[device(i)], "allowed": allowed}})
			specs[i].Addrs = append(specs[i].Addrs, gate(k))
			specs[i].Peers = append(specs[i].Peers, tunnel.Peer{ID: fmt.Sprintf("%s-%d", r, i), Region: r, PublicKey: key.PublicKey().String(),
				Endpoint: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(100 + 10*i + k), 2}), uint16(listen+i)),
				Allowed:  []netip.Prefix{prefix(k)}, Probe: netip.AddrPortFrom(far(k), 7)})
		}
		text, err := json.Marshal(map[string]any{"version": 1, "devices": devices, "addresses": []string{far(k).String() + "/32"}, "state": filepath.Join(dir, r)})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, r+".yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		netlab.Start(t, r, l.c.Far[0], append(l.c.Far[1:len(l.c.Far):len(l.c.Far)], file)...)
		netlab.Until(t, 30*time.Second, "the far end listens: a handshake that it misses is tried again after 5 s", func() bool {
			out, err := netlab.Try(r, "ss", "-Hlun", "sport", "=", ":7000")
			return err == nil && out != ""
		})
	}
	return specs
}

// shape gives the gate's devices their trees and the regions their plans.
func (l *Lab) shape(t testing.TB) {
	t.Helper()
	if l.c.Unkept {
		return
	}
	for i, line := range l.c.Lines {
		tree := bandwidth.Tree{Device: device(i), Rate: line.Up, Overhead: Overhead}
		for _, c := range l.c.Classes {
			c.Ceiling = min(c.Ceiling, line.Up)
			tree.Classes = append(tree.Classes, c)
		}
		if err := bandwidth.Apply(tree); err != nil {
			t.Fatal(err)
		}
		l.Trees = append(l.Trees, tree)
	}
	for k, r := range l.c.Regions {
		p := plan.Plan{Region: r}
		share := uint64(len(l.c.Regions))
		for i, line := range l.c.Lines {
			d := plan.Device{Device: device(i), Rate: line.Down / share, Overhead: Overhead}
			for _, c := range l.c.Classes {
				c.Guarantee /= share
				c.Ceiling = min(c.Ceiling, line.Down)
				d.Classes = append(d.Classes, c)
			}
			p.Devices = append(p.Devices, d)
		}
		for _, c := range l.c.Classes {
			port := Port(c.ID)
			p.Matches = append(p.Matches, plan.Match{From: prefix(k), To: netip.PrefixFrom(Station, 32), Proto: 17, Ports: plan.Ports{Lo: port, Hi: port}, Class: c.ID})
		}
		if err := p.Seal(); err != nil {
			t.Fatal(err)
		}
		text, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		l.Plans[r] = p
		l.Set.SetPlan(r, p.Hash, text)
	}
}

// Port is where services of a class stand in the regions; what comes from there comes down in the class.
func Port(class uint8) uint16 { return 5000 + uint16(class) }

// wait returns when all tunnels are up and all plans in force.
func (l *Lab) wait(t testing.TB) {
	t.Helper()
	netlab.Until(t, 30*time.Second, "tunnels up, plans in force", func() bool {
		n := 0
		for _, s := range l.Set.Status() {
			if s.Up {
				n++
			}
		}
		for _, r := range l.Set.Reports() {
			if r.Far.Plan != l.Plans[r.Region].Hash {
				return false
			}
		}
		return n == len(l.c.Lines)*len(l.c.Regions)
	})
}

// OnLine is how many bytes of IP packets have passed a line towards the regions or, down, towards the gate.
func (l *Lab) OnLine(t testing.TB, line int, down bool) uint64 {
	t.Helper()
	ns, dev := fmt.Sprintf("near%d", line), "up0"
	if down {
		ns, dev = fmt.Sprintf("beyond%d", line), "down0"
	}
	s := counters(t, ns, dev)[0]
	return s.TxBytes - 14*s.TxPackets
}

// Offered is how many bytes of IP packets have come to a line's beginning, whether it had room for them or not.
func (l *Lab) Offered(t testing.TB, line int, down bool) (sum uint64) {
	t.Helper()
	ns, devices := fmt.Sprintf("near%d", line), []string{"in0"}
	if down {
		ns, devices = fmt.Sprintf("beyond%d", line), nil
		for k := range l.c.Regions {
			devices = append(devices, fmt.Sprintf("r%d", k))
		}
	}
	for _, s := range counters(t, ns, devices...) {
		sum += s.RxBytes - 14*s.RxPackets
	}
	return sum
}

func counters(t testing.TB, ns string, devices ...string) (out []*netlink.LinkStatistics) {
	t.Helper()
	netlab.Do(t, ns, func() error {
		for _, d := range devices {
			link, err := netlink.LinkByName(d)
			if err != nil {
				return err
			}
			out = append(out, link.Attrs().Statistics)
		}
		return nil
	})
	return out
}
