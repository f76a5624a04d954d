package diagnose

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// claimTime is how long somebody else has to say that an address is theirs (RFC 5227 waits 1 to 2 s a probe before an address is
// taken; here it is taken, and the other has had all the time in the world to learn who asks).
const claimTime = 300 * time.Millisecond

// claimed asks the link who has one of the gate's own addresses (RFC 5227, "ARP probe": no sender's address, so nobody's cache
// is touched) and tells the MAC of another who says so; nil: nobody. Of IPv6, the kernel's own detection has the word.
func claimed(ctx context.Context, d netlink.Link, a netip.Addr) (net.HardwareAddr, error) {
	own := d.Attrs().HardwareAddr
	if !a.Is4() || len(own) != 6 || d.Attrs().RawFlags&unix.IFF_NOARP != 0 {
		return nil, nil
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(network(unix.ETH_P_ARP)))
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	tv := unix.NsecToTimeval(int64(50 * time.Millisecond))
	here := unix.SockaddrLinklayer{Protocol: network(unix.ETH_P_ARP), Ifindex: d.Attrs().Index}
	all := here
	all.Halen = 6
	copy(all.Addr[:], []byte{255, 255, 255, 255, 255, 255})
	err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv), unix.Bind(fd, &here))
	if err != nil {
		return nil, err
	}
	err = unix.Sendto(fd, arp(own, netip.IPv4Unspecified(), a), 0, &all)
	if errors.Is(err, unix.ENOBUFS) {
		// The packet core lets the gate speak in its own name only. Then the address is announced, which others defend theirs against.
		err = unix.Sendto(fd, arp(own, a, a), 0, &all)
	}
	if err != nil {
		return nil, err
	}
	b := make([]byte, 128)
	for end := time.Now().Add(claimTime); time.Now().Before(end) && ctx.Err() == nil; {
		n, from, err := unix.Recvfrom(fd, b, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if n < 28 || !bytes.Equal(b[14:18], a.AsSlice()) || bytes.Equal(b[8:14], own) {
			continue
		}
		return net.HardwareAddr(bytes.Clone(b[8:14])), nil
	}
	return nil, nil
}

// arp asks, in the name of an address, who has another.
func arp(own net.HardwareAddr, sender, target netip.Addr) []byte {
	b := make([]byte, 28)
	binary.BigEndian.PutUint16(b[0:], 1) // Ethernet
	binary.BigEndian.PutUint16(b[2:], unix.ETH_P_IP)
	b[4], b[5] = 6, 4
	binary.BigEndian.PutUint16(b[6:], 1) // request
	copy(b[8:], own)
	copy(b[14:], sender.AsSlice())
	copy(b[24:], target.AsSlice())
	return b
}

// network puts a number into network order, as packet sockets want their protocol.
func network(v uint16) uint16 { return v<<8 | v>>8 }
