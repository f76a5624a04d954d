package packet

import (
	"fmt"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// The egress program's tables. They come from the anchors and from the invariants that always hold, never from a policy.

// mayForward says which zones may meet in one forwarded packet at all (I1, I13; the uplink joins nothing).
var mayForward = map[anchors.Zone][]anchors.Zone{
	anchors.MyNumber: {anchors.MyNumber, anchors.LGWAN},
	anchors.LGWAN:    {anchors.LGWAN, anchors.MyNumber, anchors.Internet},
	anchors.Internet: {anchors.Internet, anchors.LGWAN},
	// The management zone reaches only local services; its portal hangs on a segment of its own.
	anchors.Management: {anchors.Management},
}

// byTheGate is the shift of the bits for what the gate itself sends: each of its addresses speaks in its own zone only (I9).
const byTheGate = 8

// settleZonePairs writes the pairs when the pins are new; frozen afterwards.
func (c *Core) settleZonePairs() error {
	info, err := c.objects.ZonePairs.Info()
	if err != nil {
		return fmt.Errorf("look at the zone pairs: %w", err)
	}
	for z := anchors.MyNumber; z < anchors.Zones; z++ {
		bits := uint32(1) << (byTheGate + z)
		for _, to := range mayForward[z] {
			bits |= 1 << to
		}
		if info.Frozen() {
			var got uint32
			if err := c.objects.ZonePairs.Lookup(uint32(z), &got); err != nil || got != bits {
				return fmt.Errorf("zone pairs of %s: pinned %#x, want %#x; remove the pins to change them (%w)", z, got, bits, err)
			}
			continue
		}
		if err := c.objects.ZonePairs.Put(uint32(z), bits); err != nil {
			return fmt.Errorf("write the zone pairs of %s: %w", z, err)
		}
	}
	return freeze(c.objects.ZonePairs)
}
