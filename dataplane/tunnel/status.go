package tunnel

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/sekisho/sekisho/dataplane/tunnel/talk"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// Status is one end as seen from here.
type Status struct {
	Device    string        `json:"device"`
	Contract  string        `json:"contract,omitempty"` // line of the configuration
	Peer      string        `json:"peer"`
	Region    string        `json:"region"`
	Engine    string        `json:"engine"` // kernel, embedded
	Up        bool          `json:"up"`     // the probe was answered lately and the keys are fresh
	State     string        `json:"state"`  // down, held (it answers again, but not for long enough), up
	Since     time.Time     `json:"since,omitzero"`
	Carries   []string      `json:"carries,omitempty"` // regions whose prefixes are with it on its device
	Classes   []uint8       `json:"classes,omitempty"` // of its region that go by it now; 0: those without an order of their own
	Talks     bool          `json:"talks"`             // it answers in words; else by echo at most
	Preshared bool          `json:"preshared"`         // there is a pre-shared key
	Rotating  bool          `json:"rotating,omitempty"`
	KeySince  time.Time     `json:"key_since,omitzero"` // the pre-shared key is in force
	Handshake time.Time     `json:"handshake,omitzero"`
	RTT       time.Duration `json:"-"`
	ProbeRTT  float64       `json:"probe_rtt_ms"` // of the last answer; 0 = none
	Loss      float64       `json:"probe_loss"`   // 0..1 of the last 20 probes
	Rx        uint64        `json:"rx_bytes"`
	Tx        uint64        `json:"tx_bytes"`
	Counted   time.Time     `json:"-"`                  // when Rx and Tx were read
	MTU       int           `json:"mtu"`                // of the device, inner bytes
	Passes    int           `json:"passes,omitempty"`   // the longest inner packet that was seen to pass; 0 = not known
	LineMTU   int           `json:"line_mtu,omitempty"` // of the port: what the line should carry
	Reason    string        `json:"reason,omitempty"`   // why it is not up
	Trouble   string        `json:"trouble,omitempty"`  // what is wrong although it may be up
}

// handshakeLimit is WireGuard's REJECT_AFTER_TIME: older keys carry nothing.
const handshakeLimit = 180 * time.Second

// Status tells about every end of every device, as of a second ago: it asks no engine, so that one which hangs keeps nobody waiting.
func (s *Set) Status() []Status {
	s.mu.Lock()
	tunnels := map[string]*running{}
	for device, r := range s.tunnels {
		tunnels[device] = r
	}
	s.mu.Unlock()
	now := time.Now()
	var out []Status
	for _, r := range tunnels {
		st, err := r.engine.known()
		s.mu.Lock()
		base := Status{Device: r.spec.Device, Contract: r.spec.Contract, Engine: "embedded", Passes: r.size.found}
		if r.kernel {
			base.Engine = "kernel"
		}
		spec, short := r.spec, r.size.short
		s.mu.Unlock()
		base.MTU, base.LineMTU = mtuOf(spec.Device), mtuOf(spec.Line)
		if short {
			base.Trouble = fmt.Sprintf("packets of %d bytes do not pass: at most %d do", base.MTU, base.Passes)
		}
		for _, p := range spec.Peers {
			out = append(out, s.status(base, r, p, st, err, now))
		}
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Device+"/"+a.Peer, b.Device+"/"+b.Peer) })
	return out
}

func mtuOf(name string) int {
	if l, err := netlink.LinkByName(name); err == nil {
		return l.Attrs().MTU
	}
	return 0
}

func (s *Set) status(x Status, r *running, p Peer, st engineState, err error, now time.Time) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.Peer, x.Region = p.ID, p.region()
	q := st.peer(p.PublicKey)
	x.Handshake, x.Rx, x.Tx, x.Counted = q.Handshake, q.Rx, q.Tx, st.at
	w := s.machine.Ways()
	for place, id := range w.Holders {
		if id == p.ID {
			x.Carries = append(x.Carries, place.Region)
		}
	}
	slices.Sort(x.Carries)
	for stream, device := range w.Devices {
		if stream.Region == x.Region && device == x.Device && slices.Contains(x.Carries, x.Region) {
			x.Classes = append(x.Classes, stream.Class)
		}
	}
	slices.Sort(x.Classes)
	var k preshared
	if have := s.keys[p.ID]; have != nil {
		k = *have
	}
	x.Preshared, x.Rotating, x.KeySince = k.Key != noKey, k.Next != noKey, k.Since
	state, since := s.machine.State(p.ID)
	x.State, x.Since = state.String(), since
	asked := false
	for _, a := range s.askers {
		if a.peer.ID == p.ID {
			asked = true
			x.RTT, x.Loss, x.Talks = a.summary(now)
			x.ProbeRTT = float64(x.RTT.Microseconds()) / 1000
		}
	}
	_, age := r.handshake(q, now)
	fresh := !x.Handshake.IsZero() && age < handshakeLimit
	x.Up = err == nil && fresh && state != ways.Down
	switch {
	case err != nil:
		x.Reason = err.Error()
	case k.unread != nil:
		x.Reason = k.unread.Error()
	case p.Preshared && k.Key == noKey:
		x.Reason = "it must not be brought up without its pre-shared key, and there is none: import one, or make one and enter it on both sides"
	case x.Handshake.IsZero():
		x.Reason = "no handshake yet"
	case !fresh:
		x.Reason = fmt.Sprintf("last handshake %d s ago", int(age.Seconds()))
	case state == ways.Down && asked:
		x.Reason = "no answer to the probe inside the tunnel"
	case state == ways.Down:
		x.Reason = "the line or the device is down"
	}
	return x
}

// summary is the round trip and the loss of the class that is asked most, and whether it was asked in words.
func (a *asker) summary(now time.Time) (rtt time.Duration, loss float64, talks bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	talks = !a.talked.IsZero() && now.Sub(a.talked) < feelers
	class := uint8(0)
	if talks {
		class = a.class(0)
	}
	if r := a.results[class]; r != nil {
		rtt, loss = r.summary(now)
	}
	return rtt, loss, talks
}

// Report is what an end has answered, for those who lend and those who measure. Nobody is asked for it.
type Report struct {
	Device   string
	Contract string
	Peer     string
	Region   string
	State    ways.State
	Talked   time.Time         // when the last reply came; zero: none ever
	Far      talk.Reply        // the last reply: its counters are the far end's, towards us, on this device
	Grant    uint64            // bit/s, as set
	Probes   map[uint8][]Probe // of Results
}

// Reports is one of every end that is asked, without its probes: for those who look several times a second.
func (s *Set) Reports() []Report { return s.reports(false) }

// Results are the reports with what became of the probes.
func (s *Set) Results() []Report { return s.reports(true) }

func (s *Set) reports(probes bool) []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Report, 0, len(s.askers))
	for _, a := range s.askers {
		st, _ := s.machine.State(a.peer.ID)
		r := Report{Device: a.device, Peer: a.peer.ID, Region: a.peer.region(), State: st}
		if t := s.tunnels[a.device]; t != nil {
			r.Contract = t.spec.Contract
		}
		a.mu.Lock()
		r.Talked, r.Far, r.Grant = a.talked, a.last, a.grant
		if probes {
			r.Probes = map[uint8][]Probe{}
			for class, ring := range a.results {
				r.Probes[class] = ring.list()
			}
		}
		a.mu.Unlock()
		out = append(out, r)
	}
	return out
}
