package packet

import (
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A flow that lives for long counts more than its line holds: 32 bits of packets, 48 bits of bytes. What is told of its record
// and its segments never runs over with them, and never falls.
func TestCountsOfAFlowOutgrowItsLine(t *testing.T) {
	w := newTown(t)
	c := w.open()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 1, Rule: 2}))
	active, _ := c.Active()
	table, err := mapLines(&c.objects.programsMaps, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		t.Fatal(err)
	}
	defer table.close()
	now, hz, err := c.ticks()
	if err != nil {
		t.Fatal(err)
	}
	fresh := line{
		Claim: claimLive, Tag: 1 | 2<<10 | protoTCP<<20, A: 1, B: 2, Ports: 443 << 16, State: flowAnswered, Last: now,
		Epoch: active.Epoch, Rule: 2,
	}
	var head4, head6 *line
	table.at(func(head *line, full *line6) bool {
		if full == nil {
			head4 = head
			*head4 = fresh
			return true
		}
		head6 = head
		*full = line6{line: fresh, A6: [4]uint32{1, 0, 0, 1}, B6: [4]uint32{1, 0, 0, 2}}
		return false
	})
	const packets, bytes = 1<<30 + 12345, 1<<46 + 777
	sent := [2]Count{}
	grow := func(l *line, by int) {
		l.Packets[by] += packets
		all := (uint64(l.BytesHigh[by])<<32 | uint64(l.BytesLow[by])) + bytes
		l.BytesLow[by], l.BytesHigh[by] = uint32(all), uint16(all>>32)
		sent[by] = sent[by].plus(Count{packets, bytes})
	}
	check := func(what string) {
		t.Helper()
		want, both := []SegmentCount{{From: 1, To: 2, Count: sent[0]}, {From: 2, To: 1, Count: sent[1]}}, sent[0].plus(sent[1])
		for deadline := time.Now().Add(time.Second); ; {
			n, err := c.Counters()
			if err != nil {
				t.Fatal(err)
			}
			rule := n.Rules[2]
			if reflect.DeepEqual(n.Segments, want) && rule == both {
				return
			}
			// What is just being booked may be missed for a moment; nothing may be told twice.
			if time.Now().After(deadline) || rule.Packets > both.Packets || rule.Bytes > both.Bytes {
				t.Fatalf("%s: segments %+v, rule %+v; want %+v and %+v", what, n.Segments, rule, want, both)
			}
		}
	}
	for step := range 9 {
		for _, l := range []*line{head4, head6} {
			grow(l, 0)
			grow(l, 1)
			if step%2 == 0 {
				grow(l, 1) // two quarters at once
			}
		}
		check("as soon as they are counted")
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			left := head4.count(0).Packets | head4.count(1).Packets | head6.count(0).Packets | head6.count(1).Packets
			if left < 1<<30 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("step %d: nobody books what the lines hold: %+v %+v", step, *head4, *head6)
			}
			check("while they are booked")
		}
		check("once they are booked")
	}
	for _, l := range []*line{head4, head6} {
		l.Last = now - 7300*hz
	}
	for deadline := time.Now().Add(5 * time.Second); head4.Claim&0xff != 0 || head6.Claim&0xff != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the flows are not removed")
		}
	}
	check("when the flows are over")
}

// Who gets a line after a flow that counted much begins at nothing.
func TestALineCountsAnew(t *testing.T) {
	w := newTown(t)
	c := w.open()
	w.up()
	swap(t, c, townTables(Cell{Src: 21, Dst: 22, Port: 3, Rule: 2}))
	table, err := mapLines(&c.objects.programsMaps, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		t.Fatal(err)
	}
	defer table.close()
	table.at(func(head *line, _ *line6) bool {
		head.Booked = 0xff
		head.Packets, head.BytesLow, head.BytesHigh = [2]uint32{1 << 31, 1 << 31}, [2]uint32{7, 7}, [2]uint16{1 << 15, 1 << 15}
		return true
	})
	if out, err := w.in("mnpc", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", "198.18.21.11").CombinedOutput(); err != nil {
		t.Fatalf("an allowed ping does not pass: %s", out)
	}
	n, err := c.Counters()
	want := Count{6, 6 * 98}
	if err != nil || n.Rules[2] != want {
		t.Errorf("rule 2 carried %+v, %v; want %+v", n.Rules[2], err, want)
	}
}
