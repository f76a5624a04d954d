package packet

import (
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// dead closes every handle on the core and gives the flow table by its pin alone.
func dead(t *testing.T, c *Core) *ebpf.Map {
	t.Helper()
	path := c.path("maps", programsMapFlows)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	flows, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { flows.Close() })
	return flows
}

func entry(n int, proto uint8) programsFlowKey {
	return programsFlowKey{SegmentA: 1, SegmentB: 2, PortA: uint16(n), PortB: 443, Proto: proto}
}

// idle is a flow that was quiet for so long.
func idle(d time.Duration, state uint8) programsFlow {
	return programsFlow{Last: uint64(monotonic() - int64(d)), State: state, Version: 1}
}

func gone(t *testing.T, m *ebpf.Map, k programsFlowKey) bool {
	t.Helper()
	var v programsFlow
	err := m.Lookup(k, &v)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Fatal(err)
	}
	return err != nil
}

// With every daemon dead, what is over makes room for what comes.
func TestKernelCollectsWhileNobodyRuns(t *testing.T) {
	w := newTown(t)
	flows := dead(t, w.open())
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
		for n, d := range map[int]time.Duration{2 * i: x.limit - room, 2*i + 1: x.limit + time.Second} {
			if err := flows.Put(entry(n, x.proto), idle(d, x.state)); err != nil {
				t.Fatal(err)
			}
		}
	}
	deadline := time.Now().Add(4 * time.Second)
	for i, x := range cases {
		for !gone(t, flows, entry(2*i+1, x.proto)) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: a flow that is over still takes its place", x.what)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for i, x := range cases {
		if gone(t, flows, entry(2*i, x.proto)) {
			t.Errorf("%s: a flow was removed %s before its time", x.what, room)
		}
	}
}

// A new daemon takes the timer over; afterwards it still outlives that one.
func TestCollectionSurvivesReopening(t *testing.T) {
	w := newTown(t)
	if err := w.open().Close(); err != nil {
		t.Fatal(err)
	}
	flows := dead(t, w.open())
	for n := range 3 { // the timer comes again
		if err := flows.Put(entry(n, protoUDP), idle(time.Hour, 0)); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(4 * time.Second)
		for !gone(t, flows, entry(n, protoUDP)) {
			if time.Now().After(deadline) {
				t.Fatal("nobody removes flows any more")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}
