// Package linelab gives tests two lines to two regions.
//
// Problem: what happens when a line is cut can only be tested with two of them, carriers that can lose everything without a
// link going down, and far ends that answer. Mechanism: a gate (the test's own namespace) with the ports wan0 and wan1, for each
// a carrier's namespace that routes, and the regions tokyo and osaka, each with a WireGuard device for each line, in one
// process of the test binary. Life cycle: Main in TestMain, New in a test, then Cut and Mend; all ends with the test.
// Invariant: the only way from the gate to a region is by a carrier, and what is cut there looks to the gate as if it were sent.
package linelab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// Region is one region of the lab.
type Region struct {
	Name   string
	Prefix netip.Prefix
	Probe  netip.Addr // echo on port 7, and talk
	App    netip.Addr // echo by TCP on port 6000, by UDP on port 5000
	Gate   netip.Addr // the gate's own address among the region's
	Ends   [2]End     // by line

	gate [2]string // public keys
	from []netip.Prefix
	apps []string
	cmd  *exec.Cmd
	dir  string
}

// End is a region's WireGuard device on one line.
type End struct {
	Key      wgtypes.Key // private
	Endpoint netip.AddrPort
}

// Lab is the whole.
type Lab struct {
	Tokyo, Osaka *Region
	t            testing.TB
}

// Secret is in everything that the lab's applications say; it must never be seen on a line.
const Secret = "resident register, in clear"

// Line is the gate's port of a line, and Device its tunnel.
func Line(i int) string   { return fmt.Sprintf("wan%d", i) }
func Device(i int) string { return fmt.Sprintf("wg%d", i) }

// New builds the lab. Gate: the public keys of the gate's two devices. The regions know the gate's address on each line.
func New(t testing.TB, gate [2]string) *Lab {
	t.Helper()
	l := &Lab{t: t}
	l.Tokyo = l.region("tokyo", 0, gate)
	l.Osaka = l.region("osaka", 64, gate)
	// Each region can stand in for the other: the cloud's own network is beyond this lab.
	for _, r := range []*Region{l.Tokyo, l.Osaka} {
		r.from = []netip.Prefix{netip.PrefixFrom(l.Tokyo.Gate, 32), netip.PrefixFrom(l.Osaka.Gate, 32)}
		r.apps = []string{l.Tokyo.App.String(), l.Osaka.App.String()}
	}
	for i := range 2 {
		carrier := netlab.New(t, fmt.Sprintf("carrier%d", i))
		netlab.Run(t, carrier, "sysctl", "-qw", "net.ipv4.ip_forward=1")
		join(t, "", Line(i), fmt.Sprintf("192.0.2.%d/30", 16*i+1), carrier, "gate", fmt.Sprintf("192.0.2.%d/30", 16*i+2))
		for _, r := range []*Region{l.Tokyo, l.Osaka} {
			if i == 0 {
				netlab.New(t, r.Name)
			}
			base := 16*i + int(r.Gate.As4()[3]&64)
			join(t, carrier, r.Name, fmt.Sprintf("203.0.113.%d/30", base+1), r.Name, fmt.Sprintf("eth%d", i), fmt.Sprintf("203.0.113.%d/30", base+2))
			netlab.Run(t, r.Name, "ip", "route", "add", fmt.Sprintf("192.0.2.%d/30", 16*i), "via", fmt.Sprintf("203.0.113.%d", base+1))
		}
		netlab.Run(t, carrier, "nft", "add table ip cut; add chain ip cut forward { type filter hook forward priority 0; }")
	}
	l.Connect()
	for _, r := range []*Region{l.Tokyo, l.Osaka} {
		r.start(t)
	}
	return l
}

// Connect gives the gate its routes to the regions' endpoints, and a default route by the first line: what leaves in clear leaves
// there. To be called again after a port was down.
func (l *Lab) Connect() {
	l.t.Helper()
	for i := range 2 {
		via := fmt.Sprintf("192.0.2.%d", 16*i+2)
		for _, r := range []*Region{l.Tokyo, l.Osaka} {
			net := netip.PrefixFrom(r.Ends[i].Endpoint.Addr(), 30).Masked()
			netlab.Run(l.t, "", "ip", "route", "replace", net.String(), "via", via, "dev", Line(i))
		}
	}
	netlab.Run(l.t, "", "ip", "route", "replace", "default", "via", "192.0.2.2", "dev", Line(0))
}

func join(t testing.TB, ns1, dev1, addr1, ns2, dev2, addr2 string) {
	netlab.Veth(t, ns1, dev1, ns2, dev2)
	netlab.Run(t, ns1, "ip", "addr", "add", addr1, "dev", dev1)
	netlab.Run(t, ns2, "ip", "addr", "add", addr2, "dev", dev2)
}

func (l *Lab) region(name string, base int, gate [2]string) *Region {
	addr := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(base + n)}) }
	r := &Region{Name: name, Prefix: netip.PrefixFrom(addr(0), 26), Probe: addr(1), App: addr(11), Gate: addr(62), dir: l.t.TempDir()}
	for i := range 2 {
		key, err := wgtypes.GeneratePrivateKey()
		if err != nil {
			l.t.Fatal(err)
		}
		r.Ends[i] = End{Key: key, Endpoint: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(base + 16*i + 2)}), 51820+uint16(i))}
		r.gate[i] = gate[i]
	}
	return r
}

// start runs the region's process.
func (r *Region) start(t testing.TB) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nstate: %s\naddresses: [%s]\ndevices:\n", r.dir, netip.PrefixFrom(r.Probe, 32))
	for i, e := range r.Ends {
		fmt.Fprintf(&b, "- {device: %s, private-key: %q, listen: %d, gate: {public-key: %q, allowed: [%s, %s]}}\n", Device(i), e.Key, 51820+i, r.gate[i], r.from[0], r.from[1])
	}
	file := filepath.Join(r.dir, "region.yaml")
	err := os.WriteFile(file, []byte(b.String()), 0o600)
	exe, err2 := os.Executable()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	r.cmd = netlab.Start(t, r.Name, exe, append([]string{farCommand, file}, r.apps...)...)
	netlab.Until(t, 30*time.Second, r.Name+" listens", func() bool {
		out, err := netlab.Try(r.Name, "ss", "-Hlun", "sport", "=", ":7007")
		return err == nil && out != ""
	})
}

// Kill ends the region's process; Start begins it again.
func (r *Region) Kill(t testing.TB) {
	t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait() // it was killed
}

// Start begins the region's process again, with the pre-shared keys that it had kept.
func (r *Region) Start(t testing.TB) { t.Helper(); r.start(t) }

// Cut makes the carrier of a line lose everything to and from the regions that are named; all, when none is.
func (l *Lab) Cut(line int, regions ...*Region) {
	l.t.Helper()
	carrier := fmt.Sprintf("carrier%d", line)
	if len(regions) == 0 {
		netlab.Run(l.t, carrier, "nft", "add rule ip cut forward drop")
	}
	for _, r := range regions {
		netlab.Run(l.t, carrier, "nft", fmt.Sprintf("add rule ip cut forward ip daddr %s drop; add rule ip cut forward ip saddr %[1]s drop", r.Ends[line].Endpoint.Addr()))
	}
}

// Mend undoes all cuts of a line.
func (l *Lab) Mend(line int) {
	l.t.Helper()
	netlab.Run(l.t, fmt.Sprintf("carrier%d", line), "nft", "flush chain ip cut forward")
}

// Sent is what a Stream has seen.
type Sent struct {
	Sent, Lost int
	LongestGap time.Duration // between two answers
}

// Stream sends numbered datagrams to a region's application every pause, and takes them back, until stop is called.
func (r *Region) Stream(t testing.TB, pause time.Duration) (stop func() Sent) {
	t.Helper()
	c, err := net.ListenUDP("udp4", nil) // unconnected: an unreachable route is an error of one send only
	if err != nil {
		t.Fatal(err)
	}
	end, done := make(chan struct{}), make(chan int)
	var arrivals []time.Time
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		b := make([]byte, 2048)
		seen := map[string]bool{}
		for {
			n, _, err := c.ReadFromUDP(b)
			if err != nil {
				return
			}
			if !seen[string(b[:n])] {
				seen[string(b[:n])] = true
				arrivals = append(arrivals, time.Now())
			}
		}
	}()
	go func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-end:
				done <- n
				return
			case <-tick.C:
				_, _ = c.WriteToUDP(fmt.Appendf(nil, "%s %d", Secret, n), net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.App, 5000)))
			}
		}
	}()
	return func() Sent {
		close(end)
		s := Sent{Sent: <-done}
		_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // the last ones are under way
		<-heard
		c.Close()
		s.Lost = s.Sent - len(arrivals)
		for i := 1; i < len(arrivals); i++ {
			s.LongestGap = max(s.LongestGap, arrivals[i].Sub(arrivals[i-1]))
		}
		return s
	}
}

// Clear counts frames that carry a region's address or the secret.
func Clear(frames [][]byte) (n int) {
	all := netip.MustParsePrefix("198.51.100.0/24")
	return len(slices.DeleteFunc(slices.Clone(frames), func(f []byte) bool { return !netlab.Carries(f, all) && !contains(f, Secret) }))
}
