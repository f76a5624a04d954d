package netlab

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Capture keeps every frame that passes a device, in both directions.
type Capture struct {
	fd     int
	mu     sync.Mutex
	frames [][]byte
	done   chan struct{}
}

// Listen starts to capture; the device is in the test's own namespace, or in ns.
func Listen(t testing.TB, ns, dev string) *Capture {
	t.Helper()
	c := &Capture{done: make(chan struct{})}
	open := func() error {
		i, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8 // network order
		c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
		if err != nil {
			return err
		}
		tv := unix.Timeval{Usec: 100_000}
		return errors.Join(unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
			unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
			unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index}))
	}
	if ns == "" {
		if err := open(); err != nil {
			t.Fatalf("capture on %s: %v", dev, err)
		}
	} else {
		Do(t, ns, open)
	}
	stop := make(chan struct{})
	go c.read(stop)
	t.Cleanup(func() {
		close(stop)
		<-c.done
		unix.Close(c.fd)
	})
	return c
}

func (c *Capture) read(stop <-chan struct{}) {
	defer close(c.done)
	b := make([]byte, 65536)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, _, err := unix.Recvfrom(c.fd, b, 0)
		if err != nil {
			continue // time-out, or the device went down for a moment
		}
		c.mu.Lock()
		c.frames = append(c.frames, append([]byte(nil), b[:n]...))
		c.mu.Unlock()
	}
}

// Frames is what was seen so far, after a pause in which late frames arrive.
func (c *Capture) Frames() [][]byte {
	time.Sleep(250 * time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][]byte(nil), c.frames...)
}

// Carries tells whether a frame is IPv4, IPv6 or ARP from, to or about an address of the prefix, in clear. It looks at
// headers only: any few bytes may occur in what is encrypted.
func Carries(frame []byte, p netip.Prefix) bool {
	if len(frame) < 14 {
		return false
	}
	var ends [][2]int // offset and length of the addresses
	switch int(frame[12])<<8 | int(frame[13]) {
	case unix.ETH_P_IP:
		ends = [][2]int{{26, 4}, {30, 4}}
	case unix.ETH_P_IPV6:
		ends = [][2]int{{22, 16}, {38, 16}}
	case unix.ETH_P_ARP:
		ends = [][2]int{{28, 4}, {38, 4}}
	}
	for _, e := range ends {
		if len(frame) < e[0]+e[1] {
			continue
		}
		if a, ok := netip.AddrFromSlice(frame[e[0] : e[0]+e[1]]); ok && p.Contains(a) {
			return true
		}
	}
	return false
}
