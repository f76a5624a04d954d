package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/place"
)

// plan is the configuration with names resolved: segments by number, hosts and prefixes by how they are reached, records
// as permits.
type plan struct {
	segments []segment // in the order of the anchors
	byID     map[string]*segment
	hosts    map[netip.Addr]*host
	ranked   []*host // the same, by segment and address
	prefixes map[netip.Prefix]*prefix
	permits  []permit
	windows  []packet.Window

	codePoints [packet.CodePoints]uint8 // bandwidth class by DSCP
}

// segment is a configured segment with its number.
type segment struct {
	*config.Segment
	number uint16
	port   string
	strict bool
}

// exit is how packets for an address leave; addresses of one class share it.
type exit struct {
	segment uint16
	kind    packet.Kind
	onLink  bool
	via4    netip.Addr
	via6    netip.Addr
}

type host struct {
	addr netip.Addr
	exit exit
	mac  packet.MAC

	rank  int      // place in plan.ranked
	terms []uint32 // permits that name it: 2*permit as initiator, 2*permit+1 as destination
	class uint16
}

type prefix struct {
	prefix netip.Prefix
	exit   exit
	mac    packet.MAC
}

// set is one side of a permit. A prefix stands for all its addresses but the gate's own.
type set struct {
	hosts    []*host
	prefixes []netip.Prefix
}

// permit is the smallest part of a record: everybody in from may open every port to everybody in to.
type permit struct {
	record string
	number uint32 // of the record, in the rule book
	term   term
	from   set
	to     set
	ports  []config.PortSpec
	key    string // of the ports
	class  uint8  // bandwidth class
	local  bool   // of the gate itself: both ends lie in one segment
}

func newPlan(cfg *config.Config, a *anchors.Anchors) (*plan, error) {
	p := &plan{hosts: map[netip.Addr]*host{}, prefixes: map[netip.Prefix]*prefix{}}
	if err := p.numberSegments(cfg, a); err != nil {
		return nil, err
	}
	p.addPrefixes()
	p.addHosts(cfg)
	p.rank()
	p.addRecords(cfg)
	for i := range cfg.Classes {
		for _, d := range cfg.Classes[i].DSCP {
			p.codePoints[d] = uint8(i + 1)
		}
	}
	return p, nil
}

func (p *plan) numberSegments(cfg *config.Config, a *anchors.Anchors) error {
	if len(a.Segments) > MaxSegments {
		return fmt.Errorf("the anchors hold %d segments; the packet core has room for %d", len(a.Segments), MaxSegments)
	}
	numbers := make(map[string]uint16, len(a.Segments))
	for i := range a.Segments {
		numbers[a.Segments[i].ID] = uint16(i + 1)
	}
	for i := range cfg.Segments {
		s := &cfg.Segments[i]
		n, ok := numbers[s.ID]
		if !ok {
			return fmt.Errorf("segment %q is not in the anchors: root must first add it to the anchors file (`sekisho anchors FILE` prints one)", s.ID)
		}
		p.segments = append(p.segments, segment{s, n, device(s), strict(s)})
	}
	p.byID = make(map[string]*segment, len(p.segments))
	for i := range p.segments {
		p.byID[p.segments[i].ID] = &p.segments[i]
	}
	return nil
}

// device is the port that a segment hangs on.
func device(s *config.Segment) string {
	switch {
	case s.Portal:
		return place.PortalPort(s.Zone)
	case s.Tunnel != "":
		return s.Tunnel
	}
	return s.Port
}

// strict tells whether senders must be registered; a portal's link always is.
func strict(s *config.Segment) bool { return s.Strict || s.Portal }

func (p *plan) addPrefixes() {
	for _, s := range p.segments {
		for _, pre := range s.Prefixes {
			p.addPrefix(s, pre)
		}
		for _, r := range s.Routers {
			for _, pre := range r.Behind {
				p.addPrefix(s, pre)
			}
		}
	}
}

func (p *plan) addPrefix(s segment, pre netip.Prefix) {
	if _, ok := p.prefixes[pre]; ok {
		return
	}
	e, mac := s.reach(pre.Addr(), pre.Bits())
	p.prefixes[pre] = &prefix{pre, e, mac}
}

// reach tells how an address or prefix of the segment is reached: directly, or behind the router whose prefix holds it
// most closely; then the router's MAC is the one that its packets come with.
func (s segment) reach(addr netip.Addr, bits int) (exit, packet.MAC) {
	e := exit{segment: s.number, kind: packet.KindForward, onLink: true}
	if s.Tunnel != "" {
		e.kind = packet.KindTunnel
	}
	best := -1
	var mac packet.MAC
	for _, r := range s.Routers {
		for _, b := range r.Behind {
			if !b.Contains(addr) || b.Bits() > bits || b.Bits() <= best {
				continue
			}
			best, mac = b.Bits(), r.MAC
			e.onLink, e.via4, e.via6 = false, netip.Addr{}, netip.Addr{}
			for _, v := range r.Addresses {
				if v.Is4() {
					e.via4 = v
				} else {
					e.via6 = v
				}
			}
		}
	}
	return e, mac
}

func (p *plan) addHosts(cfg *config.Config) {
	for _, s := range p.segments {
		for _, g := range s.Gate {
			p.hosts[g] = &host{addr: g, exit: exit{segment: s.number, kind: packet.KindLocal}}
		}
		for _, r := range s.Routers {
			for _, v := range r.Addresses {
				p.addHost(s.ID, v, r.MAC)
			}
		}
	}
	for _, st := range cfg.Stations {
		for _, v := range st.Addresses {
			p.addHost(st.Segment, v, st.MAC)
		}
	}
	for _, sv := range cfg.Services {
		for _, v := range sv.Addresses {
			p.addHost(sv.Segment, v, sv.MAC)
		}
	}
	for _, po := range cfg.Portals {
		if s := p.portalSegment(po.Zone); s != nil {
			p.addHost(s.ID, po.Address, PortalMAC(po.Zone))
		}
	}
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		for _, e := range r.Reached() {
			if e.Probe.IsValid() {
				p.addHost(r.ID, e.Probe, packet.MAC{})
			}
			if l := lineOf(cfg, e.Tunnel); l != nil {
				p.addHost(l.Segment, e.Endpoint.Addr(), packet.MAC{})
			}
		}
	}
}

// PortalMAC is the address of a portal's end of its link; the gate's end has 01 instead of 02.
func PortalMAC(z anchors.Zone) packet.MAC {
	return packet.MAC{0x02, 0x53, 0x4b, 0x00, byte(z), 0x02}
}

func (p *plan) addHost(segmentID string, addr netip.Addr, mac packet.MAC) {
	if h, ok := p.hosts[addr]; ok {
		if h.mac.IsZero() && h.exit.onLink {
			h.mac = mac
		}
		return
	}
	s := p.segment(segmentID)
	if s == nil {
		return
	}
	e, via := s.reach(addr, addr.BitLen())
	if !e.onLink {
		mac = via
	}
	p.hosts[addr] = &host{addr: addr, exit: e, mac: mac}
}

// rank puts all hosts in order, by which sets of them are compared and classes numbered.
func (p *plan) rank() {
	p.ranked = make([]*host, 0, len(p.hosts))
	for _, h := range p.hosts {
		p.ranked = append(p.ranked, h)
	}
	slices.SortFunc(p.ranked, func(a, b *host) int {
		return cmp.Or(cmp.Compare(a.exit.segment, b.exit.segment), a.addr.Compare(b.addr))
	})
	for i, h := range p.ranked {
		h.rank = i
	}
}

// hostsOf gives the hosts that addresses stand for; one that no segment holds stands for none.
func (p *plan) hostsOf(addrs ...netip.Addr) []*host {
	out := make([]*host, 0, len(addrs))
	for _, a := range addrs {
		if h := p.hosts[a]; h != nil {
			out = append(out, h)
		}
	}
	return out
}

func (p *plan) segment(id string) *segment { return p.byID[id] }

func (p *plan) portalSegment(z anchors.Zone) *segment {
	for i := range p.segments {
		if p.segments[i].Portal && p.segments[i].Zone == z {
			return &p.segments[i]
		}
	}
	return nil
}

func lineOf(cfg *config.Config, tunnelID string) *config.Line {
	for _, t := range cfg.Tunnels {
		if t.ID != tunnelID {
			continue
		}
		for i := range cfg.Lines {
			if cfg.Lines[i].ID == t.Line {
				return &cfg.Lines[i]
			}
		}
	}
	return nil
}
