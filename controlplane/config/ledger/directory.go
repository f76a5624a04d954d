package ledger

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/text/width"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// kind is what a name in the ledger may stand for.
type kind string

const (
	station kind = "station"
	service kind = "service"
	group   kind = "group"
	segment kind = "segment"
	network kind = "network" // prefixes; have no name
)

// kindWords may stand before a name that is of several kinds: グループ:x.
var kindWords = map[string]kind{"station": station, "端末": station, "service": service, "サービス": service, "group": group, "グループ": group, "segment": segment, "セグメント": segment}

var kindNames = map[kind]string{station: "端末", service: "サービス", group: "グループ", segment: "セグメント"}

// ref is a thing of the document.
type ref struct {
	kind kind
	id   string
}

// host is a station or service with how it is known.
type host struct {
	ref
	segment   string
	mac       packet.MAC
	addresses []netip.Addr
	ports     []config.PortSpec // of a service
	name      config.Text
	fresh     bool // added by this import
}

// directory finds what names and addresses of the ledger mean in the document, and in what the import added to it.
type directory struct {
	cfg      *config.Config
	ids      map[string][]ref
	names    map[string][]ref
	hosts    map[ref]*host
	byAddr   map[netip.Addr][]*host
	byMAC    map[packet.MAC][]*host
	groups   map[string]*config.Group
	segments map[string]*config.Segment
	added    []*host
	titles   map[ref]string // of added hosts, as the ledger names them
}

func newDirectory(cfg *config.Config) *directory {
	d := &directory{cfg: cfg, ids: map[string][]ref{}, names: map[string][]ref{}, hosts: map[ref]*host{}, byAddr: map[netip.Addr][]*host{}, byMAC: map[packet.MAC][]*host{},
		groups: map[string]*config.Group{}, segments: map[string]*config.Segment{}, titles: map[ref]string{}}
	for i := range cfg.Services {
		s := &cfg.Services[i]
		d.enter(&host{ref: ref{service, s.ID}, segment: s.Segment, mac: s.MAC, addresses: s.Addresses, ports: s.Ports}, s.Name)
	}
	for i := range cfg.Stations {
		s := &cfg.Stations[i]
		d.enter(&host{ref: ref{station, s.ID}, segment: s.Segment, mac: s.MAC, addresses: s.Addresses}, s.Name)
	}
	for i := range cfg.Groups {
		g := &cfg.Groups[i]
		d.groups[g.ID] = g
		d.call(ref{group, g.ID}, g.Name)
	}
	for i := range cfg.Segments {
		s := &cfg.Segments[i]
		d.segments[s.ID] = s
		d.call(ref{segment, s.ID}, s.Name)
	}
	return d
}

func (d *directory) enter(h *host, name config.Text) {
	h.name = name
	d.hosts[h.ref] = h
	for _, a := range h.addresses {
		d.byAddr[a] = append(d.byAddr[a], h)
	}
	if !h.mac.IsZero() {
		d.byMAC[h.mac] = append(d.byMAC[h.mac], h)
	}
	d.call(h.ref, name)
}

// call enters the names of a thing.
func (d *directory) call(r ref, name config.Text) {
	d.ids[r.id] = append(d.ids[r.id], r)
	for _, n := range []string{name.JA, name.EN} {
		if k := plain(n); k != "" && !slices.Contains(d.names[k], r) {
			d.names[k] = append(d.names[k], r)
		}
	}
}

// find gives what a name can mean among the kinds: by id, else by name, else 名称（id） and id（名称）.
func (d *directory) find(name string, kinds []kind) []ref {
	key := plain(name)
	if word, rest, ok := strings.Cut(key, ":"); ok && kindWords[word] != "" {
		if k := kindWords[word]; slices.Contains(kinds, k) {
			return d.find(rest, []kind{k})
		}
		return nil
	}
	of := func(list []ref) (out []ref) {
		for _, r := range list {
			if slices.Contains(kinds, r.kind) {
				out = append(out, r)
			}
		}
		return out
	}
	if id := strings.ToLower(strings.TrimSpace(width.Fold.String(name))); d.ids[id] != nil { // an id has no space in it
		if out := of(d.ids[id]); out != nil {
			return out
		}
	}
	if out := of(d.names[key]); out != nil {
		return out
	}
	if before, inside, ok := strings.Cut(strings.TrimSuffix(key, ")"), "("); ok && strings.HasSuffix(key, ")") && before != "" && !strings.ContainsAny(inside, "()") {
		for _, part := range []string{before, inside} {
			if out := of(d.ids[part]); out != nil {
				return out
			}
		}
	}
	return nil
}

// levels are what separates names in a cell, the surest first. A name may hold the later ones itself.
var levels = []string{"\n\r", ",、;，､；", "・/／", " \t\u3000"}

// split takes a cell's text apart into names, only as far as it takes to find them.
func (d *directory) split(text string, kinds []kind, level int) []string {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	known := func(s string) bool { return len(d.find(s, kinds)) > 0 || looksLikeAddress(plain(s)) }
	if level == len(levels) || level > 0 && known(text) {
		return []string{text}
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(levels[level], r) })
	unknown := 0
	for _, p := range parts {
		if !known(p) {
			unknown++
		}
	}
	switch {
	case level == 0 && unknown > 0 && len(parts) > 1 && known(line(text)): // a name that was broken for the column's width
		return []string{line(text)}
	case level == 2 && unknown == len(parts), level == 3 && unknown > 0: // a name nobody knows yet stays whole
		return d.split(text, kinds, level+1)
	}
	var out []string
	for _, p := range parts {
		out = append(out, d.split(p, kinds, level+1)...)
	}
	return out
}

// members lists the hosts that a thing stands for; of a segment none.
func (d *directory) members(r ref) []*host {
	var out []*host
	add := func(k kind, ids []string) {
		for _, id := range ids {
			if h := d.hosts[ref{k, id}]; h != nil {
				out = append(out, h)
			}
		}
	}
	switch r.kind {
	case group:
		if g := d.groups[r.id]; g != nil {
			add(station, g.Stations)
			add(service, g.Services)
		}
	case station, service:
		add(r.kind, []string{r.id})
	}
	return out
}

// segmentOf finds the segment that holds an address; nil = none.
func (d *directory) segmentOf(a netip.Addr) *config.Segment {
	for i := range d.cfg.Segments {
		s := &d.cfg.Segments[i]
		if slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return s
		}
	}
	return nil
}

// routed tells whether packets of an address come with another card's MAC address, or with none.
func routed(s *config.Segment, a netip.Addr) bool {
	if s.Tunnel != "" {
		return true
	}
	for _, r := range s.Routers {
		if slices.ContainsFunc(r.Behind, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return true
		}
	}
	return false
}

// fresh makes an id for a new host: its name in the ledger if that can be one, else its address.
func (d *directory) fresh(k kind, name string, a netip.Addr) string {
	id := strings.ToLower(strings.TrimSpace(name))
	if !idForm.MatchString(id) || strings.HasPrefix(id, "gate:") {
		prefix := map[kind]string{station: "st-", service: "sv-"}[k]
		id = prefix + strings.ReplaceAll(strings.ReplaceAll(a.String(), ".", "-"), "::", ":0:")
		id = strings.Trim(strings.ReplaceAll(id, ":", "-"), "-")
	}
	base := id
	for n := 2; ; n++ {
		if _, taken := d.hosts[ref{k, id}]; !taken {
			return id
		}
		id = base + "." + letters(n)
		id = strings.ToLower(id)
	}
}

// add enters a host that the ledger names and the document does not.
func (d *directory) add(h *host, title string) {
	h.fresh = true
	d.added = append(d.added, h)
	d.titles[h.ref] = title
	d.enter(h, config.Text{JA: title})
}

// remove takes a host out again that add has entered.
func (d *directory) remove(h *host) {
	same := func(x *host) bool { return x == h }
	delete(d.hosts, h.ref)
	delete(d.titles, h.ref)
	d.added = slices.DeleteFunc(d.added, same)
	for _, a := range h.addresses {
		d.byAddr[a] = slices.DeleteFunc(d.byAddr[a], same)
	}
	d.byMAC[h.mac] = slices.DeleteFunc(d.byMAC[h.mac], same)
	is := func(r ref) bool { return r == h.ref }
	d.ids[h.id] = slices.DeleteFunc(d.ids[h.id], is)
	if k := plain(h.name.JA); k != "" {
		d.names[k] = slices.DeleteFunc(d.names[k], is)
	}
}
