package region

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// socketKey is what a socket listens on. It is bound to a device, so that the answer leaves where the question came in.
type socketKey struct {
	device string
	addr   netip.AddrPort
}

// usualClasses is up to which class a far end listens that has no plan yet: the gate asks in the queue of each class.
const usualClasses = talk.MaxClasses

// listen opens the sockets that are missing and closes those that are not wanted any more.
func (f *far) listen() error {
	want := map[socketKey]func(*net.UDPConn){}
	for _, a := range f.file.Addresses {
		for _, e := range f.ends {
			want[socketKey{e.Name, netip.AddrPortFrom(a.Addr(), f.file.Echo)}] = echo
			for _, c := range f.asked() {
				want[socketKey{e.Name, netip.AddrPortFrom(a.Addr(), talk.Port+uint16(c))}] = func(u *net.UDPConn) { f.converse(u, e, c) }
			}
		}
	}
	for k, c := range f.socks {
		if want[k] == nil {
			c.Close()
			delete(f.socks, k)
		}
	}
	var errs []error
	for k, serve := range want {
		if f.socks[k] != nil {
			continue
		}
		u, err := bind(k)
		if err != nil {
			errs = append(errs, fmt.Errorf("region: %w", err))
			continue
		}
		f.socks[k] = u
		go serve(u)
	}
	return errors.Join(errs...)
}

// asked are the classes in which the gate may ask: those of the plan may have any numbers.
func (f *far) asked() []uint8 {
	var classes []uint8
	for c := range uint8(usualClasses + 1) {
		classes = append(classes, c)
	}
	if f.plan != nil {
		for _, d := range f.plan.Devices {
			for _, c := range d.Classes {
				if !slices.Contains(classes, c.ID) {
					classes = append(classes, c.ID)
				}
			}
		}
	}
	return classes
}

func bind(k socketKey) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) {
			err = unix.BindToDevice(int(fd), k.device)
			if class := k.addr.Port() - talk.Port; class < markMask {
				err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, int(bandwidth.Priority(uint8(class)))))
			}
		}), err)
	}}
	pc, err := lc.ListenPacket(context.Background(), "udp", k.addr.String())
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", k.addr, k.device, err)
	}
	return pc.(*net.UDPConn), nil // what listening for udp gives
}

// echo answers UDP with what it got (RFC 862). A lost answer is a lost echo.
func echo(u *net.UDPConn) {
	b := make([]byte, 9000)
	for {
		n, from, err := u.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			_, _ = u.WriteToUDPAddrPort(b[:n], from)
		}
	}
}

// converse answers the gate on one device in one class; what is not the gate's gets silence.
func (f *far) converse(u *net.UDPConn, e *end, class uint8) {
	b := make([]byte, talk.MaxMessage+1)
	for {
		n, from, err := u.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			continue // a refused answer of before
		}
		received := time.Now()
		answer, err := f.answer(e, class, b[:n], received)
		if answer == nil {
			if err != nil {
				f.log.Warn("the gate's word was not followed", "device", e.Name, "error", err)
			}
			continue
		}
		_, _ = u.WriteToUDPAddrPort(answer, from)
	}
}

// answer is what to say to a datagram; nil: nothing.
func (f *far) answer(e *end, class uint8, b []byte, received time.Time) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := talk.Parse(b, e.secret)
	if err != nil {
		return nil, nil // strangers are not worth a line in the log
	}
	h := talk.HeaderOf(m)
	fresh, act := e.guard.Take(h)
	if !fresh || h.Class != class {
		return nil, nil
	}
	newest := act && e.obeys(h)
	if newest {
		e.heard = received
	}
	h.Far = f.run
	var out talk.Message
	switch m := m.(type) {
	case *talk.Request:
		if newest {
			if err := errors.Join(f.allow(e, m.Grant), f.steer(e, m.Use)); err != nil {
				f.log.Error("follow the gate", "device", e.Name, "error", err)
			}
		}
		out = f.reply(e, h, m, received)
	case *talk.Part:
		if !act {
			return nil, nil
		}
		if err := f.take(m); err != nil {
			return nil, err
		}
		out = &talk.PartAck{Header: h, Hash: m.Hash, Index: m.Index}
	case *talk.Psk:
		if !act {
			return nil, nil
		}
		if err := f.rotate(e, m.ID, m.Key); err != nil {
			return nil, err
		}
		out = &talk.PskAck{Header: h, ID: m.ID}
	case *talk.Size:
		out = &talk.SizeReply{Header: h, Pad: m.Pad}
	default:
		return nil, nil // an answer of ours, sent back
	}
	return talk.Marshal(out, e.secret)
}

// obeys tells whether a message is the newest of the gate's present run: an older one that comes late must not undo a newer.
func (e *end) obeys(h talk.Header) bool {
	if h.Gate == e.gate && h.Seq <= e.seq {
		return false
	}
	e.gate, e.seq = h.Gate, h.Seq
	return true
}

func (f *far) reply(e *end, h talk.Header, m *talk.Request, received time.Time) talk.Message {
	r := &talk.Reply{Header: h, Sent: m.Sent, Received: received.UnixNano(), Psk: f.psks[e.Gate.Device].ID, Root: e.tree.Rate}
	if f.plan != nil {
		r.Plan = f.plan.Hash
		if d := e.planned(*f.plan); d != nil {
			if err := e.meter.read(e.tree, d.Classes, received); err != nil {
				f.log.Warn("measure", "device", e.Name, "error", err)
			}
			r.Demand, r.Classes = e.meter.demand, e.meter.counters
		}
	}
	if peers, err := e.held.Peers(); err == nil {
		for _, p := range peers {
			if p.PublicKey == e.Gate.PublicKey {
				r.RxBytes = p.Rx
			}
		}
	}
	r.Answered = time.Now().UnixNano()
	return r
}

// take adds a part of a plan; a whole one is put in force and kept. A plan that does not pass changes nothing.
func (f *far) take(m *talk.Part) error {
	if f.plan != nil && f.plan.Hash == m.Hash {
		return nil // come twice
	}
	p, done, err := f.parts.Add(m.Hash, int(m.Index), int(m.Count), m.Bytes)
	if err != nil || !done {
		return err
	}
	if err := f.apply(p); err != nil {
		if f.plan != nil {
			err = errors.Join(err, f.apply(*f.plan))
		}
		return err
	}
	f.log.Info("a new plan is in force", "plan", fmt.Sprintf("%016x", p.Hash), "region", p.Region, "classes", classNames(p), "matches", len(p.Matches))
	if err := keepPlan(f.file.State, p); err != nil {
		f.log.Error("the plan is in force but will be gone after a restart", "error", err)
	}
	return f.listen()
}

func classNames(p plan.Plan) (names []string) {
	for _, d := range p.Devices {
		for _, c := range d.Classes {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	return names
}
