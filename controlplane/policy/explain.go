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
	Steps   []model.Step // as the packet core takes them; the last one decides
	Allowed bool
	Reason  string   // the drop reason when not Allowed
	Records []string // what permits it, the deciding record first
	Advice  string   // what would have to change for the other outcome
}

// Explain asks the model of the packet core about compiled tables, and adds what the configuration knows: which record to
// change, or that none can help.
func Explain(cfg *config.Config, t *packet.Tables, a *anchors.Anchors, q model.Query) Explanation {
	e := Explanation{Steps: model.Explain(t, a, q)}
	for _, s := range e.Steps {
		if len(s.Records) > 0 {
			e.Records = s.Records
		}
	}
	last := model.Step{Name: "parse", Reason: "no-policy", Text: "the tables are empty"}
	if n := len(e.Steps); n > 0 {
		last = e.Steps[n-1]
	} else {
		e.Steps = []model.Step{last}
	}
	e.Allowed, e.Reason = last.OK, last.Reason
	w := adviser{cfg, t, a, q, e.Records}
	if e.Allowed {
		e.Advice = narrow(e.Records)
	} else {
		e.Advice = w.advise(last.Reason)
	}
	return e
}

// adviser knows what a person could change.
type adviser struct {
	cfg *config.Config
	t   *packet.Tables
	a   *anchors.Anchors
	q   model.Query

	named []string // records behind the deciding cell
}

// advise says what would let the packet pass the step that dropped it, or that nothing may.
func (w adviser) advise(reason string) string {
	switch reason {
	case "segment-unknown":
		return fmt.Sprintf("add a segment of zone %s that holds %s, in the configuration and in the anchors", w.q.From, w.q.Src)
	case "source-not-in-segment":
		if s, known := w.a.SegmentOf(w.q.Src); known {
			return fmt.Sprintf("%s lies in segment %s of zone %s: it can only send from there", w.q.Src, s.ID, s.Zone)
		}
		return fmt.Sprintf("no segment holds %s: add its prefix to one, in the configuration and in the anchors", w.q.Src)
	case "source-is-gate":
		return "nothing: only the gate itself sends from its own address"
	case "station-unregistered":
		id := "…"
		if s, known := w.a.SegmentOf(w.q.Src); known {
			id = s.ID
		}
		return fmt.Sprintf("register it under stations: {id: …, segment: %s, mac: …, addresses: [%s]}", id, w.q.Src)
	case "station-mac-mismatch":
		_, station := w.owner(w.q.Src)
		return fmt.Sprintf("send it from the registered MAC, or register %s for %s%s", w.q.MAC, w.q.Src, w.at(station))
	case "destination-unknown":
		return fmt.Sprintf("no segment holds %s: add its prefix to one, in the configuration and in the anchors", w.q.Dst)
	case "no-cell", "zone-pair", "gate-refused":
		return w.permit()
	case "record-time":
		return "nothing now: the time of " + strings.Join(w.named, ", ") + " is over, still to come, or outside its window; change since, until or window there"
	}
	return "nothing in the configuration: the packet core never lets such a packet pass"
}

// permit says which record would have to name the two ends.
func (w adviser) permit() string {
	src, ok1 := w.a.SegmentOf(w.q.Src)
	dst, ok2 := w.a.SegmentOf(w.q.Dst)
	if !ok1 || !ok2 {
		return "nothing: both addresses must lie in a segment"
	}
	what := protoName(w.q.Proto, w.q.DPort)
	switch why := forbidden(src.Zone, dst.Zone); {
	case why != "":
		return "nothing: " + why
	case slices.Contains(dst.Gate, w.q.Dst):
		return "nothing: the gate itself offers only what its anchors name"
	case src.ID == dst.ID:
		return "nothing: both lie in segment " + src.ID + " and speak directly, not through the gate"
	}
	if c := asleep(w.cfg, w.q); c != nil {
		return fmt.Sprintf("record %s names this, but its state is %s: make it active%s", c.ID, c.State, w.at(c))
	}
	from, to := w.class(w.q.Src), w.class(w.q.Dst)
	if other := w.records(from, to); len(other) > 0 {
		return fmt.Sprintf("add %s to a record that already joins the two: %s", what, strings.Join(other, ", "))
	}
	advice := fmt.Sprintf("write a communication from %s to %s with %s", w.name(w.q.Src), w.name(w.q.Dst), what)
	if back := w.records(to, from); len(back) > 0 {
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

// class is the number of the class that catches an address: exact first, then the longest prefix; 0 = none.
func (w adviser) class(a netip.Addr) uint16 {
	for _, h := range w.t.Hosts {
		if h.Addr == a {
			return h.Class
		}
	}
	best, class := -1, uint16(0)
	for _, p := range w.t.Prefixes {
		if p.Prefix.Bits() > best && p.Prefix.Contains(a) {
			best, class = p.Prefix.Bits(), p.Class
		}
	}
	return class
}

// records lists what joins two classes, on any port.
func (w adviser) records(src, dst uint16) []string {
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

// name is what the configuration calls an address.
func (w adviser) name(a netip.Addr) string {
	if id, _ := w.owner(a); id != "" {
		return fmt.Sprintf("%s (%s)", id, a)
	}
	return fmt.Sprintf("%s (give it a name under stations or services)", a)
}

// at tells the line of something of the configuration.
func (w adviser) at(p any) string {
	if pos, ok := w.cfg.PosOf(p); ok {
		return fmt.Sprintf(" (line %d)", pos.Line)
	}
	return ""
}

func (w adviser) owner(a netip.Addr) (string, any) {
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

// narrow says what would have to go for a permitted packet to be refused.
func narrow(records []string) string {
	if len(records) == 0 || strings.HasPrefix(records[0], "gate:") {
		return "nothing: the gate needs this itself"
	}
	return "to refuse it, take it out of " + strings.Join(records, ", ")
}

func protoName(proto uint8, port uint16) string {
	switch {
	case proto == config.ProtoTCP:
		return fmt.Sprintf("tcp/%d", port)
	case proto == config.ProtoUDP:
		return fmt.Sprintf("udp/%d", port)
	case proto == config.ProtoSCTP:
		return fmt.Sprintf("sctp/%d", port)
	case proto == config.ProtoESP:
		return "esp"
	case proto == config.ProtoAH:
		return "ah"
	case proto == config.ProtoGRE:
		return "gre"
	case proto == config.ProtoICMP && port == config.EchoV4, proto == config.ProtoICMPv6 && port == config.EchoV6:
		return "icmp/echo"
	case proto == config.ProtoICMP, proto == config.ProtoICMPv6:
		return fmt.Sprintf("icmp type %d", port)
	}
	return fmt.Sprintf("protocol %d", proto)
}
