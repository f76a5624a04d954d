// Package drawn draws configurations for property tests.
//
// Problem: a compiler and its proofs are tried out on towns that somebody thought of, and fail on others. Mechanism: a small scene
// with a segment of every kind, in which stations, services, groups, records, their times and states are drawn. Life cycle: for
// tests only. Invariant: the addresses, ports and times are few, so that what is drawn overlaps, touches and repeats.
package drawn

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/sekisho/sekisho/controlplane/config"
)

// scene is a small town in which everything that can be drawn is drawn.
const scene = `version: 1
town: {ja: 海山町}
model: alpha
ports:
  - {id: mn0, zone: my-number}
  - {id: lg0, zone: lgwan}
  - {id: in0, zone: internet}
  - {id: mg0, zone: management}
  - {id: wan0, zone: uplink}
  - {id: wan1, zone: uplink}
segments:
  - {id: mn-a, zone: my-number, port: mn0, vlan: 10, prefixes: [198.18.10.0/28, "2001:db8:10::/120"], gate: [198.18.10.1, "2001:db8:10::1"], strict: true}
  - {id: mn-b, zone: my-number, port: mn0, vlan: 11, prefixes: [198.18.11.0/28], gate: [198.18.11.1], strict: true}
  - {id: lg-a, zone: lgwan, port: lg0, vlan: 20, prefixes: [198.18.20.0/28, "2001:db8:20::/120"], gate: [198.18.20.1, "2001:db8:20::1"], strict: true}
  - id: lg-b
    zone: lgwan
    port: lg0
    vlan: 21
    prefixes: [198.18.21.0/28, 198.19.0.0/26]
    gate: [198.18.21.1]
    strict: true
    routers: [{mac: "02:00:5e:21:00:fe", addresses: [198.18.21.2], behind: [198.19.0.0/26]}]
  - {id: in-a, zone: internet, port: in0, prefixes: [203.0.113.0/26, "2001:db8:30::/120"], gate: [203.0.113.1, "2001:db8:30::1"]}
  - {id: mg-a, zone: management, port: mg0, prefixes: [198.18.40.0/28], gate: [198.18.40.1], strict: true}
  - {id: line1, zone: uplink, port: wan0, prefixes: [192.0.2.0/28], gate: [192.0.2.1]}
  - {id: line2, zone: uplink, port: wan1, prefixes: [192.0.2.16/28], gate: [192.0.2.17]}
  - {id: tokyo, zone: my-number, tunnel: wg0, prefixes: [198.51.100.0/28], gate: [198.51.100.14]}
  - {id: lg-portal, zone: lgwan, portal: true, prefixes: [198.18.120.0/29], gate: [198.18.120.1]}
lines: [{id: line1, segment: line1, rate: 50Mbit}, {id: line2, segment: line2, rate: 30Mbit}]
classes:
  - {id: core, guarantee: 20Mbit, ceiling: 50Mbit, priority: 0}
  - {id: rest, line: line1, guarantee: 15Mbit, ceiling: 50Mbit, priority: 1, default: true}
  - {id: spare, lines: [{line: line2, guarantee: 5Mbit, ceiling: 30Mbit}], priority: 1, default: true}
tunnels: [{id: wg0, line: line1, listen: 51820}, {id: wg1, line: line2, listen: 51822}]
regions:
  - id: tokyo
    ends:
      - {id: tokyo, tunnel: wg0, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.11:51821", probe: 198.51.100.2}
      - {id: tokyo-b, tunnel: wg1, public-key: "dG9reW8tcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.27:51821", probe: 198.51.100.2}
      - {id: tokyo-c, tunnel: wg1, public-key: "b3Nha2EtcmVnaW9uLWV4YW1wbGUta2V5LTAxMjM0NTY=", endpoint: "192.0.2.28:51821", probe: 198.51.100.3, plain: true}
portals: [{zone: lgwan, address: 198.18.120.2, name: portal.lgwan.example, reach: [lg-a]}]
windows:
  - {id: office, days: [mon, tue, wed, thu, fri], from: "08:30", to: "17:15"}
  - {id: early, days: [mon, thu], from: "00:00", to: "10:00"}
  - {id: nights, days: [sat, sun], from: "22:00", to: "06:00"}
  - {id: days, days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00"}
`

// where stations and services can be put: segment, address pattern, IPv6 pattern, MAC needed.
var places = []struct {
	segment, v4, v6 string
	mac             bool
}{
	{"mn-a", "198.18.10.%d", "2001:db8:10::%x", true}, {"mn-b", "198.18.11.%d", "", true}, {"lg-a", "198.18.20.%d", "2001:db8:20::%x", true},
	{"lg-b", "198.19.0.%d", "", false}, {"lg-b", "198.18.21.%d", "", true}, {"in-a", "203.0.113.%d", "2001:db8:30::%x", false},
	{"mg-a", "198.18.40.%d", "", true}, {"tokyo", "198.51.100.%d", "", false},
}

// Ports that are drawn.
var Ports = []string{"tcp/443", "tcp/80", "tcp/1000-2000", "tcp/1500", "tcp/1501", "tcp/1502-1600", "udp/53", "udp/7", "udp/51820", "icmp/echo", "icmp/8", "icmp6/128"}
var drawnPrefixes = []string{"203.0.113.0/26", "203.0.113.32/27", "203.0.113.40/29", "198.19.0.32/28", "198.18.20.8/29", "198.51.100.8/29", "2001:db8:30::/121", "203.0.113.5/32"}
var drawnSegments = []string{"mn-a", "mn-b", "lg-a", "lg-b", "in-a", "mg-a", "tokyo"}

var drawnClasses = []string{"", "", ", class: core", ", class: rest", ", class: spare"}

var drawnTimes = []string{"", "", ", since: 2027-04-01", ", since: \"2027-03-31 12:00\"", ", since: 2027-05-01"}
var drawnEnds = []string{"", "", ", until: 2027-05-31", ", until: \"2027-05-01 00:00\"", ", until: \"2027-06-01 09:30\""}
var drawnWindows = []string{"", "", ", window: office", ", window: early", ", window: nights", ", window: days"}

var drawnStates = []string{"", "", "", "", ", state: active", ", state: active", ", state: draft", ", state: suspended", ", state: expired"}

// Document writes a configuration: the scene with random stations, services, groups and communications, one a line.
func Document(t *rapid.T) string {
	var b strings.Builder
	b.WriteString(scene)
	var stations, services []string
	b.WriteString("stations:\n")
	entry := func(list *[]string, kind string, i, n int, ports string) {
		p := places[i]
		id := fmt.Sprintf("%s-%d-%d", kind, i, n)
		addrs := fmt.Sprintf(p.v4, n)
		if p.v6 != "" && rapid.Bool().Draw(t, "v6") {
			addrs += fmt.Sprintf(`, "`+p.v6+`"`, n)
		}
		mac := ""
		if p.mac {
			mac = fmt.Sprintf(`, mac: "02:00:00:00:%02x:%02x"`, i, n)
		}
		fmt.Fprintf(&b, "  - {id: %s, segment: %s%s, addresses: [%s]%s}\n", id, p.segment, mac, addrs, ports)
		*list = append(*list, id)
	}
	for i := range places {
		for n := range rapid.IntRange(1, 3).Draw(t, "stations") {
			entry(&stations, "pc", i, 3+n, "")
		}
	}
	b.WriteString("services:\n")
	for i := range places {
		for n := range rapid.IntRange(0, 3).Draw(t, "services") {
			entry(&services, "sv", i, 8+n, ", ports: "+drawPorts(t)+rapid.SampledFrom(drawnClasses).Draw(t, "class"))
		}
	}
	entry(&services, "sv", 5, 13, ", ports: [tcp/443]")
	b.WriteString("groups:\n  - {id: g1, stations: " + some(t, stations) + "}\n  - {id: g2, stations: " + some(t, stations) + "}\n  - {id: g3, services: " + some(t, services) + "}\n")
	b.WriteString("communications:\n  - {id: always, from: {stations: [pc-4-3]}, to: {services: [sv-5-13]}, purpose: x, owner: x}\n")
	for n := range rapid.IntRange(0, 14).Draw(t, "communications") {
		var from, to, ports string
		switch rapid.IntRange(0, 3).Draw(t, "from") {
		case 0:
			from = "groups: " + some(t, []string{"g1", "g2"})
		case 1:
			from = "segments: " + some(t, drawnSegments)
		default:
			from = "stations: " + some(t, stations)
		}
		ports = ", ports: " + drawPorts(t)
		switch rapid.IntRange(0, 5).Draw(t, "to") {
		case 0:
			to = "stations: " + some(t, stations)
		case 1:
			to = "prefixes: " + some(t, drawnPrefixes)
		case 2:
			to = "groups: " + some(t, []string{"g1", "g3", "g2"})
		case 3:
			to, ports = "groups: [g3]", ""
		default:
			to, ports = "services: "+some(t, services), ""
		}
		class := rapid.SampledFrom(drawnClasses).Draw(t, "class")
		time := rapid.SampledFrom(drawnTimes).Draw(t, "since") + rapid.SampledFrom(drawnEnds).Draw(t, "until") + rapid.SampledFrom(drawnWindows).Draw(t, "window")
		fmt.Fprintf(&b, "  - {id: c%d, from: {%s}, to: {%s}%s%s%s%s, purpose: x, owner: x}\n", n, from, to, ports, class, time, rapid.SampledFrom(drawnStates).Draw(t, "state"))
	}
	return b.String()
}

func some(t *rapid.T, list []string) string {
	n := rapid.IntRange(1, min(3, len(list))).Draw(t, "n")
	i := rapid.IntRange(0, len(list)-n).Draw(t, "i")
	quoted := make([]string, n)
	for j, s := range list[i : i+n] {
		quoted[j] = `"` + s + `"`
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// drawPorts draws a list without overlaps.
func drawPorts(t *rapid.T) string {
	var out []string
	for range rapid.IntRange(1, 4).Draw(t, "ports") {
		p := rapid.SampledFrom(Ports).Draw(t, "port")
		if slices.ContainsFunc(out, func(q string) bool { return strings.HasPrefix(p, "icmp") && strings.HasPrefix(q, "icmp") }) {
			continue
		}
		if !slices.Contains(out, p) && (!strings.HasPrefix(p, "tcp/1") || !slices.ContainsFunc(out, func(q string) bool { return strings.HasPrefix(q, "tcp/1") })) {
			out = append(out, p)
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// Without removes the communications that drop says so of; each stands on a line of its own.
func Without(doc string, drop func(line int, id string) bool) string {
	lines := strings.Split(doc, "\n")
	for i, l := range lines {
		if id, ok := strings.CutPrefix(l, "  - {id: c"); ok && strings.Contains(l, "purpose: x") {
			id, _, _ = strings.Cut("c"+id, ",")
			if drop(i+1, id) {
				lines[i] = ""
			}
		}
	}
	return strings.Join(lines, "\n")
}

// Config draws a configuration without faults: communications that are refused, like those with an address on both sides, are
// left out. It comes with its text.
func Config(t *rapid.T) (string, *config.Config) {
	doc := Document(t)
	cfg, errs := config.Parse([]byte(doc))
	if errs != nil {
		bad := map[int]bool{}
		for _, e := range errs {
			bad[e.Line] = true
		}
		doc = Without(doc, func(line int, _ string) bool { return bad[line] })
		if cfg, errs = config.Parse([]byte(doc)); errs != nil {
			t.Fatalf("the scene is not clean:\n%v\n%s", errs, doc)
		}
	}
	return doc, cfg
}
