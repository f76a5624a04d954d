package diagnose

import (
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// Tunnels is what is asked about them; *tunnel.Set does it.
type Tunnels interface {
	Specs() []tunnel.Spec
	Status() []tunnel.Status
}

// Subjects are all regions by all their lines, as the tunnels know them; addresses of the line, ways, services and flows are
// the caller's to fill in.
func Subjects(t Tunnels) []Subject {
	status := t.Status()
	var out []Subject
	for _, spec := range t.Specs() {
		for _, p := range spec.Peers {
			s := Subject{Region: p.Region, End: p.ID, Device: spec.Device, Line: spec.Line, Contract: spec.Contract, Listen: spec.Listen,
				Endpoint: p.Endpoint, Allowed: p.Allowed, Probe: p.Probe, Source: source(spec.Addrs, p)}
			if s.Region == "" {
				s.Region = p.ID
			}
			i := slices.IndexFunc(status, func(st tunnel.Status) bool { return st.Peer == p.ID })
			if i >= 0 {
				st := status[i]
				s.Tunnel = Tunnel{Handshake: st.Handshake, Answered: st.Up, RTT: st.RTT, Loss: st.Loss}
				s.Embedded = st.Engine == "embedded"
			} else {
				s.Tunnel.Error = "no tunnel is configured"
			}
			out = append(out, s)
		}
	}
	return out
}

// source is the gate's own address from which an end is probed: of its kind, within what it may carry.
func source(own []netip.Addr, p tunnel.Peer) netip.Addr {
	for _, a := range own {
		if a.Is4() == p.Probe.Addr().Is4() && slices.ContainsFunc(p.Allowed, func(x netip.Prefix) bool { return x.Contains(a) }) {
			return a
		}
	}
	return netip.Addr{}
}
