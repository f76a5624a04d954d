package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/packet"
)

// tuple is one packet of the list that the programs send: struct tuple in bpf/bench.bpf.c.
type tuple [32]byte

const (
	flagSYN = 0x02
	flagACK = 0x10
)

// flow is one connection of a station with a service.
type flow struct {
	pair
	sport uint16
}

// flows are n different connections, spread evenly over pairs, beginning with the skip-th. Their order is random.
func flows(pairs []pair, skip, n int) ([]flow, error) {
	const firstPort, ports = 1024, 64000
	if need := (skip + n + len(pairs) - 1) / len(pairs); need > ports {
		return nil, fmt.Errorf("%d flows over %d pairs of addresses: each would need %d source ports", skip+n, len(pairs), need)
	}
	out := make([]flow, n)
	for i := range out {
		k := skip + i
		out[i] = flow{pairs[k%len(pairs)], uint16(firstPort + k/len(pairs))}
	}
	rand.New(rand.NewPCG(uint64(n), uint64(skip))).Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out, nil
}

// ends are the MACs of the gate's two ports.
type ends struct{ station, service packet.MAC }

// opening, answer and data are the three packets of a connection that are measured; answers come from the service.
func (e ends) opening(f flow) tuple { return e.toService(f, flagSYN) }
func (e ends) data(f flow) tuple    { return e.toService(f, flagACK) }
func (e ends) answer(f flow) tuple {
	return newTuple(e.service, serviceMAC(f.service), serviceAddr(f.service), stationAddr(f.station), f.port, f.sport, flagSYN|flagACK)
}

func (e ends) toService(f flow, flags byte) tuple {
	return newTuple(e.station, stationMAC(f.station), stationAddr(f.station), serviceAddr(f.service), f.sport, f.port, flags)
}

func newTuple(dmac, smac packet.MAC, src, dst netip.Addr, sport, dport uint16, flags byte) (t tuple) {
	be := binary.BigEndian
	s, d := src.As4(), dst.As4()
	copy(t[0:], dmac[:])
	copy(t[6:], smac[:])
	copy(t[12:], s[:])
	copy(t[16:], d[:])
	be.PutUint16(t[20:], sport)
	be.PutUint16(t[22:], dport)
	t[28] = flags
	length, seq, ack := uint16(46), uint16(1), uint16(0)
	if flags&flagSYN != 0 {
		length, seq = 40, 0
	}
	if flags&flagACK != 0 {
		ack = 1
	}
	// What else stands in the headers: see write_next.
	addresses := sum(0, s[:], d[:])
	be.PutUint16(t[24:], ^fold(addresses+0x4500+uint32(length)+0x4000+64<<8+6))
	be.PutUint16(t[26:], ^fold(addresses+6+uint32(length-20)+uint32(sport)+uint32(dport)+uint32(seq)+uint32(ack)+0x5000+uint32(flags)+0xffff))
	return t
}

// sum of 16-bit words, as RFC 1071 has it.
func sum(n uint32, parts ...[]byte) uint32 {
	for _, p := range parts {
		for i := 0; i < len(p); i += 2 {
			n += uint32(p[i])<<8 | uint32(p[i+1])
		}
	}
	return n
}

func fold(n uint32) uint16 {
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}

func tuples(fs []flow, of func(flow) tuple) []tuple {
	out := make([]tuple, len(fs))
	for i, f := range fs {
		out[i] = of(f)
	}
	return out
}
