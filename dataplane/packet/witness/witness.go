// Package witness asks the loaded programs about the packets that a proof names.
//
// Problem: a proof that refuses tables speaks of tables; whoever reads it must believe that a program would really have let
// the packet pass, and a proof that cries wolf is soon switched off. Mechanism: the counterexample is built as a frame and
// played to the programs over the very image that was read back and refused, in a rehearsal that shares nothing with what is
// in force. Life cycle: a function, called on the way to a refusal. Invariant: nothing that guards a port, and nothing that it
// counts or remembers, is touched.
package witness

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// Most is how many counterexamples of one refusal are played; each takes some milliseconds.
const Most = 16

// Stand is where a gate's packets are played. The zero value with a core is ready; the programs are loaded for the first
// refusal and kept for the next, so that who is refused again and again costs little. Its methods may be called from several goroutines.
type Stand struct {
	Core *packet.Core

	mu        sync.Mutex
	rehearsal *packet.Rehearsal
}

// Replay plays the counterexamples of violations over the staged tables, and writes what became of them into the violations.
func (s *Stand) Replay(staged *packet.Staged, a *anchors.Anchors, violations []proof.Violation) {
	if !slices.ContainsFunc(violations, func(v proof.Violation) bool { return v.Counterexample != nil }) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.rehearsal == nil {
		s.rehearsal, err = s.Core.Rehearse()
	}
	if err == nil {
		err = In(s.rehearsal, staged, a, violations)
	}
	if err == nil {
		return
	}
	for i := range violations {
		if v := &violations[i]; v.Counterexample != nil && v.Replay == nil {
			v.Replay = &proof.Replay{Error: err.Error()}
		}
	}
}

// Close lets go of the programs.
func (s *Stand) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rehearsal == nil {
		return nil
	}
	r := s.rehearsal
	s.rehearsal = nil
	return r.Close()
}

// In is Replay in a rehearsal.
func In(r *packet.Rehearsal, staged *packet.Staged, a *anchors.Anchors, violations []proof.Violation) error {
	if err := r.Show(staged); err != nil {
		return err
	}
	tables := staged.Decoded()
	m := model.New(&tables).Anchored(a)
	for i, n := 0, 0; i < len(violations) && n < Most; i++ {
		if x := violations[i].Counterexample; x != nil {
			violations[i].Replay = play(r, m, &tables, a, x)
			n++
		}
	}
	return nil
}

func play(r *packet.Rehearsal, m *model.Model, t *packet.Tables, a *anchors.Anchors, x *proof.Counterexample) *proof.Replay {
	s, ok := entrance(t, x)
	if !ok {
		return &proof.Replay{Error: "no segment of the tables is there for it to enter by"}
	}
	part := m.Part(model.Query{Src: x.Src, Dst: x.Dst, Proto: x.Proto, SPort: 49152, DPort: x.DPort, MAC: x.SMAC}, s, x.Port == "")
	for _, hop := range m.NextHops(x.Dst) {
		if !regular(a, x.Dst, hop) {
			part.Next = hop // the way that the tables permit and should not
			break
		}
	}
	out, err := r.Play(part)
	if err != nil {
		return &proof.Replay{Error: err.Error()}
	}
	re := &proof.Replay{
		Passed: out.Verdict != packet.Dropped && !out.Stopped, Verdict: string(out.Verdict),
		Port: out.Port, VLAN: out.VLAN, Outer: out.Outer, Second: out.Stopped, Reason: out.Reason,
	}
	if out.Verdict == packet.Redirected && part.Next != x.Dst {
		re.Via = part.Next
	}
	if time.Until(part.At).Abs() > time.Minute && !part.At.IsZero() {
		re.At = part.At
	}
	return re
}

// regular tells whether the anchors know a next hop for an address: the registered router that it lies behind, or itself.
func regular(a *anchors.Anchors, dst, hop netip.Addr) bool {
	if s, ok := a.SegmentOf(dst); ok {
		if r := s.Router(netip.PrefixFrom(dst, dst.BitLen())); r != nil {
			return slices.Contains(r.Addrs, hop)
		}
	}
	return hop == dst
}

// entrance is the segment of the tables by which a counterexample comes in; of what the gate sends, the one that it sends into.
func entrance(t *packet.Tables, x *proof.Counterexample) (packet.Segment, bool) {
	if x.Port == "" {
		i := slices.IndexFunc(t.Hosts, func(h packet.Host) bool { return h.Addr == x.Src })
		if i < 0 {
			return packet.Segment{}, false
		}
		return segment(t, func(s packet.Segment) bool { return s.ID == t.Hosts[i].Segment })
	}
	return segment(t, func(s packet.Segment) bool {
		return s.Port == x.Port && s.VLAN == x.VLAN && s.Outer == x.Outer && (!s.Tunnel || covers(t, s.ID, x))
	})
}

func segment(t *packet.Tables, is func(packet.Segment) bool) (packet.Segment, bool) {
	i := slices.IndexFunc(t.Segments, is)
	if i < 0 {
		return packet.Segment{}, false
	}
	return t.Segments[i], true
}

// covers tells whether a tunnel's segment has an entry for the packet's source; several segments hang on one tunnel.
func covers(t *packet.Tables, id uint16, x *proof.Counterexample) bool {
	return slices.ContainsFunc(t.Hosts, func(h packet.Host) bool { return h.Segment == id && h.Addr == x.Src }) ||
		slices.ContainsFunc(t.Prefixes, func(p packet.Prefix) bool { return p.Segment == id && p.Prefix.Contains(x.Src) })
}
