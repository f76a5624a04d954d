// Package gate is the privileged daemon's one verb: check a whole generation against the anchors and swap to it.
//
// Problem: tables, routes, tunnels, classes and rules are many objects, and a network that is half changed, or changed at the
// word of a daemon that lies, joins zones. Mechanism: one Generation holds all that the control side may ask for. Every object
// is compared with the root-owned anchors, the tables are loaded, read back and proven; only then does anything change, first
// what tightens, then the tables by one atomic switch, then what loosens. What the anchors alone determine (ports, addresses,
// portals' namespaces, the backstop) is never asked for. Life cycle: Open takes hold of what runs and puts the last accepted
// generation back, Apply changes it, Run keeps it so, Close leaves it running. Invariant: nothing unproven is ever in force,
// and a generation that is refused or fails leaves the former one in force.
package gate

import (
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/tunnel"
)

// Generation is everything that the control side may ask for, at once. The backstop is not in it: the dataplane derives it
// from the anchors alone.
type Generation struct {
	Revision  string           `json:"revision"`
	Tables    packet.Tables    `json:"tables"`
	Routes    []Route          `json:"routes"`
	Tunnels   []tunnel.Spec    `json:"tunnels"`
	Bandwidth []bandwidth.Tree `json:"bandwidth"`
}

// Route is one route of the gate. Unreachable ones lie beneath with a worse metric.
type Route struct {
	Prefix      netip.Prefix `json:"prefix"`
	Port        string       `json:"port,omitempty"`
	Via         netip.Addr   `json:"via,omitzero"`
	Unreachable bool         `json:"unreachable,omitempty"`
}
