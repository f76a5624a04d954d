// Package plan is what a gate tells the far end of its tunnels: rates, bandwidth classes, and what belongs to which class.
//
// Problem: what comes down a line can only be shaped before it enters the line, by a machine that knows nothing of the
// municipality's records. Mechanism: the gate compiles one small document a region, from the same cells that permit the
// traffic. It is named by a hash of its content, travels in numbered parts over the probes, and is checked again by the far
// end before anything of it is used. Life cycle: Seal names it, Parts cuts it, an Assembly puts it together, Decode checks it.
// Invariant: whatever bytes arrive, the result is a plan that passed Check and whose hash is the one that was asked for, or an
// error; its size, its classes and its matches are bounded.
package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/bandwidth"
)

// Bounds of a plan.
const (
	MaxBytes   = 64 << 10
	MaxMatches = 4096
	MaxDevices = 16
	MaxLayers  = 64 // how deeply matches may lie over each other: prefixes within prefixes, ranges of ports across them
	PartBytes  = 1100
)

// Plan is one region's.
type Plan struct {
	Region  string   `json:"region"`
	Hash    uint64   `json:"hash"` // of everything else; Seal sets it
	Devices []Device `json:"devices"`
	Matches []Match  `json:"matches"` // the first that fits decides
}

// Device is what the far end sends by one of the gate's lines.
type Device struct {
	Device   string            `json:"device"`   // the gate's tunnel device
	Rate     uint64            `json:"rate"`     // bit/s: the region's share of the line's contract downstream; a grant takes its place
	Overhead int               `json:"overhead"` // bytes a packet grows by on the line
	Classes  []bandwidth.Class `json:"classes"`  // guarantees within Rate; ceilings may exceed it, a grant may too
}

// Match assigns packets that come down to a class: from a service in the region to a station of the municipality.
type Match struct {
	From  netip.Prefix `json:"from"`            // service side
	To    netip.Prefix `json:"to"`              // station side
	Proto uint8        `json:"proto,omitempty"` // 0 = any
	Ports Ports        `json:"ports,omitzero"`  // of the service: the source of what comes down
	Dest  Ports        `json:"dest,omitzero"`   // of the station: for flows that the region opens
	Class uint8        `json:"class"`
}

// Ports is a range, both ends included; the zero value is every port, and what has no ports.
type Ports struct {
	Lo uint16 `json:"lo"`
	Hi uint16 `json:"hi"`
}

// All tells whether the range leaves no port out.
func (p Ports) All() bool { return p == Ports{} || p == Ports{0, 65535} }

// Seal gives the plan its hash.
func (p *Plan) Seal() error {
	sum, err := p.sum()
	p.Hash = sum
	return err
}

func (p Plan) sum() (uint64, error) {
	p.Hash = 0
	b, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("plan of region %s: %w", p.Region, err)
	}
	s := sha256.Sum256(b)
	return max(binary.BigEndian.Uint64(s[:]), 1), nil // 0 stands for no plan
}

// Encode writes a sealed plan, checked as the far end will check it.
func (p Plan) Encode() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(p)
	if err == nil && len(b) > MaxBytes {
		err = fmt.Errorf("%d bytes, want at most %d: join prefixes or ports of records that have one class", len(b), MaxBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("plan of region %s: %w", p.Region, err)
	}
	return b, nil
}

// Decode reads what Encode wrote and checks it.
func Decode(b []byte) (Plan, error) {
	var p Plan
	if len(b) > MaxBytes {
		return p, fmt.Errorf("plan: %d bytes, want at most %d", len(b), MaxBytes)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("plan: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Plan{}, fmt.Errorf("plan of region %.64q: more than one document", p.Region)
	}
	if err := p.Check(); err != nil {
		return Plan{}, err
	}
	return p, nil
}
