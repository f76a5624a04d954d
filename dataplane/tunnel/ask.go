package tunnel

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
)

// feelers is for how long an end that talks may be silent before it is asked for an echo too: it may have been replaced by one
// that does not talk.
const feelers = 5 * time.Second

// asker asks one end, again and again: with an echo (RFC 862) whoever is plain, in words who talks. An end that does not answer is
// down, whatever the handshake says: keys are fresh for minutes after a line was cut.
type asker struct {
	device string
	peer   Peer
	source netip.Addr
	secret talk.Secret
	run    uint64 // this process's
	heard  func(peer string, trip time.Duration)
	psk    func(peer string, id uint64) // the far end says which pre-shared key is in force

	mu      sync.Mutex
	fd      int // of the socket; -1: none
	room    []byte
	classes []uint8 // that the line has, those that wait least first
	turn    int
	seq     uint64
	open    [256]question // by sequence number
	results map[uint8]*ring
	far     uint64 // the far end's run
	talked  time.Time
	last    talk.Reply
	reached uint8 // class in which the last reply came: there it listens, before it has its plan too
	grant   uint64
	use     uint64
	plan    *dispatch
	offer   *talk.Psk // the pre-shared key that the far end shall take; nil: none
	offered time.Time
	sizes   map[uint64]chan struct{} // who waits for the answer to a long question
	settled bool                     // the last question is answered: nothing need be read until the next one
}

// question is one that was asked.
type question struct {
	seq    uint64 // 0: none
	class  uint8
	sent   time.Time
	echo   bool
	result int // its place in the class's ring; less than 0: its answer is no measure
}

// same tells whether an asker for the peer would be the same one.
func (a *asker) same(device string, p Peer, source netip.Addr, secret talk.Secret) bool {
	return a.device == device && a.peer.ID == p.ID && a.peer.Probe == p.Probe && a.peer.Plain == p.Plain && a.source == source && a.secret == secret
}

// ask sends what is due now. pace: since the last time that it was asked.
func (a *asker) ask(now time.Time, pace time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd < 0 {
		a.fd = a.dial() // none while the device or the address is not there
	}
	talking := now.Sub(a.talked) < feelers
	if !a.peer.Plain {
		for _, class := range a.due(now, pace) {
			a.request(class, now, talking && (len(a.classes) == 0 || slices.Contains(a.classes, class)))
		}
		a.tell(now)
	}
	if !talking {
		a.echo(now, 64, true)
	}
}

// silence is how long an end that talks may say nothing, beyond its pace, before it is asked in every class at once.
const silence = 100 * time.Millisecond

// due are the classes to ask in now. A class that is offered far more than it gets loses most questions in its own queue, and
// the line is no worse for it: an end that has fallen silent is asked in all of them, so that one that is not flooded answers
// before it is taken for lost; and in class 0, the one in which it listens whatever plan it has.
func (a *asker) due(now time.Time, pace time.Duration) []uint8 {
	next := a.next()
	due := []uint8{next}
	quiet := now.Sub(a.talked)
	if len(a.classes) > 0 && !slices.Contains(a.classes, a.reached) {
		due = append(due, a.reached) // it has yet to learn of the classes
	}
	if quiet <= pace+silence {
		return due
	}
	if len(a.classes) > 1 && quiet < feelers {
		due = slices.Clone(a.classes)
	}
	if !slices.Contains(due, 0) {
		due = append(due, 0)
	}
	return due
}

// next is the class to ask in: every other time the first, which waits least and so tells soonest that the end lives; the others
// by turns in between.
func (a *asker) next() uint8 {
	a.turn++
	if n := len(a.classes); n > 1 && a.turn%2 == 0 {
		return a.classes[1+a.turn/2%(n-1)]
	}
	return a.class(0)
}

func (a *asker) class(i int) uint8 {
	if i < len(a.classes) {
		return a.classes[i]
	}
	return 0
}

// request asks in a class.
func (a *asker) request(class uint8, now time.Time, counts bool) {
	q := a.question(class, now, false, counts)
	r := &talk.Request{Header: a.head(class, q.seq), Sent: now.UnixNano(), Grant: a.grant, Use: a.use}
	if a.plan != nil {
		r.Plan = a.plan.hash
	}
	a.say(r)
}

// tell sends what the far end has yet to take: parts of its plan, a pre-shared key.
func (a *asker) tell(now time.Time) {
	if a.far == 0 || now.Sub(a.talked) > feelers {
		return
	}
	class := a.reached
	if a.plan != nil && a.last.Plan != a.plan.hash {
		for _, p := range a.plan.next() {
			a.seq++
			p.Header = a.head(class, a.seq)
			a.say(p)
		}
	}
	if a.offer != nil && now.Sub(a.offered) >= time.Second {
		a.seq++
		a.offer.Header, a.offered = a.head(class, a.seq), now
		a.say(a.offer)
	}
}

func (a *asker) head(class uint8, seq uint64) talk.Header {
	return talk.Header{Class: class, Gate: a.run, Far: a.far, Seq: seq}
}

// question notes that one is asked now; one that cannot be sent is lost, too.
func (a *asker) question(class uint8, now time.Time, echo, counts bool) question {
	a.seq++
	q := question{seq: a.seq, class: class, sent: now, echo: echo, result: -1}
	if counts {
		q.result = a.ring(class).add(Probe{Seq: a.seq, Class: class, Sent: now})
	}
	a.open[a.seq%uint64(len(a.open))] = q
	return q
}

func (a *asker) ring(class uint8) *ring {
	r := a.results[class]
	if r == nil {
		r = &ring{}
		a.results[class] = r
	}
	return r
}

// The echo's datagram: a name, our run, the sequence number, zeros.
var echoName = []byte("sekisho probe\x00\x00\x00")

const echoLeast = 32

func (a *asker) echo(now time.Time, size int, counts bool) uint64 {
	q := a.question(0, now, true, counts)
	b := make([]byte, max(size, echoLeast))
	copy(b, echoName)
	binary.BigEndian.PutUint64(b[16:], a.run)
	binary.BigEndian.PutUint64(b[24:], q.seq)
	a.send(b, a.peer.Probe.Port())
	return q.seq
}

func (a *asker) say(m talk.Message) {
	b, err := talk.Marshal(m, a.secret)
	if err != nil {
		return // of a kind and size that is never written
	}
	a.send(b, talk.Port+uint16(talk.HeaderOf(m).Class))
}

// take reads a datagram and tells whether it answers something that was asked, and how long ago that was.
func (a *asker) take(b []byte, port uint16, now time.Time) (trip time.Duration, ok bool) {
	if port == a.peer.Probe.Port() {
		if len(b) < echoLeast || !slices.Equal(b[:len(echoName)], echoName) || binary.BigEndian.Uint64(b[16:]) != a.run {
			return 0, false
		}
		return a.answered(binary.BigEndian.Uint64(b[24:]), true, now, 0, 0)
	}
	m, err := talk.Parse(b, a.secret)
	if err != nil || talk.HeaderOf(m).Gate != a.run {
		return 0, false
	}
	h := talk.HeaderOf(m)
	switch m := m.(type) {
	case *talk.Reply:
		trip, ok := a.answered(h.Seq, false, now, time.Duration(m.Received-m.Sent), time.Duration(now.UnixNano()-m.Answered))
		if !ok {
			return 0, false
		}
		a.mu.Lock()
		if h.Seq > a.last.Seq {
			a.far, a.last, a.talked, a.reached = h.Far, *m, now, h.Class
		}
		a.mu.Unlock()
		a.psk(a.peer.ID, m.Psk)
		return trip, true
	case *talk.PartAck:
		a.mu.Lock()
		if a.plan != nil && a.plan.hash == m.Hash {
			a.plan.taken(m.Index)
		}
		a.mu.Unlock()
	case *talk.PskAck:
		a.psk(a.peer.ID, m.ID)
	case *talk.SizeReply:
		a.wake(h.Seq)
	}
	return 0, false // no measure, and maybe not the first time that it comes
}

// answered notes an answer, once.
func (a *asker) answered(seq uint64, echo bool, now time.Time, up, down time.Duration) (trip time.Duration, ok bool) {
	a.mu.Lock()
	q := &a.open[seq%uint64(len(a.open))]
	if seq == 0 || q.seq != seq || q.echo != echo {
		a.mu.Unlock()
		return 0, false // not ours, too old, or twice
	}
	q.seq, trip = 0, now.Sub(q.sent)
	a.settled = seq == a.seq && len(a.sizes) == 0
	if q.result >= 0 {
		a.ring(q.class).answer(seq, q.result, trip, up, down)
	}
	a.mu.Unlock()
	if echo {
		a.wake(seq)
	}
	return trip, true
}

func (a *asker) wake(seq uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ch := a.sizes[seq]; ch != nil {
		close(ch)
		delete(a.sizes, seq)
	}
}

// passes tells whether an IP packet of so many bytes comes through, and is known to have come.
func (a *asker) passes(ctx context.Context, packet int) bool {
	for range 3 {
		a.mu.Lock()
		ch := make(chan struct{})
		if a.fd < 0 {
			a.fd = a.dial()
		}
		var seq uint64
		if v6 := a.source.Is6(); !a.peer.Plain && time.Since(a.talked) < feelers {
			a.seq++
			seq = a.seq
			a.sizes[seq] = ch
			a.say(&talk.Size{Header: a.head(a.reached, seq), Pad: talk.Padding(packet, v6)})
		} else {
			head := 28
			if v6 {
				head = 48
			}
			seq = a.echo(time.Now(), packet-head, false)
			a.sizes[seq] = ch
		}
		a.mu.Unlock()
		select {
		case <-ch:
			return true
		case <-ctx.Done():
			return false
		case <-time.After(250 * time.Millisecond):
		}
		a.mu.Lock()
		delete(a.sizes, seq)
		a.mu.Unlock()
	}
	return false
}
