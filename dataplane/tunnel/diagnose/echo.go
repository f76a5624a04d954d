package diagnose

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// echoes asks the far end inside the tunnel (RFC 862), bound to the device as well as to the source, so that no route can take it
// elsewhere.
type echoes struct {
	c   *net.UDPConn
	seq uint64
}

// Shortest packet that holds a question, in bytes of the inner packet, IPv6's headers included.
const shortest = 40 + 8 + 16

func (l *look) echoes(ctx context.Context) (*echoes, error) {
	d := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.Source, 0)),
		Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			return errors.Join(raw.Control(func(fd uintptr) {
				err = unix.BindToDevice(int(fd), l.Device)
				if l.Source.Is4() { // too long a packet is an error, not two fragments
					err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE))
				} else {
					err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE))
				}
			}), err)
		},
	}
	c, err := d.DialContext(ctx, "udp", l.Probe.String())
	if err != nil {
		return nil, err
	}
	return &echoes{c: c.(*net.UDPConn)}, nil // what dialling udp gives
}

func (e *echoes) close() { e.c.Close() }

// ask sends a packet of so many bytes and waits for its echo. There: somebody spoke, be it to say that nobody listens.
func (e *echoes) ask(ctx context.Context, size int, wait time.Duration) (rtt time.Duration, answered, there bool) {
	headers := 28
	if e.c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().Is6() {
		headers = 48
	}
	e.seq++
	b := make([]byte, max(size-headers, 16))
	copy(b, "look")
	binary.BigEndian.PutUint64(b[8:], e.seq)
	begun := time.Now()
	end := begun.Add(wait)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	if err := errors.Join(e.c.SetReadDeadline(end), second(e.c.Write(b))); err != nil {
		return 0, false, errors.Is(err, unix.ECONNREFUSED)
	}
	in := make([]byte, 65536)
	for {
		n, err := e.c.Read(in)
		if err != nil {
			return 0, false, errors.Is(err, unix.ECONNREFUSED)
		}
		if n == len(b) && binary.BigEndian.Uint64(in[8:]) == e.seq {
			return time.Since(begun), true, true
		}
	}
}

func second(_ int, err error) error { return err }
