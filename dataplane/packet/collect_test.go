package packet

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// pinnedTable is the flow table by its pins alone, writable.
type pinnedTable struct {
	t     *testing.T
	lines lines
	uses  *ebpf.Map
	clock *ebpf.Program
	hz    uint32
}

// dead closes every handle on the core.
func dead(t *testing.T, c *Core) *pinnedTable {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	p := &pinnedTable{t: t}
	open := func(name string) *ebpf.Map {
		m, err := ebpf.LoadPinnedMap(c.path("maps", name), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	var err error
	p.lines, err = mapLines(&programsMaps{Flows4: open(programsMapFlows4), Flows6: open(programsMapFlows6), FlowOverflow: open(programsMapFlowOverflow)},
		unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.lines.close() })
	p.uses = open(programsMapFlowUses)
	if p.clock, err = ebpf.LoadPinnedProgram(c.path("programs", "ticks_now"), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.clock.Close() })
	if p.hz, err = tickRate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Places of a line.
const (
	inSets4 = iota
	inSets6
	inOverflow
	places
)

func overflowKey(n int, proto uint8) programsOverflowKey {
	return programsOverflowKey{A: [4]uint32{1, 0, 0, uint32(n)}, B: [4]uint32{1, 0, 0, 2}, Ports: 443 << 16, Tag: 1 | 2<<10 | uint32(proto)<<20}
}

// put writes line n at a place: a flow that was quiet for so long.
func (p *pinnedTable) put(place, n int, proto, state uint8, idle time.Duration) {
	p.t.Helper()
	now, err := p.clock.Run(&ebpf.RunOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	l := line{Tag: 1 | 2<<10 | uint32(proto)<<20, A: uint32(n), B: 2, Ports: 443 << 16, State: state, Last: now - uint32(idle*time.Duration(p.hz)/time.Second)}
	l.Claim = claimLive
	var use programsFlowUse
	if err := p.uses.Lookup(uint32(0), &use); err != nil {
		p.t.Fatal(err)
	}
	use.Live++
	if place == inOverflow {
		use.Overflow++
	}
	if err := p.uses.Put(uint32(0), use); err != nil {
		p.t.Fatal(err)
	}
	if place == inOverflow {
		l.State |= 0x80
		full := line6{line: l, A6: overflowKey(n, proto).A, B6: overflowKey(n, proto).B}
		if err := p.lines.overflow.Put(overflowKey(n, proto), full); err != nil {
			p.t.Fatal(err)
		}
		return
	}
	head, full := p.line(place, n)
	if full != nil {
		*full = line6{line: l}
		return
	}
	*head = l
}

// line gives the n-th line of a place; lines are spread over the whole array.
func (p *pinnedTable) line(place, n int) (head *line, full *line6) {
	const spread = 37
	i := 0
	p.lines.at(func(h *line, f *line6) bool {
		if (f != nil) != (place == inSets6) {
			return true
		}
		head, full = h, f
		i++
		return i <= n*spread
	})
	return head, full
}

func (p *pinnedTable) gone(place, n int, proto uint8) bool {
	if place == inOverflow {
		var full line6
		return p.lines.overflow.Lookup(overflowKey(n, proto), &full) != nil
	}
	head, _ := p.line(place, n)
	return head.Claim&0xff == 0
}

// With every daemon dead, what is over makes room for what comes.
func TestKernelCollectsWhileNobodyRuns(t *testing.T) {
	w := newTown(t)
	p := dead(t, w.open())
	cases := []struct {
		what  string
		proto uint8
		state uint8
		limit time.Duration
	}{
		{"opening TCP", protoTCP, 0, timeoutTCPOpening},
		{"TCP", protoTCP, flowAnswered, timeoutTCP},
		{"reset TCP", protoTCP, flowAnswered | flowReset, timeoutTCPClosed},
		{"half closed TCP", protoTCP, flowAnswered | flowFinA, timeoutTCP},
		{"closed TCP", protoTCP, flowAnswered | flowFinA | flowFinB, timeoutTCPClosed},
		{"opening UDP", protoUDP, 0, timeoutUDPOpening},
		{"UDP", protoUDP, flowAnswered, timeoutUDP},
		{"ICMP", protoICMP, flowAnswered, timeoutICMP},
		{"ICMPv6", protoICMP6, 0, timeoutICMP},
		{"another protocol", 47, flowAnswered, timeoutOther},
	}
	const room = 5 * time.Second // more than this test takes
	for i, x := range cases {
		for place := range places {
			p.put(place, 2*i, x.proto, x.state, x.limit-room)
			p.put(place, 2*i+1, x.proto, x.state, x.limit+time.Second)
		}
	}
	deadline := time.Now().Add(4 * time.Second)
	for i, x := range cases {
		for place := range places {
			for !p.gone(place, 2*i+1, x.proto) {
				if time.Now().After(deadline) {
					t.Fatalf("%s: a flow that is over still takes its place (%d)", x.what, place)
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
	for i, x := range cases {
		for place := range places {
			if p.gone(place, 2*i, x.proto) {
				t.Errorf("%s: a flow was removed %s before its time (place %d)", x.what, room, place)
			}
		}
	}
	var use programsFlowUse
	if err := p.uses.Lookup(uint32(0), &use); err != nil || use.Live != uint32(places*len(cases)) || use.Overflow != uint32(len(cases)) {
		t.Errorf("the programs count %+v, %v; want %d live ones, %d of them in the overflow", use, err, places*len(cases), len(cases))
	}
}

// A new daemon takes the timer over; afterwards it still outlives that one.
func TestCollectionSurvivesReopening(t *testing.T) {
	w := newTown(t)
	if err := w.open().Close(); err != nil {
		t.Fatal(err)
	}
	p := dead(t, w.open())
	for n := range 3 { // the timer comes again
		p.put(inSets4, n, protoUDP, 0, time.Hour)
		deadline := time.Now().Add(4 * time.Second)
		for !p.gone(inSets4, n, protoUDP) {
			if time.Now().After(deadline) {
				t.Fatal("nobody removes flows any more")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}
