package packet

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

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
		l, err := netlink.LinkByName(port)
		if err != nil {
			t.Fatal(err)
		}
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := info.ID(); l.Attrs().Xdp == nil || l.Attrs().Xdp.ProgId != uint32(id) {
			t.Errorf("%s: runs %+v, want program %d (%s)", port, l.Attrs().Xdp, id, info.Name)
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
