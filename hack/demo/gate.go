package main

import (
	"context"
	"time"

	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/hack/town"
)

// gateStatus is what the demo reads of the dataplane's status.
type gateStatus struct {
	Ports    []packet.PortStatus `json:"ports"`
	Tunnels  []tunnelStatus      `json:"tunnels"`
	Classes  []classStatus       `json:"classes"`
	Revision string              `json:"revision"`
	Hash     string              `json:"hash"`
	Epoch    uint32              `json:"epoch"`
}

type tunnelStatus struct {
	Device     string    `json:"device"`
	Region     string    `json:"region"`
	Up         bool      `json:"up"`
	Handshake  time.Time `json:"handshake"`
	ProbeRTTms float64   `json:"probe_rtt_ms"`
}

type classStatus struct {
	Device    string `json:"device"`
	Name      string `json:"name"`
	Guarantee uint64 `json:"guarantee"`
	SentBytes uint64 `json:"sent_bytes"`
	Drops     uint64 `json:"drops"`
}

func (j *job) status(ctx context.Context) (gateStatus, error) {
	var s gateStatus
	return s, town.Get(ctx, j.name.Instance().DataplaneSocket(), "/status", &s)
}

func (j *job) counters(ctx context.Context) (map[string]packet.Count, error) {
	var c packet.Counters
	return c.Reasons, town.Get(ctx, j.name.Instance().DataplaneSocket(), "/counters", &c)
}

// dropped tells by how many packets a drop reason's counter grew while f ran.
func (j *job) dropped(ctx context.Context, reason string, f func() error) (uint64, error) {
	before, err := j.counters(ctx)
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := j.counters(ctx)
	if err != nil {
		return 0, err
	}
	return after[reason].Packets - before[reason].Packets, nil
}
