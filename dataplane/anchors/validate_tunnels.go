package anchors

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"sort"
)

// tunnels checks the tunnel devices, the peers on them, and that every segment behind tunnels has a peer.
func (v *validator) tunnels() {
	devices, lines, ids, first := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]string{}
	for i := range v.a.Tunnels {
		t := &v.a.Tunnels[i]
		if t.Device == "" || devices[t.Device] {
			v.fail("tunnel %q: device is empty or used twice", t.Device)
		}
		devices[t.Device] = true
		line, ok := v.a.Segment(t.Line)
		if !ok || line.Zone != Uplink || line.Attach != AttachPort {
			v.fail("tunnel %q: line %q is no port segment of zone uplink", t.Device, t.Line)
			line = &Segment{}
		}
		if lines[t.Line] {
			v.fail("tunnel %q: line %q already carries a tunnel: one line, one device", t.Device, t.Line)
		}
		lines[t.Line] = true
		if t.Listen == 0 {
			v.fail("tunnel %q: listen port is missing", t.Device)
		}
		for j := range t.Peers {
			p := &t.Peers[j]
			if p.ID == "" || ids[p.ID] {
				v.fail("tunnel %q: peer number %d: id %q is empty or that of another peer", t.Device, j+1, p.ID)
			}
			ids[p.ID] = true
			if _, ok := first[p.Segment]; !ok {
				first[p.Segment] = t.Device
			}
			v.peer(t, p, line)
			v.beside(t, p, t.Peers[:j])
		}
	}
	v.keys()
	for i := range v.a.Segments {
		s := &v.a.Segments[i]
		if device, ok := first[s.ID]; s.Attach != AttachTunnel {
			continue
		} else if !ok {
			v.fail("segment %q hangs on tunnel %s but no peer of any tunnel belongs to the segment", s.ID, s.Port)
		} else if device != s.Port {
			v.fail("segment %q: port %s, but the first tunnel with a peer of the segment is %s: want that one, whatever else carries it", s.ID, s.Port, device)
		}
	}
}

// keys refuses a key that would stand for two regions, or for two peers of one device: WireGuard knows peers by nothing else.
func (v *validator) keys() {
	type owner struct{ device, peer, segment string }
	seen := map[string][]owner{}
	for _, t := range v.a.Tunnels {
		for _, p := range t.Peers {
			for _, o := range seen[p.PublicKey] {
				switch {
				case o.device == t.Device:
					v.fail("tunnel %q: peer %q: its public key is that of peer %q on the same device", t.Device, p.ID, o.peer)
				case o.segment != p.Segment:
					v.fail("tunnel %q: peer %q: its public key is that of peer %q (%s) of another region", t.Device, p.ID, o.peer, o.device)
				}
			}
			seen[p.PublicKey] = append(seen[p.PublicKey], owner{t.Device, p.ID, p.Segment})
		}
	}
}

func (v *validator) peer(t *Tunnel, p *Peer, line *Segment) {
	if key, err := base64.StdEncoding.Strict().DecodeString(p.PublicKey); err != nil || len(key) != 32 || allZero(key) {
		v.fail("tunnel %q: peer %q: public key is not 32 bytes in base64", t.Device, p.ID)
	}
	v.endpoint(t, p, line)
	s, ok := v.a.Segment(p.Segment)
	if !ok || s.Attach != AttachTunnel {
		v.fail("tunnel %q: peer %q: %q is no segment on this tunnel: want one with attach: tunnel", t.Device, p.ID, p.Segment)
		return
	}
	if !samePrefixes(p.Allowed, s.Prefixes) {
		v.fail("tunnel %q: peer %q may send from %v, but its segment %q holds %v: they must be equal", t.Device, p.ID, p.Allowed, s.ID, s.Prefixes)
	}
	if p.Probe.IsValid() && (!s.Contains(p.Probe) || slices.Contains(s.Gate, p.Probe)) {
		v.fail("tunnel %q: peer %q: probe target %s does not lie in segment %q", t.Device, p.ID, p.Probe, s.ID)
	}
	for i, id := range p.TakesOver {
		other, ok := v.a.Segment(id)
		switch {
		case !ok || other.Attach != AttachTunnel:
			v.fail("tunnel %q: peer %q takes over %q, which is no segment behind a tunnel", t.Device, p.ID, id)
		case id == p.Segment:
			v.fail("tunnel %q: peer %q takes over its own segment %q", t.Device, p.ID, id)
		case other.Zone != s.Zone:
			v.fail("tunnel %q: peer %q (zone %s) takes over %q of zone %s: a region may stand in only for one of its own zone", t.Device, p.ID, s.Zone, id, other.Zone)
		case slices.Contains(p.TakesOver[:i], id):
			v.fail("tunnel %q: peer %q takes over %q twice", t.Device, p.ID, id)
		}
	}
}

// endpoint: the outer packets go over the tunnel's line and nowhere else.
func (v *validator) endpoint(t *Tunnel, p *Peer, line *Segment) {
	if p.Endpoint.IsValid() && p.Endpoint.Port() != 0 && line.Contains(p.Endpoint.Addr()) && !slices.Contains(line.Gate, p.Endpoint.Addr()) {
		return
	}
	if s, ok := v.a.SegmentOf(p.Endpoint.Addr()); ok && s.ID != t.Line {
		v.fail("tunnel %q: peer %q: endpoint %s does not lie in line %q but in segment %q of zone %s: tunnels end beyond their line only", t.Device, p.ID, p.Endpoint, t.Line, s.ID, s.Zone)
		return
	}
	v.fail("tunnel %q: peer %q: endpoint %s does not lie in line %q, beside the gate's own addresses", t.Device, p.ID, p.Endpoint, t.Line)
}

// beside checks a peer against those before it on the same device: ends of one region share its prefixes, which move from one
// to the other as a whole; nothing else may overlap, for WireGuard would take it from the peer that had it before.
func (v *validator) beside(t *Tunnel, p *Peer, others []Peer) {
	for i := range others {
		o := &others[i]
		if p.Probe.IsValid() && p.Probe == o.Probe {
			v.fail("tunnel %q: peer %q: probe target %s is that of peer %q: on one device each end is asked at its own", t.Device, p.ID, p.Probe, o.ID)
		}
		if p.Endpoint.IsValid() && p.Endpoint == o.Endpoint {
			v.fail("tunnel %q: peer %q: endpoint %s is that of peer %q", t.Device, p.ID, p.Endpoint, o.ID)
		}
		if p.Segment == o.Segment {
			continue
		}
		for _, a := range p.Allowed {
			if j := slices.IndexFunc(o.Allowed, a.Overlaps); j >= 0 {
				v.fail("tunnel %q: peer %q may send from %s, which overlaps %s of peer %q of another region", t.Device, p.ID, a, o.Allowed[j], o.ID)
			}
		}
	}
}

// nat checks the 1:1 mappings: every address must mean one thing, whoever looks at it.
func (v *validator) nat() {
	for i, n := range v.a.NAT {
		s, ok := v.a.Segment(n.Segment)
		if !ok || s.Attach != AttachTunnel {
			v.fail("nat number %d: %q is no segment behind a tunnel", i+1, n.Segment)
		}
		whole := true
		for _, p := range []netip.Prefix{n.Inside, n.Outside} {
			if !p.IsValid() || p != p.Masked() || !p.Addr().Is4() || reserved(p) {
				v.fail("nat towards %q: %s is not a whole unicast IPv4 prefix", n.Segment, p)
				whole = false
			}
		}
		if !whole {
			continue
		}
		if n.Inside.Bits() != n.Outside.Bits() {
			v.fail("nat towards %q: %s and %s differ in length: want one address for each", n.Segment, n.Inside, n.Outside)
		}
		if j := slices.IndexFunc(v.a.Segments, func(s Segment) bool { return s.Covers(n.Inside) }); j < 0 {
			v.fail("nat towards %q: %s lies in no segment", n.Segment, n.Inside)
		} else if in := &v.a.Segments[j]; in.Attach == AttachTunnel || in.Zone == Uplink || in.Zone == Management {
			v.fail("nat towards %q: %s lies in segment %q (%s, %s), whose addresses no region sees", n.Segment, n.Inside, in.ID, in.Attach, in.Zone)
		}
		for _, s := range v.a.Segments {
			if j := slices.IndexFunc(s.Prefixes, func(p netip.Prefix) bool { return p.IsValid() && p.Overlaps(n.Outside) }); j >= 0 {
				v.fail("nat towards %q: %s overlaps %s of segment %q: want addresses that nobody has", n.Segment, n.Outside, s.Prefixes[j], s.ID)
			}
		}
		v.natBeside(n, v.a.NAT[:i])
	}
}

// natBeside: towards one region, neither side may overlap; towards others the same mapping may be used again.
func (v *validator) natBeside(n NAT, others []NAT) {
	for _, o := range others {
		if !o.Inside.IsValid() || !o.Outside.IsValid() {
			continue
		}
		if o.Segment == n.Segment && o.Inside.Overlaps(n.Inside) {
			v.fail("nat towards %q: %s overlaps %s, which is mapped already", n.Segment, n.Inside, o.Inside)
		}
		if o.Outside.Overlaps(n.Outside) && (o.Segment == n.Segment || o.Inside != n.Inside || o.Outside != n.Outside) {
			v.fail("nat towards %q: %s overlaps %s, as which %s appears towards %q", n.Segment, n.Outside, o.Outside, o.Inside, o.Segment)
		}
	}
}

func allZero(b []byte) bool { return !slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) }

func samePrefixes(a, b []netip.Prefix) bool {
	key := func(list []netip.Prefix) []string {
		var out []string
		for _, p := range list {
			out = append(out, p.String())
		}
		sort.Strings(out)
		return out
	}
	return slices.Equal(key(a), key(b))
}
