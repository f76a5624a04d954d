package packet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// shot is one captured packet, decoded by gopacket.
type shot struct {
	device   string
	data     []byte
	length   int
	src, dst string // addresses
	smac     string
	proto    layers.IPProtocol
	comment  string
	at       time.Time
}

func (s shot) String() string {
	return fmt.Sprintf("%s %s > %s: %s", s.device, s.src, s.dst, s.comment)
}

// developed decodes a capture.
func developed(t *testing.T, file []byte) (out []shot) {
	t.Helper()
	said := packetComments(t, file)
	in, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatalf("%d bytes are no capture: %v", len(file), err)
	}
	for i := range said {
		data, info, err := in.ReadPacketData()
		if err != nil {
			t.Fatalf("packet %d of %d: %v", i, len(said), err)
		}
		device, err := in.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		s := shot{device: device.Name, data: data, length: info.Length, comment: said[i], at: info.Timestamp}
		p := gopacket.NewPacket(data, device.LinkType, gopacket.Default)
		if n := p.NetworkLayer(); n != nil {
			s.src, s.dst = n.NetworkFlow().Src().String(), n.NetworkFlow().Dst().String()
		}
		if l := p.LinkLayer(); l != nil {
			s.smac = l.LinkFlow().Src().String()
		}
		if ip, ok := p.NetworkLayer().(*layers.IPv4); ok {
			s.proto = ip.Protocol
		}
		out = append(out, s)
	}
	return out
}

// packetComments reads what gopacket passes over: the comment option of each Enhanced Packet Block.
func packetComments(t *testing.T, file []byte) (out []string) {
	t.Helper()
	for len(file) >= 12 {
		kind, length := binary.LittleEndian.Uint32(file), binary.LittleEndian.Uint32(file[4:])
		if int(length) > len(file) {
			t.Fatalf("a block of %d bytes in %d", length, len(file))
		}
		if kind == 6 {
			options := file[28+(binary.LittleEndian.Uint32(file[20:])+3)&^3:]
			out = append(out, string(options[4:4+binary.LittleEndian.Uint16(options[2:])]))
		}
		file = file[length:]
	}
	if len(file) != 0 {
		t.Fatalf("%d bytes behind the last block", len(file))
	}
	return out
}

// filming is a capture that runs.
type filming struct {
	t      *testing.T
	file   bytes.Buffer
	stop   context.CancelFunc
	result chan CaptureResult
}

type ready struct {
	*bytes.Buffer
	begun chan struct{}
}

func (r *ready) Flush() error {
	if r.begun != nil {
		close(r.begun)
		r.begun = nil
	}
	return nil
}

// film begins a capture and returns when it looks. Bounds that are 0 are wide.
func film(t *testing.T, c *Core, o CaptureOptions) *filming {
	t.Helper()
	if o.Snap == 0 {
		o.Snap = 256
	}
	if o.Packets == 0 {
		o.Packets = 10_000
	}
	if o.Bytes == 0 {
		o.Bytes = 1 << 20
	}
	if o.Time == 0 {
		o.Time = time.Minute
	}
	f := &filming{t: t, result: make(chan CaptureResult, 1)}
	ctx, stop := context.WithCancel(t.Context())
	f.stop = stop
	begun := make(chan struct{})
	w := &ready{&f.file, begun}
	go func() {
		r, err := c.Capture(ctx, w, o)
		if err != nil {
			t.Errorf("capture: %+v", err)
			w.Flush()
		}
		f.result <- r
	}()
	<-begun
	return f
}

// end waits until the capture ended for the reason; "stopped" ends it.
func (f *filming) end(reason string) ([]shot, CaptureResult) {
	f.t.Helper()
	if reason == EndStopped {
		time.Sleep(50 * time.Millisecond) // the reader takes what lies in the ring first
		f.stop()
	}
	select {
	case r := <-f.result:
		if r.End != reason || r.Bytes != int64(f.file.Len()) || r.Lost != 0 {
			f.t.Errorf("the capture came to %+v with %d bytes, want end %q", r, f.file.Len(), reason)
		}
		shots := developed(f.t, f.file.Bytes())
		if uint64(len(shots)) != r.Packets {
			f.t.Errorf("%d packets in the file, %d told", len(shots), r.Packets)
		}
		return shots, r
	case <-time.After(10 * time.Second):
		f.t.Fatal("the capture does not end")
		return nil, CaptureResult{}
	}
}

func (w *town) ping(from, to string, n int) {
	w.t.Helper()
	w.in(from, "ping", "-n", "-c", fmt.Sprint(n), "-i", "0.02", "-W", "1", "-s", "300", to).Run()
}

// newFilmTown: mnpc may ping lgasp, and nobody anybody else.
func newFilmTown(t *testing.T) (*town, *Core) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2}, Cell{Src: 22, Dst: 21, Port: 2, Rule: 1}))
	w.ping("mnpc", "198.18.21.11", 1) // neighbours are resolved
	return w, c
}

func TestACaptureShowsWhatCameAndWhatBecameOfIt(t *testing.T) {
	w, c := newFilmTown(t)
	port, err := netlink.LinkByName("mn0")
	if err != nil {
		t.Fatal(err)
	}
	gateMAC := port.Attrs().HardwareAddr.String()
	f := film(t, c, CaptureOptions{})
	w.ping("mnpc", "198.18.21.11", 3)
	w.ping("mnpc", "203.0.113.11", 2)
	shots, _ := f.end(EndStopped)
	var asked, answered, refused []shot
	for _, s := range shots {
		switch {
		case s.proto != layers.IPProtocolICMPv4:
		case s.src == "198.18.10.11" && s.dst == "198.18.21.11":
			asked = append(asked, s)
		case s.src == "198.18.21.11":
			answered = append(answered, s)
		default:
			refused = append(refused, s)
		}
	}
	if len(asked) != 3 || len(answered) != 3 || len(refused) != 2 {
		t.Fatalf("%d questions, %d answers, %d refused: want 3, 3 and 2\n%v", len(asked), len(answered), len(refused), shots)
	}
	for _, s := range append(asked, refused...) {
		eth := gopacket.NewPacket(s.data, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		ip := gopacket.NewPacket(s.data, layers.LayerTypeEthernet, gopacket.Default).NetworkLayer().(*layers.IPv4)
		if s.device != "mn0" || s.smac != w.hosts["mnpc"].mac || eth.DstMAC.String() != gateMAC || ip.TTL != 64 {
			t.Errorf("not as it came in: %v, %s > %s, TTL %d", s, s.smac, eth.DstMAC, ip.TTL)
		}
		if len(s.data) != 256 || s.length != 342 || time.Since(s.at).Abs() > time.Minute {
			t.Errorf("%d of %d bytes at %s, want 256 of 342 just now", len(s.data), s.length, s.at)
		}
	}
	for want, of := range map[string][]shot{
		"allowed, at xdp, mn0 -> lga0, record second": asked,
		"allowed, at xdp, lga0 -> mn0, record second": answered,
		"dropped: zone-pair, at xdp, mn0 -> inw0":     refused,
	} {
		for _, s := range of {
			if s.comment != want {
				t.Errorf("%s > %s is said to be %q, want %q", s.src, s.dst, s.comment, want)
			}
		}
	}
}

func TestFiltersOfACapture(t *testing.T) {
	w, c := newFilmTown(t)
	cases := []struct {
		name   string
		filter CaptureFilter
		want   []string // how a packet must be described; nothing else may be there
		n      int
	}{
		{"allowed", CaptureFilter{Verdict: "allowed"}, []string{"allowed"}, 4},
		{"dropped", CaptureFilter{Verdict: "dropped"}, []string{"dropped"}, 4},
		{"reason", CaptureFilter{Reason: "zone-pair"}, []string{"zone-pair"}, 2},
		{"another reason", CaptureFilter{Reason: "no-cell"}, []string{"no-cell"}, 2},
		{"record", CaptureFilter{Record: "second"}, []string{"record second"}, 4},
		{"a record that nothing uses", CaptureFilter{Record: "first"}, nil, 0},
		{"segment it comes from", CaptureFilter{Segment: "mn0", Verdict: "dropped"}, []string{"mn0 -> inw0"}, 2},
		{"segment it goes to", CaptureFilter{Segment: "inw0", Verdict: "dropped"}, []string{"-> inw0"}, 4},
		{"all must agree", CaptureFilter{Segment: "inw0", Verdict: "allowed"}, nil, 0},
		{"hook", CaptureFilter{Hook: "tunnel-in"}, nil, 0},
	}
	for _, x := range cases {
		f := film(t, c, CaptureOptions{Filter: x.filter})
		w.ping("mnpc", "198.18.21.11", 2)
		w.ping("mnpc", "203.0.113.11", 2)
		w.ping("lgasp", "203.0.113.11", 2)
		shots, _ := f.end(EndStopped)
		n := 0
		for _, s := range shots {
			if s.proto != layers.IPProtocolICMPv4 { // neighbours are resolved meanwhile
				continue
			}
			n++
			for _, part := range x.want {
				if !strings.Contains(s.comment, part) {
					t.Errorf("%s: %v", x.name, s)
				}
			}
		}
		if n != x.n {
			t.Errorf("%s: %d packets, want %d: %v", x.name, n, x.n, shots)
		}
	}
}

func TestBoundsOfACapture(t *testing.T) {
	w, c := newFilmTown(t)
	icmp := CaptureFilter{Record: "second"}

	f := film(t, c, CaptureOptions{Filter: icmp, Packets: 3, Snap: 60})
	w.ping("mnpc", "198.18.21.11", 3)
	shots, r := f.end(EndPackets)
	if r.Packets != 3 {
		t.Errorf("%d packets, want the 3 that were asked for", r.Packets)
	}
	for _, s := range shots {
		if len(s.data) != 60 || s.length != 342 {
			t.Errorf("%d bytes of %d, want 60 of 342", len(s.data), s.length)
		}
	}

	size := f.file.Len() // the same again, and one byte less
	f = film(t, c, CaptureOptions{Filter: icmp, Bytes: int64(size), Snap: 60})
	w.ping("mnpc", "198.18.21.11", 2)
	if _, r := f.end(EndBytes); r.Packets != 3 || r.Bytes != int64(size) {
		t.Errorf("%+v, want 3 packets in %d bytes", r, size)
	}
	f = film(t, c, CaptureOptions{Filter: icmp, Bytes: int64(size - 1), Snap: 60})
	w.ping("mnpc", "198.18.21.11", 2)
	if _, r := f.end(EndBytes); r.Packets != 2 || r.Bytes >= int64(size) {
		t.Errorf("%+v, want 2 packets in less than %d bytes", r, size)
	}

	begin := time.Now()
	f = film(t, c, CaptureOptions{Filter: icmp, Time: 300 * time.Millisecond})
	f.end(EndTime)
	if d := time.Since(begin); d < 300*time.Millisecond || d > 5*time.Second {
		t.Errorf("a capture of 300 ms took %s", d)
	}

	f = film(t, c, CaptureOptions{Filter: icmp})
	other := townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2})
	other.Rules[1].Records = []string{"another"} // the same number, something else
	swap(t, c, other)
	w.ping("mnpc", "198.18.21.11", 1)
	if shots, _ := f.end(EndPolicy); len(shots) != 0 {
		t.Errorf("packets of another record were captured: %v", shots)
	}
}

// While nobody looks, the programs do not; whatever ended the capture.
func TestACaptureEndsLooking(t *testing.T) {
	w, c := newFilmTown(t)
	looks := func() uint32 {
		t.Helper()
		var v uint32
		if err := c.objects.Watching.Get(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	var films []*filming
	for range maxCaptures {
		films = append(films, film(t, c, CaptureOptions{Filter: CaptureFilter{Record: "second"}}))
	}
	if looks() != 1<<maxCaptures-1 {
		t.Errorf("with %d captures the programs look at %b", maxCaptures, looks())
	}
	wide := CaptureOptions{Snap: 256, Packets: 1, Bytes: 1 << 20, Time: time.Minute}
	if _, err := c.Capture(t.Context(), &bytes.Buffer{}, wide); err == nil || !strings.Contains(err.Error(), "captures run already") {
		t.Errorf("one capture too many: %v", err)
	}
	w.ping("mnpc", "198.18.21.11", 1)
	for _, f := range films {
		if shots, _ := f.end(EndStopped); len(shots) != 2 {
			t.Errorf("one of several captures holds %v", shots)
		}
	}
	if looks() != 0 {
		t.Errorf("after all captures the programs look at %b", looks())
	}

	// A disk that is full.
	wide.Packets = 100
	failed := make(chan error)
	go func() {
		_, err := c.Capture(t.Context(), &full{room: 1024, begun: failed}, wide)
		failed <- err
	}()
	<-failed
	w.ping("mnpc", "198.18.21.11", 5)
	if err := <-failed; !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	if looks() != 0 {
		t.Errorf("after a failure the programs look at %b", looks())
	}

	// The process dies: the first packet after the capture's time ends it.
	filter, err := c.captureFilter(CaptureFilter{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.takeSlot(filter, 64, time.Now().Add(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer s.release()
	if looks() == 0 {
		t.Error("the programs do not look for a capture that has begun")
	}
	time.Sleep(250 * time.Millisecond)
	w.ping("mnpc", "198.18.21.11", 1)
	if looks() != 0 {
		t.Errorf("after its time a forgotten capture goes on: %b", looks())
	}
}

// full is a disk with room for so many bytes.
type full struct {
	room  int
	begun chan error
}

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.room {
		return 0, unix.ENOSPC
	}
	f.room -= len(b)
	return len(b), nil
}

func (f *full) Flush() error {
	if f.begun != nil {
		f.begun <- nil
		f.begun = nil
	}
	return nil
}

func TestWhatACaptureRefuses(t *testing.T) {
	w := newTown(t)
	c := w.open()
	good := CaptureOptions{Snap: 256, Packets: 1, Bytes: 4096, Time: time.Second}
	if err := c.CheckCapture(CaptureOptions{Filter: CaptureFilter{Segment: "mn0"}, Snap: 256, Packets: 1, Bytes: 1, Time: 1}); err == nil {
		t.Error("a segment is named though no policy is loaded")
	}
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2}))
	if err := c.CheckCapture(good); err != nil {
		t.Errorf("a good one is refused: %v", err)
	}
	for want, change := range map[string]func(*CaptureOptions){
		"14 to 2048":      func(o *CaptureOptions) { o.Snap = 2049 },
		"13 bytes":        func(o *CaptureOptions) { o.Snap = 13 },
		"needs a bound":   func(o *CaptureOptions) { o.Packets = 0 },
		"bound of packet": func(o *CaptureOptions) { o.Bytes = 0 },
		"and of time":     func(o *CaptureOptions) { o.Time = 0 },
		`verdict "maybe"`: func(o *CaptureOptions) { o.Filter.Verdict = "maybe" },
		`reason "rain"`:   func(o *CaptureOptions) { o.Filter.Reason = "rain" },
		"no packet is both": func(o *CaptureOptions) {
			o.Filter.Reason, o.Filter.Verdict = "no-cell", "allowed"
		},
		`segment "x"`: func(o *CaptureOptions) { o.Filter.Segment = "x" },
		`record "x"`:  func(o *CaptureOptions) { o.Filter.Record = "x" },
		`hook "x"`:    func(o *CaptureOptions) { o.Filter.Hook = "x" },
	} {
		o := good
		change(&o)
		if err := c.CheckCapture(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %s", err, want)
		}
		if _, err := c.Capture(t.Context(), &bytes.Buffer{}, o); err == nil {
			t.Errorf("it runs, though %s", want)
		}
	}
	if _, err := c.Capture(t.Context(), &bytes.Buffer{}, CaptureOptions{Snap: 256, Packets: 1, Bytes: 100, Time: time.Second}); err == nil || !strings.Contains(err.Error(), "not even enough") {
		t.Errorf("100 bytes: %v", err)
	}
}

// The egress program's refusals and those of the stack's hooks are seen where they happen.
func TestEveryHookCanBeCaptured(t *testing.T) {
	w, c := newFilmTown(t)
	f := film(t, c, CaptureOptions{Filter: CaptureFilter{Verdict: "dropped"}})
	w.replaceClassifier(c, "mn0", careless(t, c, c.portIndex(t, "inw0")))
	forbidden := udp4(t, "198.18.10.11", "203.0.113.11")
	w.send("mnpc", forbidden)
	w.replaceClassifier(c, "mn0", heedless(t))
	w.send("mnpc", forbidden)
	conn, err := net.Dial("udp", "203.0.113.11:53") // the gate's own, which no cell allows
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("probe"))
	shots, _ := f.end(EndStopped)
	seen := map[string]shot{}
	for _, s := range shots {
		for _, hook := range hooks[1:] {
			if strings.Contains(s.comment, "at "+hook) && s.dst == "203.0.113.11" {
				seen[hook] = s
			}
		}
	}
	for hook, want := range map[string]struct{ device, comment string }{
		"devmap":   {"inw0", "dropped: egress-zone-pair, at devmap"},
		"port-in":  {"mn0", "dropped: metadata-missing, at port-in"},
		"port-out": {"inw0", "dropped: no-cell, at port-out"},
	} {
		s, ok := seen[hook]
		if !ok || s.device != want.device || !strings.HasPrefix(s.comment, want.comment) {
			t.Errorf("%s: %v, want on %s %q; all: %v", hook, s, want.device, want.comment, shots)
		}
		if hook != "port-out" && !bytes.Equal(s.data[:len(forbidden)], forbidden) {
			t.Errorf("%s: %x, want the frame %x", hook, s.data, forbidden)
		}
	}
}

// heedless is a classifier that lets every frame up the stack and says nothing.
func heedless(t *testing.T) *ebpf.Program { return answering(t, 2) }

// answering is a classifier that always says the same.
func answering(t *testing.T, action int32) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, action), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}
