package packet

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Rehearsal is the programs once more, over tables that are staged and not in force. What they would do with a packet is told
// by them, not guessed from the tables.
//
// They are loaded with maps of their own: flows, counters, events and images that nobody else sees. Of the core they share
// only what programs may not write and the anchors alone determine. They stand in a network namespace of their own, whose
// devices, routes and neighbours are laid as the tables want them: so a packet is stopped by a program or not at all, whatever
// is plugged in, and none of it ever leaves the machine. Close ends all of it.
type Rehearsal struct {
	core     *Core
	spec     *ebpf.CollectionSpec
	maps     map[string]*ebpf.Map
	objects  programsMaps             // the same
	programs map[string]*ebpf.Program // as far as a packet has met them: each takes the kernel's verifier a good while
	world    *scenery
	counts   *ebpf.Map // of the rules of the tables on show

	calls chan func() // run on the thread that is in the namespace
	ended chan struct{}
}

// rehearsalFlows is room for the flows of one packet.
const rehearsalFlows = 64

// shared are the core's maps that a rehearsal looks into.
func (c *Core) shared() map[string]*ebpf.Map {
	o := &c.objects
	return map[string]*ebpf.Map{
		programsMapAnchorPrefixes4: o.AnchorPrefixes4, programsMapAnchorNodes4: o.AnchorNodes4, programsMapAnchorPrefixes6: o.AnchorPrefixes6,
		programsMapZonePairs: o.ZonePairs, programsMapBoot: o.Boot,
		programsMapNatInside: o.NatInside, programsMapNatOutside: o.NatOutside,
	}
}

// Rehearse prepares the programs for playing packets to them. Each is loaded for the first packet that meets it, which takes
// about a second.
func (c *Core) Rehearse() (*Rehearsal, error) {
	spec, err := loadPrograms()
	if err == nil {
		err = spec.Variables["record_verdicts"].Set(uint32(1))
	}
	if err == nil {
		err = beginMapping(spec, c.anchors)
	}
	var keys hashKeys
	if err == nil {
		keys, err = drawKeys()
	}
	if err == nil {
		err = setFlows(spec, sizesFor(rehearsalFlows), rehearsalFlows, rehearsalFlows, keys)
	}
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	for name, room := range map[string]uint32{programsMapSegmentPairs: 64, programsMapFragments: 64, programsMapEvents: uint32(os.Getpagesize())} {
		spec.Maps[name].MaxEntries = room
	}
	r := &Rehearsal{core: c, spec: spec, programs: map[string]*ebpf.Program{}, calls: make(chan func()), ended: make(chan struct{})}
	bare := spec.Copy()
	clear(bare.Programs)
	all, err := ebpf.NewCollectionWithOptions(bare, ebpf.CollectionOptions{MapReplacements: c.shared()})
	if err != nil {
		return nil, fmt.Errorf("rehearse: make maps: %w", err)
	}
	r.maps = maps.Clone(all.Maps)
	if err := all.Assign(&r.objects); err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	began := make(chan error)
	go r.run(began)
	if err := <-began; err != nil {
		r.Close()
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	return r, nil
}

// run serves calls on a thread of its own, which is in the namespace. It is never unlocked: the thread ends with this
// goroutine, and the namespace with the thread.
func (r *Rehearsal) run(began chan<- error) {
	defer close(r.ended)
	runtime.LockOSThread()
	var err error
	r.world, err = newScenery()
	began <- err
	for call := range r.calls {
		call()
	}
}

// do runs f in the namespace.
func (r *Rehearsal) do(f func() error) error {
	done := make(chan error)
	r.calls <- func() { done <- f() }
	return <-done
}

// Close ends it. The staged tables stay as they are.
func (r *Rehearsal) Close() error {
	close(r.calls)
	<-r.ended
	if r.counts != nil {
		r.counts.Close()
	}
	for _, p := range r.programs {
		p.Close()
	}
	for name, m := range r.maps {
		if name[0] == '.' { // of the programs' variables
			m.Close()
		}
	}
	return r.objects.Close()
}

// program loads one of the programs, over the rehearsal's maps.
func (r *Rehearsal) program(name string) (*ebpf.Program, error) {
	if p, ok := r.programs[name]; ok {
		return p, nil
	}
	spec := r.spec.Copy()
	for other := range spec.Programs {
		if other != name {
			delete(spec.Programs, other)
		}
	}
	all, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: r.maps})
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", name, err)
	}
	defer all.Close()
	r.programs[name] = all.DetachProgram(name)
	return r.programs[name], nil
}

// Show makes the programs decide by staged tables.
func (r *Rehearsal) Show(s *Staged) error {
	counts, err := newRuleCounts(s.core.spec, s.decoded)
	if err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	if r.counts != nil {
		r.counts.Close()
	}
	r.counts = counts
	err = r.objects.RuleCounts.Put(s.decoded.Epoch&1, counts)
	for _, slot := range []uint32{byEpoch(s.decoded.Epoch), imageNow} {
		err = errors.Join(err, r.objects.Images.Put(slot, s.image.Map))
	}
	if err != nil {
		return fmt.Errorf("rehearse: hang in the staged image: %w", err)
	}
	return nil
}

// Part is a packet as it is played.
type Part struct {
	Port  string // device that it comes in by; with Out: that the gate itself sends it by
	Out   bool
	Frame []byte // as it is on the device: of ports from Ethernet on, with the device's MAC left open; of tunnels from IP on
	At    time.Time

	Dst    netip.Addr // where the routing table of the scenery leads it:
	Device string     // by this device; "": nowhere
	Next   netip.Addr // to this next hop, Dst itself when it is on link
}

// Played is what the programs did with it.
type Played struct {
	Verdict Verdict
	Reason  string // the program's, when it was dropped; the egress program's, when Stopped
	Rule    uint32 // that permitted it, when it passed
	Port    string // redirected or sent by
	VLAN    uint16 // it left the classifier with
	Outer   uint16
	Stopped bool // the classifier let it out, and the egress program stopped it
}

// Verdict is what a program did.
type Verdict string

const (
	Dropped    Verdict = "drop"
	Redirected Verdict = "redirect" // out by a port
	Stacked    Verdict = "stack"    // up to the gate
	Sent       Verdict = "send"     // of the gate itself: out by a device
)

// Play plays one packet, as if the programs had never seen one before.
func (r *Rehearsal) Play(p Part) (out Played, err error) {
	err = r.do(func() error {
		if err := r.lay(p); err != nil {
			return err
		}
		out, err = r.play(p)
		return err
	})
	if err != nil {
		err = fmt.Errorf("rehearse: %w", err)
	}
	return out, err
}

// lay prepares devices, routes, time and an empty memory.
func (r *Rehearsal) lay(p Part) error {
	for _, name := range []string{p.Port, p.Device} {
		if err := r.device(name); err != nil {
			return err
		}
	}
	if err := r.world.lead(p); err != nil {
		return err
	}
	at := p.At
	if at.IsZero() {
		at = time.Now()
	}
	offset, err := taiOffset()
	if err != nil {
		return err
	}
	if err := r.objects.WallClock.Put(uint32(0), clockValueOf(offset-time.Until(at), 1)); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return r.forget()
}

// device makes one of the anchors' devices stand in the scenery, and shows it to the programs.
func (r *Rehearsal) device(name string) error {
	if _, ok := r.world.devices[name]; ok || name == "" {
		return nil
	}
	n, ok := r.core.devices.number(name)
	if !ok {
		return fmt.Errorf("device %q is not in the anchors", name)
	}
	index, mac, err := r.world.build(name, n)
	if err != nil {
		return err
	}
	o := &r.objects
	tags := programsDeviceTags{Device: n}
	err = errors.Join(
		o.Devices.Put(uint32(n), programsDevice{Ifindex: uint32(index), Mac: mac, Tunnel: flag(r.core.devices.tunnel[name])}),
		o.DeviceIndex.Put(uint32(index), tags), o.DeviceLowIndex.Put(uint32(index), tags),
	)
	for i, s := range r.core.anchors.Segments {
		if s.Port == name {
			home := programsAnchorHome{Ifindex: uint32(index), Vlan: s.VLAN, Outer: s.Outer}
			err = errors.Join(err, o.AnchorHomes.Put(uint32(anchorNumber(i)), home))
		}
	}
	if err != nil {
		return fmt.Errorf("show device %s to the programs: %w", name, err)
	}
	if r.core.devices.tunnel[name] {
		return nil
	}
	leave, err := r.program("leave")
	if err != nil {
		return err
	}
	return openExit(o.EgressPorts, leave, name, index)
}

// forget empties what the programs remember of former packets. Ways that are known are not trusted while no device is known
// to have led a packet on.
func (r *Rehearsal) forget() error {
	o := &r.objects
	for _, m := range []*ebpf.Map{o.Flows4, o.Flows6, o.FlowPrints4, o.FlowPrints6, o.FlowUses} {
		zero := make([]byte, m.ValueSize())
		for i := range m.MaxEntries() {
			if err := m.Put(i, zero); err != nil {
				return fmt.Errorf("empty %s: %w", m, err)
			}
		}
	}
	for _, m := range []*ebpf.Map{o.Fragments, o.SegmentPairs} {
		var key []byte
		for m.NextKey(nil, &key) == nil {
			if err := m.Delete(key); err != nil {
				return fmt.Errorf("empty %s: %w", m, err)
			}
		}
	}
	return errors.Join(
		putAll(o.SegmentUses, make([]programsSegmentUse, o.SegmentUses.MaxEntries())),
		putAll(o.StationUses, make([]programsStationSet, o.StationUses.MaxEntries())),
		putAll(o.LedOn, make([]uint32, o.LedOn.MaxEntries())),
	)
}

// xdpContext is struct xdp_md.
type xdpContext struct {
	Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32
}

// Answers of the programs.
const (
	answerPass     = 2 // XDP_PASS
	answerRedirect = 4 // XDP_REDIRECT
	answerTCXPass  = 0
)

func (r *Rehearsal) play(p Part) (Played, error) {
	frame := slices.Clone(p.Frame)
	d := r.world.devices[p.Port]
	tunnel := r.core.devices.tunnel[p.Port]
	if !tunnel {
		at := 0
		if p.Out {
			at = len(d.mac)
		}
		copy(frame[at:], d.mac[:])
	}
	if kind := uint16(frame[12])<<8 | uint16(frame[13]); tunnel && (kind == 0x0800 || kind == 0x86dd) {
		return Played{}, errors.New("the kernel's test run takes two bytes of its source address for an EtherType")
	}
	switch {
	case p.Out && tunnel:
		return r.tcx("tunnel_out", d, frame, Played{Verdict: Sent, Port: p.Port})
	case p.Out:
		return r.tcx("port_out", d, frame, Played{Verdict: Sent, Port: p.Port})
	case tunnel:
		return r.tcx("tunnel_in", d, frame, Played{Verdict: Stacked})
	}
	context := xdpContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(d.index)}
	left := make([]byte, len(frame)+256)
	opts := ebpf.RunOptions{Data: frame, DataOut: left, Context: context, Repeat: 1}
	answer, v, err := r.judged("classify", &opts)
	if err != nil {
		return Played{}, err
	}
	switch answer {
	case answerPass:
		return Played{Verdict: Stacked, Rule: v.Rule}, nil
	case answerRedirect:
		out := Played{Verdict: Redirected, Rule: v.Rule}
		out.Port, out.VLAN, out.Outer = r.world.exit(opts.DataOut)
		return out, r.send(frame, context, &out)
	}
	return Played{Verdict: Dropped, Reason: reasonName(v.Reason)}, nil
}

// send lets the frame really go through the classifier and out, into the namespace's dead end: the kernel runs the egress
// program only there.
func (r *Rehearsal) send(frame []byte, context xdpContext, out *Played) error {
	before, err := r.verdict()
	if err != nil {
		return err
	}
	opts := ebpf.RunOptions{Data: frame, Context: context, Repeat: 1, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES}
	if _, err := r.programs["classify"].Run(&opts); err != nil {
		return fmt.Errorf("send %d bytes: %w", len(frame), err)
	}
	v, err := r.verdict()
	switch n := v.Runs - before.Runs; {
	case err != nil:
		return err
	case n == 2:
		out.Stopped, out.Reason = true, reasonName(v.Reason)
	case n != 1 || v.Reason != 0:
		return fmt.Errorf("the same frame was first redirected and then judged %d times, at last %q", n, reasonName(v.Reason))
	}
	return nil
}

// tcx runs a program of the stack; passed is the answer when it lets the packet go.
func (r *Rehearsal) tcx(program string, d prop, frame []byte, passed Played) (Played, error) {
	context := make([]byte, 192) // struct __sk_buff; 40: ifindex
	le.PutUint32(context[40:], uint32(d.index))
	answer, v, err := r.judged(program, &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: context, Repeat: 1})
	if err != nil {
		return Played{}, err
	}
	if answer != answerTCXPass {
		return Played{Verdict: Dropped, Reason: reasonName(v.Reason)}, nil
	}
	passed.Rule = v.Rule
	return passed, nil
}

// judged runs a program once and reads what it wrote down.
func (r *Rehearsal) judged(program string, opts *ebpf.RunOptions) (answer uint32, v programsVerdict, err error) {
	p, err := r.program(program)
	if err != nil {
		return 0, v, err
	}
	if err := r.objects.Verdicts.Put(uint32(0), programsVerdict{}); err != nil {
		return 0, v, fmt.Errorf("forget the last verdict: %w", err)
	}
	if answer, err = p.Run(opts); err != nil {
		return 0, v, fmt.Errorf("run the program on %d bytes: %w", len(opts.Data), err)
	}
	v, err = r.verdict()
	return answer, v, err
}

func (r *Rehearsal) verdict() (v programsVerdict, err error) {
	if err := r.objects.Verdicts.Lookup(uint32(0), &v); err != nil {
		return v, fmt.Errorf("read the verdict: %w", err)
	}
	return v, nil
}
