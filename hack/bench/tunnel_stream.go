package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	streamPayload = 1200                        // bytes of UDP payload
	streamInner   = streamPayload + 28          // UDP and IPv4 header
	streamOnLine  = (streamInner+15)/16*16 + 60 // padded and encrypted by WireGuard, over IPv4
	streamBits    = streamOnLine * 8            // of the line, a packet
	streamBatch   = 64                          // packets in one call
	catchUp       = 20 * time.Millisecond       // what a sender that was kept from sending makes up for: more were a burst
	stampAt       = unix.SizeofCmsghdr          // offset of the kernel's time in its control message
	stampRoom     = stampAt + 2*8 + 8           // bytes of such a message
	helloEvery    = 500 * time.Millisecond      // the station keeps flows open that come down
	readAhead     = 16 << 20                    // bytes of a receiver's socket buffer
	pacing        = time.Millisecond            // between two calls of a sender
)

// channel is a pair of UDP sockets, the station's and the application's, between which packets of one class go both ways.
type channel struct {
	class labClass
	ends  [2]*net.UDPConn // station, application
}

// direction of a stream.
type direction int

const (
	up direction = iota
	down
)

func (d direction) String() string { return [2]string{"up", "down"}[d] }

// newChannel opens the sockets of a class. Each knows the other, so that nobody else's packets are counted.
func newChannel(station, app netns.NsHandle, c labClass) (*channel, error) {
	ch := &channel{class: c}
	ends := [2]netip.AddrPort{netip.AddrPortFrom(labStation, c.udp-1000), netip.AddrPortFrom(labApp, c.udp)}
	for i, ns := range []netns.NsHandle{station, app} {
		err := within(ns, func() (err error) {
			ch.ends[i], err = net.DialUDP("udp4", net.UDPAddrFromAddrPort(ends[i]), net.UDPAddrFromAddrPort(ends[1-i]))
			return err
		})
		if err == nil {
			err = stamped(ch.ends[i])
		}
		if err != nil {
			ch.close()
			return nil, fmt.Errorf("open a stream of class %s: %w", c.name, err)
		}
	}
	return ch, nil
}

// stamped makes the kernel tell when each packet arrived, and wait with many.
func stamped(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		inner = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, readAhead))
	})
	return errors.Join(err, inner)
}

func (ch *channel) close() {
	for _, c := range ch.ends {
		if c != nil {
			c.Close()
		}
	}
}

// arrival is one packet that came: when (ns since 1970), and how long it took (ns).
type arrival struct{ at, took int64 }

// trace is what one direction of a channel carried.
type trace struct {
	mu       sync.Mutex
	sent     []departure
	arrivals []arrival
}

// departure is packets that were handed to the network at once.
type departure struct {
	at int64 // ns since 1970
	n  int
}

// offered are the bits on the line that were sent in each step of a span, a second.
func (t *trace) offered(from time.Time, step time.Duration, n int) []float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]float64, n)
	for _, d := range t.sent {
		if i := (d.at - from.UnixNano()) / int64(step); d.at >= from.UnixNano() && i < int64(n) {
			out[i] += float64(d.n) * streamBits / step.Seconds()
		}
	}
	return out
}

// rates are the bits on the line that arrived in each step of a span, a second.
func (t *trace) rates(from time.Time, step time.Duration, n int) []float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]float64, n)
	for _, a := range t.arrivals {
		if i := (a.at - from.UnixNano()) / int64(step); a.at >= from.UnixNano() && i < int64(n) {
			out[i] += streamBits / step.Seconds()
		}
	}
	return out
}

// took is a quantile of the time on the way of what arrived in a span.
func (t *trace) took(from, to time.Time, q float64) (time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []int64
	for _, a := range t.arrivals {
		if a.at >= from.UnixNano() && a.at < to.UnixNano() {
			all = append(all, a.took)
		}
	}
	if len(all) < 100 {
		return 0, fmt.Errorf("%d packets arrived, too few to tell how long they take", len(all))
	}
	slices.Sort(all)
	return time.Duration(all[int(float64(len(all)-1)*q)]), nil
}

// streams is streams that run until stopped.
type streams struct {
	stop     chan struct{}
	running  sync.WaitGroup
	channels []*channel
	traces   map[direction]map[string]*trace // by class
	errs     chan error
}

// offer says how much of a class is sent in a direction, bit/s on the line; 0: now and then one, so that the flow stays open.
type offer map[direction]map[string]float64

// begin opens a channel for each class and sends. Rates may be changed by change.
func (l *tunnelLab) begin(o offer) (*streams, error) {
	t := &streams{stop: make(chan struct{}), traces: map[direction]map[string]*trace{up: {}, down: {}}, errs: make(chan error, 16)}
	for _, c := range labClasses {
		ch, err := newChannel(l.station, l.app, c)
		if err != nil {
			return nil, errors.Join(err, t.end())
		}
		t.channels = append(t.channels, ch)
		for _, d := range []direction{up, down} {
			tr := &trace{}
			t.traces[d][c.name] = tr
			from, to := ch.ends[d], ch.ends[1-d]
			t.running.Go(func() { receive(to, tr) })
			rate := o[d][c.name]
			if rate == 0 && d == down {
				continue
			}
			t.running.Go(func() { t.note(t.send(from, tr, func() float64 { return rate })) })
		}
	}
	return t, nil
}

// beside adds a stream to what runs, until the returned function is called.
func (t *streams) beside(d direction, class string, rate float64) (end func()) {
	ch := t.channels[slices.IndexFunc(t.channels, func(c *channel) bool { return c.class.name == class })]
	over := make(chan struct{})
	also := &streams{stop: over}
	t.running.Go(func() { t.note(also.send(ch.ends[d], t.traces[d][class], func() float64 { return rate })) })
	return sync.OnceFunc(func() { close(over) })
}

func (t *streams) note(err error) {
	if err != nil {
		select {
		case t.errs <- err:
		default:
		}
	}
}

// end stops everything and waits for it.
func (t *streams) end() error {
	close(t.stop)
	for _, c := range t.channels {
		now := time.Now()
		c.ends[0].SetReadDeadline(now)
		c.ends[1].SetReadDeadline(now)
	}
	t.running.Wait()
	for _, c := range t.channels {
		c.close()
	}
	select {
	case err := <-t.errs:
		return err
	default:
		return nil
	}
}

// send sends packets at a steady rate. A refusal by the network is a packet that is lost.
func (t *streams) send(c *net.UDPConn, tr *trace, rate func() float64) error {
	p := ipv4.NewPacketConn(c)
	messages := make([]ipv4.Message, streamBatch)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, streamPayload)}
	}
	tick := time.NewTicker(pacing)
	defer tick.Stop()
	seq, owed, last := uint64(0), 1.0, time.Now() // one at once: it opens the flow
	for {
		for owed >= 1 {
			n := min(int(owed), streamBatch)
			now := uint64(time.Now().UnixNano())
			for i := range n {
				b := messages[i].Buffers[0]
				seq++
				binary.BigEndian.PutUint64(b[0:], seq)
				binary.BigEndian.PutUint64(b[8:], now)
			}
			sent, err := p.WriteBatch(messages[:n], 0)
			if err != nil && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOBUFS) {
				return fmt.Errorf("send a stream: %w", err)
			}
			sent = max(sent, 1)
			tr.mu.Lock()
			tr.sent = append(tr.sent, departure{int64(now), sent})
			tr.mu.Unlock()
			owed -= float64(sent)
		}
		select {
		case <-t.stop:
			return nil
		case now := <-tick.C:
			perSecond := max(rate()/streamBits, 1/helloEvery.Seconds())
			owed = min(owed+perSecond*now.Sub(last).Seconds(), max(perSecond*catchUp.Seconds(), 2))
			last = now
		}
	}
}

// receive notes every packet until the socket is closed or its deadline is over.
func receive(c *net.UDPConn, tr *trace) {
	p := ipv4.NewPacketConn(c)
	messages := make([]ipv4.Message, streamBatch)
	for i := range messages {
		messages[i].Buffers, messages[i].OOB = [][]byte{make([]byte, streamPayload)}, make([]byte, 64)
	}
	for {
		n, err := p.ReadBatch(messages, 0)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}
		if err != nil {
			return
		}
		tr.mu.Lock()
		for _, m := range messages[:n] {
			if m.N != streamPayload || m.NN < stampAt+16 {
				continue
			}
			at := int64(binary.NativeEndian.Uint64(m.OOB[stampAt:]))*1e9 + int64(binary.NativeEndian.Uint64(m.OOB[stampAt+8:]))
			tr.arrivals = append(tr.arrivals, arrival{at, at - int64(binary.BigEndian.Uint64(m.Buffers[0][8:]))})
		}
		tr.mu.Unlock()
	}
}
