package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// What WireGuard and the outer headers add to a packet, in bytes, over IPv4 and over IPv6.
const (
	OverheadV4 = 60
	OverheadV6 = 80
)

func (k *checker) tunnelsAndRegions() {
	carries := map[string]*Tunnel{}
	for i := range k.c.Tunnels {
		t := &k.c.Tunnels[i]
		l := refer(k, &t.Line, "line", k.lines)
		if first := carries[t.Line]; first != nil && t.Line != "" {
			k.at(&t.Line, "tunnel %q: line %q already carries tunnel %q (line %d): one line, one device, regions as its peers", short(t.ID), short(t.Line), short(first.ID), k.line(&first.Line))
		} else {
			carries[t.Line] = t
		}
		if k.good(&t.Listen) && t.Listen == 0 {
			k.at(&t.Listen, "tunnel %q: listen port 0: want 1 to 65535, like 51820", short(t.ID))
		}
		k.mtu(t, l)
	}
	e := ends{checker: k, ids: map[string]*end{}, keys: map[string]*end{}, endpoints: map[string]*end{}, probes: map[string]*end{}}
	served := map[string]bool{}
	for i := range k.c.Regions {
		r := &k.c.Regions[i]
		served[r.ID] = true
		e.region(r)
		k.takesOver(r)
	}
	k.translations()
	for i := range k.c.Segments {
		if s := &k.c.Segments[i]; s.Tunnel != "" && s.ID != "" && !served[s.ID] {
			k.at(&s.Tunnel, "segment %q hangs on tunnel %s, but there is no region %q: add it under regions", short(s.ID), short(s.Tunnel), short(s.ID))
		}
	}
}

func (k *checker) mtu(t *Tunnel, l *Line) {
	if t.MTU == 0 {
		return
	}
	if t.MTU < 1280 || t.MTU > 8896 {
		k.at(&t.MTU, "tunnel %q: MTU %d: want 1280 to 8896 bytes, or no mtu to have it discovered", short(t.ID), t.MTU)
		return
	}
	if most := PPPoE.MTU() - OverheadV4; l != nil && l.Kind == PPPoE && t.MTU > most {
		k.at(&t.MTU, "tunnel %q: MTU %d: a PPPoE line carries %d bytes, of which the tunnel takes %d (%d over IPv6): want at most %d, or no mtu to have it discovered", short(t.ID), t.MTU, PPPoE.MTU(), OverheadV4, OverheadV6, most)
	}
}

// end is one end of a region, with the places of its fields in the document.
type end struct {
	region   *Region
	whole    any
	id       *string
	tunnel   *string
	key      *PublicKey
	endpoint *netip.AddrPort
	probe    *netip.Addr // its own, or the region's
	what     string
}

func endsOf(r *Region) []*end {
	if len(r.Ends) == 0 {
		return []*end{{r, r, &r.ID, &r.Tunnel, &r.PublicKey, &r.Endpoint, &r.Probe, fmt.Sprintf("region %q", short(r.ID))}}
	}
	var out []*end
	for i := range r.Ends {
		e := &r.Ends[i]
		o := &end{r, e, &e.ID, &e.Tunnel, &e.PublicKey, &e.Endpoint, &e.Probe, fmt.Sprintf("region %q end %q", short(r.ID), short(e.ID))}
		if !e.Probe.IsValid() {
			o.probe = &r.Probe
		}
		out = append(out, o)
	}
	return out
}

// ends checks the ends of all regions against each other.
type ends struct {
	*checker
	ids       map[string]*end
	keys      map[string]*end // by key, and by tunnel and key
	endpoints map[string]*end // by tunnel and endpoint
	probes    map[string]*end // by tunnel and address
}

func (k *ends) region(r *Region) {
	what := fmt.Sprintf("region %q", short(r.ID))
	if k.has(&r.Share) && k.good(&r.Share) && (r.Share == 0 || r.Share > 1000) {
		k.at(&r.Share, "%s: share %d: want a weight of 1 to 1000, against those of the line's other regions", what, r.Share)
	}
	s := k.segments[r.ID]
	list := endsOf(r)
	k.form(r, what)
	if s == nil && r.ID != "" {
		k.at(&r.ID, "%s: there is no segment of that id with tunnel: %s: add it under segments", what, short(*list[0].tunnel))
	}
	for _, e := range list {
		k.end(e, s)
		if len(list) > 1 && !e.probe.IsValid() && !k.has(e.probe) {
			k.at(e.whole, "%s: key \"probe\" is missing: of several ends the gate must be able to tell which is up", e.what)
		}
	}
	if s != nil {
		k.hangs(r, s, list)
	}
}

// form: a region describes its one end itself, or lists its ends.
func (k *ends) form(r *Region, what string) {
	single := []struct {
		field any
		key   string
	}{{&r.Tunnel, "tunnel"}, {&r.PublicKey, "public-key"}, {&r.Endpoint, "endpoint"}}
	if !k.has(&r.Ends) {
		for _, f := range single {
			if !k.has(f.field) {
				k.at(r, "%s: key %q is missing: give tunnel, public-key and endpoint, or several ends", what, f.key)
			}
		}
		return
	}
	k.filled(len(r.Ends), &r.Ends, what+" ends", "at least one, with id, tunnel, public-key and endpoint")
	for _, f := range append(single, []struct {
		field any
		key   string
	}{{&r.Preshared, "preshared"}, {&r.Plain, "plain"}}...) {
		if k.has(f.field) {
			k.at(f.field, "%s: it lists ends, so %s belongs to each of them: move it there", what, f.key)
		}
	}
}

func (k *ends) end(e *end, s *Segment) {
	t := refer(k.checker, e.tunnel, "tunnel", k.tunnels)
	k.id(e)
	k.key(e)
	at := *e.tunnel + " " + e.endpoint.String()
	if first := k.endpoints[at]; first != nil && e.endpoint.IsValid() {
		k.at(e.endpoint, "%s: endpoint %s is that of %s (line %d)", e.what, e.endpoint, first.what, k.line(first.endpoint))
	} else {
		k.endpoints[at] = e
	}
	if t != nil && e.endpoint.IsValid() {
		if l := k.lines[t.Line]; l != nil {
			k.endpoint(e, k.segments[l.Segment])
		}
	}
	if s != nil {
		k.probe(e, s)
	}
}

// key: no two regions have one key, and no two ends on one tunnel; ends of a region on several tunnels may be one machine.
func (k *ends) key(e *end) {
	if *e.key == "" {
		return
	}
	here := *e.tunnel + " " + string(*e.key)
	switch first := k.keys[string(*e.key)]; {
	case first == nil:
		k.keys[string(*e.key)] = e
	case first.region != e.region:
		k.at(e.key, "%s: its public key is that of %s (line %d): every far end has its own", e.what, first.what, k.line(first.key))
		return
	}
	if first := k.keys[here]; first != nil {
		k.at(e.key, "%s: its public key is that of %s (line %d), on the same tunnel: WireGuard tells peers by their keys, so each has its own", e.what, first.what, k.line(first.key))
		return
	}
	k.keys[here] = e
}

// id: ends have ids of their own among all ends and regions; the end that a region describes itself has the region's.
func (k *ends) id(e *end) {
	if *e.id == "" {
		return
	}
	if e.whole != any(e.region) && !idForm.MatchString(*e.id) {
		k.at(e.id, "%s: an id has 1 to 63 small letters, digits, hyphens and dots, and begins and ends with a letter or digit", e.what)
	}
	first := k.ids[*e.id]
	switch {
	case first == nil:
		k.ids[*e.id] = e
	case e.whole != any(e.region) || first.whole != any(first.region): // of two regions, it was said
		k.at(e.id, "%s: the id is already that of another end (line %d): rename one", e.what, k.line(first.id))
	}
}

func (k *ends) endpoint(e *end, line *Segment) {
	a := e.endpoint.Addr()
	switch {
	case line == nil:
	case e.endpoint.Port() == 0 || a.Zone() != "":
		k.at(e.endpoint, "%s: endpoint %s: want an address and a port from 1 to 65535", e.what, e.endpoint)
	case !holds(line.Prefixes, a):
		k.at(e.endpoint, "%s: endpoint %s lies outside segment %s (%s), which carries the tunnel; add its prefix there, behind the carrier's router", e.what, a, line.ID, within(line))
	case k.addrs[a].what == "the gate in segment":
		k.at(e.endpoint, "%s: endpoint %s is the gate's own address (line %d)", e.what, a, k.addrs[a].line)
	case !slices.ContainsFunc(line.Gate, func(g netip.Addr) bool { return g.Is4() == a.Is4() }):
		k.at(e.endpoint, "%s: the gate has no address of the IP version of %s in segment %s", e.what, a, line.ID)
	}
}

// probe: each end of a tunnel answers at an address of its own, which stays with it when the region's other addresses move.
func (k *ends) probe(e *end, s *Segment) {
	if !k.plainAddr(e.probe, e.what+" probe") {
		return
	}
	if !holds(s.Prefixes, *e.probe) {
		k.at(e.probe, "%s: probe target %s lies outside its segment (%s)%s", e.what, e.probe, within(s), k.elsewhere(*e.probe))
	}
	if o, used := k.addrs[*e.probe]; used && o.what == "the gate in segment" {
		k.at(e.probe, "%s: probe target %s is the gate's own address (line %d): want one of the far end", e.what, e.probe, o.line)
	}
	at := *e.tunnel + " " + e.probe.String()
	if first := k.probes[at]; first != nil && first != e {
		place := any(e.probe)
		if e.probe == &e.region.Probe {
			place = e.whole
		}
		k.at(place, "%s: probe target %s is that of %s (line %d), on the same tunnel: each end there needs an address of its own", e.what, e.probe, first.what, k.line(first.whole))
	} else {
		k.probes[at] = e
	}
	if !slices.ContainsFunc(s.Gate, func(g netip.Addr) bool { return g.Is4() == e.probe.Is4() }) {
		k.at(e.probe, "%s: the probe needs a source: give segment %q a gate address of the same IP version", e.what, s.ID)
	}
}

// hangs: a region's segment names the first of the document's tunnels by which the region is reached.
func (k *ends) hangs(r *Region, s *Segment, list []*end) {
	for i := range k.c.Tunnels {
		t := &k.c.Tunnels[i]
		if !slices.ContainsFunc(list, func(e *end) bool { return *e.tunnel == t.ID && t.ID != "" }) {
			continue
		}
		if s.Tunnel != t.ID && k.has(&s.Tunnel) {
			at := any(&s.Tunnel)
			if len(list) == 1 {
				at = list[0].tunnel
			}
			k.at(at, "region %q: its segment hangs on tunnel %q (line %d), not %q, the first by which it is reached: write tunnel: %s there", short(r.ID), short(s.Tunnel), k.line(s), t.ID, t.ID)
		} else if s.Tunnel != t.ID {
			k.at(&r.ID, "region %q: its segment (line %d) hangs on no tunnel: write tunnel: %s there", short(r.ID), k.line(s), t.ID)
		}
		return
	}
}

// takesOver: a region may carry what belongs to another while that has no end, inside one zone only.
func (k *checker) takesOver(r *Region) {
	known := map[string]*Region{}
	for i := range k.c.Regions {
		if id := k.c.Regions[i].ID; known[id] == nil {
			known[id] = &k.c.Regions[i]
		}
	}
	if k.has(&r.TakesOver) {
		k.references(&r.TakesOver, r.TakesOver, fmt.Sprintf("region %q takes-over", short(r.ID)))
	}
	own := k.segments[r.ID]
	for i := range r.TakesOver {
		ref := &r.TakesOver[i]
		if refer(k, ref, "region", known) == nil {
			continue
		}
		s := k.segments[*ref]
		switch {
		case *ref == r.ID:
			k.at(ref, "region %q: it takes over itself: name another region", short(r.ID))
		case own != nil && s != nil && own.Zone != s.Zone:
			k.at(ref, "region %q lies in zone %s and %q in zone %s: a region takes over only what belongs to its own zone", short(r.ID), own.Zone, short(*ref), s.Zone)
		}
	}
}
