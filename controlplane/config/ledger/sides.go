package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// side is one end of a communication in the ledger: its columns, and what names may mean there.
type side struct {
	name, segment, ip, mac, network Field
	kinds                           []kind
}

var (
	fromSide = side{From, FromSegment, FromIP, FromMAC, "", []kind{station, group, segment}}
	toSide   = side{To, ToSegment, ToIP, ToMAC, ToNetwork, []kind{service, station, group, segment}}
)

func (s side) fields() []Field {
	out := []Field{s.name, s.segment, s.ip, s.mac}
	if s.network != "" {
		out = append(out, s.network)
	}
	return out
}

// end is a part of a side that the document writes as one list.
type end struct {
	kind     kind
	ids      []string
	prefixes []netip.Prefix
}

// reading is the work on one side of one row.
type reading struct {
	d     *directory
	row   *entry
	side  side
	ports []config.PortSpec
	own   bool

	refs     []ref
	unknown  []string
	addrs    []netip.Addr
	prefixes []netip.Prefix
	macs     []packet.MAC
	segments []string // that the segment column names
}

// read finds what one side of a row means. ports are those of the row; own says that services' own are meant.
func (d *directory) read(row *entry, s side, ports []config.PortSpec, own bool) []end {
	r := &reading{d: d, row: row, side: s, ports: ports, own: own}
	before := len(row.faults)
	r.collect()
	if len(row.faults) > before {
		return nil
	}
	r.hosts()
	r.networks()
	r.located()
	if len(row.faults) > before {
		return nil
	}
	return r.ends()
}

func (r *reading) fault(f Field, code string, args ...string) { r.row.fault(f, code, args...) }

// collect reads the side's cells.
func (r *reading) collect() {
	row, s := r.row, r.side
	if c := row.cells[s.name]; !absent(plain(c.Text)) {
		for _, name := range r.d.split(c.Text, s.kinds, 0) {
			r.name(s.name, name)
		}
	}
	e, note := addressesOf(row.cells[s.ip])
	row.note(s.ip, note)
	r.addrs, r.prefixes = append(r.addrs, e.addrs...), append(r.prefixes, e.prefixes...)
	for _, name := range e.names {
		r.name(s.ip, name)
	}
	macs, note := macsOf(row.cells[s.mac])
	row.note(s.mac, note)
	r.macs = macs
	if s.network != "" {
		list, note := prefixesOf(row.cells[s.network])
		row.note(s.network, note)
		r.prefixes = append(r.prefixes, list...)
	}
	if c := row.cells[s.segment]; !absent(plain(c.Text)) {
		for _, name := range r.d.split(c.Text, []kind{segment}, 0) {
			found := r.d.find(name, []kind{segment})
			switch {
			case len(found) == 1:
				r.segments = append(r.segments, found[0].id)
			case len(r.refs)+len(r.unknown)+len(r.addrs)+len(r.prefixes)+len(r.macs) > 0:
				row.remark(s.segment, "segment.unread", name)
			default:
				r.fault(s.segment, "name.unknown", name, r.near(name, []kind{segment}))
			}
		}
	}
	if len(r.refs)+len(r.unknown)+len(r.addrs)+len(r.prefixes)+len(r.macs)+len(r.segments) == 0 && len(row.faults) == 0 {
		r.fault(s.name, "side.empty", s.name.said())
	}
}

// name enters one name, or address, of a cell.
func (r *reading) name(f Field, name string) {
	if looksLikeAddress(plain(name)) {
		e, note := addressesOf(Cell{Raw: name})
		r.row.note(f, note)
		r.addrs, r.prefixes = append(r.addrs, e.addrs...), append(r.prefixes, e.prefixes...)
		return
	}
	found := r.d.find(name, r.side.kinds)
	if r.side.name == From { // services open nothing
		found = slices.DeleteFunc(found, func(x ref) bool { return x.kind == group && len(r.d.groups[x.id].Services) > 0 })
	}
	switch len(found) {
	case 0:
		r.unknown = append(r.unknown, name)
	case 1:
		if !slices.Contains(r.refs, found[0]) {
			r.refs = append(r.refs, found[0])
		}
	default:
		var list []string
		for _, x := range found {
			list = append(list, kindNames[x.kind]+":"+x.id)
		}
		r.fault(f, "name.ambiguous", name, strings.Join(list, ", "))
	}
}

// hosts finds whom the addresses and MACs belong to, and holds them against the names.
func (r *reading) hosts() {
	if len(r.addrs) > 0 || len(r.prefixes) > 0 { // beside addresses, a segment's name only says where they lie
		r.refs = slices.DeleteFunc(r.refs, func(x ref) bool {
			if x.kind == segment {
				r.segments = append(r.segments, x.id)
			}
			return x.kind == segment
		})
	}
	var known []*host
	for _, x := range r.refs {
		known = append(known, r.d.members(x)...)
	}
	covered := map[*host]bool{}
	var rest []netip.Addr
	for _, a := range r.addrs {
		mine := false
		for _, h := range known {
			if slices.Contains(h.addresses, a) {
				mine, covered[h] = true, true
			}
		}
		if !mine {
			rest = append(rest, a)
		}
	}
	var macs []packet.MAC
	for _, m := range r.macs {
		if !slices.ContainsFunc(known, func(h *host) bool { return h.mac == m }) {
			macs = append(macs, m)
		}
	}
	for _, h := range known {
		if len(r.addrs) > 0 && !covered[h] {
			r.fault(r.side.ip, "address.missing", h.id, addrList(h.addresses))
		}
	}
	if len(known) > 0 && len(r.unknown) == 0 {
		for _, a := range rest {
			r.fault(r.side.ip, "address.other", a.String(), r.owner(a), refList(r.refs))
		}
		for _, m := range macs {
			if slices.ContainsFunc(known, func(h *host) bool { return !h.mac.IsZero() }) {
				r.fault(r.side.mac, "mac.other", m.String(), refList(r.refs))
			} else {
				r.row.remark(r.side.mac, "mac.unused", m.String())
			}
		}
		r.beyond(known)
		return
	}
	if len(rest) == 0 && len(macs) > 0 && len(r.unknown) == 0 { // MAC addresses alone
		r.byMAC(macs)
		return
	}
	if len(rest) == 0 {
		for _, name := range r.unknown {
			r.fault(r.side.name, "name.unknown", name, r.near(name, r.side.kinds))
		}
		return
	}
	r.register(rest, macs)
}

// beyond tells addresses that a named host has and the ledger does not list: the record permits them as well.
func (r *reading) beyond(known []*host) {
	if len(r.addrs) == 0 {
		return
	}
	var more []string
	for _, h := range known {
		for _, a := range h.addresses {
			if !slices.Contains(r.addrs, a) {
				more = append(more, a.String())
			}
		}
	}
	if len(more) > 0 {
		r.row.remark(r.side.ip, "address.beyond", strings.Join(more, ", "))
	}
}

// owner names whom an address belongs to.
func (r *reading) owner(a netip.Addr) string {
	if list := r.d.byAddr[a]; len(list) > 0 {
		return list[0].id
	}
	return "-"
}

func (r *reading) byMAC(macs []packet.MAC) {
	for _, m := range macs {
		var found []*host
		for _, h := range r.d.byMAC[m] {
			if slices.Contains(r.side.kinds, h.kind) {
				found = append(found, h)
			}
		}
		if len(found) != 1 {
			r.fault(r.side.mac, "mac.unknown", m.String(), fmt.Sprint(len(found)))
			continue
		}
		r.refs = append(r.refs, found[0].ref)
	}
}

// networks finds what prefixes mean: destinations stay prefixes, an initiator's prefix must be a segment's.
func (r *reading) networks() {
	if r.side.name == To {
		return
	}
	for _, p := range r.prefixes {
		found := false
		for i := range r.d.cfg.Segments {
			s := &r.d.cfg.Segments[i]
			if !slices.Contains(s.Prefixes, p) {
				continue
			}
			found = true
			x := ref{segment, s.ID}
			if !slices.Contains(r.refs, x) {
				r.refs = append(r.refs, x)
			}
			if len(s.Prefixes) > 1 {
				r.row.remark(r.side.ip, "prefix.whole", p.String(), s.ID)
			}
		}
		if !found {
			r.fault(r.side.ip, "prefix.from", p.String())
		}
	}
}

// located holds the segment column against where the hosts lie; alone it is the end itself.
func (r *reading) located() {
	if len(r.segments) == 0 {
		return
	}
	var hosts []*host
	for _, x := range r.refs {
		hosts = append(hosts, r.d.members(x)...)
		if x.kind == segment && !slices.Contains(r.segments, x.id) {
			r.fault(r.side.segment, "segment.other", x.id, x.id, strings.Join(r.segments, ", "))
		}
	}
	for _, h := range hosts {
		if !slices.Contains(r.segments, h.segment) {
			r.fault(r.side.segment, "segment.other", h.id, h.segment, strings.Join(r.segments, ", "))
		}
	}
	for _, p := range r.prefixes {
		if s := r.d.segmentOf(p.Addr()); s == nil || !slices.Contains(r.segments, s.ID) {
			r.fault(r.side.segment, "segment.other", p.String(), "-", strings.Join(r.segments, ", "))
		}
	}
	if len(r.refs)+len(r.prefixes)+len(r.addrs) > 0 {
		return
	}
	for _, id := range r.segments {
		r.refs = append(r.refs, ref{segment, id})
	}
}

// ends sorts what was found into lists as the document has them.
func (r *reading) ends() []end {
	by := map[kind]*end{}
	var order []kind
	of := func(k kind) *end {
		if by[k] == nil {
			by[k] = &end{kind: k}
			order = append(order, k)
		}
		return by[k]
	}
	for _, x := range r.refs {
		if x.kind == segment && r.side.name == To { // the document opens prefixes, not segments
			e := of(network)
			for _, p := range r.d.segments[x.id].Prefixes {
				if !slices.Contains(e.prefixes, p) {
					e.prefixes = append(e.prefixes, p)
				}
			}
			continue
		}
		if e := of(x.kind); !slices.Contains(e.ids, x.id) {
			e.ids = append(e.ids, x.id)
		}
	}
	if r.side.name == To {
		for _, p := range r.prefixes {
			if e := of(network); !slices.Contains(e.prefixes, p) {
				e.prefixes = append(e.prefixes, p)
			}
		}
	}
	out := make([]end, len(order))
	for i, k := range order {
		out[i] = *by[k]
	}
	return out
}
