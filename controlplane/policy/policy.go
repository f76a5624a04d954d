// Package policy turns the configuration into what the dataplane loads.
//
// Problem: designated communications are written as lists of stations and services, in thousands, and a packet must be
// decided by a fixed number of lookups whatever their number; and what is loaded must be small and finite enough to be
// proven cell by cell. Mechanism: every address that the configuration names, and every prefix, gets the set of records
// that treat it as initiator or as destination; addresses with equal sets, in one segment and with one way out, form one
// class; ports likewise; each record then becomes cells of (initiator class, destination class, port class), and a cell's rule
// says when they are in force. Life cycle: Compile is a pure function of configuration and anchors; equal input gives equal
// output, byte by byte. Invariant: a packet is permitted by a cell that is in force exactly when some record permits it then;
// what does not fit the tables is refused, never cut.
package policy

import (
	"fmt"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Bounds of the compiled tables. The packet core's maps are sized for them.
const (
	MaxSegments = 1023
	MaxClasses  = 65535
	MaxPorts    = 65535   // port classes
	MaxCells    = 524_288 // a designated city needs about 205,000
)

// Compile makes the generation for cfg. It knows no today: what begins and what ends stands in the rules, and the packet core
// goes by its clock. Segments are numbered by their place in the anchors, so that the numbers mean the same to whoever derives
// something from the anchors alone. The error names the segment or bound that does not fit; whether the result keeps the zones
// apart is for proof.Check to say.
func Compile(cfg *config.Config, a *anchors.Anchors) (gate.Generation, error) {
	p, err := newPlan(cfg, a)
	if err == nil {
		err = translations(cfg, a)
	}
	if err != nil {
		return gate.Generation{}, fmt.Errorf("compile: %w", err)
	}
	t, err := p.tables()
	if err != nil {
		return gate.Generation{}, fmt.Errorf("compile: %w", err)
	}
	g := gate.Generation{
		Tables:      packet.Ordered(t),
		Routes:      routes(cfg),
		Tunnels:     tunnels(cfg),
		Preferences: preferences(cfg),
		Bandwidth:   bandwidths(cfg),
	}
	if g.Plans, err = plans(cfg, &g.Tables); err != nil {
		return gate.Generation{}, fmt.Errorf("compile: %w", err)
	}
	g.Revision = packet.Hash(g.Tables)[:16]
	g.Tables.Revision = g.Revision
	return g, nil
}
