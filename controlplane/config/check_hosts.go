package config

import (
	"fmt"
	"net/netip"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// hosts checks stations and services: where they lie, and by which MAC they are known.
func (k *checker) hosts() {
	for i := range k.c.Stations {
		s := &k.c.Stations[i]
		k.host("station", s, s.ID, &s.Segment, &s.MAC, &s.Addresses)
	}
	for i := range k.c.Services {
		s := &k.c.Services[i]
		k.host("service", s, s.ID, &s.Segment, &s.MAC, &s.Addresses)
		k.portList(s.Ports, fmt.Sprintf("service %q", short(s.ID)))
		k.filled(len(s.Ports), &s.Ports, fmt.Sprintf("service %q ports", short(s.ID)), "at least one, like tcp/443")
	}
	k.servicesWithoutMAC()
}

func (k *checker) host(kind string, self any, id string, segment *string, mac *packet.MAC, addresses *[]netip.Addr) {
	what := fmt.Sprintf("%s %q", kind, short(id))
	k.unicastMAC(mac, what)
	s := refer(k, segment, "segment", k.segments)
	if s != nil && (s.Zone == anchors.Uplink || s.Portal) {
		k.at(segment, "%s: nothing but the gate's own traffic lives in segment %q: put it in another", what, s.ID)
	}
	k.filled(len(*addresses), addresses, what+" addresses", "at least one address")
	routed := 0
	for i := range *addresses {
		a := &(*addresses)[i]
		if !k.plainAddr(a, what) {
			continue
		}
		if s != nil && !holds(s.Prefixes, *a) {
			k.at(a, "%s: address %s lies outside segment %s (%s)%s", what, a, short(s.ID), within(s), k.elsewhere(*a))
		} else if s != nil {
			if behind(s, *a) != nil {
				routed++
			} else if s.Tunnel == "" {
				k.usable(a, s, what)
			}
		}
		k.claim(a, owner{what: kind, id: id, segment: *segment, mac: *mac})
	}
	switch {
	case s == nil:
	case !mac.IsZero() && s.Tunnel != "":
		k.at(mac, "%s: segment %q lies behind a tunnel, where no MAC address arrives: remove mac", what, s.ID)
	case !mac.IsZero() && routed > 0:
		k.at(mac, "%s: its address lies behind a router, whose MAC address its packets come with: remove mac", what)
	case mac.IsZero() && !k.has(mac) && s.Strict && routed < len(*addresses) && kind == "station":
		k.at(self, "%s: key \"mac\" is missing: segment %q is strict, so MAC and IP must be registered", what, s.ID)
	}
	if mac.IsZero() || mac[0]&1 != 0 {
		return
	}
	first, used := k.macs[*mac]
	switch {
	case !used:
		k.macs[*mac] = owner{what: kind, id: id, segment: *segment, line: k.line(mac)}
	case kind == "station" && first.what == "station" || first.segment != *segment || first.what == "router in segment":
		k.at(mac, "%s: MAC %s is already that of %s %q (line %d)", what, mac, first.what, short(first.id), first.line)
	}
}

// servicesWithoutMAC: in a strict segment the host of a service is registered as well; a station with the same address does.
func (k *checker) servicesWithoutMAC() {
	for i := range k.c.Services {
		sv := &k.c.Services[i]
		s := k.segments[sv.Segment]
		if s == nil || !s.Strict || k.has(&sv.MAC) {
			continue
		}
		for j := range sv.Addresses {
			a := &sv.Addresses[j]
			if o, ok := k.addrs[*a]; ok && o.mac.IsZero() && behind(s, *a) == nil && holds(s.Prefixes, *a) {
				k.at(sv, "service %q: key \"mac\" is missing: segment %q is strict, so its hosts are registered with MAC and IP", short(sv.ID), s.ID)
				break
			}
		}
	}
}

// portList refuses ports that are named twice.
func (k *checker) portList(ports []PortSpec, what string) {
	for i := range ports {
		for j := range i {
			p, q := ports[i], ports[j]
			if p.Proto != "" && p.Overlaps(q) {
				k.at(&ports[i], "%s: %s overlaps %s in the same list: name each port once", what, p, q)
				break
			}
		}
	}
}
