package main

import (
	"context"

	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/hack/town"
)

// status asks the dataplane.
func (j *job) status(ctx context.Context) (gate.Status, error) {
	var s gate.Status
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
