// Package gate is the privileged daemon's one verb: check a whole generation against the anchors and swap to it.
//
// Problem: tables, routes, tunnels, classes and rules are many objects, and a network that is half changed, or changed at the
// word of a daemon that lies, joins zones. Mechanism: one Generation holds all that the control side may ask for. Every object
// is compared with the root-owned anchors, the tables are loaded, read back and proven; only then does anything change, first
// what tightens, then the tables by one atomic switch, then what loosens. What the anchors alone determine (ports, addresses,
// portals' namespaces, the backstop) is never asked for. Life cycle: Open takes hold of what runs and puts the last accepted
// generation back, Apply changes it for good and Try until it is confirmed in time, Run keeps it so, Close leaves it running. Invariant:
// nothing unproven is ever in force, a generation that is refused or fails leaves the former one in force, and one on trial
// gives way to it by itself.
package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// Generation is everything that the control side may ask for, at once. The backstop is not in it: the dataplane derives it
// from the anchors alone.
type Generation struct {
	Revision    string              `json:"revision"`
	Tables      packet.Tables       `json:"tables"`
	Routes      []Route             `json:"routes"`
	Tunnels     []tunnel.Spec       `json:"tunnels"`
	Preferences []tunnel.Preference `json:"preferences,omitempty"`
	Bandwidth   []bandwidth.Tree    `json:"bandwidth"`

	Plans map[string]plan.Plan `json:"plans,omitempty"` // by region: what its far ends are told
}

// Digest names the whole generation, in 64 hexadecimal digits; Revision and epoch of the tables do not count.
func (g Generation) Digest() string {
	rest := struct {
		Tables      string
		Routes      []Route
		Tunnels     []tunnel.Spec
		Preferences []tunnel.Preference
		Bandwidth   []bandwidth.Tree
		Plans       map[string]plan.Plan
	}{packet.Hash(g.Tables), g.Routes, g.Tunnels, g.Preferences, g.Bandwidth, g.Plans}
	b, err := json.Marshal(rest)
	if err != nil {
		return "" // nothing in it fails to be written; an empty digest equals no other
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Route is one route of the gate. Unreachable ones lie beneath with a worse metric.
type Route struct {
	Prefix      netip.Prefix `json:"prefix"`
	Port        string       `json:"port,omitempty"`
	Via         netip.Addr   `json:"via,omitzero"`
	Unreachable bool         `json:"unreachable,omitempty"`
}
