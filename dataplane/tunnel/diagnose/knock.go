package diagnose

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"

	"golang.org/x/sys/unix"
)

// knock sends one packet of so many bytes as the tunnel's engine would: from its port, as its user, to the far end, not to be
// fragmented. WireGuard drops what it does not understand without a word, so whoever answers is on the way, or says that nobody listens.
func (s *Subject) knock(source netip.Addr, size int) error {
	family := unix.AF_INET
	if s.Endpoint.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := rawAs(family, s.Owner)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if family == unix.AF_INET { // what was learned about the way must not keep the packet here
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
	}
	if err := errors.Join(err, unix.BindToDevice(fd, s.Line)); err != nil {
		return err
	}
	b := s.packet(source, size)
	if family == unix.AF_INET {
		return unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: s.Endpoint.Addr().As4()})
	}
	return unix.Sendto(fd, b, 0, &unix.SockaddrInet6{Addr: s.Endpoint.Addr().As16()})
}

// rawAs opens a raw socket that belongs to a user: the second engine knows packets by their owner. The user for files is a
// thread's own, and it keeps the right to open such sockets.
func rawAs(family, uid int) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SetfsuidRetUid(uid)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	_, back := unix.SetfsuidRetUid(before)
	if back != nil {
		runtime.LockOSThread() // once more: the thread must not serve others as that user, and ends with this goroutine
	}
	return fd, errors.Join(err, back)
}

func (s *Subject) packet(source netip.Addr, size int) []byte {
	b := make([]byte, max(size, s.least()))
	udp := b[20:]
	if source.Is4() {
		b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		b[6] = 0x40 // not to be fragmented
		copy(b[12:], source.AsSlice())
		copy(b[16:], s.Endpoint.Addr().AsSlice())
	} else {
		udp = b[40:]
		b[0], b[6], b[7] = 0x60, unix.IPPROTO_UDP, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(udp)))
		copy(b[8:], source.AsSlice())
		copy(b[24:], s.Endpoint.Addr().AsSlice())
	}
	binary.BigEndian.PutUint16(udp, s.Listen)
	binary.BigEndian.PutUint16(udp[2:], s.Endpoint.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	binary.BigEndian.PutUint16(udp[6:], checksum(source, s.Endpoint.Addr(), udp))
	return b
}

// least is the shortest packet: headers and one byte.
func (s *Subject) least() int {
	if s.Endpoint.Addr().Is6() {
		return 49
	}
	return 29
}

// checksum of a UDP datagram (RFC 768, RFC 8200).
func checksum(src, dst netip.Addr, udp []byte) uint16 {
	sum := uint32(unix.IPPROTO_UDP) + uint32(len(udp))
	for _, part := range [][]byte{src.AsSlice(), dst.AsSlice(), udp} {
		for i := 0; i < len(part); i += 2 {
			v := uint32(part[i]) << 8
			if i+1 < len(part) {
				v |= uint32(part[i+1])
			}
			sum += v
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if v := ^uint16(sum); v != 0 {
		return v
	}
	return 0xffff
}

// outside is the source of the tunnel's packets on the line.
func (l *look) outside() netip.Addr {
	a, _ := netip.AddrFromSlice(l.out.Src)
	if a = a.Unmap(); a.IsValid() && a.Is4() == l.Endpoint.Addr().Is4() {
		return a
	}
	return netip.Addr{}
}

var errNoSource = errors.New("the route to the endpoint has no source address of its kind")

// provoke knocks and hears what comes of it.
func (l *look) provoke(e *ear, size int) error {
	source := l.outside()
	if !source.IsValid() {
		return errNoSource
	}
	err := l.knock(source, size)
	var refused net.Error
	if errors.As(err, &refused) || errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.EPERM) {
		return nil // the box itself did not let it out: then nobody answers
	}
	return err
}
