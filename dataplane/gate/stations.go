package gate

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
)

// stations tells when each registered host was last heard of: by its flows, or by the kernel's neighbour table, which also
// knows those that speak with the gate alone. What lies behind a router or a tunnel is known by its flows only.
func (g *Gate) stations() (map[netip.Addr]time.Time, error) {
	out, err := g.core.Seen()
	if err != nil {
		return nil, err
	}
	registered := map[netip.Addr]bool{}
	if t, ok := g.core.Active(); ok {
		for _, h := range t.Hosts {
			registered[h.Addr] = true
		}
	}
	neighbours, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("read the neighbour table: %w", err)
	}
	now := time.Now()
	for _, n := range neighbours {
		addr, ok := netip.AddrFromSlice(n.IP)
		if addr = addr.Unmap(); !ok || !registered[addr] || n.State&answered == 0 {
			continue
		}
		at := now.Add(-time.Duration(n.Confirmed) * time.Second / userTicks).Truncate(time.Second).UTC()
		if at.After(out[addr]) {
			out[addr] = at
		}
	}
	return out, nil
}

const (
	// answered are the states of a neighbour that has spoken; incomplete and failed ones never did, or no more.
	answered = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE
	// userTicks a second is the clock in which the kernel tells times to programs (USER_HZ), whatever its own is.
	userTicks = 100
)
