package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/sekisho/sekisho/dataplane/gate"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// guarded is a lane whose gate is the packet core, with a town's policy in force.
type guarded struct {
	*lane
	town     *town
	core     *packet.Core
	classify *ebpf.Program
	pins     string
}

// slack: a flow that ends leaves its place a moment after another has asked for it.
func slack(flows int) uint32 { return uint32(flows + flows/16) }

// guard puts the packet core on a lane's ports. flows: the table's capacity.
func guard(l *lane, t *town, pins string, flows int) (*guarded, error) {
	g := &guarded{lane: l, town: t, pins: pins}
	if err := os.Mkdir(pins, 0o700); err != nil {
		return nil, err
	}
	generation, err := t.compile()
	if err != nil {
		return nil, err
	}
	err = l.in(func() error {
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		g.core, err = packet.Open(context.Background(), packet.Options{PinDir: pins, Anchors: t.anchors, Log: log, Flows: slack(flows)})
		if err != nil {
			return err
		}
		l.closers = append(l.closers, func() error { return packet.Remove(pins) }, g.core.Close)
		for _, s := range g.core.Status() {
			if !s.Guarded() {
				return fmt.Errorf("port %s is not guarded: %s", s.Name, s.Error)
			}
		}
		if err := l.open(t); err != nil {
			return err
		}
		_, err := g.commit(generation.Tables)
		return err
	})
	if err != nil {
		return nil, err
	}
	found, err := filepath.Glob(filepath.Join(pins, "*", "programs", "classify"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("look for the pinned classifier under %s: %d found: %w", pins, len(found), err)
	}
	if g.classify, err = ebpf.LoadPinnedProgram(found[0], nil); err != nil {
		return nil, fmt.Errorf("open the pinned classifier: %w", err)
	}
	l.closers = append(l.closers, g.classify.Close)
	return g, nil
}

// commit does what the gate's daemon does with tables: load, compare, prove, swap.
func (g *guarded) commit(t packet.Tables) (took steps, err error) {
	clock := took.clock()
	staged, violations, err := gate.Stage(g.core, t, g.town.anchors)
	if err != nil {
		return took, err
	}
	if len(violations) > 0 {
		staged.Discard()
		return took, fmt.Errorf("the policy is not proven: %s", violations[0])
	}
	clock("load, compare and prove again")
	err = staged.Swap()
	clock("swap")
	return took, err
}

// allowed is how many packets the core has let through.
func (g *guarded) allowed() (uint64, error) {
	c, err := g.core.Counters()
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, p := range c.Pairs {
		n += p.Packets
	}
	return n, nil
}

// refusals tells how often each reason was given, for messages about what should have passed.
func (g *guarded) refusals() string {
	c, err := g.core.Counters()
	if err != nil {
		return err.Error()
	}
	out := ""
	for reason, n := range c.Reasons {
		out += fmt.Sprintf(" %s %d", reason, n.Packets)
	}
	return "refused:" + out
}
