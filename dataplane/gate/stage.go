package gate

import (
	"errors"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/proof"
)

// stage loads tables beside the current ones, reads them back and proves what it reads. Tables that are current already are
// proven where they lie. replay: packets that the proof names are played to the programs before the tables go.
func (g *Gate) stage(t packet.Tables, replay bool) (swap func() error, discard func(), err error) {
	nothing := func() {}
	if active, ok := g.inForce(t); ok {
		if v := proof.Check(&active, g.anchors); len(v) > 0 {
			return nil, nothing, &Refusal{Violations: v}
		}
		return func() error { return nil }, nothing, nil
	}
	staged, violations, err := Stage(g.core, t, g.anchors)
	if err != nil {
		return nil, nothing, err
	}
	if len(violations) > 0 {
		if replay {
			g.stand.Replay(staged, g.anchors, violations)
		}
		staged.Discard()
		return nil, nothing, &Refusal{Violations: violations}
	}
	swapped := false
	swap = func() error {
		swapped = true
		return staged.Swap()
	}
	discard = func() {
		if !swapped {
			staged.Discard()
		}
	}
	return swap, discard, nil
}

// inForce gives the tables in force when they are the same as t.
func (g *Gate) inForce(t packet.Tables) (packet.Tables, bool) {
	active, ok := g.core.Active()
	if !ok || active.Revision != t.Revision { // a look that spares most changes the comparison
		return packet.Tables{}, false
	}
	hash, _, _ := g.core.Identity()
	return active, hash == packet.Hash(t)
}

// Stage loads tables beside the current ones of a core, reads them back, compares what it reads with what was sent, and proves
// it. What can be done at once is. With violations the tables stay staged, to be looked at and discarded; a *Refusal says that
// they do not fit.
func Stage(c *packet.Core, t packet.Tables, a *anchors.Anchors) (*packet.Staged, []proof.Violation, error) {
	sent := make(chan string, 1)
	go func() { sent <- packet.Hash(t) }()
	staged, err := c.Load(t)
	if err != nil {
		return nil, nil, &Refusal{Problems: err}
	}
	decoded := staged.Decoded()
	found := make(chan []proof.Violation, 1)
	go func() { found <- proof.Check(&decoded, a) }()
	same := packet.Hash(decoded) == <-sent
	violations := <-found
	if !same {
		staged.Discard()
		return nil, nil, errors.New("the kernel's tables differ from those that were sent")
	}
	return staged, violations, nil
}
