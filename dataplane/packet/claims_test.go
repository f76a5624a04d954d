package packet_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// Bounds of the test below: fewer than what is asked for, so that each is met.
const (
	hammered        = 3 * time.Second
	hammerCapacity  = 64
	hammerSegment   = 40
	hammerStation   = 5
	hammerStations  = 24
	hammeredFlows   = 3 // of one station, of each protocol and version
	hammerIdle      = 1000
	leastOfHammered = 5_000
)

// Two CPUs open, use, answer, end and open again the same flows, while the timer's walk removes what is over. Lines change hands
// by compare-and-swap alone: afterwards all that is counted must be what is there, and nothing once all flows are over.
func TestLinesChangeHandsOnManyCPUs(t *testing.T) {
	tables := worldTables(rand.New(rand.NewPCG(1, 1)), "claims")
	tables.Cells = nil
	for _, from := range []uint16{102, 104} {
		tables.Cells = append(tables.Cells, packet.Cell{Src: from, Dst: 203, Port: 1, Rule: 1}, packet.Cell{Src: from, Dst: 203, Port: 3, Rule: 2})
	}
	for i := range tables.Segments {
		tables.Segments[i].Limits = packet.Limits{}
		if id := tables.Segments[i].ID; id == 2 || id == 4 {
			tables.Segments[i].Limits = packet.Limits{Flows: hammerSegment, StationFlows: hammerStation}
		}
	}
	s := newStage(t, tables)
	trial, err := s.core.NewTrial(hammerCapacity, hammerCapacity)
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	trial.At(began)
	if err := trial.BeginCollecting(); err != nil {
		t.Fatal(err)
	}
	frames := s.hammerFrames()
	ns, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()

	// Both CPUs take the same frame at the same time, or nearly; every few of them, flows have been idle for too long.
	row := make([]int, 1<<16)
	r := rand.New(rand.NewPCG(seed, 5))
	for i := range row {
		row[i] = r.IntN(len(frames))
	}
	var taken atomic.Uint64
	next := func() int {
		n := taken.Add(1)
		if n%hammerIdle == 0 {
			trial.Pass(200 * time.Second)
		}
		return row[n/2%uint64(len(row))]
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	passed, errs := make([]int, 2), make([]error, 2)
	for cpu := range passed {
		wg.Go(func() {
			runtime.LockOSThread() // and the thread ends with the goroutine
			if errs[cpu] = netns.Set(ns); errs[cpu] != nil {
				return
			}
			var on unix.CPUSet
			on.Set(cpu % runtime.NumCPU())
			if errs[cpu] = unix.SchedSetaffinity(0, &on); errs[cpu] != nil {
				return
			}
			passed[cpu], errs[cpu] = trial.Hammer(frames, next, stop.Load)
		})
	}
	mostLive, mostOutside := 0, 0
	for end := time.Now().Add(hammered); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		live, outside, err := trial.Use()
		if err != nil {
			t.Fatal(err)
		}
		mostLive, mostOutside = max(mostLive, live), max(mostOutside, outside)
	}
	stop.Store(true)
	wg.Wait()
	for cpu := range passed {
		if errs[cpu] != nil || passed[cpu] < leastOfHammered {
			t.Errorf("CPU %d: %d frames passed, %v: want at least %d", cpu, passed[cpu], errs[cpu], leastOfHammered)
		}
	}

	books := func(what string) packet.Books {
		t.Helper()
		var b packet.Books
		for before, deadline := (packet.Books{Live: -1}), time.Now().Add(2*time.Second); !reflect.DeepEqual(b, before) && time.Now().Before(deadline); {
			time.Sleep(100 * time.Millisecond) // the timer has gone round several times
			before = b
			if b, err = trial.Books(); err != nil {
				t.Fatal(err)
			}
		}
		if b.Neither != 0 || b.Live != b.CountedLive || b.Outside != b.CountedOutside || b.Outside != b.OverflowEntries ||
			b.Stations != b.CountedStations || b.Stations != b.Live || !maps.Equal(b.Segments, b.CountedSegments) {
			t.Errorf("%s: lines and counts do not agree: %+v", what, b)
		}
		if b.CountedLive > hammerCapacity || b.MostOfAStation > hammerStation || max(b.Segments[2], b.Segments[4]) > hammerSegment {
			t.Errorf("%s: a quota was passed: %+v", what, b)
		}
		return b
	}
	if mostLive < hammerCapacity/2 || mostOutside == 0 {
		t.Errorf("at most %d flows lived, %d of them in the overflow table: that shows nothing", mostLive, mostOutside)
	}
	b := books("after the race")
	t.Logf("%v frames passed; at most %d flows, %d in the overflow table; %+v", passed, mostLive, mostOutside, b)
	trial.Pass(3 * time.Hour)
	if b := books("once all flows are over"); b.Live != 0 {
		t.Errorf("%d flows outlive their time: %+v", b.Live, b)
	}
}

// hammerFrames are packets of flows from stations that nobody registered: each opens, is answered, goes on both ways, and ends.
func (s *stage) hammerFrames() (out []packet.Frame) {
	server := segmentOf(3)
	add := func(x talk) {
		out = append(out, packet.Frame{Ifindex: s.index[x.port], Bytes: bytes.Clone(s.gen.write(x, false))})
	}
	for _, segment := range []segment{segmentOf(2), segmentOf(4)} {
		for n := range hammerStations {
			for _, v6 := range []bool{false, true} {
				for i := range hammeredFlows {
					there := from(segment, 20+n, addrOf(server, 11, v6))
					back := from(server, 11, there.src)
					for _, proto := range []uint8{6, 17} {
						there.proto, back.proto = proto, proto
						there.sport, there.dport = uint16(40000+i), map[uint8]uint16{6: 443, 17: 53}[proto]
						back.sport, back.dport = there.dport, there.sport
						if proto == 17 {
							add(there)
							add(back)
							continue
						}
						for _, flags := range [][2]uint8{{2, 0x12}, {0x10, 0x10}, {2, 0x11}, {0x11, 0x14}} {
							there.flags, back.flags = flags[0], flags[1]
							add(there)
							add(back)
						}
					}
				}
			}
		}
	}
	return out
}
