package reading

import (
	"net/netip"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// own begins the names of records that the gate makes for itself.
const own = "gate:"

// echo is where a region's far end answers the probe: UDP port 7 (RFC 862).
const echo = 7

// gate adds what the gate makes for itself.
func (r *reader) gate() {
	c := r.Config
	add := func(name string, from []*Ends, to *Ends, ports ...space.Interval[space.Port]) {
		r.Permits = append(r.Permits, Permit{Record: own + name, When: space.Always, Own: true, From: from, To: []Target{{to, r.Intern(space.Of(ports...))}}})
	}
	one := func(proto uint8, n uint16) space.Interval[space.Port] { return space.Span(proto, n, n) }
	gates := make([]*Ends, len(c.Segments)) // the gate's own addresses
	for i := range c.Segments {
		gates[i] = r.ends(i, space.Single(c.Segments[i].Gate...))
	}
	single := func(a netip.Addr) *Ends {
		i, _ := r.SegmentOf(a)
		return r.ends(i, space.Single(a))
	}
	for i := range c.Portals {
		p := &c.Portals[i]
		var reach []*Ends
		for _, id := range p.Reach {
			reach = append(reach, r.segment(id))
		}
		add("portal-"+p.Zone.String(), reach, single(p.Address), one(config.ProtoTCP, 443))
	}
	for i := range c.Regions {
		q := &c.Regions[i]
		for _, t := range c.Tunnels {
			for _, l := range c.Lines {
				if t.ID == q.Tunnel && l.ID == t.Line {
					line, far := gates[r.segments[l.Segment]], single(q.Endpoint.Addr())
					add("wireguard-"+q.ID+"-in", []*Ends{far}, line, one(config.ProtoUDP, t.Listen))
					add("wireguard-"+q.ID+"-out", []*Ends{line}, far, one(config.ProtoUDP, q.Endpoint.Port()))
				}
			}
		}
		if q.Probe.IsValid() {
			add("probe-"+q.ID, []*Ends{gates[r.segments[q.ID]]}, single(q.Probe), one(config.ProtoUDP, echo))
		}
	}
	for i := range c.Segments {
		if s := &c.Segments[i]; s.Port != "" && s.Zone != anchors.Uplink {
			add("echo-"+s.ID, []*Ends{r.segment(s.ID)}, gates[i], one(config.ProtoICMP, config.EchoV4), one(config.ProtoICMPv6, config.EchoV6))
		}
	}
}
