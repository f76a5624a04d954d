package tunnel

import (
	"context"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

const (
	beat  = 100 * time.Millisecond // how late a loss is noticed after it is one
	check = 2 * time.Second        // between two looks at what gives no sign: handshakes, links whose message was lost
)

// keep asks the ends and moves the ways until ctx ends. It waits for nobody: what may take long, engines and long questions,
// is done beside it.
func (s *Set) keep(ctx context.Context) {
	defer close(s.done)
	beat := min(beat, s.o.Probe)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	links := make(chan netlink.LinkUpdate, 64)
	if err := netlink.LinkSubscribe(links, ctx.Done()); err != nil {
		s.o.Log.Warn("listen for links: a line that goes down is noticed by its probes only", "error", err)
		links = nil
	}
	every := max(1, int(s.o.Probe/beat))
	var looked time.Time
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case u, ok := <-links:
			if !ok {
				links = nil // the timer goes on looking
				continue
			}
			s.link(u.Link.Attrs().Name, u.Header.Type != unix.RTM_DELLINK && hasCarrier(u.Link))
		case now := <-tick.C:
			s.collect()
			n++
			s.ask(now, n%every == 0, n%(seldom*every) == 0)
			if now.Sub(looked) >= check {
				looked = now
				s.look(ctx, now)
			}
		}
		s.step(time.Now())
	}
}

// seldom: of so many rounds of questions, ends that carry nothing are asked in one.
const seldom = 2

// ask asks the ends that it is time for: with each beat those that are up but missed, in every class, with each round all others but
// those that carry nothing, and these only if all is set: the fewer wake-ups, the less it costs.
func (s *Set) ask(now time.Time, round, all bool) {
	s.mu.Lock()
	var askers []*asker
	var paces []time.Duration
	for _, a := range s.askers {
		st, _ := s.machine.State(a.peer.ID)
		missed := st == ways.Up && s.machine.Missed(a.peer.ID, now)
		// One that is down shall be found up again soon, and one that goes down be known to before it is needed.
		rests := st == ways.Up && !s.machine.Ways().Uses(a.peer.ID)
		pace := s.o.Probe
		switch {
		case missed:
			pace = min(beat, s.o.Probe)
		case !round || rests && !all:
			continue
		case rests:
			pace *= seldom
		}
		s.machine.Sent(a.peer.ID, now)
		askers, paces = append(askers, a), append(paces, pace)
	}
	s.mu.Unlock()
	for i, a := range askers {
		a.ask(now, paces[i])
	}
}

// collect takes what the ends have answered.
func (s *Set) collect() {
	s.mu.Lock()
	askers := s.askers
	s.mu.Unlock()
	for _, a := range askers {
		a.collect()
	}
}

// step moves what has to move.
func (s *Set) step(now time.Time) {
	s.mu.Lock()
	before := s.machine.Ways()
	moved := s.machine.Step(now)
	after := s.machine.Ways()
	if !moved && !s.unmoved {
		s.mu.Unlock()
		return
	}
	var late []string
	for device, r := range s.tunnels {
		if holdersDiffer(before, after, device) {
			r.late, late = true, append(late, device)
		}
	}
	s.instruct()
	askers, failed := s.askers, s.unmoved
	s.mu.Unlock()
	for stream, device := range after.Devices {
		if before.Devices[stream] != device {
			s.o.Log.Info("way moved", "region", stream.Region, "class", stream.Class, "to", device, "from", before.Devices[stream],
				"end", after.Holders[ways.Place{Device: device, Region: stream.Region}])
		}
	}
	for _, device := range late {
		go s.settle(device)
	}
	var err error
	if s.o.Moved != nil {
		err = s.o.Moved(after)
	}
	if err != nil && !failed { // it is tried again with each beat
		s.o.Log.Error("move the routes to where the ways are", "error", err)
	}
	s.mu.Lock()
	s.unmoved = err != nil
	s.mu.Unlock()
	if moved {
		for _, a := range askers {
			a.ask(now, seldom*s.o.Probe) // what comes down shall follow at once
		}
	}
}

func holdersDiffer(a, b ways.Ways, device string) bool {
	for _, x := range [][2]ways.Ways{{a, b}, {b, a}} {
		for place, id := range x[0].Holders {
			if place.Device == device && x[1].Holders[place] != id {
				return true
			}
		}
	}
	return false
}

// settle tells an engine what has changed. One that cannot be told now is told by the next look, or when it is up again.
func (s *Set) settle(device string) {
	if err := s.configure(device); err != nil {
		s.o.Log.Warn("tell the WireGuard engine what its peers carry", "device", device, "error", err)
		s.mu.Lock()
		if r := s.tunnels[device]; r != nil {
			r.late = true
		}
		s.mu.Unlock()
	}
}

// link takes news of a device or line.
func (s *Set) link(name string, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for device, r := range s.tunnels {
		if name != device && name != r.spec.Line {
			continue
		}
		if name == device {
			r.linkUp = up
		} else {
			r.lineUp = up
		}
		s.machine.Link(device, r.linkUp && r.lineUp)
	}
}

// hasCarrier tells whether packets can leave by a link: it is up, and has a carrier.
func hasCarrier(l netlink.Link) bool {
	const both = unix.IFF_UP | unix.IFF_RUNNING
	return l.Attrs().RawFlags&both == both
}

// look finds what gave no sign.
func (s *Set) look(ctx context.Context, now time.Time) {
	s.mu.Lock()
	var late []string
	names := map[string]bool{}
	for device, r := range s.tunnels {
		names[device], names[r.spec.Line] = true, true
		if r.late {
			late = append(late, device)
		}
	}
	s.mu.Unlock()
	for name := range names {
		if l, err := netlink.LinkByName(name); err == nil {
			s.link(name, hasCarrier(l))
		}
	}
	for _, device := range late {
		go s.settle(device)
	}
	s.lookAtKeys(now)
	s.lookAtSizes(ctx, now)
}
