package packet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// runsOn tells whether a port runs this XDP program, and is up.
func runsOn(t *testing.T, port string, p *ebpf.Program) bool {
	t.Helper()
	l, err := netlink.LinkByName(port)
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		t.Fatalf("%s is to run a program that is not loaded", port)
	}
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	a := l.Attrs()
	return a.Flags&net.FlagUp != 0 && a.Xdp != nil && a.Xdp.ProgId == uint32(id)
}

// Frames longer than a buffer cross ports whose MTU allows them, by programs that know frames of several buffers; ports of
// the usual MTU keep the plain ones.
func TestLongFramesCrossPortsThatCarryThem(t *testing.T) {
	w := newTown(t)
	for _, name := range []string{"mnpc", "lgasp"} {
		run(t, "ip", "link", "set", w.hosts[name].port, "mtu", "9000")
		run(t, "ip", "netns", "exec", w.hosts[name].ns, "ip", "link", "set", "eth0", "mtu", "9000")
	}
	c := w.open()
	w.up()
	for port, p := range map[string]*ebpf.Program{"mn0": c.objects.ClassifyJumbo, "lga0": c.objects.ClassifyJumbo, "inw0": c.objects.Classify} {
		if !runsOn(t, port, p) {
			t.Errorf("%s runs the wrong program", port)
		}
	}
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		t.Fatal(err)
	}
	defer stats.Close()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 2, Rule: 1}))
	run(t, "ip", "neigh", "replace", "198.18.21.11", "lladdr", w.hosts["lgasp"].mac, "dev", "lga0", "nud", "permanent")
	run(t, "ip", "neigh", "replace", "198.18.10.11", "lladdr", w.hosts["mnpc"].mac, "dev", "mn0", "nud", "permanent")
	for _, size := range []int{100, 3000, 8900} {
		s := w.sniff("lgasp", fmt.Sprintf("udp port 53 and len > %d", size))
		cmd := w.in("mnpc", "socat", "-u", "-b", "60000", "-", "UDP4-SENDTO:198.18.21.11:53")
		cmd.Stdin = bytes.NewReader(bytes.Repeat([]byte("x"), size))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("send: %v\n%s", err, out)
		}
		if seen := s.stop(); len(seen) != 1 {
			n, _ := c.Counters()
			t.Errorf("%d bytes: arrived %q, want one packet; drops %v", size, seen, n.Reasons)
		}
	}
	run, err := c.objects.LeaveJumbo.Stats()
	if err != nil || run.RunCount < 3 {
		t.Errorf("the egress program for long frames ran %+v (%v), want at least 3 times: once for each", run, err)
	}
	if n := w.drops(c, "no-cell"); n != 0 {
		t.Errorf("%d dropped before a long frame without a cell", n)
	}
	w.expectDrop(c, "no-cell", func() {
		cmd := w.in("mnpc", "socat", "-u", "-b", "60000", "-", "UDP4-SENDTO:198.18.21.11:54")
		cmd.Stdin = bytes.NewReader(bytes.Repeat([]byte("x"), 8900))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("send: %v\n%s", err, out)
		}
	})
}

// seen is a driver that is looked at while a scan is at one of its ports. Everything is the kernel's.
type seen struct {
	kernelFeatures
	at map[string]func()
}

func (s seen) active(device string) (map[string]bool, error) {
	if look := s.at[device]; look != nil {
		look()
	}
	return s.kernelFeatures.active(device)
}

// The programs for long frames are loaded when the first port needs them. That port goes on meanwhile under the programs that it
// has, and reaches every other port from the first packet on.
func TestProgramsForLongFramesAreLoadedOnDemand(t *testing.T) {
	w := newTown(t)
	driver := seen{at: map[string]func(){}}
	open := func() *Core {
		t.Helper()
		c, err := Open(context.Background(), Options{PinDir: w.pins, Anchors: townAnchors(), Log: slog.New(slog.DiscardHandler), Flows: 4096, features: driver})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	pinned := func(c *Core) bool {
		t.Helper()
		_, err := os.Stat(c.path("programs", "classify_jumbo"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	}
	mtu := func(size string) {
		t.Helper()
		run(t, "ip", "link", "set", "mn0", "mtu", size)
		run(t, "ip", "netns", "exec", w.hosts["mnpc"].ns, "ip", "link", "set", "eth0", "mtu", size)
	}
	rescan := func(c *Core) {
		t.Helper()
		status, err := c.Rescan(context.Background())
		if err != nil || !status[0].Guarded() || !status[0].Up {
			t.Fatalf("after a scan mn0 is %+v, %v", status[0], err)
		}
	}
	c := open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	w.serve("lgasp", "443")
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Fatal("an allowed connection does not pass")
	}
	if c.objects.ClassifyJumbo != nil || c.objects.LeaveJumbo != nil || pinned(c) {
		t.Error("no port needs the programs for long frames, and they are loaded")
	}
	links, _ := w.links()

	mtu("3000") // fits into a veth's buffer: the plain program knows it as well
	looks := 0
	driver.at["lga0"] = func() { // comes after mn0
		looks++
		if !runsOn(t, "mn0", c.objects.ClassifyJumbo) {
			t.Error("mn0 does not run the program for long frames")
		}
		if !w.reaches("mnpc", "198.18.21.11", "443") {
			t.Error("before the scan has come to lga0, mn0 does not reach it")
		}
		delete(driver.at, "lga0")
	}
	rescan(c)
	if looks != 1 || !pinned(c) || w.drops(c, "egress-unguarded") != 0 {
		t.Errorf("looked %d times while scanning, pinned %v, %d frames found no exit", looks, pinned(c), w.drops(c, "egress-unguarded"))
	}
	if now, _ := w.links(); now["mn0-xdp"] != links["mn0-xdp"] {
		t.Errorf("the link of mn0 is %d, was %d: it was attached anew, not updated", now["mn0-xdp"], links["mn0-xdp"])
	}
	film := film(t, c, CaptureOptions{}) // what tells programs to look is one variable for all
	w.reaches("mnpc", "198.18.21.11", "80")
	if shots, _ := film.end(EndStopped); !slices.ContainsFunc(shots, func(s shot) bool { return s.device == "mn0" && s.dst == "198.18.21.11" }) {
		t.Errorf("a capture does not see what comes in by mn0: %v", shots)
	}

	// Opened again, the port runs the former program until the new one is there.
	former := c.objects.ClassifyJumbo
	driver.at["mn0"] = func() {
		if !runsOn(t, "mn0", former) {
			t.Error("mn0 lost its program while others were loaded")
		}
		delete(driver.at, "mn0")
	}
	again := open()
	if !runsOn(t, "mn0", again.objects.ClassifyJumbo) || !pinned(again) {
		t.Error("opened again, mn0 does not run the program for long frames")
	}
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Error("opened again, an allowed connection does not pass")
	}

	mtu("1500")
	rescan(again)
	if !runsOn(t, "mn0", again.objects.Classify) {
		t.Error("a port of usual MTU does not run the plain program")
	}
	last := open()
	if last.objects.ClassifyJumbo != nil || pinned(last) {
		t.Error("opened again without a port of large MTU, the programs for long frames are loaded or pinned")
	}

	// Programs that do not load leave no port open.
	last.spec.Programs["classify_jumbo"].Instructions = last.spec.Programs["classify_jumbo"].Instructions[:1]
	mtu("3000")
	status, err := last.Rescan(context.Background())
	if err != nil || status[0].Guarded() || status[0].Up || status[0].Error == "" {
		t.Errorf("without programs for its frames, mn0 is %+v, %v; want it down with an error", status[0], err)
	}
	for _, s := range status[1:] {
		if !s.Guarded() || !s.Up {
			t.Errorf("port %s shares the fate of mn0: %+v", s.Name, s)
		}
	}
}
