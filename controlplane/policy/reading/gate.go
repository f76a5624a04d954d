package reading

import (
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/space"
	"github.com/sekisho/sekisho/dataplane/anchors"
)

// own begins the names of records that the gate makes for itself.
const own = "gate:"

// Where a far end answers, in UDP: the echo (RFC 862), and where it is of this make, the talk: at its first port for packets
// without a class, and behind it at the class's number.
const (
	echo  = 7
	talks = 7000
)

// gate adds what the gate makes for itself.
func (r *reader) gate() {
	c := r.Config
	add := func(name string, class uint8, from []*Ends, to *Ends, ports ...space.Interval[space.Port]) {
		r.Permits = append(r.Permits, Permit{Record: own + name, Class: class, When: space.Always, Own: true, From: from, To: []Target{{to, r.Intern(space.Of(ports...)), class}}})
	}
	gates := make([]*Ends, len(c.Segments)) // the gate's own addresses
	for i := range c.Segments {
		gates[i] = r.ends(i, space.Single(c.Segments[i].Gate...))
	}
	for i := range c.Portals {
		p := &c.Portals[i]
		var reach []*Ends
		for _, id := range p.Reach {
			reach = append(reach, r.segment(id))
		}
		add("portal-"+p.Zone.String(), 0, reach, r.single(p.Address), one(config.ProtoTCP, 443))
	}
	for _, t := range c.Tunnels {
		for i := range c.Lines {
			if c.Lines[i].ID == t.Line {
				r.tunnel(t, &c.Lines[i], gates, add)
			}
		}
	}
	for i := range c.Segments {
		if s := &c.Segments[i]; s.Port != "" && s.Zone != anchors.Uplink {
			add("echo-"+s.ID, 0, []*Ends{r.segment(s.ID)}, gates[i], one(config.ProtoICMP, config.EchoV4), one(config.ProtoICMPv6, config.EchoV6))
		}
	}
}

// tunnel is what the gate and the ends of a tunnel say to each other: WireGuard on the line, and questions inside.
func (r *reader) tunnel(t config.Tunnel, l *config.Line, gates []*Ends, add func(name string, class uint8, from []*Ends, to *Ends, ports ...space.Interval[space.Port])) {
	c := r.Config
	line := gates[r.segments[l.Segment]]
	for i := range c.Regions {
		for _, e := range c.Regions[i].Reached() {
			if e.Tunnel != t.ID {
				continue
			}
			far := r.single(e.Endpoint.Addr())
			add("wireguard-"+e.ID+"-in", 0, []*Ends{far}, line, one(config.ProtoUDP, t.Listen))
			add("wireguard-"+e.ID+"-out", 0, []*Ends{line}, far, one(config.ProtoUDP, e.Endpoint.Port()))
			if !e.Probe.IsValid() {
				continue
			}
			asking, asked := gates[r.segments[c.Regions[i].ID]], r.single(e.Probe)
			if e.Plain {
				add("probe-"+e.ID, 0, []*Ends{asking}, asked, one(config.ProtoUDP, echo))
				continue
			}
			add("probe-"+e.ID, 0, []*Ends{asking}, asked, one(config.ProtoUDP, echo), one(config.ProtoUDP, talks))
			for n := range c.Classes {
				if carries(c, &c.Classes[n], l.ID) {
					add("probe-"+e.ID+":"+c.Classes[n].ID, uint8(n+1), []*Ends{asking}, asked, one(config.ProtoUDP, talks+uint16(n+1)))
				}
			}
		}
	}
}

// carries tells whether a class has a place on a line: on the one or those that it names, or, without any, on every line.
func carries(c *config.Config, k *config.Class, line string) bool {
	if k.Line == "" && len(k.Lines) == 0 {
		return true
	}
	return k.Line == line || slices.ContainsFunc(k.Lines, func(at config.OnLine) bool { return at.Line == line })
}

func (r *reader) single(a netip.Addr) *Ends {
	i, _ := r.SegmentOf(a)
	return r.ends(i, space.Single(a))
}

func one(proto uint8, n uint16) space.Interval[space.Port] { return space.Span(proto, n, n) }
