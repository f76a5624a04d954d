package packet

import (
	"context"
	"encoding/hex"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sniffer counts frames that arrive at a host, below its IP stack.
type sniffer struct {
	cmd *exec.Cmd
	out *strings.Builder
}

func (w *town) sniff(name, filter string) *sniffer {
	w.t.Helper()
	s := &sniffer{cmd: w.in(name, "tcpdump", "-i", "eth0", "-n", "-l", "--immediate-mode", "-Q", "in", filter), out: &strings.Builder{}}
	s.cmd.Stdout = s.out
	ready, err := s.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		w.t.Fatalf("start tcpdump: %v", err)
	}
	var said strings.Builder
	b := make([]byte, 512)
	for !strings.Contains(said.String(), "listening on") {
		n, err := ready.Read(b)
		said.Write(b[:n])
		if err != nil {
			w.t.Fatalf("tcpdump on %s: %s", name, said.String())
		}
	}
	go func() { // keep its pipe empty
		for {
			if _, err := ready.Read(b); err != nil {
				return
			}
		}
	}()
	return s
}

// stop gives the lines that were seen.
func (s *sniffer) stop() []string {
	time.Sleep(100 * time.Millisecond) // what was sent has arrived or never will
	s.cmd.Process.Signal(unix.SIGINT)
	s.cmd.Wait()
	return strings.FieldsFunc(s.out.String(), func(r rune) bool { return r == '\n' })
}

// send puts raw frames on a host's wire.
func (w *town) send(name string, frames ...[]byte) {
	w.t.Helper()
	for _, f := range frames {
		cmd := w.in(name, "socat", "-u", "-", "INTERFACE:eth0")
		cmd.Stdin = strings.NewReader(string(f))
		if out, err := cmd.CombinedOutput(); err != nil {
			w.t.Fatalf("send from %s: %v\n%s", name, err, out)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// careless is a classifier that redirects every frame to one port, whatever it is.
func careless(t testing.TB, c *Core, to int) *ebpf.Program {
	t.Helper()
	p := redirector(t, c.objects.EgressPorts, to)
	t.Cleanup(func() { p.Close() })
	return p
}

func redirector(t testing.TB, exits *ebpf.Map, to int) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R1, exits.FD()),
		asm.Mov.Imm(asm.R2, int32(to)),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRedirectMap.Call(),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *town) replaceClassifier(c *Core, port string, p *ebpf.Program) {
	w.t.Helper()
	l, err := link.LoadPinnedLink(c.path("links", port+"-xdp"), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer l.Close()
	if err := l.Update(p); err != nil {
		w.t.Fatal(err)
	}
}

func (c *Core) portIndex(t testing.TB, name string) int {
	t.Helper()
	for _, s := range c.Status() {
		if s.Name == name {
			return s.Index
		}
	}
	t.Fatalf("no port %s", name)
	return 0
}

// udp4 and udp6 are frames with a UDP datagram of eight bytes.
func udp4(t testing.TB, src, dst string) []byte {
	return unhex(t, "020000000001 020000001011 0800 4500001c00000000 4011 0000"+hex.EncodeToString(addrs(src)[0].AsSlice())+
		hex.EncodeToString(addrs(dst)[0].AsSlice())+"0035 0035 0008 0000")
}

func udp6(t testing.TB, src, dst string) []byte {
	return unhex(t, "020000000001 020000001011 86dd 60000000 0008 11 40"+hex.EncodeToString(addrs(src)[0].AsSlice())+
		hex.EncodeToString(addrs(dst)[0].AsSlice())+"0035 0035 0008 0000")
}

// The egress program alone must hold: here the classifier lets everything through to one port.
func TestEgressProgramStopsWhatAFailedClassifierLetsThrough(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	cases := []struct {
		what, from, to string // port that is careless, port it redirects to
		frame          []byte
		reason         string // "" = may leave
	}{
		{"My Number to LGWAN", "mn0", "lga0", udp4(t, "198.18.10.11", "198.18.21.11"), ""},
		{"My Number to LGWAN over IPv6", "mn0", "lga0", udp6(t, "2001:db8:10::11", "2001:db8:21::11"), ""},
		{"My Number to internet", "mn0", "inw0", udp4(t, "198.18.10.11", "203.0.113.11"), "egress-zone-pair"},
		{"My Number to internet over IPv6", "mn0", "inw0", udp6(t, "2001:db8:10::11", "2001:db8:31::11"), "egress-zone-pair"},
		{"internet to My Number", "inw0", "mn0", udp4(t, "203.0.113.11", "198.18.10.11"), "egress-zone-pair"},
		{"internet to My Number over IPv6", "inw0", "mn0", udp6(t, "2001:db8:31::11", "2001:db8:10::11"), "egress-zone-pair"},
		{"management to LGWAN", "mg0", "lga0", udp4(t, "198.18.40.11", "198.18.21.11"), "egress-zone-pair"},
		{"LGWAN to management", "lga0", "mg0", udp4(t, "198.18.21.11", "198.18.40.11"), "egress-zone-pair"},
		{"LGWAN address by the internet port", "mn0", "inw0", udp4(t, "198.18.10.11", "198.18.21.11"), "egress-wrong-port"},
		{"internet's source by the My Number port", "mn0", "lga0", udp4(t, "203.0.113.11", "198.18.21.11"), "egress-wrong-source"},
		{"unknown source", "mn0", "lga0", udp4(t, "192.0.2.7", "198.18.21.11"), "egress-source"},
		{"unknown destination", "mn0", "lga0", udp4(t, "198.18.10.11", "192.0.2.7"), "egress-destination"},
		{"IPv4 in IPv6 clothes", "mn0", "lga0", udp6(t, "::ffff:198.18.10.11", "2001:db8:21::11"), "egress-malformed"},
		{"no IP", "mn0", "lga0", unhex(t, "020000000001 020000001011 88cc 0000000000000000000000000000000000000000"), "egress-malformed"},
		{"a tag that is no segment of the port", "mn0", "lga0", unhex(t, "020000000001 020000001011 8100 0014 0800 4500001c0000000040110000 c6120a0b c612150b 0035003500080000"), "egress-wrong-port"},
		{"tags that are no segment of the port", "mn0", "lga0", unhex(t, "020000000001 020000001011 88a8 0009 8100 0014 0800 4500001c0000000040110000 c6120a0b c612150b 0035003500080000"), "egress-wrong-port"},
		{"three tags", "mn0", "lga0", unhex(t, "020000000001 020000001011 8100 0000 8100 0000 8100 0000 0800 4500001c0000000040110000 c6120a0b c612150b 0035003500080000"), "egress-malformed"},
		{"a service tag alone", "mn0", "lga0", unhex(t, "020000000001 020000001011 88a8 0014 0800 4500001c0000000040110000 c6120a0b c612150b 0035003500080000"), "egress-malformed"},
		{"a service tag inside", "mn0", "lga0", unhex(t, "020000000001 020000001011 8100 0000 88a8 0000 0800 4500001c0000000040110000 c6120a0b c612150b 0035003500080000"), "egress-malformed"},
	}
	hosts := map[string]string{}
	for _, h := range townHosts {
		hosts[h.port] = h.name
	}
	for _, x := range cases {
		t.Run(x.what, func(t *testing.T) {
			w.replaceClassifier(c, x.from, careless(t, c, c.portIndex(t, x.to)))
			s := w.sniff(hosts[x.to], "udp port 53 or ether proto 0x88cc or (vlan and udp port 53)")
			before := uint64(0)
			if x.reason != "" {
				before = w.drops(c, x.reason)
			}
			w.send(hosts[x.from], x.frame)
			seen := s.stop()
			if x.reason == "" && len(seen) == 0 {
				t.Errorf("nothing arrived, want the frame (the test must be able to see one)")
			}
			if x.reason != "" && (len(seen) != 0 || w.drops(c, x.reason) == before) {
				t.Errorf("arrived: %q; %s rose by %d; want nothing and at least 1", seen, x.reason, w.drops(c, x.reason)-before)
			}
		})
	}
}

// metadataOnly is a classifier that lets every frame up the stack with the metadata it is told.
func metadataOnly(t testing.TB, mark, vlan uint32) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.Mov.Imm(asm.R2, -8),
		asm.FnXdpAdjustMeta.Call(),
		asm.LoadMem(asm.R1, asm.R6, 8, asm.Word), // data_meta
		asm.LoadMem(asm.R2, asm.R6, 0, asm.Word), // data
		asm.Mov.Reg(asm.R3, asm.R1),
		asm.Add.Imm(asm.R3, 8),
		asm.JGT.Reg(asm.R3, asm.R2, "out"),
		asm.StoreImm(asm.R1, 0, int64(int32(mark)), asm.Word),
		asm.StoreImm(asm.R1, 4, int64(vlan), asm.Word),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("out"),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// What enters the stack must have been let up by the classifier of that port.
func TestNothingEntersTheStackUnmarked(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	w.serve("lgasp", "443")
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Fatal("an allowed connection does not pass: the test would show nothing")
	}
	magic := uint32(c.Magic()) << 16
	for _, x := range []struct {
		what       string
		mark, vlan uint32
		reason     string
	}{
		{"another magic", magic ^ 0x10000, 0, "metadata-missing"},
		{"no magic", 1 << 6, 0, "metadata-missing"},
		{"a VLAN that the frame does not have", magic | 1<<6, 10, "vlan-mismatch"},
	} {
		w.replaceClassifier(c, "mn0", metadataOnly(t, x.mark, x.vlan))
		before := w.drops(c, x.reason)
		if w.reaches("mnpc", "198.18.21.11", "443") || w.drops(c, x.reason) == before {
			t.Errorf("%s: %s rose by %d", x.what, x.reason, w.drops(c, x.reason)-before)
		}
	}
	l, err := link.LoadPinnedLink(c.path("links", "mn0-xdp"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
	before := w.drops(c, "metadata-missing")
	if w.reaches("mnpc", "198.18.21.11", "443") || w.drops(c, "metadata-missing") == before {
		t.Error("with the classifier detached by hand something crossed, or nothing was counted")
	}
	if _, err := c.Rescan(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Error("after a scan the port is not guarded and open again")
	}
}

// Marked packets that the stack forwards are judged by the anchors at the way out.
func TestStackForwardingIsJudgedAtTheWayOut(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables())
	// A classifier gone mad marks everything as allowed, so that the stack forwards it.
	w.replaceClassifier(c, "mn0", metadataOnly(t, uint32(c.Magic())<<16|1<<6, 0))
	gate, err := netlink.LinkByName("mn0")
	if err != nil {
		t.Fatal(err)
	}
	frame := func(dst string) []byte {
		f := udp4(t, "198.18.10.11", dst)
		copy(f, gate.Attrs().HardwareAddr)
		f[24], f[25] = 0, 0
		sum := uint32(0)
		for i := 14; i < 34; i += 2 {
			sum += uint32(f[i])<<8 | uint32(f[i+1])
		}
		for sum>>16 != 0 {
			sum = sum>>16 + sum&0xffff
		}
		f[24], f[25] = byte(^sum>>8), byte(^sum)
		return f
	}
	run(t, "ip", "neigh", "replace", "203.0.113.11", "lladdr", "02:00:00:00:30:11", "dev", "inw0", "nud", "permanent")
	run(t, "ip", "neigh", "replace", "198.18.21.11", "lladdr", "02:00:00:00:21:11", "dev", "lga0", "nud", "permanent")
	for _, x := range []struct{ to, dst, reason string }{
		{"lgasp", "198.18.21.11", ""},
		{"inweb", "203.0.113.11", "egress-zone-pair"},
	} {
		s := w.sniff(x.to, "udp port 53")
		w.send("mnpc", frame(x.dst))
		seen := s.stop()
		if x.reason == "" && len(seen) != 1 {
			t.Errorf("to %s: %q arrived, want one frame", x.dst, seen)
		}
		if x.reason != "" && (len(seen) != 0 || w.drops(c, x.reason) != 1) {
			t.Errorf("to %s: %q arrived, %s %d", x.dst, seen, x.reason, w.drops(c, x.reason))
		}
	}
	// Without a mark not even what the anchors allow.
	l, err := link.LoadPinnedLink(c.path("links", "mn0-ingress"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
	s := w.sniff("lgasp", "udp port 53")
	w.send("mnpc", frame("198.18.21.11"))
	if seen := s.stop(); len(seen) != 0 || w.drops(c, "mark-missing") != 1 {
		t.Errorf("unmarked: %q arrived, mark-missing %d", seen, w.drops(c, "mark-missing"))
	}
}

func TestReopenAdoptsWhatIsPinned(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	want := townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 2})
	want.Ports = append(want.Ports, PortRange{Proto: 6, Lo: 7, Hi: 7, Class: 1})
	swap(t, c, want)
	w.serve("lgasp", "443")
	w.echo("lgasp", "7")
	if !w.passes("mnpc", "198.18.21.11", "443") {
		t.Fatal("an allowed connection does not pass")
	}
	// It stays open: flows of closed connections are over after ten seconds, and emulated machines need longer to open again.
	talk := w.talk("mnpc", "198.18.21.11:7")
	if err := talk.echo("before"); err != nil {
		t.Fatal(err)
	}
	before, err := c.Counters()
	if err != nil {
		t.Fatal(err)
	}
	magic := c.Magic()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = w.open()
	if got, ok := c.Active(); !ok || Hash(got) != Hash(want) || got.Epoch != 1 {
		t.Errorf("after re-opening: active %v, epoch %d, same tables %v", ok, got.Epoch, Hash(got) == Hash(want))
	}
	if c.Magic() != magic {
		t.Errorf("magic %#x, want %#x as before", c.Magic(), magic)
	}
	after, err := c.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if after.Rules[2].Packets < before.Rules[2].Packets || before.Rules[2].Packets == 0 {
		t.Errorf("rule counter %d, was %d", after.Rules[2].Packets, before.Rules[2].Packets)
	}
	flows, err := c.Flows(10)
	if err != nil || !slices.ContainsFunc(flows, func(f Flow) bool { return f.DPort == 7 && f.Rule == 2 }) {
		t.Errorf("flows after re-opening: %+v, %v; want that of the open connection", flows, err)
	}
	if err := talk.echo("after"); err != nil || w.drops(c, "tcp-not-syn") != 0 {
		t.Errorf("an open connection did not outlive the re-opening: %v, %d segments without a flow", err, w.drops(c, "tcp-not-syn"))
	}
	for _, s := range c.Status() {
		if !s.Guarded() || !s.Up {
			t.Errorf("port %s after re-opening: %+v", s.Name, s)
		}
	}
	if !w.passes("mnpc", "198.18.21.11", "443") || w.reaches("mnpc", "203.0.113.11", "443") {
		t.Error("after re-opening the same must pass and the same must not")
	}
	swap(t, c, townTables())
	if w.reaches("mnpc", "198.18.21.11", "443") {
		t.Error("a swap after re-opening has no effect")
	}
}

func TestRecreatedPortIsGuardedAgain(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 1}))
	h := w.hosts["mnpc"]
	run(t, "ip", "link", "del", h.port)
	status, err := c.Rescan(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if status[0].Name != "mn0" || status[0].Index != 0 || status[0].Guarded() {
		t.Errorf("deleted port: %+v", status[0])
	}
	w.wire(h)
	if status, err = c.Rescan(context.Background()); err != nil || !status[0].Guarded() {
		t.Fatalf("recreated port: %+v, %v", status[0], err)
	}
	w.up()
	w.serve("lgasp", "443")
	if !w.passes("mnpc", "198.18.21.11", "443") || w.reaches("mnpc", "198.18.21.11", "80") {
		t.Error("after recreating the port the policy does not hold as before")
	}
}

func TestPortThatCannotBeGuardedIsTakenDown(t *testing.T) {
	w := newTown(t)
	// Frames from there can be too large for the driver's XDP without fragments.
	far := func(mtu string) {
		run(t, "ip", "netns", "exec", w.hosts["mnpc"].ns, "ip", "link", "set", "eth0", "mtu", mtu)
	}
	far("9000")
	run(t, "ip", "link", "set", "mn0", "up")
	c := w.open()
	s := c.Status()[0]
	if s.Name != "mn0" || s.Guarded() || s.Up || s.Error == "" {
		t.Errorf("status %+v, want it down with an error", s)
	}
	if out := run(t, "ip", "-br", "link", "show", "mn0"); strings.Contains(out, "UP") {
		t.Errorf("the port is up: %s", out)
	}
	for _, s := range c.Status()[1:] {
		if !s.Guarded() {
			t.Errorf("port %s shares the fate of mn0: %+v", s.Name, s)
		}
	}
	far("1500")
	if status, err := c.Rescan(context.Background()); err != nil || !status[0].Guarded() {
		t.Errorf("after the MTU was set right: %+v, %v", status[0], err)
	}
}

func TestOffloadsThatHideFramesAreTurnedOff(t *testing.T) {
	w := newTown(t)
	run(t, "ethtool", "-K", "mn0", "rxvlan", "on", "gro", "on")
	w.open()
	features := run(t, "ethtool", "-k", "mn0")
	for _, f := range []string{"rx-vlan-offload: off", "generic-receive-offload: off"} {
		if !strings.Contains(features, f) {
			t.Errorf("want %q; the port has\n%s", f, features)
		}
	}
}

func TestRemoveTakesEverythingAway(t *testing.T) {
	w := newTown(t)
	c := w.open()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Remove(w.pins); err != nil {
		t.Fatal(err)
	}
	for _, h := range townHosts { // at once: whoever opens again needs the places
		l, err := netlink.LinkByName(h.port)
		if err != nil {
			t.Fatal(err)
		}
		if x := l.Attrs().Xdp; x != nil && x.Attached {
			t.Errorf("%s: the XDP program is still attached", h.port)
		}
		for _, at := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
			if there, err := link.QueryPrograms(link.QueryOptions{Target: l.Attrs().Index, Attach: at}); err != nil || len(there.Programs) > 0 {
				t.Errorf("%s: %s: %+v, %v; want no program", h.port, at, there, err)
			}
		}
	}
	if c = w.open(); c.Magic() == 0 {
		t.Error("cannot be opened again")
	}
	for _, s := range c.Status() {
		if !s.Guarded() {
			t.Errorf("opened again at once, port %s: %+v", s.Name, s)
		}
	}
}

func TestOpenRefusesADirectoryThatIsNoBPFFS(t *testing.T) {
	_, err := Open(context.Background(), Options{PinDir: t.TempDir(), Anchors: townAnchors()})
	if err == nil || !strings.Contains(err.Error(), "bpffs") {
		t.Errorf("got %v, want advice to mount a bpffs", err)
	}
}

func TestAnchorsThatContradictThemselvesAreRefused(t *testing.T) {
	needRoot(t)
	a := townAnchors()
	a.Segments[1].Prefixes = append(a.Segments[1].Prefixes, a.Segments[0].Prefixes[0])
	_, err := Open(context.Background(), Options{PinDir: newBPFFS(t), Anchors: a})
	if err == nil || !strings.Contains(err.Error(), "198.18.10.0/24") {
		t.Errorf("got %v, want the prefix that two segments claim", err)
	}
}
