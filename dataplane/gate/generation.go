// Package gate is the privileged daemon's one verb: check a whole generation against the anchors and swap to it.
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
