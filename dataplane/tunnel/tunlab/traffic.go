package tunlab

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/netlab"
)

// Flow is what one class sends between the gate and one region, in one direction.
type Flow struct {
	Region int // its place in Config.Regions
	Class  uint8
	Down   bool
	Size   int     // bytes of payload of each datagram
	Rate   float64 // bit/s on the line
}

// sink is the port at which a flow arrives.
func (f Flow) sink() int { return 6000 + 100*f.Region + int(f.Class) }

// OnWire is how many bytes a datagram of so many bytes of payload takes on the line.
func OnWire(payload int) int {
	n := payload + 28
	return min((n+15)/16*16, MTU) + Overhead
}

// Receiver counts what arrives of one flow.
type Receiver struct {
	mu      sync.Mutex
	arrived []arrival
}

type arrival struct {
	at    time.Time
	bytes int // on the line
}

// Seconds are the bytes on the line of each whole second from start on, n of them.
func (r *Receiver) Seconds(start time.Time, n int) []int {
	out := make([]int, n)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.arrived {
		if i := int(a.at.Sub(start) / time.Second); !a.at.Before(start) && i < n {
			out[i] += a.bytes
		}
	}
	return out
}

// Given is what a flow was given over some whole seconds, bit/s on the line: in the mean, and in the worst of them.
func (r *Receiver) Given(start time.Time, n int) (mean, worst float64) {
	s := r.Seconds(start, n)
	sum := 0
	for _, b := range s {
		sum += b
	}
	return float64(sum) * 8 / float64(n), float64(slices.Min(s)) * 8
}

// Receive counts what arrives of a flow until the test ends.
func (l *Lab) Receive(t testing.TB, f Flow) *Receiver {
	t.Helper()
	r := &Receiver{}
	ns, addr := l.c.Regions[f.Region], far(f.Region)
	if f.Down {
		ns, addr = "", Station
	}
	inside(t, ns, func() error {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: addr.AsSlice(), Port: f.sink()})
		if err != nil {
			return err
		}
		if err := c.SetReadBuffer(4 << 20); err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 2048)
			for {
				n, _, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				now := time.Now()
				r.mu.Lock()
				r.arrived = append(r.arrived, arrival{now, OnWire(n)})
				r.mu.Unlock()
			}
		}()
		return nil
	})
	return r
}

// Send offers a flow until ctx ends; the group is done when its sender is.
func (l *Lab) Send(t testing.TB, ctx context.Context, wg *sync.WaitGroup, f Flow) {
	t.Helper()
	ns, from, to := "", net.UDPAddr{IP: gate(f.Region).AsSlice()}, net.UDPAddr{IP: far(f.Region).AsSlice(), Port: f.sink()}
	if f.Down { // the class follows from the port, by the plan
		ns = l.c.Regions[f.Region]
		from = net.UDPAddr{IP: far(f.Region).AsSlice(), Port: int(Port(f.Class))}
		to = net.UDPAddr{IP: Station.AsSlice(), Port: f.sink()}
	}
	inside(t, ns, func() error {
		d := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			return errors.Join(raw.Control(func(fd uintptr) {
				err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20),
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
				if !f.Down {
					err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, int(bandwidth.Priority(f.Class))))
				}
			}), err)
		}}
		c, err := d.ListenPacket(ctx, "udp4", from.String())
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer c.Close()
			b := make([]byte, f.Size)
			cost := float64(OnWire(f.Size)) * 8
			start, sent := time.Now(), 0.0
			for ctx.Err() == nil {
				for due := time.Since(start).Seconds() * f.Rate; sent < due && ctx.Err() == nil; sent += cost {
					_, _ = c.WriteTo(b, &to) // a full queue drops: that is the flood
				}
				time.Sleep(time.Millisecond)
			}
		})
		return nil
	})
}

// inside runs f in a namespace; "" is the test's own.
func inside(t testing.TB, ns string, f func() error) {
	t.Helper()
	if ns != "" {
		netlab.Do(t, ns, f)
		return
	}
	if err := f(); err != nil {
		t.Fatal(err)
	}
}
