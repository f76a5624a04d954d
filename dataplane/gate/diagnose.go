package gate

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/place"
	"github.com/sekisho/sekisho/dataplane/tunnel/diagnose"
	"github.com/sekisho/sekisho/dataplane/tunnel/ways"
)

// Diagnosis is one region by one line, looked at.
type Diagnosis struct {
	Region   string          `json:"region"`
	End      string          `json:"end"`
	Device   string          `json:"device"`
	Line     string          `json:"line"`               // port
	Contract string          `json:"contract,omitempty"` // line of the configuration
	Addrs    []netip.Addr    `json:"addrs"`              // the gate's own on the line
	Endpoint netip.AddrPort  `json:"endpoint"`           // of the far end
	At       time.Time       `json:"at"`
	Took     float64         `json:"took_s"`
	Result   diagnose.Result `json:"result"`
}

// Look asks for diagnoses. Empty fields leave the choice open.
type Look struct {
	Region string // segment
	Line   string // line of the configuration, its tunnel's device, or the end
	MTU    int    // bytes that the line should carry, outer headers included; 0 = what its port is set to
	Name   string // that the region's resolver is to resolve
}

// Query is the query of GET /diagnose.
func (l Look) Query() url.Values {
	q := url.Values{"region": {l.Region}, "line": {l.Line}, "name": {l.Name}}
	if l.MTU != 0 {
		q.Set("mtu", strconv.Itoa(l.MTU))
	}
	return q
}

// mostLooks is how many ends one request looks at, so that an answer comes while somebody still waits for it.
const mostLooks = 8

// getDiagnose answers GET /diagnose: every end that is asked for, one after the other. It changes nothing.
func (g *Gate) getDiagnose(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	look := Look{Region: q.Get("region"), Line: q.Get("line"), Name: q.Get("name")}
	if v := q.Get("mtu"); v != "" {
		var err error
		if look.MTU, err = strconv.Atoi(v); err != nil || look.MTU < 576 || look.MTU > 65535 {
			answer(w, http.StatusBadRequest, failure{Error: "mtu: want 576 to 65535 bytes, outer headers included"})
			return
		}
	}
	if len(look.Name) > 253 {
		answer(w, http.StatusBadRequest, failure{Error: "name: want a domain name of at most 253 characters"})
		return
	}
	out, err := g.diagnose(r.Context(), look)
	reply(w, out, err)
}

// diagnose looks at the ends that are asked for. One look at a time: two would take each other's packets for answers.
func (g *Gate) diagnose(ctx context.Context, look Look) ([]Diagnosis, error) {
	g.looking.Lock()
	defer g.looking.Unlock()
	owner, err := userID(place.TunnelUser)
	if err != nil {
		return nil, err
	}
	out := []Diagnosis{}
	for _, s := range diagnose.Subjects(g.tunnels) {
		if look.Region != "" && look.Region != s.Region || look.Line != "" && !slices.Contains([]string{s.Contract, s.Device, s.End}, look.Line) {
			continue
		}
		if len(out) == mostLooks {
			return nil, fmt.Errorf("more than %d ends to look at: name a region or a line", mostLooks)
		}
		s.LineMTU, s.Name = look.MTU, look.Name
		if s.Embedded {
			s.Owner = int(owner)
		}
		g.fillIn(&s)
		begun := time.Now()
		result := diagnose.Run(ctx, s)
		out = append(out, Diagnosis{Region: s.Region, End: s.End, Device: s.Device, Line: s.Line, Contract: s.Contract, Addrs: s.Addrs, Endpoint: s.Endpoint,
			At: begun.UTC(), Took: time.Since(begun).Seconds(), Result: result})
	}
	return out, nil
}

// fillIn adds what the anchors, the ways and the packet core know.
func (g *Gate) fillIn(s *diagnose.Subject) {
	for _, t := range g.anchors.Tunnels {
		if line, ok := g.anchors.Segment(t.Line); ok && t.Device == s.Device {
			s.Addrs = line.Gate
		}
	}
	s.Claimed = g.events.claimed
	s.Ways = waysOf(s.Region, g.tunnels.Ways())
	for _, n := range g.anchors.NAT {
		if n.Segment == s.Region {
			s.Pairs = append(s.Pairs, diagnose.Pair{Inside: n.Inside.Masked(), Outside: n.Outside.Masked()})
		}
	}
	region := s.Region
	s.InUse = func() ([]diagnose.Pair, error) {
		have, err := g.core.Mappings()
		var out []diagnose.Pair
		for _, n := range have {
			if n.Segment == region {
				out = append(out, diagnose.Pair{Inside: n.Inside, Outside: n.Outside})
			}
		}
		return out, err
	}
	s.Resolver, s.Services = ownServices(region, g.anchors)
	allowed := s.Allowed
	s.Flows = func() ([]diagnose.Flow, error) { return g.used(allowed) }
}

// waysOf are the devices by which a region's packets are to leave, the usual one first.
func waysOf(region string, w ways.Ways) (out []diagnose.Way) {
	for stream, device := range w.Devices {
		if stream.Region == region {
			out = append(out, diagnose.Way{Class: stream.Class, Device: device})
		}
	}
	slices.SortFunc(out, func(a, b diagnose.Way) int { return int(a.Class) - int(b.Class) })
	return out
}

// ownServices are those in a region that the gate itself may open connections to: a resolver, and applications. Prefixes of several
// hosts name no host to connect to.
func ownServices(region string, a *anchors.Anchors) (resolver netip.AddrPort, services []netip.AddrPort) {
	for _, s := range a.Services {
		if s.Segment != region || !s.Out {
			continue
		}
		for _, p := range s.From {
			switch at := netip.AddrPortFrom(p.Addr(), s.Port); {
			case !p.IsSingleIP():
			case s.Proto == "udp" && s.Port == 53 && !resolver.IsValid():
				resolver = at
			case s.Proto == "tcp":
				services = append(services, at)
			}
		}
	}
	return resolver, services
}

// mostFlows is how many flows are looked through.
const mostFlows = 100_000

// used are the services in a region that stations use now, the most recently used first.
func (g *Gate) used(region []netip.Prefix) ([]diagnose.Flow, error) {
	flows, err := g.core.Flows(mostFlows)
	if err != nil {
		return nil, err
	}
	names := g.core.Names()
	by := map[string]*diagnose.Flow{}
	for _, f := range flows {
		proto := map[uint8]string{6: "tcp", 17: "udp"}[f.Proto]
		if proto == "" || !slices.ContainsFunc(region, func(p netip.Prefix) bool { return p.Contains(f.Dst) }) {
			continue
		}
		if slices.ContainsFunc(g.anchors.Segments, func(s anchors.Segment) bool { return slices.Contains(s.Gate, f.Src) }) {
			continue // the gate's own probes
		}
		record := ""
		if f.Epoch == names.Epoch { // numbers of another epoch mean something else
			record = strings.Join(names.Rules[f.Rule], " ")
		}
		at := netip.AddrPortFrom(f.Dst, f.DPort)
		idle := time.Duration(f.Idle * float64(time.Second))
		x := by[at.String()+proto]
		if x == nil {
			x = &diagnose.Flow{Service: at, Proto: proto, Record: record, Idle: idle}
			by[at.String()+proto] = x
		}
		x.Out += f.Forward.Packets
		x.In += f.Reverse.Packets
		x.Idle = min(x.Idle, idle)
	}
	var out []diagnose.Flow
	for _, f := range by {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b diagnose.Flow) int {
		return cmp.Or(cmp.Compare(a.Idle, b.Idle), strings.Compare(a.Service.String()+a.Proto, b.Service.String()+b.Proto))
	})
	return out, nil
}

// lately is for how long it is remembered that somebody else used one of the gate's addresses.
const lately = 10 * time.Minute

// mostClaims bounds what strangers can make the gate remember; then it begins anew.
const mostClaims = 64

// claim is the last frame in which somebody used an address of the gate's.
type claim struct {
	by packet.MAC
	at time.Time
}

// note remembers who used the gate's addresses: the packet core drops their frames, so nobody else sees them.
func (h *hub) note(e packet.Event) {
	if e.Reason != "duplicate-address" {
		return
	}
	whose := e.Src
	if !whose.IsValid() || whose.IsUnspecified() { // asks whether it is free
		whose = e.Dst
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.claims == nil || len(h.claims) >= mostClaims {
		h.claims = map[netip.Addr]claim{}
	}
	h.claims[whose] = claim{e.SMAC, time.Now()}
}

func (h *hub) claimed(a netip.Addr) (mac string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.claims[a]
	return c.by.String(), ok && time.Since(c.at) < lately
}
