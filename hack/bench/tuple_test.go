package main

import (
	"encoding/binary"
	"testing"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// TestChecksums sums what the programs write for a tuple; with right checksums the sum has all bits set (RFC 1071).
func TestChecksums(t *testing.T) {
	e := ends{packet.MAC{2, 0, 0, 0, 0, 1}, packet.MAC{2, 0, 0, 0, 0, 2}}
	f := flow{pair{300, 77, 8013}, 40001}
	for name, p := range map[string]tuple{"opening": e.opening(f), "answer": e.answer(f), "data": e.data(f)} {
		length, seq, ack := uint32(46), uint32(1), uint32(1)
		if p[28]&flagSYN != 0 {
			length, seq = 40, 0
		}
		if p[28]&flagACK == 0 {
			ack = 0
		}
		ip := sum(0x4500+length+0x4000+64<<8+6, p[12:20]) + uint32(binary.BigEndian.Uint16(p[24:]))
		if got := fold(ip); got != 0xffff {
			t.Errorf("%s: the IP header sums up to %#x", name, got)
		}
		tcp := sum(6+length-20+seq+ack+0x5000+uint32(p[28])+65535, p[12:24]) + uint32(binary.BigEndian.Uint16(p[26:]))
		if got := fold(tcp); got != 0xffff {
			t.Errorf("%s: the segment sums up to %#x", name, got)
		}
	}
}

func TestFlowsAreDifferentAndPermitted(t *testing.T) {
	town := newTown(100)
	permitted := map[pair]bool{}
	for _, p := range town.pairs {
		permitted[p] = true
	}
	for _, p := range town.refused {
		if permitted[p] {
			t.Errorf("%v is among the refused and the permitted", p)
		}
	}
	all := map[flow]bool{}
	for _, skip := range []int{0, 1000} {
		fs, err := flows(town.pairs, skip, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fs {
			if !permitted[f.pair] {
				t.Errorf("flow %v is not permitted", f)
			}
			all[f] = true
		}
	}
	if len(all) != 2000 {
		t.Errorf("got %d different flows, want 2000", len(all))
	}
	if _, err := flows(town.pairs, 0, 100*64000+1); err == nil {
		t.Error("more flows than there are source ports: got no error")
	}
}
