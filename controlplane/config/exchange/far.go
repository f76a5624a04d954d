package exchange

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sekisho/sekisho/controlplane/config"
	"github.com/sekisho/sekisho/controlplane/policy/reading"
)

// FarState is where a far end usually keeps what it makes itself.
const FarState = "/var/lib/sekisho-region"

// FarFile writes the file of a region's far end (dataplane/tunnel/region): all that the gate knows of it. Its private keys are
// not there: the far end makes them itself, and gives the public ones back. id is a region, or one end of it where the region has
// several machines; state is the directory there in which it keeps its keys.
func FarFile(cfg *config.Config, gate Keys, id, state string) ([]byte, error) {
	r, ends, err := farEnds(cfg, id)
	if err != nil {
		return nil, err
	}
	allowed, there := behind(cfg, r, r)
	for i := range cfg.Regions { // what it carries for others comes from the same stations, as those see them
		if o := &cfg.Regions[i]; slices.Contains(r.TakesOver, o.ID) {
			more, _ := behind(cfg, o, r)
			allowed = append(allowed, more...)
		}
	}
	slices.Sort(allowed)
	allowed = slices.Compact(allowed)
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The far end of region %s, from the configuration of %s.\n", r.ID, cfg.Town.JA)
	b.WriteString("# Put it on the machine there, run `sekisho-dataplane region key --config FILE`, which makes the private keys that are missing,\n")
	b.WriteString("# and give what it prints back: `sekisho tunnel import`.\n")
	for _, id := range there {
		fmt.Fprintf(&b, "# The addresses of region %s are not among those allowed: region %s takes it over, so they lie on this side. What the two say to each\n", id, r.ID)
		b.WriteString("# other must go its way here: the tunnel does not carry it.\n")
	}
	b.WriteString("version: 1\ndevices:\n")
	var addresses []string
	for j, e := range ends {
		if o := slices.IndexFunc(ends[:j], func(o config.End) bool { return o.Endpoint.Port() == e.Endpoint.Port() }); o >= 0 {
			return nil, fmt.Errorf("ends %s and %s of one machine are both to listen at port %d: give one of their endpoints another port, or ask for each end by itself if they are two machines", ends[o].ID, e.ID, e.Endpoint.Port())
		}
		i := slices.IndexFunc(gate.Keys, func(k Key) bool { return k.Device == e.Tunnel })
		if i < 0 {
			return nil, fmt.Errorf("end %s: the gate's key of tunnel %s is not among those given", e.ID, e.Tunnel)
		}
		outer, t := outerOf(cfg, e)
		if !outer.IsValid() {
			return nil, fmt.Errorf("end %s: the gate has no address of its IP version on the line of tunnel %s", e.ID, e.Tunnel)
		}
		fmt.Fprintf(&b, "  - device: %s\n    private-key-file: %s/%s.key\n    listen: %d\n", e.Tunnel, state, e.Tunnel, e.Endpoint.Port())
		if t.MTU != 0 {
			fmt.Fprintf(&b, "    mtu: %d\n", t.MTU)
		}
		fmt.Fprintf(&b, "    gate:\n      public-key: %q\n      endpoint: %q\n      allowed: %s\n", gate.Keys[i].PublicKey, netip.AddrPortFrom(outer, t.Listen), list(allowed))
		if e.Preshared {
			fmt.Fprintf(&b, "      preshared: %s/%s.preshared # 32 bytes in base64, the same as the gate's for %s\n", state, e.Tunnel, e.ID)
		}
		if p := e.Probe; p.IsValid() && !slices.Contains(addresses, netip.PrefixFrom(p, p.BitLen()).String()) {
			addresses = append(addresses, netip.PrefixFrom(p, p.BitLen()).String())
		}
	}
	fmt.Fprintf(&b, "addresses: %s # where the gate's probes are answered\n", list(addresses))
	if state != FarState {
		fmt.Fprintf(&b, "state: %q\n", state)
	}
	return b.Bytes(), nil
}

// farEnds are the ends of one machine: of a region, or that of one id.
func farEnds(cfg *config.Config, id string) (*config.Region, []config.End, error) {
	var known []string
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		known = append(known, r.ID)
		reached := slices.DeleteFunc(r.Reached(), func(e config.End) bool { return e.Plain })
		if one := slices.IndexFunc(reached, func(e config.End) bool { return e.ID == id }); one >= 0 && r.ID != id {
			return r, reached[one : one+1], nil
		}
		if r.ID != id {
			continue
		}
		if len(reached) == 0 {
			return nil, nil, fmt.Errorf("region %s: its far end is of another make: enter the gate's public keys there", id)
		}
		for j, e := range reached {
			if o := slices.IndexFunc(reached[:j], func(o config.End) bool { return o.Tunnel == e.Tunnel }); o >= 0 {
				return nil, nil, fmt.Errorf("region %s has ends %s and %s on tunnel %s, which are two machines: name one of them", id, reached[o].ID, e.ID, e.Tunnel)
			}
		}
		return r, reached, nil
	}
	return nil, nil, fmt.Errorf("there is no region or end %q%s; the configuration has the regions %s", id, config.Suggest(id, known), strings.Join(known, ", "))
}

// outerOf is the gate's own address on the line of an end, and the end's tunnel.
func outerOf(cfg *config.Config, e config.End) (netip.Addr, config.Tunnel) {
	for _, t := range cfg.Tunnels {
		for _, l := range cfg.Lines {
			for _, s := range cfg.Segments {
				if t.ID != e.Tunnel || l.ID != t.Line || s.ID != l.Segment {
					continue
				}
				for _, g := range s.Gate {
					if g.Is4() == e.Endpoint.Addr().Is4() {
						return g, t
					}
				}
			}
		}
	}
	return netip.Addr{}, config.Tunnel{}
}

// behind is what may come out of the tunnel at the far end: the gate itself, the town's segments of the region's zone, and those
// of other zones and the other regions that a communication joins with the region; each as the region sees it. What lies on the
// side of the far end's own region, at, would be sent back if it stood here: the prefixes of that region, and of those that it
// takes over; there are the latter that a communication joins.
func behind(cfg *config.Config, r, at *config.Region) (out, there []string) {
	here := slices.IndexFunc(cfg.Segments, func(s config.Segment) bool { return s.ID == r.ID })
	joined := map[int]bool{}
	for _, p := range reading.Of(cfg).Permits {
		for _, from := range p.From {
			for _, to := range p.To {
				if from.Segment == here || to.Segment == here {
					joined[from.Segment], joined[to.Segment] = true, true
				}
			}
		}
	}
	for i, s := range cfg.Segments {
		switch {
		case i == here:
			for _, g := range s.Gate {
				out = append(out, netip.PrefixFrom(g, g.BitLen()).String())
			}
		case s.Tunnel != "" && joined[i] && slices.Contains(at.TakesOver, s.ID):
			there = append(there, s.ID)
		case s.Tunnel != "" && joined[i] && s.ID != at.ID:
			for _, p := range s.Prefixes {
				out = append(out, seen(r, p)...)
			}
		case s.Port != "" && (s.Zone == cfg.Segments[here].Zone || joined[i]):
			for _, p := range s.Prefixes {
				out = append(out, seen(r, p)...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), there
}

// seen is how a region sees a prefix: as it is, or where all of it is translated, as what it appears.
func seen(r *config.Region, p netip.Prefix) []string {
	out := []string{p.String()}
	for _, n := range r.NAT {
		switch {
		case n.Inside == p:
			return []string{n.Outside.String()}
		case n.Inside.Overlaps(p):
			out = append(out, n.Outside.String())
		}
	}
	return out
}

func list(in []string) string {
	quoted := make([]string, len(in))
	for i, s := range in {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
