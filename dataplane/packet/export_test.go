package packet

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// What the tests of this package's outside need from its inside.

func Run(t testing.TB, args ...string) string { return run(t, args...) }
func Enter(t testing.TB, name string)         { enter(t, name) }
func NewBPFFS(t testing.TB) string            { return newBPFFS(t) }
func NeedRoot(t testing.TB)                   { needRoot(t) }
func ReasonName(n uint32) string              { return reasonName(n) }

// RawFlow is one line of the flow table; A is the end with the lower address.
type RawFlow struct {
	Proto, Asker       uint8
	A, B               netip.AddrPort
	SegmentA, SegmentB uint16
	FromB              bool
	State              uint8 // how far it is: FIN of A 1, of B 2, RST 4, answered 8
	Epoch, Rule        uint32
	BWClass            uint8
	Last               uint32   // tick
	Sent               [2]Count // by A, by B
}

type (
	RawFragmentKey = programsFragmentKey
	RawFragments   = programsFragments
)

func Address(b [16]uint8) (a [16]byte) { return b }

func (r rawFlow) export() RawFlow {
	a, b := r.segments()
	portA, portB := r.ports()
	return RawFlow{
		Proto: r.proto(), Asker: r.asker(), A: netip.AddrPortFrom(r.a, portA), B: netip.AddrPortFrom(r.b, portB), SegmentA: a, SegmentB: b,
		FromB: r.State&flowFromB != 0, State: r.State & 15, Epoch: r.Epoch, Rule: r.Rule, BWClass: r.BWClass, Last: r.Last, Sent: [2]Count{r.count(0), r.count(1)},
	}
}

// ShowVLAN lets the programs take a device for one of the stack's VLAN devices.
func (c *Core) ShowVLAN(ifindex int, port string, vlan, outer uint16) error {
	n, _ := c.devices.number(port)
	return c.putIndex(uint32(ifindex), programsDeviceTags{Device: n, Vlan: vlan, Outer: outer})
}

// Unguard takes a port out of the DEVMAP.
func (c *Core) Unguard(ifindex int) error { return c.objects.EgressPorts.Delete(uint32(ifindex)) }

// SetFloor tells the programs how late it has been.
func (c *Core) SetFloor(at time.Time) error {
	offset, err := taiOffset()
	if err != nil {
		return err
	}
	return c.objects.WallClock.Put(uint32(0), clockValueOf(offset, uint32(at.Unix()/60)))
}

// SetWall tells the programs that it is another time now.
func (c *Core) SetWall(now time.Time) error {
	offset, err := taiOffset()
	if err != nil {
		return err
	}
	return c.objects.WallClock.Put(uint32(0), clockValueOf(offset-time.Until(now), 1))
}

// Trial is the classifier loaded once more, over the tables of a core but with flows of its own, writing down its verdicts.
type Trial struct {
	objects trialObjects
	verdict *RawVerdict
	page    []byte
	out     [4096]byte
	context []byte

	lines lines
	hz    uint32

	redirect map[int]*ebpf.Program // sends every frame to the device of that index
}

// trialObjects are the programs that are tried, and all maps.
type trialObjects struct {
	programsMaps
	Classify   *ebpf.Program `ebpf:"classify"`
	TunnelIn   *ebpf.Program `ebpf:"tunnel_in"`
	TunnelOut  *ebpf.Program `ebpf:"tunnel_out"`
	Leave      *ebpf.Program `ebpf:"leave"`
	CollectNow *ebpf.Program `ebpf:"collect_now"`
	Begin      *ebpf.Program `ebpf:"begin_collecting"`

	Isolated  *ebpf.Variable `ebpf:"isolated"`
	ZonesShut *ebpf.Variable `ebpf:"zones_shut"`
}

type RawVerdict struct {
	Reason, Rule, Opened, Runs uint32
	Ticks                      uint64
}

// NewTrial loads it. quota: flows of a segment. own: maps that it does not share with the core.
func (c *Core) NewTrial(flows, quota uint32, own ...string) (*Trial, error) {
	spec, err := loadPrograms()
	if err != nil {
		return nil, err
	}
	if err := spec.Variables["record_verdicts"].Set(uint32(1)); err != nil {
		return nil, err
	}
	if err := beginMapping(spec, c.anchors); err != nil {
		return nil, err
	}
	if err := spec.Variables["given_clock"].Set(uint32(1)); err != nil {
		return nil, err
	}
	sizes := sizesFor(flows)
	sizes.stations = 1 << 18 // no two stations of a test share one place
	var keys hashKeys
	r := rand.New(rand.NewPCG(1, 2))
	for i := range keys {
		keys[i] = r.Uint64()
	}
	if err := setFlows(spec, sizes, flows, quota, keys); err != nil {
		return nil, err
	}
	spec.Maps[programsMapFragments].MaxEntries = TrialPieces
	if err := spec.Variables["confirm_every"].Set(uint32(0)); err != nil {
		return nil, err
	}
	o := &c.objects
	shared := map[string]*ebpf.Map{
		"allowed": o.Allowed, "anchor_homes": o.AnchorHomes, "anchor_bundles": o.AnchorBundles, "nat_inside": o.NatInside, "nat_outside": o.NatOutside, "anchor_prefixes4": o.AnchorPrefixes4, "anchor_nodes4": o.AnchorNodes4, "anchor_prefixes6": o.AnchorPrefixes6, "boot": o.Boot,
		"images": o.Images, "rule_counts": o.RuleCounts, "device_index": o.DeviceIndex, "device_low_index": o.DeviceLowIndex, "devices": o.Devices, "egress_ports": o.EgressPorts, "egress_ports_jumbo": o.EgressPortsJumbo,
		"zone_pairs": o.ZonePairs, "wall_clock": o.WallClock,
	}
	for _, name := range own {
		delete(shared, name)
	}
	t := &Trial{}
	if t.hz, err = tickRate(); err != nil {
		return nil, err
	}
	if err := spec.LoadAndAssign(&t.objects, &ebpf.CollectionOptions{MapReplacements: shared}); err != nil {
		return nil, err
	}
	t.page, err = unix.Mmap(t.objects.Verdicts.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	if t.lines, err = mapLines(&t.objects.programsMaps, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return nil, err
	}
	t.verdict = (*RawVerdict)(unsafe.Pointer(&t.page[0]))
	t.context = make([]byte, 256)
	return t, nil
}

func (t *Trial) Close() error {
	for _, p := range t.redirect {
		p.Close()
	}
	if err := errors.Join(t.lines.close(), unix.Munmap(t.page)); err != nil {
		return err
	}
	return _ProgramsClose(&t.objects.programsMaps, t.objects.Classify, t.objects.TunnelIn, t.objects.TunnelOut, t.objects.Leave, t.objects.CollectNow)
}

// TrialPieces is how many packets in fragments a trial holds.
const TrialPieces = 10

func (t *Trial) Fragments() *ebpf.Map { return t.objects.Fragments }

// Tick is the time that the programs were told, d ago.
func (t *Trial) Tick(d time.Duration) uint32 {
	return uint32(t.verdict.Ticks) - uint32(d/(time.Second/time.Duration(t.hz)))
}

// At sets the clock of the flow table.
func (t *Trial) At(d time.Duration) {
	t.verdict.Ticks = uint64(d / (time.Second / time.Duration(t.hz)))
}

// Idle is how long ago a tick was.
func (t *Trial) Idle(last uint32) time.Duration {
	return time.Duration(int32(uint32(t.verdict.Ticks)-last)) * time.Second / time.Duration(t.hz)
}

// Flows calls f with every live line.
func (t *Trial) Flows(f func(RawFlow)) error {
	return t.lines.walk(func(r rawFlow) bool {
		f(r.export())
		return true
	})
}

// Age sets how long ago each flow had its last packet.
func (t *Trial) Age(idle func(RawFlow) time.Duration) error {
	last := func(r rawFlow) uint32 {
		return uint32(t.verdict.Ticks) - uint32(idle(r.export())/(time.Second/time.Duration(t.hz)))
	}
	t.lines.at(func(head *line, full *line6) bool {
		if head.Claim&0xffff != claimLive {
			return true
		}
		if full != nil {
			head.Last = last(full.raw())
		} else {
			head.Last = last(head.raw4())
		}
		return true
	})
	all := map[programsOverflowKey]line6{}
	if err := each(t.objects.FlowOverflow, func(k programsOverflowKey, l line6) { all[k] = l }); err != nil {
		return err
	}
	for k, l := range all {
		l.Last = last(l.rawOverflow())
		if err := t.objects.FlowOverflow.Put(k, l); err != nil {
			return err
		}
	}
	return nil
}

// Isolate cuts zones off for the classifier, and for the egress program.
func (t *Trial) Isolate(classifier, egress map[anchors.Zone]bool) error {
	bits := func(zones map[anchors.Zone]bool) uint32 {
		b, err := zoneBits(slices.Collect(maps.Keys(zones)))
		if err != nil {
			panic(err)
		}
		return b
	}
	return errors.Join(t.objects.Isolated.Set(bits(classifier)), t.objects.ZonesShut.Set(bits(egress)))
}

// PickUp lets connections be picked up, or not.
func (t *Trial) PickUp(on bool) error {
	until := uint64(0)
	if on {
		until = 1 << 62
	}
	return t.objects.PickupUntil.Put(uint32(0), until)
}

// Collect runs the timer's function over the whole table.
func (t *Trial) Collect() error {
	for range 1 + t.objects.Flows4.MaxEntries()/512 {
		if _, err := t.objects.CollectNow.Run(&ebpf.RunOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// Live is how many flows the programs counted, in all and for each segment.
func (t *Trial) Live() (all uint32, live [maxSegments]uint32, err error) {
	var n programsFlowUse
	if err := t.objects.FlowUses.Lookup(uint32(0), &n); err != nil {
		return 0, live, err
	}
	err = each(t.objects.SegmentUses, func(segment uint32, n programsSegmentUse) { live[segment] = n.Live })
	return n.Live, live, err
}

// testRun is BPF_PROG_TEST_RUN's part of union bpf_attr.
type testRun struct {
	program, answer     uint32
	sizeIn, sizeOut     uint32
	in, out             uint64
	repeat, duration    uint32
	contextIn, contextO uint32
	ctxIn, ctxOut       uint64
	flags, cpu, batch   uint32
	_                   uint32
}

const bpfProgTestRun = 10

func (t *Trial) run(p *ebpf.Program, frame []byte, contextSize int) (answer uint32, out []byte, v RawVerdict, err error) {
	runs := t.verdict.Runs
	if answer, out, err = t.once(p, frame, contextSize); err != nil {
		return 0, nil, v, err
	}
	v = *t.verdict
	if v.Runs != runs+1 {
		return 0, nil, v, fmt.Errorf("one packet was judged %d times", v.Runs-runs)
	}
	return answer, out, v, nil
}

// once runs a program on one frame, whether or not it writes down what it thinks.
func (t *Trial) once(p *ebpf.Program, frame []byte, contextSize int) (answer uint32, out []byte, err error) {
	var pin runtime.Pinner
	pin.Pin(&frame[0])
	pin.Pin(t)
	pin.Pin(&t.context[0])
	defer pin.Unpin()
	attr := testRun{
		program: uint32(p.FD()), sizeIn: uint32(len(frame)), sizeOut: uint32(len(t.out)), repeat: 1,
		in: uint64(uintptr(unsafe.Pointer(&frame[0]))), out: uint64(uintptr(unsafe.Pointer(&t.out[0]))),
		contextIn: uint32(contextSize), ctxIn: uint64(uintptr(unsafe.Pointer(&t.context[0]))),
		contextO: uint32(contextSize), ctxOut: uint64(uintptr(unsafe.Pointer(&t.context[0]))),
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, bpfProgTestRun, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		if errno == unix.EINTR || errno == unix.EAGAIN {
			continue
		}
		if errno != 0 {
			return 0, nil, fmt.Errorf("run the program on %d bytes: %w", len(frame), errno)
		}
		break
	}
	return attr.answer, t.out[:attr.sizeOut], nil
}

// Frame is one that comes in by a device.
type Frame struct {
	Ifindex int
	Bytes   []byte
}

// Hammer runs the XDP program on the caller's thread over the frames that next names, until done; several threads may do so at
// once. It tells how many frames passed.
func (t *Trial) Hammer(frames []Frame, next func() int, done func() bool) (passed int, err error) {
	context, out := make([]byte, 24), make([]byte, len(t.out))
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&context[0])
	pin.Pin(&out[0])
	for _, f := range frames {
		pin.Pin(&f.Bytes[0])
	}
	for !done() {
		f := frames[next()]
		clear(context)
		le.PutUint32(context[4:], uint32(len(f.Bytes)))
		le.PutUint32(context[12:], uint32(f.Ifindex))
		attr := testRun{
			program: uint32(t.objects.Classify.FD()), sizeIn: uint32(len(f.Bytes)), sizeOut: uint32(len(out)), repeat: 1,
			in: uint64(uintptr(unsafe.Pointer(&f.Bytes[0]))), out: uint64(uintptr(unsafe.Pointer(&out[0]))),
			contextIn: uint32(len(context)), ctxIn: uint64(uintptr(unsafe.Pointer(&context[0]))),
		}
		_, _, errno := unix.Syscall(unix.SYS_BPF, bpfProgTestRun, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		if errno == unix.EINTR || errno == unix.EAGAIN {
			continue
		}
		if errno != 0 {
			return passed, fmt.Errorf("run the program on %d bytes: %w", len(f.Bytes), errno)
		}
		if attr.answer == 4 { // XDP_REDIRECT
			passed++
		}
	}
	return passed, nil
}

// Pass lets time pass while others run the programs.
func (t *Trial) Pass(d time.Duration) {
	atomic.AddUint64(&t.verdict.Ticks, uint64(d/(time.Second/time.Duration(t.hz))))
}

// BeginCollecting starts the timer, which ends with the trial.
func (t *Trial) BeginCollecting() error {
	code, err := t.objects.Begin.Run(&ebpf.RunOptions{})
	if err == nil && code != 0 {
		err = fmt.Errorf("the kernel answers %d", int32(code))
	}
	return err
}

// Use is how many flows the programs count, and how many of them in the overflow table.
func (t *Trial) Use() (live, outside int, err error) {
	var n programsFlowUse
	err = t.objects.FlowUses.Lookup(uint32(0), &n)
	return int(int32(n.Live)), int(int32(n.Overflow)), err
}

// Books is how the table is kept, while nobody runs the programs.
type Books struct {
	Live, Outside   int // lines that live; of them, those in the overflow table
	Neither         int // lines that are neither free nor live
	Stations        int // live lines that are counted against their station
	CountedLive     int // the same as the programs count them
	CountedOutside  int
	CountedStations int
	Segments        map[uint16]int // live lines by the segment of their initiator
	CountedSegments map[uint16]int
	OverflowEntries int
	MostOfAStation  int // counted against one
}

// Books reads it.
func (t *Trial) Books() (b Books, err error) {
	b.Segments, b.CountedSegments = map[uint16]int{}, map[uint16]int{}
	look := func(l *line, outside bool) {
		switch l.Claim & 0xff {
		case 0:
			return
		case 2:
		default:
			b.Neither++
			return
		}
		b.Live++
		if outside {
			b.Outside++
		}
		if l.State&flowStation != 0 {
			b.Stations++
		}
		from, to := l.segments()
		if l.State&flowFromB != 0 {
			from = to
		}
		b.Segments[from]++
	}
	t.lines.at(func(head *line, _ *line6) bool {
		look(head, false)
		return true
	})
	err = each(t.objects.FlowOverflow, func(_ programsOverflowKey, l line6) {
		b.OverflowEntries++
		look(&l.line, true)
	})
	if err != nil {
		return b, err
	}
	if b.CountedLive, b.CountedOutside, err = t.Use(); err != nil {
		return b, err
	}
	segments, err := values[programsSegmentUse](t.objects.SegmentUses)
	if err != nil {
		return b, err
	}
	for i, s := range segments {
		if s.Live != 0 {
			b.CountedSegments[uint16(i)] = int(int32(s.Live))
		}
	}
	stations, err := values[programsStationSet](t.objects.StationUses)
	if err != nil {
		return b, err
	}
	for _, s := range stations {
		for _, way := range s.Way {
			n := int(int32(way.Head >> 32))
			b.CountedStations += n
			b.MostOfAStation = max(b.MostOfAStation, n)
		}
	}
	return b, nil
}

// Classify runs the XDP program as if frame came in by ifindex. The output begins with metadata where there is some.
func (t *Trial) Classify(ifindex int, frame []byte) (answer uint32, out []byte, v RawVerdict, err error) {
	clear(t.context[:24])
	le.PutUint32(t.context[4:], uint32(len(frame))) // struct xdp_md: data, data_end, data_meta, ingress_ifindex, queue, egress
	le.PutUint32(t.context[12:], uint32(ifindex))
	return t.run(t.objects.Classify, frame, 24)
}

// ClassifyBehind is Classify for a frame with that many bytes of a driver's metadata in front: so much less room.
func (t *Trial) ClassifyBehind(ifindex, metadata int, frame []byte) (RawVerdict, error) {
	whole := append(make([]byte, metadata), frame...)
	clear(t.context[:24])
	le.PutUint32(t.context[0:], uint32(metadata))
	le.PutUint32(t.context[4:], uint32(len(whole)))
	le.PutUint32(t.context[12:], uint32(ifindex))
	_, _, v, err := t.run(t.objects.Classify, whole, 24)
	return v, err
}

// TunnelIn runs the tunnel's ingress program; mark is what the packet would carry up the stack.
func (t *Trial) TunnelIn(ifindex int, frame []byte) (answer, mark uint32, v RawVerdict, err error) {
	answer, mark, _, v, err = t.TunnelInto(ifindex, frame)
	return answer, mark, v, err
}

// TunnelInto is TunnelIn, and gives the packet as it would go up the stack.
func (t *Trial) TunnelInto(ifindex int, frame []byte) (answer, mark uint32, out []byte, v RawVerdict, err error) {
	const size = 192 // struct __sk_buff; offsets of mark and ifindex
	clear(t.context[:size])
	le.PutUint32(t.context[40:], uint32(ifindex))
	answer, out, v, err = t.run(t.objects.TunnelIn, frame, size)
	return answer, le.Uint32(t.context[8:]), out, v, err
}

// TunnelOut runs the tunnel's egress program over a packet that the stack forwards with a mark, and gives it as it enters the
// tunnel.
func (t *Trial) TunnelOut(ifindex int, mark uint32, frame []byte) (passed bool, out []byte, err error) {
	const size = 192
	clear(t.context[:size])
	le.PutUint32(t.context[8:], mark)
	le.PutUint32(t.context[40:], uint32(ifindex))
	answer, out, err := t.once(t.objects.TunnelOut, frame, size)
	return answer == answerTCXPass, out, err
}

// NewEgressTrial is a trial of the egress program: frames are redirected to one of the devices without being looked at.
func (c *Core) NewEgressTrial(t testing.TB, devices []int) (*Trial, error) {
	trial, err := c.NewTrial(1, 1, programsMapEgressPorts)
	if err != nil {
		return nil, err
	}
	trial.redirect = map[int]*ebpf.Program{}
	for _, d := range devices {
		exit := programsBpfDevmapVal{Ifindex: uint32(d)}
		exit.BpfProg.Fd = int32(trial.objects.Leave.FD())
		if err := trial.objects.EgressPorts.Put(uint32(d), exit); err != nil {
			return nil, err
		}
		trial.redirect[d] = redirector(t, trial.objects.EgressPorts, d)
	}
	return trial, nil
}

// Leave gives the reason for which the egress program drops a frame that came in by one device and would leave by another;
// "" when it passes. The kernel runs the program only where it stands, so the frame is really sent.
func (t *Trial) Leave(in, out int, frame []byte) (string, error) {
	runs := t.verdict.Runs
	clear(t.context[:24])
	le.PutUint32(t.context[4:], uint32(len(frame)))
	le.PutUint32(t.context[12:], uint32(in))
	var pin runtime.Pinner
	pin.Pin(&frame[0])
	pin.Pin(&t.context[0])
	defer pin.Unpin()
	attr := testRun{
		program: uint32(t.redirect[out].FD()), sizeIn: uint32(len(frame)), in: uint64(uintptr(unsafe.Pointer(&frame[0]))), repeat: 1,
		contextIn: 24, ctxIn: uint64(uintptr(unsafe.Pointer(&t.context[0]))), flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, batch: 1,
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, bpfProgTestRun, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		if errno == 0 {
			break
		}
		if errno != unix.EINTR && errno != unix.EAGAIN {
			return "", fmt.Errorf("redirect %d bytes from device %d to %d: %w", len(frame), in, out, errno)
		}
	}
	switch v := *t.verdict; v.Runs - runs {
	case 0:
		return "", nil
	case 1:
		return reasonName(v.Reason), nil
	default:
		return "", fmt.Errorf("one frame was judged %d times", v.Runs-runs)
	}
}

// EgressRuns is how often the egress program ran; statistics must be on.
func (t *Trial) EgressRuns() (uint64, error) {
	s, err := t.objects.Leave.Stats()
	if err != nil {
		return 0, err
	}
	return s.RunCount, nil
}
