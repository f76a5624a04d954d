package tunnel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

func (a *asker) send(b []byte, port uint16) {
	if a.fd < 0 {
		return
	}
	a.settled = false
	err := unix.Sendto(a.fd, b, unix.MSG_DONTWAIT, sockaddr(netip.AddrPortFrom(a.peer.Probe.Addr(), port)))
	for _, passing := range []error{unix.ECONNREFUSED, unix.EPERM, unix.EMSGSIZE, unix.ENOBUFS, unix.EAGAIN, unix.EINTR} {
		if err == nil || errors.Is(err, passing) {
			return // an answer of the network or of the rules, or a full queue: not a broken socket
		}
	}
	unix.Close(a.fd) // the device may have been made anew: its number has changed
	a.fd = -1
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// dial binds to the device as well as to the source, so that no route can take a question elsewhere, asks never to be
// fragmented, and has the kernel note when an answer comes: it may be read a while later, with others.
func (a *asker) dial() int {
	family := unix.AF_INET
	if a.source.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	err = errors.Join(unix.BindToDevice(fd, a.device), neverFragment(fd, a.source.Is6()),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1), unix.Bind(fd, sockaddr(netip.AddrPortFrom(a.source, 0))))
	if err != nil {
		unix.Close(fd)
		return -1
	}
	return fd
}

// neverFragment makes a UDP socket set "don't fragment" and take no length from the network's word.
func neverFragment(fd int, v6 bool) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
}

// datagram is one that came, and when.
type datagram struct {
	b    []byte
	from netip.AddrPort
	at   time.Time
}

// atOnce bounds what is read at a time: a region that floods the gate's questions keeps nothing else waiting.
const atOnce = 64

// collect takes what has come. Everything at once, a few times a second: to wake up for each answer would cost several times
// as much as the answer.
func (a *asker) collect() {
	for _, d := range a.read() {
		if d.from.Addr() != a.peer.Probe.Addr() {
			continue // silence: whoever sends such things learns nothing
		}
		if trip, ok := a.take(d.b, d.from.Port(), d.at); ok {
			a.heard(a.peer.ID, trip)
		}
	}
}

func (a *asker) read() (out []datagram) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.settled {
		return nil
	}
	var control [128]byte
	if a.room == nil {
		a.room = make([]byte, talk.MaxMessage+1)
	}
	for a.fd >= 0 && len(out) < atOnce {
		n, cn, _, from, err := unix.Recvmsg(a.fd, a.room, control[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			break // nothing more; a socket that is broken shows it at the next question
		}
		d := datagram{b: bytes.Clone(a.room[:n]), at: arrival(control[:cn], time.Now())}
		switch f := from.(type) {
		case *unix.SockaddrInet4:
			d.from = netip.AddrPortFrom(netip.AddrFrom4(f.Addr), uint16(f.Port))
		case *unix.SockaddrInet6:
			d.from = netip.AddrPortFrom(netip.AddrFrom16(f.Addr), uint16(f.Port))
		}
		out = append(out, d)
	}
	return out
}

// arrival is when the kernel took a datagram, on the clock that never jumps.
func arrival(control []byte, now time.Time) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return now
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			sec, nsec := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			if ago := now.UnixNano() - int64(sec)*int64(time.Second) - int64(nsec); ago > 0 && ago < int64(time.Second) {
				return now.Add(-time.Duration(ago))
			}
		}
	}
	return now
}

func (a *asker) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		unix.Close(a.fd)
		a.fd = -1
	}
}
