package packet

import (
	"net"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// failed gives how many frames failed, by device, kind and error.
func failed(t *testing.T, c *Core) map[RedirectFailure]uint64 {
	t.Helper()
	n, err := c.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if n.Unseen != "" {
		t.Fatalf("failures are not counted: %s", n.Unseen)
	}
	out := map[RedirectFailure]uint64{}
	for _, f := range n.Redirects {
		frames := f.Frames
		f.Frames = 0
		out[f] = frames
	}
	return out
}

var (
	notTaken   = RedirectFailure{Device: "lga0", Kind: "send", Error: "unspecified"}
	noReceiver = RedirectFailure{Device: "mn0", Kind: "redirect", Error: "ENOTSUP"}
)

// long is a frame with so many bytes more than it needs.
func long(frame []byte, more int) []byte { return append(slices.Clone(frame), make([]byte, more)...) }

// Frames that were allowed and that the driver does not take are counted, whether a daemon lives or not.
func TestRedirectsThatFailAreCounted(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	if f := failed(t, c); len(f) != 0 {
		t.Fatalf("before anything failed: %v", f)
	}
	w.replaceClassifier(c, "mn0", careless(t, c, c.portIndex(t, "lga0")))
	frame := long(udp4(t, "198.18.10.11", "198.18.21.11"), 1400)
	w.send("mnpc", frame)
	if f := failed(t, c); len(f) != 0 {
		t.Errorf("a frame that was taken is counted: %v", f)
	}
	if out, err := w.in("lgasp", "ip", "link", "set", "eth0", "mtu", "1280").CombinedOutput(); err != nil { // a veth does not take what is too long for its peer
		t.Fatalf("%v: %s", err, out)
	}
	w.send("mnpc", frame, frame, frame)
	if f := failed(t, c); f[notTaken] != 3 {
		t.Errorf("%v, want three frames that lga0 did not take", f)
	}

	// What the egress program refuses is in the batch that the kernel calls not sent, and is no failure of the device.
	refused := w.drops(c, "egress-wrong-source")
	w.send("mnpc", udp4(t, "203.0.113.11", "198.18.21.11"), frame)
	if f := failed(t, c); f[notTaken] != 4 || w.drops(c, "egress-wrong-source") != refused+1 || len(f) != 1 {
		t.Errorf("%v, %d refused: want one more of each", f, w.drops(c, "egress-wrong-source")-refused)
	}

	// Nobody lives.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	w.send("mnpc", frame)
	c = w.open()
	if f := failed(t, c); f[notTaken] != 5 {
		t.Errorf("after a while without a daemon: %v, want 5", f)
	}
	w.replaceClassifier(c, "mn0", careless(t, c, c.portIndex(t, "lga0")))
	w.send("mnpc", frame)
	if f := failed(t, c); f[notTaken] != 6 {
		t.Errorf("the second daemon: %v, want 6: each counted once", f)
	}

	// A redirect that does not even reach the device: its peer has no NAPI, or it is down.
	if out, err := w.in("lgasp", "ethtool", "-K", "eth0", "gro", "off").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.send("mnpc", frame, frame)
	if f := failed(t, c); f[noReceiver] < 2 {
		t.Errorf("%v, want two redirects that failed at mn0", f)
	}
	run(t, "ip", "link", "set", "inw0", "down")
	w.replaceClassifier(c, "mn0", careless(t, c, c.portIndex(t, "inw0")))
	w.send("mnpc", frame)
	if f := failed(t, c); f[RedirectFailure{Device: "mn0", Kind: "redirect", Error: "ENETDOWN"}] == 0 {
		t.Errorf("%v, want a redirect that failed at mn0", f)
	}
	w.replaceClassifier(c, "mn0", answering(t, 0))
	w.send("mnpc", frame)
	if f := failed(t, c); f[RedirectFailure{Device: "mn0", Kind: "action", Error: "aborted"}] == 0 {
		t.Errorf("%v, want a program that aborted at mn0", f)
	}
}

// Tracepoints are global. What happens in another network namespace is not ours.
func TestFailuresOfAnotherNamespaceDoNotCount(t *testing.T) {
	w := newTown(t)
	c := w.open()
	enter(t, w.prefix+"-other") // the test's thread from here on
	for _, pair := range [][2]string{{"x0", "x1"}, {"y0", "y1"}} {
		run(t, "ip", "link", "add", pair[0], "type", "veth", "peer", "name", pair[1])
		run(t, "ip", "link", "set", pair[0], "up")
		run(t, "ip", "link", "set", pair[1], "up")
	}
	index := func(name string) int {
		i, err := net.InterfaceByName(name)
		if err != nil {
			t.Fatal(err)
		}
		return i.Index
	}
	exits, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer exits.Close()
	if err := exits.Put(uint32(index("y0")), uint32(index("y0"))); err != nil {
		t.Fatal(err)
	}
	p := redirector(t, exits, index("y0"))
	defer p.Close()
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: index("x0"), Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	send := func() {
		t.Helper()
		sock, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(sock)
		if err := unix.Sendto(sock, udp4(t, "198.18.10.11", "198.18.21.11"), 0, &unix.SockaddrLinklayer{Ifindex: index("x1")}); err != nil {
			t.Fatal(err)
		}
	}
	send()
	if f := failed(t, c); len(f) != 0 {
		t.Errorf("failures of another namespace are counted: %v", f)
	}
	var there unix.Stat_t // and it does fail there: seen by whoever watches that one
	if err := unix.Stat("/proc/thread-self/ns/net", &there); err != nil {
		t.Fatal(err)
	}
	if err := c.traces.WatchedNamespace.Put(uint32(0), uint32(there.Ino)); err != nil {
		t.Fatal(err)
	}
	send()
	if f := failed(t, c); len(f) != 1 {
		t.Errorf("nothing failed in the other namespace, so that the test shows nothing: %v", f)
	}
}
