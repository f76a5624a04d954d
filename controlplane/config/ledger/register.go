package ledger

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// newcomer is a host as a row describes it.
type newcomer struct {
	name  string
	addrs []netip.Addr
	mac   packet.MAC
}

// register finds the stations and services that addresses belong to, and enters those that the document does not have.
func (r *reading) register(addrs []netip.Addr, macs []packet.MAC) {
	list, ok := pair(r.unknown, addrs, macs)
	if !ok {
		r.fault(r.side.ip, "address.pairs", fmt.Sprint(len(r.unknown)), fmt.Sprint(len(addrs)), fmt.Sprint(len(macs)))
		return
	}
	for _, n := range list {
		r.meet(n)
	}
}

// pair says which name, addresses and MAC belong together: one after the other when there are as many of each, an IPv4 and an
// IPv6 address with one MAC or one name, and one name for all.
func pair(names []string, addrs []netip.Addr, macs []packet.MAC) ([]newcomer, bool) {
	var out []newcomer
	switch {
	case len(addrs) == 2 && addrs[0].Is4() != addrs[1].Is4() && len(macs) <= 1 && len(names) <= 1:
		out = []newcomer{{addrs: addrs}}
	case len(macs) > 0 && len(addrs) == 2*len(macs):
		for i := range macs {
			two := addrs[2*i : 2*i+2]
			if two[0].Is4() == two[1].Is4() {
				return nil, false
			}
			out = append(out, newcomer{addrs: two})
		}
	default:
		for i := range addrs {
			out = append(out, newcomer{addrs: addrs[i : i+1]})
		}
	}
	switch len(macs) {
	case 0:
	case len(out):
		for i := range out {
			out[i].mac = macs[i]
		}
	default:
		return nil, false
	}
	switch len(names) {
	case 0:
	case len(out):
		for i := range out {
			out[i].name = names[i]
		}
	case 1:
		for i := range out {
			out[i].name = fmt.Sprintf("%s %d", names[0], i+1)
		}
	default:
		return nil, false
	}
	return out, true
}

// meet finds one host of the document, or enters it.
func (r *reading) meet(n newcomer) {
	var h *host
	if r.side.name == From {
		h = r.station(n.addrs)
	} else {
		var ok bool
		if h, ok = r.destination(n.addrs); !ok {
			return
		}
	}
	if h == nil {
		r.enter(n)
		return
	}
	r.known(h, n)
}

// station finds the station of addresses; nil = none.
func (r *reading) station(addrs []netip.Addr) *host {
	for _, a := range addrs {
		for _, h := range r.d.byAddr[a] {
			if h.kind == station {
				return h
			}
		}
	}
	return nil
}

// destination finds the service of addresses that offers the row's ports, or the station; nil = none. Not ok: told.
func (r *reading) destination(addrs []netip.Addr) (*host, bool) {
	var services []*host
	for _, a := range addrs {
		for _, h := range r.d.byAddr[a] {
			if h.kind == service && !slices.Contains(services, h) {
				services = append(services, h)
			}
		}
	}
	if len(r.ports) == 0 || r.own {
		switch len(services) {
		case 1:
			return services[0], true
		case 0:
			r.fault(Ports, "port.missing")
		default:
			r.fault(r.side.ip, "service.many", addrs[0].String(), hostList(services))
		}
		return nil, false
	}
	for _, h := range services {
		if offers(h, r.ports) {
			return h, true
		}
	}
	if h := r.station(addrs); h != nil {
		return h, true
	}
	for _, h := range services { // entered by this import, row by row
		if h.fresh {
			for _, p := range r.ports {
				if !p.Among(h.ports) {
					h.ports = append(h.ports, p)
				}
			}
			return h, true
		}
	}
	if len(services) > 0 {
		r.fault(Ports, "service.ports", services[0].id, portList(services[0].ports), portList(r.ports))
		return nil, false
	}
	return nil, true
}

func offers(h *host, ports []config.PortSpec) bool {
	for _, p := range ports {
		if !p.Among(h.ports) {
			return false
		}
	}
	return true
}

// known holds a row against the host that the document has for its address.
func (r *reading) known(h *host, n newcomer) {
	if s := r.d.segments[h.segment]; !n.mac.IsZero() && n.mac != h.mac {
		switch {
		case s != nil && routed(s, n.addrs[0]):
			r.row.remark(r.side.mac, "mac.unused", n.mac.String())
		case h.mac.IsZero():
			r.fault(r.side.mac, "mac.unregistered", h.id, n.mac.String())
		default:
			r.fault(r.side.mac, "mac.differs", h.id, h.mac.String(), n.mac.String())
		}
	}
	for _, a := range n.addrs {
		if !slices.Contains(h.addresses, a) {
			r.fault(r.side.ip, "address.not", a.String(), h.id, addrList(h.addresses))
		}
	}
	if n.name != "" && plain(n.name) != plain(r.d.titles[h.ref]) {
		r.row.remark(r.side.name, "name.differs", n.name, h.id)
	}
	if !slices.Contains(r.refs, h.ref) {
		r.refs = append(r.refs, h.ref)
	}
	r.beyond([]*host{h})
}

// enter makes a station or service of the document for a host that it does not have.
func (r *reading) enter(n newcomer) {
	s := r.d.segmentOf(n.addrs[0])
	if s == nil {
		r.fault(r.side.ip, "address.nowhere", n.addrs[0].String())
		return
	}
	for _, a := range n.addrs[1:] {
		if o := r.d.segmentOf(a); o != s {
			r.fault(r.side.ip, "address.apart", n.addrs[0].String(), a.String())
			return
		}
	}
	k := station
	if r.side.name == To {
		k = service
	}
	h := &host{ref: ref{k, ""}, segment: s.ID, mac: n.mac, addresses: n.addrs, fresh: true}
	for _, other := range r.d.byAddr[n.addrs[0]] { // one host has one MAC address
		if h.mac.IsZero() && k == station {
			h.mac = other.mac
		}
	}
	if routed(s, n.addrs[0]) && !h.mac.IsZero() {
		r.row.remark(r.side.mac, "mac.unused", h.mac.String())
		h.mac = packet.MAC{}
	}
	if s.Strict && !routed(s, n.addrs[0]) && h.mac.IsZero() {
		r.fault(r.side.mac, "mac.missing", n.addrs[0].String(), s.ID)
		return
	}
	if k == service {
		h.ports = slices.Clone(r.ports)
	}
	h.id = r.d.fresh(k, n.name, n.addrs[0])
	r.d.add(h, n.name)
	r.refs = append(r.refs, h.ref)
	r.row.added = append(r.row.added, h)
}

func hostList(list []*host) string {
	out := make([]ref, len(list))
	for i, h := range list {
		out[i] = h.ref
	}
	return refList(out)
}
