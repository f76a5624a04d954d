package packet

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// nextEvent waits for an event for which want holds.
func nextEvent(t *testing.T, events <-chan Event, want func(Event) bool) Event {
	t.Helper()
	late := time.After(5 * time.Second)
	for {
		select {
		case e := <-events:
			if want(e) {
				return e
			}
		case <-late:
			t.Fatal("the event did not come")
		}
	}
}

// A drop after the policy allowed it names the rule and its records.
func TestAnEventNamesTheRecordThatWouldHavePermitted(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2}))
	run(t, "ip", "route", "del", "198.18.21.0/24", "dev", "lga0")
	run(t, "ip", "route", "add", "198.18.21.0/24", "dev", "inw0")
	events, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.in("mnpc", "ping", "-n", "-c", "1", "-W", "0.1", "198.18.21.11").Run()
	e := nextEvent(t, events, func(e Event) bool { return e.Reason == "egress-mismatch" })
	active, _ := c.Active()
	if e.Rule != 2 || e.Epoch != active.Epoch || !reflect.DeepEqual(e.Records, []string{"second"}) || e.SMAC.String() != w.hosts["mnpc"].mac {
		t.Errorf("event %+v, want rule 2 of epoch %d with its record", e, active.Epoch)
	}
	swap(t, c, townTables())
	if r := c.recordsOf(active.Epoch, 2); r != nil {
		t.Errorf("a rule of tables that went is named %v by those that came", r)
	}
}

// Of a flow that nobody answers, only the initiator was heard.
func TestSilentEndIsNotSeen(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2}))
	run(t, "ip", "netns", "exec", w.hosts["lgasp"].ns, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1")
	w.in("mnpc", "ping", "-n", "-c", "1", "-W", "0.1", "198.18.21.11").Run()
	seen, err := c.Seen()
	if err != nil || len(seen) != 1 || seen[addrs("198.18.10.11")[0]].IsZero() {
		t.Errorf("heard of %v, %v; want the one who asked", seen, err)
	}
}

func TestCountersOfSegmentsAndOpenedFlows(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2}))
	for range 2 { // two flows: ping draws an identifier each time
		if out, err := w.in("mnpc", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", "198.18.21.11").CombinedOutput(); err != nil {
			t.Fatalf("an allowed ping does not pass: %s", out)
		}
	}
	n, err := c.Counters()
	if err != nil {
		t.Fatal(err)
	}
	want := []SegmentCount{{From: 1, To: 2, Count: Count{6, 6 * 98}}, {From: 2, To: 1, Count: Count{6, 6 * 98}}}
	if !reflect.DeepEqual(n.Segments, want) || n.Opened != 2 {
		t.Errorf("segments %+v, %d flows opened: want %+v and 2", n.Segments, n.Opened, want)
	}
	if used := n.LastUsed[2]; time.Since(used) > 10*time.Second || time.Until(used) > 2*time.Second || len(n.LastUsed) != 1 {
		t.Errorf("last used %v, want rule 2 just now", n.LastUsed)
	}
	seen, err := c.Seen()
	if err != nil || len(seen) != 2 {
		t.Errorf("heard of %v, %v; want both ends of the flows", seen, err)
	}
	for _, a := range addrs("198.18.10.11", "198.18.21.11") {
		if at := seen[a]; time.Since(at) > 10*time.Second || time.Until(at) > 2*time.Second {
			t.Errorf("%s was heard of at %s, want just now", a, at)
		}
	}
	if n.Flows.Live != 2 || n.Flows.Capacity == 0 {
		t.Errorf("the flow table is said to hold %+v, want 2 flows", n.Flows)
	}
	b, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	var back Counters
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, n) {
		t.Errorf("%s reads back as %+v, %v; want %+v", b, back, err, n)
	}

	// They outlive the daemon, like everything that is counted.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := w.open().Counters()
	if err != nil || again.Opened != 2 || !reflect.DeepEqual(again.Segments, want) {
		t.Errorf("after a restart: %+v, %v", again, err)
	}
}

// An event reads as the structure in bpf/event.h lies.
func TestEventLayout(t *testing.T) {
	b := make([]byte, eventSize)
	le.PutUint64(b[0:], uint64(monotonic()))
	le.PutUint32(b[12:], 7)
	le.PutUint32(b[16:], 60)
	le.PutUint16(b[28:], 9)
	le.PutUint16(b[32:], 300)
	b[38], b[39], b[41] = 1, 4, 1
	copy(b[42:], "\x02\x00\x00\x00\x00\x01")
	copy(b[54:], "\x02\x00\x00\x00\x00\x02")
	copy(b[70:], "\xff\xff\xc6\x12\x0a\x0b")
	copy(b[86:], "\xff\xff\xc6\x12\x15\x0b")
	e, ok := (&Core{}).event(b)
	want := Event{Time: e.Time, Notice: "mac-moved", Hook: "xdp", Port: "#7", Segment: 9, Outer: 300, Length: 60,
		SMAC: MAC{2, 0, 0, 0, 0, 1}, Known: MAC{2, 0, 0, 0, 0, 2}, Src: addrs("198.18.10.11")[0], Dst: addrs("198.18.21.11")[0]}
	if !ok || !reflect.DeepEqual(e, want) {
		t.Errorf("%+v, %v; want %+v", e, ok, want)
	}
	if _, ok := (&Core{}).event(b[:eventSize-1]); ok {
		t.Error("half an event is taken for one")
	}
}

// A full table refuses new flows and says so.
func TestAFullFlowTableIsTold(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2}))
	events, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var use programsFlowUse
	if err := c.objects.FlowUses.Lookup(uint32(0), &use); err != nil {
		t.Fatal(err)
	}
	use.Live = 1 << 30
	if err := c.objects.FlowUses.Put(uint32(0), use); err != nil {
		t.Fatal(err)
	}
	w.ping("mnpc", "198.18.21.11", 1)
	e := nextEvent(t, events, func(e Event) bool { return e.Reason == "flow-table-full" })
	n, err := c.Counters()
	if err != nil || e.Port != "mn0" || n.Reasons["flow-table-full"].Packets == 0 {
		t.Errorf("%+v; drops %v, %v", e, n.Reasons, err)
	}
}
