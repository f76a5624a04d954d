// Package stones lists stepping stones: what stands in one zone, can be reached from a second and reaches a third (I6).
//
// Problem: every cell may be right and two zones be joined all the same, by a host in between that was taken over: from the
// internet into LGWAN by one record, from there to My Number by another. No single cell shows it. Mechanism: the classes of the
// tables are the nodes of a graph and the cells its edges; from every zone all that can be opened is searched, breadth first,
// so that the path shown is a shortest one. Stations of one segment reach each other without the gate, so a segment is an
// edge, too. A region behind a tunnel is a segment like any other. The gate's own addresses and the portals are nodes in their
// own segment alone (I9): nothing leads from one of them to another. Times are joined: a path counts if each of its records is
// in force at some time, and says which are not always. Life cycle: a function over decoded tables and anchors. Invariant: it
// refuses nothing; whoever designates communications is to see what they add up to.
//
// A path is one along which connections can be opened, hop by hop. That two zones may both write to one host, or that one host
// reaches into two, is each designated by a record of its own and is not listed.
package stones

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// Stone is one class of addresses by which a zone reaches a third one.
type Stone struct {
	From    anchors.Zone `json:"from"`
	To      anchors.Zone `json:"to"`
	Stone   Node         `json:"stone"`   // the last before the other zone
	Path    []Hop        `json:"path"`    // a shortest one; the last hop leads from the stone into the other zone
	Targets int          `json:"targets"` // classes of the other zone that the stone reaches; the path ends at the first
}

// Hop is one step: From may open towards To.
type Hop struct {
	From    Node     `json:"from"`
	To      Node     `json:"to"`
	Direct  bool     `json:"direct,omitempty"` // within a segment, without the gate
	Tunnel  string   `json:"tunnel,omitempty"` // device of the tunnel into which it goes
	Ports   []string `json:"ports,omitempty"`
	Records []string `json:"records,omitempty"`
	Timed   bool     `json:"timed,omitempty"` // none of its records is in force always
}

// Node is a class: every record treats its members alike.
type Node struct {
	Zone    anchors.Zone `json:"zone"`
	Segment string       `json:"segment"`
	Kind    string       `json:"kind"`              // stations, region, gate, portal
	Members []string     `json:"members,omitempty"` // addresses and prefixes, the first MostMembers
	More    int          `json:"more,omitempty"`    // how many more there are
}

// MostMembers is how many members of a class are named.
const MostMembers = 4

// MostPorts is how many ports of a hop are named.
const MostPorts = 8

func (n Node) String() string {
	s := strings.Join(n.Members, ", ")
	if n.More > 0 {
		s += fmt.Sprintf(" and %d more", n.More)
	}
	if s != "" {
		s += " in "
	}
	s += n.Segment
	if n.Kind == "gate" || n.Kind == "portal" {
		s = "the " + n.Kind + ", " + s
	}
	return s + " (" + n.Zone.String() + ")"
}

// Find lists the stepping stones of t, by zones and then by path. t has passed the proof.
func Find(t *packet.Tables, a *anchors.Anchors) []Stone {
	g := newGraph(t, a)
	var out []Stone
	for z := anchors.MyNumber; z < anchors.Zones; z++ {
		out = append(out, g.from(z)...)
	}
	return out
}

// graph is the tables as nodes and edges. Nodes are indexes of t.Classes; behind them, one for each segment whose stations reach
// each other.
type graph struct {
	t       *packet.Tables
	a       *anchors.Anchors
	index   []int32            // of a class, by its number; -1: none
	zone    []anchors.Zone     // of a class, by its index
	segment []*packet.Segment  // by number
	kind    []anchors.Attach   // of a segment, by its number
	cells   [][]int32          // indexes of t.Cells by the index of their source class
	inside  map[uint16][]int32 // classes that a segment's stations reach directly
	hosts   [][]int32          // of a class
	prefix  [][]int32
	rules   map[uint32]*packet.Rule
	ports   map[uint16][]packet.PortRange
}

const numbers = 1 << 16

func newGraph(t *packet.Tables, a *anchors.Anchors) *graph {
	n := len(t.Classes)
	g := &graph{
		t: t, a: a, index: make([]int32, numbers), zone: make([]anchors.Zone, n), segment: make([]*packet.Segment, numbers), kind: make([]anchors.Attach, numbers),
		cells: make([][]int32, n), inside: map[uint16][]int32{}, hosts: make([][]int32, n), prefix: make([][]int32, n),
		rules: make(map[uint32]*packet.Rule, len(t.Rules)), ports: map[uint16][]packet.PortRange{},
	}
	for i := range g.index {
		g.index[i] = -1
	}
	for i := range t.Segments {
		s := &t.Segments[i]
		g.segment[s.ID] = s
		if as, ok := a.Segment(s.Name); ok {
			g.kind[s.ID] = as.Attach
		}
	}
	for i := range t.Classes {
		c := &t.Classes[i]
		g.index[c.ID] = int32(i)
		if s := g.segment[c.Segment]; s != nil {
			g.zone[i] = s.Zone
		}
		// A portal answers only, and of the gate itself cells say all.
		if c.Kind != packet.KindLocal && g.kind[c.Segment] != anchors.AttachPortal {
			g.inside[c.Segment] = append(g.inside[c.Segment], int32(i))
		}
	}
	for i := range t.Cells {
		if src := g.index[t.Cells[i].Src]; src >= 0 && g.index[t.Cells[i].Dst] >= 0 {
			g.cells[src] = append(g.cells[src], int32(i))
		}
	}
	for i, h := range t.Hosts {
		if c := g.index[h.Class]; c >= 0 {
			g.hosts[c] = append(g.hosts[c], int32(i))
		}
	}
	for i, p := range t.Prefixes {
		if c := g.index[p.Class]; c >= 0 {
			g.prefix[c] = append(g.prefix[c], int32(i))
		}
	}
	for i := range t.Rules {
		g.rules[t.Rules[i].ID] = &t.Rules[i]
	}
	for _, p := range t.Ports {
		g.ports[p.Class] = append(g.ports[p.Class], p)
	}
	return g
}

// start marks a class that a search begins with.
const start, unseen = -1, -2

// from searches all that can be opened from a zone, and lists the stones among it.
func (g *graph) from(z anchors.Zone) (out []Stone) {
	before := make([]int32, len(g.t.Classes)) // the class that leads here
	direct := make([]bool, len(g.t.Classes))  // without the gate
	var queue []int32
	for i := range before {
		before[i] = unseen
		if g.zone[i] == z && g.t.Classes[i].Kind != packet.KindLocal {
			before[i] = start
			queue = append(queue, int32(i))
		}
	}
	crossed := map[uint16]bool{} // segments whose stations were all reached
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		reach := func(to int32, directly bool) {
			if before[to] == unseen && g.zone[to] != z {
				before[to], direct[to] = at, directly
				queue = append(queue, to)
			}
		}
		for _, c := range g.cells[at] {
			reach(g.index[g.t.Cells[c].Dst], false)
		}
		class := &g.t.Classes[at]
		if before[at] == start || crossed[class.Segment] || class.Kind == packet.KindLocal {
			continue
		}
		crossed[class.Segment] = true
		for _, to := range g.inside[class.Segment] {
			reach(to, true)
		}
	}
	for i := range before {
		if before[i] >= 0 {
			out = append(out, g.stonesAt(z, int32(i), before, direct)...)
		}
	}
	slices.SortStableFunc(out, func(x, y Stone) int {
		if c := cmp.Compare(x.To, y.To); c != 0 {
			return c
		}
		return cmp.Compare(len(x.Path), len(y.Path))
	})
	return out
}

// stonesAt lists the third zones that a class reached from z opens into.
func (g *graph) stonesAt(z anchors.Zone, at int32, before []int32, direct []bool) (out []Stone) {
	targets := map[anchors.Zone][]int32{}
	for _, c := range g.cells[at] {
		to := g.index[g.t.Cells[c].Dst]
		if zone := g.zone[to]; zone != z && zone != g.zone[at] && !slices.Contains(targets[zone], to) {
			targets[zone] = append(targets[zone], to)
		}
	}
	for zone := anchors.None; zone < anchors.Zones; zone++ {
		if len(targets[zone]) == 0 {
			continue
		}
		path := []Hop{g.hop(at, targets[zone][0], false)}
		for to := at; before[to] != start; to = before[to] {
			path = append(path, g.hop(before[to], to, direct[to]))
		}
		slices.Reverse(path)
		out = append(out, Stone{From: z, To: zone, Stone: g.node(at), Path: path, Targets: len(targets[zone])})
	}
	return out
}

func (g *graph) hop(from, to int32, direct bool) Hop {
	h := Hop{From: g.node(from), To: g.node(to), Direct: direct}
	if direct {
		return h
	}
	if c := &g.t.Classes[to]; c.Kind == packet.KindTunnel {
		h.Tunnel = c.Port
	}
	h.Timed = true
	for _, i := range g.cells[from] {
		c := &g.t.Cells[i]
		if g.index[c.Dst] != to {
			continue
		}
		for _, p := range g.ports[c.Port] {
			h.Ports = append(h.Ports, packet.ServiceName(p.Proto, p.Lo, p.Hi))
		}
		if r := g.rules[c.Rule]; r != nil {
			h.Records = append(h.Records, r.Records...)
		}
		h.Timed = h.Timed && g.timed(c.Rule)
	}
	h.Ports, h.Records = unique(h.Ports), unique(h.Records)
	if n := len(h.Ports); n > MostPorts {
		h.Ports = append(h.Ports[:MostPorts], fmt.Sprintf("and %d more", n-MostPorts))
	}
	return h
}

// timed tells whether no rule of a chain is in force always.
func (g *graph) timed(id uint32) bool {
	for range packet.MaxChain {
		r := g.rules[id]
		if r == nil {
			return true
		}
		if r.From == 0 && r.Until == 0 && r.Window == 0 {
			return false
		}
		if id = r.Next; id == 0 {
			return true
		}
	}
	return true
}

func (g *graph) node(i int32) Node {
	c := &g.t.Classes[i]
	n := Node{Zone: g.zone[i], Kind: "stations"}
	if s := g.segment[c.Segment]; s != nil {
		n.Segment = s.Name
	}
	switch {
	case c.Kind == packet.KindLocal:
		n.Kind = "gate"
	case g.kind[c.Segment] == anchors.AttachPortal:
		n.Kind = "portal"
	case g.kind[c.Segment] == anchors.AttachTunnel:
		n.Kind = "region"
	}
	n.More = len(g.hosts[i]) + len(g.prefix[i])
	for _, h := range g.hosts[i] {
		if len(n.Members) < MostMembers {
			n.Members = append(n.Members, g.t.Hosts[h].Addr.String())
		}
	}
	for _, p := range g.prefix[i] {
		if len(n.Members) < MostMembers {
			n.Members = append(n.Members, g.t.Prefixes[p].Prefix.String())
		}
	}
	n.More -= len(n.Members)
	return n
}

func unique(in []string) []string {
	slices.Sort(in)
	return slices.Compact(in)
}
