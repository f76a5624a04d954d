package diagnose

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// ear hears what comes in by the line about the tunnel: errors of ICMP about its packets, and packets of the far end.
type ear struct {
	fd     int
	s      *Subject
	buffer [256]byte
}

// told is what was heard. Of an ICMP error: who complains, and what about.
type told struct {
	by       netip.Addr
	far      bool // a packet of the far end to the tunnel's port
	tooBig   int  // "packet too big": the bytes that would pass
	refused  bool // nobody listens at the endpoint's port
	forbids  bool // somebody forbids it
	complain bool // any of these, or another kind of unreachable
}

func listen(s *Subject, index int) (*ear, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	e := &ear{fd: fd, s: s}
	tv := unix.NsecToTimeval(int64(20 * time.Millisecond))
	err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network(unix.ETH_P_ALL), Ifindex: index}))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return e, nil
}

func (e *ear) close() { unix.Close(e.fd) }

// hear waits for something that want accepts; false: nothing came in time.
func (e *ear) hear(ctx context.Context, wait time.Duration, want func(told) bool) (told, bool) {
	for end := time.Now().Add(wait); time.Now().Before(end) && ctx.Err() == nil; {
		n, from, err := unix.Recvfrom(e.fd, e.buffer[:], 0)
		if ll, ok := from.(*unix.SockaddrLinklayer); err != nil || ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue // time-out, or our own
		}
		if t, ok := e.s.read(e.buffer[:n]); ok && want(t) {
			return t, true
		}
	}
	return told{}, false
}

// read understands a packet that is about the tunnel. It comes from the line: every length is looked at.
func (s *Subject) read(b []byte) (told, bool) {
	proto, src, rest, ok := header(b)
	if !ok {
		return told{}, false
	}
	switch {
	case proto == unix.IPPROTO_UDP && len(rest) >= 4:
		return told{far: true}, src == s.Endpoint.Addr() && binary.BigEndian.Uint16(rest) == s.Endpoint.Port() && binary.BigEndian.Uint16(rest[2:]) == s.Listen
	case (proto == unix.IPPROTO_ICMP || proto == unix.IPPROTO_ICMPV6) && len(rest) >= 8:
		if !s.about(rest[8:]) {
			return told{}, false
		}
		t := told{by: src}
		kind, code, mtu := rest[0], rest[1], 0
		if proto == unix.IPPROTO_ICMP {
			mtu = int(binary.BigEndian.Uint16(rest[6:])) // RFC 1191
			t.refused = kind == 3 && code == 3
			t.forbids = kind == 3 && (code == 9 || code == 10 || code == 13)
			t.complain = kind == 3
			if kind == 3 && code == 4 {
				t.tooBig = mtu
			}
			return t, kind == 3
		}
		mtu = int(min(binary.BigEndian.Uint32(rest[4:]), 65535)) // RFC 4443
		t.refused = kind == 1 && code == 4
		t.forbids = kind == 1 && (code == 1 || code == 5 || code == 6)
		t.complain = kind == 1 || kind == 2
		if kind == 2 {
			t.tooBig = mtu
		}
		return t, t.complain
	}
	return told{}, false
}

// about tells whether the packet inside an ICMP error is one of the tunnel's.
func (s *Subject) about(b []byte) bool {
	proto, _, rest, ok := header(b)
	if !ok || proto != unix.IPPROTO_UDP || len(rest) < 4 {
		return false
	}
	dst, _ := netip.AddrFromSlice(b[16:20])
	if b[0]>>4 == 6 {
		dst, _ = netip.AddrFromSlice(b[24:40])
	}
	return dst == s.Endpoint.Addr() && binary.BigEndian.Uint16(rest) == s.Listen && binary.BigEndian.Uint16(rest[2:]) == s.Endpoint.Port()
}

// header reads an IP header without extension headers.
func header(b []byte) (proto int, src netip.Addr, rest []byte, ok bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		n := int(b[0]&15) * 4
		if n < 20 || len(b) < n || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return 0, src, nil, false
		}
		src, _ = netip.AddrFromSlice(b[12:16])
		return int(b[9]), src, b[n:], true
	case len(b) >= 40 && b[0]>>4 == 6:
		src, _ = netip.AddrFromSlice(b[8:24])
		return int(b[6]), src, b[40:], true
	}
	return 0, src, nil, false
}
