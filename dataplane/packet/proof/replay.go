package proof

import (
	"fmt"
	"net/netip"
	"time"
)

// Replay is what the loaded programs did with a counterexample, over the very tables that were refused. The proof is about the
// tables; that the programs agree is seen here, packet by packet.
type Replay struct {
	Passed  bool       `json:"passed"`            // no program stopped it
	Verdict string     `json:"verdict,omitempty"` // of the program that met it first: redirect, stack (up to the gate), send (the gate itself), drop
	Port    string     `json:"port,omitempty"`    // redirected or sent by
	VLAN    uint16     `json:"vlan,omitempty"`
	Outer   uint16     `json:"outer,omitempty"`
	Via     netip.Addr `json:"via,omitzero"`     // next hop, when it is not the destination itself
	Second  bool       `json:"second,omitempty"` // the egress program, the second engine, stopped what the classifier had let out
	Reason  string     `json:"reason,omitempty"` // why it was stopped
	At      time.Time  `json:"at,omitzero"`      // the programs were told that it is this late, because only then is a record in force
	Error   string     `json:"error,omitempty"`  // why it could not be replayed
}

func (r *Replay) String() string {
	if r.Error != "" {
		return "not possible: " + r.Error
	}
	s := "the loaded program "
	switch r.Verdict {
	case "redirect":
		s += "passes it: redirect to port " + r.Port + tags(r.VLAN, r.Outer)
		if r.Via.IsValid() {
			s += " via " + r.Via.String()
		}
	case "stack":
		s += "passes it: up to the gate"
	case "send":
		s += "lets the gate send it by " + r.Port
	default:
		s += "stops it: " + r.Reason
	}
	if r.Second {
		s += "; there the egress program, as second engine, stops it: " + r.Reason
	}
	if !r.At.IsZero() {
		s += fmt.Sprintf(" (at %s)", r.At.UTC().Format("2006-01-02 15:04 MST"))
	}
	return s
}

func tags(vlan, outer uint16) (s string) {
	if vlan != 0 {
		s = fmt.Sprintf(" VLAN %d", vlan)
	}
	if outer != 0 {
		s += fmt.Sprintf(" in %d", outer)
	}
	return s
}
