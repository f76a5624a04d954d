package packet

import (
	"net/netip"
	"time"
)

// Seen tells when each registered host of the tables in force was last heard of by a flow: the last packet of a flow in which it
// said something. Which of the two ends sent that packet is not known, so it may be too late by the flow's timeout. Hosts
// without a flow are not there.
func (c *Core) Seen() (map[netip.Addr]time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[netip.Addr]time.Time{}
	if c.active == nil {
		return out, nil
	}
	registered := make(map[netip.Addr]bool, len(c.active.Hosts))
	for _, h := range c.active.Hosts {
		registered[h.Addr] = true
	}
	now, hz, err := c.ticks()
	if err != nil {
		return nil, err
	}
	today := time.Now()
	err = c.lines.walk(func(r rawFlow) bool {
		at := today.Add(-r.idle(now, hz)).Truncate(time.Second).UTC()
		for by, addr := range [2]netip.Addr{r.a, r.b} {
			if registered[addr] && r.sent(by).Packets > 0 && at.After(out[addr]) {
				out[addr] = at
			}
		}
		return true
	})
	return out, err
}
