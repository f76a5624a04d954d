package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// probeWindow is over how many echoes loss is counted.
const probeWindow = 20

// probe sends a UDP echo (RFC 862) through the tunnel again and again. A region that does not answer is down, whatever the
// handshake says: keys are fresh for minutes after a line was cut.
type probe struct {
	device   string
	source   netip.Addr
	target   netip.AddrPort
	interval time.Duration
	stop     context.CancelFunc
	done     chan struct{}

	mu     sync.Mutex
	sent   [probeWindow]time.Time // by sequence number modulo the window
	heard  [probeWindow]bool
	next   uint64 // sequence number of the next echo
	last   time.Time
	lately time.Duration // round trip of the last answer
}

// restartProbes makes the probes fit spec; those that stay the same go on. The slice is parallel to spec.Peers; nil where a
// region has no probe.
func (r *running) restartProbes(spec Spec, o Options) {
	old := r.probes
	r.probes = make([]*probe, len(spec.Peers))
	for i, p := range spec.Peers {
		src := spec.source(p)
		if !p.Probe.IsValid() || !src.IsValid() {
			continue
		}
		for j, q := range old {
			if q != nil && q.source == src && q.target == p.Probe {
				r.probes[i], old[j] = q, nil
				break
			}
		}
		if r.probes[i] == nil {
			r.probes[i] = startProbe(spec.Device, src, p.Probe, o.Probe)
		}
	}
	stopAll(old)
}

func (r *running) stopProbes() { stopAll(r.probes) }

func stopAll(probes []*probe) {
	for _, p := range probes {
		if p != nil {
			p.stop()
			<-p.done
		}
	}
}

func startProbe(device string, source netip.Addr, target netip.AddrPort, interval time.Duration) *probe {
	ctx, stop := context.WithCancel(context.Background())
	p := &probe{device: device, source: source, target: target, interval: interval, stop: stop, done: make(chan struct{})}
	go p.run(ctx)
	return p
}

func (p *probe) run(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	var c *net.UDPConn
	for {
		if c == nil {
			c = p.dial(ctx) // nil while the device or the address is not there
		}
		if !p.send(c) && c != nil {
			c.Close() // the device may have been made anew: its number has changed
			c = nil
		}
		select {
		case <-ctx.Done():
			if c != nil {
				c.Close()
			}
			return
		case <-tick.C:
		}
	}
}

// dial binds to the device as well as to the source, so that no route can take a probe elsewhere.
func (p *probe) dial(ctx context.Context) *net.UDPConn {
	d := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.source, 0)),
		Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			return errors.Join(raw.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), p.device) }), err)
		},
	}
	c, err := d.DialContext(ctx, "udp", p.target.String())
	if err != nil {
		return nil
	}
	uc := c.(*net.UDPConn) // what dialling udp gives
	go p.listen(uc)
	return uc
}

// send counts an echo that could not be sent as lost.
func (p *probe) send(c *net.UDPConn) bool {
	p.mu.Lock()
	seq := p.next
	p.next++
	p.sent[seq%probeWindow], p.heard[seq%probeWindow] = time.Now(), false
	p.mu.Unlock()
	if c == nil {
		return false
	}
	b := make([]byte, 64)
	copy(b, "sekisho probe")
	binary.BigEndian.PutUint64(b[16:], seq)
	_, err := c.Write(b)
	// A refused echo is an answer of the network, not a broken socket.
	return err == nil || errors.Is(err, unix.ECONNREFUSED)
}

func (p *probe) listen(c *net.UDPConn) {
	b := make([]byte, 128)
	for {
		n, err := c.Read(b)
		if errors.Is(err, unix.ECONNREFUSED) {
			continue
		}
		if err != nil {
			return
		}
		if n < 24 {
			continue
		}
		p.hear(binary.BigEndian.Uint64(b[16:]), time.Now())
	}
}

func (p *probe) hear(seq uint64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq >= p.next || p.next-seq > probeWindow || p.heard[seq%probeWindow] {
		return // not ours, too old, or twice
	}
	p.heard[seq%probeWindow] = true
	p.last, p.lately = now, now.Sub(p.sent[seq%probeWindow])
}

// result is the round trip of the last answer, the loss over the window without the echo that is under way, and whether
// there was an answer within the last four intervals.
func (p *probe) result() (rtt time.Duration, loss float64, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, lost := 0, 0
	for i := range min(p.next, probeWindow) {
		slot := (p.next - 1 - i) % probeWindow
		if !p.heard[slot] && time.Since(p.sent[slot]) < p.interval {
			continue
		}
		n++
		if !p.heard[slot] {
			lost++
		}
	}
	if n > 0 {
		loss = float64(lost) / float64(n)
	}
	return p.lately, loss, !p.last.IsZero() && time.Since(p.last) < 4*p.interval
}
