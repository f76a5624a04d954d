// Package policy turns the configuration into what the dataplane loads.
//
// Problem: designated communications are written as lists of stations and services, in thousands, and a packet must be
// decided by a fixed number of lookups whatever their number; and what is loaded must be small and finite enough to be
// proven cell by cell. Mechanism: every address that the configuration names, and every prefix, gets the set of records
// that treat it as initiator or as destination; addresses with equal sets, in one segment and with one way out, form one
// class; ports likewise; each record then becomes cells of (initiator class, destination class, port class). A record whose
// last day is over becomes nothing. Life cycle: CompileAt is a pure function of configuration, anchors and day; equal input
// gives equal output, byte by byte. Invariant: a
// packet is permitted by a cell exactly when some record permits it; what does not fit the tables is refused, never cut.
package policy

import (
	"fmt"
	"time"

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

// Compile is CompileAt for this moment.
func Compile(cfg *config.Config, a *anchors.Anchors) (gate.Generation, error) {
	return CompileAt(cfg, a, time.Now())
}

// CompileAt makes the generation for cfg as of a moment: a record that has Expired then permits nothing. Segments are numbered by their place in the anchors, so that the numbers mean the
// same to whoever derives something from the anchors alone. The error names the segment or bound that does not fit; whether
// the result keeps the zones apart is for proof.Check to say.
func CompileAt(cfg *config.Config, a *anchors.Anchors, now time.Time) (gate.Generation, error) {
	p, err := newPlan(cfg, a, now)
	if err != nil {
		return gate.Generation{}, fmt.Errorf("compile: %w", err)
	}
	t, err := p.tables()
	if err != nil {
		return gate.Generation{}, fmt.Errorf("compile: %w", err)
	}
	g := gate.Generation{
		Tables:    packet.Canonical(t),
		Routes:    routes(cfg),
		Tunnels:   tunnels(cfg),
		Bandwidth: bandwidths(cfg),
	}
	g.Revision = packet.Hash(g.Tables)[:16]
	g.Tables.Revision = g.Revision
	return g, nil
}

// japan is the time in which a record's last day ends, whatever the box's clock is set to.
var japan = time.FixedZone("JST", 9*60*60)

// Expired gives the records whose last day (until) is over at that moment.
func Expired(cfg *config.Config, now time.Time) []*config.Communication {
	var out []*config.Communication
	for i := range cfg.Communications {
		if c := &cfg.Communications[i]; expired(c, now) {
			out = append(out, c)
		}
	}
	return out
}

func expired(c *config.Communication, now time.Time) bool {
	if c.Until.IsZero() {
		return false
	}
	y, m, d := c.Until.Time().Date()
	return !now.Before(time.Date(y, m, d+1, 0, 0, 0, 0, japan))
}
