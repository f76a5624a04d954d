package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/packet/model"
)

// Explanation is what becomes of the first packet of a flow, and why.
type Explanation struct {
	Steps   []model.Step
	Allowed bool
	Reason  string   // the drop reason when not Allowed
	Records []string // what permits it, the deciding record first
	Advice  string   // what would have to change for the other outcome
}

// Explain walks the decision over compiled tables. It looks only at tables and anchors; routes and neighbours of a running
// gate are not asked.
func Explain(cfg *config.Config, t *packet.Tables, a *anchors.Anchors, q model.Query) Explanation {
	w := &walk{cfg: cfg, t: t, a: a, q: q, hosts: make(map[netip.Addr]*packet.Host, len(t.Hosts))}
	for i := range t.Hosts {
		w.hosts[t.Hosts[i].Addr] = &t.Hosts[i]
	}
	w.run()
	return w.out
}

// walk is one packet on its way.
type walk struct {
	cfg   *config.Config
	t     *packet.Tables
	a     *anchors.Anchors
	q     model.Query
	hosts map[netip.Addr]*packet.Host
	out   Explanation

	in       *packet.Segment
	src, dst binding
	cell     *packet.Cell
}

// binding is what the tables say about an address.
type binding struct {
	class   *packet.Class
	segment uint16
	mac     packet.MAC
	host    bool
}

func (w *walk) run() {
	for _, step := range []func() bool{w.segment, w.station, w.destination, w.policy, w.forward} {
		if !step() {
			return
		}
	}
	w.out.Allowed = true
	w.out.Advice = w.narrow()
}

func (w *walk) pass(name, format string, args ...any) bool {
	w.out.Steps = append(w.out.Steps, model.Step{Name: name, OK: true, Text: fmt.Sprintf(format, args...)})
	return true
}

func (w *walk) drop(name, reason, advice, format string, args ...any) bool {
	w.out.Steps = append(w.out.Steps, model.Step{Name: name, Reason: reason, Text: fmt.Sprintf(format, args...)})
	w.out.Reason, w.out.Advice = reason, advice
	return false
}

// segment picks the ingress: where the source lives if that is in the zone, else any segment of the zone.
func (w *walk) segment() bool {
	home, known := w.a.SegmentOf(w.q.Src)
	for i := range w.t.Segments {
		s := &w.t.Segments[i]
		if s.Zone != w.q.From && w.q.From != anchors.None {
			continue
		}
		if w.in == nil || known && s.Name == home.ID {
			w.in = s
		}
	}
	if w.in == nil {
		return w.drop("segment", "segment-unknown", fmt.Sprintf("add a segment of zone %s", w.q.From), "zone %s has no segment", w.q.From)
	}
	vlan := ""
	if w.in.VLAN != 0 {
		vlan = fmt.Sprintf(" VLAN %d", w.in.VLAN)
	}
	return w.pass("segment", "port %s%s is segment %s, zone %s", w.in.Port, vlan, w.in.Name, w.in.Zone)
}

func (w *walk) station() bool {
	b, ok := w.locate(w.q.Src)
	if !ok || b.segment != w.in.ID {
		advice := fmt.Sprintf("no segment holds %s: add its prefix to one, in the configuration and in the anchors", w.q.Src)
		if s, known := w.a.SegmentOf(w.q.Src); known {
			advice = fmt.Sprintf("%s lies in segment %s of zone %s: it can only send from there", w.q.Src, s.ID, s.Zone)
		}
		return w.drop("station", "source-not-in-segment", advice, "%s does not belong to segment %s", w.q.Src, w.in.Name)
	}
	if b.class.Kind == packet.KindLocal {
		return w.drop("station", "source-is-gate", "nothing: only the gate itself sends from its own address", "%s is the gate's own address", w.q.Src)
	}
	who := w.name(w.q.Src)
	switch {
	case w.in.Tunnel:
		w.src = b
		return w.pass("station", "%s%s comes through the tunnel, which binds it to its peer", w.q.Src, who)
	case b.mac.IsZero() && w.in.Strict:
		return w.drop("station", "station-unregistered", fmt.Sprintf("register it under stations: {id: …, segment: %s, mac: …, addresses: [%s]}", w.in.Name, w.q.Src),
			"%s is not registered in strict segment %s", w.q.Src, w.in.Name)
	case !b.mac.IsZero() && !w.q.MAC.IsZero() && w.q.MAC != b.mac:
		return w.drop("station", "station-mac-mismatch", fmt.Sprintf("send it from MAC %s, or register %s for %s%s", b.mac, w.q.MAC, w.q.Src, w.at(w.q.Src)),
			"%s%s is registered for MAC %s, not %s", w.q.Src, who, b.mac, w.q.MAC)
	}
	w.src = b
	if b.mac.IsZero() {
		return w.pass("station", "%s%s lies in segment %s, which is not strict: any MAC", w.q.Src, who, w.in.Name)
	}
	return w.pass("station", "%s%s is registered for MAC %s", w.q.Src, who, b.mac)
}

func (w *walk) destination() bool {
	b, ok := w.locate(w.q.Dst)
	if !ok {
		return w.drop("policy", "destination-unknown", fmt.Sprintf("no segment holds %s: add its prefix to one, in the configuration and in the anchors", w.q.Dst), "%s belongs to no segment", w.q.Dst)
	}
	w.dst = b
	return true
}

func (w *walk) policy() bool {
	port := w.portClass()
	what := protoName(w.q.Proto, w.q.DPort)
	for i := range w.t.Cells {
		c := &w.t.Cells[i]
		if port != 0 && c.Src == w.src.class.ID && c.Dst == w.dst.class.ID && c.Port == port {
			w.cell = c
			break
		}
	}
	dstSegment := w.segmentByID(w.dst.segment)
	if w.cell == nil {
		return w.drop("policy", "no-cell", w.permitAdvice(what), "no record lets %s%s open %s to %s%s in segment %s, zone %s", w.q.Src, w.name(w.q.Src), what, w.q.Dst, w.name(w.q.Dst), dstSegment.Name, dstSegment.Zone)
	}
	for _, r := range w.t.Rules {
		if r.ID == w.cell.Rule {
			w.out.Records = r.Records
		}
	}
	w.pass("policy", "class %d -> class %d, %s: permitted by %s%s", w.src.class.ID, w.dst.class.ID, what, strings.Join(w.out.Records, ", "), w.bandwidth())
	last := &w.out.Steps[len(w.out.Steps)-1]
	last.Rule, last.Records = w.cell.Rule, w.out.Records
	return true
}

func (w *walk) bandwidth() string {
	if n := int(w.cell.BWClass); n > 0 && n <= len(w.cfg.Classes) {
		return ", bandwidth class " + w.cfg.Classes[n-1].ID
	}
	return ""
}

func (w *walk) forward() bool {
	c := w.dst.class
	vlan := ""
	if c.VLAN != 0 {
		vlan = fmt.Sprintf(" VLAN %d", c.VLAN)
	}
	switch {
	case c.Kind == packet.KindLocal:
		return w.pass("forward", "to the gate itself")
	case c.Kind == packet.KindTunnel:
		return w.pass("forward", "into tunnel %s; any other way is an egress-mismatch", c.Port)
	case !c.OnLink:
		return w.pass("forward", "out of port %s%s by next hop %v; any other way is an egress-mismatch", c.Port, vlan, c.Via)
	}
	return w.pass("forward", "out of port %s%s, directly; any other way is an egress-mismatch", c.Port, vlan)
}

// locate finds the entry that catches an address: exact first, then the longest prefix.
func (w *walk) locate(a netip.Addr) (binding, bool) {
	a = a.Unmap()
	if h, ok := w.hosts[a]; ok {
		return w.bind(h.Class, h.Segment, h.MAC, true)
	}
	best := -1
	var b binding
	ok := false
	for _, p := range w.t.Prefixes {
		if p.Prefix.Bits() > best && p.Prefix.Contains(a) {
			best = p.Prefix.Bits()
			b, ok = w.bind(p.Class, p.Segment, p.MAC, false)
		}
	}
	return b, ok
}

func (w *walk) bind(class, segment uint16, mac packet.MAC, host bool) (binding, bool) {
	i := slices.IndexFunc(w.t.Classes, func(c packet.Class) bool { return c.ID == class })
	if i < 0 {
		return binding{}, false
	}
	return binding{&w.t.Classes[i], segment, mac, host}, true
}

func (w *walk) portClass() uint16 {
	for _, r := range w.t.Ports {
		if r.Proto == w.q.Proto && r.Lo <= w.q.DPort && w.q.DPort <= r.Hi {
			return r.Class
		}
	}
	return 0
}

func (w *walk) segmentByID(id uint16) packet.Segment {
	for _, s := range w.t.Segments {
		if s.ID == id {
			return s
		}
	}
	return packet.Segment{}
}

// name is the configured name of an address, in brackets; "" when it has none.
func (w *walk) name(a netip.Addr) string {
	if n, _ := w.owner(a); n != "" {
		return " (" + n + ")"
	}
	return ""
}

func (w *walk) at(a netip.Addr) string {
	if _, p := w.owner(a); p != nil {
		if pos, ok := w.cfg.PosOf(p); ok {
			return fmt.Sprintf(" (line %d)", pos.Line)
		}
	}
	return ""
}

func (w *walk) owner(a netip.Addr) (string, any) {
	for i := range w.cfg.Stations {
		if s := &w.cfg.Stations[i]; slices.Contains(s.Addresses, a) {
			return s.ID, s
		}
	}
	for i := range w.cfg.Services {
		if s := &w.cfg.Services[i]; slices.Contains(s.Addresses, a) {
			return s.ID, s
		}
	}
	return "", nil
}

// permitAdvice says what a configuration would need so that the packet passes, or that none can.
func (w *walk) permitAdvice(what string) string {
	src, dst := w.segmentByID(w.src.segment), w.segmentByID(w.dst.segment)
	switch why := forbidden(src.Zone, dst.Zone); {
	case why != "":
		return "nothing: " + why
	case w.dst.class.Kind == packet.KindLocal:
		return "nothing: the gate itself offers only what its anchors name"
	case src.ID == dst.ID:
		return "nothing: both lie in segment " + src.Name + " and speak directly, not through the gate"
	}
	if other := w.records(w.src.class.ID, w.dst.class.ID); len(other) > 0 {
		return fmt.Sprintf("add %s to a record that already joins the two: %s", what, strings.Join(other, ", "))
	}
	advice := fmt.Sprintf("write a communication from %s to %s with ports [%s]", side(w, w.q.Src), side(w, w.q.Dst), what)
	if back := w.records(w.dst.class.ID, w.src.class.ID); len(back) > 0 {
		advice += fmt.Sprintf("; %s lets only the other side open", strings.Join(back, ", "))
	}
	return advice
}

// forbidden tells which invariant no record can set aside between two zones.
func forbidden(a, b anchors.Zone) string {
	pair := func(x, y anchors.Zone) bool { return a == x && b == y || a == y && b == x }
	switch {
	case pair(anchors.MyNumber, anchors.Internet):
		return "no configuration may join My Number and internet (I1)"
	case a != b && (a == anchors.Management || b == anchors.Management):
		return "no configuration may join the management zone to another (I13)"
	case a == anchors.Uplink || b == anchors.Uplink:
		return "a line carries only the gate's own tunnel"
	}
	return ""
}

func side(w *walk, a netip.Addr) string {
	if n, _ := w.owner(a); n != "" {
		return n
	}
	return fmt.Sprintf("%s (give it a name under stations or services)", a)
}

// records lists what joins two classes, on any port.
func (w *walk) records(src, dst uint16) []string {
	var out []string
	for _, c := range w.t.Cells {
		if c.Src != src || c.Dst != dst {
			continue
		}
		for _, r := range w.t.Rules {
			if r.ID == c.Rule {
				out = append(out, r.Records...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// narrow says what would have to go for the packet to be refused.
func (w *walk) narrow() string {
	if strings.HasPrefix(w.out.Records[0], "gate:") {
		return "nothing to change: the gate needs this itself"
	}
	return "to refuse it, take it out of " + strings.Join(w.out.Records, ", ")
}

func protoName(proto uint8, port uint16) string {
	switch proto {
	case config.ProtoTCP:
		return fmt.Sprintf("tcp/%d", port)
	case config.ProtoUDP:
		return fmt.Sprintf("udp/%d", port)
	case config.ProtoICMP, config.ProtoICMPv6:
		if port == config.EchoV4 && proto == config.ProtoICMP || port == config.EchoV6 && proto == config.ProtoICMPv6 {
			return "icmp/echo"
		}
		return fmt.Sprintf("icmp type %d", port)
	}
	return fmt.Sprintf("protocol %d", proto)
}
