package packet

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/sekisho/sekisho/dataplane/anchors"
)

// Isolate cuts zones off, and only these: from the next packet on, nothing passes from or to their segments, by live flows
// neither, but ARP and neighbour discovery with the gate. Of the uplink, all tunnels are cut. Tables and flows stay as they
// are. Both engines are told, each in its own word; should one write fail, the other is made all the same.
func (c *Core) Isolate(zones []anchors.Zone) error {
	bits, err := zoneBits(zones)
	if err == nil {
		err = errors.Join(c.objects.Isolated.Set(bits), c.objects.ZonesShut.Set(bits))
	}
	if err != nil {
		return fmt.Errorf("isolate zones %v: %w", zones, err)
	}
	return nil
}

// zoneBits is a bit for each zone.
func zoneBits(zones []anchors.Zone) (bits uint32, err error) {
	for _, z := range zones {
		if z <= anchors.None || z >= anchors.Zones {
			return 0, fmt.Errorf("%d is no zone", z)
		}
		bits |= 1 << z
	}
	return bits, nil
}

// beginIsolated gives the programs the zones that are cut off before they are loaded.
func beginIsolated(spec *ebpf.CollectionSpec, zones []anchors.Zone) error {
	bits, err := zoneBits(zones)
	if err == nil {
		err = errors.Join(spec.Variables[programsVarIsolated].Set(bits), spec.Variables[programsVarZonesShut].Set(bits))
	}
	if err != nil {
		return fmt.Errorf("isolate zones %v: %w", zones, err)
	}
	return nil
}
