package gate

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

func (c *objectCheck) tunnels(specs []tunnel.Spec) {
	seen := map[string]bool{}
	for _, s := range specs {
		i := slices.IndexFunc(c.a.Tunnels, func(t anchors.Tunnel) bool { return t.Device == s.Device })
		if i < 0 {
			c.fail("tunnel %q: no tunnel of the anchors", s.Device)
			continue
		}
		if seen[s.Device] {
			c.fail("tunnel %s: given twice", s.Device)
		}
		seen[s.Device] = true
		c.tunnel(s, &c.a.Tunnels[i])
	}
}

func (c *objectCheck) tunnel(s tunnel.Spec, t *anchors.Tunnel) {
	line, ok := c.a.Segment(t.Line)
	if !ok || s.Line != deviceOf(line) {
		c.fail("tunnel %s: by line %q, want that of segment %q", s.Device, s.Line, t.Line)
	}
	if s.Listen != t.Listen {
		c.fail("tunnel %s: listens on port %d, want %d", s.Device, s.Listen, t.Listen)
	}
	if s.MTU != 0 && (s.MTU < 1280 || s.MTU > 8920) {
		c.fail("tunnel %s: MTU %d: want 1280 to 8920, or 0 for one that is found out", s.Device, s.MTU)
	}
	if len(s.Contract) > 64 {
		c.fail("tunnel %s: the name of its line has %d bytes: want at most 64", s.Device, len(s.Contract))
	}
	for i, addr := range s.Addrs {
		own, ok := c.a.SegmentOf(addr)
		if !ok || !slices.Contains(c.a.Devices(own), s.Device) || !slices.Contains(own.Gate, addr) {
			c.fail("tunnel %s: address %s is not the gate's in any of its segments", s.Device, addr)
		}
		if slices.Contains(s.Addrs[:i], addr) {
			c.fail("tunnel %s: address %s is given twice", s.Device, addr)
		}
	}
	seen := map[string]bool{}
	for _, p := range s.Peers {
		i := slices.IndexFunc(t.Peers, func(q anchors.Peer) bool { return q.ID == p.ID })
		if i < 0 {
			c.stranger(s.Device, p)
			continue
		}
		if seen[p.ID] {
			c.fail("tunnel %s: end %s is given twice", s.Device, p.ID)
		}
		seen[p.ID] = true
		c.peer(s.Device, p, &t.Peers[i])
	}
}

// stranger: a peer that the anchors do not have on this device; perhaps on another.
func (c *objectCheck) stranger(device string, p tunnel.Peer) {
	for _, t := range c.a.Tunnels {
		if slices.ContainsFunc(t.Peers, func(q anchors.Peer) bool { return q.ID == p.ID }) {
			c.fail("tunnel %s: end %q is a peer of %s by the anchors, not of this device", device, p.ID, t.Device)
			return
		}
	}
	c.fail("tunnel %s: region %q is no peer of the anchors", device, p.ID)
}

func (c *objectCheck) peer(device string, p tunnel.Peer, want *anchors.Peer) {
	if region := cmp.Or(p.Region, p.ID); region != want.Segment {
		c.fail("tunnel %s: end %s is one of region %q, want %q", device, p.ID, region, want.Segment)
	}
	if p.PublicKey != want.PublicKey {
		c.fail("tunnel %s: region %s: public key %s is not that of the anchors", device, p.ID, p.PublicKey)
	}
	for own, key := range c.own {
		if p.PublicKey == key {
			c.fail("tunnel %s: region %s: its public key is the gate's own, that of %s: the far end has its own to give", device, p.ID, own)
		}
	}
	if p.Endpoint != want.Endpoint {
		c.fail("tunnel %s: region %s: endpoint %s, want %s", device, p.ID, p.Endpoint, want.Endpoint)
	}
	if !samePrefixes(p.Allowed, want.Allowed) {
		c.fail("tunnel %s: region %s may send from %v, want %v", device, p.ID, p.Allowed, want.Allowed)
	}
	for i, id := range p.TakesOver {
		if !slices.Contains(want.TakesOver, id) || slices.Contains(p.TakesOver[:i], id) {
			c.fail("tunnel %s: region %s takes over %q: the anchors let it take over %q, each once", device, p.ID, id, want.TakesOver)
		}
	}
	if p.Probe.IsValid() && !c.probe(p.Probe, want) {
		c.fail("tunnel %s: region %s: probe %s is no service that the anchors let the gate use", device, p.ID, p.Probe)
	}
	if p.Keepalive < 0 || p.Keepalive > 3600 {
		c.fail("tunnel %s: region %s: keepalive %d s: want 0 to 3600", device, p.ID, p.Keepalive)
	}
}

// probe tells whether the gate may open UDP to the target, by the anchors.
func (c *objectCheck) probe(target netip.AddrPort, p *anchors.Peer) bool {
	return (!p.Probe.IsValid() || target.Addr() == p.Probe) && slices.ContainsFunc(c.a.Services, func(s anchors.Service) bool {
		return s.Out && s.Segment == p.Segment && s.Proto == "udp" && s.Serves(target.Port()) &&
			slices.ContainsFunc(s.From, func(f netip.Prefix) bool { return f.Contains(target.Addr()) })
	})
}

// mostClass is the greatest number of a bandwidth class: the mark has 6 bits for it.
const mostClass = 63

// preferences name devices of this generation, in an order for each class.
func (c *objectCheck) preferences(in []tunnel.Preference, specs []tunnel.Spec) {
	seen := map[uint8]bool{}
	for _, p := range in {
		if p.Class > mostClass || seen[p.Class] {
			c.fail("preference of class %d: given twice, or above %d", p.Class, mostClass)
		}
		seen[p.Class] = true
		if len(p.Devices) == 0 {
			c.fail("preference of class %d: names no device", p.Class)
		}
		for i, d := range p.Devices {
			if !slices.ContainsFunc(specs, func(s tunnel.Spec) bool { return s.Device == d }) {
				c.fail("preference of class %d: device %q is no tunnel of this generation", p.Class, d)
			}
			if slices.Contains(p.Devices[:i], d) {
				c.fail("preference of class %d: device %q is given twice", p.Class, d)
			}
		}
	}
}

// planned: plans tell far ends what is theirs to send, by devices of this generation on which the region has an end, of the
// region's own addresses and of those that its ends may take over.
func (c *objectCheck) planned(in map[string]plan.Plan, specs []tunnel.Spec) {
	for _, region := range slices.Sorted(maps.Keys(in)) {
		p := in[region]
		var carried []string
		on := map[string]bool{}
		for _, t := range c.a.Tunnels {
			for _, e := range t.Peers {
				if e.Segment == region {
					on[t.Device] = slices.ContainsFunc(specs, func(s tunnel.Spec) bool { return s.Device == t.Device })
					carried = append(append(carried, region), e.TakesOver...)
				}
			}
		}
		for _, d := range p.Devices {
			if !on[d.Device] {
				c.fail("plan of %s: device %q is no tunnel of this generation with an end of the region", region, d.Device)
			}
		}
		for i, m := range p.Matches {
			if !slices.ContainsFunc(carried, func(id string) bool {
				s, ok := c.a.Segment(id)
				return ok && s.Covers(m.From)
			}) {
				c.fail("plan of %s: match %d sends from %s, which is not the region's", region, i, m.From)
			}
		}
	}
}
