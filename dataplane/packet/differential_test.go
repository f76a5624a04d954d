package packet_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// The program and the model must agree on every packet: verdict, reason, rule, what becomes of the frame, and the flow
// table afterwards. Rounds: between them the policy changes, flows grow old or are removed.

const (
	classified   = 1_050_000 // packets through the XDP program
	tunnelled    = 220_000   // packets through the tunnel's program
	workers      = 2
	roundSize    = 35_000 // packets of all workers between two changes of the world
	flowCapacity = 800
	seed         = 20261121
	tick         = 4 * time.Millisecond
	began        = tick<<32 - 100*time.Second // the 32 bits of a line's clock run over while the test runs
)

// flowQuotas of the workers: where segments meet their quota, the table does not fill.
var flowQuotas = [workers]int{120, flowCapacity}

// unreachable are the reasons that one XDP run of a frame cannot end with.
var unreachable = map[string]string{
	"vlan-rewrite": "needs a driver without room in front of the frame", "flow-table-busy": "needs another CPU in the same bucket from an interrupt", "metadata-failed": "needs a driver without room in front of the frame",
	"egress-malformed": "egress program", "egress-source": "egress program", "egress-destination": "egress program",
	"egress-wrong-port": "egress program", "egress-wrong-source": "egress program", "egress-zone-pair": "egress program",
	"metadata-missing": "tcx", "vlan-mismatch": "tcx", "mark-missing": "tcx", "gate-refused": "tcx egress",
	"nat-inside": "tunnels", "nat-failed": "needs a packet that the kernel cannot write to",
}

const outOfTime = "later fragment of a record whose time is over"

const (
	xdpDrop     = 1
	xdpPass     = 2
	xdpRedirect = 4
	tcxPass     = 0
	tcxDrop     = 2
)

// worker drives one copy of the programs and one model with the same packets.
type worker struct {
	trial *packet.Trial
	gen   *generator
	st    *model.State
	m     *model.Model
	index map[string]int
	magic uint16
	bare  bool

	clock    time.Duration // since the kernel's start, as the programs are told
	now      time.Time
	reached  map[string]int
	passed   int
	grown    string // neighbourGrowth when the round began
	mismatch error
}

func TestProgramAndModelAgree(t *testing.T) {
	core, index := world(t)
	if err := core.Unguard(index["e0"]); err != nil {
		t.Fatal(err)
	}
	reached := differ(t, core, index, length(t, classified), false)
	for _, want := range []string{"icmp error: redirect", "icmp error: stack"} {
		if reached[want] < classified/1000 {
			t.Errorf("only %d times: %s", reached[want], want)
		}
	}
	if n := reached["class by mark"]; n < 100 {
		t.Errorf("only %d packets chose their class by their code point", n)
	}
	for _, name := range packet.Reasons() {
		_, excused := unreachable[name]
		if reached[name] == 0 && !excused {
			t.Errorf("no packet was dropped for %q: the generator does not reach it", name)
		}
		if reached[name] != 0 && excused {
			t.Errorf("%q was reached %d times but is listed as unreachable", name, reached[name])
		}
	}
	for _, want := range append(shapes, "of shape "+outOfTime) {
		if reached[want] == 0 {
			t.Errorf("no packet was %s", want)
		}
	}
	for _, want := range []model.Verdict{model.Redirect, model.Stack} {
		if reached[string(want)] < classified/50 {
			t.Errorf("only %d packets ended with %s", reached[string(want)], want)
		}
	}
}

func TestTunnelProgramAndModelAgree(t *testing.T) {
	core, index := world(t)
	reached := differ(t, core, index, tunnelled, true)
	for _, want := range []string{
		"stack", "ip-truncated", "ip-header", "fragment", "ip6-extension", "l4-truncated", "l4-header", "no-policy", "dhcp-refused",
		"source-address", "destination-address", "source-is-gate", "source-not-in-segment", "destination-unknown", "no-cell",
		"tcp-not-syn", "icmp-type", "icmp-no-flow", "flow-segment-quota", "icmp-quote", "icmp-error-no-flow", "dhcp-server", "record-time", "clock-behind", "zone-isolated",
		"nat-inside", "translated", "translated icmp error", "translated later fragment",
	} {
		if reached[want] == 0 {
			t.Errorf("no packet ended with %q", want)
		}
	}
}

// length is how many packets to compare: SEKISHO_PACKETS for a long run.
func length(t *testing.T, usual int) int {
	t.Helper()
	s := os.Getenv("SEKISHO_PACKETS")
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < usual {
		t.Fatalf("SEKISHO_PACKETS=%q: want a number of packets, at least %d", s, usual)
	}
	return n
}

func differ(t *testing.T, core *packet.Core, index map[string]int, total int, bare bool) map[string]int {
	t.Helper()
	var team []*worker
	for i := range workers {
		trial, err := core.NewTrial(flowCapacity, uint32(flowQuotas[i]))
		if err != nil {
			t.Fatal(err)
		}
		defer trial.Close()
		w := &worker{
			trial: trial, gen: &generator{r: rand.New(rand.NewPCG(seed, uint64(i)))}, index: index, magic: core.Magic(), bare: bare, clock: began,
			st:      &model.State{Flows: map[model.FlowKey]*model.Flow{}, Pieces: packet.TrialPieces, Capacity: flowCapacity, Quota: flowQuotas[i], MACs: map[string]packet.MAC{}, Route: route},
			reached: map[string]int{},
		}
		for _, p := range ports {
			w.st.MACs[p] = portMAC(p)
		}
		team = append(team, w)
	}
	ns, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	policies := rand.New(rand.NewPCG(seed, 99))
	var tables packet.Tables
	start := time.Now()
	rounds := max(30, total/roundSize)
	floor := start
	for round := range rounds {
		if round > 0 && round%3 == 1 {
			staged, err := core.Load(worldTables(policies, fmt.Sprint("round ", round)))
			if err != nil {
				t.Fatal(err)
			}
			if err := staged.Swap(); err != nil {
				t.Fatal(err)
			}
			tables, _ = core.Active()
		}
		if round > 0 {
			floor = time.Now()
			if round%6 == 2 || round%6 == 4 { // under tables that are known, and with new ones
				floor = floor.AddDate(0, 0, 1) // the clock was set back
			}
			if err := core.SetFloor(floor); err != nil {
				t.Fatal(err)
			}
		}
		n := (total + rounds*workers - 1) / (rounds * workers)
		if round == 0 {
			n = 2000 // nothing is loaded yet
		} else if round == 1 {
			n += n - 2000
		}
		var wg sync.WaitGroup
		for _, w := range team {
			snapshot := tables
			w.m = model.New(&snapshot).Anchored(worldAnchors())
			w.st.Clock.Floor, w.st.Wall = floor, time.Now()
			if err := w.age(); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { w.work(n, ns) })
		}
		wg.Wait()
		for _, w := range team {
			if w.mismatch == nil {
				w.mismatch = w.compareFlows()
			}
			if w.mismatch == nil {
				w.mismatch = w.comparePieces()
			}
			if w.mismatch != nil {
				t.Fatalf("round %d: %v", round, w.mismatch)
			}
		}
	}
	reached, packets := map[string]int{}, 0
	for _, w := range team {
		for k, n := range w.reached {
			reached[k] += n
			if !strings.HasPrefix(k, "icmp error: ") && !strings.HasPrefix(k, "of shape ") { // counted once more
				packets += n
			}
		}
	}
	if packets < total-total/100 {
		t.Errorf("only %d packets were compared, want %d", packets, total)
	}
	var table strings.Builder
	for _, k := range slices.Sorted(maps.Keys(reached)) {
		fmt.Fprintf(&table, "%9d  %s\n", reached[k], k)
	}
	t.Logf("%d packets without a difference in %s:\n%s", packets, time.Since(start).Round(time.Millisecond), table.String())
	return reached
}

// work runs n packets on a thread in the world's namespace; the thread ends with the goroutine.
func (w *worker) work(n int, ns netns.NsHandle) {
	runtime.LockOSThread()
	if w.mismatch = netns.Set(ns); w.mismatch != nil {
		return
	}
	if w.grown, w.mismatch = neighbourGrowth(); w.mismatch != nil {
		return
	}
	for range n {
		port, frame := w.gen.next(w.bare)
		if w.bare {
			port = pick(w.gen, "wg0", "wg0", "wg0", "wg1", "wg1", "wg2")
		}
		if len(frame) < 14 {
			frame = append(frame, make([]byte, 14-len(frame))...) // the kernel runs no program on less
		}
		if kind := be.Uint16(frame[12:]); w.bare && (kind == 0x86dd || kind == 0x0800) {
			continue // the kernel's test run takes these for an EtherType and wants that header behind it
		}
		if w.gen.chance(6) {
			w.clock += tick
			w.tell()
		}
		if w.gen.chance(1) {
			if w.mismatch = w.timePieces(); w.mismatch != nil {
				return
			}
		}
		w.mismatch = w.one(port, frame)
		if w.mismatch != nil {
			return
		}
	}
}

// one compares one packet.
func (w *worker) one(port string, frame []byte) error {
	want := w.m.Decide(nil, w.st, model.Packet{Port: port, Frame: frame, Bare: w.bare, Now: w.now})
	var answer, expect, mark uint32
	var out []byte
	var v packet.RawVerdict
	var err error
	if w.bare {
		answer, mark, out, v, err = w.trial.TunnelInto(w.index[port], frame)
		expect = map[model.Verdict]uint32{model.Drop: tcxDrop, model.Stack: tcxPass}[want.Verdict]
	} else {
		answer, out, v, err = w.trial.Classify(w.index[port], frame)
		expect = map[model.Verdict]uint32{model.Drop: xdpDrop, model.Stack: xdpPass, model.Redirect: xdpRedirect}[want.Verdict]
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, dump(frame))
	}
	got := packet.ReasonName(v.Reason)
	if want.Verdict == model.Redirect && answer == xdpPass {
		now, err := neighbourGrowth()
		if err != nil {
			return err
		}
		if now != w.grown { // no neighbour was found: the kernel is to resolve it
			want.Verdict, expect, want.Mark = model.Stack, xdpPass, uint32(want.Segment)<<6|uint32(want.BWClass)
		}
	}
	// The model does not know of the DEVMAP; e0 was taken out of it.
	if want.Verdict == model.Redirect && want.Egress == "e0" {
		want.Reason, expect, want.Rule, want.Opened = "egress-unguarded", xdpDrop, 0, false
	}
	name := want.Reason
	if (name == "clock-behind" || name == "record-time") && !w.bare && slices.ContainsFunc(shapeOf(frame), func(s string) bool { return s == "later fragment" || s == "last fragment" }) {
		w.reached["of shape "+outOfTime]++
	}
	if name == "" {
		name = string(want.Verdict)
		if len(w.gen.recent) < 64 {
			w.gen.recent = append(w.gen.recent, w.gen.last)
		} else {
			w.gen.recent[w.passed%64] = w.gen.last
		}
		w.passed++
		if l := w.gen.last; l.proto == 1 && (l.typ == 3 || l.typ > 10) || l.proto == 58 && l.typ < 5 {
			w.reached["icmp error: "+name]++
		}
	}
	w.reached[name]++
	if want.ByMark {
		w.reached["class by mark"]++
	}
	if !w.bare {
		for _, s := range shapeOf(frame) {
			w.reached["of shape "+s+outcome[want.Reason == ""]]++
		}
	}
	if got != want.Reason || answer != expect || v.Rule != want.Rule || (v.Opened != 0) != want.Opened {
		return fmt.Errorf("port %s: program: answer %d reason %q rule %d opened %d; model: %s (answer %d) reason %q rule %d opened %v\n%s",
			port, answer, got, v.Rule, v.Opened, want.Verdict, expect, want.Reason, want.Rule, want.Opened, dump(frame))
	}
	if answer == xdpDrop || answer == tcxDrop && w.bare {
		return nil
	}
	if w.bare {
		if mark != uint32(w.magic)<<16|want.Mark {
			return fmt.Errorf("mark %#x, want magic %#x and %#x\n%s", mark, w.magic, want.Mark, dump(frame))
		}
		if !bytes.Equal(out, want.Frame) {
			return fmt.Errorf("goes up the stack otherwise than the model says\nin:\n%sout:\n%swant:\n%s", dump(frame), dump(out), dump(want.Frame))
		}
		if !bytes.Equal(out, frame) {
			w.reached["translated"]++
			if l := w.gen.last; l.proto == 1 && (l.typ == 3 || l.typ > 10) {
				w.reached["translated icmp error"]++
			}
			if be.Uint16(frame[6:])&0x1fff != 0 {
				w.reached["translated later fragment"]++
			}
		}
		return nil
	}
	if err := w.compareFrame(want, frame, out); err != nil {
		return fmt.Errorf("port %s: %s: %w\nin:\n%sout:\n%s", port, want.Verdict, err, dump(frame), dump(out))
	}
	return nil
}

// neighbourGrowth tells how often the kernel's tables of neighbours have grown. Each is one for all network namespaces, and
// while it grows, for up to a millisecond, routing finds no neighbour, not even a permanent one: the packet goes up the stack.
func neighbourGrowth() (string, error) {
	var grown strings.Builder
	for _, table := range []string{"arp_cache", "ndisc_cache"} {
		b, err := os.ReadFile("/proc/1/net/stat/" + table) // the first namespace has it
		if err != nil {
			return "", fmt.Errorf("read how often neighbours needed more room: %w", err)
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		at := slices.Index(strings.Fields(lines[0]), "hash_grows")
		if at < 0 {
			return "", fmt.Errorf("%s of this kernel does not count how often it grew:\n%s", table, b)
		}
		for _, cpu := range lines[1:] {
			fmt.Fprintln(&grown, table, strings.Fields(cpu)[at])
		}
	}
	return grown.String(), nil
}

// compareFrame checks what left the program.
func (w *worker) compareFrame(want model.Decision, in, out []byte) error {
	l3 := networkAt(in)
	if want.Verdict == model.Stack {
		vlan := uint16(0)
		if l3 > 14 {
			vlan = be.Uint16(in[14:]) & 0xfff
		}
		if len(out) != len(in)+8 || !bytes.Equal(out[8:], in) {
			return fmt.Errorf("the frame was changed on its way up the stack")
		}
		mark, tag := uint32(out[0])|uint32(out[1])<<8|uint32(out[2])<<16|uint32(out[3])<<24, uint16(out[4])|uint16(out[5])<<8
		if mark != uint32(w.magic)<<16|want.Mark || tag != vlan {
			return fmt.Errorf("metadata mark %#x VLAN %d, want magic %#x, %#x and VLAN %d", mark, tag, w.magic, want.Mark, vlan)
		}
		return nil
	}
	expect := exitFrame(want, in)
	if at := networkAt(out); in[l3]>>4 == 4 && len(out) == len(expect) {
		header := int(in[l3]&15) * 4
		before, after := sum16(in[l3:l3+header]), sum16(out[at:at+header])
		if before == 0xffff && after != 0xffff {
			return fmt.Errorf("a valid header checksum became invalid")
		}
		copy(expect[at+10:at+12], out[at+10:at+12])
	}
	if !bytes.Equal(expect, out) {
		return fmt.Errorf("the frame left otherwise than expected:\n%s", dump(expect))
	}
	return nil
}

// exitFrame is how a frame must leave: with the tags of where it goes, and one hop fewer to live.
func exitFrame(want model.Decision, in []byte) []byte {
	l3, source := networkAt(in), portMAC(want.Egress)
	out := append(append([]byte{}, want.NextMAC[:]...), source[:]...)
	if want.Outer != 0 {
		out = be.AppendUint16(be.AppendUint16(out, 0x88a8), want.Outer)
	}
	if want.VLAN != 0 {
		out = be.AppendUint16(be.AppendUint16(out, 0x8100), want.VLAN)
	}
	kind, hops := uint16(0x0800), 8
	if in[l3]>>4 == 6 {
		kind, hops = 0x86dd, 7
	}
	out = append(be.AppendUint16(out, kind), in[l3:]...)
	out[len(out)-len(in)+l3+hops]--
	return out
}

const agesAgo = 24 * time.Hour

// dump shows the headers.
func dump(b []byte) string {
	return fmt.Sprintf("%d bytes\n%s", len(b), hex.Dump(b[:min(len(b), 128)]))
}

// age begins a round: some flows are gone, some too old, the rest fresh, on both sides.
func (w *worker) age() error {
	w.clock += 3 * time.Second
	w.tell()
	w.st.PickUp = w.gen.chance(30)
	if err := w.trial.PickUp(w.st.PickUp); err != nil {
		return err
	}
	w.st.Isolated = w.gen.isolated()
	if err := w.trial.Isolate(w.st.Isolated, nil); err != nil {
		return err
	}
	var flows []packet.RawFlow
	if err := w.trial.Flows(func(f packet.RawFlow) { flows = append(flows, f) }); err != nil {
		return err
	}
	slices.SortFunc(flows, func(a, b packet.RawFlow) int {
		return strings.Compare(fmt.Sprint(modelKey(a)), fmt.Sprint(modelKey(b)))
	})
	idle := map[model.FlowKey]time.Duration{}
	for _, raw := range flows {
		k := modelKey(raw)
		switch n := w.gen.r.IntN(100); {
		case n < 40:
			idle[k] = agesAgo
			delete(w.st.Flows, k)
		case n < 50:
			w.st.Flows[k].Last = w.now.Add(-agesAgo)
		default:
			w.st.Flows[k].Last = w.now
		}
	}
	err := w.trial.Age(func(raw packet.RawFlow) time.Duration { return idle[modelKey(raw)] })
	if err == nil {
		err = w.trial.Collect()
	}
	if err != nil {
		return err
	}
	if err := w.agePieces(); err != nil {
		return err
	}
	return w.trial.Age(func(raw packet.RawFlow) time.Duration { return w.now.Sub(w.st.Flows[modelKey(raw)].Last) })
}

// isolated are the zones that are cut off during a round: mostly none.
func (g *generator) isolated() map[anchors.Zone]bool {
	cut := map[anchors.Zone]bool{}
	for z := anchors.MyNumber; z < anchors.Zones; z++ {
		if g.chance(6) {
			cut[z] = true
		}
	}
	return cut
}

// tell sets the clock of both sides.
func (w *worker) tell() {
	w.now = time.Unix(0, 0).Add(w.clock)
	w.trial.At(w.clock)
}

// segmentFlows counts the model's flows by their opener's segment.
func (w *worker) segmentFlows() (n [1024]uint32) {
	for _, f := range w.st.Flows {
		n[f.Opener.Segment]++
	}
	return n
}

func modelKey(k packet.RawFlow) model.FlowKey {
	end := func(segment uint16, a netip.AddrPort) model.End {
		return model.End{Segment: segment, Addr: a.Addr(), Port: a.Port()}
	}
	lo, hi := end(k.SegmentA, k.A), end(k.SegmentB, k.B)
	key := model.FlowKey{Proto: k.Proto, Lo: lo, Hi: hi}
	switch k.Asker {
	case 1:
		key.Asker = lo
	case 2:
		key.Asker = hi
	}
	order := cmp.Or(cmp.Compare(hi.Segment, lo.Segment), hi.Addr.Compare(lo.Addr), cmp.Compare(hi.Port, lo.Port))
	if order < 0 { // the program orders by address alone
		key.Lo, key.Hi = hi, lo
	}
	return key
}

// compareFlows compares the flow tables.
func (w *worker) compareFlows() error {
	n := 0
	var wrong error
	err := w.trial.Flows(func(v packet.RawFlow) {
		n++
		f := w.st.Flows[modelKey(v)]
		if f == nil {
			wrong = fmt.Errorf("the program holds a flow that the model does not: %+v", v)
			return
		}
		ends := []netip.AddrPort{v.A, v.B}
		opener, finOpener, finOther := 0, uint8(1), uint8(2)
		if v.FromB {
			opener, finOpener, finOther = 1, 2, 1
		}
		state := uint8(0)
		for bit, on := range map[uint8]bool{finOpener: f.Closed[0], finOther: f.Closed[1], 4: f.Reset, 8: f.Answered} {
			if on {
				state |= bit
			}
		}
		if ends[opener] != netip.AddrPortFrom(f.Opener.Addr, f.Opener.Port) || v.Epoch != f.Epoch || v.Rule != f.Rule || v.BWClass != f.BWClass ||
			v.State != state || !w.now.Add(-w.trial.Idle(v.Last)).Equal(f.Last) {
			wrong = fmt.Errorf("flow at %s:\nprogram %+v\nmodel   %+v (state %d)", w.now, v, *f, state)
		}
	})
	if err == nil {
		err = wrong
	}
	if err != nil {
		return err
	}
	if n != len(w.st.Flows) {
		return fmt.Errorf("the program holds %d flows, the model %d", n, len(w.st.Flows))
	}
	all, live, err := w.trial.Live()
	if err != nil {
		return err
	}
	if int(all) != n {
		return fmt.Errorf("the program counted %d flows and holds %d", all, n)
	}
	if want := w.segmentFlows(); live != want {
		return fmt.Errorf("flows of segments 0 to 9: the program counted %d, the model %d", live[:10], want[:10])
	}
	return nil
}
