package gate

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sekisho/sekisho/dataplane/anchors"
	"github.com/sekisho/sekisho/dataplane/bandwidth"
	"github.com/sekisho/sekisho/dataplane/packet"
	"github.com/sekisho/sekisho/dataplane/tunnel"
	"github.com/sekisho/sekisho/dataplane/tunnel/plan"
)

// Two lines: tokyo has an end on each, and its spare one may stand in for osaka; osaka has one on the first.
const linesAnchors = `version: 1
name: Umiyama
segments:
- {id: mn-office, zone: my-number, attach: port, port: mn0, prefixes: [198.18.10.0/24], gate: [198.18.10.1], strict: true}
- {id: line1, zone: uplink, attach: port, port: wan0, prefixes: [192.0.2.0/25], gate: [192.0.2.1]}
- {id: line2, zone: uplink, attach: port, port: wan1, prefixes: [192.0.2.128/25], gate: [192.0.2.129]}
- {id: tokyo, zone: my-number, attach: tunnel, port: wg0, prefixes: [198.51.100.0/26], gate: [198.51.100.62]}
- {id: osaka, zone: my-number, attach: tunnel, port: wg0, prefixes: [198.51.100.64/26], gate: [198.51.100.126]}
tunnels:
- device: wg0
  line: line1
  listen: 51820
  peers:
  - {id: tokyo, segment: tokyo, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51820", allowed: [198.51.100.0/26], probe: 198.51.100.1}
  - {id: osaka, segment: osaka, public-key: "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.13:51820", allowed: [198.51.100.64/26]}
- device: wg1
  line: line2
  listen: 51821
  peers:
  - {id: tokyo-b, segment: tokyo, public-key: "dG9reW8tc3BhcmUtZXhhbXBsZS1rZXktMDEyMzQ1Njc=", endpoint: "192.0.2.139:51820", allowed: [198.51.100.0/26], probe: 198.51.100.1, takes-over: [osaka]}
services:
- {id: probe, segment: tokyo, proto: udp, port: 7, from: [198.51.100.1/32], out: true}
`

func overBothLines(t *testing.T) (*anchors.Anchors, func() Generation) {
	t.Helper()
	a, err := anchors.Parse([]byte(linesAnchors))
	if err != nil {
		t.Fatal(err)
	}
	return a, func() Generation {
		g := Generation{Revision: "r", Tables: packet.Tables{Revision: "r"}}
		for i, at := range a.Tunnels {
			line, _ := a.Segment(at.Line)
			s := tunnel.Spec{Device: at.Device, Line: line.Port, Listen: at.Listen, Contract: at.Line, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.62"), netip.MustParseAddr("198.51.100.126")}}
			for _, p := range at.Peers {
				end := tunnel.Peer{ID: p.ID, Region: p.Segment, PublicKey: p.PublicKey, Endpoint: p.Endpoint, Allowed: p.Allowed, TakesOver: p.TakesOver}
				if p.Probe.IsValid() {
					end.Probe = netip.AddrPortFrom(p.Probe, 7)
				}
				s.Peers = append(s.Peers, end)
			}
			g.Tunnels = append(g.Tunnels, s)
			g.Routes = append(g.Routes, Route{Prefix: a.Tunnels[0].Peers[i].Allowed[0], Port: "wg1"})
		}
		g.Preferences = []tunnel.Preference{{Class: 0, Devices: []string{"wg0", "wg1"}}, {Class: 63, Devices: []string{"wg1"}}}
		p := plan.Plan{Region: "tokyo", Matches: []plan.Match{
			{From: netip.MustParsePrefix("198.51.100.8/29"), To: netip.MustParsePrefix("198.18.10.0/24"), Proto: 6, Ports: plan.Ports{Lo: 443, Hi: 443}, Class: 1},
			{From: netip.MustParsePrefix("198.51.100.72/32"), To: netip.MustParsePrefix("0.0.0.0/0"), Class: 1}, // of osaka
		}}
		for _, device := range []string{"wg0", "wg1"} {
			p.Devices = append(p.Devices, plan.Device{Device: device, Rate: 10_000_000, Overhead: 60, Classes: []bandwidth.Class{{ID: 1, Guarantee: 1_000_000, Ceiling: 10_000_000, Default: true}}})
		}
		if err := p.Seal(); err != nil {
			t.Fatal(err)
		}
		g.Plans = map[string]plan.Plan{"tokyo": p}
		return g
	}
}

// spoilPlan changes tokyo's plan, which then may be sealed again, and goes under the name that it bears.
func spoilPlan(spoil func(p *plan.Plan), seal bool) func(g *Generation) {
	return func(g *Generation) {
		p := g.Plans["tokyo"]
		p.Matches = slices.Clone(p.Matches)
		spoil(&p)
		if seal && p.Seal() != nil {
			return
		}
		g.Plans = map[string]plan.Plan{p.Region: p}
	}
}

// What a control process that lies may say about ends, lines and preferences, one lie a case.
func TestEndsAreThoseOfTheAnchors(t *testing.T) {
	a, honest := overBothLines(t)
	own := map[string]string{"wg0": "Z2F0ZS1vd24tcHVibGljLWtleS1leGFtcGxlLTAxMjM=", "wg1": "Z2F0ZS1vd24tb3RoZXItcHVibGljLWtleS0wMTIzNDU="}
	g := honest()
	if err := checkObjects(&g, a, own); err != nil {
		t.Fatalf("an honest generation: got %v, want no error", err)
	}
	for _, c := range []struct {
		name string
		tell func(g *Generation)
		want string
	}{
		{"a peer moved to another device", func(g *Generation) {
			g.Tunnels[0].Peers = append(g.Tunnels[0].Peers, g.Tunnels[1].Peers[0])
		}, `tunnel wg0: end "tokyo-b" is a peer of wg1`},
		{"a peer of nobody", func(g *Generation) { g.Tunnels[0].Peers[0].ID = "nara" }, `region "nara" is no peer`},
		{"a peer given twice", func(g *Generation) {
			g.Tunnels[0].Peers = append(g.Tunnels[0].Peers, g.Tunnels[0].Peers[0])
		}, "end tokyo is given twice"},
		{"an end of another region", func(g *Generation) { g.Tunnels[0].Peers[1].Region = "tokyo" }, `end osaka is one of region "tokyo", want "osaka"`},
		{"no region where the end's name is none", func(g *Generation) { g.Tunnels[1].Peers[0].Region = "" }, `one of region "tokyo-b", want "tokyo"`},
		{"taking over what the anchors do not say", func(g *Generation) { g.Tunnels[0].Peers[0].TakesOver = []string{"osaka"} }, `takes over "osaka"`},
		{"taking over a zone's segment", func(g *Generation) { g.Tunnels[1].Peers[0].TakesOver = []string{"osaka", "mn-office"} }, `takes over "mn-office"`},
		{"taking over twice", func(g *Generation) { g.Tunnels[1].Peers[0].TakesOver = []string{"osaka", "osaka"} }, "each once"},
		{"another key", func(g *Generation) { g.Tunnels[1].Peers[0].PublicKey = g.Tunnels[0].Peers[0].PublicKey }, "not that of the anchors"},
		{"the gate's own key", func(g *Generation) { g.Tunnels[0].Peers[0].PublicKey = own["wg1"] }, "is the gate's own, that of wg1"},
		{"another endpoint", func(g *Generation) { g.Tunnels[1].Peers[0].Endpoint = g.Tunnels[0].Peers[0].Endpoint }, "want 192.0.2.139:51820"},
		{"a region's prefixes for another end", func(g *Generation) {
			g.Tunnels[1].Peers[0].Allowed = slices.Concat(g.Tunnels[1].Peers[0].Allowed, g.Tunnels[0].Peers[1].Allowed)
		}, "may send from"},
		{"a probe of another port", func(g *Generation) { g.Tunnels[1].Peers[0].Probe = netip.MustParseAddrPort("198.51.100.1:53") }, "no service"},
		{"a probe elsewhere in the region", func(g *Generation) { g.Tunnels[1].Peers[0].Probe = netip.MustParseAddrPort("198.51.100.2:7") }, "no service"},
		{"another line", func(g *Generation) { g.Tunnels[1].Line = "wan0" }, `by line "wan0"`},
		{"a zone's port as a line", func(g *Generation) { g.Tunnels[1].Line = "mn0" }, `by line "mn0"`},
		{"another port", func(g *Generation) { g.Tunnels[1].Listen = 53 }, "listens on port 53"},
		{"an endless name of a line", func(g *Generation) { g.Tunnels[1].Contract = strings.Repeat("x", 65) }, "65 bytes"},
		{"an address of another segment", func(g *Generation) { g.Tunnels[1].Addrs[0] = netip.MustParseAddr("198.18.10.1") }, "198.18.10.1 is not the gate's"},
		{"a tunnel given twice", func(g *Generation) { g.Tunnels = append(g.Tunnels, g.Tunnels[0]) }, "given twice"},
		{"a preference for a port", func(g *Generation) { g.Preferences[1].Devices = []string{"wan1"} }, `device "wan1" is no tunnel`},
		{"a preference for a tunnel that is not asked for", func(g *Generation) { g.Tunnels = g.Tunnels[:1] }, `device "wg1" is no tunnel of this generation`},
		{"a preference for one device twice", func(g *Generation) { g.Preferences[1].Devices = []string{"wg1", "wg1"} }, "given twice"},
		{"a preference for nothing", func(g *Generation) { g.Preferences[1].Devices = nil }, "names no device"},
		{"two preferences of a class", func(g *Generation) { g.Preferences[1].Class = 0 }, "class 0: given twice"},
		{"a preference of a class beyond the mark", func(g *Generation) { g.Preferences[1].Class = 64 }, "above 63"},
		{"a plan of nobody", func(g *Generation) { g.Plans = map[string]plan.Plan{"nara": g.Plans["tokyo"]} }, "nara\": no region of the anchors"},
		{"a plan under another's name", func(g *Generation) { g.Plans = map[string]plan.Plan{"osaka": g.Plans["tokyo"]} }, "it is that of region"},
		{"a plan that was changed", spoilPlan(func(p *plan.Plan) { p.Hash++ }, false), "its hash is"},
		{"a plan by a device where the region has no end", spoilPlan(func(p *plan.Plan) {
			p.Region = "osaka"
			p.Matches = nil
		}, true), `device "wg1" is no tunnel of this generation with an end of the region`},
		{"a plan for others' addresses", spoilPlan(func(p *plan.Plan) { p.Matches[0].From = netip.MustParsePrefix("198.18.10.0/24") }, true), "sends from 198.18.10.0/24"},
		{"a region by a port", func(g *Generation) { g.Routes[0].Port = "mn0" }, `by port "mn0", but segment "tokyo" (my-number) hangs on wg0, wg1`},
		{"a port's segment by a tunnel", func(g *Generation) { g.Routes[0].Prefix = netip.MustParsePrefix("198.18.10.0/24") }, "hangs on mn0"},
	} {
		g := honest()
		c.tell(&g)
		if err := checkObjects(&g, a, own); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}

	// A region that no end on the second line may carry is not reached by it, nor has the gate its address there.
	alone := *a
	alone.Tunnels = slices.Clone(a.Tunnels)
	alone.Tunnels[1].Peers = slices.Clone(a.Tunnels[1].Peers)
	alone.Tunnels[1].Peers[0].TakesOver = nil
	g = honest()
	g.Tunnels[1].Peers[0].TakesOver = nil
	g.Plans = nil
	for _, want := range []string{`route 198.51.100.64/26: by port "wg1"`, "tunnel wg1: address 198.51.100.126 is not the gate's"} {
		if err := checkObjects(&g, &alone, own); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a region without an end on the line: got %v, want an error with %q", err, want)
		}
	}
}
