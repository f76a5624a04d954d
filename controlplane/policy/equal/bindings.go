package equal

import (
	"fmt"
	"net/netip"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
	"github.com/sekisho/sekisho/dataplane/packet"
)

// bindings compares hosts, the MACs of prefixes and the bounds of segments with what the document registers.
func (k *checker) bindings() {
	want := k.d.Bindings()
	seen := make(map[netip.Addr]bool, len(k.t.Hosts))
	for i := range k.t.Hosts {
		h := &k.t.Hosts[i]
		mac, known := want[h.Addr]
		switch {
		case seen[h.Addr]:
			k.fault(Fault{What: fmt.Sprintf("host %s is in the tables twice", h.Addr)})
		case !known:
			k.fault(Fault{What: fmt.Sprintf("host %s, MAC %q, is in the tables; the configuration names no such address", h.Addr, h.MAC)})
		case mac != h.MAC:
			k.fault(Fault{What: fmt.Sprintf("host %s has MAC %q in the tables and %q in the configuration", h.Addr, h.MAC, mac)})
		}
		seen[h.Addr] = true
	}
	if len(seen) < len(want) || len(k.faults) > 0 {
		for a, mac := range want {
			if !seen[a] {
				k.fault(Fault{What: fmt.Sprintf("host %s, MAC %q, is missing in the tables", a, mac)})
			}
		}
	}
	segments := make(map[string]*packet.Segment, len(k.t.Segments))
	byNumber := make(map[uint16]string, len(k.t.Segments))
	for i := range k.t.Segments {
		s := &k.t.Segments[i]
		segments[s.Name], byNumber[s.ID] = s, s.Name
	}
	places := make(map[string]*config.Segment, len(k.d.Config.Segments))
	for i := range k.d.Config.Segments {
		s := &k.d.Config.Segments[i]
		places[s.ID] = s
		if got := segments[s.ID]; got != nil {
			k.bounds(s, got.Limits)
			if got.TrustDSCP != s.TrustDSCP {
				k.fault(Fault{What: fmt.Sprintf("segment %q: trust in its stations' code points is %t in the tables and %t in the configuration", s.ID, got.TrustDSCP, s.TrustDSCP)})
			}
		}
	}
	for i := range k.t.Prefixes {
		p := &k.t.Prefixes[i]
		var mac packet.MAC
		if s := places[byNumber[p.Segment]]; s != nil {
			if r := reading.Router(s, p.Prefix); r != nil {
				mac = r.MAC
			}
		}
		if p.MAC != mac {
			k.fault(Fault{What: fmt.Sprintf("prefix %s is bound to MAC %q in the tables and to %q in the configuration", p.Prefix, p.MAC, mac)})
		}
	}
}

// codePoints: one value names the class that the document gives it, and no other names any.
func (k *checker) codePoints() {
	var want [packet.CodePoints]uint8
	for i, c := range k.d.Config.Classes {
		for _, d := range c.DSCP {
			want[d] = uint8(i + 1)
		}
	}
	for d, class := range k.t.DSCP {
		if class != want[d] {
			k.fault(Fault{What: fmt.Sprintf("DSCP %d stands for bandwidth class %d in the tables and for %d in the configuration", d, class, want[d])})
		}
	}
}

// bounds: what the document says stands in the tables; what it leaves open is the compiler's choice.
func (k *checker) bounds(s *config.Segment, got packet.Limits) {
	for _, n := range []struct {
		key       string
		got, want uint32
	}{
		{"flows", got.Flows, s.Limits.Flows}, {"flows-per-second", got.Rate, s.Limits.Rate},
		{"station-flows", got.StationFlows, s.Limits.StationFlows}, {"station-flows-per-second", got.StationRate, s.Limits.StationRate},
	} {
		if n.want != 0 && n.got != n.want {
			k.fault(Fault{What: fmt.Sprintf("segment %q: limit %s is %d in the tables and %d in the configuration", s.ID, n.key, n.got, n.want)})
		}
	}
}
